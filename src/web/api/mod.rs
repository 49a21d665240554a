//! The API for technical users, compatible with Chorus Pro clients. [`routes`] lists its calls.
//! Every response is JSON; it never redirects and sets no cookie.

pub mod accounts;
pub mod active_structures;
pub mod authentication;
pub mod body;
pub mod call_log;
mod credentials;
pub mod error;
pub mod health_check;
pub mod identifier_types;
pub mod introspection;
pub mod memberships;
pub mod metadata;
pub mod near_misses;
pub mod oauth;
pub mod openapi;
pub mod own_account;
pub mod pagination;
pub mod recipients;
pub mod revocation;
pub mod search;
pub mod spaces;
pub mod state;
pub mod structure;
pub mod structure_services;
mod success;
pub mod token;
pub mod tolerant;
pub mod unknown_clients;
pub mod verification;

use axum::{
    Router,
    http::Method,
    middleware,
    routing::{MethodRouter, any, get, post},
};
use tower_http::catch_panic::CatchPanicLayer;

use super::{
    edge::{
        middleware::{TimeoutResponse, limit_time},
        route::Route,
    },
    paths,
};
use error::ApiError;
use state::ApiState;

fn read(path: &'static str, handler: MethodRouter<ApiState>) -> Route<ApiState> {
    route(Method::GET, path, handler.fallback(other_method))
}

/// A call that answers to every method.
fn check(path: &'static str, handler: MethodRouter<ApiState>) -> Route<ApiState> {
    route(Method::GET, path, handler)
}

fn call(path: &'static str, handler: MethodRouter<ApiState>) -> Route<ApiState> {
    route(Method::POST, path, handler.fallback(other_method))
}

fn route(method: Method, path: &'static str, handler: MethodRouter<ApiState>) -> Route<ApiState> {
    Route { method, path, handler, keeps_form: false }
}

async fn other_method() -> ApiError {
    ApiError::MethodNotAllowed
}

/// Every call of the API. The tests iterate over this list too.
pub fn routes() -> Vec<Route<ApiState>> {
    vec![
        call(paths::API_TOKEN, post(token::issue)),
        call(paths::API_INTROSPECTION, post(introspection::answer)),
        call(paths::API_REVOCATION, post(revocation::revoke)),
        read(paths::API_METADATA, get(metadata::answer)),
        read(paths::API_SIGNING_KEYS, get(metadata::keys)),
        read(paths::API_OWN_ACCOUNT, get(own_account::answer)),
        check(paths::API_VERIFICATION, any(verification::answer)),
        check(paths::API_SERVICE_VERIFICATION, any(verification::answer)),
        read(paths::API_HEALTH_CHECK, get(health_check::answer)),
        call(paths::API_MEMBERSHIPS, post(memberships::list)),
        call(paths::API_SEARCH, post(search::search)),
        call(paths::API_CONSULT, post(structure::consult)),
        call(paths::API_SERVICES, post(structure::services)),
        call(paths::API_STRUCTURE_SERVICES, post(structure_services::search)),
        call(paths::API_STRUCTURE_SERVICE, post(structure_services::consult)),
        call(paths::API_SPACES, post(spaces::search)),
        call(paths::API_SUPPLIERS, post(active_structures::list)),
        call(paths::API_RECIPIENTS, post(active_structures::list)),
        call(paths::API_IDENTIFIER_TYPES, post(identifier_types::list)),
        call(paths::API_RECIPIENTS_FILE, post(recipients::download)),
        call(paths::API_SIRET, post(structure::siret)),
        read(paths::API_DESCRIPTION, get(openapi::answer)),
    ]
}

/// The calls, and the API's own 404 under its prefixes.
pub fn router<S>(state: ApiState) -> Router<S> {
    let calls = routes().into_iter().fold(Router::new(), |router, route| router.route(route.path, route.handler));
    let below = |router: Router<_>, path: &str| {
        let handler = || any(verification::answer_below);
        router.route(&format!("{path}/"), handler()).route(&format!("{path}/{{*rest}}"), handler())
    };
    let calls = [paths::API_VERIFICATION, paths::API_SERVICE_VERIFICATION].into_iter().fold(calls, below);
    let prefixes = ["/api", "/api/", "/api/{*rest}", "/cpro", "/cpro/", "/cpro/{*rest}", "/.well-known/{*rest}"];
    let unknown = |router: Router<_>, path| router.route(path, any(|| async { ApiError::UnknownPath }));
    guarded(prefixes.into_iter().fold(calls, unknown)).with_state(state)
}

/// Adds the layers around calls: time limit, and a response to panics.
pub(super) fn guarded<S: Clone + Send + Sync + 'static>(calls: Router<S>) -> Router<S> {
    // Outermost first, as one layer: each layer of a router costs every call a clone of the service
    // below it.
    calls.layer((
        middleware::from_fn_with_state(error::timed_out as TimeoutResponse, limit_time),
        CatchPanicLayer::custom(error::panicked),
    ))
}
