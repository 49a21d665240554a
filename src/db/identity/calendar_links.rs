//! Secret links, one for each person, by which calendar programs read the person's deadlines.

use sqlx::PgPool;

use crate::{
    db::audit::{self, Event},
    domain::audit::{Action, Actor},
};

/// The person whose calendar this link shows.
///
/// # Errors
/// Database errors.
pub async fn find_owner(pool: &PgPool, token_hash: &[u8]) -> sqlx::Result<Option<i64>> {
    sqlx::query_scalar!("SELECT id FROM users WHERE calendar_token_hash = $1", token_hash).fetch_optional(pool).await
}

/// Makes this the person's only link. The one before stops working.
///
/// # Errors
/// Database errors.
pub async fn replace(pool: &PgPool, actor: &Actor, user_id: i64, token_hash: &[u8]) -> sqlx::Result<()> {
    let mut tx = pool.begin().await?;
    sqlx::query!("UPDATE users SET calendar_token_hash = $2 WHERE id = $1", user_id, token_hash)
        .execute(&mut *tx)
        .await?;
    audit::record(&mut tx, Event { subject: &actor.name, ..Event::of(actor, Action::CalendarLinkMade) }).await?;
    tx.commit().await
}
