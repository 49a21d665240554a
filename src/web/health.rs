//! For machines that watch: `/livez` says that the process runs, `/readyz` that it can serve.

use axum::{Router, extract::State, http::StatusCode, routing::get};

use super::state::AppState;
use crate::db;

/// Both, outside sessions and error pages.
pub fn router() -> Router<AppState> {
    Router::new().route("/livez", get(|| async { "ok\n" })).route("/readyz", get(ready))
}

async fn ready(State(state): State<AppState>) -> (StatusCode, &'static str) {
    match db::ping(&state.pool).await {
        Ok(()) => (StatusCode::OK, "ok\n"),
        Err(_) => (StatusCode::SERVICE_UNAVAILABLE, "database unavailable\n"),
    }
}
