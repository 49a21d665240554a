//! Events of what a person does again and again, such as signing in and out. The first of a kind in
//! an hour are written at once; the others become one event for each network address, with their
//! number. Otherwise any person with an account could fill a history that is never shortened.

use sqlx::{PgConnection, PgPool};

use super::{Event, record};
use crate::db::transaction;

/// Events of a person and an action that are written at once in an hour.
const AT_ONCE: i64 = 100;

/// The network addresses of a person and an action that are kept apart in an hour. Further ones
/// count together.
const MOST_ADDRESSES: i64 = 8;

/// Writes the event, or counts it where many of the person and the action were written in this
/// hour. Events without a person are written.
///
/// # Errors
/// Database errors; the caller must then roll back.
pub async fn record_or_count(conn: &mut PgConnection, event: Event<'_>) -> sqlx::Result<()> {
    let Some(user_id) = event.actor.user_id else { return record(conn, event).await };
    end_hours(conn, Some(user_id)).await?;
    let is_written = sqlx::query_scalar!(
        r#"WITH hour AS (
               SELECT coalesce(sum(times), 0) < $4 AS is_written,
                      count(*) FILTER (WHERE address <> '') >= $5 AND NOT coalesce(bool_or(address = $3), false) AS is_another
                 FROM frequent_acts WHERE user_id = $1 AND action = $2),
           counted AS (
               INSERT INTO frequent_acts AS a (user_id, action, address, last_address, left_out)
               SELECT $1, $2, CASE WHEN is_another THEN '' ELSE $3 END, $3, (NOT is_written)::int FROM hour
                   ON CONFLICT (user_id, action, address) DO UPDATE SET times = a.times + 1,
                      left_out = a.left_out + excluded.left_out, last_address = excluded.last_address)
           SELECT is_written AS "is_written!" FROM hour"#,
        user_id,
        event.action.code(),
        event.actor.address,
        AT_ONCE,
        MOST_ADDRESSES,
    )
    .fetch_one(&mut *conn)
    .await?;
    if is_written { record(conn, event).await } else { Ok(()) }
}

/// Ends the hours that are over: of one person, or of all. What was counted becomes one event for
/// each address. Rows that another transaction ends are left to it.
async fn end_hours(conn: &mut PgConnection, user_id: Option<i64>) -> sqlx::Result<()> {
    sqlx::query!(
        "WITH ended AS (
             DELETE FROM frequent_acts WHERE (user_id, action, address) IN (
                    SELECT user_id, action, address FROM frequent_acts
                     WHERE (user_id, action) IN (
                           SELECT user_id, action FROM frequent_acts
                            WHERE first_at <= portal_now() - interval '1 hour' AND user_id = coalesce($1, user_id))
                       FOR UPDATE SKIP LOCKED)
             RETURNING user_id, action, last_address, left_out, first_at)
         INSERT INTO audit_events (actor_id, actor, address, action, detail)
         SELECT e.user_id, u.login, e.last_address, e.action,
                CASE e.left_out WHEN 1 THEN $2 ELSE replace($3, '{}', e.left_out::text) END
           FROM ended e JOIN users u ON u.id = e.user_id WHERE e.left_out > 0 ORDER BY e.first_at",
        user_id,
        "1 autre fois",
        "{} autres fois",
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Ends the hours that are over.
pub(in crate::db) async fn sweep(pool: &PgPool) -> sqlx::Result<()> {
    let mut tx = transaction::begin(pool).await?;
    end_hours(&mut tx, None).await?;
    tx.commit().await
}
