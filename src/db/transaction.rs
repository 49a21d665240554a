//! Transactions that no cancelled request leaves open.

use sqlx::{PgPool, Postgres, Transaction};
use tokio::spawn;

/// Begins a transaction; it is rolled back where it is dropped.
///
/// A request ends at any point of its work where its client goes or its time is over. If that were
/// while sqlx 0.9 waits for the answer to `BEGIN`, the connection would go back to the pool with a
/// transaction open: later acts on it would not be committed, and after its first error every
/// statement on it would fail. So the beginning is a task of its own, which always ends.
///
/// # Errors
/// Database errors.
pub async fn begin(pool: &PgPool) -> sqlx::Result<Transaction<'static, Postgres>> {
    begin_with(pool, "BEGIN").await
}

/// The same for a transaction that only reads, and whose statements all see the same state.
///
/// # Errors
/// Database errors.
pub async fn begin_reading(pool: &PgPool) -> sqlx::Result<Transaction<'static, Postgres>> {
    begin_with(pool, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await
}

async fn begin_with(pool: &PgPool, statement: &'static str) -> sqlx::Result<Transaction<'static, Postgres>> {
    let pool = pool.clone();
    let begun = spawn(async move { pool.begin_with(statement).await });
    // The runtime itself is about to end.
    begun.await.unwrap_or(Err(sqlx::Error::PoolClosed))
}
