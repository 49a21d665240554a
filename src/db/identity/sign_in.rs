//! Sign-in: credentials, refusals, and the transactions that open a session.

use sqlx::{PgConnection, PgPool};

use super::sessions::{self, NewSession, PendingSignIn, VerifiedPassword};
use crate::{
    db::{
        audit::{self, Event},
        members::memberships,
        outbox,
        throttles::{self, Scope},
    },
    domain::{
        audit::{Action, Actor},
        notification::Notification,
        password::PasswordHash,
    },
};

/// What a password is verified against.
#[derive(Clone, Debug)]
pub struct Credentials {
    pub user_id: i64,
    pub login: String,
    /// `None` until the person has chosen a password.
    pub password_hash: Option<PasswordHash>,
}

/// Whether a password may be tried now.
#[derive(Clone, Debug)]
pub enum Attempt {
    /// Too many were wrong: seconds to wait.
    Wait(u32),
    /// The credentials of the login, `None` where it is unknown.
    Verify(Option<Credentials>),
}

/// The credentials of a normalized login, unless too many passwords were wrong from this network.
///
/// # Errors
/// Database errors.
pub async fn attempt(pool: &PgPool, login: &str, network: &str) -> sqlx::Result<Attempt> {
    let mut conn = pool.acquire().await?;
    if let Some(seconds) = throttles::wait(&mut *conn, Scope::SignIn.key(login, network)).await? {
        return Ok(Attempt::Wait(seconds));
    }
    let row = sqlx::query!("SELECT id, login, password_hash FROM users WHERE login = $1", login)
        .fetch_optional(&mut *conn)
        .await?;
    Ok(Attempt::Verify(row.map(|row| Credentials {
        user_id: row.id,
        login: row.login,
        password_hash: row.password_hash.map(PasswordHash::from_stored),
    })))
}

/// Counts a wrong password, and records it.
///
/// # Errors
/// Database errors.
pub async fn refuse_password(pool: &PgPool, actor: &Actor, login: &str, network: &str) -> sqlx::Result<()> {
    let mut tx = pool.begin().await?;
    throttles::fail(&mut *tx, Scope::SignIn.key(login, network)).await?;
    record_failure(&mut tx, actor, "").await?;
    tx.commit().await
}

/// Records a wrong code at sign-in. It was counted before it was checked.
///
/// # Errors
/// Database errors.
pub async fn record_wrong_code(pool: &PgPool, actor: &Actor) -> sqlx::Result<()> {
    let mut conn = pool.acquire().await?;
    record_failure(&mut conn, actor, "code de vérification").await
}

/// `step` names what was wrong, where that is no secret any more.
async fn record_failure(conn: &mut PgConnection, actor: &Actor, step: &str) -> sqlx::Result<()> {
    let event = Event { subject: &actor.name, detail: step, ..Event::of(actor, Action::SignInFailed) };
    audit::record(conn, event).await
}

/// What a verified password leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    SignedIn,
    /// The new session is a [`PendingSignIn`].
    CodeNeeded,
    /// The password was replaced after it had been verified. Nothing was written.
    PasswordReplaced,
}

/// Opens a session for a person whose password was verified, and forgets their failures. Where
/// they have a second factor, the session is pending until they give a code; `return_to` is the
/// page to go to then.
///
/// # Errors
/// Database errors.
pub async fn begin(
    pool: &PgPool,
    actor: &Actor,
    verified: &VerifiedPassword,
    new: NewSession<'_>,
    return_to: Option<&str>,
) -> sqlx::Result<Outcome> {
    let mut tx = pool.begin().await?;
    let Some(code_needed) = lock_password(&mut tx, verified).await? else { return Ok(Outcome::PasswordReplaced) };
    throttles::reset(&mut *tx, Scope::SignIn.key(&actor.name, new.network)).await?;
    if let Some(replaced) = new.replaces {
        sessions::end(&mut tx, replaced).await?;
    }
    let outcome = if code_needed {
        sessions::insert_pending(&mut tx, verified, new.id, return_to).await?;
        Outcome::CodeNeeded
    } else {
        open(&mut tx, actor, verified.user_id, new).await?;
        Outcome::SignedIn
    };
    tx.commit().await?;
    Ok(outcome)
}

/// Opens the session of a pending sign-in whose code was right, in place of the pending one.
/// False, and nothing written, where that one was ended or the password was replaced meanwhile.
///
/// # Errors
/// Database errors.
pub async fn complete(
    pool: &PgPool,
    actor: &Actor,
    pending: &PendingSignIn,
    new: NewSession<'_>,
) -> sqlx::Result<bool> {
    let mut tx = pool.begin().await?;
    let holds = lock_password(&mut tx, &pending.verified).await?.is_some();
    if !holds || !sessions::end(&mut tx, &pending.session).await? {
        return Ok(false);
    }
    open(&mut tx, actor, pending.verified.user_id, new).await?;
    tx.commit().await?;
    Ok(true)
}

/// Locks the person's row, so that the password is not replaced until the transaction ends, and
/// says whether sign-in asks for a code, too. `None` where it was replaced already: that change
/// ended only the sessions that it saw, so none may begin with the old password.
async fn lock_password(conn: &mut PgConnection, verified: &VerifiedPassword) -> sqlx::Result<Option<bool>> {
    sqlx::query_scalar!(
        r#"SELECT EXISTS (SELECT FROM second_factors f WHERE f.user_id = u.id AND f.confirmed_at IS NOT NULL) AS "code_needed!"
             FROM users u WHERE u.id = $1 AND u.password_hash = $2 FOR NO KEY UPDATE OF u"#,
        verified.user_id,
        verified.hash.as_phc(),
    )
    .fetch_optional(conn)
    .await
}

/// Inserts the session and records the sign-in, after which the person no longer counts as invited
/// and takes part in the structures that they were attached to since their last one. Mails them
/// where they have signed in before, but never from this network with this software.
async fn open(conn: &mut PgConnection, actor: &Actor, user_id: i64, new: NewSession<'_>) -> sqlx::Result<()> {
    sessions::insert(conn, user_id, &actor.address, new).await?;
    memberships::accept_all(conn, user_id).await?;
    audit::record(conn, Event { subject: &actor.name, ..Event::of(actor, Action::SignedIn) }).await?;
    sqlx::query!("UPDATE users SET invited = false WHERE id = $1 AND invited", user_id).execute(&mut *conn).await?;
    let without_version: String = new.software.chars().filter(|c| !c.is_ascii_digit()).collect();
    let known = sqlx::query!(
        r#"WITH before AS (SELECT network, software FROM known_browsers WHERE user_id = $1),
                kept AS (INSERT INTO known_browsers (user_id, network, software) VALUES ($1, $2, $3)
                         ON CONFLICT (user_id, network, software) DO UPDATE SET last_seen_at = portal_now())
           SELECT login, coalesce(confirmed_address, contact_address) AS "address!", portal_now() AS "at!",
                  EXISTS (SELECT FROM before) AND NOT EXISTS (SELECT FROM before WHERE network = $2 AND software = $3) AS "is_new!"
             FROM users WHERE id = $1"#,
        user_id,
        new.network,
        without_version,
    )
    .fetch_one(&mut *conn)
    .await?;
    if !known.is_new {
        return Ok(());
    }
    let notice = Notification::NewSignIn {
        login: known.login,
        address: actor.address.clone(),
        software: new.software.to_owned(),
        at: known.at,
    };
    outbox::enqueue(conn, actor, &known.address, &notice).await
}

/// Forgets browsers without a sign-in for 180 days.
pub(in crate::db) async fn sweep(pool: &PgPool) -> sqlx::Result<()> {
    sqlx::query!("DELETE FROM known_browsers WHERE last_seen_at <= portal_now() - interval '180 days'")
        .execute(pool)
        .await?;
    Ok(())
}
