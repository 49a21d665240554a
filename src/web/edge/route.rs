//! The entries of the route lists.

use axum::{http::Method, routing::MethodRouter};

use super::state::AppState;

/// The largest request body, in bytes.
pub const MAX_BODY_BYTES: usize = 64 * 1024;

/// A method of a URL, and its handler.
pub struct Route<S = AppState> {
    pub method: Method,
    pub path: &'static str,
    pub handler: MethodRouter<S>,
    /// Whether a form that arrives after its session ended is kept until the person has signed in
    /// again.
    pub keeps_form: bool,
}
