//! Shared by all requests: state, context, errors, middleware, origin checks, metrics.

pub mod assets;
pub mod context;
pub mod error;
pub mod error_pages;
pub mod metrics;
pub mod middleware;
pub mod monitoring;
pub mod origin;
pub mod route;
pub mod shares;
pub mod state;
