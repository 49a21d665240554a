//! Secret links, one for each person, by which calendar programs read the person's deadlines.

use sqlx::PgPool;

use super::locks;
use crate::{
    db::audit::{self, Event},
    domain::{
        audit::{Action, Actor},
        envelope::SessionSecret,
    },
};

/// The person whose calendar this link shows.
///
/// # Errors
/// Database errors.
pub async fn find_owner(pool: &PgPool, token_hash: &[u8]) -> sqlx::Result<Option<i64>> {
    sqlx::query_scalar!("SELECT id FROM users WHERE calendar_token_hash = $1", token_hash).fetch_optional(pool).await
}

/// Makes this the person's only link. The one before stops working. False, and nothing written,
/// where the session was ended meanwhile.
///
/// # Errors
/// Database errors.
pub async fn replace(
    pool: &PgPool,
    actor: &Actor,
    session: &SessionSecret,
    user_id: i64,
    token_hash: &[u8],
) -> sqlx::Result<bool> {
    let mut tx = pool.begin().await?;
    if !locks::person_in_session(&mut tx, user_id, session).await? {
        return Ok(false);
    }
    sqlx::query!("UPDATE users SET calendar_token_hash = $2 WHERE id = $1", user_id, token_hash)
        .execute(&mut *tx)
        .await?;
    audit::record(&mut tx, Event { subject: &actor.name, ..Event::of(actor, Action::CalendarLinkMade) }).await?;
    tx.commit().await?;
    Ok(true)
}
