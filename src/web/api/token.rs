//! `/api/oauth/token`: issues a token for a login and a password (RFC 6749 §4.4). The token is
//! opaque; it is a JWT (RFC 9068) where `resource` names a service that wants one.

use axum::{
    Json,
    extract::{Request, State},
    response::{IntoResponse, Response},
};
use schemars::JsonSchema;
use serde::Serialize;

use super::{
    authentication::Authentication,
    error::ApiError,
    oauth::{self, Flaw, Form, NO_STORE, OauthError, RESOURCE},
    state::ApiState,
};
use crate::{
    db::api::{
        Caller, signing_keys,
        tokens::{self, NewToken, TokenScope},
    },
    domain::{
        random, restrictions,
        service::DEFAULT_TOKEN_SECONDS,
        signing_key::{Claims, SigningKey},
    },
};

/// The services that one token may name.
const MOST_RESOURCES: usize = 20;

/// The successful response (RFC 6749 §5.1).
#[derive(JsonSchema, Serialize)]
pub struct TokenAnswer {
    access_token: String,
    token_type: &'static str,
    #[schemars(title = "La durée de vie du jeton, en secondes")]
    expires_in: i32,
    #[schemars(
        title = "« openid » ; davantage pour un compte limité à des structures choisies, comme dans la réponse à une introspection"
    )]
    scope: String,
}

/// Issues a token; the database stores its hash.
///
/// One call of `db`; where `resource` narrows the token, another one before it finds what it names,
/// and for a JWT a third reads the key that signs.
///
/// # Errors
/// [`OauthError`].
pub async fn issue(State(state): State<ApiState>, request: Request) -> Result<Response, OauthError> {
    let (parts, form) = oauth::read(request).await?;
    check_grant_type(&form)?;
    let credential = form.client(&parts.headers)?;
    let login = credential.login.clone();
    let authentication = Authentication::of_credential(&parts, &state, credential)?;
    let resources: Vec<String> = form.all(RESOURCE).map(str::to_owned).collect();
    let (token, stored) = if resources.is_empty() {
        opaque(DEFAULT_TOKEN_SECONDS, TokenScope::All)
    } else {
        narrowed(&state, &authentication, &login, &resources).await?
    };
    let statement = || async {
        let issued = tokens::issue(state.database(), &authentication.presented, &stored).await?;
        Ok(issued.map(|(caller, chosen)| (caller, (caller.technical_user_id, chosen))))
    };
    let (technical_user_id, chosen) = authentication.authenticate_with(statement).await?;
    state.accounts.remember_token(&stored.hash, technical_user_id);
    let scope = restrictions::scope(chosen.as_deref());
    let answer = TokenAnswer { access_token: token, token_type: "Bearer", expires_in: stored.seconds, scope };
    Ok((NO_STORE, Json(answer)).into_response())
}

fn check_grant_type(form: &Form) -> Result<(), OauthError> {
    match form.get("grant_type") {
        None => Err(OauthError::InvalidRequest(Flaw::NoGrantType)),
        Some("client_credentials") => Ok(()),
        Some(_) => Err(OauthError::UnsupportedGrantType),
    }
}

fn opaque(seconds: i32, scope: TokenScope) -> (String, NewToken) {
    let token = random::token(&mut random::os_rng());
    let stored = NewToken { hash: random::digest(&token), id: new_token_id(), seconds, issued: None, scope };
    (token, stored)
}

/// 128 random bits.
fn new_token_id() -> String {
    data_encoding::BASE64URL_NOPAD.encode(&random::bytes::<16>(&mut random::os_rng()))
}

/// A token that opens only what these resources name.
async fn narrowed(
    state: &ApiState,
    authentication: &Authentication,
    login: &str,
    resources: &[String],
) -> Result<(String, NewToken), OauthError> {
    let own = &state.app.settings.public_url;
    let mut named: Vec<&str> = resources.iter().map(String::as_str).collect();
    named.sort_unstable();
    named.dedup();
    if named.len() > MOST_RESOURCES {
        return Err(OauthError::InvalidRequest(Flaw::TooManyResources));
    }
    let statement = || async {
        let found = tokens::targets(state.database(), &authentication.presented, resources).await?;
        Ok(found.map(|(caller, chosen, targets)| (caller, (caller, chosen, targets))))
    };
    let (caller, chosen, targets) = authentication.authenticate_with(statement).await?;
    let api = named.contains(&own.as_str());
    let is_known = |name: &&str| *name == own || targets.iter().any(|target| target.audience == **name);
    if !named.iter().all(is_known) {
        return Err(OauthError::InvalidTarget);
    }
    let scope = TokenScope::Named { api, service_ids: targets.iter().map(|target| target.service_id).collect() };
    let seconds = targets.iter().map(|target| target.token_seconds).min().unwrap_or(DEFAULT_TOKEN_SECONDS);
    if targets.iter().any(|target| target.jwt) {
        let told = Told { login, audiences: &named, scope: restrictions::scope(chosen.as_deref()) };
        return signed(state, caller, &told, opaque(seconds, scope).1).await;
    }
    Ok(opaque(seconds, scope))
}

/// What a JWT says of its account.
struct Told<'a> {
    login: &'a str,
    audiences: &'a [&'a str],
    scope: String,
}

/// The JWT for what was to be an opaque token.
async fn signed(
    state: &ApiState,
    caller: Caller,
    told: &Told<'_>,
    token: NewToken,
) -> Result<(String, NewToken), OauthError> {
    let key = signing_key(state).await?;
    let issued = caller.at.replace_nanosecond(0).unwrap_or(caller.at);
    let claims = Claims {
        iss: &state.app.settings.public_url,
        sub: told.login,
        client_id: told.login,
        aud: told.audiences,
        iat: issued.unix_timestamp(),
        exp: issued.unix_timestamp() + i64::from(token.seconds),
        jti: &token.id,
        scope: &told.scope,
    };
    let jwt = key.sign(&claims);
    let stored = NewToken { hash: random::digest(&jwt), issued: Some(issued), ..token };
    Ok((jwt, stored))
}

/// The key that signs, opened with the key file at each use: a rotation acts at once, and the
/// process keeps no private key.
async fn signing_key(state: &ApiState) -> Result<SigningKey, ApiError> {
    let stored = signing_keys::current(state.api_pool()).await?;
    let keys = state.app.keys()?;
    let key = stored.and_then(|stored| keys.open_signing_key(&stored.sealed, &stored.id));
    key.ok_or_else(|| {
        tracing::error!("no signing key opens under the key file: raccord signing-key replace makes new ones");
        ApiError::Internal
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::{HeaderMap, HeaderValue, header};

    #[test]
    fn only_client_credentials_obtain_a_token() {
        let headers = HeaderMap::from_iter([(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/x-www-form-urlencoded"),
        )]);
        let checked = |body: &str| check_grant_type(&Form::parse(&headers, body.as_bytes()).unwrap());
        assert_eq!(checked("grant_type=client_credentials"), Ok(()));
        assert_eq!(checked("grant_type=password"), Err(OauthError::UnsupportedGrantType));
        assert!(matches!(checked("grant_type="), Err(OauthError::InvalidRequest(_))));
    }

    #[test]
    fn every_token_and_every_id_is_new() {
        let ((one, stored), (other, _)) = (opaque(900, TokenScope::All), opaque(900, TokenScope::All));
        assert_ne!(one, other);
        assert_eq!((stored.hash, stored.id.len()), (random::digest(&one), 22));
    }
}
