//! Opens the passwords of a batch for its files.

use sqlx::{PgConnection, PgPool};
use time::OffsetDateTime;
use tokio::task;

use crate::{
    db::{
        audit::{self, Event},
        identity::locks,
        technical_users::{
            record_each,
            sheet_facts::{self, SheetFacts},
        },
        transaction,
    },
    domain::{
        age::Recipient,
        audit::{Action, Actor},
        envelope::{EnvelopeSubject, LIFETIME, SealedPassword, SessionSecret},
        password::Password,
    },
};

/// The passwords of a batch, opened for a file.
pub struct Export {
    /// In the order of the form.
    pub accounts: Vec<ExportedAccount>,
    pub at: OffsetDateTime,
}

/// An account with its password.
pub struct ExportedAccount {
    pub id: i64,
    pub password: Password,
    pub facts: SheetFacts,
}

/// Who exports which batch.
#[derive(Clone, Copy)]
pub struct Exporter<'a> {
    pub actor: &'a Actor,
    pub manager_id: i64,
    pub session: &'a SessionSecret,
    pub batch_id: i64,
}

/// What the passwords are exported to.
#[derive(Clone, Copy)]
pub enum ExportForm {
    Sheets,
    File,
    /// The file, for the recipient alone.
    EncryptedFile(Recipient),
}

impl ExportForm {
    /// In the history.
    fn words(self) -> String {
        match self {
            Self::Sheets => "fiches (PDF)".to_owned(),
            Self::File => "fichier (CSV)".to_owned(),
            Self::EncryptedFile(recipient) => format!("fichier chiffré pour {recipient}"),
        }
    }
}

/// Opens what the session can open of a finished batch, and records that its person has seen it.
/// From the first export on, the envelopes last for ten minutes. `None` where nothing can be
/// opened. The events name the `form`.
///
/// # Errors
/// Database errors.
pub async fn open(pool: &PgPool, exporter: Exporter<'_>, form: ExportForm) -> sqlx::Result<Option<Export>> {
    let mut tx = transaction::begin(pool).await?;
    let Some(batch) = lock(&mut tx, exporter).await? else { return Ok(None) };
    let accounts = opened(&mut tx, exporter).await?;
    if accounts.is_empty() {
        return Ok(None);
    }
    let ids: Vec<i64> = accounts.iter().map(|account| account.id).collect();
    mark(&mut tx, &ids).await?;
    if batch.is_first {
        shorten(&mut tx, exporter.batch_id).await?;
    }
    record(&mut tx, exporter, form, (&ids, batch.is_first)).await?;
    tx.commit().await?;
    Ok(Some(Export { accounts, at: batch.at }))
}

struct Locked {
    at: OffsetDateTime,
    /// Whether nothing was exported before.
    is_first: bool,
}

/// Locks the structures, then the batch, as every act does that locks several.
async fn lock(conn: &mut PgConnection, exporter: Exporter<'_>) -> sqlx::Result<Option<Locked>> {
    sqlx::query!(
        "SELECT id FROM structures
          WHERE id IN (SELECT structure_id FROM batch_items i JOIN batches b ON b.id = i.batch_id
                        WHERE b.id = $1 AND b.manager_id = $2)
          ORDER BY id FOR NO KEY UPDATE",
        exporter.batch_id,
        exporter.manager_id,
    )
    .fetch_all(&mut *conn)
    .await?;
    if !locks::holds_session(&mut *conn, exporter.manager_id, &exporter.session.digest()).await? {
        return Ok(None);
    }
    sqlx::query_as!(
        Locked,
        r#"SELECT exported_at IS NULL AS "is_first!", portal_now() AS "at!" FROM batches
            WHERE id = $1 AND manager_id = $2 AND finished_at IS NOT NULL FOR NO KEY UPDATE"#,
        exporter.batch_id,
        exporter.manager_id,
    )
    .fetch_optional(conn)
    .await
}

/// The accounts whose envelopes the session opens, while the person is still their structures'
/// principal manager.
async fn opened(conn: &mut PgConnection, exporter: Exporter<'_>) -> sqlx::Result<Vec<ExportedAccount>> {
    let rows = sqlx::query!(
        r#"SELECT e.credential_version, e.sealed, e.technical_user_id
             FROM envelopes e JOIN batch_items i ON i.batch_id = e.batch_id AND i.technical_user_id = e.technical_user_id
             JOIN technical_users t ON t.id = e.technical_user_id
            WHERE e.batch_id = $1 AND e.manager_id = $2 AND e.session_hash = $3 AND e.expires_at > portal_now()
              AND t.credential_version = e.credential_version
            ORDER BY i.position"#,
        exporter.batch_id,
        exporter.manager_id,
        exporter.session.digest(),
    )
    .fetch_all(&mut *conn)
    .await?;
    let ids: Vec<i64> = rows.iter().map(|row| row.technical_user_id).collect();
    let mut facts = sheet_facts::read(conn, exporter.manager_id, &ids).await?;
    let mut opened = Vec::with_capacity(rows.len());
    for row in rows {
        let id = row.technical_user_id;
        let subject = EnvelopeSubject {
            technical_user_id: id,
            credential_version: row.credential_version,
            manager_id: exporter.manager_id,
        };
        let password = SealedPassword::from_stored(row.sealed).open(exporter.session, subject);
        if let (Some(password), Some(facts)) = (password, facts.remove(&id)) {
            opened.push(ExportedAccount { id, password, facts });
        }
        // Hundreds of microseconds each: others of this thread have their turn between two.
        task::yield_now().await;
    }
    Ok(opened)
}

/// Whoever has the file knows the passwords, as if they had been displayed. At the first export
/// both times are the same, by which the account's page knows that they were not.
async fn mark(conn: &mut PgConnection, ids: &[i64]) -> sqlx::Result<()> {
    sqlx::query!(
        "UPDATE technical_users SET password_exported_at = coalesce(password_exported_at, portal_now()),
                password_shown_at = coalesce(password_shown_at, portal_now())
          WHERE id IN (SELECT id FROM technical_users WHERE id = ANY ($1) ORDER BY id FOR NO KEY UPDATE)",
        ids,
    )
    .execute(conn)
    .await?;
    Ok(())
}

async fn shorten(conn: &mut PgConnection, batch_id: i64) -> sqlx::Result<()> {
    sqlx::query!("UPDATE batches SET exported_at = portal_now() WHERE id = $1", batch_id).execute(&mut *conn).await?;
    sqlx::query!(
        "UPDATE envelopes SET expires_at = least(expires_at, portal_now() + $2::interval)
          WHERE technical_user_id IN (
                SELECT technical_user_id FROM envelopes WHERE batch_id = $1 ORDER BY technical_user_id FOR UPDATE)",
        batch_id,
        LIFETIME as _,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// An event for each account at the first export, and one for all at those that follow.
async fn record(
    conn: &mut PgConnection,
    exporter: Exporter<'_>,
    form: ExportForm,
    (ids, is_first): (&[i64], bool),
) -> sqlx::Result<()> {
    let Exporter { actor, batch_id, .. } = exporter;
    let detail = format!("lot n°\u{a0}{batch_id}, {}", form.words());
    if !is_first {
        let detail = format!("{detail}, {} comptes, de nouveau", ids.len());
        return audit::record(conn, Event { detail: &detail, ..Event::of(actor, Action::PasswordExported) }).await;
    }
    record_each(conn, actor, Action::PasswordExported, ids, &detail).await
}

/// The active accounts of a finished batch whose passwords the session can hand over. Where there
/// are none, those of the whole batch: a form that is sent again finds the link that it made.
///
/// # Errors
/// Database errors.
pub async fn to_hand_over(pool: &PgPool, exporter: Exporter<'_>) -> sqlx::Result<Vec<i64>> {
    sqlx::query_scalar!(
        r#"WITH done AS (
               SELECT i.technical_user_id, e.technical_user_id IS NOT NULL AS is_waiting
                 FROM batches b JOIN batch_items i ON i.batch_id = b.id AND i.done_at IS NOT NULL
                 JOIN technical_users t ON t.id = i.technical_user_id AND t.status = 'ACTIVE'
                 LEFT JOIN envelopes e ON e.technical_user_id = i.technical_user_id AND e.batch_id = b.id
                  AND e.session_hash = $3 AND e.expires_at > portal_now()
                WHERE b.id = $1 AND b.manager_id = $2 AND b.finished_at IS NOT NULL)
           SELECT technical_user_id AS "id!" FROM done WHERE is_waiting OR NOT EXISTS (SELECT FROM done WHERE is_waiting)"#,
        exporter.batch_id,
        exporter.manager_id,
        exporter.session.digest(),
    )
    .fetch_all(pool)
    .await
}

/// Destroys the session's envelopes of the batch, when its person has no more use for them.
///
/// # Errors
/// Database errors.
pub async fn destroy(pool: &PgPool, exporter: Exporter<'_>) -> sqlx::Result<()> {
    sqlx::query!(
        "DELETE FROM envelopes WHERE technical_user_id IN (
             SELECT technical_user_id FROM envelopes WHERE batch_id = $1 AND manager_id = $2 AND session_hash = $3
              ORDER BY technical_user_id FOR UPDATE)",
        exporter.batch_id,
        exporter.manager_id,
        exporter.session.digest(),
    )
    .execute(pool)
    .await?;
    Ok(())
}
