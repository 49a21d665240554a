//! All SQL statements. Each table has one home, as `docs/architecture.md` says; each act is one
//! statement or one transaction. Audit events and mails are written in the transaction of the
//! operation that they report.

pub mod api;
pub mod audit;
pub mod availability;
mod codes;
pub mod demo;
pub mod health;
pub mod identity;
pub mod key_names;
pub mod members;
pub mod outbox;
pub mod page_data;
pub mod refused_addresses;
pub mod serving_role;
pub mod statistics;
pub mod structures;
pub mod technical_users;
pub mod throttles;
pub mod transaction;
pub mod upkeep;

use std::time::Duration;

use sqlx::{
    Connection, PgPool,
    migrate::{Migrate, MigrateError, Migrator},
    postgres::{PgConnectOptions, PgPoolOptions},
};
use time::OffsetDateTime;
use tokio::time::sleep;

/// How long a request waits for a connection before it is answered 503.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(3);

/// A connection that rested longer is tried before it is used, and replaced where the database has
/// closed it meanwhile. One round trip in three of a busy portal would be such a trial; where there
/// are so few requests that connections rest, it costs nothing that counts.
const TRIED_AFTER: Duration = Duration::from_millis(100);

/// The schema of the tables, with temporary tables after it: no setting of a role or a database,
/// and no table of a session, changes what a name of our statements means. A URL whose `options`
/// name another `search_path` keeps that one.
const SEARCH_PATH: (&str, &str) = ("search_path", "public,pg_temp");

fn pinned(options: PgConnectOptions) -> PgConnectOptions {
    let is_named = options.get_options().is_some_and(|named| named.contains(SEARCH_PATH.0));
    if is_named { options } else { options.options([SEARCH_PATH]) }
}

/// A connection pool; it connects at first use. A standby is no database to it: a request waits for
/// the primary until [`ACQUIRE_TIMEOUT`].
pub fn pool(options: PgConnectOptions, max_connections: u32) -> PgPool {
    let options = pinned(options.application_name("raccord"));
    PgPoolOptions::new()
        .max_connections(max_connections)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .after_connect(|connection, _| Box::pin(availability::require_primary(connection)))
        .test_before_acquire(false)
        .before_acquire(|connection, its| {
            Box::pin(async move {
                if its.idle_for > TRIED_AFTER {
                    connection.ping().await?;
                }
                Ok(true)
            })
        })
        .connect_lazy_with(options)
}

/// PostgreSQL cancels a statement that waits for a lock, or runs, for longer than this: its request
/// is answered 503 and its connection is free again. It also ends a transaction whose client no
/// longer responds, and releases its locks. It does not compile statements: that takes longer than
/// they do.
const SERVING_OPTIONS: [(&str, &str); 4] = [
    ("lock_timeout", "2s"),
    ("statement_timeout", "15s"),
    ("idle_in_transaction_session_timeout", "5min"),
    ("jit", "off"),
];

/// The connections of a service. None of these waits for another's.
pub struct Pools {
    /// Pages of people who are signed in, mails, upkeep.
    pub portal: PgPool,
    /// Sign-in and requests for links: what any stranger may ask for.
    pub strangers: PgPool,
    /// Calls of the API.
    pub api: PgPool,
}

impl From<PgPool> for Pools {
    /// One pool for all.
    fn from(pool: PgPool) -> Self {
        Self { portal: pool.clone(), strangers: pool.clone(), api: pool }
    }
}

/// Pools to the same database with [`SERVING_OPTIONS`], which have `max_connections` together: the
/// API 60 %, strangers 15 %. Where there are too few for three, strangers use the portal's.
/// Migrations and imports, which take longer, use `pool_of_start` itself.
pub fn serving_pools(pool_of_start: &PgPool, max_connections: u32) -> Pools {
    let options = pool_of_start.connect_options().as_ref().clone().options(SERVING_OPTIONS);
    let for_api = (max_connections * 3 / 5).max(1);
    let for_strangers = max_connections * 3 / 20;
    let for_portal = max_connections.saturating_sub(for_api + for_strangers).max(1);
    let portal = pool(options.clone(), for_portal);
    let strangers = if for_strangers == 0 { portal.clone() } else { pool(options.clone(), for_strangers) };
    Pools { portal, strangers, api: pool(options, for_api) }
}

/// Instances of the version before go on serving while a migration runs. Requests wait behind a
/// migration that waits for a table, and the two may wait for each other. So the migration gives up
/// soon, before PostgreSQL ends a request, and begins again.
const MIGRATION_LOCK_TIMEOUT: &str = "SET lock_timeout = '500ms'";
/// Requests that waited are served between two tries.
const MIGRATION_PAUSE: Duration = Duration::from_secs(1);
/// A table may be read for some minutes, by a large export.
const MIGRATION_TRIES: u32 = 600;

/// Applies the pending migrations. Several instances may do so at once: an advisory lock serialises
/// them. Where none is pending, no right to change the schema is needed.
///
/// # Errors
/// The database is unreachable, or a migration that was applied differs from this version's.
pub async fn migrate(pool: &PgPool) -> Result<(), MigrateError> {
    let mut migrator = sqlx::migrate!();
    if is_up_to_date(pool, &migrator).await {
        return Ok(());
    }
    // During an upgrade, an instance of the previous version may start on the schema of the next.
    migrator.set_ignore_missing(true);
    migrator.set_locking(false);
    for _ in 1..MIGRATION_TRIES {
        match migrate_once(pool, &migrator).await {
            Err(MigrateError::ExecuteMigration(error, version)) if waited_in_vain(&error) => {
                tracing::warn!(version, "requests use what a migration changes: it begins again");
                sleep(MIGRATION_PAUSE).await;
            }
            migrated => return migrated,
        }
    }
    migrate_once(pool, &migrator).await
}

/// On a connection that is closed afterwards: where a migration fails, it still has the lock.
/// Another instance's migrations are waited for as long as they take.
async fn migrate_once(pool: &PgPool, migrator: &Migrator) -> Result<(), MigrateError> {
    let mut connection = pool.acquire().await?.detach();
    connection.lock().await?;
    sqlx::query(MIGRATION_LOCK_TIMEOUT).execute(&mut connection).await?;
    migrator.run(&mut connection).await
}

/// Whether every migration was applied with its present checksum. False where that cannot be read.
async fn is_up_to_date(pool: &PgPool, migrator: &Migrator) -> bool {
    let applied = applied_migrations(pool).await;
    migrator.iter().all(|ours| {
        applied.iter().any(|(version, checksum)| *version == ours.version && *checksum == ours.checksum.as_ref())
    })
}

/// How many migrations of this version the database lacks: all of them where it has no table of
/// them.
pub async fn pending_migrations(pool: &PgPool) -> usize {
    let applied = applied_migrations(pool).await;
    let migrator = sqlx::migrate!();
    migrator.iter().filter(|ours| applied.iter().all(|(version, _)| *version != ours.version)).count()
}

/// Version and checksum of each applied migration; none where that cannot be read.
async fn applied_migrations(pool: &PgPool) -> Vec<(i64, Vec<u8>)> {
    let applied = sqlx::query_as("SELECT version, checksum FROM _sqlx_migrations WHERE success").fetch_all(pool).await;
    applied.unwrap_or_default()
}

/// Whether an error means that a text cannot be stored: PostgreSQL has no NUL character.
#[must_use]
pub fn is_unstorable_text(error: &sqlx::Error) -> bool {
    matches!(error, sqlx::Error::Database(error) if error.code().as_deref() == Some("22021"))
}

/// Whether PostgreSQL ended a statement that waited for a lock: for too long, or in a deadlock.
fn waited_in_vain(error: &sqlx::Error) -> bool {
    matches!(error, sqlx::Error::Database(error) if matches!(error.code().as_deref(), Some("55P03" | "40P01")))
}

/// Whether an error is a violation of this constraint.
fn violates(error: &sqlx::Error, constraint: &str) -> bool {
    matches!(error, sqlx::Error::Database(error) if error.constraint() == Some(constraint))
}

/// The database's clock, the only one that is used.
///
/// # Errors
/// Database errors.
pub async fn now(pool: &PgPool) -> sqlx::Result<OffsetDateTime> {
    sqlx::query_scalar!(r#"SELECT portal_now() AS "now!""#).fetch_one(pool).await
}
