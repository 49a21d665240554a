//! Malformed paths, bodies and headers on every route of portal and API: refused, and never a 5xx.

use axum::http::Method;
use data_encoding::BASE64;
use raccord::{domain::technical_user::TechnicalUserStatus, web};

use crate::common::{Browser, Call, TestPortal, at_home, cpro_account};

/// Malformed ids and tokens.
const SEGMENTS: [&str; 14] = [
    "0",
    "-1",
    "9223372036854775807",
    "9223372036854775808",
    "1e3",
    "%00",
    "%ff%fe",
    "%zz",
    "..%2f..%2fetc%2fpasswd",
    // Decoded once, and not a second time.
    "%2531",
    "%252e%252e%252f",
    "1;DROP%20TABLE%20users",
    "%F0%9F%92%A9",
    "aucune",
];

const QUERIES: [&str; 11] = [
    "?",
    "?=",
    "?%",
    "?%ff=%fe",
    "?page=-1&page=2",
    "?page=99999999999999999999",
    "?apres=%00&avant=%00&recherche=%00",
    "?recherche=%25%27%22%3Cscript%3E",
    "?suite=%00//evil.example",
    "?annonce=%F0%9F%92%A9&notice=x",
    "?recherche=a&recherche=b&suite=/&suite=//x",
];

const FORM: &str = "application/x-www-form-urlencoded";

/// Malformed bodies, with their content type.
fn bodies() -> Vec<(&'static str, Vec<u8>)> {
    let deep = format!("{}{}", "[".repeat(5_000), "]".repeat(5_000));
    let fields = "a=b&".repeat(10_000);
    let mut bodies: Vec<(&'static str, Vec<u8>)> = [
        (FORM, ""),
        (FORM, "="),
        (FORM, "&&&="),
        (FORM, "%"),
        (FORM, "%zz=%zz"),
        (FORM, "%ff=%ff"),
        (FORM, "jeton=a&jeton=b"),
        (FORM, "jeton=aaaaaaaaaaaaaaaaaaaa&jeton=aaaaaaaaaaaaaaaaaaaa&libelle=a&libelle=b"),
        (FORM, "jeton=aaaaaaaaaaaaaaaaaaaa&libelle=%00"),
        (FORM, "jeton=aaaaaaaaaaaaaaaaaaaa&libelle=%00&version=99999999999999999999"),
        (FORM, "jeton=aaaaaaaaaaaaaaaaaaaa&libelle=%00&version=-2147483648&ancien=999999999999"),
        (FORM, "jeton=aaaaaaaaaaaaaaaaaaaa&libelle=%00&version=NaN"),
        (FORM, "membre=-9223372036854775808&role=%00&membre=x"),
        (FORM, "identifiant=%00&mot-de-passe=%00"),
        (FORM, "adresse-de-contact=a%0d%0aBcc%3A%20b@c.fr"),
        (FORM, "adresse=a%0ab@c.fr&prenom=%E2%80%AE&nom=%00&role=ROI"),
        (FORM, "designation=%00&adresse=&complement=&code-postal=&ville=&pays=&courriel=&telephone=&statut=2"),
        (FORM, "type-identifiant=9&identifiant=99999999999999999999999"),
        (FORM, "nonce=%00"),
        (FORM, "grant_type=client_credentials&grant_type=password&client_id=%00&client_secret=%ff"),
        (FORM, "grant_type[]=client_credentials"),
        ("application/json", ""),
        ("application/json", "{"),
        ("application/json", "[]"),
        ("application/json", "\"\\ud800\""),
        ("application/json", "{\"structure\":[],\"parametres\":{\"nbResultatsParPage\":1e400}}"),
        (
            "application/json",
            "{\"parametres\":{\"nbResultatsParPage\":-1,\"pageResultatDemandee\":99999999999999999999}}",
        ),
        ("application/json", "{\"parametres\":{\"nbResultatsParPage\":1.5,\"triColonne\":{},\"triSens\":[1]}}"),
        ("application/json", "{\"idStructureCPP\":\"1\",\"idStructureCPP\":2,\"codeLangue\":{}}"),
        ("application/json", "{\"idStructure\":-9223372036854775809}"),
        ("application/json", "{\"structure\":{\"identifiantStructure\":\"\\u0000\"}}"),
        ("application/json; charset=utf-16", "{}"),
        ("application/json; charset=\u{fffd}", "{}"),
        ("multipart/form-data; boundary=x", "--x\r\nContent-Disposition: form-data; name=\"jeton\"\r\n\r\na\r\n--x"),
        ("multipart/form-data", "--"),
        ("text/plain", "jeton=aaaaaaaaaaaaaaaaaaaa"),
        ("", "jeton=aaaaaaaaaaaaaaaaaaaa"),
    ]
    .map(|(kind, body)| (kind, body.as_bytes().to_vec()))
    .to_vec();
    bodies.push(("application/json", deep.into_bytes()));
    bodies.push(("application/json", b"{\"codeLangue\":\"\xff\xfe\"}".to_vec()));
    bodies.push((FORM, fields.into_bytes()));
    bodies.push((FORM, vec![0xff; 1_000]));
    bodies.push((FORM, vec![b'a'; 70_000]));
    bodies
}

fn all_routes() -> Vec<(Method, &'static str)> {
    let pages = web::routes().into_iter().map(|route| (route.method, route.path));
    let calls = web::api::routes().into_iter().map(|route| (route.method, route.path));
    pages.chain(calls).filter(|(_, path)| *path != "/deconnexion").collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn malformed_paths_and_queries_are_refused_on_every_route() {
    let scene = Scene::set().await;
    for (method, path) in all_routes() {
        for segment in SEGMENTS.iter().filter(|_| path.contains('{')) {
            let there = path.replace("{id}", segment).replace("{token}", segment);
            let status = status(&scene.browser, scene.call(&method, &there, FORM, b"")).await;
            // Closing what does not exist succeeds, so that the answer does not tell what exists.
            let is_closed = (path.ends_with("/fermeture") || path.ends_with("/annulation")) && status == 303;
            assert!((400..500).contains(&status) || is_closed, "{method} {there}: {status}");
        }
        let there = scene.at_home(path);
        for query in QUERIES.iter().filter(|_| method == Method::GET) {
            let status = status(&scene.browser, scene.call(&method, &format!("{there}{query}"), FORM, b"")).await;
            assert!(status < 500, "{method} {there}{query}: {status}");
        }
        for method in ["PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", "BREW"] {
            let strange = Call::get(&there).method(Method::from_bytes(method.as_bytes()).expect("a method"));
            let status = status(&scene.browser, strange).await;
            assert!((400..500).contains(&status), "{method} {there}: {status}");
        }
    }
    assert_eq!(scene.portal.count_with_status(TechnicalUserStatus::Active).await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn malformed_bodies_are_refused_on_every_route_and_change_nothing() {
    let scene = Scene::set().await;
    let cookies = scene.browser.cookies();
    // The acts that need no field.
    let needs_nothing = [
        "fermeture",
        "revocation",
        "{id}/invitation",
        "suspension",
        "reactivation",
        "suppression",
        "ancien-mot-de-passe",
        "echeances",
        "annulation",
        "acceptation",
        "prolongation",
        "adresse-de-contact/confirmation",
        "double-authentification/activation",
    ];
    for (method, path) in all_routes().into_iter().filter(|(method, _)| method == Method::POST) {
        if needs_nothing.iter().any(|word| path.ends_with(word)) {
            continue;
        }
        let there = scene.at_home(path);
        for (number, (kind, body)) in bodies().into_iter().enumerate() {
            scene.browser.set_cookies(cookies.clone());
            // Each from another network, so that no delay applies.
            let from = scene.browser.with_address(&format!("203.0.113.{number}"));
            let status = status(&from, scene.call(&method, &there, kind, &body)).await;
            let shown = String::from_utf8_lossy(&body);
            // An empty search is valid. A forgotten password gets the same answer whatever is
            // typed. The pages of the second factor redirect where there is none.
            let is_led_on =
                path == "/mot-de-passe-oublie" || path == "/connexion/code" || path.contains("double-authentification");
            let is_answered = is_led_on && status == 303 || path.starts_with("/cpro/") && status == 200;
            assert!((400..500).contains(&status) || is_answered, "{path} {kind} {shown:.80}: {status}");
        }
    }
    assert_eq!(scene.portal.count("technical_users").await, 1);
    assert_eq!(scene.portal.version_of(scene.account).await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn malformed_headers_are_refused_on_every_route() {
    let scene = Scene::set().await;
    let basic = |text: &[u8]| format!("Basic {}", BASE64.encode(text));
    for (method, path) in all_routes() {
        let there = scene.at_home(path);
        for (name, value) in [
            ("cookie", "=;;;\u{e9}=; raccord=%00; __Host-raccord=".to_owned()),
            ("cookie", format!("raccord={}", "a".repeat(5_000))),
            ("authorization", "Bearer".into()),
            ("authorization", format!("Bearer {}", "\u{ff}".repeat(100))),
            ("authorization", basic(b"no colon")),
            ("authorization", basic(b"\xff\xfe:\x00")),
            ("cpro-account", "!!!!".into()),
            ("cpro-account", BASE64.encode(b"\x00:\x00")),
            ("cpro-account", BASE64.encode(&[0xff; 3_000])),
            ("content-type", "\u{e9}/;;;".into()),
            ("accept", "\u{0}".replace('\u{0}', "*/*;q=NaN")),
            ("accept-encoding", "gzip;q=99999, \u{e9}".into()),
            ("x-forwarded-for", "1.2.3.4, ::g, \u{e9}".into()),
            ("if-modified-since", "jamais".into()),
            ("range", "bytes=9-1".into()),
            ("user-agent", "\u{202e}".repeat(2_000)),
        ] {
            let status = status(&scene.browser, scene.call(&method, &there, FORM, b"").with(name, &value)).await;
            assert!(status < 500, "{method} {there} {name}: {value:.60}: {status}");
        }
    }
}

/// A manager who has signed in, and an account that can call the API.
struct Scene {
    portal: TestPortal,
    browser: Browser,
    account: i64,
    structure: i64,
    cpro_account: String,
}

impl Scene {
    async fn set() -> Self {
        let portal = TestPortal::start().await;
        let (manager, structure) = portal.manager().await;
        let browser = portal.signed_in(&manager).await;
        let (account, _, password) = portal.create_and_show(&browser, structure.id, "ERP").await;
        let login = portal.login_of(account).await;
        let cpro_account = cpro_account(&login, &password);
        Self { portal, browser, account, structure: structure.id, cpro_account }
    }

    /// The path with an id that the manager may act on, so that nothing else is wrong.
    fn at_home(&self, path: &str) -> String {
        at_home(path, self.account, self.structure)
    }

    fn call(&self, method: &Method, path: &str, kind: &str, body: &[u8]) -> Call {
        let is_post = method == Method::POST;
        let call = if is_post { Call::post(path, body).with("content-type", kind) } else { Call::get(path) };
        if path.starts_with("/cpro/") { call.with("cpro-account", &self.cpro_account) } else { call }
    }
}

async fn status(browser: &Browser, call: Call) -> u16 {
    browser.send(call).await.status.as_u16()
}
