//! Sign-in and the sessions of people.

use sqlx::{PgConnection, PgPool};
use time::OffsetDateTime;

use crate::{
    db::{
        audit::{self, Event},
        outbox,
        technical_users::envelopes,
    },
    domain::{
        audit::{Action, Actor},
        envelope::SessionSecret,
        notification::Notification,
        password::PasswordHash,
    },
};

/// The person behind a living browser session.
#[derive(Clone, Debug)]
pub struct SignedIn {
    pub user_id: i64,
    pub login: String,
    pub first_name: String,
    pub last_name: String,
    pub contact_address: String,
    /// Whether the person is principal manager of at least one structure.
    pub is_principal_manager: bool,
    /// Whether the person proved who she is less than 15 minutes ago (ASVS 7.5.3).
    pub is_fresh: bool,
    /// Whether sign-in asks the person for a code, too.
    pub has_second_factor: bool,
    /// Seconds until the session is 12 hours old and ends, whatever is done.
    pub seconds_left: i32,
}

/// Whose session this is, read at each request; `None` once it is closed, idle for 30 minutes or 12
/// hours old. The time of the last request is written at most once a minute.
///
/// # Errors
/// Database errors.
pub async fn find_signed_in(pool: &PgPool, session: &SessionSecret) -> sqlx::Result<Option<SignedIn>> {
    sqlx::query_as!(
        SignedIn,
        r#"WITH living AS (
               SELECT id_hash, user_id, last_seen_at, created_at, authenticated_at FROM sessions
                WHERE id_hash = $1 AND last_seen_at > portal_now() - interval '30 minutes'
                  AND created_at > portal_now() - interval '12 hours'),
           seen AS (
               UPDATE sessions SET last_seen_at = portal_now() FROM living
                WHERE sessions.id_hash = living.id_hash AND living.last_seen_at < portal_now() - interval '1 minute')
           SELECT u.id AS user_id, u.login, u.first_name, u.last_name, u.contact_address,
                  EXISTS (SELECT FROM structures WHERE principal_manager_id = u.id) AS "is_principal_manager!",
                  living.authenticated_at > portal_now() - interval '15 minutes' AS "is_fresh!",
                  EXISTS (SELECT FROM second_factors f WHERE f.user_id = u.id AND f.confirmed_at IS NOT NULL) AS "has_second_factor!",
                  extract(epoch FROM living.created_at + interval '12 hours' - portal_now())::int AS "seconds_left!"
             FROM living JOIN users u ON u.id = living.user_id"#,
        session.digest(),
    )
    .fetch_optional(pool)
    .await
}

/// A session as « Mon compte » lists it.
#[derive(Clone, Debug)]
pub struct OpenSession {
    /// A number to close it by, which opens nothing.
    pub public_id: i64,
    pub address: String,
    pub software: String,
    pub created_at: OffsetDateTime,
    pub last_seen_at: OffsetDateTime,
    /// Whether it is the session that asks.
    pub current: bool,
}

/// The living sessions of a person, the newest first.
///
/// # Errors
/// Database errors.
pub async fn open_sessions(pool: &PgPool, user_id: i64, current: &SessionSecret) -> sqlx::Result<Vec<OpenSession>> {
    sqlx::query_as!(
        OpenSession,
        r#"SELECT public_id, address, software, created_at, last_seen_at, id_hash = $2 AS "current!" FROM sessions
            WHERE user_id = $1 AND last_seen_at > portal_now() - interval '30 minutes'
              AND created_at > portal_now() - interval '12 hours'
            ORDER BY last_seen_at DESC"#,
        user_id,
        current.digest(),
    )
    .fetch_all(pool)
    .await
}

/// Ends one of a person's own sessions, and the envelopes that only it could open. Closing what is
/// closed already does nothing.
///
/// # Errors
/// Database errors.
pub async fn close(pool: &PgPool, actor: &Actor, public_id: i64) -> sqlx::Result<()> {
    let mut tx = pool.begin().await?;
    let closed = sqlx::query_scalar!(
        "DELETE FROM sessions WHERE public_id = $1 AND user_id = $2 RETURNING id_hash",
        public_id,
        actor.user_id,
    )
    .fetch_optional(&mut *tx)
    .await?;
    if let Some(id_hash) = closed {
        envelopes::end_of_sessions(&mut tx, &[id_hash]).await?;
        audit::record(&mut tx, Event::of(actor, Action::SessionClosed)).await?;
    }
    tx.commit().await
}

/// Signs a person out: session and envelopes end with it.
///
/// # Errors
/// Database errors.
pub async fn sign_out(pool: &PgPool, actor: &Actor, session: &SessionSecret) -> sqlx::Result<()> {
    let mut tx = pool.begin().await?;
    envelopes::end_of_sessions(&mut tx, &[session.digest()]).await?;
    sqlx::query!("DELETE FROM sessions WHERE id_hash = $1", session.digest()).execute(&mut *tx).await?;
    audit::record(&mut tx, Event::of(actor, Action::SignedOut)).await?;
    tx.commit().await
}

/// Ends a session that another one is to replace, and says when it began; `None` where it has been
/// ended meanwhile, so that none may take its place.
///
/// # Errors
/// Database errors.
pub async fn end_for_renewal(pool: &PgPool, old: &SessionSecret) -> sqlx::Result<Option<OffsetDateTime>> {
    sqlx::query_scalar!("DELETE FROM sessions WHERE id_hash = $1 RETURNING created_at", old.digest())
        .fetch_optional(pool)
        .await
}

/// A person has proved again who she is: `renewed` takes the place of the session `old`, and ends
/// when that one would have: 12 hours after `since`. What `old` could open moves into new
/// envelopes, so that a password which waits to be displayed or exported is not lost.
///
/// # Errors
/// Database errors.
pub async fn renew(
    pool: &PgPool,
    actor: &Actor,
    (old, since): (&SessionSecret, OffsetDateTime),
    renewed: &SessionSecret,
) -> sqlx::Result<()> {
    let mut tx = pool.begin().await?;
    sqlx::query!("UPDATE sessions SET created_at = $2 WHERE id_hash = $1", renewed.digest(), since)
        .execute(&mut *tx)
        .await?;
    envelopes::hand_over(&mut tx, old, renewed).await?;
    audit::record(&mut tx, Event::of(actor, Action::IdentityConfirmed)).await?;
    tx.commit().await
}

/// Writes that somebody within a session could not prove who she is.
///
/// # Errors
/// Database errors.
pub async fn record_failed_confirmation(pool: &PgPool, actor: &Actor) -> sqlx::Result<()> {
    let mut conn = pool.acquire().await?;
    audit::record(&mut conn, Event::of(actor, Action::IdentityNotConfirmed)).await
}

/// Ends a person's sessions with what they could open, all but the one that is kept. Those that
/// wait for a code are ended too: they were begun with a password that may be known to somebody
/// else.
pub(in crate::db) async fn end_all_but(
    conn: &mut PgConnection,
    user_id: i64,
    kept: Option<&SessionSecret>,
) -> sqlx::Result<()> {
    let closed = sqlx::query_scalar!(
        "DELETE FROM sessions
          WHERE (user_id = $1 OR user_id IS NULL AND (data->>'half_user_id')::bigint = $1)
            AND id_hash IS DISTINCT FROM $2 RETURNING id_hash",
        user_id,
        kept.map(SessionSecret::digest),
    )
    .fetch_all(&mut *conn)
    .await?;
    envelopes::end_of_sessions(conn, &closed).await
}

/// Somebody whose password was right, and whose code is still to come.
#[derive(Clone, Debug)]
pub struct HalfSignedIn {
    pub user_id: i64,
    pub login: String,
    /// That of the password which was right.
    pub password_hash: PasswordHash,
    /// The page that was asked for before signing in.
    pub return_to: Option<String>,
}

/// Who is half signed in by this session. It opens nothing, and lasts 10 minutes, while the
/// password that was right holds.
///
/// # Errors
/// Database errors.
pub async fn find_half_signed_in(pool: &PgPool, session: &SessionSecret) -> sqlx::Result<Option<HalfSignedIn>> {
    let row = sqlx::query!(
        r#"SELECT u.id, u.login, u.password_hash AS "password_hash!", s.data->>'return_to' AS return_to
             FROM sessions s JOIN users u ON u.id = (s.data->>'half_user_id')::bigint
            WHERE s.id_hash = $1 AND s.user_id IS NULL AND s.created_at > portal_now() - interval '10 minutes'
              AND s.data->>'half_password' = encode(sha256(convert_to(u.password_hash, 'UTF8')), 'hex')"#,
        session.digest(),
    )
    .fetch_optional(pool)
    .await?;
    Ok(row.map(|row| HalfSignedIn {
        user_id: row.id,
        login: row.login,
        password_hash: PasswordHash::from_stored(row.password_hash),
        return_to: row.return_to,
    }))
}

/// Writes into the history that a sign-in failed; `step` says what was wrong where that is no
/// secret any more.
///
/// # Errors
/// Database errors.
pub async fn record_failure(pool: &PgPool, actor: &Actor, step: &str) -> sqlx::Result<()> {
    let mut conn = pool.acquire().await?;
    let event = Event { subject: &actor.name, detail: step, ..Event::of(actor, Action::SignInFailed) };
    audit::record(&mut conn, event).await
}

/// Writes a sign-in into the history, and to the person where she has not signed in from this
/// network with this software before. Her very first sign-in surprises nobody. False, and nothing
/// written, where her password is not the one that was `verified` any more: its change has ended
/// the sessions that it saw, and this one it may not have seen.
///
/// # Errors
/// Database errors.
pub async fn record_sign_in(
    pool: &PgPool,
    actor: &Actor,
    (user_id, verified): (i64, &PasswordHash),
    network: &str,
    software: &str,
) -> sqlx::Result<bool> {
    let mut tx = pool.begin().await?;
    let holds =
        sqlx::query!("SELECT id FROM users WHERE id = $1 AND password_hash = $2 FOR SHARE", user_id, verified.as_phc())
            .fetch_optional(&mut *tx)
            .await?;
    if holds.is_none() {
        return Ok(false);
    }
    audit::record(&mut tx, Event { subject: &actor.name, ..Event::of(actor, Action::SignedIn) }).await?;
    let kind: String = software.chars().filter(|c| !c.is_ascii_digit()).collect();
    let known = sqlx::query!(
        r#"WITH before AS (SELECT network, software FROM known_browsers WHERE user_id = $1),
                kept AS (INSERT INTO known_browsers (user_id, network, software) VALUES ($1, $2, $3)
                         ON CONFLICT (user_id, network, software) DO UPDATE SET last_seen_at = portal_now())
           SELECT login, contact_address, portal_now() AS "at!",
                  EXISTS (SELECT FROM before) AND NOT EXISTS (SELECT FROM before WHERE network = $2 AND software = $3) AS "is_new!"
             FROM users WHERE id = $1"#,
        user_id,
        network,
        kind,
    )
    .fetch_one(&mut *tx)
    .await?;
    if known.is_new {
        let notice = Notification::NewSignIn {
            login: known.login,
            address: actor.address.clone(),
            software: software.to_owned(),
            at: known.at,
        };
        outbox::enqueue(&mut tx, &known.contact_address, &notice).await?;
    }
    tx.commit().await?;
    Ok(true)
}
