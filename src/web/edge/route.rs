//! One method of one URL, as the tables of contents list it.

use axum::{http::Method, routing::MethodRouter};

use super::state::AppState;

/// The largest body that is read.
pub const MAX_BODY_BYTES: usize = 64 * 1024;

/// One method of one URL, and what answers it.
pub struct Route<S = AppState> {
    pub method: Method,
    pub path: &'static str,
    pub handler: MethodRouter<S>,
    /// Whether its form is kept where the session has ended before it came.
    pub keeps_form: bool,
}
