//! Throttles failed attempts and limits the rate of operations, per subject and network. The table
//! is shared by all instances.

use data_encoding::HEXLOWER;
use sqlx::{PgConnection, PgExecutor, PgPool};

use crate::domain::random::digest;

/// What is throttled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// A person's sign-in to the portal.
    SignIn,
    /// The second factor of a person whose password was right. Counted over all networks.
    SecondFactor,
    /// Requests of a link for a forgotten password. Each counts as a failure: by login and network,
    /// and by network alone.
    PasswordLink,
    /// Requests for a membership: each withdrawal counts.
    MembershipRequest,
    /// Mails to other people that a manager causes: each counts.
    MemberMail,
    /// Changes of a person's own contact address, which mail the old and the new one: each counts.
    ContactAddress,
    /// A technical user's password at the API, by [`bucket`].
    Api,
}

/// What is counted together: attempts on one subject from one network.
#[derive(Clone, Copy, Debug)]
pub struct Key<'a> {
    pub scope: Scope,
    /// A login; empty where all of a network count together. Stored as a digest.
    pub subject: &'a str,
    /// Empty where the subject is counted over all networks.
    pub network: &'a str,
}

impl Scope {
    /// The key of a subject and a network in this scope.
    #[must_use]
    pub fn key<'a>(self, subject: &'a str, network: &'a str) -> Key<'a> {
        Key { scope: self, subject, network }
    }

    fn code(self) -> &'static str {
        match self {
            Self::SignIn => "SIGN_IN",
            Self::SecondFactor => "SECOND_FACTOR",
            Self::PasswordLink => "PASSWORD_LINK",
            Self::MembershipRequest => "MEMBERSHIP_REQUEST",
            Self::MemberMail => "MEMBER_MAIL",
            Self::ContactAddress => "CONTACT_ADDRESS",
            Self::Api => "API",
        }
    }
}

/// Seconds until the next attempt is allowed; `None` where one is allowed now.
///
/// # Errors
/// Database errors.
pub async fn wait(executor: impl PgExecutor<'_>, key: Key<'_>) -> sqlx::Result<Option<u32>> {
    let seconds = sqlx::query_scalar!(
        r#"SELECT ceil(extract(epoch FROM blocked_until - portal_now()))::int AS "seconds!" FROM throttles
            WHERE scope = $1 AND subject_hash = $2 AND network = $3 AND blocked_until > portal_now()"#,
        key.scope.code(),
        digest(key.subject),
        key.network,
    )
    .fetch_optional(executor)
    .await?;
    Ok(seconds.and_then(|seconds| u32::try_from(seconds).ok()))
}

/// For short secrets: counts an attempt as failed before it is verified, so that parallel attempts
/// are throttled like sequential ones. A success must then [`reset`] the count. Returns the
/// seconds to wait where no attempt is allowed now.
///
/// # Errors
/// Database errors.
pub async fn begin(pool: &PgPool, key: Key<'_>) -> sqlx::Result<Option<u32>> {
    let mut tx = pool.begin().await?;
    lock(&mut tx, key).await?;
    let seconds = wait(&mut *tx, key).await?;
    if seconds.is_none() {
        fail(&mut *tx, key).await?;
    }
    tx.commit().await?;
    Ok(seconds)
}

/// Serialises transactions on the same key, with an advisory lock: a row that does not exist yet
/// cannot be locked.
async fn lock(conn: &mut PgConnection, key: Key<'_>) -> sqlx::Result<()> {
    let name = format!("{} {}", key.subject, key.network);
    sqlx::query!("SELECT pg_advisory_xact_lock(hashtextextended($1 || $2, 0))", key.scope.code(), name)
        .execute(conn)
        .await?;
    Ok(())
}

/// The operations that are allowed in a row. `minutes` is both the pause after which the count
/// starts again and the wait once the limit is reached.
#[derive(Clone, Copy, Debug)]
pub struct RateLimit {
    /// Operations in a row.
    pub most: i32,
    /// The pause, and the wait.
    pub minutes: i32,
}

/// Counts a rate-limited operation, within its transaction. Returns the seconds to wait where the
/// limit was reached before; the operation must then not happen.
///
/// # Errors
/// Database errors.
pub async fn consume(conn: &mut PgConnection, key: Key<'_>, limit: RateLimit) -> sqlx::Result<Option<u32>> {
    lock(conn, key).await?;
    let seconds = wait(&mut *conn, key).await?;
    if seconds.is_some() {
        return Ok(seconds);
    }
    sqlx::query!(
        "INSERT INTO throttles (scope, subject_hash, network, failures) VALUES ($1, $2, $3, 1)
         ON CONFLICT (scope, subject_hash, network) DO UPDATE SET
             failures = CASE WHEN throttles.last_failure < portal_now() - make_interval(mins => $5) OR throttles.blocked_until IS NOT NULL
                 THEN 1 ELSE throttles.failures + 1 END,
             last_failure = portal_now(),
             blocked_until = CASE WHEN throttles.last_failure >= portal_now() - make_interval(mins => $5) AND throttles.blocked_until IS NULL
                 AND throttles.failures + 1 >= $4 THEN portal_now() + make_interval(mins => $5) END",
        key.scope.code(),
        digest(key.subject),
        key.network,
        limit.most,
        limit.minutes,
    )
    .execute(&mut *conn)
    .await?;
    Ok(None)
}

/// Counts a failure. The first four cause no delay, since people mistype; then the delay doubles
/// from 2 seconds up to 5 minutes. An hour without failure resets the count.
///
/// # Errors
/// Database errors.
pub async fn fail(executor: impl PgExecutor<'_>, key: Key<'_>) -> sqlx::Result<()> {
    sqlx::query!(
        "INSERT INTO throttles (scope, subject_hash, network, failures) VALUES ($1, $2, $3, 1)
         ON CONFLICT (scope, subject_hash, network) DO UPDATE SET
             failures = CASE WHEN throttles.last_failure < portal_now() - interval '1 hour' THEN 1 ELSE throttles.failures + 1 END,
             last_failure = portal_now(),
             blocked_until = CASE WHEN throttles.last_failure >= portal_now() - interval '1 hour' AND throttles.failures >= 4
                 THEN portal_now() + least(300, power(2, least(throttles.failures, 20) - 3)) * interval '1 second' END",
        key.scope.code(),
        digest(key.subject),
        key.network,
    )
    .execute(executor)
    .await?;
    Ok(())
}

/// For attempts that are judged before they are throttled: counts a failure. Returns the seconds to
/// wait where an attempt is not allowed now; it is then not counted.
///
/// # Errors
/// Database errors.
pub async fn fail_unless_blocked(pool: &PgPool, key: Key<'_>) -> sqlx::Result<Option<u32>> {
    let seconds = wait(pool, key).await?;
    if seconds.is_none() {
        fail(pool, key).await?;
    }
    Ok(seconds)
}

/// One of 65,536 subjects for a login and a network. Any caller may choose both, so this bounds the
/// number of rows. Logins and networks with the same subject share its delay.
#[must_use]
pub fn bucket(login: &str, network: &str) -> String {
    HEXLOWER.encode(&digest(format!("{network} {login}"))[..2])
}

/// Resets the count, after a success.
///
/// # Errors
/// Database errors.
pub async fn reset(executor: impl PgExecutor<'_>, key: Key<'_>) -> sqlx::Result<()> {
    sqlx::query!(
        "DELETE FROM throttles WHERE scope = $1 AND subject_hash = $2 AND network = $3",
        key.scope.code(),
        digest(key.subject),
        key.network,
    )
    .execute(executor)
    .await?;
    Ok(())
}

/// Deletes counts without a failure for an hour: they have no effect any more.
pub(super) async fn sweep(pool: &PgPool) -> sqlx::Result<()> {
    sqlx::query!("DELETE FROM throttles WHERE last_failure < portal_now() - interval '1 hour'").execute(pool).await?;
    Ok(())
}
