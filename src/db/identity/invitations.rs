//! One-time links by which a person chooses her password: her first one, or another where she
//! forgot it.

use sqlx::{PgConnection, PgPool};
use time::OffsetDateTime;

use super::sessions;
use crate::{
    db::{
        audit::{self, Event},
        outbox,
        throttles::{self, RateLimit, Scope},
    },
    domain::{
        audit::{Action, Actor},
        notification::Notification,
        password::PasswordHash,
    },
};

/// Minutes that a link lives.
pub const LINK_MINUTES: i32 = 60;
/// Minutes in which a person is not sent another one: whoever else knows her login could fill her
/// letter box.
const PAUSE_MINUTES: i32 = 5;

/// Requests for a link from one network: each is an event for good, whoever it names, and costs a
/// stranger nothing.
pub const REQUESTS_OF_A_NETWORK: RateLimit = RateLimit { most: 100, minutes: 10 };

/// The person that a living link invites.
#[derive(Clone, Debug)]
pub struct Invited {
    pub user_id: i64,
    pub login: String,
    pub first_name: String,
    pub last_name: String,
    /// Whether the person has had a password before.
    pub has_password: bool,
    /// Until when the link is good.
    pub expires_at: OffsetDateTime,
}

/// Makes a link valid for `minutes`; only the hash of its token is stored. Older links of the
/// person die.
///
/// # Errors
/// Database errors.
pub async fn create(conn: &mut PgConnection, user_id: i64, token_hash: &[u8], minutes: i32) -> sqlx::Result<()> {
    sqlx::query!("DELETE FROM invitations WHERE user_id = $1", user_id).execute(&mut *conn).await?;
    sqlx::query!(
        "INSERT INTO invitations (token_hash, user_id, expires_at) VALUES ($1, $2, portal_now() + make_interval(mins => $3))",
        token_hash,
        user_id,
        minutes,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// The person whom a mail invites.
#[derive(Clone, Debug)]
pub struct Guest {
    pub login: String,
    /// Where a link for her goes: to the address as it is now, whatever it was when the mail was
    /// asked for.
    pub contact_address: String,
    pub first_name: String,
    pub last_name: String,
}

/// The person with this number.
///
/// # Errors
/// Database errors.
pub async fn find_guest(conn: &mut PgConnection, user_id: i64) -> sqlx::Result<Option<Guest>> {
    sqlx::query_as!(Guest, "SELECT login, contact_address, first_name, last_name FROM users WHERE id = $1", user_id)
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
        r#"SELECT u.id AS user_id, u.login, u.first_name, u.last_name, u.password_hash IS NOT NULL AS "has_password!", i.expires_at
           FROM invitations i JOIN users u ON u.id = i.user_id
          WHERE i.token_hash = $1 AND i.used_at IS NULL AND i.expires_at > portal_now()"#,
        token_hash,
    )
    .fetch_optional(pool)
    .await
}

/// Uses the link up and keeps the password; ends the person's sessions with what they could open,
/// and writes to her. False where somebody was quicker.
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
    keep_password(&mut tx, user_id, hash).await?;
    sessions::end_all_but(&mut tx, user_id, None).await?;
    audit::record(&mut tx, Event::of(actor, Action::PasswordChosen)).await?;
    tx.commit().await?;
    Ok(true)
}

/// Keeps the password that a person chose and tells her so. Links that she has not used die with
/// the old one.
pub(in crate::db) async fn keep_password(
    conn: &mut PgConnection,
    user_id: i64,
    hash: &PasswordHash,
) -> sqlx::Result<()> {
    let person = sqlx::query!(
        r#"UPDATE users SET password_hash = $2 WHERE id = $1 RETURNING login, contact_address, portal_now() AS "at!""#,
        user_id,
        hash.as_phc(),
    )
    .fetch_one(&mut *conn)
    .await?;
    end_links(&mut *conn, user_id).await?;
    let notice = Notification::PasswordChosen { login: person.login, at: person.at };
    outbox::enqueue(conn, &person.contact_address, &notice).await
}

/// Ends the links that a person has been mailed and has not used.
pub(in crate::db) async fn end_links(conn: &mut PgConnection, user_id: i64) -> sqlx::Result<()> {
    sqlx::query!("DELETE FROM invitations WHERE user_id = $1 AND used_at IS NULL", user_id).execute(conn).await?;
    Ok(())
}

/// Somebody says that she forgot her password, and names herself by login or contact address. Who
/// is known by it is mailed a link, unless one is on its way already. The event names what names
/// somebody, and `actor` otherwise. One statement and one event whoever is named, so that the
/// answer takes as long. Seconds to wait, and nothing done, where too many have asked from this
/// network.
///
/// # Errors
/// Database errors.
pub async fn ask_again(pool: &PgPool, actor: &Actor, named: &str, network: &str) -> sqlx::Result<Option<u32>> {
    let mut tx = pool.begin().await?;
    let wait = throttles::consume(&mut tx, Scope::PasswordLink.key("", network), REQUESTS_OF_A_NETWORK).await?;
    if wait.is_some() {
        return Ok(wait);
    }
    sqlx::query!(
        "WITH person AS (
             SELECT u.id, u.contact_address, jsonb_build_object('kind', 'password_forgotten', 'user_id', u.id) AS notice
               FROM users u WHERE (u.login = $1 OR lower(u.contact_address) = $1)),
         mailed AS (
             INSERT INTO mails (recipient, notice)
             SELECT p.contact_address, p.notice FROM person p
              WHERE NOT EXISTS (SELECT FROM mails m WHERE m.recipient = p.contact_address AND m.sent_at IS NULL AND m.notice = p.notice)
                AND NOT EXISTS (SELECT FROM invitations i WHERE i.user_id = p.id AND i.used_at IS NULL
                                   AND i.expires_at > portal_now() + make_interval(mins => $6)))
         INSERT INTO audit_events (actor_id, actor, address, action, subject)
         SELECT $2, name, $4, $5, name FROM coalesce((SELECT left($1, 120) FROM person LIMIT 1), $3) AS name",
        named,
        actor.user_id,
        actor.name,
        actor.address,
        Action::PasswordLinkAsked.code(),
        LINK_MINUTES - PAUSE_MINUTES,
    )
    .execute(&mut *tx)
    .await?;
    tx.commit().await?;
    Ok(None)
}
