//! A principal manager offers a structure; nothing changes until the member accepts.

use axum::{body::Body, http::Request};
use futures_util::future::join_all;
use raccord::{
    db::members::import::{self, Allowed, Attachment},
    domain::{
        audit::Actor,
        import_mode::Mode,
        new_person::NewPerson,
        role::Role,
        structure_identifier::{IdentifierType, StructureIdentifier},
    },
};

use crate::common::{Browser, Person, Structure, TestPortal, accept_offer, acceptance, cpro_account};

/// A manager who offers their structure to Noor, a member, who manages another one.
struct Scene {
    portal: TestPortal,
    manager: Person,
    structure: Structure,
    noor: Person,
    theirs: Structure,
    giver: Browser,
    heir: Browser,
}

impl Scene {
    async fn set() -> Self {
        let portal = TestPortal::start().await;
        let (manager, structure) = portal.manager().await;
        let (noor, mut structures) = portal.manager_with_structures("Noor", 1).await;
        portal.attach(&noor, &structure, Role::User).await;
        let (giver, heir) = (portal.signed_in(&manager).await, portal.signed_in(&noor).await);
        Self { portal, manager, structure, noor, theirs: structures.remove(0), giver, heir }
    }

    async fn offer_to(&self, person: &Person) {
        let action = format!("/structures/{}/gestionnaire-principal", self.structure.id);
        self.giver.post(&action, &[("membre", &person.id.to_string())]).await.location();
    }

    async fn offered() -> Self {
        let scene = Self::set().await;
        scene.offer_to(&scene.noor).await;
        scene
    }

    fn page(&self) -> String {
        format!("/mon-compte/propositions/{}", self.structure.id)
    }

    async fn manager(&self) -> String {
        let sql = "SELECT u.login FROM structures s JOIN users u ON u.id = s.principal_manager_id WHERE s.id = $1";
        self.portal.text(sql, &[self.structure.id]).await
    }

    /// The offer cannot be seen or accepted, and the manager is still this one.
    async fn stands_no_more(&self, heir: &Browser, manager: &Person) {
        let account = heir.open("/mon-compte").await;
        assert!(!account.text().contains("Examiner la proposition"), "{}", account.text());
        heir.get(&self.page()).await.refusal(404);
        heir.post(&format!("{}/refus", self.page()), &[]).await.refusal(404);
        heir.post(&acceptance(&self.structure), &[]).await.refusal(404);
        assert_eq!(self.manager().await, manager.login);
    }
}

#[tokio::test]
async fn a_person_whose_access_was_ended_is_shown_so_and_offered_nothing() {
    let scene = Scene::set().await;
    let Scene { portal, giver, structure, noor, .. } = &scene;
    let disabled = "UPDATE users SET disabled_at = portal_now() WHERE login = $1";
    sqlx::query(disabled).bind(&noor.login).execute(&portal.pool).await.expect("a change");
    let page = giver.open(&format!("/structures/{}", structure.id)).await;
    page.assert_says("Désactivé");
    assert!(!page.html().contains(&format!("<option value=\"{}\"", noor.id)));
    let action = format!("/structures/{}/gestionnaire-principal", structure.id);
    giver.post(&action, &[("membre", &noor.id.to_string())]).await.refusal(422);
    assert_eq!(portal.count("succession_offers").await, 0);
}

/// A manager could otherwise attach any manager, wait until they sign in on some day, and take
/// their rights with a technical user whose password the manager knows.
#[tokio::test]
async fn an_offer_gives_no_right_over_the_structures_of_the_member_until_they_accept() {
    let scene = Scene::set().await;
    let Scene { portal, giver, heir, .. } = &scene;
    let (id, _, password) = portal.create_and_show(giver, scene.structure.id, "ERP").await;
    let login = portal.text("SELECT login FROM technical_users WHERE id = $1", &[id]).await;
    let program = portal.program();
    let status = async || {
        let request = Request::builder()
            .uri("/api/verification")
            .header("cpro-account", cpro_account(&login, &password))
            .header("x-raccord-for-structure", format!("SIRET:{}", scene.theirs.identifier));
        program.send(request.body(Body::empty()).expect("a request")).await.status.as_u16()
    };
    assert_eq!(status().await, 403);
    scene.offer_to(&scene.noor).await;
    portal.signed_in(&scene.noor).await;
    assert_eq!((status().await, scene.manager().await), (403, scene.manager.login.clone()));
    giver.open(&format!("/structures/{}", scene.structure.id)).await;
    assert_eq!(portal.events_of("MANAGER_CHANGED").await, 0);
    accept_offer(heir, &scene.structure).await.location();
    assert_eq!((status().await, scene.manager().await), (200, scene.noor.login.clone()));
}

#[tokio::test]
async fn both_see_the_offer_and_the_member_what_follows() {
    let scene = Scene::set().await;
    let Scene { portal, giver, heir, structure, .. } = &scene;
    portal.create_and_show(giver, structure.id, "Vu").await;
    portal.create_account(giver, structure.id, "Scellé").await;
    let fiche = format!("/structures/{}", structure.id);
    giver
        .open(&format!("{fiche}/gestionnaire-principal"))
        .await
        .assert_says("Rien ne change tant que la personne choisie n’a pas accepté");
    scene.offer_to(&scene.noor).await;
    let page = giver.open(&fiche).await;
    page.assert_says(&format!("Désignation proposée à {} le ", scene.noor.full_name));
    assert!(page.has_form(&format!("{fiche}/gestionnaire-principal/annulation")));
    for page in ["/mon-compte", "/activites"] {
        heir.open(page)
            .await
            .assert_says(&format!("vous propose de devenir gestionnaire principal de {}", structure.designation));
    }
    let page = heir.open(&scene.page()).await;
    page.assert_says("responsable des 2 utilisateurs techniques de la structure");
    page.assert_says("vos droits sur les 2 structures dont vous êtes membre");
    page.assert_says("connaissent le mot de passe d’un utilisateur technique");
    let mails = portal.mails_of("succession_offered").await;
    assert_eq!(mails.iter().map(|mail| &mail.recipient).collect::<Vec<_>>(), [&scene.noor.contact_address]);
    let mails = portal.mails_of("succession_offer_made").await;
    assert_eq!(mails.iter().map(|mail| &mail.recipient).collect::<Vec<_>>(), [&scene.manager.contact_address]);
    assert!(portal.send_mails().await.iter().any(|mail| mail.contains("Vous avez propos")));
    // Sent twice, it is one offer.
    scene.offer_to(&scene.noor).await;
    assert_eq!(portal.events_of("SUCCESSION_OFFERED").await, 1);
    for kind in ["succession_offered", "succession_offer_made"] {
        assert_eq!(portal.mails_of(kind).await.len(), 1, "{kind}");
    }
    // Another member neither sees nor answers it.
    let lou = portal.person("Lou").await;
    portal.attach(&lou, structure, Role::SecondaryManager).await;
    scene.stands_no_more(&portal.signed_in(&lou).await, &scene.manager).await;
}

/// The address that a thief names is not where the owner reads it.
#[tokio::test]
async fn an_offer_is_mailed_to_the_address_that_the_giver_confirmed() {
    let scene = Scene::set().await;
    let typed = [("adresse-de-contact", "voleur@autre.example")];
    scene.giver.post("/mon-compte/adresse-de-contact", &typed).await.location();
    scene.offer_to(&scene.noor).await;
    let mails = scene.portal.mails_of("succession_offer_made").await;
    assert_eq!(mails.iter().map(|mail| &mail.recipient).collect::<Vec<_>>(), [&scene.manager.contact_address]);
}

#[tokio::test]
async fn who_declines_changes_nothing_and_cannot_accept_later() {
    let scene = Scene::offered().await;
    let told = scene.heir.post(&format!("{}/refus", scene.page()), &[]).await.location();
    scene.heir.open(&told).await.assert_says("La proposition est refusée.");
    scene.stands_no_more(&scene.heir, &scene.manager).await;
    assert_eq!(scene.portal.events_of("SUCCESSION_DECLINED").await, 1);
}

#[tokio::test]
async fn the_manager_withdraws_an_offer() {
    let scene = Scene::offered().await;
    let action = format!("/structures/{}/gestionnaire-principal/annulation", scene.structure.id);
    scene.heir.post(&action, &[]).await.refusal(404);
    for _ in 0..2 {
        let told = scene.giver.post(&action, &[]).await.location();
        scene.giver.open(&told).await.assert_says("La proposition est annulée.");
    }
    scene.stands_no_more(&scene.heir, &scene.manager).await;
    assert_eq!(scene.portal.events_of("SUCCESSION_WITHDRAWN").await, 1);
}

#[tokio::test]
async fn an_offer_ends_after_fourteen_days() {
    let mut scene = Scene::offered().await;
    scene.portal.move_clock("14 days -1 minute").await;
    scene.portal.signed_in(&scene.noor).await.open(&scene.page()).await;
    scene.portal.move_clock("14 days 1 minute").await;
    let heir = scene.portal.signed_in(&scene.noor).await;
    scene.stands_no_more(&heir, &scene.manager).await;
}

#[tokio::test]
async fn a_second_offer_replaces_the_first() {
    let scene = Scene::offered().await;
    let lou = scene.portal.person("Lou").await;
    scene.portal.attach(&lou, &scene.structure, Role::SecondaryManager).await;
    let other = scene.portal.signed_in(&lou).await;
    scene.offer_to(&lou).await;
    scene.stands_no_more(&scene.heir, &scene.manager).await;
    accept_offer(&other, &scene.structure).await.location();
    assert_eq!(scene.manager().await, lou.login);
}

/// Also where the same person is attached again.
#[tokio::test]
async fn an_offer_ends_with_the_membership() {
    for leaves in [true, false] {
        let scene = Scene::offered().await;
        let sql = "SELECT id FROM memberships WHERE user_id = $1 AND structure_id = $2";
        let membership = scene.portal.number(sql, &[scene.noor.id, scene.structure.id]).await;
        if leaves {
            scene.heir.post(&format!("/mon-compte/rattachements/{membership}/depart"), &[]).await.location();
        } else {
            scene.giver.post(&format!("/rattachements/{membership}/retrait"), &[]).await.location();
        }
        scene.stands_no_more(&scene.heir, &scene.manager).await;
        scene.portal.attach(&scene.noor, &scene.structure, Role::User).await;
        scene.stands_no_more(&scene.heir, &scene.manager).await;
    }
}

/// Also where the manager who made it becomes principal manager again.
#[tokio::test]
async fn an_offer_ends_where_the_operator_names_another_manager() {
    let scene = Scene::offered().await;
    let identifier = StructureIdentifier::parse(IdentifierType::Siret, &scene.structure.identifier, true).unwrap();
    let lou = scene.portal.person("Lou").await;
    for named in [&lou, &scene.manager] {
        let person = NewPerson::checked(&named.login, "Petit", "Lou", &named.contact_address).unwrap();
        let (pool, role) = (&scene.portal.pool, Role::PrincipalManager);
        let attachment = Attachment { person: &person, structure: &identifier, role, allowed: Allowed::ALL };
        import::attach(pool, &Actor::operator(), attachment, Mode::Load).await.unwrap();
        scene.stands_no_more(&scene.heir, named).await;
    }
}

/// What is accepted is what was seen: an account made meanwhile would get the member's rights at
/// once.
#[tokio::test]
async fn an_offer_that_changed_since_it_was_seen_is_shown_again_and_not_accepted() {
    let scene = Scene::offered().await;
    let seen = scene.heir.open(&scene.page()).await;
    seen.assert_says("responsable des futurs utilisateurs techniques de la structure");
    let account = scene.portal.create_account(&scene.giver, scene.structure.id, "ERP").await;
    let path = acceptance(&scene.structure);
    for change in 0..3 {
        let seen = if change == 0 { seen.clone() } else { scene.heir.open(&scene.page()).await };
        match change {
            1 => drop(scene.giver.open(&format!("/utilisateurs-techniques/{account}/recapitulatif")).await),
            2 => {
                let version = scene.portal.version_of(account).await.to_string();
                let form = [("jeton", "jeton-apres-la-proposition"), ("version", version.as_str())];
                scene.giver.post(&format!("/utilisateurs-techniques/{account}/mot-de-passe"), &form).await.location();
            }
            _ => {}
        }
        let shown = scene.heir.submit(&seen, &path, &[]).await;
        assert_eq!(shown.status, 409, "change {change}");
        shown.page().assert_says("Rien n’a été accepté");
        shown.page().assert_says("responsable de l’utilisateur technique de la structure");
        assert_eq!(scene.manager().await, scene.manager.login);
    }
    scene.heir.post(&path, &[("vu", "")]).await.refusal(409);
    accept_offer(&scene.heir, &scene.structure).await.location();
    assert_eq!(scene.manager().await, scene.noor.login);
}

#[tokio::test(flavor = "multi_thread")]
async fn twenty_acceptances_at_once_take_effect_once() {
    let scene = Scene::offered().await;
    let path = acceptance(&scene.structure);
    let offer = scene.heir.open(&scene.page()).await;
    let answers = join_all((0..20).map(|_| scene.heir.submit(&offer, &path, &[]))).await;
    let statuses: Vec<u16> = answers.iter().map(|answer| answer.status.as_u16()).collect();
    assert!(statuses.iter().all(|status| *status == 303), "{statuses:?}");
    assert_eq!(scene.manager().await, scene.noor.login);
    assert_eq!(scene.portal.events_of("MANAGER_CHANGED").await, 1);
    assert_eq!(scene.portal.mails_of("manager_changed").await.len(), 2);
    // The former manager has not kept a way to take it back.
    scene.giver.post(&path, &[]).await.refusal(404);
}
