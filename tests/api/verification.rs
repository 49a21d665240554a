//! Checks of gateways (forward-auth): which calls they are told to let in, and what of a request
//! decides that.

use std::convert::Infallible;

use axum::{
    body::{Body, Bytes},
    http::{Method, Request, header},
};
use futures_util::stream;
use raccord::{
    db::api::services::{self, ServiceState},
    domain::{audit::Actor, technical_user::TechnicalUserStatus},
    web::edge::probes,
};

use super::{CHALLENGE, portal_with_account};
use crate::{
    common::{Account, Answer, BRUNO, KEY_FILE, Program, Server, Takes, cpro_account},
    operator::binary::{Directory, Serving},
};

const CHECK: &str = "/api/verification";
const FACTURES: &str = "/api/services/factures/verification";
const ANNUAIRE: &str = "/api/services/annuaire/verification";
/// Structures of [`TestPortal::anne_and_bruno`], within the account's rights and outside them.
const WITHIN: &str = "SIRET:21690123100011";
const OUTSIDE: &str = "SIRET:21130055300016";

type Header = (&'static str, String);

async fn check(program: &Program, path: &str, headers: &[Header]) -> Answer {
    with_method(program, &Method::GET, path, headers).await
}

async fn with_method(program: &Program, method: &Method, path: &str, headers: &[Header]) -> Answer {
    let mut request = Request::builder().method(method.clone()).uri(path);
    for (name, value) in headers {
        request = request.header(*name, value);
    }
    program.send(request.body(Body::empty()).expect("a request")).await
}

async fn status(program: &Program, path: &str, headers: &[Header]) -> u16 {
    check(program, path, headers).await.status.as_u16()
}

fn password(account: &Account) -> [Header; 1] {
    [("cpro-account", account.cpro_account())]
}

fn basic(account: &Account) -> [Header; 1] {
    [("authorization", format!("Basic {}", account.cpro_account()))]
}

fn bearer(token: &str) -> [Header; 1] {
    [("authorization", format!("Bearer {token}"))]
}

fn named(structure: &str) -> Header {
    ("x-raccord-for-structure", structure.to_owned())
}

fn joined(one: &[Header], other: &[Header]) -> Vec<Header> {
    [one, other].concat()
}

/// The six headers that say who calls.
fn identity(answer: &Answer) -> Vec<String> {
    let names = ["login", "structure", "scope", "expiration", "for-structure", "structure-authorized"];
    let value = |name: &str| answer.header(&format!("x-raccord-{name}")).unwrap_or_else(|| panic!("{name}")).to_owned();
    names.map(value).to_vec()
}

#[tokio::test]
async fn every_credential_and_every_method_is_let_in_with_all_headers_and_no_body() {
    let (portal, account) = portal_with_account().await;
    portal.service("factures", Takes::EveryToken).await;
    let program = portal.program();
    portal.set_expiry(account.id, "2300-01-01T00:00:00.5Z").await;
    let token = bearer(&program.token(&account).await);
    let expected = [&account.login, WITHIN, "openid", "2300-01-01T00:00:00Z", "", ""];
    for headers in [&token[..], &basic(&account), &password(&account), &joined(&token, &password(&account))] {
        for path in [CHECK, "/api/verification/", "/api/verification/a/b%ff?c=%20d", FACTURES] {
            for method in ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND"] {
                let method = Method::from_bytes(method.as_bytes()).expect("a method");
                let answer = with_method(&program, &method, path, headers).await;
                assert_eq!(answer.status, 200, "{method} {path} {headers:?}: {}", answer.body_text());
                assert_eq!((identity(&answer), answer.body.len()), (expected.map(str::to_owned).to_vec(), 0));
                assert_eq!(answer.header("cache-control"), Some("no-store"));
                let all_ascii = answer.headers.values().all(|value| value.as_bytes().is_ascii());
                assert!(all_ascii, "{:?}", answer.headers);
            }
        }
    }
}

#[tokio::test]
async fn a_body_is_not_read() {
    let (portal, account) = portal_with_account().await;
    let body = Body::from_stream(stream::poll_fn(|_| -> std::task::Poll<Option<Result<Bytes, Infallible>>> {
        panic!("it was read")
    }));
    let request = Request::post(CHECK).header("cpro-account", account.cpro_account()).header("content-length", 9);
    let answer = portal.program().send(request.body(body).expect("a request")).await;
    assert_eq!(answer.status, 200, "{}", answer.body_text());
}

#[tokio::test]
async fn every_refusal_of_a_credential_is_the_same_challenge() {
    let (portal, account) = portal_with_account().await;
    let (other, expired, suspended) = (portal.account(2).await, portal.account(1).await, portal.account(1).await);
    let service = portal.service("factures", Takes::EveryToken).await;
    let program = portal.program();
    let (token, dead) = (program.token(&account).await, program.token(&suspended).await);
    portal.expire_in(expired.id, "-1 second").await;
    portal.set_status(suspended.id, TechnicalUserStatus::Suspended).await;
    let wrong = cpro_account(&account.login, "faux");
    let refused: Vec<Vec<Header>> = vec![
        vec![],
        bearer("inconnu").to_vec(),
        bearer(&dead).to_vec(),
        basic(&expired).to_vec(),
        password(&suspended).to_vec(),
        vec![("cpro-account", wrong.clone())],
        vec![("authorization", format!("Basic {wrong}"))],
        vec![("authorization", "Basic".into())],
        vec![("authorization", "Basic ????".into())],
        vec![("authorization", "Digest x".into())],
        vec![("authorization", token.clone())],
        vec![("cpro-account", cpro_account("anne@mairie.fr", crate::common::PASSWORD))],
        vec![("cpro-account", cpro_account(&service.client_id, &service.secret))],
        // Two credentials must be one account's, and two passwords are one too many.
        joined(&bearer(&token), &password(&other)),
        joined(&basic(&account), &password(&account)),
        joined(&password(&account), &password(&account)),
        joined(&basic(&account), &bearer(&token)),
    ];
    for (number, headers) in refused.iter().enumerate() {
        for (place, path) in [CHECK, FACTURES, "/api/verification/x"].into_iter().enumerate() {
            // Each from another network, so that no delay applies.
            let elsewhere = program.with_address(&format!("10.{number}.{place}.1"));
            let answer = check(&elsewhere, &format!("{path}?structure={OUTSIDE}"), headers).await;
            assert_eq!(answer.status, 401, "{path} {headers:?}");
            let challenges: Vec<_> = answer.headers.get_all(header::WWW_AUTHENTICATE).iter().collect();
            assert_eq!(challenges, [CHALLENGE, r#"Basic realm="PISTE", charset="UTF-8""#]);
            assert!(answer.header("x-raccord-login").is_none());
        }
    }
}

#[tokio::test]
async fn the_structure_is_the_gateways_and_outside_the_rights_is_403() {
    let (portal, account) = portal_with_account().await;
    let (program, headers) = (portal.program(), password(&account));
    let asked = |structure: &str| format!("{CHECK}?structure={structure}");
    let told = |answer: &Answer| identity(answer)[4..].to_vec();
    let answer = check(&program, &asked(WITHIN), &headers).await;
    assert_eq!((answer.status.as_u16(), told(&answer)), (200, vec![WITHIN.to_owned(), "true".into()]));
    let answer = check(&program, "/api/verification/x", &joined(&headers, &[named(WITHIN)])).await;
    assert_eq!((answer.status.as_u16(), told(&answer)), (200, vec![WITHIN.to_owned(), "true".into()]));
    for refused in [OUTSIDE, "SIRET:99999999999999", "", "SIRET:", "SIRET:1", "x", "%00"] {
        assert_eq!(status(&program, &asked(refused), &headers).await, 403, "{refused}");
        if !refused.contains('%') {
            let by_header = joined(&headers, &[named(refused)]);
            assert_eq!(status(&program, "/api/verification/x", &by_header).await, 403, "{refused}");
        }
    }
    let twice = [named(WITHIN), named(WITHIN)];
    assert_eq!(status(&program, CHECK, &joined(&headers, &twice)).await, 403);
    assert_eq!(status(&program, &format!("{CHECK}?structure={WITHIN}&structure={WITHIN}"), &headers).await, 403);
    // The gateway's own URL counts before a header, which a client may have sent.
    assert_eq!(status(&program, &asked(OUTSIDE), &joined(&headers, &[named(WITHIN)])).await, 403);
    // Below it, the query is the client's.
    for query in ["", "?structure=SIRET:21690123100011", "?structure=SIRET:21130055300016", "?a=b&reponses=nginx"] {
        let answer = check(&program, &format!("/api/verification/x{query}"), &headers).await;
        assert_eq!((answer.status.as_u16(), told(&answer)), (200, vec![String::new(); 2]), "{query}");
        let by_header = joined(&headers, &[named(OUTSIDE)]);
        assert_eq!(status(&program, &format!("/api/verification/x{query}"), &by_header).await, 403, "{query}");
    }
    // The rights are the manager's, now.
    let third = "SIRET:35600000000048";
    assert_eq!(status(&program, &asked(third), &headers).await, 200);
    portal.replace_manager(1, BRUNO).await;
    assert_eq!(status(&program, &asked(third), &headers).await, 403);
    assert_eq!(status(&program, &asked(WITHIN), &headers).await, 200);
}

#[tokio::test]
async fn what_a_gateway_asks_and_is_not_understood_is_refused() {
    let (portal, account) = portal_with_account().await;
    for query in ["service=factures", "structures=x", "reponses=caddy", "a", "reponses=nginx&x=1"] {
        let answer = check(&portal.program(), &format!("{CHECK}?{query}"), &password(&account)).await;
        assert_eq!(answer.status, 400, "{query}");
        assert!(answer.body_text().contains("structure=TYPE:IDENTIFIANT"), "{}", answer.body_text());
    }
}

#[tokio::test]
async fn a_token_for_one_api_does_not_open_the_gateway_of_another() {
    let (portal, account) = portal_with_account().await;
    let (factures, _) =
        (portal.service("factures", Takes::EveryToken).await, portal.service("annuaire", Takes::EveryToken).await);
    let program = portal.program();
    let narrowed = bearer(&program.token_for(&account, &[&factures.audience]).await);
    let wide = bearer(&program.token(&account).await);
    let own_api = bearer(&program.token_for(&account, &[&portal.state().settings.public_url]).await);
    for (path, opened_by_narrowed, opened_by_wide) in [
        (FACTURES, 200, 200),
        ("/api/services/factures/verification/a/b?c=d", 200, 200),
        (ANNUAIRE, 401, 200),
        (CHECK, 401, 200),
        ("/api/verification/x", 401, 200),
        // What a client may write after the gateway's own path names no service.
        ("/api/verification/services/factures/verification", 401, 200),
        ("/api/verification/../services/factures/verification", 401, 200),
        ("/api/verification/?service=factures", 401, 200),
        ("/api/services/annuaire/verification/../../factures/verification", 401, 200),
        ("/api/services/annuaire/verification/?service=factures", 401, 200),
    ] {
        assert_eq!(status(&program, path, &narrowed).await, opened_by_narrowed, "{path}");
        assert_eq!(status(&program, path, &wide).await, opened_by_wide, "{path}");
        assert_eq!(status(&program, path, &own_api).await, 401, "{path}");
        for name in ["x-raccord-for-service", "x-raccord-service"] {
            let claimed = joined(&narrowed, &[(name, "factures".to_owned())]);
            assert_eq!(status(&program, path, &claimed).await, opened_by_narrowed, "{path} {name}");
        }
    }
}

#[tokio::test]
async fn a_service_that_needs_to_be_named_takes_no_other_token_and_no_password() {
    let (portal, account) = portal_with_account().await;
    let service = portal.service("factures", Takes::TokensThatNameIt).await;
    let program = portal.program();
    let named = bearer(&program.token_for(&account, &[&service.audience]).await);
    assert_eq!(status(&program, FACTURES, &named).await, 200);
    assert_eq!(status(&program, FACTURES, &bearer(&program.token(&account).await)).await, 401);
    // A right password is no guess, however often it comes.
    for _ in 0..10 {
        assert_eq!(status(&program, FACTURES, &password(&account)).await, 401);
    }
    assert_eq!(status(&program, CHECK, &[("cpro-account", cpro_account(&account.login, "faux"))]).await, 401);
}

#[tokio::test]
async fn an_unknown_or_disabled_service_is_reported_to_valid_callers_only() {
    let (portal, account) = portal_with_account().await;
    portal.service("factures", Takes::EveryToken).await;
    let program = portal.program();
    for path in
        ["/api/services/inconnu/verification", "/api/services/%66actures/verification", "/api/services//verification"]
    {
        let answer = check(&program, path, &password(&account)).await;
        assert_eq!((answer.status.as_u16(), answer.json()["codeRetour"].clone()), (404, 404.into()), "{path}");
    }
    assert_eq!(status(&program, "/api/services/inconnu/verification", &bearer("x")).await, 401);
    let name = "factures".parse().expect("a name");
    let disabled = services::set_state(&portal.pool, &Actor::operator(), &name, ServiceState::Disabled).await;
    disabled.expect("the service is disabled");
    assert_eq!(status(&program, FACTURES, &password(&account)).await, 404);
    assert_eq!(status(&program, FACTURES, &[]).await, 401);
}

#[tokio::test]
async fn reset_suspension_and_expiry_act_on_the_next_check_of_every_instance() {
    for change in ["reset", "suspension", "expiry", "inactive structure"] {
        let (portal, account) = portal_with_account().await;
        portal.service("factures", Takes::EveryToken).await;
        let other_instance = Program::new(portal.second_instance());
        let token = bearer(&portal.program().token(&account).await);
        let shown = [token.to_vec(), basic(&account).to_vec(), password(&account).to_vec()];
        for headers in &shown {
            assert_eq!(status(&other_instance, FACTURES, headers).await, 200, "{headers:?}");
        }
        match change {
            "reset" => portal.replace_password(account.id).await,
            "suspension" => portal.set_status(account.id, TechnicalUserStatus::Suspended).await,
            "expiry" => portal.expire_in(account.id, "-1 second").await,
            _ => portal.set_active(1, false).await,
        }
        for headers in &shown {
            assert_eq!(status(&other_instance, FACTURES, headers).await, 401, "{change} {headers:?}");
        }
    }
}

#[tokio::test]
async fn a_throttled_gateway_gets_retry_after_and_nginx_a_403() {
    let (portal, account) = portal_with_account().await;
    let (program, wrong) = (portal.program(), [("cpro-account", cpro_account(&account.login, "faux"))]);
    for _ in 0..5 {
        assert_eq!(status(&program, CHECK, &wrong).await, 401);
    }
    let told = |answer: &Answer| {
        let status = answer.header("x-raccord-status").map(str::to_owned);
        (answer.status.as_u16(), status, answer.header("retry-after").is_some())
    };
    let nginx = format!("{CHECK}?reponses=nginx");
    assert_eq!(told(&check(&program, CHECK, &wrong).await), (429, None, true));
    assert_eq!(told(&check(&program, &nginx, &wrong).await), (403, Some("429".into()), true));
    assert_eq!(status(&program, &nginx, &password(&account)).await, 200, "the right password waits for nothing");
    assert_eq!(told(&check(&program, &nginx, &[]).await), (401, None, false));
    assert_eq!(
        told(&check(&program, &format!("{nginx}&structure={OUTSIDE}"), &password(&account)).await),
        (403, None, false)
    );
    portal.set_database_reachable(false).await;
    assert_eq!(told(&check(&program, CHECK, &password(&account)).await), (503, None, true));
    assert_eq!(told(&check(&program, &nginx, &password(&account)).await), (403, Some("503".into()), true));
    portal.set_database_reachable(true).await;
}

#[tokio::test]
async fn checks_are_counted_by_service_and_not_by_account() {
    let (portal, account) = portal_with_account().await;
    portal.service("factures", Takes::EveryToken).await;
    let program = portal.program();
    for (path, headers) in [
        (FACTURES.to_owned(), password(&account).to_vec()),
        (FACTURES.to_owned(), bearer("x").to_vec()),
        (format!("{FACTURES}?structure={OUTSIDE}"), password(&account).to_vec()),
        (CHECK.to_owned(), password(&account).to_vec()),
        ("/api/services/inconnu/verification".to_owned(), bearer("x").to_vec()),
    ] {
        check(&program, &path, &headers).await;
    }
    let metrics = Program::new(Server::new(probes::metrics_router(portal.state()), String::new()));
    let text = metrics.get("/metrics").await.body_text();
    for (service, answer) in [
        ("factures", "LetIn"),
        ("factures", "Unauthorized"),
        ("factures", "Forbidden"),
        ("", "LetIn"),
        ("", "Unauthorized"),
    ] {
        let line = format!(r#"raccord_verifications_total{{service="{service}",answer="{answer}"}} 1"#);
        assert!(text.contains(&line), "{line}\n{text}");
    }
    assert!(!text.contains(&account.login) && !text.contains("inconnu"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_that_hides_its_clients_is_logged_once() {
    let (portal, account) = portal_with_account().await;
    let warnings = |trusted: &str| {
        let directory = Directory::create();
        let settings = [("DATABASE_URL", portal.database_url()), KEY_FILE, ("RACCORD_TRUSTED_PROXIES", trusted)];
        let serving = Serving::start(&directory, &["serve"], &settings);
        for _ in 0..3 {
            let request = format!(
                "GET {CHECK} HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: 203.0.113.7\r\ncpro-account: {}\r\n\
                 Connection: close\r\n\r\n",
                account.cpro_account()
            );
            crate::operator::binary::send(serving.address, &request).expect("an answer");
        }
        serving.stop().matches("RACCORD_TRUSTED_PROXIES must name the gateway").count()
    };
    assert_eq!((warnings("192.0.2.1"), warnings("127.0.0.1")), (1, 0));
}
