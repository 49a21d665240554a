//! Whether the database can serve: at the start, for monitoring, and which errors say that it
//! cannot.

use std::{io, time::Duration};

use sqlx::{
    Connection, PgConnection, PgPool,
    error::DatabaseError,
    postgres::{PgConnectOptions, PgDatabaseError, PgSeverity},
};
use tokio::time::{Instant, sleep, timeout_at};

/// How long one attempt to connect may take at the start: a server may accept and say nothing.
const ATTEMPT: Duration = Duration::from_secs(5);
/// Between two attempts.
const PAUSE: Duration = Duration::from_secs(1);

/// Connects once, as soon as the primary accepts connections; at most `longest` from now. The first
/// failure that may pass is logged. Unlike a pool, which only reports a timeout, it reports the
/// cause.
///
/// # Errors
/// Why no connection could be made: at once where waiting does not help (a wrong password, an
/// unknown database), else the last attempt's.
pub async fn wait_until_reached(options: &PgConnectOptions, longest: Duration) -> sqlx::Result<()> {
    let end = Instant::now() + longest;
    let mut is_logged = false;
    loop {
        let attempt = timeout_at(Instant::now() + ATTEMPT, try_connection(options)).await;
        let Err(error) = attempt.unwrap_or_else(|_| Err(io::Error::from(io::ErrorKind::TimedOut).into())) else {
            return Ok(());
        };
        if !may_pass(&error) || Instant::now() + PAUSE >= end {
            return Err(error);
        }
        if !is_logged {
            let cause = error.to_string();
            tracing::warn!(cause, seconds = longest.as_secs(), "the database is not there yet: waiting for it");
            is_logged = true;
        }
        sleep(PAUSE).await;
    }
}

async fn try_connection(options: &PgConnectOptions) -> sqlx::Result<()> {
    let mut connection = PgConnection::connect_with(options).await?;
    require_primary(&mut connection).await?;
    connection.close().await
}

/// Whether an error of a first connection may pass by itself. A failure of TLS does not, nor does
/// what is wrong with the role (28) or the database's name (3D).
fn may_pass(error: &sqlx::Error) -> bool {
    let is_permanent = match error {
        sqlx::Error::Tls(_) => true,
        sqlx::Error::Database(error) => {
            error.code().is_some_and(|code| ["28", "3D"].iter().any(|class| code.starts_with(class)))
        }
        _ => false,
    };
    !is_permanent && is_unavailable(error)
}

/// Refuses a standby: it answers, but every act fails on it, and what it shows may be old. A proxy
/// before a cluster may lead to one for a moment.
///
/// # Errors
/// The server is a standby; database errors.
pub(super) async fn require_primary(connection: &mut PgConnection) -> sqlx::Result<()> {
    let is_standby =
        sqlx::query_scalar!(r#"SELECT pg_is_in_recovery() AS "is_standby!""#).fetch_one(connection).await?;
    if is_standby { Err(io::Error::other("the server is a standby, not the primary").into()) } else { Ok(()) }
}

/// Checks that the primary answers.
///
/// # Errors
/// The server has become a standby; database errors.
pub async fn ping(pool: &PgPool) -> sqlx::Result<()> {
    require_primary(&mut *pool.acquire().await?).await
}

/// Whether an error means that the database cannot serve now (gone, starting, closed, a standby,
/// read-only, full, out of connections), rather than that a statement is wrong: the request can be
/// repeated later.
#[must_use]
pub fn is_unavailable(error: &sqlx::Error) -> bool {
    match error {
        // Protocol: a proxy accepts the connection and closes it, since it has no server.
        sqlx::Error::PoolTimedOut
        | sqlx::Error::PoolClosed
        | sqlx::Error::Io(_)
        | sqlx::Error::Tls(_)
        | sqlx::Error::Protocol(_) => true,
        sqlx::Error::Database(error) if ended_the_connection(error.as_ref()) => true,
        // 08 connection, 25006 read-only, 25P03 idle for too long, 40 serialisation, 53 resources,
        // 55P03 lock not available, 57 operator's intervention, 58 system.
        sqlx::Error::Database(error) => error.code().is_some_and(|code| {
            ["08", "25006", "25P03", "40", "53", "55P03", "57", "58"].iter().any(|class| code.starts_with(class))
        }),
        _ => false,
    }
}

/// FATAL and PANIC: the connection has ended or was refused (the database accepts no connections,
/// was renamed, dropped our role). No statement of the portal causes them.
fn ended_the_connection(error: &dyn DatabaseError) -> bool {
    let severity = error.try_downcast_ref::<PgDatabaseError>().map(PgDatabaseError::severity);
    matches!(severity, Some(PgSeverity::Fatal | PgSeverity::Panic))
}
