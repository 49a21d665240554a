//! The API that technical users connect to, in the dialect of Chorus Pro's clients. [`routes`] is
//! its table of contents. It speaks JSON whatever happens, never redirects and sets no cookie.

pub mod authentication;
pub mod body;
pub mod call_log;
pub mod credentials;
pub mod error;
pub mod health_check;
pub mod memberships;
pub mod memory;
pub mod openapi;
pub mod pages;
pub mod search;
pub mod state;
pub mod structure;
pub mod token;
pub mod tolerant;

use axum::{
    Router,
    http::Method,
    middleware,
    routing::{MethodRouter, any, get, post},
};
use tower_http::catch_panic::CatchPanicLayer;

use super::{
    edge::{
        middleware::{TooLate, in_time},
        route::Route,
    },
    paths,
};
use error::ApiError;
use state::ApiState;

/// `libelle` of every call that did its work.
pub const SUCCESS: &str = "TRA_MSG_00.000";

fn read(path: &'static str, handler: MethodRouter<ApiState>) -> Route<ApiState> {
    Route { method: Method::GET, path, handler, keeps_form: false }
}

fn call(path: &'static str, handler: MethodRouter<ApiState>) -> Route<ApiState> {
    Route { method: Method::POST, path, handler, keeps_form: false }
}

/// Every call of the API. The tests walk through this list too.
pub fn routes() -> Vec<Route<ApiState>> {
    vec![
        call(paths::API_TOKEN, post(token::issue)),
        read(paths::API_HEALTH_CHECK, get(health_check::answer)),
        call(paths::API_MEMBERSHIPS, post(memberships::list)),
        call(paths::API_SEARCH, post(search::search)),
        call(paths::API_CONSULT, post(structure::consult)),
        call(paths::API_SERVICES, post(structure::services)),
        read(paths::API_DESCRIPTION, get(openapi::answer)),
    ]
}

/// The calls, and an answer of the API's own to whatever else is asked for under its two prefixes.
pub fn router<S>(state: ApiState) -> Router<S> {
    let calls = routes().into_iter().fold(Router::new(), |router, route| {
        router.route(route.path, route.handler.fallback(|| async { ApiError::MethodNotAllowed }))
    });
    let prefixes = ["/api", "/api/", "/api/{*rest}", "/cpro", "/cpro/", "/cpro/{*rest}"];
    let unknown = |router: Router<_>, path| router.route(path, any(|| async { ApiError::UnknownPath }));
    guarded(prefixes.into_iter().fold(calls, unknown)).with_state(state)
}

/// Calls within their time, with an answer to a panic.
pub(super) fn guarded<S: Clone + Send + Sync + 'static>(calls: Router<S>) -> Router<S> {
    // The outermost first, and all as one layer: each layer of a router costs every call a copy of
    // what is under it.
    calls.layer((
        middleware::from_fn_with_state(error::too_late as TooLate, in_time),
        CatchPanicLayer::custom(error::panicked),
    ))
}
