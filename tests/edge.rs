//! What holds for every answer, whatever the route: headers, caching, methods, encoding.

use std::collections::BTreeSet;

use axum::http::Method;
use raccord::{
    domain::role::Role,
    settings::Settings,
    web::{
        self,
        edge::{self, state::AppState},
    },
};

use crate::common::{Browser, Call, Page, Server, TestPortal, calls_of_every_kind};

#[tokio::test]
async fn every_answer_carries_the_headers_that_keep_browsers_from_harm() {
    let portal = TestPortal::with(&[("RACCORD_PUBLIC_URL", "https://raccord.example")]).await;
    let (manager, structure) = portal.manager().await;
    let account = portal.technical_user(&structure, &manager).await;
    let browser = portal.signed_in(&manager).await;
    let mut calls = calls_of_every_kind(account, structure.id);
    let page = browser.open("/activites").await;
    let files = page.html().split('"').filter(|text| text.starts_with("/static/"));
    calls.extend(files.map(Call::get));
    let mut kinds = BTreeSet::new();
    for call in calls {
        let what = format!("{call:?}");
        let answer = browser.send(call).await;
        let header = |name| answer.header(name).unwrap_or_else(|| panic!("{what} has no {name}"));
        let policy = header("content-security-policy");
        for part in [
            "default-src 'none'",
            "object-src 'none'",
            "frame-ancestors 'none'",
            "base-uri 'none'",
            "form-action 'self'",
        ] {
            assert!(policy.contains(part), "{what}: {policy}");
        }
        let sources = policy.split(';').flat_map(|part| part.split_whitespace().skip(1));
        let others: Vec<&str> = sources.filter(|source| !["'none'", "'self'"].contains(source)).collect();
        assert!(others.is_empty(), "{what}: {others:?}");
        assert_eq!(header("x-content-type-options"), "nosniff");
        assert_eq!(header("cross-origin-opener-policy"), "same-origin");
        assert_eq!(header("cross-origin-resource-policy"), "same-origin");
        let referrer = header("referrer-policy");
        assert!(["same-origin", "strict-origin"].contains(&referrer), "{what}: {referrer}");
        assert_eq!(header("strict-transport-security"), "max-age=63072000; includeSubDomains");
        assert!(!header("permissions-policy").is_empty());
        let is_file = what.contains("\"/static/") && answer.status == 200;
        assert_eq!(header("cache-control"), if is_file { "public, max-age=31536000, immutable" } else { "no-store" });
        let is_api = ["\"/api/", "\"/cpro/"].iter().any(|prefix| what.contains(prefix));
        assert!(!is_api || !answer.status.is_redirection(), "the API does not redirect: {what}");
        if answer.body.is_empty() {
            continue;
        }
        let kind = header("content-type").to_owned();
        let is_text = kind.starts_with("text/") || kind.contains("xml");
        assert!(!is_text || kind.ends_with("; charset=utf-8"), "{what}: {kind}");
        // Exports are attachments, which browsers save instead of showing.
        let is_export = kind.starts_with("text/csv") || kind.starts_with("text/calendar");
        let is_attached =
            answer.header("content-disposition").is_some_and(|is| is.starts_with("attachment; filename=\""));
        assert_eq!(is_attached, is_export, "{what}");
        kinds.insert(kind);
    }
    let seen: Vec<&str> = kinds.iter().map(|kind| kind.split(';').next().unwrap_or_default()).collect();
    for kind in [
        "text/html",
        "text/csv",
        "text/calendar",
        "text/plain",
        "text/css",
        "text/javascript",
        "application/json",
        "image/svg+xml",
    ] {
        assert!(seen.contains(&kind), "{seen:?}");
    }
}

#[tokio::test]
async fn what_is_encoded_twice_is_decoded_once() {
    let portal = TestPortal::start().await;
    let (manager, structure) = portal.manager().await;
    let browser = portal.signed_in(&manager).await;
    let label = "%3Cb%3E &lt;i&gt; a+b \\u003c";
    portal.create_account(&browser, structure.id, label).await;
    assert_eq!(portal.labels().await, [label]);
    let page = browser.open(&format!("/structures/{}", structure.id)).await;
    assert!(page.text().contains(label), "{}", page.text());
    assert_eq!(browser.open("/activites?recherche=%2541%252e").await.field("recherche"), "%41%2e");
    let id = structure.id.to_string();
    let encoded = |percent: &str| id.bytes().map(|digit| format!("{percent}{digit:x}")).collect::<Vec<_>>().concat();
    assert_eq!(browser.get(&format!("/structures/{}", encoded("%"))).await.status, 200);
    assert_eq!(browser.get(&format!("/structures/{}", encoded("%25"))).await.status, 404);
}

#[tokio::test]
async fn no_other_site_is_let_to_read_an_answer() {
    let portal = TestPortal::start().await;
    let (manager, structure) = portal.manager().await;
    let account = portal.technical_user(&structure, &manager).await;
    let browser = portal.signed_in(&manager).await;
    let calls = calls_of_every_kind(account, structure.id);
    for call in calls {
        let asked = call.with("origin", "https://ailleurs.example").with("sec-fetch-site", "cross-site");
        let preflight = asked.clone().method(Method::OPTIONS).with("access-control-request-method", "POST");
        for call in [asked, preflight] {
            let what = format!("{call:?}");
            let answer = browser.send(call).await;
            let allowed = answer.headers.keys().find(|name| name.as_str().starts_with("access-control-"));
            assert_eq!(allowed, None, "{what}");
        }
    }
    // API answers, refusals and unknown paths are not cached either.
    let api = web::api::routes();
    let calls = api.iter().map(|route| (route.path, Call::get(route.path).method(route.method.clone())));
    let others = ["/livez", "/readyz", "/api/aucun", "/aucune", "/static/aucun/style.css"];
    let forms = ["/connexion", "/mon-compte/mot-de-passe", "/api/oauth/token"];
    let large = ("too large", Call::post("/mon-compte/mot-de-passe", "x".repeat(70_000)));
    let forms = forms.map(|path| (path, Call::post_form(path, &[])));
    for (path, call) in calls.chain(others.map(|path| (path, Call::get(path)))).chain(forms).chain([large]) {
        let answer = browser.send(call).await;
        assert_eq!(answer.header("cache-control"), Some("no-store"), "{path}");
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"), "{path}");
        assert!(answer.header("content-security-policy").is_some(), "{path}");
    }
    // The one exception: static files, which are public and named by their hash.
    let style = style_of(&browser.open("/activites").await);
    assert!(browser.get(&style).await.header("cache-control").is_some_and(|value| value.starts_with("public")));
}

/// The style sheet that a page names.
fn style_of(page: &Page) -> String {
    let mut links = page.html().split("href=\"").filter_map(|rest| rest.split('"').next());
    links.find(|link| link.starts_with("/static/")).expect("its style").to_owned()
}

/// A page for a stranger costs no more than it says: it is not compressed, and repeats no more than
/// our longest form.
#[tokio::test]
async fn a_page_for_a_stranger_repeats_little_and_is_not_compressed() {
    let portal = TestPortal::start().await;
    let long = "a".repeat(60_000);
    let many: Vec<(String, String)> = (0..3_000).map(|number| (format!("saisie-{number}"), "x".to_owned())).collect();
    let many: Vec<(&str, &str)> = many.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let account = [("identifiant", "TECH_1_21350001400016@cpro.fr"), ("mot-de-passe", "x")];
    for carried in [&[("saisie-a", long.as_str())][..], &many] {
        let answer = portal.browser().post("/connexion", &[&account[..], carried].concat()).await;
        assert!(answer.status == 422 && answer.body_text().len() < 32 * 1024, "{}", answer.body_text().len());
    }
    let visit = Call::get("/documentation-api").with("accept-encoding", "gzip");
    assert!(portal.browser().send(visit).await.header("content-encoding").is_none());
}

/// Not the source, the settings, lists of files, the metrics, nor what other servers have.
#[tokio::test]
async fn nothing_is_served_but_pages_calls_and_named_files() {
    let portal = TestPortal::start().await;
    let (manager, _) = portal.manager().await;
    let browser = portal.signed_in(&manager).await;
    let style = style_of(&browser.open("/activites").await);
    let hash = style.split('/').nth(2).expect("a hash").to_owned();
    for path in [
        "/.git/HEAD",
        "/.git/config",
        "/.svn/entries",
        "/.env",
        "/Cargo.toml",
        "/Cargo.lock",
        "/migrations/",
        "/src/main.rs",
        "/data/secret.key",
        "/demo-credentials.json",
        "/static",
        "/static/",
        "/metrics",
        "/server-status",
        "/debug",
        "/trace",
        "/actuator",
        "/swagger",
        "/phpinfo.php",
        "/robots.txt.bak",
    ] {
        assert_eq!(browser.get(path).await.status, 404, "{path}");
    }
    assert_eq!(browser.get(&style).await.status, 200);
    for name in
        ["", ".", "..", "%2e%2e", "..%2fCargo.toml", "..%2f..%2fdata%2fsecret.key", "style.css%00", "style.css/"]
    {
        let path = format!("/static/{hash}/{name}");
        assert!(matches!(browser.get(&path).await.status.as_u16(), 400 | 404), "{path}");
    }
    let settings = Settings::read(|_| None).expect("the defaults");
    assert!(settings.metrics_listen.is_none());
    let state = AppState::new(portal.pool.clone(), settings).expect("no theme");
    let metrics = Browser::new(Server::new(edge::probes::metrics_router(state), String::new()));
    assert_eq!(metrics.get("/metrics").await.status, 200);
    for path in ["/", "/activites", "/connexion", "/livez"] {
        assert_eq!(metrics.get(path).await.status, 404, "{path} is not on the port for metrics");
    }
}

#[tokio::test]
async fn no_reading_changes_anything_wherever_it_comes_from() {
    let portal = TestPortal::start().await;
    let (manager, structure) = portal.manager().await;
    let noor = portal.person("Noor").await;
    portal.membership_request(&noor, &structure).await;
    let link = portal.invitation(&noor).await;
    let browser = portal.signed_in(&manager).await;
    // Its password waits to be shown.
    let account = portal.create_account(&browser, structure.id, "ERP").await;
    let before = portal.all_contents().await;
    for method in [Method::GET, Method::HEAD, Method::OPTIONS] {
        for call in calls_of_every_kind(account, structure.id) {
            let call = call.method(method.clone());
            for site in ["cross-site", "same-site", "none"] {
                browser.send(call.clone().with("sec-fetch-site", site)).await;
            }
        }
        for path in [link.as_str(), "/deconnexion"] {
            browser.send(Call::get(path).method(method.clone())).await;
        }
    }
    assert_eq!(portal.all_contents().await, before);
    let summary = format!("/utilisateurs-techniques/{account}/recapitulatif");
    assert!(browser.open(&summary).await.password().is_some(), "and the password still waits");
    assert_ne!(portal.all_contents().await, before, "showing the password is an event");
}

#[tokio::test]
async fn a_page_that_a_secret_link_opens_names_no_path_to_what_it_loads() {
    let portal = TestPortal::start().await;
    let (manager, structure) = portal.manager().await;
    let browser = portal.browser();
    let policy = async |path: &str| {
        let answer = browser.get(path).await;
        (answer.status.as_u16(), answer.header("referrer-policy").expect("a policy").to_owned())
    };
    let link = portal.invitation(&manager).await;
    let (_, token) = link.rsplit_once('/').expect("a link");
    assert_eq!(policy(&link).await, (200, "strict-origin".into()));
    // Each route of a token, whether or not it opens, and each other spelling, whose page has
    // files too.
    let pages = web::routes().into_iter().filter(|route| route.method == Method::GET);
    let routes = pages.map(|route| route.path).filter(|path| path.contains("{token}"));
    let mut paths: Vec<String> = routes.map(|path| path.replace("{token}", "aucune")).collect();
    assert!(paths.len() >= 3);
    for start in ["/%69nvitation", "//invitation", "/Invitation", "/invitation/", "/x/invitation", "/invitation/x"] {
        paths.push(format!("{start}/{token}"));
    }
    for path in paths {
        assert_eq!(policy(&path).await, (404, "strict-origin".into()), "{path}");
    }
    // Elsewhere the path stays with the portal: old browsers prove by it where they come from.
    assert_eq!(policy("/connexion").await, (200, "same-origin".into()));
    assert_eq!(policy(&format!("/structures/{}", structure.id)).await.1, "same-origin");
}

#[tokio::test]
async fn the_form_of_a_secret_link_is_accepted_from_a_browser_that_sends_its_origin_alone() {
    let portal = TestPortal::start().await;
    let (manager, _) = portal.manager().await;
    let link = portal.invitation(&manager).await;
    let password = "une phrase neuve que personne ne devine";
    let form = Call::post_form(&link, &[("mot-de-passe", password), ("confirmation", password)]);
    let answer = portal.browser().send(form.without_fetch_metadata()).await;
    assert_ne!(answer.status, 403, "{}", answer.body_text());
}

#[tokio::test]
async fn who_lacks_a_right_is_told_where_the_principal_managers_are_named() {
    let portal = TestPortal::start().await;
    let (manager, structure) = portal.manager().await;
    let noor = portal.person("Noor").await;
    portal.attach(&noor, &structure, Role::User).await;
    let browser = portal.signed_in(&noor).await;
    let refused = browser.get("/activites").await.refusal(403);
    refused.assert_says("La page Mon compte donne son nom.");
    assert!(refused.html().contains("La page <a href=\"/mon-compte\">"), "a link leads there");
    browser.open("/mon-compte").await.assert_says(&manager.full_name);
}

#[tokio::test]
async fn a_form_from_another_address_is_refused_with_the_address_of_the_portal() {
    let portal = TestPortal::start().await;
    let fields = [("identifiant", "claire@x.fr"), ("mot-de-passe", "peu importe")];
    for origin in [("origin", "http://raccord.lan"), ("sec-fetch-site", "cross-site")] {
        let form = Call::post_form("/connexion", &fields).without_fetch_metadata().with(origin.0, origin.1);
        let answer = portal.browser().send(form).await;
        assert_eq!(answer.status, 403);
        let own = portal.state().settings.public_url.clone();
        assert!(answer.body_text().contains(&format!("<a href=\"{own}/\">{own}</a>")), "{}", answer.body_text());
    }
    let stranger = portal.browser().get("/activites").await;
    assert!(!stranger.body_text().contains("depuis l’adresse du portail"));
}

/// Some telephones make a link to call of fourteen digits.
#[tokio::test]
async fn no_number_of_a_page_is_one_to_call() {
    let page = TestPortal::start().await.browser().open("/connexion").await;
    assert!(page.html().contains("<meta name=\"format-detection\" content=\"telephone=no\">"));
}
