//! Mails reminders of expiring passwords (rule 12): 60, 30, 7 and 1 days before, and on the day.

use std::collections::BTreeMap;

use sqlx::{PgConnection, PgPool};
use time::OffsetDateTime;

use crate::{
    db::{
        outbox::{self, Cause},
        transaction,
    },
    domain::{
        notification::{ExpiriesNotice, ExpiryNotice, Notification},
        structure_identifier::{IdentifierType, as_written},
        technical_user::NEAR_EXPIRY_DAYS,
        territory::Territory,
    },
};

/// Passwords that one mail names; it counts the others.
const NAMED: usize = 20;

/// Calendar days before the expiry on which reminders leave.
const DAYS_BEFORE: [i32; 5] = [NEAR_EXPIRY_DAYS, 30, 7, 1, 0];

/// Reminders written in one transaction.
const BATCH: i64 = 500;

/// Puts the due reminders into the outbox, each once even if several instances do so together.
/// After a pause of the service, only the most urgent reminder of each password is sent. Returns
/// the number of reminders.
///
/// # Errors
/// Database errors; the batches written before stay.
pub async fn remind(pool: &PgPool) -> sqlx::Result<usize> {
    let mut sent = 0;
    loop {
        let batch = remind_batch(pool).await?;
        sent += batch;
        if batch == 0 {
            return Ok(sent);
        }
    }
}

/// Leaves the reminder of the last day out, for a password that the operator ends: a mail of its
/// own says so.
///
/// # Errors
/// Database errors.
pub(super) async fn leave_out(conn: &mut PgConnection, technical_user_id: i64) -> sqlx::Result<()> {
    sqlx::query!(
        "INSERT INTO expiry_reminders (technical_user_id, credential_version, days_before)
         SELECT id, credential_version, 0 FROM technical_users WHERE id = $1 ON CONFLICT DO NOTHING",
        technical_user_id,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Sends one batch, and returns its size.
async fn remind_batch(pool: &PgPool) -> sqlx::Result<usize> {
    let mut tx = transaction::begin(pool).await?;
    let due = record_due(&mut tx).await?;
    let count = due.len();
    for (recipient, reminders) in by_recipient(due) {
        outbox::enqueue(&mut tx, Cause::Portal, &recipient, &notice_of(reminders)).await?;
    }
    tx.commit().await?;
    Ok(count)
}

/// The reminders of each recipient, in their order. A structure without a manager has none.
fn by_recipient(due: Vec<Reminder>) -> BTreeMap<String, Vec<Reminder>> {
    let mut reminders = BTreeMap::<String, Vec<Reminder>>::new();
    for reminder in due {
        if let Some(recipient) = reminder.contact_address.clone() {
            reminders.entry(recipient).or_default().push(reminder);
        }
    }
    reminders
}

/// One mail for all reminders of a recipient.
fn notice_of(mut reminders: Vec<Reminder>) -> Notification {
    if reminders.len() == 1 {
        return Notification::PasswordExpiring(reminders.remove(0).into());
    }
    Notification::PasswordsExpiring(ExpiriesNotice {
        first_at: reminders[0].expires_at,
        territory: reminders[0].territory(),
        accounts: reminders.iter().take(NAMED).map(Reminder::name).collect(),
        others: reminders.len().saturating_sub(NAMED),
    })
}

/// A reminder to send.
struct Reminder {
    id: i64,
    login: String,
    label: Option<String>,
    expires_at: OffsetDateTime,
    days_left: i32,
    designation: String,
    identifier_type: IdentifierType,
    identifier: String,
    postal_code: String,
    contact_address: Option<String>,
}

impl Reminder {
    /// `login (label)`.
    fn name(&self) -> String {
        match &self.label {
            Some(label) => format!("{} ({label})", self.login),
            None => self.login.clone(),
        }
    }

    fn territory(&self) -> Option<Territory> {
        Territory::of_structure(self.identifier_type, &self.postal_code)
    }
}

impl From<Reminder> for ExpiryNotice {
    fn from(reminder: Reminder) -> Self {
        let territory = reminder.territory();
        Self {
            technical_user_id: reminder.id,
            login: reminder.login,
            label: reminder.label,
            structure: reminder.designation,
            identifier: as_written(reminder.identifier_type.code(), &reminder.identifier),
            expires_at: reminder.expires_at,
            days_left: reminder.days_left,
            territory,
        }
    }
}

/// Records a batch of due reminders as sent, and returns them.
///
/// Calendar days count, so a reminder leaves on the morning of its day; that of the last day leaves
/// even if the password expired in the first minute. A password that lives for fewer days than a
/// reminder's notice gets no such reminder when it is created.
async fn record_due(conn: &mut PgConnection) -> sqlx::Result<Vec<Reminder>> {
    sqlx::query_as!(
        Reminder,
        r#"WITH ending AS (
               SELECT t.id, t.credential_version, t.password_set_at, t.expires_at,
                      (t.expires_at AT TIME ZONE 'Europe/Paris')::date - (portal_now() AT TIME ZONE 'Europe/Paris')::date AS days_left
                 FROM technical_users t
                WHERE t.status = 'ACTIVE'
                  AND t.expires_at BETWEEN portal_now() - interval '1 day' AND portal_now() + make_interval(days => $3 + 2)),
           due AS (
               SELECT e.id, e.credential_version,
                      (SELECT min(step) FROM unnest($2::integer[]) step WHERE step >= e.days_left AND e.days_left >= 0) AS days_before,
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
                  s.designation, s.identifier_type AS "identifier_type: IdentifierType", s.identifier, s.postal_code, a.contact_address AS "contact_address?"
             FROM reminded r
             JOIN technical_users t ON t.id = r.technical_user_id
             JOIN structures s ON s.id = t.structure_id
             LEFT JOIN technical_user_authority a ON a.technical_user_id = t.id
            ORDER BY t.expires_at, t.id"#,
        BATCH,
        &DAYS_BEFORE,
        NEAR_EXPIRY_DAYS,
    )
    .fetch_all(conn)
    .await
}
