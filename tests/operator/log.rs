//! The log's line about each request.

use raccord::domain::technical_user::TechnicalUserStatus;
use serde_json::Value;

use super::{
    binary::{Directory, Serving, send},
    faults::health_check,
};
use crate::common::{Call, HEALTH, PASSWORD, TestPortal};

#[tokio::test(flavor = "multi_thread")]
async fn a_sign_in_at_another_address_is_refused_with_words_and_the_log_names_both() {
    let portal = TestPortal::start().await;
    let person = portal.person("Noor").await;
    let directory = Directory::create();
    let settings = [
        ("DATABASE_URL", portal.database_url()),
        ("RACCORD_LOG_FORMAT", "json"),
        ("RACCORD_PUBLIC_URL", "https://raccord.example"),
    ];
    let serving = Serving::start(&directory, &["serve"], &settings);
    let fields = [("identifiant", person.login.as_str()), ("mot-de-passe", PASSWORD)];
    let others = ["https://autre.example", "http://raccord.example", "https://raccord.example:8443"];
    for origin in others {
        let form = Call::post_form("/connexion", &fields).with("origin", origin);
        let page = serving.browser().send(form).await.refusal(403);
        assert!(page.html().contains("<a href=\"https://raccord.example/\">https://raccord.example</a>"), "{origin}");
    }
    let form = Call::post_form("/connexion", &fields).with("origin", "https://raccord.example");
    serving.browser().send(form).await.location();
    let log = serving.stop();
    let lines: Vec<Value> = log.lines().map(|line| serde_json::from_str(line).expect("each line is JSON")).collect();
    let warned: Vec<&str> = lines
        .iter()
        .filter(|line| line["level"] == "WARN" && line["fields"]["expected"] == "https://raccord.example")
        .filter_map(|line| line["fields"]["origin"].as_str())
        .collect();
    assert_eq!(warned, others, "{log}");
}

const TRACE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

#[tokio::test(flavor = "multi_thread")]
async fn each_log_line_has_time_address_principal_request_and_status() {
    let portal = TestPortal::start().await;
    let (manager, structure) = portal.manager().await;
    let stranger = portal.person("Sacha").await;
    let directory = Directory::create();
    let settings = [("DATABASE_URL", portal.database_url()), ("RACCORD_LOG_FORMAT", "json")];
    let serving = Serving::start(&directory, &["serve"], &settings);
    let mine = portal.sign_in(serving.browser(), &manager).await;
    let (account, _, password) = portal.create_and_show(&mine, structure.id, "ERP").await;
    let login = portal.login_of(account).await;
    assert_eq!(health_check(&serving, "", &login, &password), Some(200));
    assert_eq!(health_check(&serving, "", &login, "faux"), Some(401));
    portal.set_status(account, TechnicalUserStatus::Suspended).await;
    assert_eq!(health_check(&serving, "", &login, &password), Some(401));
    // What a stranger may not open, and what another site sends with the stranger's session.
    let theirs = portal.sign_in(serving.browser(), &stranger).await;
    let (page, suspension) =
        (format!("/structures/{}", structure.id), format!("/utilisateurs-techniques/{account}/suspension"));
    theirs.get(&page).await.refusal(404);
    theirs.post(&suspension, &[]).await.refusal(404);
    assert_eq!(
        theirs.send(Call::post_form("/deconnexion", &[]).with("sec-fetch-site", "cross-site")).await.status,
        403
    );
    theirs.get("/invitation/un-lien-qui-ouvre-un-compte").await.refusal(404);
    theirs.get("/remise/un-lien-qui-ouvre-un-compte").await.refusal(404);
    theirs.post("/remise/un-lien-qui-ouvre-un-compte", &[]).await.refusal(404);
    theirs.get("/remise/un-lien-qui-ouvre-un-compte/x").await.refusal(404);
    for spelled in [
        "/%69nvitation/un-lien-qui-ouvre-un-compte",
        "//invitation/un-lien-qui-ouvre-un-compte",
        "/Invitation/un-lien-qui-ouvre-un-compte",
        "/invitation/%75n-lien-qui-ouvre-un-compte/x",
    ] {
        theirs.get(spelled).await.refusal(404);
    }

    let traced =
        format!("GET /mentions-legales HTTP/1.1\r\nHost: x\r\nConnection: close\r\ntraceparent: {TRACE}\r\n\r\n");
    send(serving.address, &traced).expect("an answer");

    assert_eq!(serving.get("/readyz").map(|answer| answer.0), Some(200));
    let log = serving.stop();
    assert!(!log.contains("/readyz"), "balancers ask it every second");
    let lines: Vec<Value> = log.lines().map(|line| serde_json::from_str(line).expect("each line is JSON")).collect();
    assert!(lines.iter().all(|line| line["timestamp"].as_str().is_some_and(|at| at.ends_with('Z'))), "UTC: {log}");
    let said = |method: &str, path: &str, status: u16, who: Option<String>| {
        let is_it = |fields: &Value| {
            fields["method"] == method
                && fields["path"] == path
                && fields["status"] == status
                && fields["address"] == "127.0.0.1"
        };
        let is_whose = |line: &&Value| line["fields"]["who"].as_str() == who.as_deref();
        let found = lines.iter().filter(|line| is_it(&line["fields"])).find(is_whose);
        let line = found.unwrap_or_else(|| panic!("{method} {path} {status} {who:?} is not in\n{log}"));
        assert!(line["span"]["number"].as_str().is_some_and(|number| !number.is_empty()), "{line}");
    };
    let (me, them, program) =
        (format!("person-{}", manager.id), format!("person-{}", stranger.id), format!("technical-user-{account}"));
    said("POST", "/connexion", 303, None);
    said("POST", &format!("/structures/{}/utilisateurs-techniques", structure.id), 303, Some(me));
    said("GET", HEALTH, 200, Some(program));
    // Of refused calls, the account stands in the history.
    said("GET", HEALTH, 401, None);
    said("GET", &page, 404, Some(them.clone()));
    said("POST", &suspension, 404, Some(them));
    said("POST", "/deconnexion", 403, None);
    said("GET", "/invitation/{token}", 404, None);
    said("GET", "/remise/{token}", 404, None);
    said("POST", "/remise/{token}", 404, None);
    said("GET", "/remise/{unknown}", 404, None);
    for name in [&manager.login, &stranger.login, &login] {
        assert!(!log.contains(name.as_str()), "people and accounts are numbers there: {name}");
    }
    said("GET", "/invitation/{unknown}", 404, None);
    assert!(!log.contains("n-lien-qui-ouvre-un-compte"));
    let of_trace: Vec<_> = lines.iter().filter(|line| line["span"]["traceparent"] == TRACE).collect();
    assert_eq!(of_trace.len(), 1, "{log}");
    assert_eq!(of_trace[0]["fields"]["path"], "/mentions-legales");
}
