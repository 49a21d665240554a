//! A reset that keeps the old password for a while, as the manager sees it.

use raccord::web::paths;

use crate::common::{Page, TestPortal};

const KEEP: [&str; 3] = ["0", "24", "72"];

fn path(id: i64, act: &str) -> String {
    format!("/utilisateurs-techniques/{id}{act}")
}

/// What the radio buttons of a reset offer.
fn choices(page: &Page) -> Vec<&'static str> {
    KEEP.into_iter().filter(|hours| page.html().contains(&format!("name=\"ancien\" value=\"{hours}\""))).collect()
}

#[tokio::test]
async fn the_default_ends_the_old_password_and_the_choices_keep_it() {
    let portal = TestPortal::start().await;
    let (manager, structure) = portal.manager().await;
    let browser = portal.signed_in(&manager).await;
    let (id, _, _) = portal.create_and_show(&browser, structure.id, "ERP").await;
    let reset = path(id, "/mot-de-passe");
    for page in [browser.open(&path(id, "")).await, browser.open(&reset).await] {
        assert_eq!(choices(&page), KEEP);
        assert!(page.form(&reset).contains(&("ancien".into(), "0".into())), "the default");
    }
    browser.submit(&browser.open(&reset).await, &reset, &[]).await.location();
    assert_eq!(portal.count("former_passwords").await, 0);
    browser.submit(&browser.open(&reset).await, &reset, &[("ancien", "24")]).await.location();
    browser.open(&path(id, "/recapitulatif")).await.assert_says("L’ancien mot de passe fonctionne encore jusqu’au");
    let page = browser.open(&path(id, "")).await;
    let fact = page.fact("Ancien mot de passe");
    assert!(fact.starts_with("Fonctionne encore jusqu’au") && fact.contains("Il n’a pas servi depuis"), "{fact}");
    portal.set_former_password_use(true).await;
    let fact = browser.open(&path(id, "")).await.fact("Ancien mot de passe");
    assert!(fact.contains("Encore utilisé\u{a0}: dernier appel avec lui le"), "{fact}");
    browser.submit(&page, &reset, &[("ancien", "48")]).await.refusal(422);
    assert_eq!(portal.details_of("PASSWORD_RESET").await, ["", "Ancien mot de passe gardé 24\u{a0}heures au plus"]);
    let mails = portal.mails_of("password_reset").await;
    assert_eq!(mails.iter().map(|mail| mail.notice["former_until"].is_null()).collect::<Vec<_>>(), [true, false]);
}

#[tokio::test]
async fn where_programs_have_called_within_a_day_a_reset_preselects_nothing_and_asks_for_the_choice() {
    let portal = TestPortal::start().await;
    let (manager, structure) = portal.manager().await;
    let browser = portal.signed_in(&manager).await;
    let (id, _, password) = portal.create_and_show(&browser, structure.id, "ERP").await;
    let reset = path(id, "/mot-de-passe");
    let preselects = |page: &Page| page.form(&reset).iter().any(|(name, _)| name == "ancien");
    portal.set_last_call(id, "-25 hours").await;
    assert!(preselects(&browser.open(&reset).await));
    portal.set_last_call(id, "-23 hours").await;
    for page in [browser.open(&path(id, "")).await, browser.open(&reset).await] {
        assert_eq!(choices(&page), KEEP);
        assert!(!preselects(&page));
        page.assert_says("Ce compte a appelé l’API il y a moins de 24\u{a0}heures.");
    }
    // Without a choice nothing changes, and the form is there again as it was.
    let page = browser.open(&reset).await;
    let again = browser.submit(&page, &reset, &[]).await.refusal(422);
    again.assert_says("Le formulaire comporte 1 erreur");
    again.assert_says("Choisissez ce que devient l’ancien mot de passe");
    assert_eq!(again.form(&reset), page.form(&reset));
    assert!(again.title().starts_with("Erreur – ") && again.html().contains("href=\"#ancien\""));
    assert!(portal.works(id, &password).await);
    assert_eq!(portal.events_of("PASSWORD_RESET").await, 0);
    browser.submit(&again, &reset, &[("ancien", "24")]).await.location();
    assert_eq!(portal.count("former_passwords").await, 1);
    // What cannot be kept needs no choice.
    portal.set_last_call(id, "-1 hour").await;
    portal.expire_in(id, "-1 minute").await;
    browser.submit(&browser.open(&reset).await, &reset, &[]).await.location();
}

#[tokio::test]
async fn every_dialog_names_the_label_the_structure_and_the_login() {
    let portal = TestPortal::start().await;
    let (manager, structure) = portal.manager().await;
    let browser = portal.signed_in(&manager).await;
    let (id, _, _) = portal.create_and_show(&browser, structure.id, "Plateforme agréée").await;
    let login = format!("TECH_1_{}@cpro.fr", structure.identifier);
    let name = format!("l’utilisateur technique Plateforme agréée de la structure {} ({login})", structure.designation);
    for act in ["/mot-de-passe", "/suspension", "/suppression"] {
        browser.open(&path(id, act)).await.assert_says(&name);
    }
    let page = browser.open(&path(id, "")).await;
    assert_eq!(page.text().matches(&name).count(), 3, "the dialogs");
    browser
        .submit(&browser.open(&path(id, "/mot-de-passe")).await, &path(id, "/mot-de-passe"), &[("ancien", "24")])
        .await;
    browser.open(&path(id, "/ancien-mot-de-passe")).await.assert_says(&name);
    browser.post(&path(id, "/suspension"), &[]).await.location();
    browser.open(&path(id, "/reactivation")).await.assert_says(&name);
}

#[tokio::test]
async fn the_old_password_can_be_ended_at_once_and_its_end_comes_by_itself() {
    let mut portal = TestPortal::start().await;
    let (manager, structure) = portal.manager().await;
    let browser = portal.signed_in(&manager).await;
    let (id, _, _) = portal.create_and_show(&browser, structure.id, "ERP").await;
    let (reset, ending) = (path(id, "/mot-de-passe"), path(id, "/ancien-mot-de-passe"));
    assert_eq!(browser.get(&ending).await.location(), path(id, ""), "nothing to end yet");
    browser.submit(&browser.open(&reset).await, &reset, &[("ancien", "72")]).await.location();
    browser.open(&reset).await.assert_says("Quel que soit votre choix, le mot de passe précédent, accepté jusqu’au");
    let confirmation = browser.open(&ending).await;
    confirmation.assert_says("Les logiciels qui l’utilisent encore ne pourront plus se connecter.");
    for _ in 0..2 {
        let told = browser.submit(&confirmation, &ending, &[]).await.location();
        browser.open(&told).await.assert_says("L’ancien mot de passe est supprimé");
    }
    assert_eq!(portal.events_of("FORMER_PASSWORD_ENDED").await, 1);
    assert!(!browser.open(&path(id, "")).await.has_form(&ending));
    browser.submit(&browser.open(&reset).await, &reset, &[("ancien", "24")]).await.location();
    portal.move_clock("24 hours 1 minute").await;
    let browser = portal.signed_in(&manager).await;
    assert!(!browser.open(&path(id, "")).await.has_form(&ending));
    raccord::db::upkeep::sweep(&portal.pool).await.unwrap();
    assert_eq!(portal.count("former_passwords").await, 0);
}

#[tokio::test]
async fn a_password_that_has_expired_or_is_suspended_cannot_be_kept() {
    let portal = TestPortal::start().await;
    let (manager, structure) = portal.manager().await;
    let browser = portal.signed_in(&manager).await;
    let (id, _, _) = portal.create_and_show(&browser, structure.id, "ERP").await;
    browser.post(&path(id, "/suspension"), &[]).await.location();
    assert!(choices(&browser.open(&path(id, "/mot-de-passe")).await).is_empty());
    browser.post(&path(id, "/reactivation"), &[]).await.location();
    let reset = path(id, "/mot-de-passe");
    browser.submit(&browser.open(&reset).await, &reset, &[("ancien", "24")]).await.location();
    browser.post(&path(id, "/suspension"), &[]).await.location();
    browser.post(&path(id, "/reactivation"), &[]).await.location();
    let details = portal.details_of("TECHNICAL_USER_SUSPENDED").await;
    assert_eq!(details, ["", "Ancien mot de passe supprimé"], "what else a suspension ended");
    assert_eq!(choices(&browser.open(&path(id, "/mot-de-passe")).await), KEEP);
    portal.expire_in(id, "-1 minute").await;
    assert!(choices(&browser.open(&path(id, "/mot-de-passe")).await).is_empty());
}

#[tokio::test]
async fn a_former_manager_with_the_kept_password_is_still_flagged() {
    let portal = TestPortal::start().await;
    let (camille, structure) = portal.manager().await;
    let (id, _, _) = portal.create_and_show(&portal.signed_in(&camille).await, structure.id, "ERP").await;
    let noor = portal.person("Noor").await;
    portal.attach(&noor, &structure, raccord::domain::role::Role::PrincipalManager).await;
    let (browser, reset) = (portal.signed_in(&noor).await, path(id, "/mot-de-passe"));
    browser.submit(&browser.open(&reset).await, &reset, &[("ancien", "24")]).await.location();
    let known = format!("{}?etat=connu", paths::OVERVIEW);
    let pages = [path(id, ""), format!("/structures/{}", structure.id), known.clone()];
    for page in &pages {
        browser.open(page).await.assert_says("Connu d’un ancien gestionnaire");
    }
    assert_eq!(browser.open(&known).await.rows().len(), 1);
    browser.post(&path(id, "/ancien-mot-de-passe"), &[]).await.location();
    assert!(!browser.open(&path(id, "")).await.text().contains("Connu d’un ancien gestionnaire"));
    assert!(browser.open(&known).await.rows().is_empty());
}
