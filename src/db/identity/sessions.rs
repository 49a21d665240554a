//! The table `sessions`: a row for each signed-in browser, and for each sign-in that waits for a
//! code. A row is found by the SHA-256 of the id in the browser's cookie.

use sqlx::{PgConnection, PgPool};
use time::OffsetDateTime;

use super::{
    acts_under_way::{self, Ended},
    known_browsers,
    locks::{self, FirstFactor, ProvedIdentity, VerifiedPassword},
    provider_identities,
};
use crate::{
    db::{
        audit::{Event, frequent},
        technical_users::envelopes,
        throttles::{self, Counted},
        transaction,
    },
    domain::{
        audit::{Action, Actor},
        envelope::SessionSecret,
        known_browser::Epoch,
        password::PasswordHash,
        session_lifetime,
    },
};

/// The person of a session that has not ended.
// Each is a column of one statement.
#[allow(clippy::struct_excessive_bools)]
#[derive(Clone, Debug)]
pub struct SignedIn {
    pub user_id: i64,
    pub login: String,
    pub first_name: String,
    pub last_name: String,
    pub contact_address: String,
    /// Whether the person is principal manager of at least one structure.
    pub is_principal_manager: bool,
    /// Whether the person authenticated within [`session_lifetime::FRESH_AUTHENTICATION`].
    pub is_fresh: bool,
    /// Whether sign-in asks the person for a code, too.
    pub has_second_factor: bool,
    /// Whether the session began with a second factor at the identity provider.
    pub has_second_factor_elsewhere: bool,
    /// Whether the person can sign in with a password.
    pub has_password: bool,
    /// Whether an identity at the provider is linked to the person.
    pub has_provider_identity: bool,
    /// Seconds until the session reaches the age at which it ends in any case.
    pub seconds_left: i32,
}

/// The person of a session, read at each request; `None` once it was closed, or has been idle for
/// too long, or is too old. The time of the last request is written at most once a minute.
///
/// # Errors
/// Database errors.
pub async fn find_signed_in(pool: &PgPool, session: &SessionSecret) -> sqlx::Result<Option<SignedIn>> {
    sqlx::query_as!(
        SignedIn,
        r#"WITH living AS (
               SELECT id_hash, user_id, last_seen_at, created_at, authenticated_at, has_second_factor_elsewhere FROM sessions
                WHERE id_hash = $1 AND last_seen_at > portal_now() - $2::interval AND created_at > portal_now() - $3::interval),
           seen AS (
               UPDATE sessions SET last_seen_at = portal_now() FROM living
                WHERE sessions.id_hash = living.id_hash AND living.last_seen_at < portal_now() - interval '1 minute')
           SELECT u.id AS user_id, u.login, u.first_name, u.last_name, u.contact_address,
                  EXISTS (SELECT FROM structures WHERE principal_manager_id = u.id) AS "is_principal_manager!",
                  living.authenticated_at > portal_now() - $4::interval AS "is_fresh!",
                  EXISTS (SELECT FROM second_factors f WHERE f.user_id = u.id AND f.confirmed_at IS NOT NULL) AS "has_second_factor!",
                  living.has_second_factor_elsewhere, u.password_hash IS NOT NULL AS "has_password!",
                  EXISTS (SELECT FROM provider_identities i WHERE i.user_id = u.id AND i.unlinked_at IS NULL) AS "has_provider_identity!",
                  extract(epoch FROM living.created_at + $3::interval - portal_now())::int AS "seconds_left!"
             FROM living JOIN users u ON u.id = living.user_id AND u.disabled_at IS NULL"#,
        session.digest(),
        session_lifetime::IDLE as _,
        session_lifetime::TOTAL as _,
        session_lifetime::FRESH_AUTHENTICATION as _,
    )
    .fetch_optional(pool)
    .await
}

/// The sessions that a person may have, and the sign-ins of theirs that may wait for a code: when
/// another one begins, the one that was not used for longest ends. Otherwise who knows a password
/// could fill the table, and with it the page that lists a person's sessions.
const MOST_SESSIONS: i64 = 100;

/// Makes room for another session of a person whose row is locked.
async fn make_room(conn: &mut PgConnection, user_id: i64) -> sqlx::Result<()> {
    let ended = sqlx::query_scalar!(
        "DELETE FROM sessions WHERE id_hash IN (
             SELECT id_hash FROM sessions WHERE user_id = $1 ORDER BY last_seen_at DESC, id_hash OFFSET $2) RETURNING id_hash",
        user_id,
        MOST_SESSIONS - 1,
    )
    .fetch_all(&mut *conn)
    .await?;
    envelopes::end_of_sessions(conn, &ended).await
}

/// How many sessions of a person are open.
pub(super) async fn count(conn: &mut PgConnection, user_id: i64) -> sqlx::Result<i64> {
    sqlx::query_scalar!(
        r#"SELECT count(*) AS "count!" FROM sessions
            WHERE user_id = $1 AND last_seen_at > portal_now() - $2::interval AND created_at > portal_now() - $3::interval"#,
        user_id,
        session_lifetime::IDLE as _,
        session_lifetime::TOTAL as _,
    )
    .fetch_one(conn)
    .await
}

/// A session as « Mon compte » lists it.
#[derive(Clone, Debug)]
pub struct OpenSession {
    /// The number by which the person closes it. It gives no access.
    pub public_id: i64,
    pub address: String,
    pub software: String,
    pub created_at: OffsetDateTime,
    pub last_seen_at: OffsetDateTime,
    /// Whether it is the session of the request.
    pub current: bool,
}

/// The sessions of a person that have not ended, the newest first.
pub(super) async fn open_sessions(
    conn: &mut PgConnection,
    user_id: i64,
    current: &SessionSecret,
) -> sqlx::Result<Vec<OpenSession>> {
    sqlx::query_as!(
        OpenSession,
        r#"SELECT public_id, address, software, created_at, last_seen_at, id_hash = $2 AS "current!" FROM sessions
            WHERE user_id = $1 AND last_seen_at > portal_now() - $3::interval AND created_at > portal_now() - $4::interval
            ORDER BY last_seen_at DESC"#,
        user_id,
        current.digest(),
        session_lifetime::IDLE as _,
        session_lifetime::TOTAL as _,
    )
    .fetch_all(conn)
    .await
}

/// A session to be opened.
#[derive(Clone, Copy)]
pub struct NewSession<'a> {
    /// The new session's id.
    pub id: &'a SessionSecret,
    /// The session that the browser has had until now; it ends.
    pub replaces: Option<&'a SessionSecret>,
    pub network: &'a str,
    /// The browser's name for itself.
    pub software: &'a str,
}

/// Inserts the session of a person who has signed in from `address`.
pub(super) async fn insert(
    conn: &mut PgConnection,
    proof: &FirstFactor,
    address: &str,
    new: NewSession<'_>,
) -> sqlx::Result<()> {
    let user_id = proof.user_id();
    make_room(conn, user_id).await?;
    sqlx::query!(
        "INSERT INTO sessions (id_hash, data, user_id, address, software, provider_identity_id, has_second_factor_elsewhere, id_token,
                               authenticated_at)
         VALUES ($1, '{}', $2, $3, $4, $5, $6, $7, least(portal_now(), $8))",
        new.id.digest(),
        user_id,
        address,
        new.software,
        proof.identity().map(|proved| proved.identity_id),
        proof.has_second_factor(),
        proof.identity().map(|proved| proved.id_token.as_slice()),
        proof.identity().and_then(|proved| proved.authenticated_at),
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// A sign-in whose first factor was right, and whose code is still to come. Its session gives
/// access to nothing.
#[derive(Clone)]
pub struct PendingSignIn {
    pub session: SessionSecret,
    pub proof: FirstFactor,
    pub login: String,
    /// The page that was asked for before signing in.
    pub return_to: Option<String>,
}

/// Inserts the session of a sign-in that waits for the code. It names the person in `data` alone: a
/// row without a `user_id` gives access to nothing.
pub(super) async fn insert_pending(
    conn: &mut PgConnection,
    proof: &FirstFactor,
    id: &SessionSecret,
    return_to: Option<&str>,
) -> sqlx::Result<()> {
    let password = match proof {
        FirstFactor::Password(verified) => Some(verified.hash.as_phc()),
        FirstFactor::Identity(_) => None,
    };
    // Pending sign-ins end no session: the password alone must not end those of its owner.
    sqlx::query!(
        "DELETE FROM sessions WHERE id_hash IN (
             SELECT id_hash FROM sessions WHERE user_id IS NULL AND (data->>'half_user_id')::bigint = $1
              ORDER BY created_at DESC, id_hash OFFSET $2)",
        proof.user_id(),
        MOST_SESSIONS - 1,
    )
    .execute(&mut *conn)
    .await?;
    sqlx::query!(
        "INSERT INTO sessions (id_hash, data, provider_identity_id, id_token) VALUES ($1, jsonb_build_object('half_user_id', $2::bigint,
             'half_password', encode(sha256(convert_to($3, 'UTF8')), 'hex'), 'return_to', $4::text), $5, $6)",
        id.digest(),
        proof.user_id(),
        password,
        return_to,
        proof.identity().map(|proved| proved.identity_id),
        proof.identity().map(|proved| proved.id_token.as_slice()),
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// The pending sign-in of a session; `None` after [`session_lifetime::PENDING_SIGN_IN`], or once
/// the password was replaced, or the identity's link ended.
///
/// # Errors
/// Database errors.
pub async fn find_pending(pool: &PgPool, session: SessionSecret) -> sqlx::Result<Option<PendingSignIn>> {
    let row = sqlx::query!(
        r#"SELECT u.id, u.login, u.password_hash, s.data->>'return_to' AS return_to, s.provider_identity_id, s.id_token
             FROM sessions s JOIN users u ON u.id = (s.data->>'half_user_id')::bigint
            WHERE s.id_hash = $1 AND s.user_id IS NULL AND s.created_at > portal_now() - $2::interval
              AND CASE WHEN s.data->>'half_password' IS NULL
                       THEN EXISTS (SELECT FROM provider_identities i
                                     WHERE i.id = s.provider_identity_id AND i.user_id = u.id AND i.unlinked_at IS NULL)
                       ELSE s.data->>'half_password' = encode(sha256(convert_to(u.password_hash, 'UTF8')), 'hex') END"#,
        session.digest(),
        session_lifetime::PENDING_SIGN_IN as _,
    )
    .fetch_optional(pool)
    .await?;
    Ok(row.and_then(|row| {
        let user_id = row.id;
        let proof = match row.provider_identity_id {
            Some(identity_id) => FirstFactor::Identity(ProvedIdentity {
                user_id,
                identity_id,
                has_second_factor: false,
                // The code is given now.
                authenticated_at: None,
                id_token: row.id_token.unwrap_or_default(),
            }),
            None => FirstFactor::Password(VerifiedPassword {
                user_id,
                hash: PasswordHash::from_stored(row.password_hash?),
                counted: Counted::default(),
            }),
        };
        Some(PendingSignIn { session, proof, login: row.login, return_to: row.return_to })
    }))
}

/// What a person within a session has proved again.
#[derive(Clone, Debug)]
pub struct Reauthentication {
    pub proof: FirstFactor,
    /// Whether a code of the second factor was given, too.
    pub with_code: bool,
}

/// Gives a session a new id once its person has authenticated again, and forgets their failures.
/// It ends when it would have ended, and keeps the number by which it is listed and closed; its
/// envelopes are sealed for the new id, so that a password which waits to be displayed or exported
/// is not lost. False, and nothing written, where meanwhile the session was closed, the password
/// was replaced, the identity's link ended, or a second factor was put in force.
///
/// # Errors
/// Database errors.
pub async fn renew(
    pool: &PgPool,
    actor: &Actor,
    proof: &Reauthentication,
    old: &SessionSecret,
    new: &SessionSecret,
) -> sqlx::Result<bool> {
    let user_id = proof.proof.user_id();
    let mut tx = transaction::begin(pool).await?;
    let holds = locks::proved_person(&mut tx, &proof.proof).await?
        && locks::living_session(&mut tx, user_id, old).await?.is_some()
        && (proof.with_code || proof.proof.has_second_factor() || !locks::asks_code(&mut tx, user_id).await?);
    if !holds {
        return Ok(false);
    }
    sqlx::query!(
        "UPDATE sessions SET id_hash = $2, authenticated_at = portal_now(), last_seen_at = portal_now(),
                provider_identity_id = coalesce($3, provider_identity_id), id_token = coalesce($4, id_token),
                has_second_factor_elsewhere = has_second_factor_elsewhere OR $5
          WHERE id_hash = $1",
        old.digest(),
        new.digest(),
        proof.proof.identity().map(|proved| proved.identity_id),
        proof.proof.identity().map(|proved| proved.id_token.as_slice()),
        proof.proof.has_second_factor(),
    )
    .execute(&mut *tx)
    .await?;
    envelopes::hand_over(&mut tx, old, new).await?;
    throttles::succeed(&mut tx, &proof.proof.counted()).await?;
    frequent::record_or_count(&mut tx, Event::of(actor, Action::IdentityConfirmed)).await?;
    tx.commit().await?;
    Ok(true)
}

/// Records that a person within a session failed to authenticate again.
///
/// # Errors
/// Database errors.
pub async fn record_failed_confirmation(pool: &PgPool, actor: &Actor) -> sqlx::Result<()> {
    let mut tx = transaction::begin(pool).await?;
    frequent::record_or_count(&mut tx, Event::of(actor, Action::IdentityNotConfirmed)).await?;
    tx.commit().await
}

/// « Fermer cette session »: ends one of a person's own sessions, with what was begun in it, from
/// their session `current`. Returns the new epoch of known browsers. Does nothing where either
/// session has ended.
///
/// # Errors
/// Database errors.
pub async fn close(
    pool: &PgPool,
    actor: &Actor,
    user_id: i64,
    current: &SessionSecret,
    public_id: i64,
) -> sqlx::Result<Option<Epoch>> {
    let mut tx = transaction::begin(pool).await?;
    if locks::person_in_session(&mut tx, user_id, current).await?.is_none() {
        return Ok(None);
    }
    let closed = sqlx::query_scalar!(
        "DELETE FROM sessions WHERE public_id = $1 AND user_id = $2 RETURNING id_hash",
        public_id,
        user_id
    )
    .fetch_all(&mut *tx)
    .await?;
    if closed.is_empty() {
        return Ok(None);
    }
    acts_under_way::end(&mut tx, actor, user_id, Ended::One(public_id)).await?;
    envelopes::end_of_sessions(&mut tx, &closed).await?;
    acts_under_way::end_handovers(&mut tx, actor, user_id, Ended::One(public_id)).await?;
    let epoch = known_browsers::begin_epoch(&mut tx, user_id).await?;
    frequent::record_or_count(&mut tx, Event::of(actor, Action::SessionClosed)).await?;
    tx.commit().await?;
    Ok(Some(epoch))
}

/// « Fermer toutes les autres sessions »: ends all sessions of a person but the one that is kept,
/// as a new password does. Returns the new epoch of known browsers; `None`, and nothing written,
/// where the session has ended.
///
/// # Errors
/// Database errors.
pub async fn close_others(pool: &PgPool, actor: &Actor, user_id: i64, kept: Kept<'_>) -> sqlx::Result<Option<Epoch>> {
    let mut tx = transaction::begin(pool).await?;
    if locks::person_in_session(&mut tx, user_id, kept.current).await?.is_none() {
        return Ok(None);
    }
    let epoch = end_all_but(&mut tx, actor, user_id, kept).await?;
    let event = Event { detail: "toutes les autres sessions", ..Event::of(actor, Action::SessionClosed) };
    frequent::record_or_count(&mut tx, event).await?;
    tx.commit().await?;
    Ok(Some(epoch))
}

/// Signs a person out: their session ends, with its envelopes, once their acts under way are done.
/// Returns the sealed token that ends the provider's session, where this one began there.
///
/// # Errors
/// Database errors.
pub async fn sign_out(pool: &PgPool, actor: &Actor, session: &SessionSecret) -> sqlx::Result<Option<Vec<u8>>> {
    let mut tx = transaction::begin(pool).await?;
    if let Some(user_id) = actor.user_id {
        locks::person(&mut tx, user_id).await?;
    }
    let id_token = sqlx::query_scalar!("SELECT id_token FROM sessions WHERE id_hash = $1", session.digest())
        .fetch_optional(&mut *tx)
        .await?;
    end(&mut tx, session).await?;
    frequent::record_or_count(&mut tx, Event::of(actor, Action::SignedOut)).await?;
    tx.commit().await?;
    Ok(id_token.flatten())
}

/// Ends a session without a signed-in person, such as a pending sign-in.
///
/// # Errors
/// Database errors.
pub async fn discard(pool: &PgPool, session: &SessionSecret) -> sqlx::Result<()> {
    let mut tx = transaction::begin(pool).await?;
    end(&mut tx, session).await?;
    tx.commit().await
}

/// Ends a session, with its envelopes. False where it has ended already.
pub(super) async fn end(conn: &mut PgConnection, session: &SessionSecret) -> sqlx::Result<bool> {
    let id_hash = session.digest();
    let ended = sqlx::query!("DELETE FROM sessions WHERE id_hash = $1", id_hash).execute(&mut *conn).await?;
    envelopes::end_of_sessions(conn, &[id_hash]).await?;
    Ok(ended.rows_affected() == 1)
}

/// Ends the sessions that began with this identity of a person, but `current`, and those that wait
/// for a code, with what was begun in any session of theirs, since the identity may be another
/// person's: the new epoch of known browsers. The person's row is locked.
pub(super) async fn end_of_identity(
    conn: &mut PgConnection,
    actor: &Actor,
    (user_id, identity_id): (i64, i64),
    current: &SessionSecret,
) -> sqlx::Result<Epoch> {
    let kept = locks::living_session(&mut *conn, user_id, current).await?;
    acts_under_way::end(&mut *conn, actor, user_id, Ended::AllBut(kept)).await?;
    let ended = sqlx::query_scalar!(
        "DELETE FROM sessions WHERE provider_identity_id = $1 AND id_hash <> $2 RETURNING id_hash",
        identity_id,
        current.digest(),
    )
    .fetch_all(&mut *conn)
    .await?;
    envelopes::end_of_sessions(&mut *conn, &ended).await?;
    acts_under_way::end_handovers(&mut *conn, actor, user_id, Ended::AllBut(kept)).await?;
    known_browsers::begin_epoch(conn, user_id).await
}

/// A session that stays where a person's others end, and its new id: a copy of its cookie, in
/// whatever hands, ends with the others.
#[derive(Clone, Copy)]
pub struct Kept<'a> {
    pub current: &'a SessionSecret,
    pub next: &'a SessionSecret,
}

/// Ends a person's sessions, all but the one that is kept, with their envelopes, what was begun in
/// them, and the identities that they may have linked. Pending sign-ins end too: they began with a
/// password that another person may know. So do the marks of all known browsers: that of the
/// session that is kept is to be marked again, in the epoch that is returned. The person's row is
/// locked, so that no session begins or is renewed meanwhile.
pub(super) async fn end_all_but(
    conn: &mut PgConnection,
    actor: &Actor,
    user_id: i64,
    Kept { current, next }: Kept<'_>,
) -> sqlx::Result<Epoch> {
    let number = locks::living_session(&mut *conn, user_id, current).await?;
    acts_under_way::end(&mut *conn, actor, user_id, Ended::AllBut(number)).await?;
    provider_identities::forget_others(&mut *conn, user_id, &current.digest()).await?;
    delete_all_but(&mut *conn, user_id, Some(current)).await?;
    sqlx::query!("UPDATE sessions SET id_hash = $2 WHERE id_hash = $1", current.digest(), next.digest())
        .execute(&mut *conn)
        .await?;
    envelopes::hand_over(&mut *conn, current, next).await?;
    acts_under_way::end_handovers(&mut *conn, actor, user_id, Ended::AllBut(number)).await?;
    known_browsers::begin_epoch(conn, user_id).await
}

/// The same of all sessions. The identities stay: the caller knows whether one may be another
/// person's.
pub(super) async fn end_all(conn: &mut PgConnection, actor: &Actor, user_id: i64) -> sqlx::Result<Epoch> {
    acts_under_way::end(&mut *conn, actor, user_id, Ended::AllBut(None)).await?;
    delete_all_but(&mut *conn, user_id, None).await?;
    acts_under_way::end_handovers(&mut *conn, actor, user_id, Ended::AllBut(None)).await?;
    known_browsers::begin_epoch(conn, user_id).await
}

async fn delete_all_but(conn: &mut PgConnection, user_id: i64, kept: Option<&SessionSecret>) -> sqlx::Result<()> {
    let ended = sqlx::query_scalar!(
        "DELETE FROM sessions WHERE (user_id = $1 OR user_id IS NULL AND (data->>'half_user_id')::bigint = $1)
            AND id_hash IS DISTINCT FROM $2 RETURNING id_hash",
        user_id,
        kept.map(SessionSecret::digest),
    )
    .fetch_all(&mut *conn)
    .await?;
    envelopes::end_of_sessions(conn, &ended).await
}

/// Deletes the rows of sessions that are idle for too long or too old.
pub(in crate::db) async fn sweep(pool: &PgPool) -> sqlx::Result<()> {
    sqlx::query!(
        "DELETE FROM sessions WHERE last_seen_at <= portal_now() - $1::interval OR created_at <= portal_now() - $2::interval",
        session_lifetime::IDLE as _,
        session_lifetime::TOTAL as _,
    )
    .execute(pool)
    .await?;
    Ok(())
}
