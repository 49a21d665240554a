//! The outbox: mails to send, written in the transaction of the operation that they announce.
//! Mails are bounded by who causes them, and take turns by it.

use sqlx::{PgConnection, PgPool, types::Json};
use time::OffsetDateTime;

use super::refused_addresses;
use crate::{
    db::transaction,
    domain::{audit::Actor, network::network_of, notification::Notification},
};

/// Mails that one cause may have written in an hour. Above that, a mail is left out where the same
/// recipient was written one on the same topic in this hour.
const MAILS_OF_A_CAUSE: i64 = 300;

/// Mails on one topic that one cause may have written to a recipient in an hour, where they concern
/// an account. They do not depend on what else the cause has written: otherwise whoever holds a
/// manager's session could cause so many other mails that a reset passes unseen.
const MAILS_ABOUT_AN_ACCOUNT: i64 = 10;

/// Mails that one cause may have written in a day to an address that is not confirmed, with the one
/// that says that others were left out. The person who named it may have mistyped it, or chosen a
/// stranger's. An address that a person has confirmed is theirs, whoever else names it, but for the
/// mails that whoever names it causes.
const MAILS_TO_UNCONFIRMED: i64 = 20;

/// Who causes a mail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cause {
    /// A person, by their number.
    Person(i64),
    /// A visitor who is not signed in, by their network.
    Network(String),
    /// The portal itself, or its operator: not bounded.
    Portal,
}

impl Cause {
    /// As stored.
    pub(in crate::db) fn key(&self) -> Option<String> {
        match self {
            Self::Person(id) => Some(format!("person:{id}")),
            Self::Network(network) => Some(format!("network:{network}")),
            Self::Portal => None,
        }
    }
}

impl From<&Actor> for Cause {
    fn from(actor: &Actor) -> Self {
        match (actor.user_id, actor.address.parse()) {
            (Some(id), _) => Self::Person(id),
            (None, Ok(address)) => Self::Network(network_of(address)),
            (None, Err(_)) => Self::Portal,
        }
    }
}

/// Adds a mail to the outbox; any instance sends it after the commit. A mail above the limits of
/// its cause is left out, and the recipient is told once that others were: the operation itself
/// goes on. A mail with a link has limits of its own, and is always written.
///
/// # Errors
/// Database errors; the caller must then roll back.
pub async fn enqueue(
    conn: &mut PgConnection,
    cause: impl Into<Cause>,
    recipient: &str,
    notice: &Notification,
) -> sqlx::Result<()> {
    let cause = cause.into().key();
    let written = sqlx::query!(
        "WITH topic AS (
             SELECT jsonb_object_agg(key, value) AS topic FROM jsonb_each($2::jsonb) WHERE key = ANY ($7::text[])),
         hour AS (
             SELECT count(*) AS mails, count(*) FILTER (WHERE recipient = $1 AND notice @> topic) AS on_topic
               FROM mails, topic WHERE caused_by = $3 AND created_at > portal_now() - interval '1 hour')
         INSERT INTO mails (recipient, notice, caused_by)
         SELECT $1, $2, $3 FROM hour
          WHERE $3::text IS NULL OR $6
             OR CASE WHEN $8 THEN on_topic < $9 ELSE mails < $4 OR on_topic = 0 END
             AND (NOT EXISTS (SELECT FROM users WHERE lower(contact_address) = lower($1) AND contact_address_confirmed_at IS NULL)
                  OR EXISTS (SELECT FROM users WHERE lower(confirmed_address) = lower($1))
                 AND NOT EXISTS (SELECT FROM users WHERE 'person:' || id = $3 AND lower(contact_address) = lower($1)
                                    AND contact_address_confirmed_at IS NULL)
                  OR NOT EXISTS (SELECT FROM mails WHERE caused_by = $3 AND created_at > portal_now() - interval '1 day'
                                    AND lower(recipient) = lower($1) OFFSET $5::bigint - 2))",
        recipient,
        Json(notice) as _,
        cause,
        MAILS_OF_A_CAUSE,
        MAILS_TO_UNCONFIRMED,
        notice.has_link(),
        &topic(notice),
        notice.concerns_an_account(),
        MAILS_ABOUT_AN_ACCOUNT,
    )
    .execute(&mut *conn)
    .await?;
    if written.rows_affected() == 1 {
        return Ok(());
    }
    tracing::warn!(cause, "a mail is left out: too many of one cause");
    tell_of_omission(conn, cause.as_deref(), recipient).await
}

/// The members of a notice by which two mails are on the same topic.
fn topic(notice: &Notification) -> Vec<String> {
    let members: &[&str] = if notice.concerns_an_account() {
        // Of several accounts: what was done to how many, or the link of which moment.
        &["kind", "technical_user_id", "change", "identifier", "is_recipient", "act", "done", "made_at"]
    } else {
        &["kind"]
    };
    members.iter().map(|member| (*member).to_owned()).collect()
}

/// Mails the recipient that mails of this cause were left out, unless they were told in this hour;
/// at an address that is not confirmed, in this day.
async fn tell_of_omission(conn: &mut PgConnection, cause: Option<&str>, recipient: &str) -> sqlx::Result<()> {
    sqlx::query!(
        "INSERT INTO mails (recipient, notice, caused_by)
         SELECT $1, $2, $3
          WHERE NOT EXISTS (
                SELECT FROM mails WHERE caused_by = $3 AND lower(recipient) = lower($1) AND notice @> $2
                   AND created_at > portal_now() - CASE WHEN EXISTS (
                           SELECT FROM users WHERE lower(contact_address) = lower($1) AND contact_address_confirmed_at IS NULL)
                       THEN interval '1 day' ELSE interval '1 hour' END)",
        recipient,
        Json(Notification::NoticesLeftOut) as _,
        cause,
    )
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

/// The mails that may be sent now, in turns: first the one whose cause had the fewest sent in the
/// last minute, so that no mail waits for a long queue of others. One per recipient, so that
/// their mails arrive in order (a creation before its reset), and besides those that stand aside. A
/// link for a forgotten password waits for no other mail to its recipient: a person waits for it.
///
/// # Errors
/// Database errors.
pub async fn due(pool: &PgPool, limit: i64) -> sqlx::Result<Vec<i64>> {
    sqlx::query_scalar!(
        "WITH waiting AS (
             SELECT id, caused_by, row_number() OVER (PARTITION BY caused_by ORDER BY id) AS place FROM mails m
              WHERE sent_at IS NULL AND next_attempt_at <= portal_now()
                AND (notice->>'kind' = 'password_forgotten'
                     OR NOT EXISTS (SELECT FROM mails e WHERE e.recipient = m.recipient AND e.id < m.id AND e.sent_at IS NULL AND NOT e.stands_aside))),
         served AS (SELECT caused_by, count(*) AS mails FROM mails WHERE sent_at > portal_now() - interval '1 minute' GROUP BY caused_by)
         SELECT w.id FROM waiting w LEFT JOIN served s ON s.caused_by IS NOT DISTINCT FROM w.caused_by
          ORDER BY w.place + coalesce(s.mails, 0), w.id LIMIT $1",
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
            AND (notice->>'kind' = 'password_forgotten'
                 OR NOT EXISTS (SELECT FROM mails e WHERE e.recipient = m.recipient AND e.id < m.id AND e.sent_at IS NULL AND NOT e.stands_aside))
            FOR UPDATE SKIP LOCKED",
        id,
    )
    .fetch_optional(conn)
    .await
}

/// Marks a mail as sent, or as not to be sent any more.
///
/// # Errors
/// Database errors.
pub async fn mark_sent(conn: &mut PgConnection, id: i64) -> sqlx::Result<()> {
    sqlx::query!("UPDATE mails SET sent_at = portal_now() WHERE id = $1", id).execute(conn).await?;
    Ok(())
}

/// Notes that a mail to this address was taken by its server.
///
/// # Errors
/// Database errors.
pub async fn address_takes_mails(conn: &mut PgConnection, recipient: &str) -> sqlx::Result<()> {
    refused_addresses::remove(conn, recipient).await
}

/// Whether a refusal ends a mail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The server knows no such recipient: it would say the same again.
    OfRecipient,
    /// Anything else: only once the mail has waited for five days (RFC 5321 §4.5.4.1).
    OfThisAttempt,
}

/// Ends a mail that the server of this address refused, if the refusal ends it. Returns whether it
/// did.
///
/// # Errors
/// Database errors.
pub async fn give_up(pool: &PgPool, id: i64, recipient: &str, refusal: Refusal) -> sqlx::Result<bool> {
    let days = match refusal {
        Refusal::OfRecipient => 0,
        Refusal::OfThisAttempt => 5,
    };
    let mut tx = transaction::begin(pool).await?;
    let ended = sqlx::query!(
        "UPDATE mails SET attempts = attempts + 1, sent_at = portal_now(), refused_at = portal_now()
          WHERE id = $1 AND sent_at IS NULL AND created_at <= portal_now() - make_interval(days => $2)",
        id,
        days,
    )
    .execute(&mut *tx)
    .await?;
    let is_ended = ended.rows_affected() > 0;
    // Where others have waited for so long, it need not be the fault of the address.
    if is_ended && refusal == Refusal::OfRecipient {
        refused_addresses::put(&mut tx, recipient).await?;
    }
    tx.commit().await?;
    Ok(is_ended)
}

/// Whether what kept a mail from being sent concerns the others to its recipient.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The mail server or the database is away: all mails wait.
    OfAll,
    /// The server takes this mail later, it says: the others wait with it for some minutes.
    OfThisMailForNow,
    /// This mail alone, for its text perhaps, which others chose.
    OfThisMail,
}

/// After so many attempts, a mail that the server takes later holds up no other.
const ATTEMPTS_IN_ORDER: i32 = 3;

/// Schedules the next attempt of a mail that could not be sent: in 1 minute, then twice as long
/// each time, at most an hour. One that cannot be sent by its own fault stands aside: the next mail
/// to its recipient does not wait for it.
///
/// # Errors
/// Database errors.
pub async fn postpone(pool: &PgPool, id: i64, failure: Failure) -> sqlx::Result<()> {
    let attempts_in_order = match failure {
        Failure::OfAll => i32::MAX,
        Failure::OfThisMailForNow => ATTEMPTS_IN_ORDER,
        Failure::OfThisMail => 0,
    };
    sqlx::query!(
        "UPDATE mails SET attempts = attempts + 1, stands_aside = stands_aside OR attempts >= $2,
                next_attempt_at = portal_now() + least(interval '1 minute' * (2 ^ least(attempts, 6)), interval '1 hour')
          WHERE id = $1 AND sent_at IS NULL",
        id,
        attempts_in_order,
    )
    .execute(pool)
    .await?;
    Ok(())
}
