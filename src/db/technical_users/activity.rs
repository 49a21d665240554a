//! How often an account called, by day and by month. Calls are counted in `api/call_log.rs`.

use sqlx::PgPool;
use time::OffsetDateTime;

use super::ManagedTechnicalUser;

/// The calls of an account.
#[derive(Clone, Debug)]
pub struct Activity {
    /// The last 30 days, the oldest first; the last one is today.
    pub days: Vec<CallCount>,
    /// The last 14 months, the oldest first; the last one is the present one.
    pub months: Vec<CallCount>,
    /// The day on which counting began, if the account is older.
    pub counted_since: Option<OffsetDateTime>,
}

/// The calls of a day or of a month.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CallCount {
    /// Its beginning in Paris.
    pub from: OffsetDateTime,
    pub accepted: i64,
    pub refused: i64,
}

/// Reads the activity of an account.
///
/// # Errors
/// Database errors.
pub(super) async fn read(pool: &PgPool, account: &ManagedTechnicalUser) -> sqlx::Result<Activity> {
    let days = sqlx::query_as!(
        CallCount,
        r#"SELECT d.day AT TIME ZONE 'Europe/Paris' AS "from!", coalesce(c.accepted, 0) AS "accepted!", coalesce(c.refused, 0) AS "refused!"
             FROM (SELECT date_trunc('day', portal_now() AT TIME ZONE 'Europe/Paris') AS today) t
            CROSS JOIN LATERAL generate_series(t.today - interval '29 days', t.today, interval '1 day') d (day)
             LEFT JOIN daily_calls c ON c.technical_user_id = $1 AND c.day = d.day::date
            ORDER BY d.day"#,
        account.id(),
    )
    .fetch_all(pool)
    .await?;
    let months = sqlx::query_as!(
        CallCount,
        r#"SELECT m.month AT TIME ZONE 'Europe/Paris' AS "from!", coalesce(sum(c.accepted), 0)::bigint AS "accepted!",
                  coalesce(sum(c.refused), 0)::bigint AS "refused!"
             FROM (SELECT date_trunc('month', portal_now() AT TIME ZONE 'Europe/Paris') AS this_month) t
            CROSS JOIN LATERAL generate_series(t.this_month - interval '13 months', t.this_month, interval '1 month') m (month)
             LEFT JOIN daily_calls c
                    ON c.technical_user_id = $1 AND c.day >= m.month::date AND c.day < (m.month + interval '1 month')::date
            GROUP BY m.month ORDER BY m.month"#,
        account.id(),
    )
    .fetch_all(pool)
    .await?;
    let counted_since = counted_since(pool, account).await?;
    Ok(Activity { days, months, counted_since })
}

async fn counted_since(pool: &PgPool, account: &ManagedTechnicalUser) -> sqlx::Result<Option<OffsetDateTime>> {
    let since = sqlx::query_scalar!(
        r#"SELECT value::timestamp AT TIME ZONE 'Europe/Paris' AS "since!" FROM portal_facts
            WHERE name = 'calls_counted_since'
              AND value::timestamp > (portal_now() AT TIME ZONE 'Europe/Paris') - interval '14 months'"#
    );
    Ok(since.fetch_optional(pool).await?.filter(|since| account.account().created_at < *since))
}
