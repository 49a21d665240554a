//! All technical users, as the operator lists them.

use sqlx::PgPool;
use time::OffsetDateTime;

use crate::domain::{
    structure_identifier::{IdentifierType, StructureIdentifier},
    technical_user::TechnicalUserStatus,
};

/// Which accounts to list.
#[derive(Clone, Copy, Debug, Default)]
pub struct InventoryFilter<'a> {
    /// This account alone, in any case of letters, even if it is deleted.
    pub login: Option<&'a str>,
    pub structure: Option<&'a StructureIdentifier>,
    /// Active ones whose password expires within so many days, as reminders count them.
    pub expiring_days: Option<i32>,
    /// Active ones that were not used for so many days: no call, no new password, no reactivation.
    pub idle_days: Option<i32>,
    /// Those whose calls are refused at present.
    pub failing: bool,
    pub suspended: bool,
}

/// An account in the list.
#[derive(Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own, as the statement reads it")]
pub struct InventoryRow {
    pub id: i64,
    pub login: String,
    pub label: Option<String>,
    pub status: TechnicalUserStatus,
    pub identifier_type: IdentifierType,
    pub identifier: String,
    pub designation: String,
    pub is_structure_active: bool,
    /// The principal manager's login and address; `None` where the structure has none.
    pub manager: Option<String>,
    pub contact_address: Option<String>,
    pub created_at: OffsetDateTime,
    pub created_by: String,
    pub password_set_at: OffsetDateTime,
    pub password_shown_at: Option<OffsetDateTime>,
    pub password_exported_at: Option<OffsetDateTime>,
    /// Until when the password before this one works, if it still does.
    pub former_until: Option<OffsetDateTime>,
    pub expires_at: OffsetDateTime,
    pub is_expired: bool,
    /// Calendar days until then in Paris; negative once it is past.
    pub days_left: i32,
    pub last_call_at: Option<OffsetDateTime>,
    pub last_call_address: Option<String>,
    pub last_call_software: Option<String>,
    pub is_failing: bool,
    pub last_refused_at: Option<OffsetDateTime>,
    /// The code of a [`CallRefusal`](crate::domain::audit::CallRefusal).
    pub last_refusal_reason: Option<String>,
    pub last_refusal_address: Option<String>,
    /// `ANY`, `LOCK` or `LIST`.
    pub network_rule: String,
    pub networks: Vec<String>,
    pub are_structures_chosen: bool,
    /// The last call, password or reactivation.
    pub used_at: OffsetDateTime,
    /// When it will be suspended because nothing uses it, if that was announced.
    pub suspends_at: Option<OffsetDateTime>,
    /// Whether the password was shown to a person who is no longer the principal manager.
    pub known_to_another: bool,
}

/// The accounts without deleted ones, by structure and number.
///
/// # Errors
/// Database errors.
pub async fn list(pool: &PgPool, filter: InventoryFilter<'_>) -> sqlx::Result<Vec<InventoryRow>> {
    sqlx::query_as!(
        InventoryRow,
        r#"SELECT t.id, t.login, t.label, t.status AS "status: TechnicalUserStatus", s.identifier_type AS "identifier_type: IdentifierType",
                  s.identifier, s.designation, s.active AS is_structure_active, m.login AS "manager?", m.contact_address AS "contact_address?",
                  t.created_at, c.login AS created_by, t.password_set_at, t.password_shown_at, t.password_exported_at,
                  (SELECT f.ends_at FROM former_passwords f WHERE f.technical_user_id = t.id AND f.ends_at > portal_now()) AS former_until,
                  t.expires_at, t.expires_at <= portal_now() AS "is_expired!", days_until(t.expires_at) AS "days_left!",
                  t.last_call_at, t.last_call_address, t.last_call_software,
                  is_failing(t.last_refused_at, t.last_call_at, t.password_set_at) AS "is_failing!",
                  t.last_refused_at, t.last_refusal_reason, t.last_refusal_address,
                  t.network_rule, t.networks::text[] AS "networks!", t.structures_chosen AS are_structures_chosen,
                  last_use(t.password_set_at, t.last_call_at, t.reactivated_at) AS "used_at!", d.suspends_at AS "suspends_at?",
                  EXISTS (SELECT FROM passwords_known_to_others k WHERE k.technical_user_id = t.id) AS "known_to_another!"
             FROM technical_users t
             JOIN structures s ON s.id = t.structure_id
             JOIN users c ON c.id = t.created_by
             LEFT JOIN users m ON m.id = s.principal_manager_id
             LEFT JOIN dormancy_notices d ON d.technical_user_id = t.id AND t.status = 'ACTIVE'
            WHERE CASE WHEN $1::text IS NULL THEN t.status <> 'DELETED' ELSE lower(t.login) = lower($1) END
              AND ($2::text IS NULL OR s.identifier_type = $2 AND s.identifier = $3)
              AND ($4::int IS NULL
                   OR t.status = 'ACTIVE' AND t.expires_at > portal_now() AND t.expires_at < (SELECT end_of_days($4)))
              AND ($5::int IS NULL
                   OR t.status = 'ACTIVE'
                  AND last_use(t.password_set_at, t.last_call_at, t.reactivated_at) <= portal_now() - make_interval(days => $5))
              AND (NOT $6 OR is_failing(t.last_refused_at, t.last_call_at, t.password_set_at))
              AND (NOT $7 OR t.status = 'SUSPENDED')
            ORDER BY s.search_text, s.id, t.number"#,
        filter.login,
        filter.structure.map(|structure| structure.kind().code()),
        filter.structure.map(StructureIdentifier::value),
        filter.expiring_days,
        filter.idle_days,
        filter.failing,
        filter.suspended,
    )
    .fetch_all(pool)
    .await
}
