//! Shared by all requests: state, context, errors, middleware, origin checks, metrics.

pub mod assets;
pub mod body_limit;
pub mod context;
pub mod error;
pub mod error_pages;
pub mod metrics;
pub mod middleware;
pub mod origin;
pub mod probes;
pub mod redirect_guard;
pub mod route;
pub mod shares;
pub mod state;
pub mod stopping;
mod traceparent;
