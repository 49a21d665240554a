//! The second factor, and the confirmation of the identity before sensitive acts.

use crate::common::{Answer, Browser, PASSWORD, Page, Person, TestPortal, together};

const CONFIRM: &str = "/confirmation-identite";
pub const MFA: &str = "/mon-compte/double-authentification";
const MFA_SETUP: &str = "/mon-compte/double-authentification/activation";
const MFA_CONFIRM: &str = "/mon-compte/double-authentification/confirmation";
pub const CODE: &str = "/connexion/code";

/// Follows a 307 as a browser does: sends the same form to the new location.
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
    assert_eq!(portal.count("technical_users").await, 1, "nothing is done yet");
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
    assert_eq!(portal.labels().await[1], "Cantine & « école »", "what was typed is there");
    assert_eq!(portal.count("idempotency_tokens").await, 2);
    assert_eq!(
        browser.submit(&form, &action, &[("libelle", "Cantine & « école »")]).await.location(),
        summary,
        "{token}"
    );
    assert_eq!(portal.count("technical_users").await, 2, "once");
    assert_eq!(
        (portal.events_of("IDENTITY_CONFIRMED").await, portal.events_of("IDENTITY_NOT_CONFIRMED").await),
        (1, 1)
    );
    browser.set_cookies(before);
    assert!(browser.get("/mon-compte").await.location().starts_with("/connexion"), "the old session is over");
}

#[tokio::test]
async fn a_reset_and_a_new_contact_address_ask_too_and_a_label_does_not() {
    let mut portal = TestPortal::start().await;
    let (manager, structure) = portal.manager().await;
    let id = portal.technical_user(&structure, &manager).await;
    let browser = portal.signed_in(&manager).await;
    portal.move_clock("16 minutes").await;
    let reset = format!("/utilisateurs-techniques/{id}/mot-de-passe");
    let form = browser.open(&reset).await;
    let asked = browser.submit(&form, &reset, &[("ancien", "24")]).await.refusal(403);
    assert!(asked.form(CONFIRM).contains(&("ancien".into(), "24".into())));
    assert_eq!(portal.version_of(id).await, 1);
    let address = [("adresse-de-contact", "nouvelle@exemple.fr")];
    browser.post("/mon-compte/adresse-de-contact", &address).await.refusal(403);
    browser.post(&format!("/utilisateurs-techniques/{id}/libelle"), &[("libelle", "ERP")]).await.location();
    let typed = [("confirmation-mot-de-passe", PASSWORD)];
    let confirmed = browser.submit(&asked, CONFIRM, &typed).await;
    repeat(&browser, &confirmed, &asked, &typed).await.location();
    assert_eq!(portal.version_of(id).await, 2);
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

/// The code of the person's application, `steps` of 30 seconds from now on the portal's clock.
pub async fn code(portal: &TestPortal, key: &str, steps: i64) -> String {
    // A step that ends before the code is judged would make it one step older.
    while portal.clock().await.as_second() % 30 >= 28 {
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    }
    let now = portal.clock().await.as_second() + steps * 30;
    let secret = totp_rs::Secret::try_from_base32(key).expect("a base32 key");
    let totp = totp_rs::Builder::new().with_secret(secret).build().expect("a sound secret");
    totp.generate(now.unsigned_abs()).to_string()
}

/// Sets a second factor up through the screens: the application's key and the recovery codes.
pub async fn enrol(portal: &TestPortal, browser: &Browser) -> (String, Vec<String>) {
    let page = browser.open(MFA).await;
    assert_eq!(browser.submit(&page, MFA_SETUP, &[]).await.location(), MFA);
    let page = browser.open(MFA).await;
    let key = page.by_id("code", "cle").expect("the key is shown");
    assert_eq!(key.len(), 32, "{key}");
    assert!(page.html().contains("<svg class=\"qr\""));
    browser.submit(&page, MFA_CONFIRM, &[("code", "000")]).await.refusal(422).assert_says("Le code est incorrect.");
    // The step before, so that those of sign-in are not spent.
    let answer = browser.submit(&page, MFA_CONFIRM, &[("code", &code(portal, &key, -1).await)]).await;
    assert_eq!(answer.status, 200, "{}", answer.body_text());
    let page = answer.page();
    assert_eq!(page.heading(), "Codes de secours");
    (key, shown_codes(&page))
}

pub fn shown_codes(page: &Page) -> Vec<String> {
    let codes = page.html().split("<li><code data-secret>").skip(1);
    let codes: Vec<_> = codes.map(|rest| rest.split('<').next().expect("a code").to_owned()).collect();
    assert_eq!(codes.len(), 10);
    codes
}

pub async fn give_password(browser: Browser, person: &Person) -> Browser {
    let fields = [("identifiant", person.login.as_str()), ("mot-de-passe", PASSWORD)];
    assert_eq!(browser.post("/connexion", &fields).await.location(), CODE);
    browser
}

#[tokio::test]
async fn with_a_second_factor_a_sign_in_takes_a_code_that_serves_once() {
    let portal = TestPortal::start().await;
    let (manager, structure) = portal.manager().await;
    let (key, _) = enrol(&portal, &portal.signed_in(&manager).await).await;
    let browser = give_password(portal.browser(), &manager).await;
    browser.post(CODE, &[("code", &code(&portal, &key, -1).await)]).await.refusal(422).assert_says("a déjà servi");
    let half = browser.cookies();
    for page in ["/", "/activites", "/mon-compte", MFA] {
        assert!(
            browser.get(page).await.location().starts_with("/connexion"),
            "{page} is shut to who is half signed in"
        );
    }
    browser.post("/mon-compte/adresse-de-contact", &[("adresse-de-contact", "a@b.fr")]).await.refusal(403);
    let form = browser.open(CODE).await;
    assert_eq!(form.heading(), "Code de vérification");
    browser.submit(&form, CODE, &[("code", "123 45")]).await.refusal(422).assert_says("Le code est incorrect");
    let now = code(&portal, &key, 0).await;
    let spaced = format!(" {} {} ", &now[..3], &now[3..]);
    assert_eq!(browser.submit(&form, CODE, &[("code", &spaced)]).await.location(), "/");
    assert_ne!(browser.cookies(), half, "the session has a new id");
    browser.open(&format!("/structures/{}", structure.id)).await;
    let other = give_password(portal.browser(), &manager).await;
    other.post(CODE, &[("code", &now)]).await.refusal(422);
    assert_eq!(other.post(CODE, &[("code", &code(&portal, &key, 1).await)]).await.location(), "/");
    let events = portal.events().await;
    assert_eq!(
        events,
        [
            "SIGNED_IN",
            "SECOND_FACTOR_ENABLED",
            "SIGN_IN_FAILED",
            "SIGN_IN_FAILED",
            "SIGNED_IN",
            "SIGN_IN_FAILED",
            "SIGNED_IN"
        ]
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_many_uses_of_one_code_at_once_one_gets_in() {
    let portal = TestPortal::start().await;
    let (manager, _) = portal.manager().await;
    let (key, codes) = enrol(&portal, &portal.signed_in(&manager).await).await;
    for code in [code(&portal, &key, 0).await, codes[0].clone()] {
        let mut browsers = Vec::new();
        for _ in 0..4 {
            browsers.push(give_password(portal.browser(), &manager).await);
        }
        let answers = together(4, |number| {
            let (browser, code) = (browsers[number].clone(), code.clone());
            async move { browser.post(CODE, &[("code", &code)]).await.status.as_u16() }
        })
        .await;
        assert_eq!(answers.iter().filter(|status| **status == 303).count(), 1, "{answers:?}");
    }
}

#[tokio::test]
async fn a_recovery_code_serves_once_and_new_ones_end_the_old() {
    let portal = TestPortal::start().await;
    let (manager, _) = portal.manager().await;
    let (_, codes) = enrol(&portal, &portal.signed_in(&manager).await).await;
    let browser = give_password(portal.browser(), &manager).await;
    assert_eq!(browser.post(CODE, &[("code", &codes[0].to_lowercase())]).await.location(), "/");
    give_password(portal.browser(), &manager).await.post(CODE, &[("code", &codes[0])]).await.refusal(422);
    let page = browser.open(MFA).await;
    page.assert_says("Il vous reste 9 codes de secours.");
    let renewed = browser.submit(&page, &format!("{MFA}/codes-de-secours"), &[]).await;
    assert_eq!(renewed.status, 200);
    give_password(portal.browser(), &manager).await.post(CODE, &[("code", &codes[1])]).await.refusal(422);
    assert_eq!(
        (portal.events_of("RECOVERY_CODE_USED").await, portal.events_of("RECOVERY_CODES_RENEWED").await),
        (1, 1)
    );
}

#[tokio::test]
async fn guessing_codes_is_slowed_from_wherever_it_comes() {
    let portal = TestPortal::start().await;
    let (manager, _) = portal.manager().await;
    let (key, _) = enrol(&portal, &portal.signed_in(&manager).await).await;
    for network in 1..=5 {
        let browser = give_password(portal.browser(), &manager).await.with_address(&format!("203.0.{network}.9"));
        browser.post(CODE, &[("code", "abc")]).await.refusal(422);
    }
    let slowed =
        give_password(portal.browser(), &manager).await.post(CODE, &[("code", &code(&portal, &key, 0).await)]).await;
    slowed.refusal(429).assert_says("Veuillez patienter");
    assert!(slowed.header("retry-after").is_some());
}

#[tokio::test]
async fn what_was_typed_too_late_waits_for_the_code_too() {
    let mut portal = TestPortal::start().await;
    let (manager, structure) = portal.manager().await;
    let browser = portal.signed_in(&manager).await;
    let (key, _) = enrol(&portal, &browser).await;
    let action = format!("/structures/{}/utilisateurs-techniques", structure.id);
    let form = browser.open(&format!("{action}/nouveau")).await;
    portal.move_clock("31 minutes").await;
    let asked = browser.submit(&form, &action, &[("libelle", "Paie")]).await.refusal(403);
    let typed = [("identifiant", manager.login.as_str()), ("mot-de-passe", PASSWORD)];
    let asked = browser.submit(&asked, "/connexion", &typed).await.page();
    assert_eq!(asked.heading(), "Code de vérification");
    let asked = browser.submit(&asked, CODE, &[("code", "abc")]).await.refusal(422);
    let resumed = browser.submit(&asked, CODE, &[("code", &code(&portal, &key, 0).await)]).await.page();
    assert_eq!(resumed.heading(), "Reprenez votre saisie");
    let summary = browser.submit(&resumed, &action, &[]).await.location();
    assert!(browser.open(&summary).await.password().is_some());
}

#[tokio::test]
async fn what_was_typed_survives_the_second_factor_that_must_be_set_up_first() {
    let portal = TestPortal::with(&[("RACCORD_REQUIRE_MFA", "managers")]).await;
    let (manager, structure) = portal.manager().await;
    let browser = portal.browser();
    let action = format!("/structures/{}/utilisateurs-techniques", structure.id);
    let typed = [("jeton", "un-jeton-de-forme-correcte"), ("libelle", "Paie")];
    let asked = browser.post(&action, &typed).await.refusal(403);
    let credentials = [("identifiant", manager.login.as_str()), ("mot-de-passe", PASSWORD)];
    let resumed = browser.submit(&asked, "/connexion", &credentials).await.page();
    assert_eq!(resumed.heading(), "Reprenez votre saisie");
    assert_eq!(resumed.fact("Libellé"), "Paie");
    resumed.assert_says("Les gestionnaires principaux doivent activer la double authentification");
    assert_eq!(resumed.link("activez la double authentification (nouvel onglet)"), MFA);
    // Sent before the second factor is set up, the form waits again.
    let again = browser.submit(&resumed, &action, &[]).await.page();
    assert_eq!((again.heading().as_str(), again.field("libelle").as_str()), ("Reprenez votre saisie", "Paie"));
    let secret = [("mot-de-passe-actuel", PASSWORD), ("nouveau-mot-de-passe", "trois moulins sur la colline")];
    assert_eq!(browser.post("/mon-compte/mot-de-passe", &secret).await.location(), MFA, "secrets are not carried");
    enrol(&portal, &browser).await;
    let summary = browser.submit(&again, &action, &[]).await.location();
    assert!(browser.open(&summary).await.password().is_some());
    assert_eq!(portal.labels().await, ["Paie"]);
}

#[tokio::test]
async fn a_half_opened_session_ends_after_ten_minutes() {
    let mut portal = TestPortal::start().await;
    let (manager, _) = portal.manager().await;
    let (key, _) = enrol(&portal, &portal.signed_in(&manager).await).await;
    let browser = give_password(portal.browser(), &manager).await;
    portal.move_clock("11 minutes").await;
    let late = browser.post(CODE, &[("code", &code(&portal, &key, 0).await)]).await;
    assert_eq!(late.location(), "/connexion?avis=session-expired");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_many_guesses_made_together_no_more_are_judged_than_one_after_the_other() {
    let portal = TestPortal::start().await;
    let (manager, _) = portal.manager().await;
    enrol(&portal, &portal.signed_in(&manager).await).await;
    let browser = give_password(portal.browser(), &manager).await;
    let answers = together(40, |_| {
        let browser = browser.clone();
        async move { browser.post(CODE, &[("code", "abc")]).await.status.as_u16() }
    })
    .await;
    assert_eq!(answers.iter().filter(|status| **status == 422).count(), 5, "{answers:?}");
    assert!(answers.iter().all(|status| [422, 429].contains(status)), "{answers:?}");
}

#[tokio::test]
async fn a_new_password_ends_what_waits_for_a_code_under_the_old_one() {
    let portal = TestPortal::start().await;
    let (manager, _) = portal.manager().await;
    let browser = portal.signed_in(&manager).await;
    let (key, _) = enrol(&portal, &browser).await;
    let (stolen, stranger) = (give_password(portal.browser(), &manager).await, portal.person("Sacha").await);
    let other = portal.signed_in(&stranger).await;
    let change = [("mot-de-passe-actuel", PASSWORD), ("nouveau-mot-de-passe", "trois moulins sur la colline")];
    browser.post("/mon-compte/mot-de-passe", &change).await.location();
    let late = stolen.post(CODE, &[("code", &code(&portal, &key, 0).await)]).await;
    assert_eq!(late.location(), "/connexion?avis=session-expired");
    other.open("/mon-compte").await;
}

#[tokio::test]
async fn a_password_that_is_replaced_while_it_is_verified_asks_for_no_code() {
    let portal = TestPortal::start().await;
    let (manager, _) = portal.manager().await;
    let (key, _) = enrol(&portal, &portal.signed_in(&manager).await).await;
    let browser = give_password(portal.browser(), &manager).await;
    // A change that was committed after the old password had been read, and before this session
    // began, has not ended it.
    portal.set_password_hash(&manager, Some("another")).await;
    let late = browser.post(CODE, &[("code", &code(&portal, &key, 0).await)]).await;
    assert_eq!(late.location(), "/connexion?avis=session-expired");
    assert_eq!(browser.get(CODE).await.location(), "/connexion?avis=session-expired");
    assert_eq!(portal.events_of("SIGNED_IN").await, 1);
}

#[tokio::test]
async fn a_second_factor_ends_the_sessions_that_began_without_it() {
    let portal = TestPortal::start().await;
    let (manager, _) = portal.manager().await;
    let (here, elsewhere) = (portal.signed_in(&manager).await, portal.signed_in(&manager).await);
    let (key, _) = enrol(&portal, &here).await;
    here.open("/mon-compte").await;
    assert!(elsewhere.get("/mon-compte").await.location().starts_with("/connexion"));
    let elsewhere = give_password(portal.browser(), &manager).await;
    elsewhere.post(CODE, &[("code", &code(&portal, &key, 0).await)]).await.location();
    here.submit(&here.open(MFA).await, &format!("{MFA}/desactivation"), &[]).await.location();
    here.open("/mon-compte").await;
    assert!(elsewhere.get("/mon-compte").await.location().starts_with("/connexion"));
}

#[tokio::test]
async fn a_password_chosen_by_a_link_still_wants_the_code() {
    let portal = TestPortal::start().await;
    let (manager, _) = portal.manager().await;
    let (key, _) = enrol(&portal, &portal.signed_in(&manager).await).await;
    let link = portal.invitation(&manager).await;
    let (browser, chosen) = (portal.browser(), "trois moulins sur la colline");
    let page = browser.open(&link).await;
    browser.submit(&page, &link, &[("nouveau-mot-de-passe", chosen)]).await.location();
    let fields = [("identifiant", manager.login.as_str()), ("mot-de-passe", chosen)];
    assert_eq!(browser.post("/connexion", &fields).await.location(), CODE);
    assert!(browser.get("/mon-compte").await.location().starts_with("/connexion"));
    assert_eq!(browser.post(CODE, &[("code", &code(&portal, &key, 0).await)]).await.location(), "/");
}

#[tokio::test]
async fn changing_the_second_factor_long_after_sign_in_wants_password_and_code() {
    let mut portal = TestPortal::start().await;
    let (manager, _) = portal.manager().await;
    let browser = portal.signed_in(&manager).await;
    let (key, _) = enrol(&portal, &browser).await;
    portal.move_clock("16 minutes").await;
    let end = format!("{MFA}/desactivation");
    let asked = browser.submit(&browser.open(MFA).await, &end, &[]).await.refusal(403);
    let now = code(&portal, &key, 0).await;
    let wrong = [("confirmation-mot-de-passe", PASSWORD), ("confirmation-code", "abc")];
    browser.submit(&asked, CONFIRM, &wrong).await.refusal(422).assert_says("Le code est incorrect");
    let typed = [("confirmation-mot-de-passe", PASSWORD), ("confirmation-code", now.as_str())];
    let confirmed = browser.submit(&asked, CONFIRM, &typed).await;
    let done = repeat(&browser, &confirmed, &asked, &typed).await.location();
    browser.open(&done).await.assert_says("La double authentification est désactivée.");
    portal.signed_in(&manager).await;
    assert_eq!(portal.count("recovery_codes").await, 0);
    let contact = &manager.contact_address;
    assert_eq!(portal.mails().await, vec![format!("{contact} second_factor_changed"); 2]);
}

#[tokio::test]
async fn every_act_on_a_second_factor_wants_a_fresh_authentication() {
    let mut portal = TestPortal::start().await;
    let (manager, sacha) = (portal.manager().await.0, portal.person("Sacha").await);
    let (with, without) = (portal.signed_in(&manager).await, portal.signed_in(&sacha).await);
    enrol(&portal, &with).await;
    // Begun in time, and not confirmed in time.
    without.submit(&without.open(MFA).await, MFA_SETUP, &[]).await.location();
    let key = without.open(MFA).await.by_id("code", "cle").expect("the key is shown");
    portal.move_clock("14 minutes").await;
    assert!(without.open(MFA).await.by_id("code", "cle").is_some());
    portal.renew_unconfirmed_factors().await;
    portal.move_clock("16 minutes").await;
    assert_eq!(without.open(MFA).await.by_id("code", "cle"), None, "its secret is not shown to another person");
    let now = code(&portal, &key, 0).await;
    for (browser, act, fields) in [
        (&without, MFA_SETUP, vec![]),
        (&without, MFA_CONFIRM, vec![("code", now.as_str())]),
        (&with, "/mon-compte/double-authentification/desactivation", vec![]),
        (&with, "/mon-compte/double-authentification/codes-de-secours", vec![]),
    ] {
        let asked = browser.post(act, &fields).await.refusal(403);
        assert_eq!(asked.heading(), "Confirmez votre identité", "{act}");
    }
    assert_eq!(portal.confirmed_second_factors().await, 1);
    assert_eq!(portal.events_of("RECOVERY_CODES_RENEWED").await, 0);
}

#[tokio::test]
async fn a_dump_of_the_database_gives_no_code() {
    let portal = TestPortal::start().await;
    let (manager, _) = portal.manager().await;
    let (key, codes) = enrol(&portal, &portal.signed_in(&manager).await).await;
    let dump = String::from_utf8_lossy(&crate::common::pg_dump(portal.database_url())).into_owned();
    let bytes = data_encoding::BASE32_NOPAD.decode(key.as_bytes()).expect("base32");
    for secret in [key, data_encoding::HEXLOWER.encode(&bytes), codes[0].clone(), codes[0].replace('-', "")] {
        assert!(!dump.contains(&secret));
    }
    assert!(dump.contains("second_factors"));
}

#[tokio::test]
async fn where_managers_must_have_a_second_factor_they_are_led_to_it_first() {
    let portal = TestPortal::with(&[("RACCORD_REQUIRE_MFA", "managers")]).await;
    let (manager, _) = portal.manager().await;
    let browser = portal.signed_in(&manager).await;
    for page in ["/", "/activites", "/mon-compte"] {
        assert_eq!(browser.get(page).await.location(), MFA, "{page}");
    }
    browser.open(MFA).await.assert_says("Les gestionnaires principaux doivent activer");
    enrol(&portal, &browser).await;
    browser.open("/activites").await;
    let sacha = portal.signed_in(&portal.person("Sacha").await).await;
    assert_eq!(sacha.get("/").await.location(), "/mon-compte", "others need none");
}

#[tokio::test]
async fn the_operator_takes_a_lost_second_factor_away() {
    use raccord::{
        db::identity::{
            provider_identities::EndedIdentities,
            second_factors::{self, ResetOutcome},
        },
        domain::audit::Actor,
    };
    let portal = TestPortal::start().await;
    let (manager, _) = portal.manager().await;
    let browser = portal.signed_in(&manager).await;
    let operator = Actor::operator();
    let reset = || second_factors::reset(&portal.pool, &operator, &manager.login);
    assert_eq!(reset().await.unwrap(), ResetOutcome::NoSecondFactor);
    enrol(&portal, &browser).await;
    assert_eq!(reset().await.unwrap(), ResetOutcome::Done(EndedIdentities::default()));
    assert!(browser.get("/mon-compte").await.location().starts_with("/connexion"), "open sessions end");
    portal.signed_in(&manager).await;
    assert_eq!(portal.events_of("SECOND_FACTOR_RESET").await, 1);
    assert_eq!(portal.mails().await.len(), 2);
}

#[tokio::test]
async fn a_sign_in_from_elsewhere_is_mailed_once() {
    let portal = TestPortal::start().await;
    let sacha = portal.person("Sacha").await;
    let sign_in = async |address: &str| {
        let fields = [("identifiant", sacha.login.as_str()), ("mot-de-passe", PASSWORD)];
        portal.browser().with_address(address).post("/connexion", &fields).await.location();
        portal.mails().await.len()
    };
    assert_eq!(sign_in("192.0.2.1").await, 0, "not for the first sign-in");
    assert_eq!(sign_in("192.0.2.200").await, 0, "the same network");
    assert_eq!(sign_in("203.0.113.5").await, 1);
    assert_eq!(sign_in("203.0.113.6").await, 1, "known by now");
    assert_eq!(portal.mails().await, [format!("{} new_sign_in", sacha.contact_address)]);
    assert_eq!(portal.outbox().await[0].notice["address"], "203.0.113.5");
}

#[tokio::test]
async fn a_session_is_prolonged_on_demand_but_not_beyond_twelve_hours() {
    let mut portal = TestPortal::start().await;
    let sacha = portal.person("Sacha").await;
    let browser = portal.signed_in(&sacha).await;
    for half_hours in 1..=24 {
        portal.move_clock(&format!("{} minutes", half_hours * 29)).await;
        assert_eq!(browser.post("/session/prolongation", &[]).await.status, 204, "{half_hours}");
    }
    let page = browser.open("/mon-compte").await;
    let left = page.html().split("data-session-left=\"").nth(1).and_then(|rest| rest.split('"').next()).unwrap();
    let left: i64 = left.parse().unwrap();
    assert!((1380..=1440).contains(&left), "{left} seconds");
    portal.move_clock("721 minutes").await;
    assert!(browser.post("/session/prolongation", &[]).await.location().starts_with("/connexion"));
}
