//! Rules that hold across journeys: expiry, labels, sessions, headers, cookies.

use std::collections::BTreeSet;

use axum::http::Method;
use data_encoding::BASE64;
use raccord::{
    settings::Settings,
    web::{
        self,
        edge::{self, state::AppState},
    },
};

use crate::common::{Browser, Call, Page, Server, TestPortal, at_home, files_below, text_of_pdf};

async fn api_status(browser: &Browser, login: &str, password: &str) -> u16 {
    let account = BASE64.encode(format!("{login}:{password}").as_bytes());
    let call = Call::get("/cpro/transverses/v1/health-check").with("cpro-account", &account);
    browser.send(call).await.status.as_u16()
}

#[tokio::test]
async fn a_password_lives_424_days_to_the_second() {
    let mut portal = TestPortal::start().await;
    let (manager, structure) = portal.manager().await;
    let browser = portal.signed_in(&manager).await;
    let (id, _, password) = portal.create_and_show(&browser, structure.id, "ERP").await;
    let login = portal.text("SELECT login FROM technical_users WHERE id = $1", &[id]).await;
    let seconds = "SELECT extract(epoch FROM expires_at - password_set_at)::bigint FROM technical_users WHERE id = $1";
    assert_eq!(portal.number(seconds, &[id]).await, 424 * 86_400);
    let anybody = portal.browser();
    portal.move_clock("424 days -30 seconds").await;
    assert_eq!(api_status(&anybody, &login, &password).await, 200);
    portal.move_clock("424 days").await;
    assert_eq!(api_status(&anybody, &login, &password).await, 401);
}

#[tokio::test]
async fn one_date_of_expiry_stands_on_every_screen_and_in_the_pdf() {
    let portal = TestPortal::with(&[("RACCORD_PASSWORD_LIFETIME_DAYS", "90")]).await;
    let (manager, structure) = portal.manager().await;
    let browser = portal.signed_in(&manager).await;
    let (id, summary, _) = portal.create_and_show(&browser, structure.id, "ERP").await;
    let date = summary.fact("Échéance du mot de passe");
    for page in [
        "/activites".to_owned(),
        "/activites/utilisateurs-techniques".to_owned(),
        format!("/structures/{}", structure.id),
        format!("/utilisateurs-techniques/{id}"),
    ] {
        assert!(browser.open(&page).await.text().contains(&date), "{date} is not on {page}");
    }
    let action = format!("/utilisateurs-techniques/{id}/informations-de-connexion");
    let pdf = browser.submit(&summary, &action, &[]).await;
    assert!(text_of_pdf(&pdf.body).is_none_or(|text| text.contains(&date)), "{date} is not in the PDF");
}

#[tokio::test]
async fn a_label_is_unique_in_its_structure_blind_to_case_and_accents() {
    let portal = TestPortal::start().await;
    let (manager, structures) = portal.manager_with_structures("Camille", 2).await;
    let browser = portal.signed_in(&manager).await;
    let id = portal.create_account(&browser, structures[0].id, "Régie").await;
    let form = format!("/structures/{}/utilisateurs-techniques", structures[0].id);
    let page = browser.open(&format!("{form}/nouveau")).await;
    let refused = browser.submit(&page, &form, &[("libelle", "REGIE")]).await.refusal(422);
    refused.assert_says("porte déjà ce libellé");
    assert_eq!(refused.field("libelle"), "REGIE");
    portal.create_account(&browser, structures[1].id, "Régie").await;
    browser.post(&format!("/utilisateurs-techniques/{id}/suppression"), &[]).await.location();
    portal.create_account(&browser, structures[0].id, "regie").await;
}

#[tokio::test]
async fn a_session_ends_after_30_idle_minutes_and_12_hours_in_all() {
    let mut portal = TestPortal::start().await;
    let (manager, _) = portal.manager().await;
    let browser = portal.signed_in(&manager).await;
    portal.move_clock("29 minutes").await;
    assert_eq!(browser.get("/activites").await.status, 200);
    portal.move_clock("58 minutes").await;
    assert_eq!(browser.get("/activites").await.status, 200);
    portal.move_clock("89 minutes").await;
    assert!(browser.get("/activites").await.location().starts_with("/connexion"));
    portal.move_clock("0").await;
    let busy = portal.signed_in(&manager).await;
    for half_hours in 1..=25 {
        portal.move_clock(&format!("{} minutes", half_hours * 29)).await;
        let answer = busy.get("/activites").await;
        if half_hours * 29 < 12 * 60 {
            assert_eq!(answer.status, 200, "after {half_hours} × 29 minutes");
        } else {
            assert!(answer.location().starts_with("/connexion"));
        }
    }
}

/// Each answer that the portal can give in kind: pages, files, the API's, those of the machines
/// that watch, and refusals.
fn calls_of_every_kind(account: i64, structure: i64) -> Vec<Call> {
    let pages = web::routes().into_iter().map(|route| (route.method, route.path));
    let mut routes: Vec<_> =
        pages.chain(web::api::routes().into_iter().map(|route| (route.method, route.path))).collect();
    routes.retain(|(_, path)| *path != "/deconnexion");
    // Reading first: acts without a form of theirs may end what the others would show.
    routes.sort_by_key(|(method, _)| *method != Method::GET);
    let there = |path| Call::get(&at_home(path, account, structure));
    let mut calls: Vec<Call> = routes.into_iter().map(|(method, path)| there(path).method(method)).collect();
    for path in ["/livez", "/readyz", "/aucune", "/api/aucune", "/static/0/app.js", "/structures/%ff"] {
        calls.push(Call::get(path));
    }
    calls.push(Call::get(&format!("/connexion?{}", "x".repeat(9_000))));
    calls.push(Call::post("/connexion", vec![b'x'; 70_000]));
    calls.push(Call::post_form("/connexion", &[]).with("sec-fetch-site", "cross-site"));
    calls.push(Call::get("/connexion").method(Method::PUT));
    calls.push(Call::get("/cpro/transverses/v1/health-check").method(Method::PUT));
    calls
}

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
        assert!(others.is_empty(), "nothing from elsewhere, nothing unsafe: {what}: {others:?}");
        assert_eq!(header("x-content-type-options"), "nosniff");
        assert_eq!(header("cross-origin-opener-policy"), "same-origin");
        assert_eq!(header("cross-origin-resource-policy"), "same-origin");
        assert_eq!(header("referrer-policy"), "same-origin");
        assert_eq!(header("strict-transport-security"), "max-age=63072000; includeSubDomains");
        assert!(!header("permissions-policy").is_empty());
        let is_file = what.contains("\"/static/") && answer.status == 200;
        assert_eq!(header("cache-control"), if is_file { "public, max-age=31536000, immutable" } else { "no-store" });
        let is_api = ["\"/api/", "\"/cpro/"].iter().any(|prefix| what.contains(prefix));
        assert!(!is_api || !answer.status.is_redirection(), "the API redirects nobody: {what}");
        if answer.body.is_empty() {
            continue;
        }
        let kind = header("content-type").to_owned();
        let is_text = kind.starts_with("text/") || kind.contains("xml");
        assert!(!is_text || kind.ends_with("; charset=utf-8"), "{what}: {kind}");
        // What is to be kept, and not to be looked at within the portal, says so.
        let is_export = kind.starts_with("text/csv") || kind.starts_with("text/calendar");
        let is_attached =
            answer.header("content-disposition").is_some_and(|is| is.starts_with("attachment; filename=\""));
        assert_eq!(is_attached, is_export, "{what}");
        kinds.insert(kind);
    }
    let told: Vec<&str> = kinds.iter().map(|kind| kind.split(';').next().unwrap_or_default()).collect();
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
        assert!(told.contains(&kind), "{told:?}");
    }
}

#[tokio::test]
async fn what_is_encoded_twice_is_decoded_once() {
    let portal = TestPortal::start().await;
    let (manager, structure) = portal.manager().await;
    let browser = portal.signed_in(&manager).await;
    let label = "%3Cb%3E &lt;i&gt; a+b \\u003c";
    portal.create_account(&browser, structure.id, label).await;
    assert_eq!(portal.text("SELECT label FROM technical_users", &[]).await, label);
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
    // What is no page, what is refused, what is not there: never cached either.
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
    // The one exception, which is nobody's and bears the hash of what it is in its name.
    let style = style_of(&browser.open("/activites").await);
    assert!(browser.get(&style).await.header("cache-control").is_some_and(|value| value.starts_with("public")));
}

/// The style sheet that a page names.
fn style_of(page: &Page) -> String {
    let mut links = page.html().split("href=\"").filter_map(|rest| rest.split('"').next());
    links.find(|link| link.starts_with("/static/")).expect("its style").to_owned()
}

/// What the portal does not serve: its source, its settings, lists of its files, what other servers
/// have, its metrics.
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
    let metrics = Browser::new(Server::new(edge::monitoring::metrics_router(state), String::new()));
    assert_eq!(metrics.get("/metrics").await.status, 200);
    for path in ["/", "/activites", "/connexion", "/livez"] {
        assert_eq!(metrics.get(path).await.status, 404, "{path} is not of the port for metrics");
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
    // Its password waits to be displayed.
    let account = portal.create_account(&browser, structure.id, "ERP").await;
    let before = everything(&portal).await;
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
    assert_eq!(everything(&portal).await, before);
    let summary = format!("/utilisateurs-techniques/{account}/recapitulatif");
    assert!(browser.open(&summary).await.password().is_some(), "and the password still waits");
    assert_ne!(everything(&portal).await, before, "a display is written down");
}

/// What each table holds, by its name. When somebody was last seen is no change.
async fn everything(portal: &TestPortal) -> Vec<String> {
    let tables = "SELECT relname::text FROM pg_class
                   WHERE relnamespace = current_schema()::regnamespace AND relkind = 'r' ORDER BY 1";
    let mut all = Vec::new();
    for table in portal.texts(tables, &[]).await {
        let content = format!(
            "SELECT coalesce(string_agg((to_jsonb(t) - 'last_seen_at')::text, ' ' ORDER BY to_jsonb(t)::text), '') FROM {table} t"
        );
        let content: String =
            sqlx::query_scalar(sqlx::AssertSqlSafe(content)).fetch_one(&portal.pool).await.expect("a table");
        all.push(format!("{table}: {content}"));
    }
    assert!(all.len() > 15, "{}", all.len());
    all
}

#[tokio::test]
async fn nobody_gets_a_cookie_who_has_not_signed_in() {
    let portal = TestPortal::start().await;
    let (manager, structure) = portal.manager().await;
    let account = portal.technical_user(&structure, &manager).await;
    let link = portal.invitation(&manager).await;
    let wrong = [("identifiant", manager.login.as_str()), ("mot-de-passe", "pas celui-là, non")];
    let chosen = [("nouveau-mot-de-passe", "trois moulins sur la colline")];
    let mut calls = calls_of_every_kind(account, structure.id);
    calls.push(Call::post_form("/connexion", &wrong));
    calls.push(Call::post_form("/mot-de-passe-oublie", &wrong[..1]));
    // Who follows a link has still to sign in.
    calls.push(Call::get(&link));
    calls.push(Call::post_form(&link, &chosen));
    calls.push(Call::post_form("/deconnexion", &[]));
    for call in calls {
        let what = format!("{call:?}");
        assert_eq!(portal.browser().send(call).await.header("set-cookie"), None, "{what}");
    }
    assert_eq!(portal.events_of("PASSWORD_CHOSEN").await, 1);
    assert_eq!(portal.number("SELECT count(*) FROM sessions", &[]).await, 0);
}

#[tokio::test]
async fn the_cookie_is_bound_to_the_host_over_https_and_named_otherwise_without() {
    for (url, name, secure) in
        [("https://raccord.example", "__Host-", true), ("http://127.0.0.1:8080", "raccord", false)]
    {
        let portal = TestPortal::with(&[("RACCORD_PUBLIC_URL", url)]).await;
        let (manager, _) = portal.manager().await;
        let fields = [("identifiant", manager.login.as_str()), ("mot-de-passe", crate::common::PASSWORD)];
        let answer = portal.browser().post("/connexion", &fields).await;
        assert_eq!(answer.headers.get_all("set-cookie").iter().count(), 1, "one cookie");
        let cookie = answer.header("set-cookie").expect("a session").to_owned();
        assert!(cookie.starts_with(name), "{cookie}");
        for attribute in ["HttpOnly", "SameSite=Lax", "Path=/"] {
            assert!(cookie.contains(attribute), "{cookie}");
        }
        assert_eq!(cookie.contains("Secure"), secure, "{cookie}");
        assert!(!cookie.contains("Domain=") && !cookie.contains("Max-Age") && !cookie.contains("Expires"), "{cookie}");
        assert_eq!(answer.header("strict-transport-security").is_some(), secure);
        // Its value is told in this header alone, and short enough for every browser to keep.
        let (pair, _) = cookie.split_once(';').expect("attributes");
        assert!(pair.len() < 4_096, "{cookie}");
        let (_, value) = pair.split_once('=').expect("a value");
        let browser = portal.browser();
        browser.post("/connexion", &fields).await.location();
        let own = browser.cookies().into_values().next().expect("a session");
        for path in
            ["/activites", "/mon-compte", "/mon-compte/double-authentification", "/aucune", "/documentation-api"]
        {
            let text = browser.get(path).await.body_text();
            assert!(own.len() == value.len() && !text.contains(&own), "{path}");
        }
    }
}

#[test]
fn no_template_and_no_script_writes_a_text_as_markup() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let read = |path: &std::path::Path| std::fs::read_to_string(path).expect("a file");
    let templates = files_below(&root.join("templates"));
    assert!(templates.len() > 50, "{}", templates.len());
    for path in templates {
        // Askama knows by its name that a file is HTML, and escapes what is written into it.
        let is_escaped = path.extension().is_some_and(|extension| extension == "html");
        assert!(is_escaped || path.parent().is_some_and(|mails| mails.ends_with("mails")), "{}", path.display());
        let text = read(&path).replace(' ', "");
        for way_round in ["|safe", "|escape(", "|e(", "{%filter", "{%-filter", "javascript:"] {
            assert!(!text.contains(way_round), "{}: {way_round}", path.display());
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
