//! « Mes structures »: the structures that a person is principal manager of.

use sqlx::{PgExecutor, PgPool};
use time::OffsetDateTime;

use crate::domain::{structure_identifier::IdentifierType, technical_user::NEAR_EXPIRY_DAYS};

/// A row of « Mes structures ».
#[derive(Clone, Debug)]
pub struct StructureRow {
    pub id: i64,
    pub designation: String,
    pub identifier_type: IdentifierType,
    pub identifier: String,
    pub active: bool,
    /// Technical users that are not deleted.
    pub technical_users: i64,
    /// When the first of their passwords expires.
    pub next_expiry: Option<OffsetDateTime>,
    /// Calendar days until then; negative once it is past.
    pub next_expiry_days: Option<i32>,
    /// The number of matching structures, on all pages.
    pub total: i64,
}

/// Which of a manager's structures to list, and in which order.
#[derive(Clone, Debug, Default)]
pub struct StructureFilter {
    /// Part of a name or identifier, ignoring case, accents, apostrophes and spaces. Empty: all.
    pub search: String,
    /// Only structures with a password that is near its expiry ([`NEAR_EXPIRY_DAYS`]) or has
    /// expired.
    pub due_soon: bool,
    pub order: StructureOrder,
}

/// The order of the list of structures.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum StructureOrder {
    /// By name, then identifier.
    #[default]
    Name,
    /// The structure whose password expires first comes first.
    Expiry,
}

/// One page of the structures that `manager_id` is principal manager of.
///
/// # Errors
/// Database errors.
pub(in crate::db) async fn page_of_managed(
    executor: impl PgExecutor<'_>,
    manager_id: i64,
    filter: &StructureFilter,
    offset: i64,
    limit: i64,
) -> sqlx::Result<Vec<StructureRow>> {
    if filter.due_soon || filter.order == StructureOrder::Expiry {
        page_by_deadline(executor, manager_id, filter, offset, limit).await
    } else {
        page_by_name(executor, manager_id, &filter.search, offset, limit).await
    }
}

/// The ids of the first matching structures, in order.
///
/// # Errors
/// Database errors.
pub async fn ids(pool: &PgPool, manager_id: i64, filter: &StructureFilter, limit: i64) -> sqlx::Result<Vec<i64>> {
    let rows = page_of_managed(pool, manager_id, filter, 0, limit).await?;
    Ok(rows.into_iter().map(|row| row.id).collect())
}

/// Reads only the accounts of the structures on the page.
async fn page_by_name(
    executor: impl PgExecutor<'_>,
    manager_id: i64,
    search: &str,
    offset: i64,
    limit: i64,
) -> sqlx::Result<Vec<StructureRow>> {
    sqlx::query_as!(
        StructureRow,
        r#"SELECT s.id, s.designation, s.identifier_type AS "identifier_type: IdentifierType", s.identifier, s.active, s.total AS "total!",
                  t.technical_users AS "technical_users!", t.next_expiry, days_until(t.next_expiry) AS next_expiry_days
             FROM (SELECT id, designation, identifier_type, identifier, active, search_text, count(*) OVER () AS total FROM structures
                    WHERE principal_manager_id = $1
                      AND ($2 = '' OR position((SELECT replace(search_key($2), ' ', '')) IN replace(search_text, ' ', '')) > 0
                           OR position((SELECT lower(regexp_replace($2, '\s', '', 'g'))) IN replace(lower(identifier), ' ', '')) > 0)
                    ORDER BY search_text, id OFFSET $3 LIMIT $4) s
            CROSS JOIN LATERAL (SELECT count(*) AS technical_users, min(expires_at) AS next_expiry FROM technical_users
                                 WHERE structure_id = s.id AND status <> 'DELETED') t
            ORDER BY s.search_text, s.id"#,
        manager_id,
        search,
        offset,
        limit,
    )
    .fetch_all(executor)
    .await
}

/// Reads the accounts of all the manager's structures.
async fn page_by_deadline(
    executor: impl PgExecutor<'_>,
    manager_id: i64,
    filter: &StructureFilter,
    offset: i64,
    limit: i64,
) -> sqlx::Result<Vec<StructureRow>> {
    sqlx::query_as!(
        StructureRow,
        r#"SELECT s.id, s.designation, s.identifier_type AS "identifier_type: IdentifierType", s.identifier, s.active, count(*) OVER () AS "total!",
                  t.technical_users AS "technical_users!", t.next_expiry, days_until(t.next_expiry) AS next_expiry_days
             FROM structures s
            CROSS JOIN LATERAL (SELECT count(*) AS technical_users, min(expires_at) AS next_expiry FROM technical_users
                                 WHERE structure_id = s.id AND status <> 'DELETED') t
            WHERE principal_manager_id = $1
              AND ($2 = '' OR position((SELECT replace(search_key($2), ' ', '')) IN replace(search_text, ' ', '')) > 0
                   OR position((SELECT lower(regexp_replace($2, '\s', '', 'g'))) IN replace(lower(identifier), ' ', '')) > 0)
              AND (NOT $3 OR t.next_expiry < (SELECT end_of_days($7)))
            ORDER BY CASE WHEN $4 THEN t.next_expiry END, s.search_text, s.id OFFSET $5 LIMIT $6"#,
        manager_id,
        filter.search,
        filter.due_soon,
        filter.order == StructureOrder::Expiry,
        offset,
        limit,
        NEAR_EXPIRY_DAYS,
    )
    .fetch_all(executor)
    .await
}
