//! `/api/oauth/revoke` (RFC 7009): a technical user ends one of its tokens.

use axum::{
    Json,
    extract::{Request, State},
    response::{IntoResponse, Response},
};
use schemars::JsonSchema;
use serde::Serialize;

use super::{
    authentication::Authentication,
    oauth::{self, Flaw, NO_STORE, OauthError},
    state::ApiState,
};
use crate::{db::api::tokens, domain::random};

/// RFC 7009 §2.2 asks for nothing in it.
#[derive(JsonSchema, Serialize)]
pub struct Revoked {}

/// Ends the token. The answer is the same for a token that is unknown, has ended, or is another
/// account's.
///
/// # Errors
/// [`OauthError`].
pub async fn revoke(State(state): State<ApiState>, request: Request) -> Result<Response, OauthError> {
    let (parts, form) = oauth::read(request).await?;
    let credential = form.client(&parts.headers)?;
    let authentication = Authentication::of_credential(&parts, &state, credential)?;
    let token = form.get("token");
    let token_hash = random::digest(token.unwrap_or_default());
    let statement = || async {
        let caller = tokens::revoke(state.database(), &authentication.presented, &token_hash).await?;
        Ok(caller.map(|caller| (caller, ())))
    };
    authentication.authenticate_with(statement).await?;
    if token.is_none() {
        return Err(OauthError::InvalidRequest(Flaw::NoToken));
    }
    Ok((NO_STORE, Json(Revoked {})).into_response())
}
