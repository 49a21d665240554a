//! The portal at work: pages, API, mail room, until it is told to stop.

use sqlx::PgPool;
use thiserror::Error;

use crate::settings::Settings;

/// Why the portal could not serve.
#[derive(Debug, Error)]
#[error("{0}")]
pub struct ServeError(pub String);

/// Serves until SIGTERM or Ctrl-C.
///
/// # Errors
/// [`ServeError`].
#[expect(clippy::unused_async, clippy::needless_pass_by_value, reason = "a stub")]
pub async fn run(_settings: Settings, _pool: PgPool) -> Result<(), ServeError> {
    Err(ServeError("nothing to serve yet".into()))
}
