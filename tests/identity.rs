//! Who somebody is, proved again: before sensitive acts, and by a second factor.

use crate::common::{Answer, Browser, PASSWORD, Page, TestPortal};

const CONFIRM: &str = "/confirmation-identite";

/// Goes on as a browser does at a 307: the same form, to where the answer says.
async fn repeat(browser: &Browser, answer: &Answer, page: &Page, typed: &[(&str, &str)]) -> Answer {
    assert_eq!(answer.status, 307, "{}", answer.body_text());
    let mut fields = page.form(CONFIRM);
    for (name, value) in typed {
        fields.retain(|(known, _)| known != name);
        fields.push(((*name).to_owned(), (*value).to_owned()));
    }
    let fields: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    browser.post(answer.header("location").expect("where to go on"), &fields).await
}

#[tokio::test]
async fn a_creation_a_quarter_of_an_hour_after_sign_in_asks_for_the_password_and_loses_nothing() {
    let mut portal = TestPortal::start().await;
    let (manager, structure) = portal.manager().await;
    let browser = portal.signed_in(&manager).await;
    let action = format!("/structures/{}/utilisateurs-techniques", structure.id);
    portal.move_clock("14 minutes").await;
    portal.create_account(&browser, structure.id, "Paie").await;
    let form = browser.open(&format!("{action}/nouveau")).await;
    portal.move_clock("16 minutes").await;
    let token = form.field("jeton");
    let asked = browser.submit(&form, &action, &[("libelle", "Cantine & « école »")]).await.refusal(403);
    assert_eq!(asked.heading(), "Confirmez votre identité");
    assert_eq!(portal.number("SELECT count(*) FROM technical_users", &[]).await, 1, "nothing is done yet");
    let wrong = browser.submit(&asked, CONFIRM, &[("confirmation-mot-de-passe", "pas celui-là, non")]).await;
    let asked = wrong.refusal(422);
    asked.assert_says("Le mot de passe est incorrect.");
    let before = browser.cookies();
    let typed = [("confirmation-mot-de-passe", PASSWORD)];
    let confirmed = browser.submit(&asked, CONFIRM, &typed).await;
    assert_eq!(confirmed.header("location"), Some(action.as_str()));
    assert_ne!(browser.cookies(), before, "the session has a new id");
    let summary = repeat(&browser, &confirmed, &asked, &typed).await.location();
    assert!(browser.open(&summary).await.password().is_some());
    let label = "SELECT label FROM technical_users ORDER BY id DESC LIMIT 1";
    assert_eq!(portal.text(label, &[]).await, "Cantine & « école »", "what was typed is there");
    assert_eq!(portal.number("SELECT count(*) FROM idempotency_tokens", &[]).await, 2);
    assert_eq!(
        browser.submit(&form, &action, &[("libelle", "Cantine & « école »")]).await.location(),
        summary,
        "{token}"
    );
    assert_eq!(portal.number("SELECT count(*) FROM technical_users", &[]).await, 2, "once");
    assert_eq!(
        (portal.events_of("IDENTITY_CONFIRMED").await, portal.events_of("IDENTITY_NOT_CONFIRMED").await),
        (1, 1)
    );
    browser.set_cookies(before);
    assert!(browser.get("/mon-compte").await.location().starts_with("/connexion"), "the old session is over");
}

#[tokio::test]
async fn a_reset_and_a_new_contact_address_ask_too_and_other_acts_do_not() {
    let mut portal = TestPortal::start().await;
    let (manager, structure) = portal.manager().await;
    let id = portal.technical_user(&structure, &manager).await;
    let browser = portal.signed_in(&manager).await;
    portal.move_clock("16 minutes").await;
    let reset = format!("/utilisateurs-techniques/{id}/mot-de-passe");
    let form = browser.open(&reset).await;
    let asked = browser.submit(&form, &reset, &[("ancien", "24")]).await.refusal(403);
    assert!(asked.form(CONFIRM).contains(&("ancien".into(), "24".into())));
    assert_eq!(portal.number("SELECT credential_version::bigint FROM technical_users", &[]).await, 1);
    let address = [("adresse-de-contact", "nouvelle@exemple.fr")];
    browser.post("/mon-compte/adresse-de-contact", &address).await.refusal(403);
    browser.post(&format!("/utilisateurs-techniques/{id}/suspension"), &[]).await.location();
    let typed = [("confirmation-mot-de-passe", PASSWORD)];
    let confirmed = browser.submit(&asked, CONFIRM, &typed).await;
    repeat(&browser, &confirmed, &asked, &typed).await.location();
    assert_eq!(portal.number("SELECT credential_version::bigint FROM technical_users", &[]).await, 2);
}

#[tokio::test]
async fn a_password_that_waits_for_its_export_survives_the_confirmation() {
    let mut portal = TestPortal::start().await;
    let (manager, structure) = portal.manager().await;
    let browser = portal.signed_in(&manager).await;
    portal.move_clock("14 minutes").await;
    let (id, summary, _) = portal.create_and_show(&browser, structure.id, "Paie").await;
    portal.move_clock("16 minutes").await;
    let asked =
        browser.post("/mon-compte/adresse-de-contact", &[("adresse-de-contact", "a@exemple.fr")]).await.refusal(403);
    let confirmed = browser.submit(&asked, CONFIRM, &[("confirmation-mot-de-passe", PASSWORD)]).await;
    assert_eq!(confirmed.status, 307);
    let export = format!("/utilisateurs-techniques/{id}/informations-de-connexion");
    let sheet = browser.submit(&summary, &export, &[]).await;
    assert_eq!((sheet.status.as_u16(), sheet.header("content-type")), (200, Some("application/pdf")));
}

#[tokio::test]
async fn guessing_within_a_session_is_slowed_and_leads_nowhere_else() {
    let portal = TestPortal::start().await;
    let (manager, _) = portal.manager().await;
    let browser = portal.signed_in(&manager).await;
    let attempt = |password: &'static str, target: &'static str| {
        let browser = browser.clone();
        async move {
            browser.post(CONFIRM, &[("confirmation-suite", target), ("confirmation-mot-de-passe", password)]).await
        }
    };
    attempt(PASSWORD, "//ailleurs.example/").await.refusal(422);
    for _ in 0..5 {
        attempt("faux", "/mon-compte").await.refusal(422);
    }
    attempt(PASSWORD, "/mon-compte").await.refusal(429).assert_says("Veuillez patienter");
}
