//! Monitoring endpoints: `/livez` (the process runs), `/readyz` (the database answers), `/metrics`.

use std::time::{Duration, Instant};

use axum::{
    Router,
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use prometheus_client::encoding::text;
use sqlx::PgPool;
use tokio::time::timeout;

use super::state::AppState;
use crate::db::{availability, technical_users::deadlines, upkeep};

const LIVE: &str = "/livez";
const READY: &str = "/readyz";
/// Balancers ask every second or two.
const LONGEST_PING: Duration = Duration::from_millis(900);

/// `/livez` and `/readyz`, outside sessions and error pages.
pub fn router() -> Router<AppState> {
    Router::new().route(LIVE, get(|| async { "ok\n" })).route(READY, get(ready))
}

/// Whether the route is `/livez` or `/readyz`.
pub(super) fn is_probe(route: &str) -> bool {
    [LIVE, READY].contains(&route)
}

async fn ready(State(state): State<AppState>) -> (StatusCode, &'static str) {
    if state.stopping.has_begun() {
        return (StatusCode::SERVICE_UNAVAILABLE, "stopping\n");
    }
    match timeout(LONGEST_PING, availability::ping(&state.pool)).await {
        Ok(Ok(())) => (StatusCode::OK, "ok\n"),
        Ok(Err(_)) | Err(_) => (StatusCode::SERVICE_UNAVAILABLE, "database unavailable\n"),
    }
}

/// The router of the metrics port: `/metrics` alone.
pub fn metrics_router(state: AppState) -> Router {
    Router::new().route("/metrics", get(show)).with_state(state)
}

/// Waits for a connection of each pool, as a request does, and notes how long it took. A failure
/// took as long as a request would have waited.
pub async fn measure_database_waits(state: &AppState) {
    let wait = async |name, pool: &PgPool| {
        let start = Instant::now();
        let _ = pool.acquire().await;
        state.metrics.note_database_wait(name, start.elapsed());
    };
    tokio::join!(wait("portal", &state.pool), wait("strangers", &state.strangers_pool), wait("api", &state.api_pool));
}

async fn show(State(state): State<AppState>) -> Response {
    let metrics = &state.metrics;
    let pools = [&state.pool, &state.strangers_pool, &state.api_pool];
    metrics.connections.set(pools.map(PgPool::size).iter().sum::<u32>().into());
    // The pool's own count is below zero for moments, and then shows as a huge number.
    let idle = pools.map(|pool| u32::try_from(pool.num_idle()).unwrap_or(0).min(pool.size()));
    metrics.idle_connections.set(idle.iter().sum::<u32>().into());
    metrics.most_connections.set(state.settings.database_connections.into());
    // Without a database, the other metrics are still served.
    if let Ok(waiting) = upkeep::waiting_mails(&state.pool).await {
        metrics.waiting_mails.set(waiting);
    }
    if let Ok(refused) = upkeep::refused_mails(&state.pool).await {
        metrics.refused_mails.set(refused);
    }
    if let Ok(expiring) = deadlines::expiring_soon(&state.pool).await {
        metrics.expiring_passwords.set(expiring);
    }
    let mut body = String::new();
    match text::encode(&mut body, &metrics.registry) {
        Ok(()) => {
            let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
            ([(header::CONTENT_TYPE, kind)], body).into_response()
        }
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}
