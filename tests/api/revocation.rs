//! Revocation (RFC 7009): a technical user ends its own tokens.

use super::portal_with_account;
use crate::common::{Account, HEALTH, Program, REVOKE, Takes};

async fn revoke(program: &Program, account: &Account, token: &[(&str, &str)]) -> u16 {
    let own = [("client_id", account.login.as_str()), ("client_secret", account.password.expose())];
    program.post_form(REVOKE, &[&own, token].concat()).await.status.as_u16()
}

async fn opens(program: &Program, token: &str) -> bool {
    program.call(HEALTH, &[("authorization", &format!("Bearer {token}"))], "").await.status == 200
}

#[tokio::test]
async fn a_revoked_token_is_dead_at_the_next_call_and_the_next_question() {
    let (portal, account) = portal_with_account().await;
    let service = portal.service("factures", Takes::EveryToken).await;
    let program = portal.program();
    let (token, kept) = (program.token(&account).await, program.token(&account).await);
    let other = Program::new(portal.second_instance());
    assert_eq!(revoke(&program, &account, &[("token", &token), ("token_type_hint", "access_token")]).await, 200);
    assert!(!opens(&other, &token).await && opens(&other, &kept).await);
    assert_eq!(other.introspect_token(&service, &token).await, serde_json::json!({ "active": false }));
    // Again, and one that never was.
    assert_eq!(revoke(&program, &account, &[("token", &token)]).await, 200);
    assert_eq!(revoke(&program, &account, &[("token", "unknown")]).await, 200);
}

#[tokio::test]
async fn an_account_ends_no_tokens_but_its_own() {
    let (portal, account) = portal_with_account().await;
    let other = portal.account(2).await;
    let program = portal.program();
    let token = program.token(&other).await;
    assert_eq!(revoke(&program, &account, &[("token", &token)]).await, 200, "the same answer");
    assert!(opens(&program, &token).await);
    let service = portal.service("factures", Takes::EveryToken).await;
    let as_service = [("client_id", &*service.client_id), ("client_secret", &*service.secret), ("token", &token)];
    assert_eq!(program.post_form(REVOKE, &as_service).await.status, 401);
    assert!(opens(&program, &token).await);
}

#[tokio::test]
async fn a_token_alone_revokes_nothing_and_a_form_needs_one() {
    let (portal, account) = portal_with_account().await;
    let program = portal.program();
    let token = program.token(&account).await;
    let bearer = format!("Bearer {token}");
    let headers = [("content-type", "application/x-www-form-urlencoded"), ("authorization", bearer.as_str())];
    let answer = program.call(REVOKE, &headers, format!("token={token}")).await;
    assert_eq!(answer.status, 401);
    assert!(answer.header("www-authenticate").is_some_and(|value| value.starts_with("Basic ")));
    assert!(opens(&program, &token).await);
    assert_eq!(revoke(&program, &account, &[]).await, 400);
    assert_eq!(program.get(REVOKE).await.status, 405);
}
