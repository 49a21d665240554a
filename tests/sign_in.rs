//! « Connexion »: which sign-ins succeed, what the others answer, and how guessing is slowed.

use raccord::domain::role::Role;

use crate::common::{PASSWORD, TestPortal};

const WRONG: &str = "Identifiant ou mot de passe incorrect.";
const TECHNICAL: &str = "Un compte technique ne permet pas de se connecter au portail.";

#[tokio::test]
async fn a_manager_signs_in_and_arrives_at_the_structures() {
    let portal = TestPortal::start().await;
    let (manager, _) = portal.manager().await;
    let browser = portal.browser();
    assert_eq!(browser.get("/").await.location(), "/connexion");
    let form = browser.open("/connexion").await;
    assert_eq!((form.heading(), form.title()), ("Connexion".into(), "Connexion – Raccord".into()));
    let typed = [("identifiant", "  Camille.MARTIN@exemple.fr "), ("mot-de-passe", PASSWORD)];
    assert_eq!(browser.submit(&form, "/connexion", &typed).await.location(), "/");
    assert_eq!(browser.get("/").await.location(), "/activites");
    assert!(browser.open("/activites").await.whole_text().contains(&manager.full_name));
    assert_eq!(browser.get("/connexion").await.location(), "/");
}

#[tokio::test]
async fn a_person_without_structures_arrives_at_my_account_and_sees_no_tab() {
    let portal = TestPortal::start().await;
    let person = portal.person("Sacha").await;
    let browser = portal.signed_in(&person).await;
    assert_eq!(browser.get("/").await.location(), "/mon-compte");
    let page = browser.open("/mon-compte").await;
    assert!(!page.whole_text().contains("Activités du gestionnaire"));
    browser.get("/activites").await.refusal(403);
}

#[tokio::test]
async fn sign_in_leads_back_to_the_page_that_was_asked_for() {
    let portal = TestPortal::start().await;
    let (_, structure) = portal.manager().await;
    let browser = portal.browser();
    let wanted = format!("/structures/{}", structure.id);
    let location = browser.get(&wanted).await.location();
    assert_eq!(location, format!("/connexion?suite=%2Fstructures%2F{}", structure.id));
    let form = browser.open(&location).await;
    let typed = [("identifiant", "camille.martin@exemple.fr"), ("mot-de-passe", PASSWORD)];
    assert_eq!(browser.submit(&form, "/connexion", &typed).await.location(), wanted);
}

#[tokio::test]
async fn sign_in_never_leads_to_another_site() {
    let portal = TestPortal::start().await;
    let person = portal.person("Sacha").await;
    for elsewhere in ["https://ailleurs.example/", "//ailleurs.example", "/\\ailleurs.example", "javascript:alert(1)"] {
        let fields = [("identifiant", person.login.as_str()), ("mot-de-passe", PASSWORD), ("suite", elsewhere)];
        assert_eq!(portal.browser().post("/connexion", &fields).await.location(), "/");
        // Nor does the form lead there when a session exists already.
        let suite: String = form_urlencoded::byte_serialize(elsewhere.as_bytes()).collect();
        assert_eq!(portal.signed_in(&person).await.get(&format!("/connexion?suite={suite}")).await.location(), "/");
    }
}

#[tokio::test]
async fn every_failure_gets_the_same_answer() {
    let portal = TestPortal::start().await;
    let person = portal.person("Sacha").await;
    let noor = portal.person("Noor").await;
    portal.set_password_hash(&noor, None).await;
    let mut answers = Vec::new();
    for login in [person.login.as_str(), "inconnu@exemple.fr", "noor.martin@exemple.fr", ""] {
        let answer =
            portal.browser().post("/connexion", &[("identifiant", login), ("mot-de-passe", "pas celui-là, non")]).await;
        let page = answer.refusal(422);
        page.assert_says(WRONG);
        assert_eq!(page.field("identifiant"), login, "what was typed is kept");
        assert_eq!(page.field("mot-de-passe"), "", "but never a password");
        let typed = format!("value=\"{login}\"");
        answers.push((answer.header("set-cookie").map(str::to_owned), page.html().replace(&typed, "value=\"\"")));
    }
    assert!(answers.windows(2).all(|pair| pair[0] == pair[1]), "nothing tells one failure from another");
    assert_eq!(answers[0].0, None, "no session begins");
    assert_eq!(portal.events_of("SIGN_IN_FAILED").await, 4);
}

#[tokio::test]
async fn a_technical_user_cannot_sign_in_to_the_portal_whatever_the_password() {
    let portal = TestPortal::start().await;
    let (manager, structure) = portal.manager().await;
    let browser = portal.signed_in(&manager).await;
    let (id, _, password) = portal.create_and_show(&browser, structure.id, "").await;
    let login = portal.login_of(id).await;
    let spellings =
        [login.clone(), login.to_lowercase(), format!(" {}\t", login.to_uppercase()), "tech_999_x@CPRO.FR".into()];
    for login in spellings {
        for password in [password.as_str(), "faux", ""] {
            let browser = portal.browser();
            let answer = browser.post("/connexion", &[("identifiant", &login), ("mot-de-passe", password)]).await;
            answer.refusal(422).assert_says(TECHNICAL);
            assert!(browser.cookies().is_empty(), "no session begins");
        }
    }
}

#[tokio::test]
async fn a_login_of_the_technical_shape_cannot_be_a_persons() {
    let portal = TestPortal::start().await;
    let insert =
        "INSERT INTO users (login, last_name, first_name, contact_address) VALUES ('tech_1_x@cpro.fr', 'a', 'b', 'c')";
    let refused = sqlx::query(insert).execute(&portal.pool).await.unwrap_err();
    assert!(refused.to_string().contains("users_login_check"), "{refused}");
}

#[tokio::test]
async fn guessing_is_slowed_for_one_login_from_one_network_only() {
    let portal = TestPortal::start().await;
    let (sacha, noor) = (portal.person("Sacha").await, portal.person("Noor").await);
    let attempt = |login: &str, password: &'static str, address: &'static str| {
        let (browser, login) = (portal.browser().with_address(address), login.to_owned());
        async move { browser.post("/connexion", &[("identifiant", &login), ("mot-de-passe", password)]).await }
    };
    for _ in 0..5 {
        attempt(&sacha.login, "faux", "203.0.113.5").await.refusal(422);
    }
    let slowed = attempt(&sacha.login, PASSWORD, "203.0.113.77").await;
    slowed.refusal(429).assert_says("Trop de tentatives de connexion. Veuillez patienter");
    let wait: u32 = slowed.header("retry-after").expect("how long to wait").parse().expect("seconds");
    assert!((1..=2).contains(&wait), "{wait}");
    assert_eq!(
        attempt(&sacha.login, PASSWORD, "203.0.114.5").await.location(),
        "/",
        "the person still gets in from elsewhere"
    );
    assert_eq!(attempt(&noor.login, PASSWORD, "203.0.113.5").await.location(), "/", "and another person from there");
}

#[tokio::test]
async fn the_delay_grows_and_passes() {
    let mut portal = TestPortal::start().await;
    let sacha = portal.person("Sacha").await;
    let mut waits = Vec::new();
    for minutes in 0..10_i32 {
        portal.move_clock(&format!("{} minutes", minutes * 6)).await;
        for _ in 0..5 {
            portal.browser().post("/connexion", &[("identifiant", &sacha.login), ("mot-de-passe", "faux")]).await;
        }
        waits.push(portal.delay().await);
    }
    assert_eq!(waits, [2, 4, 8, 16, 32, 64, 128, 256, 300, 300]);
    let other = portal.browser().with_address("192.0.2.1");
    let fields = [("identifiant", sacha.login.as_str()), ("mot-de-passe", PASSWORD)];
    assert_eq!(other.post("/connexion", &fields).await.location(), "/");
    portal.move_clock("60 minutes").await;
    assert_eq!(portal.browser().post("/connexion", &fields).await.location(), "/", "the wait is over");
    assert_eq!(portal.count("throttles").await, 0, "and a success forgets");
}

#[tokio::test]
async fn the_network_is_the_clients_behind_a_trusted_proxy() {
    let portal = TestPortal::with(&[("RACCORD_TRUSTED_PROXIES", "10.0.0.1")]).await;
    let sacha = portal.person("Sacha").await;
    let fields = |password| [("identifiant", sacha.login.as_str()), ("mot-de-passe", password)];
    let proxied = |client: &str, password| {
        let call = crate::common::Call::post_form("/connexion", &fields(password)).with("x-forwarded-for", client);
        let browser = portal.browser().with_address("10.0.0.1");
        async move { browser.send(call).await }
    };
    for _ in 0..5 {
        proxied("192.0.2.99, 203.0.113.5", "faux").await.refusal(422);
    }
    proxied("198.51.100.1, 203.0.113.5", PASSWORD).await.refusal(429);
    assert_eq!(proxied("203.0.113.5, 198.51.100.1", PASSWORD).await.location(), "/", "only the last hop counts");
    let failures = portal.audit_events_of("SIGN_IN_FAILED").await;
    assert!(!failures.is_empty() && failures.iter().all(|failure| failure.address == "203.0.113.5"), "{failures:?}");
}

#[tokio::test]
async fn a_hash_with_weaker_parameters_is_made_anew_at_sign_in() {
    let portal = TestPortal::start().await;
    let sacha = portal.person("Sacha").await;
    // m = 8 MiB, t = 1, of the same password.
    let weak = weak_hash(PASSWORD);
    portal.set_password_hash(&sacha, Some(&weak)).await;
    portal.signed_in(&sacha).await;
    let hash = portal.password_hash_of_person(&sacha).await;
    assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{hash}");
    portal.signed_in(&sacha).await;
}

fn weak_hash(password: &str) -> String {
    use argon2::{Algorithm, Argon2, Params, Version, password_hash::CustomizedPasswordHasher};
    let params = Params::new(8 * 1024, 1, 1, None).unwrap();
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params.clone());
    let salt = b"un sel de seize!";
    argon2.hash_password_customized(password.as_bytes(), salt, None, None, params).unwrap().to_string()
}

#[tokio::test]
async fn an_invitation_lets_a_person_choose_a_password_once() {
    let portal = TestPortal::start().await;
    let noor = portal.person("Noor").await;
    portal.attach(&noor, &portal.structure("Syndicat du Val d’Ornain").await, Role::User).await;
    portal.set_password_hash(&noor, None).await;
    let link = portal.invitation(&noor).await;
    let browser = portal.browser();
    let form = browser.send(crate::common::Call::get(&link).with("sec-fetch-site", "cross-site")).await.page();
    assert_eq!(form.heading(), "Choisir votre mot de passe");
    let choose =
        async |password: &'static str| browser.submit(&form, &link, &[("nouveau-mot-de-passe", password)]).await;
    choose("trop court").await.refusal(422).assert_says("Le mot de passe doit contenir au moins 15 caractères.");
    choose("noor.martin@exemple.fr").await.refusal(422).assert_says("trop facile à deviner");
    choose("syndicat du val d’ornain").await.refusal(422).assert_says("trop facile à deviner");
    choose("passwordpassword").await.refusal(422).assert_says("mot de passe courant");
    assert_eq!(choose(PASSWORD).await.location(), "/connexion?avis=password-chosen");
    assert_eq!(choose("un autre mot de passe").await.refusal(404).heading(), "Ce lien n’est plus valable");
    portal.signed_in(&noor).await;
    assert_eq!(portal.events().await, ["PASSWORD_CHOSEN", "SIGNED_IN"]);
}

#[tokio::test]
async fn what_is_typed_as_a_password_is_hidden_and_may_be_pasted() {
    let mut portal = TestPortal::start().await;
    let noor = portal.person("Noor").await;
    let link = portal.invitation(&noor).await;
    let browser = portal.signed_in(&noor).await;
    let mut pages = vec![portal.browser().open("/connexion").await];
    for path in [link.as_str(), "/mon-compte"] {
        pages.push(browser.open(path).await);
    }
    portal.move_clock("16 minutes").await;
    pages.push(browser.post("/mon-compte/adresse-de-contact", &[("adresse-de-contact", "a@b.fr")]).await.refusal(403));
    let fields: Vec<String> = pages
        .iter()
        .flat_map(|page| page.html().split("<input").skip(1))
        .map(|rest| rest.split('>').next().expect("the tag").to_owned())
        .filter(|tag| tag.contains("mot-de-passe"))
        .collect();
    assert_eq!(fields.len(), 5, "{fields:?}");
    for tag in &fields {
        assert!(tag.contains("type=\"password\"") && !tag.contains(" on"), "{tag}");
        let helps = ["autocomplete=\"current-password\"", "autocomplete=\"new-password\""];
        assert!(helps.into_iter().any(|helps| tag.contains(helps)), "{tag}");
    }
    assert!(!include_str!("../static/app.js").contains("paste"), "the script minds no paste");
}

#[tokio::test]
async fn a_password_is_compared_as_it_was_typed_and_does_not_expire() {
    let mut portal = TestPortal::start().await;
    let noor = portal.person("Noor").await;
    let link = portal.invitation(&noor).await;
    // Spaces at both ends, both cases, letters with accents, and more than 72 characters.
    let chosen = format!("  Été À Saint-Malo {} fin ", "du vent sur les pontons, ".repeat(4));
    assert!((100..=128).contains(&chosen.chars().count()));
    portal.browser().post(&link, &[("nouveau-mot-de-passe", &chosen)]).await.location();
    let is_right = async |portal: &TestPortal, number: usize, password: &str| {
        // Each from another network, so that no delay applies.
        let browser = portal.browser().with_address(&format!("203.0.{number}.9"));
        let fields = [("identifiant", noor.login.as_str()), ("mot-de-passe", password)];
        browser.post("/connexion", &fields).await.status == 303
    };
    let others = [
        chosen.trim().to_owned(),
        chosen.trim_end().to_owned(),
        chosen.to_lowercase(),
        chosen.to_uppercase(),
        chosen.replace('É', "E"),
        chosen.chars().take(72).collect(),
        chosen.strip_suffix("in ").expect("its end").to_owned(),
        format!("{chosen}x"),
    ];
    for (number, other) in others.iter().enumerate() {
        assert!(*other != chosen && !is_right(&portal, number, other).await, "{other:?}");
    }
    assert!(is_right(&portal, 100, &chosen).await);
    let apart = chosen.replace('É', "E\u{301}");
    assert!(apart != chosen && is_right(&portal, 102, &apart).await, "its accents sent apart");
    portal.move_clock("10 years").await;
    assert!(is_right(&portal, 101, &chosen).await, "ten years later");
    assert_eq!(portal.browser().post("/connexion", &[]).await.status, 422);
}

#[tokio::test]
async fn a_link_to_choose_another_password_dies_after_an_hour() {
    let mut portal = TestPortal::start().await;
    let noor = portal.person("Noor").await;
    let link = portal.invitation(&noor).await;
    portal.move_clock("61 minutes").await;
    portal.browser().get(&link).await.refusal(404);
    let choose = [("nouveau-mot-de-passe", "un autre mot de passe")];
    portal.browser().post(&link, &choose).await.refusal(404);
    portal.signed_in(&noor).await;
}

#[tokio::test]
async fn what_is_typed_for_an_unknown_login_is_kept_nowhere() {
    let portal = TestPortal::start().await;
    let sacha = portal.person("Sacha").await;
    // A password in the wrong field.
    for (path, other) in [("/connexion", "mot-de-passe"), ("/mot-de-passe-oublie", "x")] {
        portal.browser().post(path, &[("identifiant", PASSWORD), (other, PASSWORD)]).await;
        portal.browser().post(path, &[("identifiant", &sacha.login), (other, "faux mot de passe")]).await;
    }
    let dump = String::from_utf8_lossy(&crate::common::pg_dump(portal.database_url())).to_lowercase();
    assert!(!dump.contains(&PASSWORD.to_lowercase()));
    let failures = portal.audit_events_of("SIGN_IN_FAILED").await;
    let actors: Vec<_> = failures.iter().map(|failure| failure.actor.as_str()).collect();
    assert_eq!(actors, ["identifiant inconnu", &sacha.login]);
}
