//! Mails to send, written in the transaction of the act that they announce.

use sqlx::{PgConnection, types::Json};

use crate::domain::notice::Notice;

/// Puts a mail into the outbox; any instance sends it after the commit.
///
/// # Errors
/// Database errors; the act must then not happen.
pub async fn enqueue(conn: &mut PgConnection, recipient: &str, notice: &Notice) -> sqlx::Result<()> {
    sqlx::query!("INSERT INTO mails (recipient, notice) VALUES ($1, $2)", recipient, Json(notice) as _)
        .execute(conn)
        .await?;
    Ok(())
}
