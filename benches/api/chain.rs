//! What the audit chain costs: acts at once, with the chain as it is, and with its commits not
//! waiting for the disk.

use std::time::{Duration, Instant};

use sqlx::PgPool;

/// Acts at once.
const AT_ONCE: usize = 50;
const LASTING: Duration = Duration::from_secs(3);
/// The smallest act: one event.
const EVENT: &str = "INSERT INTO audit_events (actor, address, action, subject, detail)
                     VALUES ('mesure', '', 'SIGNED_OUT', 'mesure', '')";

/// Acts a second with these settings of each connection.
pub async fn acts_per_second(pool: &PgPool, settings: &'static str) -> u64 {
    let end = Instant::now() + LASTING;
    let actors: Vec<_> = (0..AT_ONCE).map(|_| tokio::spawn(act_until(pool.clone(), settings, end))).collect();
    let mut acts = 0;
    for actor in actors {
        acts += actor.await.expect("no panic");
    }
    acts / LASTING.as_secs()
}

async fn act_until(pool: PgPool, settings: &'static str, end: Instant) -> u64 {
    let mut conn = pool.acquire().await.expect("a connection");
    sqlx::raw_sql(settings).execute(&mut *conn).await.expect("sound settings");
    let mut acts = 0;
    while Instant::now() < end {
        sqlx::query(EVENT).execute(&mut *conn).await.expect("an event");
        acts += 1;
    }
    acts
}
