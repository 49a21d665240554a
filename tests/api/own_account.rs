//! `/api/moi`: what an account is told of itself.

use axum::{
    body::Body,
    http::{Request, header},
};
use raccord::domain::rotation::Grace;
use serde_json::json;

use super::{CHALLENGE, portal_with_account, rotation::reset};
use crate::common::{Account, Answer, Program, Takes};

async fn own_account(program: &Program, name: &str, value: &str) -> Answer {
    program.send(Request::get("/api/moi").header(name, value).body(Body::empty()).unwrap()).await
}

async fn by_password(program: &Program, account: &Account) -> Answer {
    own_account(program, "cpro-account", &account.cpro_account()).await
}

#[tokio::test]
async fn an_account_reads_its_identity_and_the_end_of_its_password() {
    let (portal, account) = portal_with_account().await;
    portal.expire_in(account.id, "10 days 1 hour").await;
    let ends = portal
        .text(
            "SELECT to_char(expires_at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"') FROM technical_users",
            &[],
        )
        .await;
    let bearer = format!("Bearer {}", portal.program().token(&account).await);
    for answer in
        [by_password(&portal.program(), &account).await, own_account(&portal.program(), "authorization", &bearer).await]
    {
        let expected = json!({
            "codeRetour": 0, "libelle": "TRA_MSG_00.000", "login": account.login,
            "structure": { "type": "SIRET", "identifiant": "21690123100011", "designation": "Mairie de Lyon" },
            "scope": "openid", "dateExpirationMotPasse": ends, "joursRestants": 10, "reseaux": [], "structuresChoisies": false,
        });
        assert_eq!((answer.status.as_u16(), answer.json()), (200, expected));
        assert_eq!(answer.header("cache-control"), Some("no-store"));
        assert!(answer.header("sunset").is_some());
    }
}

#[tokio::test]
async fn calls_with_a_former_password_get_its_own_end() {
    let (portal, account) = portal_with_account().await;
    let new = reset(&portal, &account, Grace::Day).await;
    let days = async |account: &Account| by_password(&portal.program(), account).await.json()["joursRestants"].clone();
    assert_eq!((days(&account).await, days(&new).await), (json!(0), json!(423)));
}

#[tokio::test]
async fn only_what_opens_the_api_is_answered() {
    let (portal, account) = portal_with_account().await;
    let service = portal.service("factures", Takes::EveryToken).await;
    let program = portal.program();
    let narrowed = format!("Bearer {}", program.token_for(&account, &[&service.audience]).await);
    for (name, value) in [
        (header::AUTHORIZATION.as_str(), narrowed.as_str()),
        (header::AUTHORIZATION.as_str(), "Bearer unknown"),
        ("cpro-account", "x"),
        ("x-none", "x"),
    ] {
        let answer = own_account(&program, name, value).await;
        assert_eq!(
            (answer.status.as_u16(), answer.header("www-authenticate")),
            (401, Some(CHALLENGE)),
            "{name} {value}"
        );
    }
}
