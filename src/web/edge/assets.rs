//! Static files, in the binary; their URLs hold a hash of their content, so browsers may keep them
//! for ever.

use axum::{
    extract::{Path, State},
    http::header,
    response::{IntoResponse, Response},
};

use super::{error::AppError, state::AppState};

/// Where they stand: `/static/<hash>/<name>`.
pub const PATH: &str = "/static/{hash}/{name}";

fn content_type(name: &str) -> &'static str {
    match name.rsplit_once('.').map(|(_, ending)| ending) {
        Some("css") => "text/css; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("svg") => "image/svg+xml; charset=utf-8",
        _ => "application/octet-stream",
    }
}

/// Serves one.
///
/// # Errors
/// Not found, also under another hash than its own.
pub async fn file(
    State(state): State<AppState>,
    Path((hash, name)): Path<(String, String)>,
) -> Result<Response, AppError> {
    let content = state.files.content(&name, &hash).ok_or(AppError::NotFound)?;
    let headers =
        [(header::CONTENT_TYPE, content_type(&name)), (header::CACHE_CONTROL, "public, max-age=31536000, immutable")];
    Ok((headers, content.to_owned()).into_response())
}
