//! The mail room: makes mails of the outbox's notices and sees them off.

use sqlx::PgPool;

use crate::settings::{SettingError, Settings};

pub use letter::{Guest, Letter, render};
pub use room::MailRoom;

mod delivery;
mod letter;
mod room;

/// Sends the outbox's mails until `shutdown`; the mail being sent is then seen off first.
///
/// # Errors
/// At once, where a setting about mails cannot be used. The same as [`MailRoom::open`] and
/// [`MailRoom::run`].
pub async fn run_sender(
    pool: PgPool,
    settings: &Settings,
    shutdown: impl Future<Output = ()> + Send,
) -> Result<(), SettingError> {
    MailRoom::open(settings)?.run(pool, shutdown).await;
    Ok(())
}
