//! The entries of the route lists.

use axum::{http::Method, routing::MethodRouter};

use super::state::AppState;

/// A method of a URL, and its handler.
pub struct Route<S = AppState> {
    pub method: Method,
    pub path: &'static str,
    pub handler: MethodRouter<S>,
    /// Whether a form that arrives after its session ended is kept until the person has signed in
    /// again.
    pub keeps_form: bool,
}
