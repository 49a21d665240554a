//! Mails that remind of expiring passwords (rule 12): 60, 30, 7 and 1 days before, and on the day.

use sqlx::{PgConnection, PgPool};
use time::OffsetDateTime;

use crate::{
    db::outbox,
    domain::notification::{ExpiryNotice, Notification},
};

/// Reminders written in one transaction.
const BATCH: i64 = 500;

/// Puts the reminders that are due into the outbox, and returns their number. Each is sent once,
/// also if several instances do this at the same time. After an interruption of the service, only
/// the most urgent reminder of each password is sent.
///
/// # Errors
/// Database errors; earlier batches stay committed.
pub async fn remind(pool: &PgPool) -> sqlx::Result<usize> {
    let mut sent = 0;
    loop {
        let batch = remind_some(pool).await?;
        sent += batch;
        if batch == 0 {
            return Ok(sent);
        }
    }
}

async fn remind_some(pool: &PgPool) -> sqlx::Result<usize> {
    let mut tx = pool.begin().await?;
    let due = due(&mut tx).await?;
    let count = due.len();
    for reminder in due {
        let DueReminder { id, login, label, expires_at, days_left, designation, identifier, contact_address } =
            reminder;
        // Without a principal manager, there is no address.
        let Some(recipient) = contact_address else { continue };
        let notice = ExpiryNotice {
            technical_user_id: id,
            login,
            label,
            structure: designation,
            identifier,
            expires_at,
            days_left,
        };
        outbox::enqueue(&mut tx, &recipient, &Notification::PasswordExpiring(notice)).await?;
    }
    tx.commit().await?;
    Ok(count)
}

struct DueReminder {
    id: i64,
    login: String,
    label: Option<String>,
    expires_at: OffsetDateTime,
    days_left: i32,
    designation: String,
    identifier: String,
    /// `None` if the structure has no principal manager.
    contact_address: Option<String>,
}

/// Marks reminders as sent and returns them, at most [`BATCH`].
///
/// Counts calendar days, so that a reminder is sent on the morning of its day. The one of the last
/// day is sent even if the password expired in the first minute of that day. A password whose
/// lifetime is shorter than a notice does not get that notice.
async fn due(conn: &mut PgConnection) -> sqlx::Result<Vec<DueReminder>> {
    sqlx::query_as!(
        DueReminder,
        r#"WITH ending AS (
               SELECT t.id, t.credential_version, t.password_set_at, t.expires_at,
                      (t.expires_at AT TIME ZONE 'Europe/Paris')::date - (portal_now() AT TIME ZONE 'Europe/Paris')::date AS days_left
                 FROM technical_users t
                WHERE t.status = 'ACTIVE'
                  AND t.expires_at BETWEEN portal_now() - interval '1 day' AND portal_now() + interval '62 days'),
           due AS (
               SELECT e.id, e.credential_version,
                      (SELECT min(step) FROM unnest('{60,30,7,1,0}'::integer[]) step WHERE step >= e.days_left AND e.days_left >= 0) AS days_before,
                      e.password_set_at, e.expires_at
                 FROM ending e),
           reminded AS (
               INSERT INTO expiry_reminders (technical_user_id, credential_version, days_before)
               SELECT d.id, d.credential_version, d.days_before FROM due d
                WHERE d.days_before IS NOT NULL AND d.expires_at - d.password_set_at > make_interval(days => d.days_before)
                  AND NOT EXISTS (SELECT FROM expiry_reminders r WHERE r.technical_user_id = d.id
                                     AND r.credential_version = d.credential_version AND r.days_before = d.days_before)
                ORDER BY d.expires_at, d.id LIMIT $1
               ON CONFLICT DO NOTHING
               RETURNING technical_user_id)
           SELECT t.id, t.login, t.label, t.expires_at, greatest(days_until(t.expires_at), 0) AS "days_left!",
                  s.designation, s.identifier, a.contact_address AS "contact_address?"
             FROM reminded r
             JOIN technical_users t ON t.id = r.technical_user_id
             JOIN structures s ON s.id = t.structure_id
             LEFT JOIN technical_user_authority a ON a.technical_user_id = t.id
            ORDER BY t.expires_at, t.id"#,
        BATCH,
    )
    .fetch_all(conn)
    .await
}
