//! Which marks of known browsers count for a person: those of one epoch. What ends a person's
//! sessions begins another one.

use sqlx::{PgConnection, PgPool};

use crate::domain::known_browser::Epoch;

/// The present epoch of the person with this login.
///
/// # Errors
/// Database errors.
pub async fn epoch_of(pool: &PgPool, login: &str) -> sqlx::Result<Option<Epoch>> {
    let epoch = sqlx::query_scalar!("SELECT known_browsers_epoch FROM users WHERE login = $1", login)
        .fetch_optional(pool)
        .await?;
    Ok(epoch.map(Epoch))
}

/// The present epoch of a person.
pub(super) async fn epoch(conn: &mut PgConnection, user_id: i64) -> sqlx::Result<Epoch> {
    sqlx::query_scalar!("SELECT known_browsers_epoch FROM users WHERE id = $1", user_id)
        .fetch_one(conn)
        .await
        .map(Epoch)
}

/// Ends the marks of all of a person's known browsers.
pub(super) async fn begin_epoch(conn: &mut PgConnection, user_id: i64) -> sqlx::Result<Epoch> {
    sqlx::query_scalar!(
        "UPDATE users SET known_browsers_epoch = known_browsers_epoch + 1 WHERE id = $1 RETURNING known_browsers_epoch",
        user_id,
    )
    .fetch_one(conn)
    .await
    .map(Epoch)
}
