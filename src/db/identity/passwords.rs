//! The passwords of people, as hashes.

use data_encoding::HEXLOWER;
use sqlx::{PgConnection, PgExecutor, PgPool};

use super::{locks::VerifiedPassword, mailboxes};
use crate::{
    db::{
        throttles::{self, Begun, Counted, Scope},
        transaction,
    },
    domain::{audit::Actor, envelope::SessionSecret, notification::Notification, password::PasswordHash},
};

/// Whether a signed-in person's password may be tried now.
#[derive(Clone, Debug)]
pub enum OwnAttempt {
    /// Too many were wrong in this session: seconds to wait.
    Wait(u32),
    /// The hash to verify against. The attempt counts as failed until it is taken back.
    Verify { hash: Option<PasswordHash>, counted: Counted },
}

/// Counts an attempt to give one's own password within a session. It is counted for this session
/// alone: neither do neighbours keep the person from proving more, nor does a stolen session give
/// more guesses than sign-in, or block any sign-in.
///
/// # Errors
/// Database errors.
pub async fn attempt_own(pool: &PgPool, user_id: i64, session: &SessionSecret) -> sqlx::Result<OwnAttempt> {
    let mut tx = transaction::begin(pool).await?;
    let key = Scope::OwnPassword.key(&HEXLOWER.encode(&session.digest()), "");
    let counted = match throttles::begin(&mut tx, vec![key]).await? {
        Begun::Wait(seconds) => return Ok(OwnAttempt::Wait(seconds)),
        Begun::Counted(counted) => counted,
    };
    let hash = sqlx::query_scalar!("SELECT password_hash FROM users WHERE id = $1", user_id)
        .fetch_optional(&mut *tx)
        .await?
        .flatten();
    tx.commit().await?;
    Ok(OwnAttempt::Verify { hash: hash.map(PasswordHash::from_stored), counted })
}

/// What others know of a person, hence try as their password: login, names, contact address, and
/// the names and identifiers of some of their structures.
///
/// # Errors
/// Database errors.
pub async fn known_words(executor: impl PgExecutor<'_>, user_id: i64) -> sqlx::Result<Vec<String>> {
    sqlx::query_scalar!(
        r#"SELECT word AS "word!" FROM users u, unnest(ARRAY[u.login, u.last_name, u.first_name, u.contact_address]) AS word WHERE u.id = $1
           UNION ALL
           (SELECT unnest(ARRAY[s.designation, s.identifier]) FROM memberships m JOIN structures s ON s.id = m.structure_id
             WHERE m.user_id = $1 ORDER BY m.id LIMIT 40)"#,
        user_id,
    )
    .fetch_all(executor)
    .await
}

/// Replaces a hash by one of the same password with today's parameters.
///
/// # Errors
/// Database errors.
pub async fn renew_hash(pool: &PgPool, old: &VerifiedPassword, new: &PasswordHash) -> sqlx::Result<()> {
    sqlx::query!(
        "UPDATE users SET password_hash = $3 WHERE id = $1 AND password_hash = $2",
        old.user_id,
        old.hash.as_phc(),
        new.as_phc()
    )
    .execute(pool)
    .await?;
    Ok(())
}

/// Removes the password of a person whose row is locked: they sign in at the identity provider.
pub(super) async fn remove(conn: &mut PgConnection, user_id: i64) -> sqlx::Result<()> {
    sqlx::query!("UPDATE users SET password_hash = NULL WHERE id = $1", user_id).execute(conn).await?;
    Ok(())
}

/// Replaces the password of a person whose row is locked by one that they chose, and mails them.
pub(super) async fn replace(
    conn: &mut PgConnection,
    actor: &Actor,
    user_id: i64,
    hash: &PasswordHash,
) -> sqlx::Result<()> {
    let person = sqlx::query!(
        r#"UPDATE users SET password_hash = $2 WHERE id = $1
           RETURNING login, portal_now() AS "at!""#,
        user_id,
        hash.as_phc(),
    )
    .fetch_one(&mut *conn)
    .await?;
    let notice = Notification::PasswordChosen { login: person.login, at: person.at };
    mailboxes::tell(conn, actor, user_id, &notice).await
}
