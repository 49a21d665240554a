//! Signed tokens (RFC 9068) and the keys that sign them.

use data_encoding::BASE64URL_NOPAD;
use raccord::{
    db::api::signing_keys::{self, NewKey},
    domain::{audit::Actor, second_factor::Keyring},
};
use ring::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};
use serde_json::{Value, json};

use super::portal_with_account;
use crate::common::{HEALTH, Program, REVOKE, Takes, TestPortal, new_signing_key};

fn decode(part: &str) -> Vec<u8> {
    BASE64URL_NOPAD.decode(part.as_bytes()).expect("base64url")
}

/// Header and claims of a token, verified with the published keys as a service would.
async fn verified(program: &Program, token: &str) -> Option<(Value, Value)> {
    let parts: Vec<&str> = token.split('.').collect();
    let [head, claims, signature] = parts[..] else { panic!("a JWT: {token}") };
    let json = |part| serde_json::from_slice::<Value>(&decode(part)).expect("JSON");
    let published = program.get("/.well-known/jwks.json").await.json();
    let key = published["keys"].as_array().unwrap().iter().find(|key| key["kid"] == json(head)["kid"])?.clone();
    let coordinate = |name: &str| decode(key[name].as_str().unwrap());
    let public = [&[4][..], &coordinate("x"), &coordinate("y")].concat();
    let signed = format!("{head}.{claims}");
    UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, public).verify(signed.as_bytes(), &decode(signature)).ok()?;
    Some((json(head), json(claims)))
}

async fn published(program: &Program) -> Vec<String> {
    let keys = program.get("/.well-known/jwks.json").await.json();
    keys["keys"].as_array().unwrap().iter().map(|key| key["kid"].as_str().unwrap().to_owned()).collect()
}

/// Rotates as the command does.
async fn rotate(portal: &TestPortal) -> bool {
    let next = signing_keys::next(&portal.pool).await.unwrap().expect("a next key");
    let state = portal.state();
    let new = new_signing_key(state.keys().unwrap());
    signing_keys::rotate(&portal.pool, &Actor::operator(), &next, &new).await.unwrap()
}

#[tokio::test]
async fn a_service_that_wants_them_gets_signed_tokens_when_it_is_named() {
    let (portal, account) = portal_with_account().await;
    let service = portal.service("factures", Takes::Jwts).await;
    let program = portal.program();
    let answer = program.ask_token(&account, &[&service.audience]).await;
    assert_eq!(answer.json()["expires_in"], 300);
    let token = answer.json()["access_token"].as_str().unwrap().to_owned();
    let (head, mut claims) = verified(&program, &token).await.expect("a good signature");
    assert_eq!(head, json!({ "typ": "at+jwt", "alg": "ES256", "kid": published(&program).await[0] }));
    let told = program.introspect_token(&service, &token).await;
    for name in ["iss", "sub", "client_id", "aud", "iat", "exp", "jti", "scope"] {
        assert_eq!(told[name], claims[name], "introspection tells the same: {name}");
    }
    assert_eq!(claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap(), 300);
    for name in ["iat", "exp", "jti"] {
        claims.as_object_mut().unwrap().remove(name);
    }
    let issuer = portal.state().settings.public_url.clone();
    let expected = json!({ "iss": issuer, "sub": account.login, "client_id": account.login,
        "aud": "https://api.example/factures", "scope": "openid" });
    assert_eq!(claims, expected);
    // Opaque stays the default; Raccord's own API is another audience.
    assert!(!program.token(&account).await.contains('.'));
    let bearer = format!("Bearer {token}");
    assert_eq!(program.call(HEALTH, &[("authorization", &bearer)], "").await.status, 401);
}

#[tokio::test]
async fn a_token_for_several_names_them_all() {
    let (portal, account) = portal_with_account().await;
    let (one, other) = (portal.service("one", Takes::Jwts).await, portal.service("other", Takes::EveryToken).await);
    let program = portal.program();
    let token = program.token_for(&account, &[&other.audience, &one.audience]).await;
    let (_, claims) = verified(&program, &token).await.unwrap();
    assert_eq!(claims["aud"], json!([one.audience, other.audience]));
    assert_eq!(program.introspect_token(&other, &token).await["active"], true);
}

#[tokio::test]
async fn a_changed_token_is_known_to_none() {
    let (portal, account) = portal_with_account().await;
    let service = portal.service("factures", Takes::Jwts).await;
    let program = portal.program();
    let token = program.token_for(&account, &[&service.audience]).await;
    let (head, rest) = token.split_once('.').unwrap();
    let (claims, signature) = rest.split_once('.').unwrap();
    let mut other: Value = serde_json::from_slice(&decode(claims)).unwrap();
    other["sub"] = "TECH_2_X@cpro.fr".into();
    let other = BASE64URL_NOPAD.encode(other.to_string().as_bytes());
    let none = BASE64URL_NOPAD.encode(br#"{"typ":"at+jwt","alg":"none"}"#);
    for changed in [format!("{head}.{other}.{signature}"), format!("{none}.{claims}."), format!("{head}.{claims}.")] {
        assert_eq!(program.introspect_token(&service, &changed).await, json!({ "active": false }));
    }
}

#[tokio::test]
async fn a_revoked_token_is_inactive_where_raccord_is_asked() {
    let (portal, account) = portal_with_account().await;
    let service = portal.service("factures", Takes::Jwts).await;
    let program = portal.program();
    let token = program.token_for(&account, &[&service.audience]).await;
    let fields = [("client_id", &*account.login), ("client_secret", account.password.expose()), ("token", &token)];
    assert_eq!(program.post_form(REVOKE, &fields).await.status, 200);
    assert_eq!(program.introspect_token(&service, &token).await, json!({ "active": false }));
}

#[tokio::test]
async fn a_rotation_leaves_no_service_with_an_unknown_key() {
    let (mut portal, account) = portal_with_account().await;
    let service = portal.service("factures", Takes::Jwts).await;
    let before = published(&portal.program()).await;
    let old = portal.program().token_for(&account, &[&service.audience]).await;
    assert!(rotate(&portal).await);
    let after = published(&portal.program()).await;
    assert_eq!((before.len(), after.len()), (2, 3));
    assert_eq!((after[0].as_str(), after[1].as_str()), (before[1].as_str(), before[0].as_str()), "the next one signs");
    let new = Program::new(portal.second_instance()).token_for(&account, &[&service.audience]).await;
    for token in [&old, &new] {
        assert!(verified(&portal.program(), token).await.is_some());
    }
    assert_eq!(
        portal.number("SELECT count(*) FROM signing_keys WHERE state = 'FORMER' AND sealed_key IS NOT NULL", &[]).await,
        0
    );
    portal.move_clock("61 minutes").await;
    assert_eq!(published(&portal.program()).await.len(), 2);
    assert!(verified(&portal.program(), &old).await.is_none());
}

#[tokio::test]
async fn of_two_rotations_at_once_one_changes_the_keys() {
    let (portal, _) = portal_with_account().await;
    portal.service("factures", Takes::Jwts).await;
    let next = signing_keys::next(&portal.pool).await.unwrap().unwrap();
    let state = portal.state();
    let new = || new_signing_key(state.keys().unwrap());
    let (one, other) = (new(), new());
    let actor = Actor::operator();
    let rotate = |new: &NewKey| {
        let (pool, actor, next, new) = (portal.pool.clone(), actor.clone(), next.clone(), new.clone());
        async move { signing_keys::rotate(&pool, &actor, &next, &new).await.unwrap() }
    };
    let (one, other) = tokio::join!(rotate(&one), rotate(&other));
    assert_ne!(one, other);
    assert_eq!(published(&portal.program()).await.len(), 3);
}

#[tokio::test]
async fn replaced_keys_are_gone_at_once_and_a_lost_key_file_is_overcome_by_it() {
    let (portal, account) = portal_with_account().await;
    let service = portal.service("factures", Takes::Jwts).await;
    let program = portal.program();
    let old = program.token_for(&account, &[&service.audience]).await;
    // As after the loss of the key file: nothing opens.
    let lost = Keyring::parse(&Keyring::new_line(&mut raccord::domain::random::os_rng())).unwrap();
    let replace = async |keys: &Keyring| {
        let new = [new_signing_key(keys), new_signing_key(keys)];
        signing_keys::replace(&portal.pool, &Actor::operator(), &new).await.unwrap();
    };
    replace(&lost).await;
    assert!(verified(&program, &old).await.is_none());
    assert_eq!(program.ask_token(&account, &[&service.audience]).await.status, 500);
    assert_eq!(program.ask_token(&account, &[]).await.status, 200, "opaque tokens need no such key");
    replace(portal.state().keys().unwrap()).await;
    let new = program.token_for(&account, &[&service.audience]).await;
    assert!(verified(&program, &new).await.is_some());
}
