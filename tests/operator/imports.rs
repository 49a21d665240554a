//! Imports: what a wrong file is, what a dry run says, and how far an import came that was cut.

use std::{
    fmt::Write,
    fs,
    os::unix::fs::{PermissionsExt, symlink},
    path::Path,
};

use raccord::{
    db::members::{
        appointment::{self, AppointError, Appointment},
        import::{self, Allowed, AttachError, Attachment},
    },
    domain::{
        audit::Actor,
        import_mode::Mode,
        new_person::NewPerson,
        role::Role,
        structure_identifier::{IdentifierType, StructureIdentifier},
    },
};

use super::{
    binary::{Directory, raccord, run},
    commands::siret,
};
use crate::common::TestPortal;

const STRUCTURES: &str = "TypeIdentifiant;Identifiant;RaisonSociale\n";
const MANAGERS: &str = "Identifiant;Nom;Prenom;AdresseContact;TypeIdentifiantStructure;IdentifiantStructure;Role\n";

/// `import KIND` of these bytes, with further arguments: exit code and standard error.
fn import(portal: &TestPortal, kind: &str, bytes: &[u8], further: &[&str]) -> (i32, String) {
    let directory = Directory::create();
    let file = directory.file("fichier.csv", bytes);
    let arguments = [&["import", kind, file.to_str().expect("a path of text")], further].concat();
    let (code, told, errors) = run(&mut raccord(&arguments, &[("DATABASE_URL", portal.database_url())]));
    assert_eq!(told, "");
    (code, errors)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_file_is_named_for_what_it_is() {
    let portal = TestPortal::start().await;
    let row = format!("1;{};Rennes\n", siret(1));
    for (kind, bytes, says) in [
        ("structures", &b"PK\x03\x04\0\0"[..], "fichier.csv: is a workbook (.xlsx or .ods; save it as « CSV UTF-8 »)"),
        ("structures", b"\x89PNG\r\n\x1a\n", "is a picture (PNG), where a CSV file is wanted"),
        ("managers", b"\xff\xd8\xff\xe0", "is a picture (JPEG)"),
        ("structures", b"<!DOCTYPE html>\n", "is a web page or XML"),
        ("structures", MANAGERS.as_bytes(), "is a file of people and their roles: `raccord import managers` takes it"),
        ("managers", (STRUCTURES.to_owned() + &row).as_bytes(), "is a file of structures: `raccord import structures`"),
        ("structures", STRUCTURES.replace(';', "|").as_bytes(), "has `|` between its columns"),
        ("structures", STRUCTURES.as_bytes(), "has no line below the one that names the columns"),
        ("managers", MANAGERS.as_bytes(), "has no line below"),
        ("structures", b"", "is empty: the first line must name the columns"),
        ("structures", b"Code;Nom\n1;x\n", "has no column TypeIdentifiant"),
    ] {
        let (code, told) = import(&portal, kind, bytes, &[]);
        assert_eq!((code, told.lines().count()), (1, 1), "{told}");
        assert!(told.contains("fichier.csv: ") && told.contains(says), "{told}");
    }
    let named = "sep=|\n".to_owned() + &(STRUCTURES.to_owned() + &row).replace(';', "|");
    assert_eq!(import(&portal, "structures", named.as_bytes(), &[]).0, 0, "as the message says");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_says_what_an_import_would_do_and_does_nothing() {
    let portal = TestPortal::start().await;
    let structure = portal.structure("Ville de Rennes").await;
    let before = portal.all_contents().await;
    let text = format!("{STRUCTURES}1;{};Rennes\n1;{};Fougères\n1;1;Vitré\n", siret(1), structure.identifier);
    let (code, told) = import(&portal, "structures", text.as_bytes(), &["--dry-run"]);
    assert_eq!(code, 3, "{told}");
    assert!(told.contains("nothing is changed") && told.contains("1 created, 1 updated, 0 unchanged, 1 bad"), "{told}");
    let row = |login: &str, role: &str| format!("{login};Martin;Anne;{login};SIRET;{};{role}\n", structure.identifier);
    let text = MANAGERS.to_owned()
        + &row("a@rennes.example", "UTILISATEUR")
        + &row("a@rennes.example", "CHEF")
        + &row("a@rennes.example", "GESTIONNAIRE_PRINCIPAL");
    let (code, told) = import(&portal, "managers", text.as_bytes(), &["--dry-run"]);
    assert_eq!(code, 3, "{told}");
    assert!(told.contains("nothing is changed") && told.contains("1 people created, 2 memberships"), "{told}");
    assert_eq!(portal.all_contents().await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_of_managers_says_whom_it_replaces_and_who_ran_it() {
    let portal = TestPortal::start().await;
    let (manager, structure) = portal.manager().await;
    let row = format!(
        "noa@rennes.example;Petit;Noa;noa@rennes.example;SIRET;{};GESTIONNAIRE_PRINCIPAL\n",
        structure.identifier
    );
    let text = MANAGERS.to_owned() + &row;
    let replaces = format!(
        "line 2: noa@rennes.example replaces {} as principal manager of SIRET:{}",
        manager.login, structure.identifier
    );
    let (code, told) = import(&portal, "managers", text.as_bytes(), &[]);
    assert!(code == 3 && told.contains("can sign in: only `--by NAME` replaces them"), "{code}: {told}");
    assert_eq!(portal.principal_managers().await, [manager.login.as_str()]);
    for further in [&["--dry-run", "--by", "Zoé Petit"][..], &["--by", "Zoé Petit"]] {
        let (code, told) = import(&portal, "managers", text.as_bytes(), further);
        assert_eq!(code, 0, "{told}");
        assert!(told.contains(&replaces) && told.contains("1 principal managers replaced"), "{told}");
    }
    portal.disable(&manager).await;
    let back = text.replace("noa@rennes.example", &manager.login);
    let (code, told) = import(&portal, "managers", back.as_bytes(), &[]);
    assert!(code != 0 && told.contains("this person is disabled"), "{code}: {told}");
    let events = portal.audit_events_of("MANAGER_CHANGED").await;
    assert_eq!(events.iter().map(|event| event.actor.as_str()).collect::<Vec<_>>(), ["opérateur (Zoé Petit)"]);
    let (_, told) = import(&portal, "managers", text.as_bytes(), &[]);
    assert!(told.contains("0 principal managers replaced, 1 unchanged"), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_that_was_cut_says_how_far_it_came_and_goes_on_when_repeated() {
    let portal = TestPortal::start().await;
    let mut text = STRUCTURES.to_owned();
    for number in 0..5_000 {
        let name = if number == 4_500 { "Coupure".into() } else { format!("Commune {number}") };
        writeln!(text, "1;{};{name}", siret(number)).expect("a text grows");
    }
    text.push_str("1;1;Vitré\n");
    // The database ends the connection in the third batch.
    portal
        .execute(
            "CREATE FUNCTION cut() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                 IF NEW.designation = 'Coupure' THEN PERFORM pg_terminate_backend(pg_backend_pid()); END IF; RETURN NEW; END $$;
             CREATE TRIGGER cut BEFORE INSERT ON structures FOR EACH ROW EXECUTE FUNCTION cut()",
        )
        .await;
    let (code, told) = import(&portal, "structures", text.as_bytes(), &[]);
    assert_eq!(code, 1, "{told}");
    assert!(told.contains("the import stopped after 5001 lines: the good ones up to line 4001"), "{told}");
    assert!(told.contains("1 were bad; run it again") && told.contains("the database: "), "{told}");
    assert_eq!(portal.count("structures").await, 4_000);
    portal.execute("DROP TRIGGER cut ON structures").await;
    let (code, told) = import(&portal, "structures", text.as_bytes(), &[]);
    assert_eq!(code, 3, "{told}");
    assert!(told.contains("1000 created, 0 updated, 4000 unchanged, 1 bad"), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_mails_whom_it_gives_a_role_and_gives_none_back_that_was_removed_since() {
    let portal = TestPortal::start().await;
    let (manager, structure) = portal.manager().await;
    let noa = portal.person("Noa").await;
    let row = |role: &str| format!("{MANAGERS}{};Petit;Noa;n@x.fr;SIRET;{};{role}\n", noa.login, structure.identifier);
    let run = |role: &str, further: &[&str]| import(&portal, "managers", row(role).as_bytes(), further);
    for role in ["UTILISATEUR", "UTILISATEUR", "GESTIONNAIRE_SECONDAIRE"] {
        assert_eq!(run(role, &[]).0, 0);
    }
    let mails = portal.mails_of("membership_changed").await;
    let told: Vec<_> = mails.iter().map(|mail| (&mail.recipient, mail.notice["role"].as_str())).collect();
    let roles = [Some("Utilisateur"), Some("Gestionnaire secondaire")];
    assert_eq!(told, roles.map(|role| (&noa.contact_address, role)));
    let removal = format!("/rattachements/{}/retrait", portal.membership_of(&noa).await);
    portal.signed_in(&manager).await.post(&removal, &[]).await.location();
    let (code, told) = run("UTILISATEUR", &[]);
    assert!(code == 3 && told.contains("line 2: ") && told.contains("`--restore-removed`"), "{told}");
    assert_eq!(portal.find_membership(&noa).await, None);
    let (code, told) = run("UTILISATEUR", &["--restore-removed"]);
    assert_eq!((code, portal.find_membership(&noa).await.is_some()), (0, true), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_mails_one_person_ten_roles_a_day() {
    let portal = TestPortal::start().await;
    let (_, structures) = portal.manager_with_structures("Alix", 11).await;
    let noa = portal.person("Noa").await;
    let rows =
        structures.iter().map(|of| format!("{};Petit;Noa;n@x.fr;SIRET;{};UTILISATEUR\n", noa.login, of.identifier));
    let (code, told) = import(&portal, "managers", (MANAGERS.to_owned() + &rows.collect::<String>()).as_bytes(), &[]);
    assert!(code == 0 && told.contains("line 12: ") && told.contains("enough new roles today"), "{told}");
    assert_eq!((portal.mails_of("membership_changed").await.len(), portal.roles_of(&noa).await.len()), (10, 11));
}

/// A person who is being disabled is given no role.
#[tokio::test(flavor = "multi_thread")]
async fn a_role_waits_for_the_act_that_disables_its_person() {
    let portal = TestPortal::start().await;
    let structure = portal.structure("Ville de Rennes").await;
    let noa = portal.person("Noa").await;
    let identifier = StructureIdentifier::parse(IdentifierType::Siret, &structure.identifier, true).expect("a SIRET");
    for appoints in [false, true] {
        portal.execute("UPDATE users SET disabled_at = NULL").await;
        let disabling = portal.begin_disabling(&noa).await;
        let (pool, login, identifier) = (portal.pool.clone(), noa.login.clone(), identifier.clone());
        let giving = tokio::spawn(async move {
            if appoints {
                let reason = "départ".parse().expect("a reason");
                let appointment = Appointment { structure: &identifier, login: &login, reason: &reason };
                let refused = appointment::appoint(&pool, &Actor::operator(), appointment).await;
                return matches!(refused, Err(AppointError::Disabled));
            }
            let person = NewPerson::checked(&login, "Petit", "Noa", &login).expect("a person");
            let (structure, allowed) = (&identifier, Allowed::ALL);
            let attachment = Attachment { person: &person, structure, role: Role::User, allowed };
            let refused = import::attach(&pool, &Actor::operator(), attachment, Mode::Load).await;
            matches!(refused, Err(AttachError::Disabled))
        });
        portal.until_locked_or(1, || giving.is_finished()).await;
        disabling.commit().await.expect("the person is disabled");
        assert!(giving.await.expect("an answer"), "appoints: {appoints}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_follows_no_link_and_is_its_owner_s_alone() {
    let portal = TestPortal::start().await;
    let directory = Directory::create();
    let (other, lax) = (directory.file("autre.txt", b"precious"), directory.file("large.csv", b"old"));
    let link = directory.path().join("lien.csv");
    symlink(&other, &link).expect("a link");
    fs::set_permissions(&lax, fs::Permissions::from_mode(0o644)).expect("the mode");
    let text = format!("{STRUCTURES}1;1;Vitré\n");
    let report = |path: &Path| {
        import(&portal, "structures", text.as_bytes(), &["--report", path.to_str().expect("a path of text")])
    };
    let (code, told) = report(&link);
    assert!(code == 1 && told.contains("it is a link, or no file"), "{told}");
    assert_eq!(fs::read(&other).expect("the other file"), b"precious");
    assert_eq!(report(&lax).0, 3);
    assert_eq!(fs::metadata(&lax).expect("the report").permissions().mode() & 0o777, 0o600);
}
