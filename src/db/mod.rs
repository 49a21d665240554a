//! Every SQL statement of the portal: one file per family of tables, each public function one
//! statement or one transaction. An act writes its audit event and its mails in its own
//! transaction.

pub mod api;
pub mod audit;
mod codes;
pub mod demo;
pub mod identity;
pub mod members;
pub mod outbox;
pub mod pages;
pub mod roles;
pub mod structures;
pub mod technical_users;
pub mod throttles;
pub mod upkeep;

use std::time::Duration;

use sqlx::{
    Connection, PgConnection, PgPool,
    error::DatabaseError,
    migrate::Migrator,
    postgres::{PgConnectOptions, PgDatabaseError, PgPoolOptions, PgSeverity},
};
use time::OffsetDateTime;

/// How long a request waits for a connection before the portal answers 503.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(3);

/// A pool of connections to the database at `options`; it connects when first used.
pub fn pool(options: PgConnectOptions, max_connections: u32) -> PgPool {
    let options = options.application_name("raccord");
    PgPoolOptions::new().max_connections(max_connections).acquire_timeout(ACQUIRE_TIMEOUT).connect_lazy_with(options)
}

/// A statement that waits for a lock, or works, for longer than this is ended: its request is
/// answered 503 and its connection is free for others. A transaction that its portal forgot (a
/// machine lost, say) is ended too, and its locks with it.
const SERVING_TIMEOUTS: [(&str, &str); 3] =
    [("lock_timeout", "2s"), ("statement_timeout", "15s"), ("idle_in_transaction_session_timeout", "5min")];

/// A pool to the same database as `pool`, for serving: there nobody waits for long. Migrations and
/// imports may.
pub fn serving_pool(pool_of_start: &PgPool, max_connections: u32) -> PgPool {
    let options = pool_of_start.connect_options().as_ref().clone();
    pool(options.options(SERVING_TIMEOUTS), max_connections)
}

/// Whether a database answers at `options`, and if not, why: a pool only tells that it waited in
/// vain.
///
/// # Errors
/// Why no connection could be made.
pub async fn try_connection(options: &PgConnectOptions) -> sqlx::Result<()> {
    PgConnection::connect_with(options).await?.close().await
}

/// Brings the database's schema up to date. Several instances may do so together: an advisory lock
/// makes them queue. Where there is nothing to do, no right to change the schema is needed.
///
/// # Errors
/// Where the database is out of reach, or its schema is not one of ours.
pub async fn migrate(pool: &PgPool) -> Result<(), sqlx::migrate::MigrateError> {
    let mut migrator = sqlx::migrate!();
    if is_up_to_date(pool, &migrator).await {
        return Ok(());
    }
    // During an upgrade, an instance of the version before may start on a schema that is already
    // the next one's.
    migrator.set_ignore_missing(true).run(pool).await
}

/// Whether every migration of ours was applied as it is written. What cannot be read is not.
async fn is_up_to_date(pool: &PgPool, migrator: &Migrator) -> bool {
    let applied = sqlx::query_as::<_, (i64, Vec<u8>)>("SELECT version, checksum FROM _sqlx_migrations WHERE success")
        .fetch_all(pool)
        .await;
    applied.is_ok_and(|applied| {
        migrator.iter().all(|ours| {
            applied.iter().any(|(version, checksum)| *version == ours.version && *checksum == ours.checksum.as_ref())
        })
    })
}

/// Whether the database answers.
///
/// # Errors
/// Where it does not.
pub async fn ping(pool: &PgPool) -> sqlx::Result<()> {
    sqlx::query!("SELECT 1 AS one").fetch_one(pool).await.map(|_| ())
}

/// Whether an error says that the database cannot serve now (gone, starting, closed, read-only,
/// full, out of connections), rather than that a statement is wrong: the request may be made again
/// later.
#[must_use]
pub fn is_unavailable(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed | sqlx::Error::Io(_) | sqlx::Error::Tls(_) => true,
        sqlx::Error::Database(error) if ended_the_connection(error.as_ref()) => true,
        // 08 connection, 25006 read-only, 25P03 idle for too long, 40 serialisation, 53 resources,
        // 55P03 lock not available, 57 operator's intervention, 58 system.
        sqlx::Error::Database(error) => error.code().is_some_and(|code| {
            ["08", "25006", "25P03", "40", "53", "55P03", "57", "58"].iter().any(|class| code.starts_with(class))
        }),
        _ => false,
    }
}

/// FATAL and PANIC: the connection is over, or none was let in (the database takes no connections,
/// was renamed, knows us no longer). No statement of ours brings that about.
fn ended_the_connection(error: &dyn DatabaseError) -> bool {
    let severity = error.try_downcast_ref::<PgDatabaseError>().map(PgDatabaseError::severity);
    matches!(severity, Some(PgSeverity::Fatal | PgSeverity::Panic))
}

/// Whether an error says that a text cannot be stored: PostgreSQL has no NUL character, and nobody
/// types one.
#[must_use]
pub fn is_unstorable_text(error: &sqlx::Error) -> bool {
    matches!(error, sqlx::Error::Database(error) if error.code().as_deref() == Some("22021"))
}

/// Whether an error is the violation of this constraint.
fn violates(error: &sqlx::Error, constraint: &str) -> bool {
    matches!(error, sqlx::Error::Database(error) if error.constraint() == Some(constraint))
}

/// The database's time, the only one that counts.
///
/// # Errors
/// Database errors.
pub async fn now(pool: &PgPool) -> sqlx::Result<OffsetDateTime> {
    sqlx::query_scalar!(r#"SELECT portal_now() AS "now!""#).fetch_one(pool).await
}
