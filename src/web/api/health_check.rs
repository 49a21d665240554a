//! `health-check`: lets integrators test a connection.

use axum::Json;
use schemars::JsonSchema;
use serde::Serialize;

use super::{authentication::Authentication, error::ApiError};

#[derive(JsonSchema, Serialize)]
pub struct HealthAnswer {
    #[serde(rename = "statusCodeValue")]
    status_code_value: u16,
    #[serde(rename = "statusCode")]
    status_code: &'static str,
    body: &'static str,
}

/// Answers that the API is available, to authenticated callers.
///
/// # Errors
/// [`ApiError`].
pub async fn answer(authentication: Authentication) -> Result<Json<HealthAnswer>, ApiError> {
    authentication.authenticate().await?;
    Ok(Json(HealthAnswer {
        status_code_value: 200,
        status_code: "OK",
        body: "L'API CPRO est actuellement disponible et fonctionnel.",
    }))
}
