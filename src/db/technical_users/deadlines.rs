//! Password deadlines for calendars, and the secret link by which a calendar program reads them.

use sqlx::PgPool;
use time::OffsetDateTime;

use crate::{
    db::audit::{self, Event},
    domain::audit::{Action, Actor},
};

/// When a technical user's password expires.
#[derive(Clone, Debug)]
pub struct Deadline {
    pub technical_user_id: i64,
    pub credential_version: i32,
    pub login: String,
    pub label: Option<String>,
    pub structure: String,
    pub expires_at: OffsetDateTime,
    pub password_set_at: OffsetDateTime,
}

/// The deadlines of all active technical users of the person's active structures, soonest first.
///
/// # Errors
/// Database errors.
pub async fn of_manager(pool: &PgPool, manager_id: i64) -> sqlx::Result<Vec<Deadline>> {
    sqlx::query_as!(
        Deadline,
        "SELECT t.id AS technical_user_id, t.credential_version, t.login, t.label, s.designation AS structure,
                t.expires_at, t.password_set_at
           FROM structures s JOIN technical_users t ON t.structure_id = s.id AND t.status = 'ACTIVE'
          WHERE s.principal_manager_id = $1 AND s.active
          ORDER BY t.expires_at, t.id",
        manager_id,
    )
    .fetch_all(pool)
    .await
}

/// The deadlines of the person with this link; `None` if there is no such link.
///
/// # Errors
/// Database errors.
pub async fn of_link(pool: &PgPool, token_hash: &[u8]) -> sqlx::Result<Option<Vec<Deadline>>> {
    let owner = sqlx::query_scalar!("SELECT id FROM users WHERE calendar_token_hash = $1", token_hash)
        .fetch_optional(pool)
        .await?;
    match owner {
        Some(manager_id) => Ok(Some(of_manager(pool, manager_id).await?)),
        None => Ok(None),
    }
}

/// Makes this the person's only link; the previous one stops working.
///
/// # Errors
/// Database errors.
pub async fn replace_link(pool: &PgPool, actor: &Actor, user_id: i64, token_hash: &[u8]) -> sqlx::Result<()> {
    let mut tx = pool.begin().await?;
    sqlx::query!("UPDATE users SET calendar_token_hash = $2 WHERE id = $1", user_id, token_hash)
        .execute(&mut *tx)
        .await?;
    audit::record(&mut tx, Event { subject: &actor.name, ..Event::of(actor, Action::CalendarLinkMade) }).await?;
    tx.commit().await
}
