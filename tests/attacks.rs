//! What somebody tries who means harm and knows the portal well. Each was tried by hand first; most
//! of the others are in the files of the journeys that they attack.

use data_encoding::BASE64;
use raccord::domain::role::Role;

use crate::common::{Call, PASSWORD, Person, TestPortal, together};

const NEW_PASSWORD: &str = "trois moulins sur la colline";
const MARKUP: &str = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>{{7*7}}";

#[tokio::test]
async fn a_link_for_a_forgotten_password_dies_with_the_address_it_was_mailed_to() {
    let portal = TestPortal::start().await;
    let sacha = portal.person("Sacha").await;
    let link = portal.invitation(&sacha).await;
    let browser = portal.signed_in(&sacha).await;
    browser.open(&link).await;
    // Somebody reads the old mailbox; that is why she changes it.
    browser.post("/mon-compte/adresse-de-contact", &[("adresse-de-contact", "nouvelle@exemple.fr")]).await.location();
    browser.get(&link).await.refusal(404);
    browser.post(&link, &[("nouveau-mot-de-passe", NEW_PASSWORD)]).await.refusal(404);
    portal.signed_in(&sacha).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_many_who_follow_one_link_together_one_chooses_the_password() {
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
    assert_eq!(portal.number("SELECT count(*) FROM mails WHERE notice::text LIKE '%ailleurs%'", &[]).await, 0);
}

#[tokio::test]
async fn what_is_typed_anywhere_is_markup_nowhere() {
    let portal = TestPortal::start().await;
    let (manager, structure) = portal.manager().await;
    let member = portal.person("Lou").await;
    portal.attach(&member, &structure, Role::User).await;
    let browser = portal.signed_in(&manager).await;
    let (account, _, password) = portal.create_and_show(&browser, structure.id, MARKUP).await;
    let login = portal.text("SELECT login FROM technical_users", &[]).await;
    assert_eq!(portal.text("SELECT label FROM technical_users", &[]).await, MARKUP, "kept as it was typed");
    // The software that calls, and whatever failed to sign in, are told to the manager.
    let access = BASE64.encode(format!("{login}:{password}").as_bytes());
    let call = Call::get("/cpro/transverses/v1/health-check").with("cpro-account", &access).with("user-agent", MARKUP);
    assert_eq!(browser.send(call).await.status, 200);
    browser
        .send(Call::post_form("/connexion", &[("identifiant", MARKUP), ("mot-de-passe", MARKUP)]))
        .await
        .refusal(422);
    // Also what only the operator's imports can bring.
    for change in [
        "UPDATE structures SET designation = $1, address_line = $1, city = $1",
        "UPDATE users SET first_name = $1, last_name = $1 WHERE login LIKE 'lou%'",
        "UPDATE sessions SET software = $1",
        "INSERT INTO audit_events (actor, address, action, structure_id, subject, detail)
         SELECT $1, '198.51.100.7', 'STRUCTURE_EDITED', id, $1, $1 FROM structures",
    ] {
        sqlx::query(change).bind(MARKUP).execute(&portal.pool).await.expect("changed");
    }
    let request = portal.membership_request(&portal.person("Noa").await, &structure).await;
    assert!(request > 0);
    let (structure, account) = (structure.id, account);
    let membership = portal.number("SELECT id FROM memberships WHERE role = 'USER'", &[]).await;
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
    ] {
        let answer = browser.get(&path).await;
        let text = answer.body_text();
        assert_eq!(answer.status, 200, "{path}");
        for raw in ["<script>alert", "<img src=x", "\"'><"] {
            assert!(!text.contains(raw), "{path} shows {raw}");
        }
        // It is there, escaped once, as a text that stays what it is.
        assert!(text.contains("&#60;script&#62;alert(1)") && text.contains("{{7*7}}"), "{path} does not show it");
        assert!(!text.contains("&#38;#60;") && !text.contains("&amp;#60;"), "{path} escapes twice");
    }
    let search = r#"{"parametresRecherche":{}}"#;
    let call = Call::post("/cpro/utilisateurs/v1/monCompte/recuperer/rattachements", search)
        .with("content-type", "application/json")
        .with("cpro-account", &access);
    let told: serde_json::Value = serde_json::from_slice(&browser.send(call).await.body).expect("JSON");
    assert_eq!(told["listeStructureRattachement"][0]["designationStructure"], MARKUP);
    // Nor is it a formula or a second column of a table, or another line of a calendar.
    sqlx::query("UPDATE structures SET designation = $1")
        .bind("=1+1;\r\n@cmd")
        .execute(&portal.pool)
        .await
        .expect("set");
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
    assert_eq!(portal.number("SELECT count(*) FROM membership_requests", &[]).await, 1, "it is not hers to take back");
    // A member of another structure cannot be made one's own manager, nor can an account be reached
    // by one's own structure's path.
    let designate = format!("/structures/{}/gestionnaire-principal", structure.id);
    let answer = browser.post(&designate, &[("membre", &other.id.to_string())]).await;
    assert!([404, 409, 422].contains(&answer.status.as_u16()), "{}", answer.status);
    // A form of one's own with an idempotency token of somebody else's.
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
    let intact = "SELECT count(*) FROM technical_users WHERE id = $1 AND status = 'ACTIVE' AND credential_version = 1";
    assert_eq!(portal.number(intact, &[theirs]).await, 1);
}

/// A session is what one cookie says, and nothing else.
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

/// A form changes what it shows, whatever else is sent with it; and what is sent twice is one of
/// the two for nobody.
#[tokio::test]
async fn no_field_of_a_form_reaches_what_the_form_does_not_show() {
    let portal = TestPortal::start().await;
    let (manager, structure) = portal.manager().await;
    let (other, _) = portal.manager_with_structures("Alix", 1).await;
    let browser = portal.signed_in(&manager).await;
    let id = portal.create_account(&browser, structure.id, "ERP").await;
    let everything = "SELECT concat_ws(' ', u, (SELECT string_agg(t::text, ' ' ORDER BY t.id) FROM technical_users t),
                             (SELECT string_agg(s::text, ' ' ORDER BY s.id) FROM structures s),
                             (SELECT string_agg(m::text, ' ' ORDER BY m.id) FROM memberships m))
                        FROM (SELECT string_agg(u::text, ' ' ORDER BY u.id) AS u FROM users u) AS people";
    let before = portal.text(everything, &[]).await;
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
    // Each says again what is so already: whatever changes came by what was added.
    let label = format!("/utilisateurs-techniques/{id}/libelle");
    browser.post(&label, &and_more(&[("libelle", "ERP"), ("precedent", "ERP")])).await.location();
    let address = "/mon-compte/adresse-de-contact";
    let account = browser.open("/mon-compte").await;
    let current = account.field("adresse-de-contact");
    let mut fields = and_more(&[]);
    fields.push(("adresse-de-contact", &current));
    browser.post(address, &fields).await.location();
    assert_eq!(portal.text(everything, &[]).await, before);
    let page = browser.open(&format!("/structures/{}/utilisateurs-techniques/nouveau", structure.id)).await;
    let action = format!("/structures/{}/utilisateurs-techniques", structure.id);
    let token = page.field("jeton");
    let mut fields = and_more(&[("libelle", "Paie")]);
    fields.push(("jeton", &token));
    browser.post(&action, &fields).await.location();
    let as_made = "SELECT count(*) FROM technical_users
                    WHERE structure_id = $1 AND number = 2 AND status = 'ACTIVE' AND credential_version = 1
                      AND expires_at < portal_now() + interval '425 days' AND created_by = $2";
    assert_eq!(portal.number(as_made, &[structure.id, manager.id]).await, 1);
    // Twice the same field: neither the first nor the last.
    for (path, twice) in [
        (label.as_str(), [("libelle", "Un"), ("libelle", "Deux"), ("precedent", "ERP")]),
        (address, [("adresse-de-contact", "un@exemple.fr"), ("adresse-de-contact", "deux@exemple.fr"), ("x", "")]),
    ] {
        let status = browser.post(path, &twice).await.status.as_u16();
        assert!((400..500).contains(&status), "{path}: {status}");
    }
    // Nor is what stands in the address taken for a field.
    let status = browser.post(&format!("{label}?libelle=Adresse"), &[("precedent", "ERP")]).await.status.as_u16();
    assert!(status == 303 || (400..500).contains(&status), "{status}");
    let wrong = "SELECT count(*) FROM technical_users WHERE label IN ('Un', 'Deux', 'Adresse')";
    assert_eq!(portal.number(wrong, &[]).await, 0);
    let wrong = "SELECT count(*) FROM users WHERE contact_address IN ('un@exemple.fr', 'deux@exemple.fr')";
    assert_eq!(portal.number(wrong, &[]).await, 0);
}
