//! Structures and their people, as the operator sees them.

use sqlx::PgPool;
use time::OffsetDateTime;

use crate::domain::{
    role::Role,
    structure_identifier::{IdentifierType, StructureIdentifier},
};

/// Which structures to list.
#[derive(Clone, Copy, Debug)]
pub enum StructureFilter<'a> {
    /// This one alone.
    One(&'a StructureIdentifier),
    /// Those that have, or had, a principal manager. The others are only known from the directory.
    Managed,
    /// Those of them whose principal manager is missing, is disabled, or has never signed in.
    WithoutManager,
}

/// A structure in the list.
#[derive(Clone, Debug)]
pub struct SupervisedStructure {
    pub id: i64,
    pub identifier_type: IdentifierType,
    pub identifier: String,
    pub designation: String,
    pub active: bool,
    /// Its principal manager's login.
    pub manager: Option<String>,
    /// `active`, `invited` or `disabled`.
    pub manager_state: Option<String>,
    /// When they signed in last.
    pub manager_signed_in_at: Option<OffsetDateTime>,
    pub members: i64,
    /// Without deleted ones.
    pub technical_users: i64,
}

/// The structures, by name.
///
/// # Errors
/// Database errors.
pub async fn list(pool: &PgPool, filter: StructureFilter<'_>) -> sqlx::Result<Vec<SupervisedStructure>> {
    let only = match filter {
        StructureFilter::One(structure) => Some(structure),
        StructureFilter::Managed | StructureFilter::WithoutManager => None,
    };
    sqlx::query_as!(
        SupervisedStructure,
        r#"SELECT s.id, s.identifier_type AS "identifier_type: IdentifierType", s.identifier, s.designation, s.active,
                  p.login AS "manager?", w.state AS manager_state,
                  (SELECT at FROM audit_events e WHERE e.actor_id = p.id AND e.action = 'SIGNED_IN' ORDER BY e.id DESC LIMIT 1)
                      AS manager_signed_in_at,
                  (SELECT count(*) FROM memberships m WHERE m.structure_id = s.id) AS "members!",
                  (SELECT count(*) FROM technical_users t WHERE t.structure_id = s.id AND t.status <> 'DELETED') AS "technical_users!"
             FROM structures s LEFT JOIN users p ON p.id = s.principal_manager_id
            CROSS JOIN LATERAL (SELECT CASE WHEN p.id IS NOT NULL
                                            THEN person_state(p.disabled_at, way_in(p.id, p.password_hash), p.invited) END AS state) w
            WHERE CASE WHEN $1::text IS NULL THEN s.managed ELSE s.identifier_type = $1 AND s.identifier = $2 END
              AND (NOT $3 OR w.state IS DISTINCT FROM 'active')
            ORDER BY s.search_text, s.id"#,
        only.map(|structure| structure.kind().code()),
        only.map(StructureIdentifier::value),
        matches!(filter, StructureFilter::WithoutManager),
    )
    .fetch_all(pool)
    .await
}

/// A member of a structure.
#[derive(Clone, Debug)]
pub struct SupervisedMember {
    pub login: String,
    pub last_name: String,
    pub first_name: String,
    pub role: Role,
    /// `active`, `invited` or `disabled`.
    pub state: String,
    pub contact_address: String,
}

/// The members, by role, then by name.
///
/// # Errors
/// Database errors.
pub async fn members(pool: &PgPool, structure_id: i64) -> sqlx::Result<Vec<SupervisedMember>> {
    sqlx::query_as!(
        SupervisedMember,
        r#"SELECT u.login, u.last_name, u.first_name, m.role AS "role: Role", u.contact_address,
                  person_state(u.disabled_at, way_in(u.id, u.password_hash), u.invited) AS "state!"
             FROM memberships m JOIN users u ON u.id = m.user_id
            WHERE m.structure_id = $1
            ORDER BY m.role <> 'PRINCIPAL_MANAGER', m.role <> 'SECONDARY_MANAGER', u.last_name, u.first_name, u.id"#,
        structure_id,
    )
    .fetch_all(pool)
    .await
}
