//! The commands, each as a process of its own.

use std::{fmt::Write, fs};

use super::binary::{Directory, raccord, run, run_with_input};
use crate::common::{EventRow, TestPortal};

const HEAD: &str = "TypeIdentifiant;Identifiant;RaisonSociale;EmetteurEdi;RecepteurEdi;GestionStatutMiseEnPaiement;GestionEngagement;\
GestionService;GestionServiceEngagement;EstMOA;EstMOAUniquement;StructureActive;Adresse;ComplementAdresse1;ComplementAdresse2;\
CodePostal;Ville;NumTelephone;Courriel;CodePays;LibellePays\n";

/// A SIRET that passes Luhn.
pub fn siret(number: u32) -> String {
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
        &["user", "--help"],
        &["user", "list", "--help"],
        &["user", "show", "--help"],
        &["user", "invite", "--help"],
        &["user", "disable", "--help"],
        &["user", "enable", "--help"],
        &["user", "sign-out", "--help"],
        &["technical-user", "--help"],
        &["technical-user", "list", "--help"],
        &["technical-user", "show", "--help"],
        &["technical-user", "suspend", "--help"],
        &["technical-user", "reactivate", "--help"],
        &["technical-user", "expire", "--help"],
        &["structure", "list", "--help"],
        &["structure", "show", "--help"],
        &["structure", "appoint", "--help"],
        &["stats", "--help"],
        &["doctor", "--help"],
        &["service", "--help"],
        &["service", "add", "--help"],
        &["service", "list", "--help"],
        &["service", "rotate", "--help"],
        &["service", "disable", "--help"],
        &["service", "enable", "--help"],
        &["service", "remove", "--help"],
        &["signing-key", "list", "--help"],
        &["signing-key", "rotate", "--help"],
        &["signing-key", "replace", "--help"],
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

#[tokio::test(flavor = "multi_thread")]
async fn the_demonstration_has_an_account_that_an_integrator_knows_and_a_restricted_one() {
    let portal = TestPortal::start().await;
    let directory = Directory::create();
    let data = directory.path().to_str().expect("text");
    let settings = [("DATABASE_URL", portal.database_url()), ("RACCORD_DATA_DIR", data)];
    let (code, _, told) = run(&mut raccord(&["demo"], &settings));
    assert_eq!(code, 0, "{told}");
    let credentials = fs::read_to_string(directory.path().join("demo-credentials.json")).expect("sign-in data");
    let credentials: serde_json::Value = serde_json::from_str(&credentials).expect("JSON");
    let of_manager = |name: &str| credentials["accounts"][0][name].as_str().expect("text").to_owned();
    let browser = portal.browser();
    let typed = [("identifiant", &of_manager("login")[..]), ("mot-de-passe", &of_manager("password"))];
    assert_eq!(browser.post("/connexion", &typed).await.location(), "/");
    let opened = portal.audit_events_of("HANDOVER_OPENED").await;
    let made = portal.details_of("HANDOVER_MADE").await;
    assert!(opened.len() == 1 && opened[0].actor == "porteur du lien de remise", "{}", opened.len());
    assert!(made.len() == 1 && made[0].starts_with("À «\u{202f}Atelier numérique"), "{made:?}");
    let restricted = portal.audit_events_of("RESTRICTIONS_CHANGED").await;
    let page = async |event: &EventRow| {
        browser.open(&format!("/utilisateurs-techniques/{}", event.technical_user_id.expect("an account"))).await
    };
    page(&opened[0]).await.assert_says("Connu d’un intégrateur");
    let page = page(&restricted[0]).await;
    assert_eq!(page.fact("Réseaux autorisés"), "198.51.100.0/24");
    assert!(page.fact("Structures").contains('2'), "{}", page.fact("Structures"));
    assert!(
        restricted[0].detail.ends_with(')') && restricted[0].detail.contains("2 choisies ("),
        "{}",
        restricted[0].detail
    );
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

/// `import structures` of these bytes, with further arguments.
fn import_bytes(portal: &TestPortal, directory: &Directory, bytes: &[u8], further: &[&str]) -> (i32, String) {
    let file = directory.file("annuaire.csv", bytes);
    let arguments = [&["import", "structures", file.to_str().expect("a path of text")], further].concat();
    let (code, _, told) = run(&mut raccord(&arguments, &[("DATABASE_URL", portal.database_url())]));
    (code, told)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_directory_is_read_in_each_form_in_which_spreadsheets_save_it() {
    let portal = TestPortal::start().await;
    let directory = Directory::create();
    let text =
        |n: u32| format!("sep=;\r\nTYPE IDENTIFIANT;Identifiant;Raison sociale\r\n1;{};Évreux {n}\r\n;;\r\n", siret(n));
    let utf_16 = |text: &str| -> Vec<u8> {
        "\u{feff}".encode_utf16().chain(text.encode_utf16()).flat_map(u16::to_le_bytes).collect()
    };
    let files = [
        text(1).into_bytes(),
        utf_16(&text(2)),
        // Excel's « Texte Unicode ».
        utf_16(&text(3).replace("sep=;\r\n", "").replace(';', "\t")),
        text(4).replace("\r\n", "\r").into_bytes(),
        text(5).replace("sep=;", "sep=,").replace(';', ",").into_bytes(),
    ];
    for (place, bytes) in files.iter().enumerate() {
        let (code, told) = import_bytes(&portal, &directory, bytes, &[]);
        assert!(code == 0 && told.contains("1 created"), "file {place}: {told}");
    }
    let mut names = portal.designations().await;
    names.sort();
    assert_eq!(names, (1..=5).map(|n| format!("Évreux {n}")).collect::<Vec<_>>());
    for (bytes, named) in
        [(&b"PK\x03\x04\0\0"[..], ".xlsx"), (b"Code|Nom\n1|x\n", "names \"Code|Nom\" (columns are separated by `;`)")]
    {
        let (code, told) = import_bytes(&portal, &directory, bytes, &[]);
        assert!(code == 1 && told.contains(named), "{told}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_directory_in_another_encoding_is_noticed_and_not_loaded() {
    let portal = TestPortal::start().await;
    let directory = Directory::create();
    // « Nérac », « Église » and a name without accents, as an old Mac writes them.
    let lines = [(1, &b"Mairie de N\x8erac"[..]), (2, b"\x83glise"), (3, b"Rennes")];
    let mut bytes = b"TypeIdentifiant;Identifiant;RaisonSociale\n".to_vec();
    for (number, name) in lines {
        bytes.extend(format!("1;{};", siret(number)).bytes().chain(name.iter().copied()).chain(*b"\n"));
    }
    let (code, told) = import_bytes(&portal, &directory, &bytes, &[]);
    assert!(code == 3 && told.contains("1 created") && told.contains("2 bad"), "{told}");
    assert_eq!(told.matches("another encoding").count(), 2, "{told}");
    assert_eq!(portal.designations().await, ["Rennes"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn identifiers_are_loaded_in_one_form_however_they_are_written() {
    let portal = TestPortal::start().await;
    let directory = Directory::create();
    let rows = [
        ("3", "CHSOCIÉTÉ ROMANDE", "Société Romande"),
        ("3", "GBMARKS & SPENCER", "M and S"),
        ("4", "0123456.001", "Nouméa un"),
        ("2", "be0403170701", "Bruxelles minuscules"),
        ("2", "BE 0403.170.701", "Bruxelles capitales, la même"),
        ("5", "E80208-001", "Papeete tiret"),
        ("5", "E80208 001", "Papeete espace, la même"),
        ("1", "217.500.016.00019", "Paris"),
    ];
    // As an import of before had it, without the space.
    portal
        .execute(
            "INSERT INTO structures (identifier_type, identifier, designation) VALUES ('HORS_UE', 'USACMEINC', 'Acme')",
        )
        .await;
    let lines = rows.iter().map(|(kind, identifier, name)| format!("{kind};{identifier};{name}\n"));
    let text =
        "TypeIdentifiant;Identifiant;RaisonSociale\n".to_owned() + &lines.collect::<String>() + "3;USACME INC;Acme\n";
    let (code, told) = import_bytes(&portal, &directory, text.as_bytes(), &[]);
    assert!(code == 0 && told.contains("6 created") && told.contains("0 bad"), "{told}");
    let stored = portal
        .texts("SELECT identifier || ' ' || designation FROM structures ORDER BY identifier COLLATE \"C\"", &[])
        .await;
    assert_eq!(
        stored,
        [
            "0123456001 Nouméa un",
            "21750001600019 Paris",
            "BE0403170701 Bruxelles capitales, la même",
            "CHSOCIÉTÉ ROMANDE Société Romande",
            "E80208001 Papeete espace, la même",
            "GBMARKS & SPENCER M and S",
            "USACME INC Acme",
        ]
    );
    assert_eq!(portal.details_of("STRUCTURE_EDITED").await, ["identifiant : USACMEINC → USACME INC"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_refused_is_written_with_the_reason_and_loads_once_mended() {
    let portal = TestPortal::start().await;
    let directory = Directory::create();
    let text = HEAD.to_owned()
        + &line(&siret(1), "Rennes")
        + &line(&siret(2), "Fougères;de trop")
        + &line("12345678901234", "Vitré \"Ouest\"")
        + &line(&siret(4), "Redon").replace("mairie@exemple.fr", "Néant").replace("1 rue de l’Église", "+1 rue")
        + "1;\"jamais fermé\n";
    let report = directory.path().join("refus.csv");
    let arguments = ["--strict", "--report", report.to_str().expect("a path of text")];
    let (code, told) = import_bytes(&portal, &directory, text.as_bytes(), &arguments);
    assert!(code == 3 && told.contains("1 created") && told.contains("4 bad") && told.contains("refus.csv"), "{told}");
    let refused = std::fs::read_to_string(&report).expect("the report");
    assert!(refused.starts_with("\u{feff}Ligne;Motif;TypeIdentifiant;Identifiant;"), "{refused}");
    for said in [
        "\n3;the line has 22 fields",
        "\n4;",
        "control digit is wrong",
        "\n5;",
        "Courriel is ",
        ";'+1 rue;",
        "\n6;a quote is opened",
    ] {
        assert!(refused.contains(said), "{said}: {refused}");
    }
    // The file to import is never written.
    let (code, told) = import_bytes(
        &portal,
        &directory,
        text.as_bytes(),
        &["--report", directory.path().join("annuaire.csv").to_str().expect("text")],
    );
    assert!(code == 1 && told.contains("it is the file to import"), "{told}");
    // Mended there, and imported as it is: only what still is wrong remains.
    let mended = refused.replace("12345678901234", &siret(3)).replace("Néant", "");
    let (code, told) = import_bytes(&portal, &directory, mended.as_bytes(), &arguments);
    assert!(code == 3 && told.contains("2 created") && told.contains("2 bad"), "{told}");
    let mut names = portal.designations().await;
    names.sort();
    assert_eq!(names, ["Redon", "Rennes", "Vitré \"Ouest\""]);
    let again = std::fs::read_to_string(&report).expect("the report");
    assert_eq!(again.matches("Motif").count(), 1, "{again}");
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
async fn a_person_is_invited_and_a_wrong_address_is_refused() {
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
async fn the_operator_replaces_the_address_of_a_known_person_only_on_request() {
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
async fn a_leaked_password_is_reported_by_login_while_it_is_valid() {
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
    let directory = Directory::create();
    let file = directory.file("fuite.txt", leaked.as_bytes());
    let named = ["secret", "check", file.to_str().expect("a path of text")];
    let (code, told, _) = run(&mut raccord(&named, &[("DATABASE_URL", portal.database_url())]));
    assert_eq!((code, told), (3, format!("{login}\n")));
    let (code, told, _) = check(&format!("{other} {password}"));
    assert_eq!((code, told.lines().count()), (3, 2));
    // A replaced password is not reported.
    let page = browser.open(&format!("/utilisateurs-techniques/{id}")).await;
    browser.submit(&page, &format!("/utilisateurs-techniques/{id}/mot-de-passe"), &[]).await.location();
    assert_eq!(check(&leaked), (0, String::new(), String::new()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_second_factor_is_removed_by_the_operator_and_mailed() {
    let portal = TestPortal::start().await;
    let (manager, _) = portal.manager().await;
    let browser = portal.signed_in(&manager).await;
    let key = crate::identity::enrol(&portal, &browser).await.0;
    let reset = |login: &str| {
        let command = &mut raccord(&["user", "reset-mfa", login], &[("DATABASE_URL", portal.database_url())]);
        run(command)
    };
    let (code, _, told) = reset("personne@exemple.fr");
    assert!(code == 2 && told.contains("personne@exemple.fr: no person has this login"), "{code} {told}");
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

/// A command on the portal's database, with a key file of its own.
fn on(portal: &TestPortal, directory: &Directory, arguments: &[&str]) -> (i32, String, String) {
    let keys = directory.path().join("secret.key");
    let keys = keys.to_str().expect("a path of text");
    let settings = [("DATABASE_URL", portal.database_url()), ("RACCORD_SECRET_KEY_FILE", keys)];
    run(&mut raccord(arguments, &settings))
}

fn secret_in(told: &str) -> String {
    let secret = told.lines().find_map(|line| line.strip_prefix("secret: ")).expect("a secret");
    assert!(raccord::domain::service::is_secret(secret));
    secret.to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_is_added_rotated_disabled_and_removed_and_its_secret_shown_once() {
    let portal = TestPortal::start().await;
    let directory = Directory::create();
    let run = |arguments: &[&str]| on(&portal, &directory, arguments);
    let (code, told, errors) = run(&["service", "add", "factures", "--audience", "https://api.example/factures"]);
    assert_eq!(code, 0, "{errors}");
    let first = secret_in(&told);
    let id = told.lines().find_map(|line| line.strip_prefix("id: ")).expect("an id").to_owned();
    assert_eq!(told.lines().count(), 2);
    assert!(!errors.contains(&first) && errors.lines().count() == 1, "{errors}");
    let jwt =
        ["service", "add", "annuaire", "--audience", "https://api.example/annuaire", "--jwt", "--require-audience"];
    assert_eq!(run(&jwt).0, 0);
    let (_, list, _) = run(&["service", "list"]);
    let expected = format!("factures {id} https://api.example/factures opaque 900s enabled");
    let lines: Vec<&str> = list.lines().collect();
    assert!(lines[0].ends_with("https://api.example/annuaire jwt 300s enabled requires-audience"), "{list}");
    assert_eq!(lines[1], expected);
    let (_, json, _) = run(&["service", "list", "--json"]);
    let json: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!((&json[1]["id"], &json[0]["jwt"]), (&id.clone().into(), &true.into()));
    let (code, told, errors) = run(&["service", "rotate", "factures", "--keep", "24h"]);
    assert_eq!((code, told.lines().count()), (0, 1), "{errors}");
    assert_ne!(secret_in(&told), first);
    assert!(run(&["service", "list"]).1.contains("old-secret-until="));
    // A leaked secret is told by its service while it works.
    let check = || {
        run_with_input(&mut raccord(&["secret", "check"], &[("DATABASE_URL", portal.database_url())]), first.as_bytes())
    };
    assert_eq!(check().1, "service factures\n");
    for act in ["disable", "disable", "enable", "remove"] {
        let (code, told, errors) = run(&["service", act, "factures"]);
        assert_eq!((code, told.as_str(), errors.lines().count()), (0, "", 1), "{act}: {errors}");
    }
    assert_eq!(check().1, "");
    let by = ["service", "disable", "annuaire", "--by", "Zoé Petit"];
    assert_eq!(run(&by).0, 0);
    let events = portal
        .texts(
            "SELECT action || ' ' || actor || ' ' || subject || ' ' || detail FROM audit_events
                                WHERE action LIKE 'SERVICE%' ORDER BY id",
            &[],
        )
        .await;
    let expected = [
        "SERVICE_ADDED opérateur factures https://api.example/factures",
        "SERVICE_ADDED opérateur annuaire https://api.example/annuaire",
        "SERVICE_SECRET_ROTATED opérateur factures l’ancien secret reste accepté 1440 minutes",
        "SERVICE_DISABLED opérateur factures ",
        "SERVICE_ENABLED opérateur factures ",
        "SERVICE_REMOVED opérateur factures ",
        "SERVICE_DISABLED opérateur (Zoé Petit) annuaire ",
    ];
    assert_eq!(events, expected);
    assert_eq!(run(&["audit", "verify"]).0, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_service_is_refused_in_one_line() {
    let portal = TestPortal::start().await;
    let directory = Directory::create();
    let run = |arguments: &[&str]| on(&portal, &directory, arguments);
    let url = "https://api.example/factures";
    assert_eq!(run(&["service", "add", "factures", "--audience", url]).0, 0);
    for (arguments, says) in [
        (&["service", "add", "Factures", "--audience", "https://x.example"][..], "\"Factures\": a name has"),
        (&["service", "add", "factures", "--audience", "https://x.example"], "another service has this name"),
        (&["service", "add", "autre", "--audience", url], "another service has it"),
        (&["service", "add", "autre", "--audience", "factures"], "--audience \"factures\": an audience is"),
        (&["service", "add", "autre", "--audience", "http://127.0.0.1:8080"], "this portal's own URL"),
        (
            &["service", "add", "autre", "--audience", "https://x", "--token-seconds", "x"],
            "--token-seconds \"x\": the seconds",
        ),
        (
            &["service", "add", "autre", "--audience", "https://x", "--jwt", "--token-seconds", "900"],
            "300 at most for a JWT",
        ),
        (&["service", "rotate", "factures", "--keep", "demain"], "--keep \"demain\": a duration is"),
        (&["service", "rotate", "autre"], "autre: no service has this name"),
        (&["service", "remove", "autre"], "autre: no service has this name"),
    ] {
        let (code, told, errors) = run(arguments);
        assert_eq!((code, told.as_str(), errors.lines().count()), (2, "", 1), "{arguments:?}: {errors}");
        assert!(errors.contains(says), "{arguments:?}: {errors}");
    }
    assert_eq!(portal.count("services").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn signing_keys_are_made_rotated_and_replaced() {
    let portal = TestPortal::start().await;
    let directory = Directory::create();
    let run = |arguments: &[&str]| on(&portal, &directory, arguments);
    let list = || run(&["signing-key", "list"]).1;
    let id = |line: &str| line.split(' ').next().expect("an id").to_owned();
    assert_eq!(list(), "");
    assert_eq!(run(&["service", "add", "a", "--audience", "https://a.example", "--jwt"]).0, 0);
    let made = list();
    let states: Vec<&str> = made.lines().filter_map(|line| line.split(' ').nth(1)).collect();
    assert_eq!(states, ["current", "next"]);
    let json: serde_json::Value = serde_json::from_str(&run(&["signing-key", "list", "--json"]).1).expect("JSON");
    assert_eq!((&json[0]["state"], &json[1]["state"]), (&"current".into(), &"next".into()));
    // A second one has the same keys.
    assert_eq!(run(&["service", "add", "b", "--audience", "https://b.example", "--jwt"]).0, 0);
    assert_eq!(list(), made);
    let (code, _, errors) = run(&["signing-key", "rotate"]);
    let next = id(made.lines().nth(1).expect("two keys"));
    assert_eq!((code, errors.as_str()), (0, format!("{next} signs from now on\n").as_str()));
    assert_eq!((id(&list()), list().lines().count()), (next, 3));
    // Under another key file nothing opens; only new keys help.
    std::fs::remove_file(directory.path().join("secret.key")).expect("the key file");
    let (code, _, errors) = run(&["signing-key", "rotate"]);
    assert!(code == 2 && errors.contains("signing-key replace") && errors.lines().count() == 1, "{errors}");
    assert_eq!(run(&["signing-key", "replace"]).0, 0);
    assert_eq!((list().lines().count(), run(&["signing-key", "rotate"]).0), (2, 0));
    let acts = portal.texts("SELECT action FROM audit_events WHERE action LIKE 'SIGNING%' ORDER BY id", &[]).await;
    let expected = ["SIGNING_KEYS_MADE", "SIGNING_KEYS_ROTATED", "SIGNING_KEYS_REPLACED", "SIGNING_KEYS_ROTATED"];
    assert_eq!(acts, expected);
}

/// No instance would open what is sealed under a key that a command has made.
#[tokio::test(flavor = "multi_thread")]
async fn no_command_makes_a_key_file_where_the_database_knows_another() {
    let portal = TestPortal::start().await;
    let directory = Directory::create();
    let (manager, _) = portal.manager().await;
    crate::identity::enrol(&portal, &portal.signed_in(&manager).await).await;
    for arguments in [
        &["service", "add", "a", "--audience", "https://a.example", "--jwt"][..],
        &["signing-key", "rotate"],
        &["signing-key", "replace"],
    ] {
        let (code, _, errors) = on(&portal, &directory, arguments);
        assert!(code == 1 && errors.contains("has none of the keys"), "{arguments:?}: {code} {errors}");
        assert!(!directory.path().join("secret.key").exists(), "{arguments:?}");
    }
    assert_eq!((portal.count("services").await, portal.count("signing_keys").await), (0, 0));
}
