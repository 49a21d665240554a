//! Serves the static files that are compiled into the binary. Their URLs contain a hash of their
//! content, so browsers may cache them for ever.

use axum::{
    extract::{Path, State},
    http::header,
    response::{IntoResponse, Response},
};

use super::{error::AppError, state::AppState};

/// `/static/<hash>/<name>`.
pub const PATH: &str = "/static/{hash}/{name}";

fn content_type(name: &str) -> &'static str {
    match name.rsplit_once('.').map(|(_, ending)| ending) {
        Some("css") => "text/css; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("svg") => "image/svg+xml; charset=utf-8",
        _ => "application/octet-stream",
    }
}

/// Serves one file.
///
/// # Errors
/// [`AppError::NotFound`], also where the hash is not the file's.
pub async fn file(
    State(state): State<AppState>,
    Path((hash, name)): Path<(String, String)>,
) -> Result<Response, AppError> {
    let content = state.files.content(&name, &hash).ok_or(AppError::NotFound)?;
    let headers =
        [(header::CONTENT_TYPE, content_type(&name)), (header::CACHE_CONTROL, "public, max-age=31536000, immutable")];
    Ok((headers, content.to_owned()).into_response())
}
