//! Services: for which of them a credential is good (RFC 8707), and what the operator's acts do.

use raccord::{
    db::api::services::{self, ServiceOutcome, ServiceState},
    domain::{
        audit::Actor,
        random::os_rng,
        service::{Keep, ServiceSecret},
    },
};

use super::portal_with_account;
use crate::common::{HEALTH, Program, Takes, TestPortal, TestService};

async fn is_active(program: &Program, service: &TestService, token: &str) -> bool {
    program.introspect_token(service, token).await["active"] == true
}

async fn opens_api(program: &Program, token: &str) -> bool {
    program.call(HEALTH, &[("authorization", &format!("Bearer {token}"))], "").await.status == 200
}

#[tokio::test]
async fn a_token_is_good_for_what_it_names_and_for_nothing_else() {
    let (portal, account) = portal_with_account().await;
    let (one, other) =
        (portal.service("one", Takes::EveryToken).await, portal.service("other", Takes::EveryToken).await);
    let strict = portal.service("strict", Takes::TokensThatNameIt).await;
    let program = portal.program();
    let own = portal.state().settings.public_url.clone();
    let cases = [
        (vec![], [true, true, false, true]),
        (vec![&*one.audience], [true, false, false, false]),
        (vec![&*one.audience, &*one.audience, &*strict.audience], [true, false, true, false]),
        (vec![&*own], [false, false, false, true]),
        (vec![&*own, &*other.audience], [false, true, false, true]),
    ];
    for (resources, expected) in cases {
        let token = program.token_for(&account, &resources).await;
        let mut found = Vec::new();
        for service in [&one, &other, &strict] {
            found.push(is_active(&program, service, &token).await);
        }
        found.push(opens_api(&program, &token).await);
        assert_eq!(found, expected, "{resources:?}");
    }
}

#[tokio::test]
async fn a_service_that_needs_its_name_takes_no_password() {
    let (portal, account) = portal_with_account().await;
    let strict = portal.service("strict", Takes::TokensThatNameIt).await;
    let fields = [("token", &*account.cpro_account()), ("token_type_hint", "cpro-account")];
    assert_eq!(portal.program().introspect(&strict, &fields).await.json()["active"], false);
}

#[tokio::test]
async fn a_resource_that_is_no_service_is_refused_and_only_to_a_right_password() {
    let (portal, account) = portal_with_account().await;
    let service = portal.service("factures", Takes::EveryToken).await;
    let program = portal.program();
    for resources in
        [&["https://api.example/unknown"][..], &[&service.audience, "x"], &["https://api.example/FACTURES"]]
    {
        let answer = program.ask_token(&account, resources).await;
        assert_eq!((answer.status.as_u16(), &answer.json()["error"]), (400, &"invalid_target".into()), "{resources:?}");
        assert!(answer.json()["error_description"].as_str().unwrap().is_ascii());
    }
    let many = vec!["https://api.example/x"; 30];
    assert_eq!(program.ask_token(&account, &many).await.json()["error"], "invalid_target", "one, many times");
    let stranger = crate::common::Account { login: "TECH_9_X@cpro.fr".into(), ..account };
    let answer = program.ask_token(&stranger, &["https://api.example/unknown"]).await;
    assert_eq!(answer.status, 401);
    assert_eq!(portal.count("access_tokens").await, 0);
}

#[tokio::test]
async fn the_shortest_lifetime_of_the_named_services_counts() {
    let (portal, account) = portal_with_account().await;
    let (one, other) =
        (portal.service("one", Takes::EveryToken).await, portal.service("other", Takes::EveryToken).await);
    portal.execute("UPDATE services SET token_seconds = 60 WHERE name = 'other'").await;
    let program = portal.program();
    for (resources, seconds) in [(vec![&*one.audience], 900), (vec![&*one.audience, &*other.audience], 60)] {
        let answer = program.ask_token(&account, &resources).await;
        assert_eq!(answer.json()["expires_in"], seconds);
        let told = program.introspect_token(&one, answer.json()["access_token"].as_str().unwrap()).await;
        assert_eq!(told["exp"].as_i64().unwrap() - told["iat"].as_i64().unwrap(), seconds);
    }
}

async fn rotate(portal: &TestPortal, service: &TestService, keep: Keep) -> TestService {
    let secret = ServiceSecret::generate(&mut os_rng());
    let name = service.name.parse().unwrap();
    let outcome = services::rotate(&portal.pool, &Actor::operator(), &name, &secret.digest(), keep).await.unwrap();
    assert_eq!(outcome, ServiceOutcome::Done);
    TestService { secret: secret.expose().to_owned(), ..service.clone() }
}

#[tokio::test]
async fn a_replaced_secret_ends_at_once_or_when_it_was_said() {
    let (mut portal, _) = portal_with_account().await;
    let first = portal.service("factures", Takes::EveryToken).await;
    let second = rotate(&portal, &first, "1h".parse().unwrap()).await;
    let third = rotate(&portal, &second, "1h".parse().unwrap()).await;
    let statuses = async |portal: &TestPortal, services: &[&TestService]| {
        let mut statuses = Vec::new();
        for service in services {
            statuses.push(portal.program().introspect(service, &[("token", "x")]).await.status.as_u16());
        }
        statuses
    };
    assert_eq!(statuses(&portal, &[&first, &second, &third]).await, [401, 200, 200], "two at most");
    portal.move_clock("61 minutes").await;
    assert_eq!(statuses(&portal, &[&second, &third]).await, [401, 200]);
    let fourth = rotate(&portal, &third, Keep::default()).await;
    assert_eq!(statuses(&portal, &[&third, &fourth]).await, [401, 200]);
    raccord::db::upkeep::sweep(&portal.pool).await.unwrap();
    assert_eq!(portal.count("service_secrets").await, 1);
}

#[tokio::test]
async fn a_disabled_service_is_refused_and_a_removed_one_leaves_nothing_open() {
    let (portal, account) = portal_with_account().await;
    let service = portal.service("factures", Takes::EveryToken).await;
    let program = portal.program();
    let token = program.token_for(&account, &[&service.audience]).await;
    let name = service.name.parse().unwrap();
    let actor = Actor::operator();
    let set = async |state| services::set_state(&portal.pool, &actor, &name, state).await.unwrap();
    assert_eq!(set(ServiceState::Disabled).await, ServiceOutcome::Done);
    assert_eq!(set(ServiceState::Disabled).await, ServiceOutcome::Unchanged);
    assert_eq!(program.introspect(&service, &[("token", &token)]).await.status, 401);
    assert_eq!(program.ask_token(&account, &[&service.audience]).await.json()["error"], "invalid_target");
    assert_eq!(set(ServiceState::Enabled).await, ServiceOutcome::Done);
    assert!(is_active(&program, &service, &token).await);
    assert_eq!(services::remove(&portal.pool, &actor, &name).await.unwrap(), ServiceOutcome::Done);
    assert_eq!(services::remove(&portal.pool, &actor, &name).await.unwrap(), ServiceOutcome::NoSuchService);
    assert_eq!(program.introspect(&service, &[("token", &token)]).await.status, 401);
    // The same audience, made again, is another service.
    let again = portal.service("factures", Takes::EveryToken).await;
    assert!(!is_active(&program, &again, &token).await);
    let acts = portal.texts("SELECT action FROM audit_events WHERE action LIKE 'SERVICE%' ORDER BY id", &[]).await;
    let expected = ["SERVICE_ADDED", "SERVICE_DISABLED", "SERVICE_ENABLED", "SERVICE_REMOVED", "SERVICE_ADDED"];
    assert_eq!(acts, expected);
}
