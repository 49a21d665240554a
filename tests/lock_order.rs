//! Acts that run at the same time lock rows in one order (docs/architecture.md): none is refused
//! because each holds what the other needs.

use raccord::{
    db::{
        identity::access,
        members::import::{self, Allowed, Attachment},
    },
    domain::{
        audit::Actor,
        import_mode::Mode,
        new_person::NewPerson,
        role::Role,
        structure_identifier::{IdentifierType, StructureIdentifier},
    },
};

use crate::common::{Answer, Browser, Person, Structure, TestPortal, accept_offer};

/// A manager with a session, and a member with one who may succeed.
async fn scene(portal: &TestPortal) -> (Browser, Structure, Browser, Person) {
    let (manager, structure) = portal.manager().await;
    let successor = portal.person("Dominique").await;
    portal.attach(&successor, &structure, Role::SecondaryManager).await;
    (portal.signed_in(&manager).await, structure, portal.signed_in(&successor).await, successor)
}

fn post(browser: &Browser, path: String, fields: &[(&str, &str)]) -> tokio::task::JoinHandle<Answer> {
    let browser = browser.clone();
    let fields: Vec<(String, String)> = fields.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
    tokio::spawn(async move {
        let fields: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        browser.post(&path, &fields).await
    })
}

fn get(browser: &Browser, path: String) -> tokio::task::JoinHandle<Answer> {
    let browser = browser.clone();
    tokio::spawn(async move { browser.get(&path).await })
}

fn accept(heir: &Browser, structure: &Structure) -> tokio::task::JoinHandle<Answer> {
    let (heir, structure) = (heir.clone(), structure.clone());
    tokio::spawn(async move {
        for _ in 0..5 {
            let answer = accept_offer(&heir, &structure).await;
            // What was seen has changed meanwhile.
            if answer.status != 409 {
                return answer;
            }
        }
        panic!("it changes again and again")
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_is_displayed_and_exported_while_its_structure_is_handed_over() {
    for exports in [false, true] {
        let portal = TestPortal::start().await;
        let (browser, structure, heir, successor) = scene(&portal).await;
        portal.offer(&structure, &successor).await;
        let id = portal.create_account(&browser, structure.id, "ERP").await;
        let summary = format!("/utilisateurs-techniques/{id}/recapitulatif");
        let nonce = if exports { browser.open(&summary).await.field("nonce") } else { String::new() };
        let account = portal.hold_account(id).await;
        let reading = if exports {
            post(&browser, format!("/utilisateurs-techniques/{id}/informations-de-connexion"), &[("nonce", &nonce)])
        } else {
            get(&browser, summary)
        };
        portal.until_locked(1).await;
        let succession = accept(&heir, &structure);
        portal.until_locked(2).await;
        account.commit().await.expect("the account is free again");
        let statuses = [reading.await.expect("an answer").status, succession.await.expect("an answer").status];
        assert_eq!(statuses.map(|status| status.as_u16()), [200, 303], "exports: {exports}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_is_changed_while_a_structure_of_the_same_person_is_handed_over() {
    let portal = TestPortal::start().await;
    let (browser, structure, heir, successor) = scene(&portal).await;
    portal.offer(&structure, &successor).await;
    let id = portal.create_account(&browser, structure.id, "ERP").await;
    let envelope = portal.hold_envelope(id).await;
    let succession = accept(&heir, &structure);
    portal.until_locked(1).await;
    let address = "/mon-compte/adresse-de-contact".to_owned();
    let change = post(&browser, address, &[("adresse-de-contact", "nouvelle@exemple.fr")]);
    portal.until_locked(2).await;
    envelope.commit().await.expect("the envelope is free again");
    let statuses = [succession.await.expect("an answer").status, change.await.expect("an answer").status];
    assert_eq!(statuses.map(|status| status.as_u16()), [303, 303]);
}

/// The operator replaces a manager, and ends their sessions at the same moment: one envelope and
/// one link of a hand-over end by both.
#[tokio::test(flavor = "multi_thread")]
async fn a_manager_is_signed_out_while_the_operator_replaces_them() {
    let portal = TestPortal::start().await;
    let (browser, structure, _, successor) = scene(&portal).await;
    let manager = portal.person_with_login("camille.martin@exemple.fr").await;
    let shown = portal.create_account(&browser, structure.id, "ERP").await;
    create_and_hand_over(&portal, &browser, &structure).await;
    let envelope = portal.hold_envelope(shown).await;
    let identifier = StructureIdentifier::parse(IdentifierType::Siret, &structure.identifier, true).expect("a SIRET");
    let pool = portal.pool.clone();
    let replacing = tokio::spawn(async move {
        let person = NewPerson::checked(&successor.login, "Petit", "Dominique", &successor.login).expect("a person");
        let (role, allowed) = (Role::PrincipalManager, Allowed::ALL);
        let attachment = Attachment { person: &person, structure: &identifier, role, allowed };
        import::attach(&pool, &Actor::operator(), attachment, Mode::Load).await.map(|_| ())
    });
    portal.until_locked(1).await;
    let pool = portal.pool.clone();
    let signing_out = tokio::spawn(async move { access::sign_out(&pool, &Actor::operator(), &manager.login).await });
    portal.until_locked(2).await;
    envelope.commit().await.expect("the envelope is free again");
    replacing.await.expect("an answer").expect("replaced");
    signing_out.await.expect("an answer").expect("signed out");
}

async fn create_and_hand_over(portal: &TestPortal, browser: &Browser, structure: &Structure) {
    let action = format!("/structures/{}/utilisateurs-techniques", structure.id);
    let form = browser.open(&format!("{action}/nouveau")).await;
    let location = browser.submit(&form, &action, &[("libelle", "Paie"), ("affichage", "remettre")]).await.location();
    let page = browser.open(&location).await;
    browser.submit(&page, &location, &[("destinataire", "Zoé Petit")]).await.page();
    assert_eq!(portal.count("handed_over_passwords").await, 1);
}

/// Two people hand a structure over to each other 300 times. Each time the one who leaves also
/// displays a password, and suspends, reactivates or resets another account.
#[tokio::test(flavor = "multi_thread")]
async fn three_hundred_successions_meet_displays_resets_and_suspensions_without_a_deadlock() {
    let portal = TestPortal::start().await;
    let (first, structure, second, successor) = scene(&portal).await;
    let manager = portal.person_with_login("camille.martin@exemple.fr").await;
    let (shown, other) = (
        portal.create_account(&first, structure.id, "ERP").await,
        portal.create_account(&first, structure.id, "Paie").await,
    );
    let mut sides = [(first, manager), (second, successor)];
    for round in 0..300 {
        let [(leaving, _), (coming, next)] = &sides;
        reset(&portal, leaving, shown, &format!("jeton-affichage-{round:05}"))
            .await
            .await
            .expect("an answer")
            .location();
        portal.offer(&structure, next).await;
        let path = |act: &str| format!("/utilisateurs-techniques/{other}/{act}");
        let acts = [
            get(leaving, format!("/utilisateurs-techniques/{shown}/recapitulatif")),
            accept(coming, &structure),
            match round % 3 {
                0 => post(leaving, path("suspension"), &[]),
                1 => post(leaving, path("reactivation"), &[]),
                _ => reset(&portal, leaving, other, &format!("jeton-autre-compte-{round:05}")).await,
            },
        ];
        let mut statuses = Vec::new();
        for act in acts {
            statuses.push(act.await.expect("an answer").status.as_u16());
        }
        assert!(statuses.iter().all(|status| *status < 500) && statuses[1] == 303, "round {round}: {statuses:?}");
        sides.swap(0, 1);
    }
}

async fn reset(portal: &TestPortal, browser: &Browser, id: i64, token: &str) -> tokio::task::JoinHandle<Answer> {
    let version = portal.version_of(id).await.to_string();
    post(browser, format!("/utilisateurs-techniques/{id}/mot-de-passe"), &[("jeton", token), ("version", &version)])
}
