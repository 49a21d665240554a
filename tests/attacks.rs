//! Attacks that belong to no single journey. Each was tried by hand first. Attacks on one journey
//! are in that journey's file.

use std::{fs, path::Path};

use jiff::Span;
use raccord::domain::{role::Role, technical_user::TechnicalUserStatus};

use crate::common::{Call, HEALTH, MEMBERSHIPS, PASSWORD, Person, TestPortal, cpro_account, files_below, together};

const NEW_PASSWORD: &str = "trois moulins sur la colline";
const MARKUP: &str = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>{{7*7}}";

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_many_uses_of_one_link_at_once_one_chooses_the_password() {
    let portal = TestPortal::start().await;
    let sacha = portal.person("Sacha").await;
    let link = portal.invitation(&sacha).await;
    let answers = together(8, |number| {
        let (browser, link) = (portal.browser(), link.clone());
        async move {
            let password = format!("{NEW_PASSWORD} {number}");
            browser.post(&link, &[("nouveau-mot-de-passe", &password)]).await.status.as_u16()
        }
    })
    .await;
    assert_eq!(answers.iter().filter(|status| **status == 303).count(), 1, "{answers:?}");
    assert_eq!(portal.events_of("PASSWORD_CHOSEN").await, 1);
}

#[tokio::test]
async fn no_header_of_a_request_reaches_a_link_or_a_mail() {
    let portal = TestPortal::start().await;
    let (manager, structure) = portal.manager().await;
    let browser = portal.signed_in(&manager).await;
    let poisoned = |call: Call| {
        ["host", "x-forwarded-host", "x-host", "x-forwarded-server", "x-original-url", "x-rewrite-url", "forwarded"]
            .into_iter()
            .fold(call, |call, name| {
                call.with(name, if name == "forwarded" { "host=ailleurs.example" } else { "ailleurs.example" })
            })
    };
    for path in ["/connexion", "/activites", "/mon-compte", "/documentation-api", "/activites/echeances.ics", "/aucune"]
    {
        let answer = browser.send(poisoned(Call::get(path))).await;
        assert!(!answer.body_text().contains("ailleurs.example"), "{path}");
        assert!(!format!("{:?}", answer.headers).contains("ailleurs.example"), "{path}");
    }
    browser
        .send(poisoned(Call::post_form("/mot-de-passe-oublie", &[("identifiant", &manager.login)])))
        .await
        .location();
    let form = browser.open(&format!("/structures/{}/utilisateurs-techniques/nouveau", structure.id)).await;
    let fields = [("jeton", form.field("jeton")), ("libelle", "Paie".into())];
    let fields: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let action = format!("/structures/{}/utilisateurs-techniques", structure.id);
    let location = browser.send(poisoned(Call::post_form(&action, &fields))).await.location();
    assert!(location.starts_with("/utilisateurs-techniques/"), "{location}");
    assert!(portal.outbox().await.iter().all(|mail| !mail.notice.to_string().contains("ailleurs")));
}

#[tokio::test]
async fn what_is_typed_anywhere_is_markup_nowhere() {
    let portal = TestPortal::start().await;
    let (manager, structure) = portal.manager().await;
    let member = portal.person("Lou").await;
    portal.attach(&member, &structure, Role::User).await;
    let browser = portal.signed_in(&manager).await;
    let (account, _, password) = portal.create_and_show(&browser, structure.id, MARKUP).await;
    let login = portal.login_of(account).await;
    assert_eq!(portal.labels().await, [MARKUP], "kept as it was typed");
    // The manager sees the caller's software and failed sign-ins.
    let access = cpro_account(&login, &password);
    let call = Call::get(HEALTH).with("cpro-account", &access).with("user-agent", MARKUP);
    assert_eq!(browser.send(call).await.status, 200);
    browser
        .send(Call::post_form("/connexion", &[("identifiant", MARKUP), ("mot-de-passe", MARKUP)]))
        .await
        .refusal(422);
    // Also where only imports of the operator write.
    portal.write_everywhere(MARKUP, &member).await;
    let request = portal.membership_request(&portal.person("Noa").await, &structure).await;
    assert!(request > 0);
    let (structure, account) = (structure.id, account);
    let membership = portal.membership_of(&member).await;
    for path in [
        "/activites".to_owned(),
        format!("/activites?recherche={}", form_urlencoded::byte_serialize(MARKUP.as_bytes()).collect::<String>()),
        "/activites/utilisateurs-techniques".into(),
        "/mon-compte".into(),
        format!("/structures/{structure}"),
        format!("/structures/{structure}/historique"),
        format!("/structures/{structure}/gestionnaire-principal?membre={}", member.id),
        format!("/structures/{structure}/utilisateurs-techniques/nouveau"),
        format!("/utilisateurs-techniques/{account}"),
        format!("/utilisateurs-techniques/{account}/recapitulatif"),
        format!("/utilisateurs-techniques/{account}/mot-de-passe"),
        format!("/utilisateurs-techniques/{account}/suppression"),
        format!("/rattachements/{membership}/role"),
        format!("/rattachements/{membership}/retrait"),
        format!("/rattachements/{membership}/retraits"),
    ] {
        let answer = browser.get(&path).await;
        let text = answer.body_text();
        assert_eq!(answer.status, 200, "{path}");
        for raw in ["<script>alert", "<img src=x", "\"'><"] {
            assert!(!text.contains(raw), "{path} shows {raw}");
        }
        // The page shows it, escaped once.
        assert!(text.contains("&#60;script&#62;alert(1)") && text.contains("{{7*7}}"), "{path} does not show it");
        assert!(!text.contains("&#38;#60;") && !text.contains("&amp;#60;"), "{path} escapes twice");
    }
    let search = r#"{"parametresRecherche":{}}"#;
    let call = Call::post(MEMBERSHIPS, search).with("content-type", "application/json").with("cpro-account", &access);
    let memberships = browser.send(call).await.json();
    assert_eq!(memberships["listeStructureRattachement"][0]["designationStructure"], MARKUP);
    // Nor is it a formula or a second column of a table, or another line of a calendar.
    portal.set_designation(structure, "=1+1;\r\n@cmd").await;
    let calendar = browser.get("/activites/echeances.ics").await.body_text();
    assert!(calendar.lines().all(|line| !line.starts_with("@cmd")), "{calendar}");
    let table = browser.get(&format!("/structures/{structure}/historique.csv")).await.body_text();
    assert!(table.contains(MARKUP.split('"').next().expect("a part")), "{table}");
    assert!(table.lines().all(|line| !line.starts_with(['=', '@', '+'])), "{table}");
}

#[tokio::test]
async fn neither_another_spelling_nor_a_forged_address_goes_round_a_delay() {
    let portal = TestPortal::start().await;
    let (manager, _) = portal.manager().await;
    let login = manager.login.clone();
    let spellings = [
        login.to_uppercase(),
        format!("  {login}\t"),
        format!("\u{2003}{login}\u{a0}"),
        // The Kelvin sign is a k in lower case.
        login.replace('k', "\u{212a}"),
        login.clone(),
    ];
    for (number, spelling) in spellings.iter().enumerate() {
        let fields = [("identifiant", spelling.as_str()), ("mot-de-passe", "faux mot de passe")];
        let forged = format!("203.0.113.{number}");
        let call = Call::post_form("/connexion", &fields)
            .with("x-forwarded-for", &forged)
            .with("x-real-ip", &forged)
            .with("forwarded", &format!("for={forged}"));
        portal.browser().send(call).await.refusal(422);
    }
    let right = [("identifiant", login.as_str()), ("mot-de-passe", PASSWORD)];
    portal
        .browser()
        .send(Call::post_form("/connexion", &right).with("x-forwarded-for", "203.0.113.99"))
        .await
        .refusal(429);
    // A neighbour in the same network of IPv6, and another network.
    for address in ["2001:db8:1:2::1", "2001:db8:1:2::2", "2001:db8:1:2:ffff::3", "2001:db8:1:2::4", "2001:db8:1:2::5"]
    {
        let wrong = [right[0], ("mot-de-passe", "faux mot de passe")];
        portal.browser().with_address(address).post("/connexion", &wrong).await.refusal(422);
    }
    portal.browser().with_address("2001:db8:1:2:8::9").post("/connexion", &right).await.refusal(429);
    portal.browser().with_address("2001:db8:1:3::9").post("/connexion", &right).await.location();
}

#[tokio::test]
async fn numbers_of_others_open_and_end_nothing() {
    let portal = TestPortal::start().await;
    let (manager, structure) = portal.manager().await;
    let (other, other_structure) = {
        let (other, mut structures) = portal.manager_with_structures("Alix", 1).await;
        (other, structures.remove(0))
    };
    let theirs = portal.technical_user(&other_structure, &other).await;
    let noa = portal.person("Noa").await;
    let request = portal.membership_request(&noa, &other_structure).await;
    let browser = portal.signed_in(&manager).await;
    browser.post(&format!("/mon-compte/demandes-de-rattachement/{request}/annulation"), &[]).await.location();
    assert_eq!(portal.count("membership_requests").await, 1, "a request is taken back by the person who made it");
    // A member of another structure cannot be made one's own manager, nor can an account be reached
    // by one's own structure's path.
    let designate = format!("/structures/{}/gestionnaire-principal", structure.id);
    let answer = browser.post(&designate, &[("membre", &other.id.to_string())]).await;
    assert!([404, 409, 422].contains(&answer.status.as_u16()), "{}", answer.status);
    // An own form with the idempotency token of another person.
    let mine = browser.open(&format!("/structures/{}/utilisateurs-techniques/nouveau", structure.id)).await;
    let their_browser = portal.signed_in(&other).await;
    let action = |structure: i64| format!("/structures/{structure}/utilisateurs-techniques");
    let fields = [("jeton", mine.field("jeton")), ("libelle", "Paie".into())];
    let fields: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let their_summary = their_browser.post(&action(other_structure.id), &fields).await.location();
    let my_summary = browser.post(&action(structure.id), &fields).await.location();
    assert_ne!(my_summary, their_summary);
    browser.get(&their_summary).await.refusal(404);
    assert!(browser.open(&my_summary).await.password().is_some());
    assert!(their_browser.open(&their_summary).await.password().is_some());
    for path in ["", "/mot-de-passe", "/suspension", "/suppression", "/informations-de-connexion"] {
        browser.post(&format!("/utilisateurs-techniques/{theirs}{path}"), &[("version", "1")]).await;
    }
    assert_eq!((portal.status_of(theirs).await, portal.version_of(theirs).await), (TechnicalUserStatus::Active, 1));
}

/// Only the one cookie opens a session.
#[tokio::test]
async fn no_url_and_no_other_cookie_is_a_session() {
    let portal = TestPortal::with(&[("RACCORD_PUBLIC_URL", "https://raccord.example")]).await;
    let sacha: Person = portal.person("Sacha").await;
    let browser = portal.signed_in(&sacha).await;
    let (name, value) = browser.cookies().pop_first().expect("a session");
    assert!(name.starts_with("__Host-"), "{name}");
    let plain = name.trim_start_matches("__Host-").to_owned();
    for cookie in [
        format!("{plain}={value}"),
        format!("{}={value}", name.to_lowercase().replace("__host-", "__host-x")),
        format!("__Secure-{plain}={value}"),
        format!("{name}=\"{value}x\""),
        format!("{name}="),
    ] {
        let answer = portal.browser().send(Call::get("/mon-compte").with("cookie", &cookie)).await;
        assert!(answer.location().starts_with("/connexion"), "{cookie}");
    }
    for path in [format!("/mon-compte?{name}={value}"), format!("/mon-compte?session={value}")] {
        assert!(portal.browser().get(&path).await.location().starts_with("/connexion"), "{path}");
    }
    let kept = portal.browser().send(Call::get("/mon-compte").with("cookie", &format!("{name}={value}"))).await;
    assert_eq!(kept.status, 200, "the cookie itself is one");
}

/// A form changes the fields that it shows, whatever else is sent. A field that is sent twice is
/// refused.
#[tokio::test]
async fn no_field_of_a_form_reaches_what_the_form_does_not_show() {
    let portal = TestPortal::start().await;
    let (manager, structure) = portal.manager().await;
    let (other, _) = portal.manager_with_structures("Alix", 1).await;
    let browser = portal.signed_in(&manager).await;
    let id = portal.create_account(&browser, structure.id, "ERP").await;
    let tables = ["users", "structures", "memberships", "technical_users"];
    let before = portal.contents(&tables).await;
    let theirs = other.id.to_string();
    let wished = [
        ("id", theirs.as_str()),
        ("user_id", &theirs),
        ("login", "autre@exemple.fr"),
        ("identifiant", "autre@exemple.fr"),
        ("role", "GESTIONNAIRE_PRINCIPAL"),
        ("status", "DELETED"),
        ("statut", "INACTIVE"),
        ("expires_at", "2999-01-01"),
        ("password_hash", "x"),
        ("credential_version", "9"),
        ("number", "99"),
        ("structure_id", "999"),
        ("principal_manager_id", &theirs),
        ("active", "false"),
        ("moa", "true"),
    ];
    let and_more = |fields: &[(&'static str, &'static str)]| -> Vec<(&str, &str)> {
        fields.iter().copied().chain(wished.iter().copied()).collect()
    };
    // Each form repeats the current values: any change would come from the added fields.
    let label = format!("/utilisateurs-techniques/{id}/libelle");
    browser.post(&label, &and_more(&[("libelle", "ERP"), ("precedent", "ERP")])).await.location();
    let address = "/mon-compte/adresse-de-contact";
    let account = browser.open("/mon-compte").await;
    let current = account.field("adresse-de-contact");
    let mut fields = and_more(&[]);
    fields.push(("adresse-de-contact", &current));
    browser.post(address, &fields).await.location();
    assert_eq!(portal.contents(&tables).await, before);
    let page = browser.open(&format!("/structures/{}/utilisateurs-techniques/nouveau", structure.id)).await;
    let action = format!("/structures/{}/utilisateurs-techniques", structure.id);
    let token = page.field("jeton");
    let mut fields = and_more(&[("libelle", "Paie")]);
    fields.push(("jeton", &token));
    browser.post(&action, &fields).await.location();
    let created = portal.account_row(structure.id, 2).await;
    assert_eq!((created.status.as_str(), created.credential_version, created.created_by), ("ACTIVE", 1, manager.id));
    assert!(portal.expiry_of(created.id).await < portal.clock().await + Span::new().hours(425 * 24));
    // Twice the same field: neither the first nor the last.
    for (path, twice) in [
        (label.as_str(), [("libelle", "Un"), ("libelle", "Deux"), ("precedent", "ERP")]),
        (address, [("adresse-de-contact", "un@exemple.fr"), ("adresse-de-contact", "deux@exemple.fr"), ("x", "")]),
    ] {
        let status = browser.post(path, &twice).await.status.as_u16();
        assert!((400..500).contains(&status), "{path}: {status}");
    }
    // A query in the URL is not a field.
    let status = browser.post(&format!("{label}?libelle=Adresse"), &[("precedent", "ERP")]).await.status.as_u16();
    assert!(status == 303 || (400..500).contains(&status), "{status}");
    let labels = portal.labels().await;
    assert!(!labels.iter().any(|label| ["Un", "Deux", "Adresse"].contains(&label.as_str())), "{labels:?}");
    let address = portal.contact_address_of(&manager).await;
    assert!(!["un@exemple.fr", "deux@exemple.fr"].contains(&address.as_str()), "{address}");
}

#[test]
fn no_template_and_no_script_writes_a_text_as_markup() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let read = |path: &Path| fs::read_to_string(path).expect("a file");
    let templates = files_below(&root.join("templates"));
    assert!(templates.len() > 50, "{}", templates.len());
    for path in templates {
        // Askama escapes what is written into files with these endings.
        let is_escaped = path.extension().is_some_and(|extension| extension == "html" || extension == "xml");
        assert!(is_escaped || path.parent().is_some_and(|mails| mails.ends_with("mails")), "{}", path.display());
        let text = read(&path).replace(' ', "");
        for bypass in ["|safe", "|escape(", "|e(", "{%filter", "{%-filter", "javascript:"] {
            assert!(!text.contains(bypass), "{}: {bypass}", path.display());
        }
    }
    let script = read(&root.join("static/app.js"));
    assert!(script.contains(".textContent = "));
    for sink in [
        "innerHTML",
        "outerHTML",
        "insertAdjacentHTML",
        "document.write",
        "setHTMLUnsafe",
        "createContextualFragment",
        "DOMParser",
        "srcdoc",
        "eval(",
        "Function(",
        "import(",
    ] {
        assert!(!script.contains(sink), "{sink}");
    }
}
