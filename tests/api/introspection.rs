//! Introspection (RFC 7662): what a service is told of a token and of a `cpro-account`.

use axum::http::header;
use data_encoding::BASE64;
use raccord::{
    db::technical_users::{changes, former_passwords},
    domain::{
        audit::Actor, password::Password, random::os_rng, rotation::Grace, service::ServiceSecret,
        technical_user::TechnicalUserStatus,
    },
    web::edge::probes,
};
use serde_json::{Value, json};

use super::{
    portal_with_account,
    rotation::{managed, reset},
};
use crate::common::{
    Account, BRUNO, HEALTH, INTROSPECT, Program, Server, Takes, TestPortal, TestService, cpro_account, form,
};

const BASIC: &str = r#"Basic realm="PISTE", charset="UTF-8""#;

async fn introspect_password(program: &Program, service: &TestService, account: &Account) -> Value {
    let value = account.cpro_account();
    let answer = program.introspect(service, &[("token", &value), ("token_type_hint", "cpro-account")]).await;
    assert_eq!(answer.status, 200, "{}", answer.body_text());
    answer.json()
}

fn inactive() -> Value {
    json!({ "active": false })
}

#[tokio::test]
async fn introspection_names_the_account_and_the_end_of_a_token() {
    let (portal, account) = portal_with_account().await;
    let service = portal.service("factures", Takes::EveryToken).await;
    let program = portal.program();
    let token = program.token(&account).await;
    let answer = program.introspect(&service, &[("token", &token), ("token_type_hint", "refresh_token")]).await;
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    let mut told = answer.json();
    let (issued, ends) = (told["iat"].as_i64().unwrap(), told["exp"].as_i64().unwrap());
    assert_eq!(ends - issued, 900);
    let id = told["jti"].as_str().unwrap().to_owned();
    assert!(id.len() == 22 && !token.contains(&id));
    for name in ["iat", "exp", "jti"] {
        told.as_object_mut().unwrap().remove(name);
    }
    let expected = json!({
        "active": true, "scope": "openid", "client_id": account.login, "username": account.login, "sub": account.login,
        "aud": "https://api.example/factures", "iss": portal.state().settings.public_url, "token_type": "Bearer",
        "structure": { "type": "SIRET", "identifiant": "21690123100011", "designation": "Mairie de Lyon" },
    });
    assert_eq!(told, expected);
    let mut of_password = introspect_password(&program, &service, &account).await;
    let password_ends =
        portal.number("SELECT floor(extract(epoch FROM expires_at))::bigint FROM technical_users", &[]).await;
    assert_eq!(of_password["exp"], password_ends);
    of_password.as_object_mut().unwrap().remove("exp");
    let mut expected = expected;
    expected["token_type"] = "cpro-account".into();
    assert_eq!(of_password, expected);
}

#[tokio::test]
async fn introspection_never_reports_a_token_beyond_its_password() {
    let (portal, account) = portal_with_account().await;
    let service = portal.service("factures", Takes::EveryToken).await;
    let token = portal.program().token(&account).await;
    portal.expire_in(account.id, "1 minute").await;
    let told = portal.program().introspect_token(&service, &token).await;
    assert_eq!(
        told["exp"],
        portal.number("SELECT floor(extract(epoch FROM expires_at))::bigint FROM technical_users", &[]).await
    );
}

#[tokio::test]
async fn whatever_ends_a_credential_counts_at_the_next_question_to_another_instance() {
    let actor = Actor::operator();
    for end in ["reset", "suspension", "deletion", "former password", "expiry", "inactive structure"] {
        let (portal, account) = portal_with_account().await;
        let service = portal.service("factures", Takes::EveryToken).await;
        let other = Program::new(portal.second_instance());
        if end == "former password" {
            reset(&portal, &account, Grace::Day).await;
        }
        let token = other.token(&account).await;
        assert_eq!(other.introspect_token(&service, &token).await["active"], true, "{end}");
        assert_eq!(introspect_password(&other, &service, &account).await["active"], true, "{end}");
        let managed = managed(&portal, account.id).await;
        let change = async |status| changes::change_status(&portal.pool, &actor, &managed, status).await.unwrap();
        match end {
            "reset" => drop(reset(&portal, &account, Grace::None).await),
            "suspension" => change(TechnicalUserStatus::Suspended).await,
            "deletion" => change(TechnicalUserStatus::Deleted).await,
            "former password" => former_passwords::end_now(&portal.pool, &actor, &managed).await.unwrap(),
            "expiry" => portal.expire_in(account.id, "0 seconds").await,
            _ => portal.set_active(1, false).await,
        }
        assert_eq!(other.introspect_token(&service, &token).await, inactive(), "{end}");
        assert_eq!(introspect_password(&other, &service, &account).await, inactive(), "{end}");
    }
}

#[tokio::test]
async fn nothing_is_said_of_why_a_credential_is_inactive() {
    let (portal, account) = portal_with_account().await;
    let service = portal.service("factures", Takes::EveryToken).await;
    let program = portal.program();
    let wrong = Password::generate(&mut os_rng());
    let shown = [
        ("unknown".to_owned(), ""),
        (cpro_account(&account.login, wrong.expose()), "cpro-account"),
        (cpro_account("TECH_9_X@cpro.fr", account.password.expose()), "cpro-account"),
        (cpro_account("anne@mairie.fr", crate::common::PASSWORD), "cpro-account"),
        ("not base64".to_owned(), "cpro-account"),
        // No token is a password.
        (program.token(&account).await, "cpro-account"),
        (service.secret.clone(), ""),
        (cpro_account(&service.client_id, &service.secret), "cpro-account"),
    ];
    for (token, hint) in shown {
        let fields = [("token", token.as_str()), ("token_type_hint", hint), ("structure", "SIRET:21690123100011")];
        let answer = program.introspect(&service, &fields).await;
        assert_eq!((answer.status.as_u16(), answer.json()), (200, inactive()), "{token}");
    }
}

#[tokio::test]
async fn a_password_is_known_as_one_whatever_the_hint_says_and_a_structure_may_stand_in_the_query() {
    let (portal, account) = portal_with_account().await;
    let service = portal.service("factures", Takes::EveryToken).await;
    let (program, shown) = (portal.program(), account.cpro_account());
    for hint in ["", "access_token", "cpro-account"] {
        let told = program.introspect(&service, &[("token", &shown), ("token_type_hint", hint)]).await.json();
        assert_eq!((&told["active"], &told["token_type"]), (&json!(true), &json!("cpro-account")), "{hint}");
    }
    for (query, form, within) in [
        ("SIRET:21690123100011", None, Some(true)),
        ("SIRET:21130055300016", None, Some(false)),
        // The form counts before it.
        ("SIRET:21690123100011", Some("SIRET:21130055300016"), Some(false)),
        ("illisible", None, None),
    ] {
        let mut fields = vec![
            ("token", shown.as_str()),
            ("client_id", service.client_id.as_str()),
            ("client_secret", service.secret.as_str()),
        ];
        fields.extend(form.map(|structure| ("structure", structure)));
        let answer = program.post_form(&format!("{INTROSPECT}?structure={query}"), &fields).await;
        assert_eq!(answer.json()["structure_authorized"].as_bool(), within, "{query}");
        assert_eq!(answer.status.as_u16(), if within.is_some() { 200 } else { 400 });
    }
}

#[tokio::test]
async fn the_structure_that_is_asked_for_is_judged_by_the_managers_rights_now() {
    let (portal, account) = portal_with_account().await;
    let service = portal.service("factures", Takes::EveryToken).await;
    let program = portal.program();
    let token = program.token(&account).await;
    let within = async |token: &str, hint: &str, structure: &str| {
        let fields = [("token", token), ("token_type_hint", hint), ("structure", structure)];
        program.introspect(&service, &fields).await.json()["structure_authorized"].clone()
    };
    let paris = "SIRET:21750001600019";
    assert_eq!(within(&token, "", paris).await, true);
    assert_eq!(within(&account.cpro_account(), "cpro-account", paris).await, true);
    assert_eq!(within(&token, "", "SIRET:21690123100011").await, true);
    assert_eq!(within(&token, "", "AUTRE:21750001600019").await, false, "another kind of identifier");
    assert_eq!(within(&token, "", "SIRET:21570004800014").await, false, "no such structure");
    portal.close_structure(2).await;
    assert_eq!(within(&token, "", paris).await, false, "the manager has left it");
    portal.replace_manager(1, BRUNO).await;
    assert_eq!(within(&token, "", "SIRET:21690123100011").await, true);
    assert_eq!(program.introspect_token(&service, &token).await.get("structure_authorized"), None);
}

#[tokio::test]
async fn a_question_that_cannot_be_read_is_reported_to_services_alone() {
    let (portal, account) = portal_with_account().await;
    let service = portal.service("factures", Takes::EveryToken).await;
    let program = portal.program();
    let token = program.token(&account).await;
    for fields in [&[][..], &[("token", "")], &[("token", &token), ("structure", "21690123100011")]] {
        let answer = program.introspect(&service, fields).await;
        assert_eq!((answer.status.as_u16(), &answer.json()["error"]), (400, &json!("invalid_request")), "{fields:?}");
        let stranger =
            TestService { secret: ServiceSecret::generate(&mut os_rng()).expose().into(), ..service.clone() };
        assert_eq!(program.introspect(&stranger, fields).await.status, 401, "{fields:?}");
    }
    let twice = program.introspect(&service, &[("token", &token), ("token", &token)]).await;
    assert_eq!(twice.status, 400);
    let json = program.call(INTROSPECT, &[], r#"{"token":"x"}"#).await;
    assert_eq!(json.status, 400);
    assert_eq!(program.get(INTROSPECT).await.status, 405);
}

#[tokio::test]
async fn a_service_authenticates_by_basic_or_in_the_body_and_nothing_else_does() {
    let (portal, account) = portal_with_account().await;
    let service = portal.service("factures", Takes::EveryToken).await;
    let token = portal.program().token(&account).await;
    let basic = |id: &str, secret: &str| format!("Basic {}", BASE64.encode(format!("{id}:{secret}").as_bytes()));
    let ask = async |network: usize, authorization: &str| {
        // Each from another network, so that no delay applies.
        let program = portal.program().with_address(&format!("10.{network}.0.1"));
        let headers = [("content-type", "application/x-www-form-urlencoded"), ("authorization", authorization)];
        program.call(INTROSPECT, &headers, form(&[("token", &token)])).await
    };
    assert_eq!(ask(0, &basic(&service.client_id, &service.secret)).await.json()["active"], true);
    let other = portal.service("annuaire", Takes::EveryToken).await;
    let refused = [
        basic(&service.client_id, "wrong"),
        basic(&service.client_id, &other.secret),
        basic("svc_unknown", &service.secret),
        basic(&account.login, account.password.expose()),
        basic("anne@mairie.fr", crate::common::PASSWORD),
        format!("Bearer {token}"),
        "Basic x".to_owned(),
    ];
    for (network, authorization) in refused.iter().enumerate() {
        let answer = ask(network + 1, authorization).await;
        assert_eq!(answer.status, 401, "{authorization}");
        assert_eq!(answer.header("www-authenticate"), Some(BASIC));
        assert_eq!(answer.header(header::CACHE_CONTROL.as_str()), Some("no-store"));
        assert_eq!(answer.json()["error"], "invalid_client");
    }
    let in_header = account.cpro_account();
    let headers = [("content-type", "application/x-www-form-urlencoded"), ("cpro-account", in_header.as_str())];
    let answer = portal.program().call(INTROSPECT, &headers, form(&[("token", &token)])).await;
    assert_eq!(answer.status, 401, "a technical user asks nothing");
}

#[tokio::test]
async fn a_services_secret_opens_nothing_else() {
    let (portal, _) = portal_with_account().await;
    let service = portal.service("factures", Takes::EveryToken).await;
    let program = portal.program();
    let own = cpro_account(&service.client_id, &service.secret);
    assert_eq!(program.call(HEALTH, &[("cpro-account", &own)], "").await.status, 401);
    let bearer = format!("Bearer {}", service.secret);
    assert_eq!(program.call(HEALTH, &[("authorization", &bearer)], "").await.status, 401);
    let (id, secret) = (service.client_id.as_str(), service.secret.as_str());
    for (path, field) in [("/api/oauth/token", "grant_type"), ("/api/oauth/revoke", "token")] {
        let fields = [(field, "client_credentials"), ("client_id", id), ("client_secret", secret)];
        assert_eq!(program.post_form(path, &fields).await.status, 401, "{path}");
    }
    let page = portal.browser().post("/connexion", &[("identifiant", id), ("mot-de-passe", secret)]).await;
    assert_eq!(page.status, 422);
}

#[tokio::test]
async fn a_password_without_a_verifier_is_known_to_services_too() {
    let portal = TestPortal::start().await;
    portal.anne_and_bruno().await;
    let account = portal.account_without_verifier(1).await;
    let service = portal.service("factures", Takes::EveryToken).await;
    assert_eq!(introspect_password(&portal.program(), &service, &account).await["active"], true);
    assert_eq!(portal.count("password_verifiers").await, 1);
}

#[tokio::test]
async fn what_a_service_was_shown_stands_on_the_accounts_page_and_in_the_history() {
    let (portal, account) = portal_with_account().await;
    let service = portal.service("factures", Takes::EveryToken).await;
    let program = portal.program();
    introspect_password(&program, &service, &account).await;
    let wrong = Account { password: Password::generate(&mut os_rng()), ..account.clone() };
    introspect_password(&program, &service, &wrong).await;
    portal.api().call_log.flush_all(&portal.pool).await.unwrap();
    let software = portal.text("SELECT last_call_software FROM technical_users", &[]).await;
    assert_eq!(software, "service factures");
    let refused = portal.text("SELECT detail FROM audit_events WHERE action = 'CALLS_REFUSED'", &[]).await;
    assert_eq!(refused, "1 appel\u{a0}: mot de passe incorrect, par le logiciel «\u{202f}service factures\u{202f}»");
}

#[tokio::test]
async fn wrong_secrets_are_delayed_and_the_right_one_is_not() {
    let (portal, account) = portal_with_account().await;
    let service = portal.service("factures", Takes::EveryToken).await;
    let program = portal.program();
    let token = program.token(&account).await;
    let stranger = TestService { secret: ServiceSecret::generate(&mut os_rng()).expose().into(), ..service.clone() };
    let mut statuses = Vec::new();
    for _ in 0..8 {
        statuses.push(program.introspect(&stranger, &[("token", &token)]).await.status.as_u16());
    }
    assert_eq!(statuses[..5], [401; 5]);
    assert_eq!(statuses[7], 429);
    assert_eq!(program.introspect_token(&service, &token).await["active"], true);
}

#[tokio::test]
async fn answers_are_counted_by_service_and_not_by_account() {
    let (portal, account) = portal_with_account().await;
    let service = portal.service("factures", Takes::EveryToken).await;
    let program = portal.program();
    let token = program.token(&account).await;
    for token in [token.as_str(), "unknown", "unknown too"] {
        program.introspect_token(&service, token).await;
    }
    let metrics = probes::metrics_router(portal.state());
    let page = Program::new(Server::new(metrics, String::new())).get("/metrics").await;
    let text = page.body_text();
    assert!(text.contains(r#"raccord_introspections_total{service="factures",answer="Active"} 1"#), "{text}");
    assert!(text.contains(r#"raccord_introspections_total{service="factures",answer="Inactive"} 2"#), "{text}");
    assert!(!text.contains(&account.login));
}
