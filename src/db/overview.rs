//! All technical users of a manager's structures in one list: what a manager of 300 structures opens on a Monday.

use sqlx::PgPool;
use time::OffsetDateTime;

/// Which accounts are wanted, and in which order.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// Part of a label, a login, or a structure's name or identifier; blind to case and accents. Empty: all.
    pub search: String,
    pub expiry: WantedExpiry,
    pub status: WantedStatus,
    pub order: Order,
}

/// By the end of the password.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WantedExpiry {
    #[default]
    Any,
    /// Within 60 days, the first reminder's notice, or past already.
    Soon,
    Past,
}

impl WantedExpiry {
    fn code(self) -> &'static str {
        match self {
            Self::Any => "any",
            Self::Soon => "soon",
            Self::Past => "past",
        }
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WantedStatus {
    #[default]
    Any,
    Active,
    Suspended,
    /// Whose password was shown to somebody who is no longer the principal manager.
    KnownToAnother,
}

impl WantedStatus {
    fn code(self) -> Option<&'static str> {
        match self {
            Self::Any => None,
            Self::Active => Some("ACTIVE"),
            Self::Suspended => Some("SUSPENDED"),
            Self::KnownToAnother => Some("KNOWN"),
        }
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Order {
    /// The password that expires first comes first.
    #[default]
    Expiry,
    Structure,
    /// The account that called last comes first.
    LastCall,
}

impl Order {
    fn code(self) -> &'static str {
        match self {
            Self::Expiry => "expiry",
            Self::Structure => "structure",
            Self::LastCall => "call",
        }
    }
}

/// A technical user among others.
#[derive(Clone, Debug)]
pub struct OverviewRow {
    pub id: i64,
    pub login: String,
    pub label: Option<String>,
    pub status: String,
    pub expires_at: OffsetDateTime,
    /// Days until then on the calendar; negative once it is past.
    pub days_left: i32,
    pub last_call_at: Option<OffsetDateTime>,
    pub structure_id: i64,
    pub designation: String,
    pub identifier_type: String,
    pub identifier: String,
    pub structure_active: bool,
    pub contact_address: String,
    /// Whether the password was shown to somebody who is no longer the principal manager.
    pub known_to_another: bool,
    /// How many accounts match in all.
    pub total: i64,
}

/// One page of the technical users, not deleted, of the structures that `manager_id` is principal manager of.
///
/// # Errors
/// Database errors.
pub async fn page(
    pool: &PgPool,
    manager_id: i64,
    wanted: &Wanted,
    offset: i64,
    limit: i64,
) -> sqlx::Result<Vec<OverviewRow>> {
    // Counted, not EXISTS: who knows a password is then looked up for the page's accounts alone, never gathered for all.
    sqlx::query_as!(
        OverviewRow,
        r#"SELECT t.id, t.login, t.label, t.status, t.expires_at, days_until(t.expires_at) AS "days_left!", t.last_call_at,
                  s.id AS structure_id, s.designation, s.identifier_type, s.identifier, s.active AS structure_active,
                  u.contact_address, (SELECT count(*) > 0 FROM passwords_known_to_others k WHERE k.technical_user_id = t.id) AS "known_to_another!",
                  count(*) OVER () AS "total!"
             FROM structures s
             JOIN users u ON u.id = s.principal_manager_id
             JOIN technical_users t ON t.structure_id = s.id AND t.status <> 'DELETED'
            WHERE s.principal_manager_id = $1
              AND ($2 = '' OR position(search_key($2) IN s.search_text) > 0
                   OR position(search_key($2) IN search_key(coalesce(t.label, ''))) > 0
                   OR position(lower(regexp_replace($2, '\s', '', 'g')) IN lower(t.login)) > 0)
              AND CASE $3 WHEN 'soon' THEN days_until(t.expires_at) <= 60
                          WHEN 'past' THEN t.expires_at <= portal_now() ELSE true END
              AND CASE $4 WHEN 'KNOWN' THEN (SELECT count(*) > 0 FROM passwords_known_to_others k WHERE k.technical_user_id = t.id)
                          ELSE $4::text IS NULL OR t.status = $4 END
            ORDER BY CASE WHEN $5 = 'structure' THEN s.search_text END,
                     CASE WHEN $5 = 'call' THEN t.last_call_at END DESC NULLS LAST,
                     t.expires_at, t.id
           OFFSET $6 LIMIT $7"#,
        manager_id,
        wanted.search,
        wanted.expiry.code(),
        wanted.status.code(),
        wanted.order.code(),
        offset,
        limit,
    )
    .fetch_all(pool)
    .await
}
