//! The API's errors: a status, `codeRetour` (the same number) and `libelle`, in French. Causes go
//! to the log only.

use std::any::Any;

use axum::{
    Json,
    http::{HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use schemars::JsonSchema;
use serde::Serialize;
use thiserror::Error;

use crate::{db::availability, secret_keys::KeyFileError, work_queue::Busy};

/// Why a call failed; the texts are for its caller.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum ApiError {
    #[error("{0}")]
    BadRequest(String),
    /// The same for every cause; the history says which one.
    #[error("Identifiant ou mot de passe incorrect.")]
    Unauthorized,
    #[error("Cette structure n’entre pas dans les droits de l’utilisateur technique.")]
    Forbidden,
    #[error("Aucun appel de l’API ne correspond à cette adresse.")]
    UnknownPath,
    #[error("Cette structure n’existe pas.")]
    UnknownStructure,
    #[error("Aucun service en activité ne porte ce nom.")]
    UnknownService,
    #[error("Cette structure n’a pas de service de ce numéro.")]
    UnknownStructureService,
    #[error("Cet appel n’accepte pas cette méthode HTTP.")]
    MethodNotAllowed,
    #[error("Le corps de la requête dépasse 64 kilooctets.")]
    TooLarge,
    #[error("Le corps de la requête doit être de type application/json.")]
    UnsupportedMediaType,
    #[error("Trop de tentatives : réessayez dans {seconds} secondes.")]
    TooManyRequests { seconds: u32 },
    #[error("Le service est momentanément indisponible : réessayez dans quelques secondes.")]
    Unavailable,
    #[error("Une erreur interne est survenue.")]
    Internal,
}

impl From<sqlx::Error> for ApiError {
    fn from(error: sqlx::Error) -> Self {
        tracing::error!(cause = error.to_string(), "the database did not serve a call");
        if availability::is_unavailable(&error) { Self::Unavailable } else { Self::Internal }
    }
}

/// The key file cannot be read.
impl From<KeyFileError> for ApiError {
    fn from(error: KeyFileError) -> Self {
        tracing::error!(cause = error.to_string(), "the key file did not serve a call");
        Self::Internal
    }
}

impl From<Busy> for ApiError {
    fn from(_: Busy) -> Self {
        Self::TooManyRequests { seconds: 1 }
    }
}

/// The challenge that Chorus Pro clients expect, to the letter.
const CHALLENGE: &str = r#"Bearer realm="PISTE",error="Unauthorized",error_description="login or password incorrects""#;

/// The body of every error response.
#[derive(JsonSchema, Serialize)]
pub struct Refusal {
    /// The HTTP status.
    #[serde(rename = "codeRetour")]
    #[schemars(title = "Le statut HTTP")]
    pub code: u16,
    #[schemars(title = "Ce qui ne va pas, en français")]
    pub libelle: String,
}

impl ApiError {
    #[must_use]
    pub fn status(&self) -> StatusCode {
        match self {
            Self::BadRequest(_) => StatusCode::BAD_REQUEST,
            Self::Unauthorized => StatusCode::UNAUTHORIZED,
            Self::Forbidden => StatusCode::FORBIDDEN,
            Self::UnknownPath | Self::UnknownStructure | Self::UnknownService | Self::UnknownStructureService => {
                StatusCode::NOT_FOUND
            }
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::UnsupportedMediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::TooManyRequests { .. } => StatusCode::TOO_MANY_REQUESTS,
            Self::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    fn header(&self) -> Option<(HeaderName, HeaderValue)> {
        match self {
            Self::Unauthorized => Some((header::WWW_AUTHENTICATE, HeaderValue::from_static(CHALLENGE))),
            Self::TooManyRequests { seconds } => Some((header::RETRY_AFTER, HeaderValue::from(*seconds))),
            Self::Unavailable => Some((header::RETRY_AFTER, HeaderValue::from(2))),
            _ => None,
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        (&self).into_response()
    }
}

impl IntoResponse for &ApiError {
    fn into_response(self) -> Response {
        let refusal = Refusal { code: self.status().as_u16(), libelle: self.to_string() };
        let mut response = (self.status(), Json(refusal)).into_response();
        response.headers_mut().extend(self.header());
        response
    }
}

/// Answers where a call exceeded its time limit.
pub fn timed_out() -> Response {
    tracing::error!("a call took too long");
    ApiError::Unavailable.into_response()
}

/// Answers where a call panicked.
pub fn panicked(_: Box<dyn Any + Send>) -> Response {
    tracing::error!("a call panicked");
    ApiError::Internal.into_response()
}
