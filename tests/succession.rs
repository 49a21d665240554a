//! The principal manager of a structure: succession, contact address, and what follows for the
//! technical users.

use raccord::domain::role::Role;

use crate::common::{Browser, PASSWORD, Page, TestPortal, accept_offer};

#[tokio::test]
async fn the_database_holds_a_structure_to_one_principal_manager() {
    let portal = TestPortal::start().await;
    let (_, structure) = portal.manager().await;
    let other = portal.person("Dominique").await;
    portal.attach(&other, &structure, Role::User).await;
    for statement in [
        "UPDATE memberships SET role = 'PRINCIPAL_MANAGER' WHERE role = 'USER'",
        "UPDATE memberships SET role = 'USER' WHERE role = 'PRINCIPAL_MANAGER'",
        "DELETE FROM memberships WHERE role = 'PRINCIPAL_MANAGER'",
        "UPDATE structures SET principal_manager_id = NULL",
        "UPDATE structures SET principal_manager_id = (SELECT max(id) FROM users)",
    ] {
        assert!(sqlx::query(statement).execute(&portal.pool).await.is_err(), "{statement}");
    }
}

#[tokio::test]
async fn address_and_rights_follow_the_new_manager() {
    let portal = TestPortal::start().await;
    let (manager, structures) = portal.manager_with_structures("Camille", 2).await;
    let successor = portal.person("Dominique").await;
    portal.attach(&successor, &structures[0], Role::SecondaryManager).await;
    let browser = portal.signed_in(&manager).await;
    let id = portal.create_account(&browser, structures[0].id, "ERP").await;
    let action = format!("/structures/{}/gestionnaire-principal", structures[0].id);
    browser.post(&action, &[("membre", "0")]).await.refusal(422);
    browser.post(&action, &[("membre", &successor.id.to_string())]).await.location();
    let heir = portal.signed_in(&successor).await;
    let told = accept_offer(&heir, &structures[0]).await.location();
    heir.open(&told).await.assert_says("Vous êtes gestionnaire principal de cette structure.");
    browser.get(&format!("/structures/{}", structures[0].id)).await.refusal(404);
    browser.post(&format!("/utilisateurs-techniques/{id}/suspension"), &[]).await.refusal(404);

    let page = heir.open(&format!("/utilisateurs-techniques/{id}")).await;
    assert!(page.fact("Adresse de contact").starts_with(&successor.contact_address));
    assert!(heir.open(&format!("/structures/{}", structures[0].id)).await.text().contains("Opération refusée"));
    let mails = portal.mails().await;
    assert!(mails.contains(&format!("{} manager_changed", successor.contact_address)));
    assert!(mails.contains(&format!("{} manager_changed", manager.contact_address)));
}

/// A stolen session could otherwise invite an address of the thief's own, and give it the structure
/// before its owner proves anything.
#[tokio::test]
async fn a_principal_manager_must_have_signed_in_once() {
    let portal = TestPortal::start().await;
    let (manager, structure) = portal.manager().await;
    let browser = portal.signed_in(&manager).await;
    let (url, invited) = (format!("/structures/{}", structure.id), "Invité, ne s’est pas encore connecté");
    let action = format!("{url}/gestionnaire-principal");
    let form = [("adresse", "lou@exemple.fr"), ("prenom", "Lou"), ("nom", "Petit"), ("role", "UTILISATEUR")];
    browser.post(&format!("{url}/membres/invitation"), &form).await.location();
    browser.open(&url).await.assert_says("ne se sont pas encore connectées depuis leur invitation");
    let lou = portal.person_with_login("lou@exemple.fr").await;
    let membre = [("membre", &*lou.id.to_string())];
    let refused = async |says: &str| {
        let page = browser.post(&action, &membre).await.refusal(422);
        page.assert_says("Une personne invitée peut être désignée dès qu’elle s’est connectée");
        page.assert_says(says);
        assert!(!page.html().contains(&format!("value=\"{}\"", lou.id)), "{}", page.html());
        browser.get(&url).await.page();
    };
    refused(invited).await;
    // A password is chosen with the link alone.
    let link = portal.invitation(&lou).await;
    portal.browser().post(&link, &[("nouveau-mot-de-passe", PASSWORD)]).await.location();
    refused(invited).await;
    let heir = portal.signed_in(&lou).await;
    assert!(!browser.open(&action).await.text().contains(invited));
    browser.post(&action, &membre).await.location();
    accept_offer(&heir, &structure).await.location();
    assert_eq!(portal.principal_managers().await, ["lou@exemple.fr"]);
}

/// A manager could otherwise attach any person by their login, and lend the structure's technical
/// users that person's rights without their knowledge.
#[tokio::test]
async fn a_known_person_is_offered_a_structure_only_once_they_have_signed_in_since_they_were_attached() {
    let portal = TestPortal::start().await;
    let (manager, structure) = portal.manager().await;
    let noor = portal.person("Noor").await;
    portal.signed_in(&noor).await;
    let browser = portal.signed_in(&manager).await;
    let url = format!("/structures/{}", structure.id);
    let action = format!("{url}/gestionnaire-principal");
    let form = [("adresse", noor.login.as_str()), ("prenom", "Lou"), ("nom", "Petit"), ("role", "UTILISATEUR")];
    browser.post(&format!("{url}/membres/invitation"), &form).await.location();
    let membre = [("membre", &*noor.id.to_string())];
    let refused = browser.post(&action, &membre).await.refusal(422);
    refused.assert_says("Une personne invitée peut être désignée dès qu’elle s’est connectée");
    assert_eq!(portal.principal_managers().await, [manager.login.as_str()]);
    let offered = format!("value=\"{}\"", noor.id);
    for page in [&url, &action] {
        let page = browser.open(page).await;
        assert!(!page.html().contains(&offered), "not offered: {}", page.html());
    }
    portal.signed_in(&noor).await;
    assert!(browser.open(&action).await.html().contains(&offered));
    browser.post(&action, &membre).await.location();
    assert_eq!(portal.principal_managers().await, [manager.login.as_str()], "offered is not accepted");
    accept_offer(&portal.signed_in(&noor).await, &structure).await.location();
    assert_eq!(portal.principal_managers().await, [noor.login.as_str()]);
}

#[tokio::test]
async fn an_edited_address_is_the_technical_users_at_once() {
    let portal = TestPortal::start().await;
    let (manager, structure) = portal.manager().await;
    let browser = portal.signed_in(&manager).await;
    let id = portal.create_account(&browser, structure.id, "ERP").await;
    let action = "/mon-compte/adresse-de-contact";
    let kept = browser.post(action, &[("adresse-de-contact", "pas une adresse")]).await.refusal(422);
    assert_eq!(kept.field("adresse-de-contact"), "pas une adresse");
    browser.post(action, &[("adresse-de-contact", "nouvelle@exemple.fr")]).await.location();
    for page in [format!("/structures/{}", structure.id), format!("/utilisateurs-techniques/{id}")] {
        let text = browser.open(&page).await.text();
        assert!(text.contains("nouvelle@exemple.fr") && !text.contains(&manager.contact_address), "{page}");
    }
    assert_eq!(
        portal.mails().await[1..],
        [
            format!("{} contact_address_changed", manager.contact_address),
            "nouvelle@exemple.fr contact_address_to_confirm".to_owned()
        ]
    );
}

#[tokio::test]
async fn an_inactive_structure_takes_no_new_account() {
    let portal = TestPortal::start().await;
    let (manager, structure) = portal.manager().await;
    let browser = portal.signed_in(&manager).await;
    let url = format!("/structures/{}", structure.id);
    let fiche = browser.open(&format!("{url}/informations-generales")).await;
    let typed = [("designation", "Mairie de Rennes"), ("statut", "INACTIVE")];
    let told = browser.submit(&fiche, &url, &typed).await.location();
    assert!(browser.open(&told).await.text().contains("La structure, qui était active, est maintenant inactive"));
    let action = format!("{url}/utilisateurs-techniques");
    let answer = browser.post(&action, &[("jeton", "un-jeton-de-forme-correcte"), ("libelle", "")]).await.refusal(422);
    assert!(answer.text().contains("Cette structure est inactive"));
    assert_eq!(portal.events_of("STRUCTURE_EDITED").await, 1);
}

#[tokio::test]
async fn only_managers_of_technical_users_read_that_these_follow_the_new_address() {
    let portal = TestPortal::start().await;
    let (manager, structure) = portal.manager().await;
    let browser = portal.signed_in(&manager).await;
    let (action, followed) = ("/mon-compte/adresse-de-contact", "Vos utilisateurs techniques l’utilisent");
    for (address, has_accounts) in [("a@exemple.fr", false), ("b@exemple.fr", true)] {
        let told = browser.post(action, &[("adresse-de-contact", address)]).await.location();
        let page = browser.open(&told).await;
        page.assert_says("Votre adresse de contact est enregistrée.");
        assert_eq!(page.text().contains(followed), has_accounts, "{address}");
        portal.technical_user(&structure, &manager).await;
    }
}

/// Both the old and the new address get a mail, and may belong to strangers.
#[tokio::test]
async fn ten_changes_of_an_address_are_made_in_a_row_and_others_after_an_hour() {
    let mut portal = TestPortal::start().await;
    let (sacha, noor) = (portal.person("Sacha").await, portal.person("Noor").await);
    let browser = portal.signed_in(&sacha).await;
    let change = async |browser: &Browser, number: usize| {
        let address = format!("inconnue-{number}@exemple.fr");
        browser.post("/mon-compte/adresse-de-contact", &[("adresse-de-contact", &address)]).await
    };
    for number in 0..10 {
        change(&browser, number).await.location();
    }
    let mails = portal.mails().await.len();
    let refused = change(&browser, 10).await;
    assert_eq!(refused.header("retry-after"), Some("3600"));
    let page = refused.refusal(429);
    page.assert_says("Réessayez dans une heure.");
    assert_eq!(page.field("adresse-de-contact"), "inconnue-10@exemple.fr", "what was typed is kept");
    // What changes nothing sends no mail, and is not refused.
    change(&browser, 9).await.location();
    let kept = portal.contact_address_of(&sacha).await;
    assert_eq!((kept.as_str(), portal.mails().await.len()), ("inconnue-9@exemple.fr", mails));
    assert_eq!(portal.events_of("CONTACT_ADDRESS_CHANGED").await, 10);
    change(&portal.signed_in(&noor).await, 0).await.location();
    portal.move_clock("61 minutes").await;
    change(&portal.signed_in(&sacha).await, 10).await.location();
}

/// The rights are read again in the transaction of the act.
#[tokio::test(flavor = "multi_thread")]
async fn an_act_of_a_manager_replaced_meanwhile_is_refused_by_the_act_itself() {
    let portal = TestPortal::start().await;
    let (manager, structure) = portal.manager().await;
    let (successor, member) = (portal.person("Alix").await, portal.person("Lou").await);
    portal.attach(&member, &structure, Role::User).await;
    let browser = portal.signed_in(&manager).await;
    let id = portal.create_account(&browser, structure.id, "ERP").await;
    let (account, form) =
        (format!("/utilisateurs-techniques/{id}"), format!("/structures/{}/utilisateurs-techniques", structure.id));
    let creation = browser.open(&format!("{form}/nouveau")).await;
    let reset = browser.open(&format!("{account}/mot-de-passe")).await;
    let membership = portal.membership_of(&member).await;
    let state = async || (portal.contents(&["technical_users"]).await, portal.roles_of(&member).await);
    let before = state().await;
    let replacing = portal.begin_succession(&structure, &successor).await;
    let post = |page: Option<&Page>, path: String, fields: &'static [(&'static str, &'static str)]| {
        let (browser, page) = (browser.clone(), page.cloned());
        tokio::spawn(async move {
            match page {
                Some(page) => browser.submit(&page, &path, fields).await,
                None => browser.post(&path, fields).await,
            }
        })
    };
    let acts = [
        post(Some(&creation), form, &[("libelle", "Paie")]),
        post(Some(&reset), format!("{account}/mot-de-passe"), &[]),
        post(None, format!("{account}/suspension"), &[]),
        post(None, format!("/rattachements/{membership}/retrait"), &[]),
    ];
    // Each has passed the extractors and waits.
    portal.until_locked(4).await;
    replacing.commit().await.expect("the succession");
    for act in acts {
        let status = act.await.expect("an answer").status.as_u16();
        assert!([404, 409].contains(&status), "{status}");
    }
    assert_eq!(state().await, before);
    assert_eq!(portal.envelopes_of_resets().await, 0);
}
