//! The machine's clock, beside that of the database, which decides.

use sqlx::PgPool;
use time::{Duration, OffsetDateTime};

use super::finding::Finding;
use crate::db::health;

const ABOUT: &str = "clock";

/// How far apart the clocks may be: codes of second factors change every 30 s.
const CLOSE: Duration = Duration::seconds(5);
const FAR: Duration = Duration::seconds(60);

/// The pool's connection is open: to open it would take time.
pub(super) async fn examine(pool: &PgPool) -> Option<Finding> {
    let before = OffsetDateTime::now_utc();
    let seen = health::examine(pool).await.ok()?;
    let took = OffsetDateTime::now_utc() - before;
    Some(judge(seen.clock - (before + took / 2)))
}

fn judge(ahead: Duration) -> Finding {
    let seconds = ahead.as_seconds_f64();
    let found = format!(
        "the database's is {:.1} s {} this machine's",
        seconds.abs(),
        if seconds < 0.0 { "behind" } else { "ahead of" }
    );
    let mend = "let both machines follow a time server (NTP): the database's clock decides when things end";
    match ahead.abs() {
        apart if apart <= CLOSE => Finding::good(ABOUT, found),
        apart if apart <= FAR => Finding::warning(ABOUT, found, mend),
        _ => Finding::wrong(ABOUT, found, mend),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::doctor::finding::Health;

    #[test]
    fn clocks_may_differ_by_seconds() {
        assert_eq!(
            judge(Duration::milliseconds(-400)),
            Finding::good(ABOUT, "the database's is 0.4 s behind this machine's")
        );
        assert_eq!(judge(Duration::seconds(30)).health, Health::Warning);
        assert_eq!(judge(Duration::hours(-1)).health, Health::Wrong);
    }
}
