//! Every SQL statement of the portal: one file per family of tables, each public function one statement or one
//! transaction. An act writes its audit event and its mails in its own transaction.

pub mod api;
pub mod audit;
pub mod calendars;
pub mod demo;
pub mod directory;
pub mod envelopes;
pub mod former_passwords;
pub mod invitations;
pub mod members;
pub mod membership_requests;
pub mod memberships;
pub mod outbox;
pub mod overview;
pub mod people;
pub mod reminders;
pub mod second_factors;
pub mod secrets;
pub mod session_store;
pub mod sessions;
pub mod structures;
pub mod succession;
pub mod technical_users;
pub mod throttles;
pub mod upkeep;
pub mod users;

use std::time::Duration;

use sqlx::{
    Connection, PgConnection, PgPool,
    postgres::{PgConnectOptions, PgPoolOptions},
};

/// How long a request waits for a connection before the portal answers 503.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(3);

/// A pool of connections to the database at `options`; it connects when first used.
pub fn pool(options: PgConnectOptions, max_connections: u32) -> PgPool {
    let options = options.application_name("raccord");
    PgPoolOptions::new().max_connections(max_connections).acquire_timeout(ACQUIRE_TIMEOUT).connect_lazy_with(options)
}

/// Whether a database answers at `options`, and if not, why: a pool only tells that it waited in vain.
///
/// # Errors
/// Why no connection could be made.
pub async fn try_connection(options: &PgConnectOptions) -> sqlx::Result<()> {
    PgConnection::connect_with(options).await?.close().await
}

/// Brings the database's schema up to date. Several instances may do so together: an advisory lock makes them queue.
///
/// # Errors
/// Where the database is out of reach, or its schema is not one of ours.
pub async fn migrate(pool: &PgPool) -> Result<(), sqlx::migrate::MigrateError> {
    sqlx::migrate!().run(pool).await
}

/// Whether the database answers.
///
/// # Errors
/// Where it does not.
pub async fn ping(pool: &PgPool) -> sqlx::Result<()> {
    sqlx::query!("SELECT 1 AS one").fetch_one(pool).await.map(|_| ())
}

/// Whether an error says that the database cannot serve now (gone, starting, read-only, full, out of connections), rather
/// than that a statement is wrong: the request may be made again later.
#[must_use]
pub fn is_unavailable(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed | sqlx::Error::Io(_) | sqlx::Error::Tls(_) => true,
        // 08 connection, 25006 read-only, 40 serialisation, 53 resources, 57 operator's intervention, 58 system.
        sqlx::Error::Database(error) => error
            .code()
            .is_some_and(|code| ["08", "25006", "40", "53", "57", "58"].iter().any(|class| code.starts_with(class))),
        _ => false,
    }
}

/// Whether an error says that a text cannot be stored: PostgreSQL has no NUL character, and nobody types one.
#[must_use]
pub fn is_unstorable_text(error: &sqlx::Error) -> bool {
    matches!(error, sqlx::Error::Database(error) if error.code().as_deref() == Some("22021"))
}

/// Whether an error is the violation of this constraint.
fn violates(error: &sqlx::Error, constraint: &str) -> bool {
    matches!(error, sqlx::Error::Database(error) if error.constraint() == Some(constraint))
}
