//! People as the operator lists them.

use sqlx::PgPool;
use time::OffsetDateTime;

use crate::domain::{role::Role, session_lifetime, structure_identifier::IdentifierType};

/// Whether a person can sign in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PersonState {
    /// Registered; has not signed in yet.
    Invited,
    Active,
    /// The operator ended the access.
    Disabled,
}

impl PersonState {
    /// Every state.
    pub const ALL: [Self; 3] = [Self::Invited, Self::Active, Self::Disabled];

    /// The state's name, in the lists and in the function `person_state`.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::Invited => "invited",
            Self::Active => "active",
            Self::Disabled => "disabled",
        }
    }
}

/// A person in the list.
#[derive(Clone, Debug)]
pub struct PersonRow {
    pub id: i64,
    pub login: String,
    pub last_name: String,
    pub first_name: String,
    pub contact_address: String,
    pub is_address_confirmed: bool,
    /// Since when the address refuses mails, if it does.
    pub address_refused_at: Option<OffsetDateTime>,
    /// The code of a [`PersonState`].
    pub state: String,
    pub disabled_at: Option<OffsetDateTime>,
    pub created_at: OffsetDateTime,
    pub has_second_factor: bool,
    /// The last sign-in that is an event of its own.
    pub signed_in_at: Option<OffsetDateTime>,
    pub open_sessions: i64,
    /// Structures whose principal manager the person is.
    pub managed: i64,
    /// Structures that the person is a member of.
    pub memberships: i64,
}

/// Which people to list.
#[derive(Clone, Copy, Debug, Default)]
pub struct PeopleFilter<'a> {
    /// This person alone.
    pub login: Option<&'a str>,
    /// Part of a login, a name or a contact address, ignoring case and accents.
    pub search: Option<&'a str>,
    pub state: Option<PersonState>,
}

/// The people, by login.
///
/// # Errors
/// Database errors.
pub async fn list(pool: &PgPool, filter: PeopleFilter<'_>) -> sqlx::Result<Vec<PersonRow>> {
    sqlx::query_as!(
        PersonRow,
        r#"SELECT u.id, u.login, u.last_name, u.first_name, u.contact_address,
                  u.contact_address_confirmed_at IS NOT NULL AS "is_address_confirmed!",
                  (SELECT refused_at FROM refused_addresses WHERE address = lower(u.contact_address)) AS address_refused_at,
                  w.state AS "state!", u.disabled_at, u.created_at,
                  EXISTS (SELECT FROM second_factors f WHERE f.user_id = u.id AND f.confirmed_at IS NOT NULL) AS "has_second_factor!",
                  (SELECT at FROM audit_events e WHERE e.actor_id = u.id AND e.action = 'SIGNED_IN' ORDER BY e.id DESC LIMIT 1)
                      AS signed_in_at,
                  (SELECT count(*) FROM sessions x WHERE x.user_id = u.id
                      AND x.last_seen_at > portal_now() - $4::interval AND x.created_at > portal_now() - $5::interval) AS "open_sessions!",
                  (SELECT count(*) FROM structures s WHERE s.principal_manager_id = u.id) AS "managed!",
                  (SELECT count(*) FROM memberships m WHERE m.user_id = u.id) AS "memberships!"
             FROM users u
            CROSS JOIN LATERAL (SELECT person_state(u.disabled_at, way_in(u.id, u.password_hash), u.invited) AS state) w
            WHERE ($1::text IS NULL OR u.login = $1)
              AND ($2::text IS NULL
                   OR position(search_key($2) IN search_key(concat_ws(' ', u.login, u.first_name, u.last_name, u.contact_address))) > 0)
              AND ($3::text IS NULL OR w.state = $3)
            ORDER BY u.login"#,
        filter.login,
        filter.search,
        filter.state.map(PersonState::code),
        session_lifetime::IDLE as _,
        session_lifetime::TOTAL as _,
    )
    .fetch_all(pool)
    .await
}

/// A structure that a person is a member of.
#[derive(Clone, Debug)]
pub struct PersonMembership {
    pub identifier_type: IdentifierType,
    pub identifier: String,
    pub designation: String,
    pub is_structure_active: bool,
    pub role: Role,
    /// The login of whoever attached them; `None` where it was not recorded.
    pub attached_by: Option<String>,
}

/// The person's memberships, by role, then by the structure's name.
///
/// # Errors
/// Database errors.
pub async fn memberships(pool: &PgPool, user_id: i64) -> sqlx::Result<Vec<PersonMembership>> {
    sqlx::query_as!(
        PersonMembership,
        r#"SELECT s.identifier_type AS "identifier_type: IdentifierType", s.identifier, s.designation,
                  s.active AS is_structure_active, m.role AS "role: Role", m.attached_by
             FROM memberships m JOIN structures s ON s.id = m.structure_id
            WHERE m.user_id = $1
            ORDER BY m.role <> 'PRINCIPAL_MANAGER', m.role <> 'SECONDARY_MANAGER', s.search_text, s.id"#,
        user_id,
    )
    .fetch_all(pool)
    .await
}
