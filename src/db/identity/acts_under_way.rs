//! What waits in a person's name and needs no session any more: the link of their calendar,
//! structures that they offer, links by which they hand passwords over, a second factor that is
//! being set up. Whoever had one of their sessions may have begun it, so it ends where these
//! sessions are ended: here, but for the hand-overs, on which the files that write these tables
//! otherwise build. Links that confirm an address end by themselves, with the epoch of known
//! browsers.

use sqlx::PgConnection;

use crate::{
    db::{
        audit::{self, Event},
        technical_users::handovers,
    },
    domain::audit::{Action, Actor},
};

/// The sessions of a person whose acts end, by their public numbers.
#[derive(Clone, Copy, Debug)]
pub(in crate::db) enum Ended {
    One(i64),
    /// All, those that have ended before as well. Links by which passwords are handed over stay
    /// where they were made in this one.
    AllBut(Option<i64>),
}

impl Ended {
    /// Statements end what was made in this session; without it, whatever there is.
    pub fn one(self) -> Option<i64> {
        match self {
            Self::One(session) => Some(session),
            Self::AllBut(_) => None,
        }
    }

    pub fn kept(self) -> Option<i64> {
        match self {
            Self::One(_) => None,
            Self::AllBut(kept) => kept,
        }
    }
}

/// Ends what was begun in these sessions, but for hand-overs. The person's row is locked, and
/// nothing else: an offer is locked before envelopes, which the caller ends afterwards.
///
/// # Errors
/// Database errors.
pub(super) async fn end(conn: &mut PgConnection, actor: &Actor, user_id: i64, ended: Ended) -> sqlx::Result<()> {
    sqlx::query!(
        "DELETE FROM second_factors WHERE user_id = $1 AND confirmed_at IS NULL
            AND ($2::bigint IS NULL OR made_in = $2)",
        user_id,
        ended.one(),
    )
    .execute(&mut *conn)
    .await?;
    end_calendar_link(&mut *conn, actor, user_id, ended).await?;
    withdraw_offers(conn, actor, user_id, ended).await
}

/// Revokes links by which passwords are handed over, made in these sessions: after the envelopes,
/// as acts on a structure lock them.
///
/// # Errors
/// Database errors.
pub(super) async fn end_handovers(
    conn: &mut PgConnection,
    actor: &Actor,
    user_id: i64,
    ended: Ended,
) -> sqlx::Result<()> {
    handovers::ending::end_of_person(conn, actor, user_id, ended).await
}

/// Ends the link of the person's calendar, if they have one that was made in these sessions.
///
/// # Errors
/// Database errors.
pub(super) async fn end_calendar_link(
    conn: &mut PgConnection,
    actor: &Actor,
    user_id: i64,
    ended: Ended,
) -> sqlx::Result<()> {
    let login = sqlx::query_scalar!(
        "UPDATE users SET calendar_token_hash = NULL, calendar_made_in = NULL
          WHERE id = $1 AND calendar_token_hash IS NOT NULL
            AND ($2::bigint IS NULL OR calendar_made_in = $2)
         RETURNING login",
        user_id,
        ended.one(),
    )
    .fetch_optional(&mut *conn)
    .await?;
    let Some(login) = login else { return Ok(()) };
    audit::record(conn, Event { subject: &login, ..Event::of(actor, Action::CalendarLinkRevoked) }).await
}

async fn withdraw_offers(conn: &mut PgConnection, actor: &Actor, user_id: i64, ended: Ended) -> sqlx::Result<()> {
    let withdrawn = sqlx::query!(
        "DELETE FROM succession_offers o USING users u WHERE o.offered_by = $1 AND u.id = o.successor_id
            AND ($2::bigint IS NULL OR o.made_in = $2)
         RETURNING o.structure_id, u.login",
        user_id,
        ended.one(),
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
