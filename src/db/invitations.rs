//! One-time links by which a person chooses her password.

use sqlx::{PgConnection, PgPool};
use time::OffsetDateTime;

use super::audit::{self, Event};
use crate::domain::{
    audit::{Action, Actor},
    password::PasswordHash,
};

/// The person that a living link invites.
#[derive(Clone, Debug)]
pub struct Invited {
    pub user_id: i64,
    pub login: String,
    pub first_name: String,
    pub last_name: String,
    /// Until when the link is good.
    pub expires_at: OffsetDateTime,
}

/// Makes a link valid for `days`; only the hash of its token is stored. Older links of the person die.
///
/// # Errors
/// Database errors.
pub async fn create(conn: &mut PgConnection, user_id: i64, token_hash: &[u8], days: i32) -> sqlx::Result<()> {
    sqlx::query!("DELETE FROM invitations WHERE user_id = $1", user_id).execute(&mut *conn).await?;
    sqlx::query!(
        "INSERT INTO invitations (token_hash, user_id, expires_at) VALUES ($1, $2, portal_now() + make_interval(days => $3))",
        token_hash,
        user_id,
        days,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// The person whom a mail invites.
#[derive(Clone, Debug)]
pub struct Guest {
    pub login: String,
    pub first_name: String,
    pub last_name: String,
}

/// The person with this number.
///
/// # Errors
/// Database errors.
pub async fn find_guest(conn: &mut PgConnection, user_id: i64) -> sqlx::Result<Option<Guest>> {
    sqlx::query_as!(Guest, "SELECT login, first_name, last_name FROM users WHERE id = $1", user_id)
        .fetch_optional(conn)
        .await
}

/// Whom the link with this token invites; `None` once it is used or too old.
///
/// # Errors
/// Database errors.
pub async fn find(pool: &PgPool, token_hash: &[u8]) -> sqlx::Result<Option<Invited>> {
    sqlx::query_as!(
        Invited,
        "SELECT u.id AS user_id, u.login, u.first_name, u.last_name, i.expires_at FROM invitations i JOIN users u ON u.id = i.user_id
          WHERE i.token_hash = $1 AND i.used_at IS NULL AND i.expires_at > portal_now()",
        token_hash,
    )
    .fetch_optional(pool)
    .await
}

/// Uses the link up and keeps the password. False where somebody was quicker.
///
/// # Errors
/// Database errors.
pub async fn accept(pool: &PgPool, actor: &Actor, token_hash: &[u8], hash: &PasswordHash) -> sqlx::Result<bool> {
    let mut tx = pool.begin().await?;
    let user_id = sqlx::query_scalar!(
        "UPDATE invitations SET used_at = portal_now()
          WHERE token_hash = $1 AND used_at IS NULL AND expires_at > portal_now() RETURNING user_id",
        token_hash,
    )
    .fetch_optional(&mut *tx)
    .await?;
    let Some(user_id) = user_id else { return Ok(false) };
    sqlx::query!("UPDATE users SET password_hash = $2 WHERE id = $1", user_id, hash.as_phc()).execute(&mut *tx).await?;
    sqlx::query!("DELETE FROM sessions WHERE user_id = $1", user_id).execute(&mut *tx).await?;
    audit::record(&mut tx, Event::of(actor, Action::PasswordChosen)).await?;
    tx.commit().await?;
    Ok(true)
}
