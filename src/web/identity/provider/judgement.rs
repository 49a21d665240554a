//! What the provider's answer is worth: it belongs to an attempt of this browser, comes from the
//! provider, and its tokens are sound.

use serde::Deserialize;
use time::OffsetDateTime;

use super::pages::ProviderRefusal;
use crate::{
    db::identity::{
        provider_attempts::Attempt,
        provider_identities::{Identity, recognition::SecondFactorRule},
    },
    domain::{
        person::TypedPassword,
        provider_attempt::{BrowserSecret, Purpose},
    },
    identity_provider::{IdentityProvider, ProviderError, Redemption, Vouched},
    web::edge::state::AppState,
};

/// The query with which the provider sends a person back.
#[derive(Deserialize)]
pub struct ProviderAnswer {
    #[serde(default)]
    pub state: String,
    code: Option<TypedPassword>,
    error: Option<String>,
    /// RFC 9207.
    iss: Option<String>,
}

/// Asks the provider whom it vouches for. `is_for_known`: see [`Redemption::is_for_known`].
pub async fn vouched(
    provider: &IdentityProvider,
    answer: &ProviderAnswer,
    secret: &BrowserSecret,
    attempt: &Attempt,
    is_for_known: bool,
) -> Result<Vouched, ProviderRefusal> {
    if attempt.purpose == Purpose::SignOut {
        return Err(ProviderRefusal::Unknown);
    }
    match provider.is_answer_of(answer.iss.as_deref()).await {
        Ok(true) => {}
        Ok(false) => {
            tracing::warn!("an answer names another issuer than the identity provider, or none");
            return Err(ProviderRefusal::Wrong);
        }
        Err(error) => return Err(refusal_of(&error)),
    }
    if let Some(error) = answer.error.as_deref() {
        return Err(refusal_of_code(error));
    }
    let code = answer.code.as_ref().ok_or(ProviderRefusal::Wrong)?;
    let (nonce, verifier) = (secret.nonce(&answer.state), secret.verifier(&answer.state));
    let redemption =
        Redemption { code: code.expose(), nonce: &nonce, verifier: &verifier, now: attempt.now, is_for_known };
    provider.redeem(&redemption).await.map_err(|error| refusal_of(&error))
}

fn refusal_of(error: &ProviderError) -> ProviderRefusal {
    tracing::warn!(cause = error.to_string(), "the identity provider vouched for no person");
    match error {
        ProviderError::Away(_) => ProviderRefusal::Away,
        ProviderError::Refused(_) | ProviderError::Unsound(_) => ProviderRefusal::Wrong,
    }
}

/// Codes of RFC 6749 §4.1.2.1, OpenID Connect Core §3.1.2.6 and its « Unmet Authentication
/// Requirements ».
fn refusal_of_code(code: &str) -> ProviderRefusal {
    match code {
        "access_denied" | "login_required" | "interaction_required" | "consent_required" => ProviderRefusal::GivenUp,
        "unmet_authentication_requirements" => ProviderRefusal::SecondFactorMissing,
        "server_error" | "temporarily_unavailable" => ProviderRefusal::Away,
        _ => {
            let is_code = code.len() <= 60 && code.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
            tracing::warn!(code = is_code.then_some(code), "the identity provider answered with an error");
            ProviderRefusal::Wrong
        }
    }
}

/// The identity of a person that the provider vouches for.
pub fn identity<'a>(provider: &'a IdentityProvider, vouched: &'a Vouched) -> Identity<'a> {
    Identity {
        issuer: &provider.settings.issuer,
        subject: &vouched.subject,
        address: vouched.address.as_ref().map(|address| address.address.as_str()),
        is_address_verified: vouched.address.as_ref().is_some_and(|address| address.is_verified),
        has_second_factor: vouched.has_second_factor,
        // Not said: a program before the browser can have the request for it left out.
        authenticated_at: vouched.authenticated_at.unwrap_or(OffsetDateTime::UNIX_EPOCH),
        label: &provider.settings.label,
    }
}

/// Which second factor a person must have here, if they proved none there.
pub fn second_factor_rule(state: &AppState, provider: &IdentityProvider) -> SecondFactorRule {
    SecondFactorRule {
        is_asked_for: !provider.settings.acr_values.is_empty(),
        managers_set_one_up: state.settings.managers_need_second_factor,
    }
}
