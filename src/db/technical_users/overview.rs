//! The list of all technical users in a manager's structures, searched, filtered, sorted, in pages.

use sqlx::{FromRow, PgPool, Postgres, QueryBuilder};
use time::OffsetDateTime;

use crate::domain::technical_user::TechnicalUserStatus;

/// The filters and the order of the list.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// Part of a label, a login, or a structure's name or identifier, ignoring case and accents.
    /// Empty for all.
    pub search: String,
    pub expiry: WantedExpiry,
    pub status: WantedStatus,
    pub order: Order,
}

/// Filters by the expiry of the password.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WantedExpiry {
    #[default]
    Any,
    /// Within 60 days, when the first reminder is sent, or past.
    Soon,
    Past,
}

/// Filters by status.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WantedStatus {
    #[default]
    Any,
    Active,
    Suspended,
    /// Accounts with a working password that was shown to a former principal manager.
    KnownToAnother,
}

/// The order of the list.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Order {
    /// The earliest expiry first.
    #[default]
    Expiry,
    Structure,
    /// The latest call first.
    LastCall,
}

impl Order {
    /// Columns of both the `matching` and the `page` subquery.
    fn columns(self) -> &'static str {
        match self {
            Self::Expiry => "expires_at, id",
            Self::Structure => "search_text, expires_at, id",
            Self::LastCall => "last_call_at DESC NULLS LAST, expires_at, id",
        }
    }
}

/// A row of the list.
#[derive(Clone, Debug, FromRow)]
pub struct OverviewRow {
    pub id: i64,
    pub login: String,
    pub label: Option<String>,
    pub status: TechnicalUserStatus,
    pub expires_at: OffsetDateTime,
    /// Calendar days until then in Paris; negative once it is past.
    pub days_left: i32,
    pub last_call_at: Option<OffsetDateTime>,
    pub structure_id: i64,
    pub designation: String,
    pub identifier_type: String,
    pub identifier: String,
    pub structure_active: bool,
    pub contact_address: String,
    /// Whether a working password was shown to a former principal manager.
    pub known_to_another: bool,
    /// The number of matching accounts on all pages.
    pub total: i64,
}

/// One page of the technical users, without deleted ones, of the structures whose principal manager
/// is `manager_id`.
///
/// The `matching` subquery reads only the columns needed to count and sort; the other columns are
/// read for the page's rows alone. The statement contains only the filters in use, so that no
/// always-true condition is evaluated for 25,000 accounts.
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
    let mut query = matching(manager_id, wanted);
    query.push(", page AS (SELECT * FROM matching ORDER BY ").push(wanted.order.columns());
    query.push(" OFFSET ").push_bind(offset).push(" LIMIT ").push_bind(limit).push(") SELECT ");
    push_columns(&mut query, manager_id);
    query
        .push(", (SELECT count(*) FROM matching) AS total FROM (SELECT id, row_number() OVER (ORDER BY ")
        .push(wanted.order.columns());
    query.push(") AS place FROM page) p").push(ACCOUNTS_OF_PLACES).push(" ORDER BY place");
    query.build_query_as().fetch_all(pool).await
}

/// The ids of all matching accounts, in order. An export reads them in batches with [`rows`].
///
/// # Errors
/// Database errors.
pub async fn ids(pool: &PgPool, manager_id: i64, wanted: &Wanted) -> sqlx::Result<Vec<i64>> {
    let mut query = matching(manager_id, wanted);
    query.push(" SELECT id FROM matching ORDER BY ").push(wanted.order.columns());
    query.build_query_scalar().fetch_all(pool).await
}

/// The rows of these accounts, in this order, without those that were deleted or are no longer the
/// manager's.
///
/// # Errors
/// Database errors.
pub async fn rows(pool: &PgPool, manager_id: i64, ids: &[i64]) -> sqlx::Result<Vec<OverviewRow>> {
    let mut query = QueryBuilder::new("SELECT ");
    push_columns(&mut query, manager_id);
    query.push(", count(*) OVER () AS total FROM unnest(").push_bind(ids);
    query.push("::bigint[]) WITH ORDINALITY p (id, place)").push(ACCOUNTS_OF_PLACES);
    query.push(" WHERE t.status <> 'DELETED' AND s.principal_manager_id = ").push_bind(manager_id);
    query.push(" ORDER BY place");
    query.build_query_as().fetch_all(pool).await
}

/// Begins a statement with the `matching` subquery.
fn matching(manager_id: i64, wanted: &Wanted) -> QueryBuilder<Postgres> {
    let mut query = QueryBuilder::new(
        "WITH matching AS MATERIALIZED (
             SELECT t.id, t.expires_at, t.last_call_at, s.search_text
               FROM structures s JOIN technical_users t ON t.structure_id = s.id
              WHERE s.principal_manager_id = ",
    );
    query.push_bind(manager_id).push(" AND t.status <> 'DELETED'");
    push_criteria(&mut query, manager_id, wanted);
    query.push(")");
    query
}

/// Joins the ids `p` of a list with the tables that [`push_columns`] reads.
const ACCOUNTS_OF_PLACES: &str = "
    JOIN technical_users t ON t.id = p.id
    JOIN structures s ON s.id = t.structure_id
    JOIN users u ON u.id = s.principal_manager_id";

/// The columns of [`OverviewRow`] except the total, from an account `t`, its structure `s` and the
/// manager `u`.
fn push_columns(query: &mut QueryBuilder<Postgres>, manager_id: i64) {
    query.push(
        "t.id, t.login, t.label, t.status, t.expires_at, days_until(t.expires_at) AS days_left, t.last_call_at,
         s.id AS structure_id, s.designation, s.identifier_type, s.identifier, s.active AS structure_active,
         u.contact_address, ",
    );
    push_known(query, manager_id);
    query.push(" AS known_to_another");
}

/// The typed text is normalised in a subquery, so that PostgreSQL does it once, not for each row.
fn push_criteria(query: &mut QueryBuilder<Postgres>, manager_id: i64, wanted: &Wanted) {
    if !wanted.search.is_empty() {
        let text = || wanted.search.clone();
        query.push(" AND (position((SELECT search_key(").push_bind(text()).push(")) IN s.search_text) > 0");
        query.push(" OR position((SELECT search_key(").push_bind(text()).push(")) IN t.search_text) > 0");
        query.push(" OR position((SELECT lower(regexp_replace(").push_bind(text());
        query.push(", '\\s', '', 'g'))) IN t.search_text) > 0)");
    }
    query.push(match wanted.expiry {
        WantedExpiry::Any => "",
        WantedExpiry::Soon => " AND t.expires_at < (SELECT end_of_days(60))",
        WantedExpiry::Past => " AND t.expires_at <= (SELECT portal_now())",
    });
    match wanted.status {
        WantedStatus::Any => {}
        WantedStatus::Active => push_status(query, TechnicalUserStatus::Active),
        WantedStatus::Suspended => push_status(query, TechnicalUserStatus::Suspended),
        WantedStatus::KnownToAnother => {
            query.push(" AND ");
            push_known(query, manager_id);
        }
    }
}

/// The condition of the view `passwords_known_to_others`, for one manager. It reads the former
/// passwords once rather than for each account.
fn push_known(query: &mut QueryBuilder<Postgres>, manager_id: i64) {
    query.push("(known_to_another(t.password_shown_at, t.password_set_by, ").push_bind(manager_id);
    query.push(
        ") OR t.id IN (SELECT f.technical_user_id FROM former_passwords f
                        WHERE f.ends_at > portal_now() AND known_to_another(f.shown_at, f.set_by, ",
    );
    query.push_bind(manager_id).push(")))");
}

fn push_status(query: &mut QueryBuilder<Postgres>, status: TechnicalUserStatus) {
    query.push(" AND t.status = ").push_bind(status.code());
}
