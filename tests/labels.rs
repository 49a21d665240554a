//! « Libellé » of an account: unique in its structure, changed, emptied, refused, and never written
//! over a change that the page did not show.

use raccord::domain::{role::Role, technical_user::TechnicalUserStatus};

use crate::common::TestPortal;

const CHANGED: &str = "TECHNICAL_USER_LABEL_CHANGED";

#[tokio::test]
async fn a_label_can_be_changed_and_emptied_and_history_holds_both_names() {
    let portal = TestPortal::start().await;
    let (manager, structure) = portal.manager().await;
    let browser = portal.signed_in(&manager).await;
    let id = portal.create_account(&browser, structure.id, "ERP").await;
    let page = browser.open(&format!("/utilisateurs-techniques/{id}")).await;
    let action = format!("/utilisateurs-techniques/{id}/libelle");
    for _ in 0..2 {
        let told = browser.submit(&page, &action, &[("libelle", "  Logiciel de   paie ")]).await.location();
        let page = browser.open(&told).await;
        page.assert_says("Le libellé est enregistré.");
        assert_eq!((page.fact("Libellé").as_str(), page.heading().as_str()), ("Logiciel de paie", "Logiciel de paie"));
    }
    // Its own name in other letters is not taken.
    let page = browser.open(&format!("/utilisateurs-techniques/{id}")).await;
    browser.submit(&page, &action, &[("libelle", "logiciel de PAIE")]).await.location();
    let page = browser.open(&format!("/utilisateurs-techniques/{id}")).await;
    let told = browser.submit(&page, &action, &[("libelle", " ")]).await.location();
    assert_eq!(browser.open(&told).await.fact("Libellé"), "Aucun");
    let page = browser.open(&told).await;
    browser.submit(&page, &action, &[("libelle", "Comptabilité")]).await.location();
    let details: Vec<_> =
        portal.details_of(CHANGED).await.iter().map(|detail| detail.replace('\u{202f}', " ")).collect();
    assert_eq!(
        details,
        [
            "« ERP » remplacé par « Logiciel de paie »",
            "« Logiciel de paie » remplacé par « logiciel de PAIE »",
            "« logiciel de PAIE » retiré",
            "« Comptabilité » ajouté"
        ]
    );
    let history = browser.open(&format!("/structures/{}/historique", structure.id)).await;
    history.assert_says("Modification du libellé");
    let rows = browser.open(&format!("/structures/{}", structure.id)).await.rows();
    assert!(rows.iter().any(|row| row[0] == "Comptabilité"), "{rows:?}");
}

#[tokio::test]
async fn a_label_that_cannot_be_kept_is_shown_again_with_the_reason() {
    let portal = TestPortal::start().await;
    let (manager, structure) = portal.manager().await;
    let browser = portal.signed_in(&manager).await;
    portal.create_account(&browser, structure.id, "Régie").await;
    let id = portal.create_account(&browser, structure.id, "ERP").await;
    let page = browser.open(&format!("/utilisateurs-techniques/{id}")).await;
    let action = format!("/utilisateurs-techniques/{id}/libelle");
    let long = "x".repeat(101);
    for (typed, why) in [("REGIE", "porte déjà ce libellé"), (long.as_str(), "ne peut pas dépasser 100 caractères")]
    {
        let refused = browser.submit(&page, &action, &[("libelle", typed)]).await.refusal(422);
        refused.assert_says(why);
        assert!(refused.title().starts_with("Erreur – "));
        assert!(refused.html().contains("href=\"#libelle\""), "the summary leads to the field");
        assert_eq!(refused.field("libelle"), typed);
        assert_eq!(refused.fact("Libellé"), "ERP", "what is stored is unchanged");
    }
    assert!(portal.details_of(CHANGED).await.is_empty());
}

#[tokio::test]
async fn a_label_that_looks_like_another_of_the_structure_is_taken() {
    let portal = TestPortal::start().await;
    let (manager, structure) = portal.manager().await;
    let browser = portal.signed_in(&manager).await;
    portal.create_account(&browser, structure.id, "Logiciel 1").await;
    let id = portal.create_account(&browser, structure.id, "ERP").await;
    let action = format!("/utilisateurs-techniques/{id}/libelle");
    let form = format!("/structures/{}/utilisateurs-techniques", structure.id);
    for typed in ["Log\u{131}ciel 1", "Logiciel l", "log\u{131}ciel\u{a0}1", "Logici\u{307}el 1", "LOGICIEL 1"] {
        let page = browser.open(&format!("/utilisateurs-techniques/{id}")).await;
        browser.submit(&page, &action, &[("libelle", typed)]).await.refusal(422).assert_says("porte déjà ce libellé");
        let page = browser.open(&format!("{form}/nouveau")).await;
        browser.submit(&page, &form, &[("libelle", typed)]).await.refusal(422).assert_says("porte déjà ce libellé");
    }
    portal.create_account(&browser, structure.id, "Logiciel 2").await;
}

#[tokio::test]
async fn a_change_by_another_person_is_not_overwritten_unseen() {
    let portal = TestPortal::start().await;
    let (manager, structure) = portal.manager().await;
    let browser = portal.signed_in(&manager).await;
    let id = portal.create_account(&browser, structure.id, "ERP").await;
    let (here, action) = (format!("/utilisateurs-techniques/{id}"), format!("/utilisateurs-techniques/{id}/libelle"));
    let idle = browser.open(&here).await;
    browser.submit(&idle, &action, &[("libelle", "Paie")]).await.location();
    let refused = browser.submit(&idle, &action, &[("libelle", "Facturation")]).await.refusal(422);
    refused.assert_says("Le libellé a changé depuis l’affichage de la page");
    assert_eq!((refused.field("libelle").as_str(), refused.fact("Libellé").as_str()), ("Facturation", "Paie"));
    browser.submit(&refused, &action, &[]).await.location();
    assert_eq!(browser.open(&here).await.fact("Libellé"), "Facturation");
    // A former manager changes nothing, and a deleted account is gone.
    let page = browser.open(&here).await;
    let noor = portal.person("Noor").await;
    portal.attach(&noor, &structure, Role::PrincipalManager).await;
    browser.submit(&page, &action, &[("libelle", "Trop tard")]).await.refusal(404);
    assert_eq!(portal.events_of("ACT_REFUSED").await, 1);
    portal.set_status(id, TechnicalUserStatus::Deleted).await;
    portal.signed_in(&noor).await.post(&action, &[("libelle", "Trop tard")]).await.refusal(404);
    assert_eq!(portal.details_of(CHANGED).await.len(), 2);
}

#[tokio::test]
async fn a_label_is_unique_in_its_structure_blind_to_case_and_accents() {
    let portal = TestPortal::start().await;
    let (manager, structures) = portal.manager_with_structures("Camille", 2).await;
    let browser = portal.signed_in(&manager).await;
    let id = portal.create_account(&browser, structures[0].id, "Régie").await;
    let form = format!("/structures/{}/utilisateurs-techniques", structures[0].id);
    let page = browser.open(&format!("{form}/nouveau")).await;
    let refused = browser.submit(&page, &form, &[("libelle", "REGIE")]).await.refusal(422);
    refused.assert_says("porte déjà ce libellé");
    assert_eq!(refused.field("libelle"), "REGIE");
    portal.create_account(&browser, structures[1].id, "Régie").await;
    browser.post(&format!("/utilisateurs-techniques/{id}/suppression"), &[]).await.location();
    portal.create_account(&browser, structures[0].id, "regie").await;
}
