//! Delays after failures, per (what was tried, network), shared by all instances.

use sqlx::{PgConnection, PgExecutor, PgPool};

use crate::domain::random::digest;

/// What is being guessed at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// A person's sign-in to the portal.
    SignIn,
    /// The code of a person whose password was right, from wherever: no network stands beside it.
    SecondFactor,
    /// A link for who forgot the password: each request counts as a failure; and those of a network
    /// together, whoever they name.
    PasswordLink,
    /// A request to be attached to a structure: each one that is taken back counts.
    MembershipRequest,
    /// A mail that a manager has the portal write to somebody else: nothing fails, each one counts.
    MemberMail,
    /// A change of a person's own contact address, of which the old and the new one hear: each one
    /// counts.
    ContactAddress,
    /// A technical user's credential at the API.
    Api,
}

impl Scope {
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

/// Seconds to wait before this subject may be tried again from this network; `None` when it may
/// now.
///
/// # Errors
/// Database errors.
pub async fn wait(
    executor: impl PgExecutor<'_>,
    scope: Scope,
    subject: &str,
    network: &str,
) -> sqlx::Result<Option<u32>> {
    let seconds = sqlx::query_scalar!(
        r#"SELECT ceil(extract(epoch FROM blocked_until - portal_now()))::int AS "seconds!" FROM throttles
            WHERE scope = $1 AND subject_hash = $2 AND network = $3 AND blocked_until > portal_now()"#,
        scope.code(),
        digest(subject),
        network,
    )
    .fetch_optional(executor)
    .await?;
    Ok(seconds.and_then(|seconds| u32::try_from(seconds).ok()))
}

/// Counts an attempt as failed before it is judged, so that of many made together no more are
/// judged than one after the other: where secrets are short. Seconds to wait where it may not be
/// made now; a success then [forgets](forget) all.
///
/// # Errors
/// Database errors.
pub async fn begin(pool: &PgPool, scope: Scope, subject: &str, network: &str) -> sqlx::Result<Option<u32>> {
    let mut tx = pool.begin().await?;
    queue(&mut tx, scope, subject).await?;
    let seconds = wait(&mut *tx, scope, subject, network).await?;
    if seconds.is_none() {
        fail(&mut *tx, scope, subject, network).await?;
    }
    tx.commit().await?;
    Ok(seconds)
}

/// Lets those who count the same go one after the other, until the transaction ends: a row that
/// does not exist yet cannot be locked.
async fn queue(conn: &mut PgConnection, scope: Scope, whose: &str) -> sqlx::Result<()> {
    sqlx::query!("SELECT pg_advisory_xact_lock(hashtextextended($1 || $2, 0))", scope.code(), whose)
        .execute(conn)
        .await?;
    Ok(())
}

/// Acts that may be done in a row, and the minutes without one after which the count begins anew;
/// so long, too, do those wait that are too many.
#[derive(Clone, Copy, Debug)]
pub struct RateLimit {
    pub most: i32,
    pub minutes: i32,
}

/// Counts an act of which so many are allowed, within its transaction. Seconds to wait where they
/// have been done.
///
/// # Errors
/// Database errors.
pub async fn consume(
    conn: &mut PgConnection,
    scope: Scope,
    (subject, network): (&str, &str),
    allowance: RateLimit,
) -> sqlx::Result<Option<u32>> {
    queue(conn, scope, &format!("{subject} {network}")).await?;
    let seconds = wait(&mut *conn, scope, subject, network).await?;
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
        scope.code(),
        digest(subject),
        network,
        allowance.most,
        allowance.minutes,
    )
    .execute(&mut *conn)
    .await?;
    Ok(None)
}

/// Counts a failure. The first four cost nothing, people mistype; then the delay doubles from 2
/// seconds up to 5 minutes. An hour without failure forgets.
///
/// # Errors
/// Database errors.
pub async fn fail(executor: impl PgExecutor<'_>, scope: Scope, subject: &str, network: &str) -> sqlx::Result<()> {
    sqlx::query!(
        "INSERT INTO throttles (scope, subject_hash, network, failures) VALUES ($1, $2, $3, 1)
         ON CONFLICT (scope, subject_hash, network) DO UPDATE SET
             failures = CASE WHEN throttles.last_failure < portal_now() - interval '1 hour' THEN 1 ELSE throttles.failures + 1 END,
             last_failure = portal_now(),
             blocked_until = CASE WHEN throttles.last_failure >= portal_now() - interval '1 hour' AND throttles.failures >= 4
                 THEN portal_now() + least(300, power(2, least(throttles.failures, 20) - 3)) * interval '1 second' END",
        scope.code(),
        digest(subject),
        network,
    )
    .execute(executor)
    .await?;
    Ok(())
}

/// Forgets the failures, after a success.
///
/// # Errors
/// Database errors.
pub async fn forget(executor: impl PgExecutor<'_>, scope: Scope, subject: &str, network: &str) -> sqlx::Result<()> {
    sqlx::query!(
        "DELETE FROM throttles WHERE scope = $1 AND subject_hash = $2 AND network = $3",
        scope.code(),
        digest(subject),
        network,
    )
    .execute(executor)
    .await?;
    Ok(())
}
