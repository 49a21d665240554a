//! The people of a structure: invited, changed and removed by its principal manager, or attached at
//! their own request.

use raccord::domain::{notification::Notification, role::Role};

use crate::common::{Answer, Browser, MailRow, Page, Structure, TestPortal, together};

const MY_REQUESTS: &str = "/mon-compte/demandes-de-rattachement";

fn invitation(structure: &Structure) -> String {
    format!("/structures/{}/membres/invitation", structure.id)
}

async fn invite(browser: &Browser, structure: &Structure, address: &str, role: &str) -> Answer {
    let page = browser.open(&invitation(structure)).await;
    let typed = [("adresse", address), ("prenom", "Lou"), ("nom", "Petit"), ("role", role)];
    browser.submit(&page, &invitation(structure), &typed).await
}

async fn ask(browser: &Browser, kind: &str, identifier: &str) -> Answer {
    browser.post(MY_REQUESTS, &[("type-identifiant", kind), ("identifiant", identifier)]).await
}

/// The notices of all mails, as the mail room reads them.
async fn notices(portal: &TestPortal) -> Vec<Notification> {
    let notice = |mail: MailRow| serde_json::from_value(mail.notice).expect("a notice");
    portal.outbox().await.into_iter().map(notice).collect()
}

#[tokio::test]
async fn an_unknown_person_is_registered_attached_and_invited() {
    let portal = TestPortal::start().await;
    let (manager, structure) = portal.manager().await;
    let browser = portal.signed_in(&manager).await;
    let fiche = browser.open(&format!("/structures/{}", structure.id)).await;
    assert_eq!(fiche.link("Inviter un membre"), invitation(&structure));
    let page = browser.open(&invitation(&structure)).await;
    page.assert_says("leurs utilisateurs techniques auront immédiatement accès à celle-ci par l’API");
    for _ in 0..2 {
        let told = invite(&browser, &structure, " Lou.Petit@Exemple.fr ", "UTILISATEUR").await.location();
        browser.open(&told).await.assert_says("La personne est rattachée à la structure.");
    }
    let rows = browser.open(&format!("/structures/{}", structure.id)).await.rows();
    let row = rows.iter().find(|row| row[1] == "Lou.Petit@exemple.fr").expect("the row of Lou Petit");
    let acts = "Utilisateur Renvoyer l’invitation Modifier le rôle Retirer";
    let expected = [acts, "Affichée après acceptation", "Invité, en attente"];
    assert_eq!((&*row[0], &row[2..5]), ("Invité, en attente", &expected.map(String::from)[..]));
    // One mail: it says by whom, where and as what, and has the link.
    assert_eq!(portal.mails().await, ["Lou.Petit@exemple.fr invitation"]);
    let joins = &portal.mails_of("invitation").await[0].notice["joins"];
    assert_eq!((&joins["inviter"], &joins["role"]), (&manager.full_name.into(), &"Utilisateur".into()));
    assert_eq!(joins["structure"], structure.designation);
    assert_eq!(portal.events().await[1..], ["PERSON_INVITED", "MEMBER_INVITED"]);
    notices(&portal).await;
}

#[tokio::test]
async fn a_known_person_is_attached_unchanged() {
    let portal = TestPortal::start().await;
    let (manager, structures) = portal.manager_with_structures("Camille", 2).await;
    let noor = portal.person("Noor").await;
    let browser = portal.signed_in(&manager).await;
    invite(&browser, &structures[0], &noor.login, "GESTIONNAIRE_SECONDAIRE").await.location();
    invite(&browser, &structures[1], &noor.contact_address, "UTILISATEUR").await.location();
    assert_eq!(portal.full_names().await, ["Camille Martin", "Noor Martin"]);
    assert_eq!(portal.roles_of(&noor).await.len(), 2);
    assert_eq!(
        portal.mails().await,
        [
            format!("{} membership_changed", noor.contact_address),
            format!("{} membership_changed", noor.contact_address)
        ]
    );
    let other = invite(&browser, &structures[0], &noor.login, "UTILISATEUR").await.refusal(422);
    other.assert_says("Cette personne est déjà rattachée à la structure, avec le rôle");
    invite(&browser, &structures[0], &manager.login, "UTILISATEUR").await.refusal(422);
    let shared = portal.person("Sacha").await;
    for person in [&noor, &shared] {
        portal.set_contact_address(person, "service@exemple.fr").await;
    }
    invite(&browser, &structures[1], "service@exemple.fr", "UTILISATEUR")
        .await
        .refusal(422)
        .assert_says("Plusieurs personnes");
    assert_eq!(portal.roles_of(&shared).await.len(), 0);
}

#[tokio::test]
async fn what_is_wrong_in_an_invitation_is_said_beside_its_field_and_nothing_typed_is_lost() {
    let portal = TestPortal::start().await;
    let (manager, structure) = portal.manager().await;
    let browser = portal.signed_in(&manager).await;
    let page =
        browser.post(&invitation(&structure), &[("adresse", "pas une adresse"), ("prenom", " ")]).await.refusal(422);
    page.assert_says("Le formulaire comporte 4 erreurs");
    for message in ["doit avoir la forme", "Saisissez le prénom.", "Saisissez le nom.", "Choisissez un rôle."] {
        page.assert_says(message);
    }
    assert_eq!(page.field("adresse"), "pas une adresse");
    let technical = invite(&browser, &structure, "TECH_1_X@cpro.fr", "UTILISATEUR").await.refusal(422);
    technical.assert_says("celle d’un utilisateur technique");
    assert_eq!(technical.field("nom"), "Petit");
    invite(&browser, &structure, "lou@exemple.fr", "GESTIONNAIRE_PRINCIPAL")
        .await
        .refusal(422)
        .assert_says("Choisissez un rôle.");
    assert_eq!(portal.count("users").await, 1);
}

#[tokio::test]
async fn a_role_is_changed_and_a_member_removed_once_confirmed() {
    let portal = TestPortal::start().await;
    let (manager, structure) = portal.manager().await;
    let noor = portal.person("Noor").await;
    portal.attach(&noor, &structure, Role::User).await;
    let (browser, id) = (portal.signed_in(&manager).await, portal.membership_of(&noor).await);
    let (role, removal) = (format!("/rattachements/{id}/role"), format!("/rattachements/{id}/retrait"));
    let fiche = browser.open(&format!("/structures/{}", structure.id)).await;
    assert!(fiche.has_form(&role) && fiche.has_form(&removal));
    let confirmation = browser.open(&role).await;
    assert_eq!(confirmation.form(&role), [("role".to_owned(), "UTILISATEUR".to_owned())]);
    confirmation.assert_says("Son rôle actuel\u{a0}: Utilisateur.");
    for says in ["Utilisateur\u{202f}» devient «\u{202f}Gestionnaire secondaire", "la personne avait déjà ce rôle"]
    {
        let told = browser.submit(&confirmation, &role, &[("role", "GESTIONNAIRE_SECONDAIRE")]).await.location();
        browser.open(&told).await.assert_says(says);
    }
    assert_eq!(portal.details_of("MEMBERSHIP_CHANGED").await, ["Utilisateur → Gestionnaire secondaire"]);
    browser.post(&role, &[("role", "GESTIONNAIRE_PRINCIPAL")]).await.refusal(422);
    let confirmation = browser.open(&removal).await;
    confirmation.assert_says("Vous allez retirer Noor Martin de la structure");
    let told = browser.submit(&confirmation, &removal, &[]).await.location();
    browser.open(&told).await.assert_says("La personne n’est plus rattachée à la structure.");
    browser.post(&removal, &[]).await.refusal(404);
    assert_eq!(portal.events().await[1..], ["MEMBERSHIP_CHANGED", "MEMBERSHIP_REMOVED"]);
    let roles: Vec<_> = notices(&portal)
        .await
        .into_iter()
        .map(|notice| match notice {
            Notification::MembershipChanged { role, former_role, .. } => (former_role, role),
            notice => panic!("{notice:?}"),
        })
        .collect();
    let (user, secondary) = (Some("Utilisateur".to_owned()), Some("Gestionnaire secondaire".to_owned()));
    assert_eq!(roles, [(user, secondary.clone()), (secondary, None)]);
}

#[tokio::test]
async fn a_member_who_leaves_is_removed_from_several_structures_at_once() {
    let portal = TestPortal::start().await;
    let (manager, structures) = portal.manager_with_structures("Camille", 4).await;
    let (_, others) = portal.manager_with_structures("Alix", 1).await;
    let noor = portal.person("Noor").await;
    for structure in structures.iter().take(3).chain(&others) {
        portal.attach(&noor, structure, Role::User).await;
    }
    let browser = portal.signed_in(&manager).await;
    let ids = portal.texts("SELECT id::text FROM memberships WHERE user_id = $1 ORDER BY id", &[noor.id]).await;
    let (list, confirmation) =
        (format!("/rattachements/{}/retraits", ids[0]), format!("/rattachements/{}/retraits/confirmation", ids[0]));
    let single = browser.open(&format!("/rattachements/{}/retrait", ids[0])).await;
    assert_eq!(single.link("La retirer de plusieurs structures à la fois"), list);
    // The structures that both share, all ticked; neither another manager's nor one without them.
    let page = browser.open(&list).await;
    let boxes = |page: &Page| page.form(&list).into_iter().map(|(name, _)| name).collect::<Vec<_>>();
    let names = |ids: &[&String]| ids.iter().map(|id| format!("rattachement-{id}")).collect::<Vec<_>>();
    assert_eq!(boxes(&page), names(&[&ids[0], &ids[1], &ids[2]]));
    page.assert_says("Vous gérez 3 structures dont cette personne est membre.");
    // Nothing ticked: an error, and nothing is lost.
    browser.post(&list, &[]).await.refusal(422).assert_says("Choisissez au moins une structure.");
    // Two of them, and one that is another manager's: that one is passed over.
    let chosen = names(&[&ids[0], &ids[2], &ids[3]]);
    let chosen: Vec<(&str, &str)> = chosen.iter().map(|name| (name.as_str(), "oui")).collect();
    let check = browser.post(&list, &chosen).await.page();
    check.assert_says("Vous allez retirer Noor Martin de 2 structures.");
    assert_eq!(check.form(&confirmation), [("choisis".to_owned(), format!("{},{}", ids[0], ids[2]))]);
    let carried = format!("{},{}", ids[0], ids[2]);
    let back = browser.post(&list, &[("choisis", &carried)]).await.page();
    assert_eq!(boxes(&back), names(&[&ids[0], &ids[2]]), "as it was left");
    assert_eq!(portal.roles_of(&noor).await.len(), 4, "nothing is done yet");
    let told = browser.post(&confirmation, &[("choisis", &ids.join(","))]).await.location();
    browser.open(&told).await.assert_says("La personne n’est plus rattachée aux structures que vous avez choisies.");
    assert_eq!(portal.roles_of(&noor).await.len(), 1, "that of another manager stays");
    let events = portal.audit_events_of("MEMBERSHIP_REMOVED").await;
    let of: Vec<_> = events.iter().map(|event| event.structure_id).collect();
    assert_eq!(of, structures.iter().take(3).map(|structure| Some(structure.id)).collect::<Vec<_>>());
    assert!(events.iter().all(|event| event.subject == noor.login && event.detail == "Utilisateur"), "{events:?}");
    // One mail for all.
    assert_eq!(portal.mails().await, [format!("{} memberships_ended", noor.contact_address)]);
    let notice = &portal.mails_of("memberships_ended").await[0].notice;
    assert_eq!(notice["structures"].as_array().map(Vec::len), Some(3));
    browser.post(&confirmation, &[("choisis", &ids.join(","))]).await.refusal(404);
}

/// The list must not tell who an invited person is.
#[tokio::test]
async fn the_structures_of_an_invited_person_are_listed_by_what_the_manager_typed() {
    let portal = TestPortal::start().await;
    let (manager, structures) = portal.manager_with_structures("Camille", 3).await;
    let noor = portal.person("Noor").await;
    portal.attach(&noor, &structures[0], Role::User).await;
    let browser = portal.signed_in(&manager).await;
    for structure in &structures[1..] {
        invite(&browser, structure, &noor.contact_address, "UTILISATEUR").await.location();
    }
    let ids = portal.texts("SELECT id::text FROM memberships WHERE user_id = $1 ORDER BY id", &[noor.id]).await;
    let listed = async |id: &str| {
        let list = format!("/rattachements/{id}/retraits");
        browser.open(&list).await.form(&list).into_iter().map(|(name, _)| name).collect::<Vec<_>>()
    };
    let names = |ids: &[String]| ids.iter().map(|id| format!("rattachement-{id}")).collect::<Vec<_>>();
    assert_eq!(listed(&ids[0]).await, names(&ids[..1]));
    assert_eq!(listed(&ids[1]).await, names(&ids[1..]));
    // Nor can the act go further than the list.
    browser
        .post(&format!("/rattachements/{}/retraits/confirmation", ids[1]), &[("choisis", &ids.join(","))])
        .await
        .location();
    assert_eq!(portal.roles_of(&noor).await.len(), 1);
}

#[tokio::test]
async fn the_principal_manager_himself_is_neither_changed_nor_removed() {
    let portal = TestPortal::start().await;
    let (manager, _) = portal.manager().await;
    let (browser, id) = (portal.signed_in(&manager).await, portal.membership_of(&manager).await);
    for act in ["role", "retrait"] {
        let path = format!("/rattachements/{id}/{act}");
        browser.get(&path).await.refusal(404);
        browser.post(&path, &[("role", "UTILISATEUR")]).await.refusal(404);
    }
    assert_eq!(portal.roles_of(&manager).await, ["PRINCIPAL_MANAGER"]);
}

#[tokio::test]
async fn a_form_that_outlived_its_manager_is_refused_and_remembered() {
    let portal = TestPortal::start().await;
    let (manager, structure) = portal.manager().await;
    let (noor, sacha, alix) = (portal.person("Noor").await, portal.person("Sacha").await, portal.person("Alix").await);
    portal.attach(&noor, &structure, Role::User).await;
    let (browser, id) = (portal.signed_in(&manager).await, portal.membership_of(&noor).await);
    let request = portal.membership_request(&alix, &structure).await;
    portal.attach(&sacha, &structure, Role::PrincipalManager).await;
    browser.post(&format!("/rattachements/{id}/retrait"), &[]).await.refusal(404);
    browser.post(&format!("/demandes-de-rattachement/{request}/refus"), &[]).await.refusal(404);
    browser.post(&invitation(&structure), &[]).await.refusal(404);
    assert_eq!(portal.events_of("ACT_REFUSED").await, 3);
    assert_eq!(portal.membership_of(&noor).await, id);
}

#[tokio::test]
async fn a_request_is_answered_alike_whether_or_not_the_structure_is_known() {
    let portal = TestPortal::start().await;
    let (manager, structure) = portal.manager().await;
    let unmanaged = portal.structure("Commune sans gestionnaire").await;
    let noor = portal.person("Noor").await;
    let browser = portal.signed_in(&noor).await;
    assert_eq!(browser.open("/mon-compte").await.link("Demander un rattachement"), MY_REQUESTS);
    let mut answers = Vec::new();
    for (kind, identifier) in
        [("SIRET", structure.identifier.as_str()), ("SIRET", &unmanaged.identifier), ("AUTRE", "inconnue")]
    {
        for _ in 0..2 {
            answers.push(ask(&browser, kind, identifier).await.location());
        }
    }
    assert!(answers.iter().all(|answer| answer == &format!("{MY_REQUESTS}?avis=membership-requested")), "{answers:?}");
    assert_eq!(browser.open(MY_REQUESTS).await.rows().len(), 3, "asking twice changes nothing");
    assert_eq!(portal.mails().await, [format!("{} membership_requested", manager.contact_address)]);
    assert_eq!(portal.events_of("MEMBERSHIP_REQUESTED").await, 3);
    notices(&portal).await;
    ask(&browser, "SIRET", "123").await.refusal(422).assert_says("Un SIRET a 14 chiffres.");
    ask(&browser, "SIRENE", "123").await.refusal(422).assert_says("Choisissez un type d’identifiant.");
}

#[tokio::test]
async fn the_principal_manager_validates_with_a_role_or_refuses() {
    let portal = TestPortal::start().await;
    let (manager, structure) = portal.manager().await;
    let (noor, sacha) = (portal.person("Noor").await, portal.person("Sacha").await);
    let browser = portal.signed_in(&manager).await;
    assert!(!browser.open("/activites").await.text().contains("Demandes de rattachement"));
    for person in [&noor, &sacha] {
        ask(&portal.signed_in(person).await, "SIRET", &structure.identifier).await.location();
    }
    let page = browser.open("/activites").await;
    page.assert_says("Demandes de rattachement");
    let rows = page.rows();
    assert!(rows[0][0].contains("Noor Martin") && rows[1][0].contains("Sacha Martin"), "{rows:?}");
    let ids = portal.membership_request_ids().await;
    let accept = format!("/demandes-de-rattachement/{}/validation", ids[0]);
    browser.post(&accept, &[("role", "GESTIONNAIRE_PRINCIPAL")]).await.refusal(422);
    let told = browser.post(&accept, &[("role", "GESTIONNAIRE_SECONDAIRE")]).await.location();
    browser.open(&told).await.assert_says("La demande est validée");
    let told = browser.post(&format!("/demandes-de-rattachement/{}/refus", ids[1]), &[]).await.location();
    let page = browser.open(&told).await;
    page.assert_says("La demande est refusée.");
    assert!(page.rows().is_empty() && page.text().contains(&structure.designation), "the structure alone is left");
    browser.post(&accept, &[("role", "UTILISATEUR")]).await.refusal(404);
    assert_eq!(portal.roles_of(&noor).await, ["SECONDARY_MANAGER"]);
    assert_eq!(portal.roles_of(&sacha).await.len(), 0);
    let mails = portal.mails().await;
    assert_eq!(
        mails[2..],
        [
            format!("{} membership_changed", noor.contact_address),
            format!("{} membership_refused", sacha.contact_address)
        ]
    );
    assert_eq!(
        (portal.events_of("MEMBERSHIP_REQUEST_ACCEPTED").await, portal.events_of("MEMBERSHIP_REQUEST_REFUSED").await),
        (1, 1)
    );
    let member = portal.signed_in(&noor).await;
    ask(&member, "SIRET", &structure.identifier)
        .await
        .refusal(422)
        .assert_says("Vous êtes déjà membre de cette structure.");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn ten_requests_may_wait_and_one_can_be_taken_back() {
    let portal = TestPortal::start().await;
    let (noor, sacha) = (portal.person("Noor").await, portal.person("Sacha").await);
    let browser = portal.signed_in(&noor).await;
    let answers = together(20, |number| {
        let browser = browser.clone();
        async move { ask(&browser, "AUTRE", &format!("inconnue-{number}")).await.status.as_u16() }
    })
    .await;
    assert_eq!(answers.iter().filter(|status| **status == 303).count(), 10, "{answers:?}");
    ask(&browser, "AUTRE", "encore").await.refusal(422).assert_says("Vous avez déjà 10 demandes en attente.");
    let id = portal.membership_request_ids().await[0].clone();
    let withdrawal = format!("{MY_REQUESTS}/{id}/annulation");
    portal.signed_in(&sacha).await.post(&withdrawal, &[]).await.location();
    assert_eq!(portal.count("membership_requests").await, 10, "not those of another person");
    for _ in 0..2 {
        browser.post(&withdrawal, &[]).await.location();
    }
    ask(&browser, "AUTRE", "encore").await.location();
    assert_eq!(portal.events_of("MEMBERSHIP_REQUEST_WITHDRAWN").await, 1);
}

#[tokio::test]
async fn asking_and_taking_back_in_turn_is_slowed() {
    let portal = TestPortal::start().await;
    let (_, structure) = portal.manager().await;
    let browser = portal.signed_in(&portal.person("Noor").await).await;
    let mut statuses = Vec::new();
    for _ in 0..6 {
        statuses.push(ask(&browser, "SIRET", &structure.identifier).await.status.as_u16());
        let ids = portal.membership_request_ids().await;
        if let Some(id) = ids.first() {
            browser.post(&format!("{MY_REQUESTS}/{id}/annulation"), &[]).await;
        }
    }
    assert_eq!(statuses, [303, 303, 303, 303, 303, 422]);
}

/// A stolen session must not mail strangers, or one member, without end.
#[tokio::test]
async fn a_manager_writes_to_many_people_in_a_row_and_then_waits_for_an_hour() {
    let mut portal = TestPortal::start().await;
    let (manager, structures) = portal.manager_with_structures("Camille", 2).await;
    let noor = portal.person("Noor").await;
    portal.attach(&noor, &structures[0], Role::User).await;
    let browser = portal.signed_in(&manager).await;
    let invite = async |browser: &Browser, structure: &Structure, address: &str| {
        let fields = [("adresse", address), ("prenom", "Lou"), ("nom", "Petit"), ("role", "UTILISATEUR")];
        browser.post(&invitation(structure), &fields).await
    };
    let role = format!("/rattachements/{}/role", portal.membership_of(&noor).await);
    let roles = ["GESTIONNAIRE_SECONDAIRE", "UTILISATEUR"];
    // Changes of a role count with invitations, and structures with one another.
    for wanted in [roles[0], roles[1]] {
        browser.post(&role, &[("role", wanted)]).await.location();
    }
    portal.count_mails_to_members(250).await;
    for number in 0..48 {
        invite(&browser, &structures[number % 2], &format!("inconnue-{number}@exemple.fr")).await.location();
    }
    let mails = portal.mails().await.len();
    let people = portal.count("users").await;
    let refused = invite(&browser, &structures[0], "encore@exemple.fr").await;
    assert_eq!(refused.header("retry-after"), Some("3600"));
    let page = refused.refusal(429);
    page.assert_says("Réessayez dans une heure.");
    assert_eq!(page.field("adresse"), "encore@exemple.fr");
    assert_eq!(browser.post(&role, &[("role", roles[0])]).await.status, 429);
    // What sends no mail is not refused, nor is another manager.
    invite(&browser, &structures[1], "inconnue-1@exemple.fr").await.location();
    browser.post(&role, &[("role", roles[1])]).await.location();
    let (other, theirs) = portal.manager_with_structures("Alix", 1).await;
    invite(&portal.signed_in(&other).await, &theirs[0], "autre@exemple.fr").await.location();
    // Added since: the other manager, and the person that they invited, who is mailed.
    assert_eq!(portal.count("users").await, people + 2);
    assert_eq!(portal.mails().await.len(), mails + 1);
    portal.move_clock("61 minutes").await;
    let browser = portal.signed_in(&manager).await;
    for number in 0..3 {
        invite(&browser, &structures[0], &format!("suivante-{number}@exemple.fr")).await.location();
    }
}

#[tokio::test]
async fn a_member_sees_who_attached_them_and_leaves_by_themselves() {
    let portal = TestPortal::start().await;
    let (manager, structures) = portal.manager_with_structures("Camille", 2).await;
    let noor = portal.person("Noor").await;
    let browser = portal.signed_in(&noor).await;
    let theirs = portal.signed_in(&manager).await;
    for structure in &structures {
        invite(&theirs, structure, &noor.login, "UTILISATEUR").await.location();
    }
    let page = browser.open("/mon-compte").await;
    let row = page.rows().into_iter().find(|row| row[0] == structures[0].designation).expect("a row");
    assert!(row.iter().any(|cell| cell.contains("par") && cell.contains(&manager.login)), "{row:?}");
    let memberships = portal.texts("SELECT id::text FROM memberships WHERE user_id = $1 ORDER BY id", &[noor.id]).await;
    let leave = format!("/mon-compte/rattachements/{}/depart", memberships[0]);
    let confirmation = browser.open(&leave).await;
    confirmation.assert_says(&format!("Vous allez quitter la structure {}", structures[0].designation));
    // Neither another person nor the manager of the structure leaves in their place.
    for other in [&theirs, &portal.signed_in(&portal.person("Sacha").await).await] {
        other.get(&leave).await.refusal(404);
        other.post(&leave, &[]).await.refusal(404);
    }
    let told = browser.submit(&confirmation, &leave, &[]).await.location();
    browser.open(&told).await.assert_says("Vous n’êtes plus membre de la structure.");
    browser.post(&leave, &[]).await.refusal(404);
    assert_eq!(portal.roles_of(&noor).await, ["USER"], "the other structure stays");
    let history = theirs.open(&format!("/structures/{}/historique", structures[0].id)).await;
    history.assert_says("Départ de la structure");
    // Who has not signed in since is not named to the manager by leaving.
    assert!(!history.text().contains(&noor.full_name));
    let mails = portal.mails().await;
    assert_eq!(mails.last().expect("a mail"), &format!("{} member_left", manager.contact_address));
    let mine = portal.membership_of(&manager).await;
    let mine = format!("/mon-compte/rattachements/{mine}/depart");
    theirs.get(&mine).await.refusal(404);
    theirs.post(&mine, &[]).await.refusal(404);
}

/// The same for a row, a page and an act: what a manager sees of an invitation does not tell
/// whether the portal knew the person.
#[tokio::test]
async fn nothing_tells_a_manager_whether_the_portal_knew_an_invited_person() {
    let portal = TestPortal::start().await;
    let (manager, structure) = portal.manager().await;
    let noor = portal.person("Noor").await;
    let browser = portal.signed_in(&manager).await;
    let typed = ["Alix@exemple.fr", "Noor.Martin@exemple.fr"];
    for address in typed {
        invite(&browser, &structure, address, "UTILISATEUR").await.location();
    }
    let fiche = format!("/structures/{}", structure.id);
    let rows = browser.open(&fiche).await.rows();
    let rows: Vec<_> = rows.into_iter().filter(|row| typed.contains(&row[1].as_str())).collect();
    let [unknown, known] = rows.as_slice() else { panic!("{rows:?}") };
    assert_eq!((&*unknown[1], &*known[1]), (typed[0], typed[1]), "in the order of what was typed");
    let but_address = |row: &[String]| [&row[..1], &row[2..]].concat();
    assert_eq!(but_address(unknown), but_address(known));
    let alix = portal.person_with_login("alix@exemple.fr").await;
    let mut told = Vec::new();
    for (person, address) in [(&alix, typed[0]), (&noor, typed[1])] {
        let id = portal.membership_of(person).await;
        for path in [format!("/rattachements/{id}/role"), format!("/rattachements/{id}/retrait")] {
            told.push(browser.open(&path).await.text().replace(address, "…"));
        }
        let designate = format!("{fiche}/gestionnaire-principal");
        let refused = browser.post(&designate, &[("membre", &person.id.to_string())]).await.refusal(422);
        told.push(refused.text().replace(typed[0], "…").replace(typed[1], "…"));
        for page in [&fiche, &designate] {
            assert!(!browser.open(page).await.html().contains(&format!("value=\"{}\"", person.id)), "{page}");
        }
    }
    // Nor does a number of any person tell more than one of no person.
    let refused = browser.post(&format!("{fiche}/gestionnaire-principal"), &[("membre", "999999")]).await.refusal(422);
    told.push(refused.text().replace(typed[0], "…").replace(typed[1], "…"));
    assert_eq!(told[..3], told[3..6]);
    assert_eq!(told[2], told[6]);
}

/// Asked for and taken back ten at a time, requests would mail a manager without end.
#[tokio::test]
async fn requests_made_and_taken_back_mail_a_manager_twenty_times_and_then_wait_for_an_hour() {
    let mut portal = TestPortal::start().await;
    let (_, structures) = portal.manager_with_structures("Camille", 10).await;
    let noor = portal.person("Noor").await;
    let mut refused = 0;
    for minutes in [0, 6, 12, 18] {
        portal.move_clock(&format!("{minutes} minutes")).await;
        let browser = portal.signed_in(&noor).await;
        for structure in &structures {
            let answer = ask(&browser, "SIRET", &structure.identifier).await;
            if answer.status != 303 {
                answer.refusal(429).assert_says("Réessayez dans une heure.");
                refused += 1;
            }
        }
        for id in portal.membership_request_ids().await {
            browser.post(&format!("{MY_REQUESTS}/{id}/annulation"), &[]).await.location();
        }
    }
    assert_eq!((portal.mails_of("membership_requested").await.len(), refused), (20, 20));
    portal.move_clock("90 minutes").await;
    ask(&portal.signed_in(&noor).await, "SIRET", &structures[0].identifier).await.location();
}

/// An invitation that was lost or has ended is sent again: to whom the portal did not know with a
/// link of seven days, to whom it knew without one. The manager sees no difference.
#[tokio::test]
async fn an_invitation_is_sent_again_three_times_a_day_whether_the_portal_knew_the_person_or_not() {
    let mut portal = TestPortal::start().await;
    let (manager, structure) = portal.manager().await;
    let noor = portal.person("Noor").await;
    let browser = portal.signed_in(&manager).await;
    for address in ["alix@exemple.fr", &noor.login] {
        invite(&browser, &structure, address, "UTILISATEUR").await.location();
    }
    let alix = portal.person_with_login("alix@exemple.fr").await;
    for person in [&alix, &noor] {
        let again = format!("/rattachements/{}/invitation", portal.membership_of(person).await);
        for _ in 0..2 {
            let told = browser.post(&again, &[]).await.location();
            browser.open(&told).await.assert_says("L’invitation est envoyée de nouveau.");
        }
        browser.post(&again, &[]).await.refusal(429);
    }
    assert_eq!(portal.mails_of("invitation").await.len(), 3);
    assert_eq!(portal.mails_of("membership_changed").await.len(), 3);
    assert_eq!(portal.events_of("INVITATION_SENT_AGAIN").await, 4);
    // The link is the new person's for seven days, and works once.
    let sent = portal.send_mails().await;
    let token = sent.iter().find_map(|mail| mail.split("/invitation/").nth(1)?.get(..43)).expect("a link");
    let link = format!("/invitation/{token}");
    portal.move_clock("167 hours").await;
    let chosen = [("nouveau-mot-de-passe", "sept ponts sur la Loire")];
    portal.browser().post(&link, &chosen).await.location();
    portal.browser().post(&link, &chosen).await.refusal(404);
    // Once a person has signed in, nothing is sent any more.
    portal.signed_in(&noor).await;
    let browser = portal.signed_in(&manager).await;
    let mails = portal.mails().await.len();
    let again = format!("/rattachements/{}/invitation", portal.membership_of(&noor).await);
    browser.post(&again, &[]).await.location();
    assert_eq!(portal.mails().await.len(), mails);
    let rows = browser.open(&format!("/structures/{}", structure.id)).await.rows();
    let row = rows.iter().find(|row| row[0] == noor.full_name).expect("the row of Noor Martin");
    assert_eq!((&*row[2], &*row[4]), ("Utilisateur Modifier le rôle Retirer", "Actif"));
}

#[tokio::test]
async fn an_invitation_ends_after_seven_days_and_a_new_link_can_be_asked_for_meanwhile() {
    let mut portal = TestPortal::start().await;
    let (manager, structure) = portal.manager().await;
    invite(&portal.signed_in(&manager).await, &structure, "alix@exemple.fr", "UTILISATEUR").await.location();
    let sent = portal.send_mails().await;
    let token = sent.iter().find_map(|mail| mail.split("/invitation/").nth(1)?.get(..43)).expect("a link");
    assert!(sent.iter().any(|mail| mail.contains("7=C2=A0jours") || mail.contains("7\u{a0}jours")), "{sent:?}");
    portal.move_clock("10 minutes").await;
    portal.browser().post("/mot-de-passe-oublie", &[("identifiant", "alix@exemple.fr")]).await.location();
    assert_eq!(portal.mails_of("password_forgotten").await.len(), 1, "the invitation is no reason to wait");
    portal.move_clock("169 hours").await;
    portal.browser().get(&format!("/invitation/{token}")).await.refusal(404);
}

#[tokio::test]
async fn a_member_sees_who_the_principal_manager_is_and_the_address_once_it_is_confirmed() {
    let portal = TestPortal::start().await;
    let (manager, structure) = portal.manager().await;
    let noor = portal.person("Noor").await;
    portal.attach(&noor, &structure, Role::SecondaryManager).await;
    let browser = portal.signed_in(&noor).await;
    // The sessions have rows, too.
    let of = |page: Page| {
        let mut rows = page.rows().into_iter();
        rows.find(|row| row[0] == structure.designation).expect("the structure")[4].clone()
    };
    let cell = async || of(browser.open("/mon-compte").await);
    assert_eq!(cell().await, format!("{} {}", manager.full_name, manager.contact_address));
    let theirs = portal.signed_in(&manager).await;
    theirs.post("/mon-compte/adresse-de-contact", &[("adresse-de-contact", "tiers@autre.example")]).await.location();
    assert_eq!(cell().await, manager.full_name);
    // The column is there for whoever is a member of another manager's structure.
    let (_, others) = portal.manager_with_structures("Alix", 1).await;
    portal.attach(&manager, &others[0], Role::User).await;
    assert_eq!(of(theirs.open("/mon-compte").await), "Vous-même");
}
