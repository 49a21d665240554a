//! « Informations générales » of a structure: what the form refuses and asks to confirm.

use raccord::domain::technical_user::TechnicalUserStatus;

use crate::common::TestPortal;

#[tokio::test]
async fn a_postal_code_that_is_none_is_said_beside_its_field_with_the_ways_out() {
    let portal = TestPortal::start().await;
    let (manager, structure) = portal.manager().await;
    let browser = portal.signed_in(&manager).await;
    let url = format!("/structures/{}", structure.id);
    let card = format!("{url}/informations-generales");
    let fiche = browser.open(&card).await;
    let refused = browser.submit(&fiche, &url, &[("code-postal", "9"), ("telephone", "01 23")]).await.refusal(422);
    refused.assert_says("Le code postal d’une adresse en France compte 5\u{a0}chiffres");
    assert!(refused.html().contains("href=\"#code-postal\""), "the summary leads to the field");
    assert_eq!((refused.field("code-postal").as_str(), refused.field("telephone").as_str()), ("9", "01 23"));
    // A wrong postal code from the directory can be left in three ways.
    portal.set_postal_code(structure.id, "9").await;
    let fiche = browser.open(&card).await;
    browser.submit(&fiche, &url, &[("telephone", "01 23")]).await.refusal(422).assert_says("laissez-le vide");
    for way in [
        [("code-postal", "35 000"), ("pays", "France")],
        [("code-postal", ""), ("pays", "")],
        [("code-postal", "9"), ("pays", "Islande")],
    ] {
        browser.submit(&fiche, &url, &way).await.location();
    }
    assert_eq!(portal.structure_row(structure.id).await.postal_code, "9");
}

#[tokio::test]
async fn what_an_inactive_structure_stops_is_said_and_confirmed_first() {
    let portal = TestPortal::start().await;
    let (manager, structure) = portal.manager().await;
    let browser = portal.signed_in(&manager).await;
    let url = format!("/structures/{}", structure.id);
    let card = format!("{url}/informations-generales");
    let mut accounts = Vec::new();
    for _ in 0..3 {
        accounts.push(portal.technical_user(&structure, &manager).await);
    }
    // Neither a suspended account nor an expired one has anything to lose.
    portal.set_status(accounts[2], TechnicalUserStatus::Suspended).await;
    let is_active = async || portal.structure_row(structure.id).await.active;
    let typed = [("designation", "Mairie de Rennes"), ("ville", "Rennes"), ("statut", "INACTIVE")];
    let question = browser.submit(&browser.open(&card).await, &url, &typed).await;
    assert_eq!(question.status, 200);
    let question = question.page();
    assert_eq!(question.heading(), "Rendre la structure inactive");
    question.assert_says("Les logiciels qui utilisent ses 2 utilisateurs techniques ne pourront plus se connecter.");
    assert!(is_active().await, "nothing is done yet");
    // Back to the form, with all that was typed; nothing is saved.
    let form = browser.submit(&question, &url, &[("confirmation", "non")]).await;
    assert_eq!(form.status, 200);
    let form = form.page();
    assert_eq!(form.heading(), "Modifier les informations générales");
    let fields = form.form(&url);
    for (name, value) in typed {
        assert!(fields.contains(&(name.to_owned(), value.to_owned())), "{name}: {fields:?}");
    }
    assert!(is_active().await);
    let question = browser.submit(&form, &url, &[]).await.page();
    let told = browser.submit(&question, &url, &[("confirmation", "oui")]).await.location();
    browser.open(&told).await.assert_says("La structure, qui était active, est maintenant inactive");
    let saved = portal.structure_row(structure.id).await;
    assert_eq!((saved.active, saved.designation.as_str(), saved.city.as_str()), (false, "Mairie de Rennes", "Rennes"));
    // Inactive already, and back again: no question.
    browser.submit(&browser.open(&card).await, &url, &[("telephone", "01")]).await.location();
    let told = browser.submit(&browser.open(&card).await, &url, &[("statut", "ACTIVE")]).await.location();
    browser.open(&told).await.assert_says("La structure, qui était inactive, est maintenant active");
    // The history says what the status was and is.
    let details = portal.details_of("STRUCTURE_EDITED").await;
    assert_eq!(details[0], "désignation, adresse postale, statut\u{a0}: active → inactive");
    assert_eq!(details[2], "statut\u{a0}: inactive → active");
    // Nothing that works: no question either. One: its own words.
    portal.expire_in(accounts[0], "-1 day").await;
    let question = browser.submit(&browser.open(&card).await, &url, &[("statut", "INACTIVE")]).await.page();
    question.assert_says("Le logiciel qui utilise son utilisateur technique ne pourra plus se connecter.");
    portal.set_status(accounts[1], TechnicalUserStatus::Suspended).await;
    browser.submit(&browser.open(&card).await, &url, &[("statut", "INACTIVE")]).await.location();
    assert!(!is_active().await);
}

#[tokio::test]
async fn what_is_wrong_in_the_form_is_said_before_anything_is_to_be_confirmed() {
    let portal = TestPortal::start().await;
    let (manager, structure) = portal.manager().await;
    let browser = portal.signed_in(&manager).await;
    portal.technical_user(&structure, &manager).await;
    let url = format!("/structures/{}", structure.id);
    let card = format!("{url}/informations-generales");
    let typed = [("designation", ""), ("statut", "INACTIVE")];
    browser.submit(&browser.open(&card).await, &url, &typed).await.refusal(422).assert_says("Saisissez la désignation");
}

#[tokio::test]
async fn a_status_that_is_none_changes_none() {
    let portal = TestPortal::start().await;
    let (manager, structure) = portal.manager().await;
    let browser = portal.signed_in(&manager).await;
    let url = format!("/structures/{}", structure.id);
    let card = format!("{url}/informations-generales");
    for wanted in [true, false] {
        for word in ["", "active", "2", "SUSPENDUE", "INACTIVE "] {
            browser.submit(&browser.open(&card).await, &url, &[("statut", word)]).await.refusal(422);
            assert_eq!(portal.structure_row(structure.id).await.active, wanted, "{word}");
        }
        browser.submit(&browser.open(&card).await, &url, &[("statut", "INACTIVE")]).await.location();
    }
    assert_eq!(portal.events_of("STRUCTURE_EDITED").await, 1);
}
