//! What waits in a person's name and needs no session any more: links that confirm an address, the
//! link of their calendar, structures that they offer, links by which they hand passwords over.
//! Whoever had one of their sessions may have begun it, so it ends with these sessions: here for
//! the first three tables, on which the files that write them otherwise build.

use sqlx::PgConnection;

use crate::{
    db::{
        audit::{self, Event},
        technical_users::handovers,
    },
    domain::{
        audit::{Action, Actor},
        envelope::SessionSecret,
    },
};

/// Ends all of it, but the links that hand passwords over and were made in the session that stays.
/// The person's row is locked.
///
/// # Errors
/// Database errors.
pub(super) async fn end(
    conn: &mut PgConnection,
    actor: &Actor,
    user_id: i64,
    kept: Option<&SessionSecret>,
) -> sqlx::Result<()> {
    sqlx::query!("DELETE FROM address_confirmations WHERE user_id = $1", user_id).execute(&mut *conn).await?;
    end_calendar_link(&mut *conn, actor, user_id).await?;
    withdraw_offers(&mut *conn, actor, user_id).await?;
    handovers::ending::end_of_person(conn, actor, user_id, kept).await
}

/// Ends the link of the person's calendar, if they have one.
///
/// # Errors
/// Database errors.
pub(super) async fn end_calendar_link(conn: &mut PgConnection, actor: &Actor, user_id: i64) -> sqlx::Result<()> {
    let ended = sqlx::query_scalar!(
        "UPDATE users SET calendar_token_hash = NULL WHERE id = $1 AND calendar_token_hash IS NOT NULL RETURNING login",
        user_id
    )
    .fetch_optional(&mut *conn)
    .await?;
    let Some(login) = ended else { return Ok(()) };
    audit::record(conn, Event { subject: &login, ..Event::of(actor, Action::CalendarLinkRevoked) }).await
}

async fn withdraw_offers(conn: &mut PgConnection, actor: &Actor, user_id: i64) -> sqlx::Result<()> {
    let withdrawn = sqlx::query!(
        "DELETE FROM succession_offers o USING users u WHERE o.offered_by = $1 AND u.id = o.successor_id
         RETURNING o.structure_id, u.login",
        user_id,
    )
    .fetch_all(&mut *conn)
    .await?;
    for offer in withdrawn {
        let event = Event {
            structure_id: Some(offer.structure_id),
            subject: &offer.login,
            ..Event::of(actor, Action::SuccessionWithdrawn)
        };
        audit::record(&mut *conn, event).await?;
    }
    Ok(())
}
