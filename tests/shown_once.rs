//! The password is shown once, really once.

use raccord::domain::password::is_well_formed;

use crate::common::{Call, Page, TestPortal, text_of_pdf, together};

const ALREADY: &str = "Le mot de passe a déjà été affiché.";

fn summary(id: i64) -> String {
    format!("/utilisateurs-techniques/{id}/recapitulatif")
}

#[tokio::test]
async fn the_first_page_shows_it_and_f5_does_not() {
    let portal = TestPortal::start().await;
    let (manager, structure) = portal.manager().await;
    let browser = portal.signed_in(&manager).await;
    let (id, page, password) = portal.create_and_show(&browser, structure.id, "ERP").await;
    assert!(is_well_formed(&password));
    assert!(page.text().contains("Attention"));
    assert!(portal.works(id, &password).await);
    let again = browser.open(&summary(id)).await;
    assert!(again.text().contains(ALREADY) && again.password().is_none());
    assert!(again.buttons().contains(&"Réinitialiser le mot de passe (utilisateur technique)".to_owned()));
    assert_eq!(portal.events_of("PASSWORD_SHOWN").await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn one_of_fifty_at_once_sees_it() {
    let portal = TestPortal::start().await;
    let (manager, structure) = portal.manager().await;
    let browser = portal.signed_in(&manager).await;
    let id = portal.create_account(&browser, structure.id, "ERP").await;
    let pages = together(50, |_| {
        let browser = browser.clone();
        async move { browser.open(&summary(id)).await }
    })
    .await;
    assert_eq!(pages.iter().filter(|page| page.password().is_some()).count(), 1);
    assert_eq!(pages.iter().filter(|page| page.text().contains(ALREADY)).count(), 49);
    assert_eq!(portal.events_of("PASSWORD_SHOWN").await, 1);
}

#[tokio::test]
async fn only_a_navigation_of_ours_opens_the_envelope() {
    let portal = TestPortal::start().await;
    let (manager, structure) = portal.manager().await;
    let browser = portal.signed_in(&manager).await;
    let id = portal.create_account(&browser, structure.id, "ERP").await;
    for call in [
        Call::get(&summary(id)).with("sec-fetch-site", "none"),
        Call::get(&summary(id)).with("sec-fetch-site", "cross-site"),
        Call::get(&summary(id)).with("sec-purpose", "prefetch"),
        Call::get(&summary(id)).with("sec-fetch-dest", "empty"),
        Call::get(&summary(id)).method(axum::http::Method::HEAD),
        Call::get(&summary(id)).without_fetch_metadata(),
    ] {
        let answer = browser.send(call).await;
        assert!(!String::from_utf8_lossy(&answer.body).contains("rcd_"));
    }
    let waiting = browser.type_url(&summary(id)).await.page();
    assert!(waiting.text().contains("Le mot de passe est prêt à être affiché."));
    assert_eq!(portal.events_of("PASSWORD_SHOWN").await, 0);
    assert!(browser.open(&waiting.link("Afficher le mot de passe")).await.password().is_some());
}

#[tokio::test]
async fn another_session_of_the_same_manager_cannot_open_it() {
    let portal = TestPortal::start().await;
    let (manager, structure) = portal.manager().await;
    let (browser, elsewhere) = (portal.signed_in(&manager).await, portal.signed_in(&manager).await);
    let id = portal.create_account(&browser, structure.id, "ERP").await;
    assert!(elsewhere.open(&summary(id)).await.password().is_none());
    assert!(browser.open(&summary(id)).await.password().is_some());
}

#[tokio::test]
async fn the_page_exports_the_pdf_until_its_envelope_ends() {
    let portal = TestPortal::start().await;
    let (manager, structure) = portal.manager().await;
    let browser = portal.signed_in(&manager).await;
    let id = portal.create_account(&browser, structure.id, "ERP").await;
    let export = format!("/utilisateurs-techniques/{id}/informations-de-connexion");
    for nonce in ["", "another"] {
        browser.post(&export, &[("nonce", nonce)]).await.refusal(409);
    }
    assert_eq!(portal.events_of("PASSWORD_EXPORTED").await, 0, "not before it was shown");
    let page = browser.open(&summary(id)).await;
    let password = page.password().expect("the password is shown");
    portal.signed_in(&manager).await.submit(&page, &export, &[]).await.refusal(409);
    for _ in 0..2 {
        let pdf = browser.submit(&page, &export, &[]).await;
        let name = format!("attachment; filename=\"raccord-TECH_1_{}@cpro.fr.pdf\"", structure.identifier);
        assert_eq!(pdf.header("content-disposition"), Some(name.as_str()));
        assert_eq!(pdf.header("cache-control"), Some("no-store"));
        assert!(pdf.body.starts_with(b"%PDF-1.7") && pdf.body.len() < 60_000);
        if let Some(text) = text_of_pdf(&pdf.body) {
            assert!(text.split_whitespace().any(|word| word == password), "{text}");
            assert!(text.contains(&manager.contact_address) && text.contains("ERP"));
        }
    }
    browser.post(&export, &[("nonce", "another")]).await.refusal(409);
    browser.post(&format!("{}/fermeture", summary(id)), &[]).await.location();
    browser.submit(&page, &export, &[]).await.refusal(409);
    assert_eq!(portal.count("envelopes").await, 0);
    assert_eq!(portal.events_of("PASSWORD_EXPORTED").await, 2);
}

#[tokio::test]
async fn sign_out_a_newer_reset_and_ten_minutes_end_the_envelope() {
    let mut portal = TestPortal::start().await;
    let (manager, structure) = portal.manager().await;
    let browser = portal.signed_in(&manager).await;
    portal.create_account(&browser, structure.id, "sign-out").await;
    browser.post("/deconnexion", &[]).await.location();
    assert_eq!(portal.count("envelopes").await, 0);

    let browser = portal.signed_in(&manager).await;
    let (id, shown, old) = portal.create_and_show(&browser, structure.id, "reset").await;
    let reset = format!("/utilisateurs-techniques/{id}/mot-de-passe");
    let form = browser.open(&reset).await;
    browser.submit(&form, &reset, &[]).await.location();
    let export = format!("/utilisateurs-techniques/{id}/informations-de-connexion");
    browser.submit(&shown, &export, &[]).await.refusal(409);
    assert!(!portal.works(id, &old).await);

    let late = portal.create_account(&browser, structure.id, "late").await;
    portal.move_clock("11 minutes").await;
    let page = browser.open(&summary(late)).await;
    assert!(page.password().is_none() && page.text().contains("Le mot de passe ne peut pas être affiché."));
}

#[tokio::test]
async fn the_page_says_what_was_done_and_what_comes_next() {
    let portal = TestPortal::start().await;
    let (manager, structure) = portal.manager().await;
    let browser = portal.signed_in(&manager).await;
    let (id, page, _) = portal.create_and_show(&browser, structure.id, "ERP").await;
    let (created, renewed) = ("« ERP » a été créé.", "Le mot de passe a été réinitialisé.");
    let exported = "Le document des informations de connexion a été exporté le";
    let says = |page: &Page, sentence: &str| page.text().replace('\u{202f}', " ").contains(sentence);
    assert!(
        says(&page, created)
            && says(&page, "Et maintenant ?")
            && says(&page, "« Dernier appel » le montre sur la page")
    );
    let again = browser.open(&summary(id)).await;
    assert!(!says(&again, created) && !says(&again, "Et maintenant") && !says(&again, exported));
    browser.submit(&page, &format!("/utilisateurs-techniques/{id}/informations-de-connexion"), &[]).await;
    assert!(says(&browser.open(&summary(id)).await, exported));

    let reset = format!("/utilisateurs-techniques/{id}/mot-de-passe");
    browser.submit(&browser.open(&reset).await, &reset, &[]).await.location();
    let page = browser.open(&summary(id)).await;
    assert!(says(&page, renewed) && says(&page, "« Dernier appel » le montre sur la page") && !says(&page, created));
    assert!(!says(&browser.open(&summary(id)).await, exported), "of the password before this one");
    browser.submit(&browser.open(&reset).await, &reset, &[("ancien", "24")]).await.location();
    let page = browser.open(&summary(id)).await;
    assert!(says(&page, renewed) && says(&page, "donnez le nouveau avant"));
    assert!(!says(&page, "« Dernier appel »"));
}

#[tokio::test]
async fn neither_the_dump_nor_the_mails_hold_it() {
    let portal = TestPortal::start().await;
    let (manager, structure) = portal.manager().await;
    let browser = portal.signed_in(&manager).await;
    let (id, page, password) = portal.create_and_show(&browser, structure.id, "ERP").await;
    let waiting = portal.create_account(&browser, structure.id, "en attente").await;
    browser.submit(&page, &format!("/utilisateurs-techniques/{id}/informations-de-connexion"), &[]).await;
    let dump = String::from_utf8_lossy(&crate::common::pg_dump(portal.database_url())).into_owned();
    assert!(dump.contains("TECH_1_"), "the dump is one");
    assert!(!dump.contains(&password) && !dump.contains("rcd_"));
    let hidden = browser.open(&summary(waiting)).await.password().expect("it still waited");
    assert!(!dump.contains(&hidden));
}
