//! Sign-in: credentials, refusals, and the transactions that open a session.

use sqlx::{PgConnection, PgPool};

use super::{
    locks::{self, FirstFactor},
    mailboxes,
    sessions::{self, NewSession, PendingSignIn},
};
use crate::{
    db::{
        audit::{Event, frequent},
        members::memberships,
        throttles::{self, Begun, Counted, Source},
        transaction,
    },
    domain::{
        audit::{Action, Actor},
        known_browser::Epoch,
        notification::Notification,
        password::PasswordHash,
    },
};

/// What a password is verified against.
#[derive(Clone, Debug)]
pub struct Credentials {
    pub user_id: i64,
    pub login: String,
    /// `None` until the person has chosen a password, and while they are disabled.
    pub password_hash: Option<PasswordHash>,
}

/// Whether a password may be tried now.
#[derive(Clone, Debug)]
pub enum Attempt {
    /// Too many were wrong: seconds to wait.
    Wait(u32),
    /// The credentials of the login, `None` where it is unknown. The attempt counts as failed until
    /// [`begin`], or `throttles::give_back`, takes it back.
    Verify { credentials: Option<Credentials>, counted: Counted },
}

/// The credentials of a normalized login, unless too many passwords were wrong from this source.
/// `stand_in` is a secret of the login that stands for a password hash where it has none.
///
/// # Errors
/// Database errors.
pub async fn attempt(pool: &PgPool, login: &str, stand_in: &str, source: &Source) -> sqlx::Result<Attempt> {
    let mut tx = transaction::begin(pool).await?;
    let row = sqlx::query!(
        "SELECT id, login, CASE WHEN disabled_at IS NULL THEN password_hash END AS password_hash FROM users WHERE login = $1",
        login
    )
    .fetch_optional(&mut *tx)
    .await?;
    let hash = row.as_ref().and_then(|row| row.password_hash.as_deref());
    let counted = match throttles::begin(&mut tx, source.sign_in_keys(login, hash.unwrap_or(stand_in))).await? {
        Begun::Wait(seconds) => return Ok(Attempt::Wait(seconds)),
        Begun::Counted(counted) => counted,
    };
    tx.commit().await?;
    let credentials = row.map(|row| Credentials {
        user_id: row.id,
        login: row.login,
        password_hash: row.password_hash.map(PasswordHash::from_stored),
    });
    Ok(Attempt::Verify { credentials, counted })
}

/// Records a wrong password. It was counted before it was verified.
///
/// # Errors
/// Database errors.
pub async fn record_wrong_password(pool: &PgPool, actor: &Actor) -> sqlx::Result<()> {
    let mut tx = transaction::begin(pool).await?;
    let event = Event { subject: &actor.name, ..Event::of(actor, Action::SignInFailed) };
    frequent::record_or_count(&mut tx, event).await?;
    tx.commit().await
}

/// What a verified password leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// With the epoch of the person's known browsers.
    SignedIn(Epoch),
    /// The new session is a [`PendingSignIn`].
    CodeNeeded,
    /// The password was replaced after it had been verified, or the identity's link ended. Nothing
    /// was written.
    ProofEnded,
}

/// Opens a session for a person who has proved a first factor, and forgets their failures. Where
/// they have a second factor and proved none elsewhere, the session is pending until they give a
/// code; `return_to` is the page to go to then.
///
/// # Errors
/// Database errors.
pub async fn begin(
    pool: &PgPool,
    actor: &Actor,
    proof: &FirstFactor,
    new: NewSession<'_>,
    return_to: Option<&str>,
) -> sqlx::Result<Outcome> {
    let mut tx = transaction::begin(pool).await?;
    if !locks::proved_person(&mut tx, proof).await? {
        return Ok(Outcome::ProofEnded);
    }
    throttles::succeed(&mut tx, &proof.counted()).await?;
    if let Some(replaced) = new.replaces {
        sessions::end(&mut tx, replaced).await?;
    }
    let outcome = if !proof.has_second_factor() && locks::asks_code(&mut tx, proof.user_id()).await? {
        sessions::insert_pending(&mut tx, proof, new.id, return_to).await?;
        Outcome::CodeNeeded
    } else {
        Outcome::SignedIn(open(&mut tx, actor, proof, new).await?)
    };
    tx.commit().await?;
    Ok(outcome)
}

/// Opens the session of a pending sign-in whose code was right, in place of the pending one.
/// `None`, and nothing written, where that one was ended or the proof does not hold any more.
///
/// # Errors
/// Database errors.
pub async fn complete(
    pool: &PgPool,
    actor: &Actor,
    pending: &PendingSignIn,
    new: NewSession<'_>,
) -> sqlx::Result<Option<Epoch>> {
    let mut tx = transaction::begin(pool).await?;
    let holds = locks::proved_person(&mut tx, &pending.proof).await?;
    if !holds || !sessions::end(&mut tx, &pending.session).await? {
        return Ok(None);
    }
    let epoch = open(&mut tx, actor, &pending.proof, new).await?;
    tx.commit().await?;
    Ok(Some(epoch))
}

/// Inserts the session and records the sign-in, after which the person no longer counts as invited
/// and takes part in the structures that they were attached to since their last one. Mails them
/// where they have signed in before, but never from this network with this software.
async fn open(conn: &mut PgConnection, actor: &Actor, proof: &FirstFactor, new: NewSession<'_>) -> sqlx::Result<Epoch> {
    let user_id = proof.user_id();
    sessions::insert(conn, proof, &actor.address, new).await?;
    memberships::accept_all(conn, user_id).await?;
    frequent::record_or_count(conn, Event { subject: &actor.name, ..Event::of(actor, Action::SignedIn) }).await?;
    sqlx::query!("UPDATE users SET invited = false WHERE id = $1 AND invited", user_id).execute(&mut *conn).await?;
    let without_version: String = new.software.chars().filter(|c| !c.is_ascii_digit()).collect();
    let known = sqlx::query!(
        r#"WITH before AS (SELECT network, software FROM known_browsers WHERE user_id = $1),
                kept AS (INSERT INTO known_browsers (user_id, network, software) VALUES ($1, $2, $3)
                         ON CONFLICT (user_id, network, software) DO UPDATE SET last_seen_at = portal_now())
           SELECT login, portal_now() AS "at!", known_browsers_epoch,
                  EXISTS (SELECT FROM before) AND NOT EXISTS (SELECT FROM before WHERE network = $2 AND software = $3) AS "is_new!"
             FROM users WHERE id = $1"#,
        user_id,
        new.network,
        without_version,
    )
    .fetch_one(&mut *conn)
    .await?;
    let epoch = Epoch(known.known_browsers_epoch);
    if !known.is_new {
        return Ok(epoch);
    }
    forget_oldest(conn, user_id).await?;
    let notice = Notification::NewSignIn {
        login: known.login,
        address: actor.address.clone(),
        software: new.software.to_owned(),
        at: known.at,
    };
    mailboxes::tell(conn, actor, user_id, &notice).await?;
    Ok(epoch)
}

/// The browsers of a person that are kept. The name of its software is whatever a browser sends.
const MOST_BROWSERS: i64 = 100;

async fn forget_oldest(conn: &mut PgConnection, user_id: i64) -> sqlx::Result<()> {
    sqlx::query!(
        "DELETE FROM known_browsers WHERE (user_id, network, software) IN (
             SELECT user_id, network, software FROM known_browsers WHERE user_id = $1
              ORDER BY last_seen_at DESC, network, software OFFSET $2)",
        user_id,
        MOST_BROWSERS,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Forgets browsers without a sign-in for 180 days.
pub(in crate::db) async fn sweep(pool: &PgPool) -> sqlx::Result<()> {
    sqlx::query!("DELETE FROM known_browsers WHERE last_seen_at <= portal_now() - interval '180 days'")
        .execute(pool)
        .await?;
    Ok(())
}
