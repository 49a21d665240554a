//! « Connu d’un ancien gestionnaire »: a password stays known to the person who saw it until it is
//! reset.

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

use crate::common::{Browser, MailRow, Page, Person, Structure, TestPortal};

const FLAG: &str = "Connu d’un ancien gestionnaire";
const LIST: &str = "/activites/utilisateurs-techniques";

/// Camille's structure with two accounts: « Vu », whose password Camille saw, and « Scellé »,
/// whose password was never shown.
async fn structure_with_accounts(portal: &TestPortal) -> (Person, Structure, i64) {
    let (camille, structure) = portal.manager().await;
    let browser = portal.signed_in(&camille).await;
    let (seen, _, _) = portal.create_and_show(&browser, structure.id, "Vu").await;
    portal.create_account(&browser, structure.id, "Scellé").await;
    (camille, structure, seen)
}

async fn hand_over(portal: &TestPortal, structure: &Structure, to: &Person) {
    portal.attach(to, structure, Role::SecondaryManager).await;
    portal.hand_over(structure, to).await;
}

fn flagged(page: &Page) -> Vec<String> {
    let rows = page.rows().into_iter().filter(|row| row.iter().any(|cell| cell.contains(FLAG)));
    rows.map(|row| row[0].split(' ').next().unwrap_or_default().to_owned()).collect()
}

async fn flags(browser: &Browser, structure: &Structure) -> (Vec<String>, Vec<String>) {
    (flagged(&browser.open(&format!("/structures/{}", structure.id)).await), flagged(&browser.open(LIST).await))
}

#[tokio::test]
async fn a_password_that_the_former_manager_saw_is_flagged_until_it_is_reset() {
    let portal = TestPortal::start().await;
    let (camille, structure, seen) = structure_with_accounts(&portal).await;
    let noor = portal.person("Noor").await;
    assert_eq!(flags(&portal.signed_in(&camille).await, &structure).await, (vec![], vec![]));
    hand_over(&portal, &structure, &noor).await;
    let browser = portal.signed_in(&noor).await;
    assert_eq!(flags(&browser, &structure).await, (vec!["Vu".to_owned()], vec!["Vu".to_owned()]));
    let narrowed = browser.open(&format!("{LIST}?etat=connu")).await.rows();
    assert_eq!(narrowed.len(), 1, "the list can be narrowed to them");
    let csv = browser.get("/activites/utilisateurs-techniques.csv").await.body_text();
    assert_eq!((csv.matches(";Oui;Non\n").count(), csv.matches(";Non;Non\n").count()), (1, 1), "{csv}");
    let account = format!("/utilisateurs-techniques/{seen}");
    let page = browser.open(&account).await;
    assert!(page.fact("Confidentialité").contains(FLAG), "{}", page.text());
    let reset = format!("{account}/mot-de-passe");
    browser.submit(&page, &reset, &[]).await.location();
    assert_eq!(flags(&browser, &structure).await, (vec![], vec![]));
    assert!(!browser.open(&account).await.text().contains(FLAG));
}

#[tokio::test]
async fn the_new_manager_is_mailed_the_accounts_and_the_former_one_is_not() {
    let portal = TestPortal::start().await;
    let (camille, structure, _) = structure_with_accounts(&portal).await;
    let noor = portal.person("Noor").await;
    hand_over(&portal, &structure, &noor).await;
    let mails = portal.mails_of("manager_changed").await;
    let known = mails.iter().map(|mail| format!("{} {}", mail.recipient, mail.notice["known_accounts"]));
    let login = format!("TECH_1_{}@cpro.fr", structure.identifier);
    let expected = [format!("{} [\"{login} (Vu)\"]", noor.contact_address), format!("{} []", camille.contact_address)];
    assert_eq!(known.collect::<Vec<_>>(), expected);
}

#[tokio::test]
async fn a_returning_manager_knows_the_own_passwords_and_not_the_others() {
    let portal = TestPortal::start().await;
    let (camille, structure, _) = structure_with_accounts(&portal).await;
    let noor = portal.person("Noor").await;
    hand_over(&portal, &structure, &noor).await;
    let browser = portal.signed_in(&noor).await;
    portal.create_and_show(&browser, structure.id, "Nouveau").await;
    hand_over(&portal, &structure, &camille).await;
    let browser = portal.signed_in(&camille).await;
    assert_eq!(flags(&browser, &structure).await.0, ["Nouveau"]);
}

#[tokio::test]
async fn the_import_of_managers_flags_too_also_after_a_time_without_one() {
    let portal = TestPortal::start().await;
    let (_, structure, _) = structure_with_accounts(&portal).await;
    let identifier = StructureIdentifier::parse(IdentifierType::Siret, &structure.identifier, true).unwrap();
    // As each line of the file does.
    let import = async |login: &str| {
        let person = NewPerson::checked(login, "Petit", "Lou", login).unwrap();
        let role = Role::PrincipalManager;
        let attachment = Attachment { person: &person, structure: &identifier, role, allowed: Allowed::ALL };
        import::attach(&portal.pool, &Actor::operator(), attachment, Mode::Load).await.unwrap();
    };
    let told = async |recipient: &str| {
        let mails = portal.mails_of("manager_changed").await;
        let known = |mail: &MailRow| mail.notice["known_accounts"].as_array().map(Vec::len);
        mails.iter().any(|mail| mail.recipient == recipient && known(mail) == Some(1))
    };
    import("lou@exemple.fr").await;
    assert!(told("lou@exemple.fr").await);
    assert_eq!(portal.count("passwords_known_to_others").await, 1);
    portal.close_structure(structure.id).await;
    assert_eq!(portal.count("passwords_known_to_others").await, 1, "removed is no longer manager either");
    portal.set_active(structure.id, false).await;
    import("zoe@exemple.fr").await;
    assert!(told("zoe@exemple.fr").await);
}
