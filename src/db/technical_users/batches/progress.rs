//! Reads batches for their pages.

use sqlx::{PgExecutor, PgPool};
use time::OffsetDateTime;

use super::act_of;
use crate::domain::{
    batch::{BatchAct, ItemRefusal},
    envelope::SessionSecret,
    structure_identifier::IdentifierType,
};

/// A batch, as it stands.
#[derive(Clone, Debug)]
pub struct Batch {
    pub id: i64,
    pub act: BatchAct,
    pub created_at: OffsetDateTime,
    /// Once every item was done or refused.
    pub finished_at: Option<OffsetDateTime>,
    /// The first export of the passwords.
    pub exported_at: Option<OffsetDateTime>,
    pub total: i64,
    pub done: i64,
    pub refused: i64,
    /// Passwords that this session can still export.
    pub exportable: i64,
    /// Until when it can.
    pub exportable_until: Option<OffsetDateTime>,
}

/// The batch with this id, if it is the manager's.
///
/// # Errors
/// Database errors.
pub async fn find(
    pool: &PgPool,
    manager_id: i64,
    session: &SessionSecret,
    batch_id: i64,
) -> sqlx::Result<Option<Batch>> {
    let row = sqlx::query!(
        r#"SELECT b.id, b.act, b.created_at, b.finished_at, b.exported_at, i.total AS "total!", i.done AS "done!", i.refused AS "refused!",
                  e.exportable AS "exportable!", e.until
             FROM batches b
            CROSS JOIN LATERAL (SELECT count(*) AS total, count(done_at) AS done, count(refusal) AS refused
                                  FROM batch_items WHERE batch_id = b.id) i
            CROSS JOIN LATERAL (SELECT count(*) AS exportable, min(expires_at) AS until FROM envelopes
                                 WHERE batch_id = b.id AND session_hash = $3 AND expires_at > portal_now()) e
            WHERE b.id = $1 AND b.manager_id = $2"#,
        batch_id,
        manager_id,
        session.digest(),
    )
    .fetch_optional(pool)
    .await?;
    let Some(row) = row else { return Ok(None) };
    Ok(Some(Batch {
        id: row.id,
        act: act_of(&row.act)?,
        created_at: row.created_at,
        finished_at: row.finished_at,
        exported_at: row.exported_at,
        total: row.total,
        done: row.done,
        refused: row.refused,
        exportable: row.exportable,
        exportable_until: row.until,
    }))
}

/// A structure or an account of a batch.
#[derive(Clone, Debug)]
pub struct BatchRow {
    pub structure_id: i64,
    pub designation: String,
    pub identifier_type: IdentifierType,
    pub identifier: String,
    pub structure_active: bool,
    /// The account; `None` where none was created.
    pub account: Option<RowAccount>,
    /// Why it was left as it was.
    pub refusal: Option<ItemRefusal>,
}

/// The account of a row.
#[derive(Clone, Debug)]
pub struct RowAccount {
    pub id: i64,
    pub login: String,
    pub label: Option<String>,
}

/// Which rows to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    Done,
    Refused,
}

/// The first rows of a batch with this outcome, in the order of the form.
///
/// # Errors
/// Database errors.
pub async fn rows(pool: &PgPool, batch: &Batch, outcome: Outcome, limit: i64) -> sqlx::Result<Vec<BatchRow>> {
    let rows = sqlx::query!(
        r#"SELECT i.structure_id, s.designation, s.identifier_type AS "identifier_type: IdentifierType", s.identifier, s.active,
                  i.refusal, t.id AS "account_id?", t.login AS "login?", t.label
             FROM batch_items i JOIN structures s ON s.id = i.structure_id
             LEFT JOIN technical_users t ON t.id = i.technical_user_id
            WHERE i.batch_id = $1 AND CASE WHEN $2 THEN i.refusal IS NOT NULL ELSE i.done_at IS NOT NULL END
            ORDER BY i.position LIMIT $3"#,
        batch.id,
        outcome == Outcome::Refused,
        limit,
    )
    .fetch_all(pool)
    .await?;
    let read = rows.into_iter().map(|row| BatchRow {
        structure_id: row.structure_id,
        designation: row.designation,
        identifier_type: row.identifier_type,
        identifier: row.identifier,
        structure_active: row.active,
        account: row.account_id.zip(row.login).map(|(id, login)| RowAccount { id, login, label: row.label }),
        refusal: row.refusal.as_deref().and_then(ItemRefusal::parse),
    });
    Ok(read.collect())
}

/// The first accounts whose password is still the one that the manager's batch made, in the order
/// of the form.
///
/// # Errors
/// Database errors.
pub async fn unchanged(pool: &PgPool, manager_id: i64, batch_id: i64, limit: usize) -> sqlx::Result<Vec<i64>> {
    sqlx::query_scalar!(
        r#"SELECT t.id FROM batches b JOIN batch_items i ON i.batch_id = b.id AND i.done_at IS NOT NULL
             JOIN technical_users t ON t.id = i.technical_user_id AND t.credential_version = i.credential_version
             JOIN structures s ON s.id = t.structure_id
            WHERE b.id = $1 AND b.manager_id = $2 AND s.principal_manager_id = $2 AND t.status <> 'DELETED'
            ORDER BY i.position LIMIT $3"#,
        batch_id,
        manager_id,
        i64::try_from(limit).unwrap_or(i64::MAX),
    )
    .fetch_all(pool)
    .await
}

/// A batch that the lists announce.
#[derive(Clone, Debug)]
pub struct AnnouncedBatch {
    pub id: i64,
    pub is_finished: bool,
    /// Passwords that this session can still export.
    pub exportable: i64,
    pub exportable_until: Option<OffsetDateTime>,
}

/// The manager's batch that is under way, or whose passwords this session can still export; the
/// newest of them.
///
/// # Errors
/// Database errors.
pub(in crate::db) async fn announced(
    executor: impl PgExecutor<'_>,
    manager_id: i64,
    session: &SessionSecret,
) -> sqlx::Result<Option<AnnouncedBatch>> {
    sqlx::query_as!(
        AnnouncedBatch,
        r#"SELECT b.id, b.finished_at IS NOT NULL AS "is_finished!", e.exportable AS "exportable!", e.until AS exportable_until
             FROM batches b
            CROSS JOIN LATERAL (SELECT count(*) AS exportable, min(expires_at) AS until FROM envelopes
                                 WHERE batch_id = b.id AND session_hash = $2 AND expires_at > portal_now()) e
            WHERE b.manager_id = $1 AND (b.finished_at IS NULL OR e.exportable > 0)
            ORDER BY b.id DESC LIMIT 1"#,
        manager_id,
        session.digest(),
    )
    .fetch_optional(executor)
    .await
}
