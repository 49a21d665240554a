//! What the provider says about a person: JSON, or a signed token (`application/jwt`), as
//! ProConnect answers.
//!
//! `openidconnect` verifies signed answers of RS256 alone, so the token is taken apart here; its
//! signature is verified by that crate's keys.

use data_encoding::BASE64URL_NOPAD;
use openidconnect::{
    HttpResponse, JsonWebKey, JsonWebKeyUse,
    core::{CoreJsonWebKey, CoreJwsSigningAlgorithm},
};
use serde_json::{Map, Value};

use super::{discovery::Metadata, error::ProviderError};

/// The algorithms of tokens that are believed.
pub const ALGORITHMS: [CoreJwsSigningAlgorithm; 2] =
    [CoreJwsSigningAlgorithm::EcdsaP256Sha256, CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha256];

/// The address of a person, as the provider vouches for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VouchedAddress {
    pub address: String,
    /// False only where the provider says that it has not verified it.
    pub is_verified: bool,
}

/// Why an answer cannot be taken.
pub enum Unusable {
    /// It is signed by a key that is not known (any more).
    UnknownKey,
    Error(ProviderError),
}

fn unsound(text: impl Into<String>) -> Unusable {
    Unusable::Error(ProviderError::Unsound(format!("userinfo: {}", text.into())))
}

/// The address in an answer about this subject; `None` where it names none.
pub fn read(
    answer: &HttpResponse,
    metadata: &Metadata,
    client_id: &str,
    subject: &str,
) -> Result<Option<VouchedAddress>, Unusable> {
    let status = answer.status();
    if status.is_server_error() {
        return Err(Unusable::Error(ProviderError::Away(format!("userinfo: {status}"))));
    }
    if !status.is_success() {
        return Err(Unusable::Error(ProviderError::Refused(format!("userinfo: {status}"))));
    }
    let kind = answer.headers().get("content-type").and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let essence = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let claims = match essence.as_str() {
        "application/jwt" => signed_claims(answer.body(), metadata, client_id)?,
        "application/json" => serde_json::from_slice(answer.body()).map_err(|_| unsound("no JSON"))?,
        _ => return Err(unsound(format!("an answer of another kind: {essence:?}"))),
    };
    if claims.get("sub").and_then(Value::as_str) != Some(subject) {
        return Err(unsound("another subject than the token's"));
    }
    Ok(address(&claims))
}

/// The address among claims.
pub fn address(claims: &Map<String, Value>) -> Option<VouchedAddress> {
    let address = claims.get("email").and_then(Value::as_str).filter(|address| !address.is_empty())?.to_owned();
    let is_verified = match claims.get("email_verified") {
        None | Some(Value::Null | Value::Bool(true)) => true,
        Some(Value::String(text)) => text == "true",
        Some(_) => false,
    };
    Some(VouchedAddress { address, is_verified })
}

/// The claims of a token for this client, once signature, issuer and audience are verified.
fn signed_claims(body: &[u8], metadata: &Metadata, client_id: &str) -> Result<Map<String, Value>, Unusable> {
    let text = str::from_utf8(body).map_err(|_| unsound("no text"))?.trim();
    let (signed, signature) = text.rsplit_once('.').ok_or_else(|| unsound("no token"))?;
    let (head, payload) = signed.split_once('.').ok_or_else(|| unsound("no token"))?;
    let part = |text: &str| BASE64URL_NOPAD.decode(text.as_bytes()).map_err(|_| unsound("a garbled token"));
    let object =
        |text: &str| serde_json::from_slice::<Map<String, Value>>(&part(text)?).map_err(|_| unsound("a garbled token"));
    let head = object(head)?;
    let name = head.get("alg").and_then(Value::as_str).unwrap_or_default();
    let alg = serde_json::from_value::<CoreJwsSigningAlgorithm>(Value::from(name)).ok();
    let alg = alg.filter(|alg| ALGORITHMS.contains(alg)).ok_or_else(|| unsound(format!("signed by {name:?}")))?;
    if head.contains_key("crit") {
        return Err(unsound("a header that must be understood and is not"));
    }
    let key = key(metadata, head.get("kid").and_then(Value::as_str), &alg).ok_or(Unusable::UnknownKey)?;
    key.verify_signature(&alg, signed.as_bytes(), &part(signature)?).map_err(|error| unsound(error.to_string()))?;
    let claims = object(payload)?;
    if claims.get("iss").and_then(Value::as_str) != Some(metadata.issuer().as_str()) {
        return Err(unsound("another issuer"));
    }
    let is_for_us = match claims.get("aud") {
        Some(Value::String(audience)) => audience == client_id,
        Some(Value::Array(audiences)) => audiences.iter().any(|audience| audience == client_id),
        _ => false,
    };
    if is_for_us { Ok(claims) } else { Err(unsound("for another client")) }
}

/// The key with this name; without a name, the only one that could have signed.
fn key<'a>(metadata: &'a Metadata, kid: Option<&str>, alg: &CoreJwsSigningAlgorithm) -> Option<&'a CoreJsonWebKey> {
    use openidconnect::JwsSigningAlgorithm;
    let fits = |key: &&CoreJsonWebKey| {
        alg.key_type().is_some_and(|kind| *key.key_type() == kind)
            && key.key_use().is_none_or(JsonWebKeyUse::allows_signature)
            && kid.is_none_or(|kid| key.key_id().is_some_and(|id| id.as_str() == kid))
    };
    let mut keys = metadata.jwks().keys().iter().filter(fits);
    let first = keys.next()?;
    keys.next().is_none().then_some(first)
}
