//! « Créer un utilisateur technique »: the login, the label, how many, and once only.

use crate::common::TestPortal;

/// The identifier of a structure outside the Union holds letters of its name; a login is ASCII.
#[tokio::test]
async fn a_login_is_ascii_and_no_two_structures_have_the_same() {
    let portal = TestPortal::start().await;
    let (manager, structures) = portal.manager_with_structures("Camille", 3).await;
    portal
        .execute(
            "UPDATE structures SET identifier_type = 'HORS_UE', identifier = 'CHSOCIÉTÉ ROMANDE' WHERE id = (SELECT min(id) FROM structures);
             UPDATE structures SET identifier_type = 'AUTRE', identifier = 'CHSOCIETEROMANDE' WHERE id = (SELECT max(id) FROM structures);",
        )
        .await;
    let browser = portal.signed_in(&manager).await;
    let first = portal.create_account(&browser, structures[0].id, "Un").await;
    let last = portal.create_account(&browser, structures[2].id, "Deux").await;
    assert_eq!(portal.login_of(first).await, "TECH_1_CHSOCIETEROMANDE@cpro.fr");
    assert_eq!(portal.login_of(last).await, "TECH_2_CHSOCIETEROMANDE@cpro.fr");
    browser.open(&format!("/structures/{}", structures[0].id)).await.assert_says("CHSOCIÉTÉ ROMANDE");
}

#[tokio::test]
async fn accounts_that_are_created_at_once_in_structures_of_one_name_all_have_a_login() {
    let portal = TestPortal::start().await;
    let (manager, structures) = portal.manager_with_structures("Camille", 8).await;
    portal
        .execute("UPDATE structures SET identifier_type = 'HORS_UE', identifier = 'CH' || repeat('東', id::integer)")
        .await;
    let browser = portal.signed_in(&manager).await;
    let creations = structures.iter().map(|structure| portal.create_account(&browser, structure.id, "Paie"));
    let accounts = futures_util::future::join_all(creations).await;
    let mut logins = Vec::new();
    for account in accounts {
        logins.push(portal.login_of(account).await);
    }
    logins.sort();
    logins.dedup();
    assert_eq!(logins.len(), 8, "{logins:?}");
}

#[tokio::test]
async fn the_whole_way_from_the_list_to_the_new_account() {
    let portal = TestPortal::start().await;
    let (manager, structure) = portal.manager().await;
    let browser = portal.signed_in(&manager).await;
    let list = browser.open("/activites").await;
    let fiche = browser.open(&list.link(&format!("Modifier la fiche structure {}", structure.designation))).await;
    let form = browser.open(&fiche.link("Créer un utilisateur technique")).await;
    let login = format!("TECH_1_{}@cpro.fr", structure.identifier);
    assert_eq!(form.heading(), "Saisie utilisateur technique");
    assert_eq!(form.fact("Structure"), structure.designation);
    assert_eq!(form.fact("Identifiant"), format!("SIRET {}", structure.identifier));
    assert_eq!(form.fact("Identifiant de connexion"), login);
    assert!(form.fact("Adresse de contact").starts_with(&manager.contact_address));
    assert_eq!(form.link("Annuler"), format!("/structures/{}", structure.id));
    let action = format!("/structures/{}/utilisateurs-techniques", structure.id);
    let posted = browser.submit(&form, &action, &[("libelle", "  Logiciel de   facturation ")]).await;
    let summary = browser.open(&posted.location()).await;
    assert_eq!(summary.heading(), "Récapitulatif");
    assert_eq!(summary.fact("Identifiant de connexion"), login);
    assert_eq!(summary.fact("Libellé"), "Logiciel de facturation");
    assert_eq!(summary.fact("Adresse de contact"), manager.contact_address);
    assert_eq!(summary.fact("Désignation"), structure.designation);
    assert_eq!(summary.fact("Adresse"), "1 place de la Mairie 35000 RENNES FRANCE");
    assert_eq!(summary.fact("Échéance du mot de passe"), form.fact("Échéance du mot de passe"));
    assert!(summary.password().is_some());
    let close = summary.html().split("action=\"").find(|rest| rest.contains("/recapitulatif/fermeture")).unwrap();
    let close = close.split('"').next().unwrap();
    // Back at the row of the new account.
    let account = portal.account_ids().await[0];
    let arrival = format!("/structures/{}#compte-{account}", structure.id);
    assert_eq!(browser.submit(&summary, close, &[]).await.location(), arrival);
    let fiche = browser.open(&format!("/structures/{}", structure.id)).await;
    let row = fiche.rows().into_iter().find(|row| row.get(1) == Some(&login)).expect("the account is on the page");
    assert!(fiche.html().contains(&format!("<tr id=\"compte-{account}\">")), "{}", fiche.html());
    assert_eq!(row[0], "Logiciel de facturation");
    assert_eq!(row[2..5], ["Utilisateur technique".to_owned(), manager.contact_address, "Actif".into()]);
    assert_eq!(row[6], "Jamais");
    assert!(fiche.find_link("Logiciel de facturation").is_some());
}

#[tokio::test]
async fn the_form_says_how_many_structures_the_account_will_open() {
    let portal = TestPortal::start().await;
    let (manager, structures) = portal.manager_with_structures("Camille", 3).await;
    let (single, one) = portal.manager_with_structures("Alix", 1).await;
    portal.attach(&manager, &one[0], raccord::domain::role::Role::User).await;
    let form = |structure: i64| format!("/structures/{structure}/utilisateurs-techniques/nouveau");
    let browser = portal.signed_in(&manager).await;
    let page = browser.open(&form(structures[0].id)).await;
    page.assert_says("Ce compte donnera accès aux 4 structures dont vous êtes membre");
    page.assert_says("vous pourrez le limiter à celles que vous choisirez");
    let alone = portal.signed_in(&single).await.open(&form(one[0].id)).await;
    alone.assert_says("Ce compte donnera accès à la seule structure dont vous êtes membre.");
    // The récapitulatif leads to the restrictions.
    let (id, summary, _) = portal.create_and_show(&browser, structures[0].id, "ERP").await;
    let restrictions = format!("/utilisateurs-techniques/{id}/restrictions");
    assert_eq!(summary.link("limitez-le à celles que vous choisissez"), restrictions);
}
