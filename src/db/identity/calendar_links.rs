//! Secret links, one for each person, by which calendar programs read the person's deadlines.

use sqlx::{PgExecutor, PgPool};

use super::{
    acts_under_way::{self, Ended},
    locks, mailboxes,
};
use crate::{
    db::{
        audit::{self, Event},
        throttles::{self, RateLimit, Scope},
        transaction,
    },
    domain::{
        audit::{Action, Actor},
        envelope::SessionSecret,
        notification::Notification,
    },
};

/// How often a person may have a new link. Each is an event that is kept for good.
const NEW_LINKS: RateLimit = RateLimit { most: 10, minutes: 60 };

/// The person whose calendar this link shows.
///
/// # Errors
/// Database errors.
pub async fn find_owner(pool: &PgPool, token_hash: &[u8]) -> sqlx::Result<Option<i64>> {
    sqlx::query_scalar!("SELECT id FROM users WHERE calendar_token_hash = $1 AND disabled_at IS NULL", token_hash)
        .fetch_optional(pool)
        .await
}

/// Whether the person has a link.
///
/// # Errors
/// Database errors.
pub(in crate::db) async fn exists(executor: impl PgExecutor<'_>, user_id: i64) -> sqlx::Result<bool> {
    sqlx::query_scalar!(r#"SELECT calendar_token_hash IS NOT NULL AS "exists!" FROM users WHERE id = $1"#, user_id)
        .fetch_one(executor)
        .await
}

/// What became of a new link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NewLink {
    Made,
    /// The person has had too many: seconds to wait.
    TooOften {
        seconds: u32,
    },
    /// The session was ended meanwhile.
    SessionEnded,
}

/// Makes this the person's only link, and mails them; the one before stops working. Nothing is
/// written where the session was ended meanwhile, or the person has had too many links.
///
/// # Errors
/// Database errors.
pub async fn replace(
    pool: &PgPool,
    actor: &Actor,
    session: &SessionSecret,
    user_id: i64,
    token_hash: &[u8],
) -> sqlx::Result<NewLink> {
    let mut tx = transaction::begin(pool).await?;
    let Some(made_in) = locks::person_in_session(&mut tx, user_id, session).await? else {
        return Ok(NewLink::SessionEnded);
    };
    let key = Scope::CalendarLink.key(&user_id.to_string(), "");
    if let Some(seconds) = throttles::consume(&mut tx, key, NEW_LINKS).await? {
        return Ok(NewLink::TooOften { seconds });
    }
    let made = sqlx::query!(
        r#"UPDATE users SET calendar_token_hash = $2, calendar_made_in = $3 WHERE id = $1 RETURNING login, portal_now() AS "at!""#,
        user_id,
        token_hash,
        made_in,
    )
    .fetch_one(&mut *tx)
    .await?;
    audit::record(&mut tx, Event { subject: &actor.name, ..Event::of(actor, Action::CalendarLinkMade) }).await?;
    let notice = Notification::CalendarLinkMade { login: made.login, at: made.at };
    mailboxes::tell(&mut tx, actor, user_id, &notice).await?;
    tx.commit().await?;
    Ok(NewLink::Made)
}

/// Ends the person's link. Writes nothing where they have none, or where the session was ended
/// meanwhile.
///
/// # Errors
/// Database errors.
pub async fn revoke(pool: &PgPool, actor: &Actor, session: &SessionSecret, user_id: i64) -> sqlx::Result<()> {
    let mut tx = transaction::begin(pool).await?;
    if locks::person_in_session(&mut tx, user_id, session).await?.is_none() {
        return Ok(());
    }
    acts_under_way::end_calendar_link(&mut tx, actor, user_id, Ended::AllBut(None)).await?;
    tx.commit().await
}
