//! The sign-out at the identity provider, after the one here.

use axum::{
    extract::{Query, State},
    response::{IntoResponse, Redirect, Response},
};
use serde::Deserialize;

use super::pages::ProviderSignOutPage;
use crate::{
    db::identity::provider_attempts::{self, NewAttempt},
    domain::{
        provider_attempt::{BrowserSecret, Purpose},
        random,
    },
    web::{
        edge::{
            error::{AppError, page},
            state::AppState,
        },
        identity::session::Browser,
        paths,
        shell::notice::Notice,
    },
};

/// The page that leads on to the provider's sign-out; `None` where the provider has none, or the
/// token of the session cannot be opened any more.
pub async fn lead_on(
    state: &AppState,
    browser: &Browser,
    user_id: i64,
    sealed: &[u8],
) -> Result<Option<Response>, AppError> {
    let Some(provider) = &state.provider else { return Ok(None) };
    let Some(id_token) = state.keys()?.open_id_token(sealed, user_id) else { return Ok(None) };
    let attempt = random::token(&mut random::os_rng());
    let (layout, label) = (state.anonymous_layout(None), provider.settings.label.clone());
    let url = match provider.end_session_url(&id_token, &attempt).await {
        Ok(None) => return Ok(None),
        Ok(url) => url,
        Err(error) => {
            tracing::warn!(cause = error.to_string(), "the identity provider's session was not ended");
            None
        }
    };
    if url.is_none() {
        return page(&ProviderSignOutPage { layout, label, url }).map(Some);
    }
    let secret = remember(state, browser, &attempt).await?;
    let answer = page(&ProviderSignOutPage { layout, label, url })?;
    Ok(Some(browser.give_provider_secret(state, &secret, answer)))
}

/// So that the browser's return proves that the provider ended its session.
async fn remember(state: &AppState, browser: &Browser, attempt: &str) -> Result<BrowserSecret, AppError> {
    let secret = browser.provider_secret(state).unwrap_or_else(|| BrowserSecret::generate(&mut random::os_rng()));
    let new = NewAttempt {
        state: attempt,
        address: browser.address,
        browser: &secret.digest(),
        purpose: Purpose::SignOut,
        person: None,
        invitation: None,
        return_to: None,
        carried: None,
    };
    // Where too many began, the return is a sign-out here alone, as far as the portal can tell.
    provider_attempts::begin(&state.strangers_pool, &browser.unnamed_source(state), new).await?;
    Ok(secret)
}

#[derive(Deserialize)]
pub struct SignedOut {
    #[serde(default)]
    state: String,
}

/// Back from the provider's sign-out.
pub async fn signed_out(
    State(state): State<AppState>,
    browser: Browser,
    Query(answer): Query<SignedOut>,
) -> Result<Response, AppError> {
    state.provider.as_ref().ok_or(AppError::NotFound)?;
    let attempt = match browser.provider_secret(&state) {
        Some(secret) => provider_attempts::take(&state.strangers_pool, &answer.state, &secret.digest()).await?,
        None => None,
    };
    let is_ours = attempt.is_some_and(|attempt| attempt.purpose == Purpose::SignOut);
    let url = if is_ours { Notice::SignedOutEverywhere.on(paths::SIGN_IN) } else { paths::SIGN_IN.to_owned() };
    Ok(Redirect::to(&url).into_response())
}
