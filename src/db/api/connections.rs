//! The connections of calls. sqlx asks a connection for a sign of life each time that it is given
//! back to the pool, and has no setting for that: under load, one round trip in two would be such a
//! question. So a connection that has just served a call waits at hand for the next one, and goes
//! back to the pool once it rests.

use std::{
    fmt,
    mem::replace,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use futures_util::{
    FutureExt, StreamExt, TryFutureExt, TryStreamExt,
    future::BoxFuture,
    stream::{self, BoxStream},
};
use sqlx::{
    Describe, Either, Execute, Executor, PgPool, Postgres, SqlStr,
    pool::PoolConnection,
    postgres::{PgQueryResult, PgRow, PgStatement, PgTypeInfo},
};

/// So long after it left the pool, a connection goes back, whether or not calls still use it: the
/// pool tries it, replaces it where it is old, and gives it to whoever else waits.
const LONGEST_OUT: Duration = Duration::from_millis(100);

/// A pool whose statements use connections at hand first. A clone shares them.
#[derive(Clone)]
pub struct Connections {
    pool: PgPool,
    at_hand: Arc<Mutex<AtHand>>,
}

#[derive(Default)]
struct AtHand {
    /// The one that was used last is the last one.
    resting: Vec<Taken>,
    /// Calls that wait for the pool. While there are any, connections go back to it: it knows whose
    /// turn it is.
    waiting: usize,
    /// Whether a task gives back those that rest.
    is_watched: bool,
}

/// A connection of the pool. Dropped, it goes back: so it does where a statement fails, or where
/// its caller does not wait for its end.
struct Taken {
    connection: PoolConnection<Postgres>,
    since: Instant,
}

impl Taken {
    fn is_due_back(&self) -> bool {
        self.since.elapsed() >= LONGEST_OUT
    }
}

impl fmt::Debug for Connections {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Connections").field(&self.pool).finish()
    }
}

impl From<PgPool> for Connections {
    fn from(pool: PgPool) -> Self {
        Self { pool, at_hand: Arc::default() }
    }
}

/// A call that waits for the pool; dropped, it waits no more.
struct Waiting<'a>(&'a Connections);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.at_hand().waiting -= 1;
    }
}

impl Connections {
    fn at_hand(&self) -> MutexGuard<'_, AtHand> {
        self.at_hand.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn take(&self) -> sqlx::Result<Taken> {
        // Under one lock, so that none is put down between the look and the wait.
        let _waiting = {
            let mut at_hand = self.at_hand();
            let last = at_hand.resting.pop();
            if let Some(taken) = last.filter(|taken| !taken.is_due_back()) {
                return Ok(taken);
            }
            at_hand.waiting += 1;
            Waiting(self)
        };
        let connection = self.pool.acquire().await?;
        Ok(Taken { connection, since: Instant::now() })
    }

    /// Puts a connection at hand whose statement has ended well.
    fn put_down(&self, taken: Taken) {
        let mut at_hand = self.at_hand();
        if at_hand.waiting > 0 || taken.is_due_back() {
            drop(at_hand);
            return drop(taken);
        }
        at_hand.resting.push(taken);
        if !replace(&mut at_hand.is_watched, true) {
            tokio::spawn(self.clone().give_back_those_that_rest());
        }
    }

    /// Ends when none is at hand.
    async fn give_back_those_that_rest(self) {
        let mut is_watched = true;
        while is_watched {
            tokio::time::sleep(LONGEST_OUT).await;
            let mut at_hand = self.at_hand();
            at_hand.resting.retain(|taken| !taken.is_due_back());
            is_watched = !at_hand.resting.is_empty();
            at_hand.is_watched = is_watched;
        }
    }
}

impl<'c> Executor<'c> for &'c Connections {
    type Database = Postgres;

    /// Reads all rows first, so that the connection is free before they are used.
    fn fetch_many<'e, 'q: 'e, E>(self, query: E) -> BoxStream<'e, sqlx::Result<Either<PgQueryResult, PgRow>>>
    where
        'c: 'e,
        E: 'q + Execute<'q, Postgres>,
    {
        let read = async move {
            let mut taken = self.take().await?;
            let found: Vec<_> = taken.connection.fetch_many(query).try_collect().await?;
            self.put_down(taken);
            Ok(stream::iter(found.into_iter().map(Ok)))
        };
        read.try_flatten_stream().boxed()
    }

    fn fetch_all<'e, 'q: 'e, E>(self, query: E) -> BoxFuture<'e, sqlx::Result<Vec<PgRow>>>
    where
        'c: 'e,
        E: 'q + Execute<'q, Postgres>,
    {
        async move {
            let mut taken = self.take().await?;
            let found = taken.connection.fetch_all(query).await?;
            self.put_down(taken);
            Ok(found)
        }
        .boxed()
    }

    fn fetch_optional<'e, 'q: 'e, E>(self, query: E) -> BoxFuture<'e, sqlx::Result<Option<PgRow>>>
    where
        'c: 'e,
        E: 'q + Execute<'q, Postgres>,
    {
        async move {
            let mut taken = self.take().await?;
            let found = taken.connection.fetch_optional(query).await?;
            self.put_down(taken);
            Ok(found)
        }
        .boxed()
    }

    fn prepare_with<'e>(self, sql: SqlStr, parameters: &'e [PgTypeInfo]) -> BoxFuture<'e, sqlx::Result<PgStatement>>
    where
        'c: 'e,
    {
        async move { self.take().await?.connection.prepare_with(sql, parameters).await }.boxed()
    }

    fn describe<'e>(self, sql: SqlStr) -> BoxFuture<'e, sqlx::Result<Describe<Postgres>>>
    where
        'c: 'e,
    {
        async move { self.take().await?.connection.describe(sql).await }.boxed()
    }
}
