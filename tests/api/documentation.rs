//! « Documentation de l’API »: each example request is sent as it is written, and answered as the
//! page says.

use axum::{
    body::Body,
    http::{Request, header},
};
use raccord::{
    domain::{password, service},
    web::api,
};
use serde_json::{Map, Value};

use super::portal_with_account;
use crate::common::{Account, Answer, Program, Takes, TestPortal, TestService};

const PAGE: &str = "/documentation-api";

/// The page's blocks of code, as people copy them.
async fn blocks(program: &Program) -> Vec<String> {
    let page = program.get(PAGE).await;
    assert_eq!(page.status, 200);
    let text = page.body_text();
    let starts = text.split("<pre translate=\"no\"><code>").skip(1);
    let codes = starts.map(|rest| rest.split("</code></pre>").next().expect("an end"));
    codes.map(|code| code.replace("&amp;", "&").replace("&#34;", "\"").replace("&#39;", "'")).collect()
}

async fn send(program: &Program, account: &Account, service: &TestService, example: &str) -> Answer {
    let (line, body) = example.split_once('\n').unwrap_or((example, ""));
    let (method, path) = line.split_once(' ').expect("a method and a path");
    let is_form = path.starts_with("/api/oauth/");
    let ids = if is_form { body.to_owned() } else { body.replace("42", "1") };
    let body = ids
        .replace("IDENTIFIANT", &account.login)
        .replace("MOT-DE-PASSE", account.password.expose())
        .replace("SERVICE", &service.client_id)
        .replace("SECRET", &service.secret)
        .replace("JETON", &program.token(account).await);
    let kind = if is_form { "application/x-www-form-urlencoded" } else { "application/json" };
    let mut request = Request::builder().method(method).uri(path).header(header::CONTENT_TYPE, kind);
    if !is_form {
        request = request.header("cpro-account", account.cpro_account());
    }
    program.send(request.body(Body::from(body)).expect("a request")).await
}

/// The members of a JSON text and their kinds: what an example shows, whatever the values. Of a
/// list, the first entry.
fn shape(value: &Value) -> Value {
    match value {
        Value::Object(members) => {
            Value::Object(members.iter().map(|(name, value)| (name.clone(), shape(value))).collect::<Map<_, _>>())
        }
        Value::Array(entries) => Value::Array(entries.iter().take(1).map(shape).collect()),
        Value::String(_) => "text".into(),
        Value::Number(_) => "number".into(),
        Value::Bool(_) => "boolean".into(),
        Value::Null => "null".into(),
    }
}

#[tokio::test]
async fn each_example_works_as_it_stands_on_the_page() {
    let (portal, account) = portal_with_account().await;
    let service = portal.service("factures", Takes::Jwts).await;
    let program = portal.program();
    let blocks = blocks(&program).await;
    let is_request = |block: &str| block.starts_with("GET /") || block.starts_with("POST /");
    let mut shown: Vec<String> = Vec::new();
    for pair in blocks.windows(2).filter(|pair| is_request(&pair[0])) {
        let answer = send(&program, &account, &service, &pair[0]).await;
        assert_eq!(answer.status, 200, "{}: {}", pair[0], answer.body_text());
        let example: Value = serde_json::from_str(&pair[1]).unwrap_or_else(|error| panic!("{error}: {}", pair[1]));
        assert_eq!(shape(&answer.json()), shape(&example), "{}", pair[0]);
        shown.push(pair[0].lines().next().unwrap_or_default().to_owned());
    }
    let mut routed: Vec<String> =
        api::routes().iter().map(|route| format!("{} {}", route.method, route.path)).collect();
    // The answer of a check has headers alone; `tests/api/verification.rs` shows them. Raccord has
    // no service to consult.
    let is_shown = |route: &String| {
        !["openapi.json", "/verification", "/consulter/service"].iter().any(|end| route.ends_with(end))
    };
    routed.retain(is_shown);
    shown.sort();
    routed.sort();
    assert_eq!(shown, routed);
}

#[tokio::test]
async fn the_page_names_the_form_of_passwords_and_the_description() {
    let portal = TestPortal::start().await;
    let program = portal.program();
    let blocks = blocks(&program).await;
    for pattern in [password::PATTERN, service::SECRET_PATTERN] {
        assert!(blocks.iter().any(|block| block == pattern));
    }
    let page = program.get(PAGE).await;
    assert!(page.body_text().contains("href=\"/api/openapi.json\""));
    let description = program.get("/api/openapi.json").await;
    assert_eq!((description.status.as_u16(), description.json()["openapi"].as_str()), (200, Some("3.1.0")));
}
