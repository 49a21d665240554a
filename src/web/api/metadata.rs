//! What clients and services read about this authorization server: its metadata (RFC 8414) and the
//! keys that sign its tokens (RFC 7517).

use axum::{Extension, Json, extract::State};
use schemars::JsonSchema;
use serde::Serialize;

use super::{error::ApiError, state::ApiState};
use crate::{
    db::api::signing_keys,
    domain::{restrictions::OPEN_SCOPE, signing_key::coordinates},
    web::{edge::context::RequestContext, paths},
};

const CLIENT_AUTHENTICATION: [&str; 2] = ["client_secret_basic", "client_secret_post"];

/// RFC 8414 §2.
#[derive(JsonSchema, Serialize)]
pub struct Metadata {
    issuer: String,
    token_endpoint: String,
    token_endpoint_auth_methods_supported: [&'static str; 2],
    grant_types_supported: [&'static str; 1],
    /// Required; there is no authorization endpoint.
    #[schemars(title = "Toujours vide : il n’y a pas de point d’autorisation")]
    response_types_supported: [&'static str; 0],
    scopes_supported: [&'static str; 1],
    introspection_endpoint: String,
    introspection_endpoint_auth_methods_supported: [&'static str; 2],
    revocation_endpoint: String,
    revocation_endpoint_auth_methods_supported: [&'static str; 2],
    jwks_uri: String,
    service_documentation: String,
    ui_locales_supported: [&'static str; 1],
}

/// Answers the metadata.
pub async fn answer(State(state): State<ApiState>) -> Json<Metadata> {
    let issuer = &state.app.settings.public_url;
    let at = |path: &str| format!("{issuer}{path}");
    Json(Metadata {
        issuer: issuer.clone(),
        token_endpoint: at(paths::API_TOKEN),
        token_endpoint_auth_methods_supported: CLIENT_AUTHENTICATION,
        grant_types_supported: ["client_credentials"],
        response_types_supported: [],
        scopes_supported: [OPEN_SCOPE],
        introspection_endpoint: at(paths::API_INTROSPECTION),
        introspection_endpoint_auth_methods_supported: CLIENT_AUTHENTICATION,
        revocation_endpoint: at(paths::API_REVOCATION),
        revocation_endpoint_auth_methods_supported: CLIENT_AUTHENTICATION,
        jwks_uri: at(paths::API_SIGNING_KEYS),
        service_documentation: at(paths::API_DOCUMENTATION),
        ui_locales_supported: ["fr"],
    })
}

/// RFC 7517 §5.
#[derive(JsonSchema, Serialize)]
pub struct KeySet {
    #[schemars(title = "La clé qui signe, la suivante, puis celles qui ont signé depuis une heure")]
    keys: Vec<Jwk>,
}

/// A public key (RFC 7517 §4, RFC 7518 §6.2).
#[derive(JsonSchema, Serialize)]
struct Jwk {
    kty: &'static str,
    crv: &'static str,
    #[serde(rename = "use")]
    usage: &'static str,
    alg: &'static str,
    kid: String,
    x: String,
    y: String,
}

impl Jwk {
    fn new((id, public): (String, Vec<u8>)) -> Self {
        let (x, y) = coordinates(&public);
        Self { kty: "EC", crv: "P-256", usage: "sig", alg: "ES256", kid: id, x, y }
    }
}

/// Answers the public keys.
///
/// # Errors
/// Where the database does not serve, or too many strangers ask it.
pub async fn keys(
    State(state): State<ApiState>,
    Extension(context): Extension<RequestContext>,
) -> Result<Json<KeySet>, ApiError> {
    let _share = state.accounts.stranger(context.address).await?;
    let published = signing_keys::published(state.api_pool()).await?;
    Ok(Json(KeySet { keys: published.into_iter().map(Jwk::new).collect() }))
}
