//! All technical users of a manager's structures in one list: what a manager of 300 structures
//! opens on a Monday.

use sqlx::{FromRow, PgPool, Postgres, QueryBuilder};
use time::OffsetDateTime;

use crate::domain::technical_user::TechnicalUserStatus;

/// Which accounts are wanted, and in which order.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// Part of a label, a login, or a structure's name or identifier; blind to case and accents.
    /// Empty: all.
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

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WantedStatus {
    #[default]
    Any,
    Active,
    Suspended,
    /// Whose password was shown to somebody who is no longer the principal manager.
    KnownToAnother,
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
    /// By columns that both the list of all and the page have.
    fn columns(self) -> &'static str {
        match self {
            Self::Expiry => "expires_at, id",
            Self::Structure => "search_text, expires_at, id",
            Self::LastCall => "last_call_at DESC NULLS LAST, expires_at, id",
        }
    }
}

/// A technical user among others.
#[derive(Clone, Debug, FromRow)]
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

/// One page of the technical users, not deleted, of the structures that `manager_id` is principal
/// manager of.
///
/// All that match are gathered once, with no more of them than counting and sorting wants; the
/// page's rows alone are then read whole. The statement is put together from what is wanted, so
/// nothing is asked of 25,000 accounts that everybody answers with yes.
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

/// The numbers of all that match, in their order: what an export goes through, a batch of [`rows`]
/// after the other.
///
/// # Errors
/// Database errors.
pub async fn ids(pool: &PgPool, manager_id: i64, wanted: &Wanted) -> sqlx::Result<Vec<i64>> {
    let mut query = matching(manager_id, wanted);
    query.push(" SELECT id FROM matching ORDER BY ").push(wanted.order.columns());
    query.build_query_scalar().fetch_all(pool).await
}

/// These accounts, in this order, as they are now; without those that are deleted or no longer the
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

/// `WITH matching AS (…)`: all that are wanted, with what counting and sorting needs of them.
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

/// From places `p` in a list to the accounts that stand there, and what [`push_columns`] reads.
const ACCOUNTS_OF_PLACES: &str = "
    JOIN technical_users t ON t.id = p.id
    JOIN structures s ON s.id = t.structure_id
    JOIN users u ON u.id = s.principal_manager_id";

/// The columns of a row but for the count, from an account `t`, its structure `s` and the manager
/// `u`.
fn push_columns(query: &mut QueryBuilder<Postgres>, manager_id: i64) {
    query.push(
        "t.id, t.login, t.label, t.status, t.expires_at, days_until(t.expires_at) AS days_left, t.last_call_at,
         s.id AS structure_id, s.designation, s.identifier_type, s.identifier, s.active AS structure_active,
         u.contact_address, ",
    );
    push_known(query, manager_id);
    query.push(" AS known_to_another");
}

/// What is typed is prepared once, in a subquery: a plan for all texts would do it again for each
/// row.
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

/// What `passwords_known_to_others` says, for one manager: the passwords that still work for a
/// while are looked up once for all.
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
