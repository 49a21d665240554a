//! What a manager has chosen for a batch, before it is confirmed.

use sqlx::PgPool;

use crate::domain::{structure_identifier::IdentifierType, technical_user::TechnicalUserStatus};

/// A chosen account.
#[derive(Clone, Debug)]
pub struct AccountPreview {
    pub id: i64,
    pub credential_version: i32,
    pub login: String,
    pub label: Option<String>,
    pub status: TechnicalUserStatus,
    /// Calendar days until its password expires; negative once it is past.
    pub days_left: i32,
    pub called_within_a_day: bool,
    /// The `User-Agent` of the last call; may be empty.
    pub last_call_software: Option<String>,
    pub structure_id: i64,
    pub designation: String,
    pub identifier_type: IdentifierType,
    pub identifier: String,
    pub structure_active: bool,
}

/// Those of these accounts that are the manager's, in this order, without deleted ones.
///
/// # Errors
/// Database errors.
pub async fn accounts(pool: &PgPool, manager_id: i64, ids: &[i64]) -> sqlx::Result<Vec<AccountPreview>> {
    sqlx::query_as!(
        AccountPreview,
        r#"SELECT t.id, t.credential_version, t.login, t.label, t.status AS "status: TechnicalUserStatus",
                  days_until(t.expires_at) AS "days_left!",
                  coalesce(t.last_call_at > portal_now() - interval '1 day', false) AS "called_within_a_day!", t.last_call_software,
                  s.id AS structure_id, s.designation, s.identifier_type AS "identifier_type: IdentifierType", s.identifier,
                  s.active AS structure_active
             FROM unnest($2::bigint[]) WITH ORDINALITY chosen (id, place)
             JOIN technical_users t ON t.id = chosen.id JOIN structures s ON s.id = t.structure_id
            WHERE s.principal_manager_id = $1 AND t.status <> 'DELETED' ORDER BY chosen.place"#,
        manager_id,
        ids,
    )
    .fetch_all(pool)
    .await
}

/// A chosen structure.
#[derive(Clone, Debug)]
pub struct StructurePreview {
    pub id: i64,
    pub designation: String,
    pub identifier_type: IdentifierType,
    pub identifier: String,
    pub active: bool,
    /// Technical users that are not deleted.
    pub technical_users: i64,
}

/// Those of these structures that are the manager's, in this order, and of how many structures the
/// manager is a member.
///
/// # Errors
/// Database errors.
pub async fn structures(pool: &PgPool, manager_id: i64, ids: &[i64]) -> sqlx::Result<(Vec<StructurePreview>, i64)> {
    let rows = sqlx::query!(
        r#"SELECT s.id, s.designation, s.identifier_type AS "identifier_type: IdentifierType", s.identifier, s.active,
                  (SELECT count(*) FROM technical_users WHERE structure_id = s.id AND status <> 'DELETED') AS "technical_users!",
                  (SELECT count(*) FROM memberships WHERE user_id = $1) AS "reach!"
             FROM unnest($2::bigint[]) WITH ORDINALITY chosen (id, place) JOIN structures s ON s.id = chosen.id
            WHERE s.principal_manager_id = $1 ORDER BY chosen.place"#,
        manager_id,
        ids,
    )
    .fetch_all(pool)
    .await?;
    let reach = rows.first().map_or(0, |row| row.reach);
    let chosen = rows.into_iter().map(|row| StructurePreview {
        id: row.id,
        designation: row.designation,
        identifier_type: row.identifier_type,
        identifier: row.identifier,
        active: row.active,
        technical_users: row.technical_users,
    });
    Ok((chosen.collect(), reach))
}
