//! The outbox: mails to send, written in the transaction of the operation that they announce.

use sqlx::{PgConnection, PgPool, types::Json};
use time::OffsetDateTime;

use crate::domain::notification::Notification;

/// Adds a mail to the outbox; any instance sends it after the commit.
///
/// # Errors
/// Database errors; the caller must then roll back.
pub async fn enqueue(conn: &mut PgConnection, recipient: &str, notice: &Notification) -> sqlx::Result<()> {
    sqlx::query!("INSERT INTO mails (recipient, notice) VALUES ($1, $2)", recipient, Json(notice) as _)
        .execute(conn)
        .await?;
    Ok(())
}

/// A mail that is not sent yet.
#[derive(Clone, Debug)]
pub struct WaitingMail {
    pub id: i64,
    /// The address that the mail goes to.
    pub recipient: String,
    /// A [`Notification`]; unreadable where a newer version wrote it.
    pub notice: serde_json::Value,
    pub created_at: OffsetDateTime,
    /// Failed attempts so far.
    pub attempts: i32,
}

/// The mails that may be sent now, oldest first: one per recipient, so that mails arrive in order
/// (a creation before its reset).
///
/// # Errors
/// Database errors.
pub async fn due(pool: &PgPool, limit: i64) -> sqlx::Result<Vec<i64>> {
    sqlx::query_scalar!(
        "SELECT id FROM mails m
          WHERE sent_at IS NULL AND next_attempt_at <= portal_now()
            AND NOT EXISTS (SELECT 1 FROM mails e WHERE e.recipient = m.recipient AND e.id < m.id AND e.sent_at IS NULL)
          ORDER BY id LIMIT $1",
        limit,
    )
    .fetch_all(pool)
    .await
}

/// Locks a mail for sending until the end of the transaction. `None` where another instance has
/// locked or sent it.
///
/// # Errors
/// Database errors.
pub async fn claim(conn: &mut PgConnection, id: i64) -> sqlx::Result<Option<WaitingMail>> {
    sqlx::query_as!(
        WaitingMail,
        "SELECT id, recipient, notice, created_at, attempts FROM mails m
          WHERE id = $1 AND sent_at IS NULL AND next_attempt_at <= portal_now()
            AND NOT EXISTS (SELECT 1 FROM mails e WHERE e.recipient = m.recipient AND e.id < m.id AND e.sent_at IS NULL)
            FOR UPDATE SKIP LOCKED",
        id,
    )
    .fetch_optional(conn)
    .await
}

/// Marks a mail as sent.
///
/// # Errors
/// Database errors.
pub async fn mark_sent(conn: &mut PgConnection, id: i64) -> sqlx::Result<()> {
    sqlx::query!("UPDATE mails SET sent_at = portal_now() WHERE id = $1", id).execute(conn).await?;
    Ok(())
}

/// Schedules the next attempt of a mail that could not be sent: in 1 minute, then twice as long
/// each time, at most an hour.
///
/// # Errors
/// Database errors.
pub async fn postpone(pool: &PgPool, id: i64) -> sqlx::Result<()> {
    sqlx::query!(
        "UPDATE mails SET attempts = attempts + 1,
                next_attempt_at = portal_now() + least(interval '1 minute' * (2 ^ least(attempts, 6)), interval '1 hour')
          WHERE id = $1 AND sent_at IS NULL",
        id,
    )
    .execute(pool)
    .await?;
    Ok(())
}
