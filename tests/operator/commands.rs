//! The commands, each as a process of its own.

use std::fmt::Write;

use super::binary::{Directory, raccord, run, run_with_input};
use crate::common::TestPortal;

const HEAD: &str = "TypeIdentifiant;Identifiant;RaisonSociale;EmetteurEdi;RecepteurEdi;GestionStatutMiseEnPaiement;GestionEngagement;\
GestionService;GestionServiceEngagement;EstMOA;EstMOAUniquement;StructureActive;Adresse;ComplementAdresse1;ComplementAdresse2;\
CodePostal;Ville;NumTelephone;Courriel;CodePays;LibellePays\n";

/// A SIRET that passes Luhn.
fn siret(number: u32) -> String {
    let base = format!("{:013}", u64::from(number) + 1_000_000_000_000);
    let sum: u32 = base
        .bytes()
        .rev()
        .enumerate()
        .map(|(place, digit)| (place, u32::from(digit - b'0')))
        .map(|(place, digit)| if place % 2 == 1 { digit } else { digit * 2 / 10 + digit * 2 % 10 })
        .sum();
    format!("{base}{}", (10 - sum % 10) % 10)
}

fn line(siret: &str, name: &str) -> String {
    format!(
        "1;{siret};{name};true;1;O;Non;0;false;N;0;true;1 rue de l’Église;;;35000;Rennes;;mairie@exemple.fr;FR;FRANCE\n"
    )
}

#[test]
fn help_tells_a_stranger_what_each_command_does() {
    for command in [
        &["--help"][..],
        &["serve", "--help"],
        &["migrate", "--help"],
        &["import", "structures", "--help"],
        &["import", "managers", "--help"],
        &["user", "invite", "--help"],
        &["secret", "check", "--help"],
        &["user", "reset-mfa", "--help"],
        &["audit", "verify", "--help"],
        &["demo", "--help"],
    ] {
        let (code, told, _) = run(&mut raccord(command, &[]));
        assert!(code == 0 && told.contains("Usage: raccord"), "{command:?}: {told}");
    }
    let (code, _, told) = run(&mut raccord(&["improt"], &[]));
    assert!(code == 2 && told.contains("import"), "{told}");
}

#[test]
fn a_wrong_setting_stops_the_start_with_one_line_that_names_it() {
    for (name, value) in [
        ("RACCORD_LISTEN", "partout"),
        ("RACCORD_PASSWORD_LIFETIME_DAYS", "-1"),
        ("RACCORD_STRICT_SIRET", "peut-être"),
        ("RACCORD_MAX_TECHNICAL_USERS", "0"),
        ("RACCORD_PUBLIC_URL", "raccord"),
        ("RACCORD_SMTP_URL", "ftp://x"),
        ("RACCORD_TRUSTED_PROXIES", "proxy"),
        ("DATABASE_URL", "mysql://x"),
        ("RACCORD_PG_BIN", "/nonexistent"),
    ] {
        let directory = Directory::create();
        let data = directory.path().to_str().expect("a path of text");
        let (code, _, told) = run(&mut raccord(&["serve"], &[("RACCORD_DATA_DIR", data), (name, value)]));
        assert!(code != 0, "{name}={value} is accepted");
        let said: Vec<_> = told.lines().filter(|line| line.contains(name)).collect();
        assert_eq!(said.len(), 1, "{name}={value}: {told}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_loads_what_is_good_and_reports_what_is_not_and_can_be_run_again() {
    let portal = TestPortal::start().await;
    let directory = Directory::create();
    let mut text = format!("\u{feff}{HEAD}");
    for number in 0..1_000 {
        match number {
            // One line in a hundred is broken, each in its way.
            n if n % 300 == 100 => text.push_str(&line("12345678901234", "Clé fausse")),
            n if n % 300 == 200 => text.push_str(&line(&siret(n), "")),
            n if n % 300 == 0 => writeln!(text, "9;{};Type inconnu", siret(n)).expect("a text grows"),
            n => text.push_str(&line(&siret(n), &format!("Commune n° {n}"))),
        }
    }
    let file = directory.file("annuaire.csv", text.as_bytes());
    let import = || {
        let file = file.to_str().expect("a path of text");
        run(&mut raccord(&["import", "structures", file], &[("DATABASE_URL", portal.database_url())]))
    };
    let (code, _, told) = import();
    assert_eq!(code, 3, "{told}");
    let bad: Vec<u32> =
        told.lines().filter_map(|line| line.strip_prefix("line ")?.split(':').next()?.parse().ok()).collect();
    let expected: Vec<u32> = (0..10).map(|hundred| hundred * 100 + 2).collect();
    assert_eq!(bad, expected, "{told}");
    assert!(told.contains("990 created, 0 updated, 0 unchanged, 10 bad"), "{told}");
    assert_eq!(portal.count("structures").await, 990);
    let (_, _, again) = import();
    assert!(again.contains("0 created, 0 updated, 990 unchanged, 10 bad"), "{again}");
    assert_eq!(portal.count("structures").await, 990);

    // The same in Windows-1252, with a name that has changed.
    let renamed = format!("{HEAD}1;{};Commune d'Évreux;;;;;;;;;;;;;;;;;;\n", siret(1));
    let latin: Vec<u8> = renamed.chars().map(|c| u8::try_from(u32::from(c)).expect("a Latin letter")).collect();
    let file = directory.file("latin.csv", &latin);
    let (code, _, told) = run(&mut raccord(
        &["import", "structures", file.to_str().expect("a path of text")],
        &[("DATABASE_URL", portal.database_url())],
    ));
    assert!(code == 0 && told.contains("1 updated"), "{told}");
    let mut names = portal.designations().await;
    names.retain(|name| name.ends_with("vreux"));
    assert_eq!(names, ["Commune d'Évreux"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn managers_are_imported_invited_and_replaced() {
    let portal = TestPortal::start().await;
    let directory = Directory::create();
    let structure = portal.structure("Ville de Rennes").await;
    let head = "Identifiant;Nom;Prenom;AdresseContact;TypeIdentifiantStructure;IdentifiantStructure;Role\n";
    let row = |login: &str, role: &str| format!("{login};Martin;Anne;{login};SIRET;{};{role}\n", structure.identifier);
    let import = |text: String| {
        let file = directory.file("gestionnaires.csv", text.as_bytes());
        let arguments = ["import", "managers", file.to_str().expect("a path of text")];
        run(&mut raccord(&arguments, &[("DATABASE_URL", portal.database_url())]))
    };
    let first =
        head.to_owned() + &row("anne@rennes.example", "GESTIONNAIRE_PRINCIPAL") + &row("b@rennes.example", "CHEF");
    let (code, _, told) = import(first);
    assert_eq!(code, 3, "{told}");
    assert!(told.contains("line 3"), "{told}");
    assert_eq!(portal.mails().await, ["anne@rennes.example invitation"]);
    assert_eq!(portal.principal_managers().await, ["anne@rennes.example"]);
    let (code, _, told) = import(head.to_owned() + &row("berthe@rennes.example", "GESTIONNAIRE_PRINCIPAL"));
    assert_eq!(code, 0, "{told}");
    assert_eq!(portal.principal_managers().await, ["berthe@rennes.example"]);
    assert_eq!(portal.roles().await, ["SECONDARY_MANAGER", "PRINCIPAL_MANAGER"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_is_invited_and_a_wrong_address_is_told() {
    let portal = TestPortal::start().await;
    let invite = |contact: &str| {
        let arguments = [
            "user",
            "invite",
            "--login",
            "claire@ville.example",
            "--last-name",
            "Fontaine",
            "--first-name",
            "Claire",
            "--contact",
            contact,
        ];
        run(&mut raccord(&arguments, &[("DATABASE_URL", portal.database_url())]))
    };
    let (code, _, told) = invite("pas une adresse");
    assert!(code == 2 && !told.is_empty(), "{code} {told}");
    assert_eq!(invite("claire@ville.example").0, 0);
    assert_eq!(portal.mails().await, ["claire@ville.example invitation"]);
}

/// Where a thief has confirmed an address of their own, the operator gives the owner theirs back.
#[tokio::test(flavor = "multi_thread")]
async fn the_operator_replaces_the_address_of_a_known_person_only_when_told_to() {
    let portal = TestPortal::start().await;
    let (manager, structure) = portal.manager().await;
    let invite = |further: &[&str]| {
        let mut arguments = vec!["user", "invite", "--login", &manager.login, "--last-name", "M", "--first-name", "C"];
        arguments.extend(["--contact", "retrouvee@ville.example"]);
        arguments.extend(further);
        run(&mut raccord(&arguments, &[("DATABASE_URL", portal.database_url())]))
    };
    let (code, _, told) = invite(&[]);
    assert!(code == 0 && told.contains("--replace-address"), "{code} {told}");
    assert_eq!(portal.contact_address_of(&manager).await, manager.contact_address);
    assert_eq!(portal.mails().await, [format!("{} invitation", manager.contact_address)]);
    let (code, _, told) = invite(&["--replace-address"]);
    assert_eq!(code, 0, "{told}");
    assert_eq!(portal.contact_address_of(&manager).await, "retrouvee@ville.example");
    let mails = portal.mails().await;
    assert_eq!(
        mails[1..],
        [
            format!("{} contact_address_changed", manager.contact_address),
            "retrouvee@ville.example invitation".to_owned()
        ]
    );
    let events = portal.audit_events_of("CONTACT_ADDRESS_CHANGED").await;
    let places: Vec<_> = events.iter().map(|event| (event.actor.as_str(), event.structure_id)).collect();
    assert_eq!(places, [("opérateur", None), ("opérateur", Some(structure.id))]);
    // The address before is no way back any more.
    let browser = portal.browser();
    browser.post("/mot-de-passe-oublie", &[("identifiant", &manager.contact_address)]).await.location();
    assert_eq!(portal.mails_of("password_forgotten").await.len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leaked_password_is_told_by_its_login_as_long_as_it_is_good() {
    let portal = TestPortal::start().await;
    let (manager, structure) = portal.manager().await;
    let browser = portal.signed_in(&manager).await;
    let (id, _, password) = portal.create_and_show(&browser, structure.id, "ERP").await;
    let (_, _, other) = portal.create_and_show(&browser, structure.id, "Paie").await;
    let login = portal.login_of(id).await;
    let check = |text: &str| {
        let command = &mut raccord(&["secret", "check"], &[("DATABASE_URL", portal.database_url())]);
        run_with_input(command, text.as_bytes())
    };
    let leaked = format!("diff --git a/odoo.conf\n+password = \"{password}\"\n-{password}x{password}\n");
    let (code, told, errors) = check(&leaked);
    assert_eq!((code, told.as_str()), (3, format!("{login}\n").as_str()), "{errors}");
    assert!(!errors.contains(&password));
    let mistyped = password.replace("rcd_", "rcd_2");
    assert_eq!(check(&format!("rien ici, ni {mistyped} ni rcd_")).0, 0);
    let (code, told, _) = check(&format!("{other} {password}"));
    assert_eq!((code, told.lines().count()), (3, 2));
    // A replaced password is not reported.
    let page = browser.open(&format!("/utilisateurs-techniques/{id}")).await;
    browser.submit(&page, &format!("/utilisateurs-techniques/{id}/mot-de-passe"), &[]).await.location();
    assert_eq!(check(&leaked), (0, String::new(), String::new()));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_has_lost_the_second_factor_is_let_in_without_it_and_told() {
    let portal = TestPortal::start().await;
    let (manager, _) = portal.manager().await;
    let browser = portal.signed_in(&manager).await;
    let key = crate::identity::enrol(&portal, &browser).await.0;
    let reset = |login: &str| {
        let command = &mut raccord(&["user", "reset-mfa", login], &[("DATABASE_URL", portal.database_url())]);
        run(command)
    };
    let (code, _, told) = reset("personne@exemple.fr");
    assert!(code == 2 && told.contains("personne@exemple.fr: nobody has this login"), "{code} {told}");
    assert_eq!(browser.get("/mon-compte").await.status, 200);
    let (code, _, told) = reset(&manager.login.to_uppercase());
    assert!(code == 0 && told.contains(&manager.login) && !told.contains(&key), "{code} {told}");
    assert!(browser.get("/mon-compte").await.location().starts_with("/connexion"), "open sessions are closed");
    // The password alone opens again, and neither key nor recovery codes are left.
    portal.signed_in(&manager).await;
    assert_eq!((portal.count("second_factors").await, portal.count("recovery_codes").await), (0, 0));
    let events = portal.audit_events_of("SECOND_FACTOR_RESET").await;
    let events: Vec<_> =
        events.iter().map(|event| format!("{} {} {}", event.actor, event.address, event.subject)).collect();
    assert_eq!(events, [format!("opérateur ligne de commande {}", manager.login)]);
    let mail = portal.mails_of("second_factor_changed").await.pop().expect("a mail");
    let change = mail.notice["change"].as_str().expect("a change").to_lowercase();
    assert_eq!((mail.recipient, change.as_str()), (manager.contact_address.clone(), "reset"));
    let (code, _, told) = reset(&manager.login);
    assert!(code == 2 && told.contains("has no second factor"), "{code} {told}");
}
