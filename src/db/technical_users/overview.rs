//! All technical users of a manager's structures in one list.

use sqlx::{FromRow, PgExecutor, PgPool, Postgres, QueryBuilder};
use time::OffsetDateTime;

use crate::domain::{
    handover::MOST_TRIES,
    structure_identifier::IdentifierType,
    technical_user::{NEAR_EXPIRY_DAYS, TechnicalUserStatus},
};

/// Which accounts to list, and in which order.
#[derive(Clone, Debug, Default)]
pub struct AccountFilter {
    /// Part of a label, a login, or a structure's name or identifier, ignoring case and accents.
    /// Empty: all.
    pub search: String,
    pub status: StatusFilter,
    /// The beginning of a month in Paris: only passwords of active accounts, in active structures,
    /// that expire in it, as « Calendrier des échéances » counts them.
    pub month: Option<OffsetDateTime>,
    pub order: Order,
}

/// Filters by what an account is, or by what is to be done about it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum StatusFilter {
    #[default]
    Any,
    /// Neither suspended nor expired.
    Active,
    /// Not suspended, with a password that has expired.
    Expired,
    /// Not suspended, with a password that is near its expiry ([`NEAR_EXPIRY_DAYS`]).
    ToRenew,
    /// Calls are refused at present, whatever the reason.
    Failing,
    Suspended,
    /// The password was shown to a person who is no longer the principal manager.
    KnownToAnother,
    /// An integrator opened a link with a password that works.
    KnownToIntegrator,
    /// A link with the password waits to be opened.
    HandoverWaiting,
    /// A link with the password was presented in vain, as another person than its recipient would.
    LinkAlarm,
}

/// How many accounts each filter finds that asks for something to be done; of the two about links,
/// how many links.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromRow)]
pub struct DueCounts {
    pub expired: i64,
    pub to_renew: i64,
    pub failing: i64,
    pub suspended: i64,
    pub known_to_another: i64,
    pub handovers_waiting: i64,
    pub link_alarms: i64,
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
    /// Columns that both `matching` and `page` have.
    fn columns(self) -> &'static str {
        match self {
            Self::Expiry => "expires_at, id",
            Self::Structure => "search_text, expires_at, id",
            Self::LastCall => "last_call_at DESC NULLS LAST, expires_at, id",
        }
    }
}

/// A technical user in the list.
// As flat as the statement's columns.
#[allow(clippy::struct_excessive_bools)]
#[derive(Clone, Debug, FromRow)]
pub struct OverviewRow {
    pub id: i64,
    pub login: String,
    pub label: Option<String>,
    pub status: TechnicalUserStatus,
    pub expires_at: OffsetDateTime,
    /// Calendar days until then; negative once it is past.
    pub days_left: i32,
    pub last_call_at: Option<OffsetDateTime>,
    pub structure_id: i64,
    pub designation: String,
    pub identifier_type: IdentifierType,
    pub identifier: String,
    pub structure_active: bool,
    pub contact_address: String,
    /// Whether the password was shown to a person who is no longer the principal manager.
    pub known_to_another: bool,
    /// Whether an integrator opened a link with a password that works.
    pub known_to_integrator: bool,
    /// Whether calls are refused at present.
    pub failing: bool,
    /// The number of matching accounts, on all pages.
    pub total: i64,
}

/// Counts what is to be done in the structures whose principal manager is `manager_id`, by the
/// conditions of the filters: a count and its list agree. One statement, over the same rows as
/// [`page`].
///
/// # Errors
/// Database errors.
pub(in crate::db) async fn count_due(executor: impl PgExecutor<'_>, manager_id: i64) -> sqlx::Result<DueCounts> {
    let mut query = QueryBuilder::new("SELECT ");
    for (place, (status, name)) in [
        (StatusFilter::Expired, "expired"),
        (StatusFilter::ToRenew, "to_renew"),
        (StatusFilter::Failing, "failing"),
        (StatusFilter::Suspended, "suspended"),
        (StatusFilter::KnownToAnother, "known_to_another"),
    ]
    .into_iter()
    .enumerate()
    {
        query.push(if place > 0 { ", " } else { "" }).push("count(*) FILTER (WHERE ");
        push_status(&mut query, manager_id, status);
        query.push(") AS ").push(name);
    }
    query.push(", (SELECT count(DISTINCT handover_id) FROM (");
    push_waiting_links(&mut query, manager_id);
    query.push(") l) AS handovers_waiting, (SELECT count(DISTINCT handover_id) FROM (");
    push_alarming_links(&mut query, manager_id);
    query.push(") l) AS link_alarms");
    query.push(" FROM structures s JOIN technical_users t ON t.structure_id = s.id WHERE s.principal_manager_id = ");
    query.push_bind(manager_id).push(" AND t.status <> 'DELETED'");
    query.build_query_as().fetch_one(executor).await
}

/// One page of the technical users, without deleted ones, of the structures whose principal manager
/// is `manager_id`.
///
/// All matching accounts are gathered once, with only the columns for counting and sorting; whole
/// rows are read for the page alone. The statement holds only the criteria that are given: a
/// manager may have 25,000 accounts, and each criterion is evaluated for every one.
///
/// # Errors
/// Database errors.
pub(in crate::db) async fn page(
    executor: impl PgExecutor<'_>,
    manager_id: i64,
    filter: &AccountFilter,
    offset: i64,
    limit: i64,
) -> sqlx::Result<Vec<OverviewRow>> {
    let mut query = matching(manager_id, filter);
    query.push(", page AS (SELECT * FROM matching ORDER BY ").push(filter.order.columns());
    query.push(" OFFSET ").push_bind(offset).push(" LIMIT ").push_bind(limit).push(") SELECT ");
    push_columns(&mut query, manager_id);
    query
        .push(", (SELECT count(*) FROM matching) AS total FROM (SELECT id, row_number() OVER (ORDER BY ")
        .push(filter.order.columns());
    query.push(") AS place FROM page) p").push(JOINED_ACCOUNTS).push(" ORDER BY place");
    query.build_query_as().fetch_all(executor).await
}

/// The ids of all matching accounts, in order: an export reads their [`rows`] in batches.
///
/// # Errors
/// Database errors.
pub async fn ids(pool: &PgPool, manager_id: i64, filter: &AccountFilter) -> sqlx::Result<Vec<i64>> {
    let mut query = matching(manager_id, filter);
    query.push(" SELECT id FROM matching ORDER BY ").push(filter.order.columns());
    query.build_query_scalar().fetch_all(pool).await
}

/// These accounts, in this order, in their present state, without those that are deleted or no
/// longer the manager's.
///
/// # Errors
/// Database errors.
pub async fn rows(pool: &PgPool, manager_id: i64, ids: &[i64]) -> sqlx::Result<Vec<OverviewRow>> {
    let mut query = QueryBuilder::new("SELECT ");
    push_columns(&mut query, manager_id);
    query.push(", count(*) OVER () AS total FROM unnest(").push_bind(ids);
    query.push("::bigint[]) WITH ORDINALITY p (id, place)").push(JOINED_ACCOUNTS);
    query.push(" WHERE t.status <> 'DELETED' AND s.principal_manager_id = ").push_bind(manager_id);
    query.push(" ORDER BY place");
    query.build_query_as().fetch_all(pool).await
}

/// `WITH matching AS (…)`: the matching accounts, with the columns for counting and sorting.
fn matching(manager_id: i64, filter: &AccountFilter) -> QueryBuilder<Postgres> {
    let mut query = QueryBuilder::new(
        "WITH matching AS MATERIALIZED (
             SELECT t.id, t.expires_at, t.last_call_at, s.search_text
               FROM structures s JOIN technical_users t ON t.structure_id = s.id
              WHERE s.principal_manager_id = ",
    );
    query.push_bind(manager_id).push(" AND t.status <> 'DELETED'");
    push_criteria(&mut query, manager_id, filter);
    query.push(")");
    query
}

/// Joins the account ids of `p` to the tables that [`push_columns`] reads.
const JOINED_ACCOUNTS: &str = "
    JOIN technical_users t ON t.id = p.id
    JOIN structures s ON s.id = t.structure_id
    JOIN users u ON u.id = s.principal_manager_id";

/// The columns of an [`OverviewRow`] but for the count, from an account `t`, its structure `s` and
/// the manager `u`.
fn push_columns(query: &mut QueryBuilder<Postgres>, manager_id: i64) {
    query.push(
        "t.id, t.login, t.label, t.status, t.expires_at, days_until(t.expires_at) AS days_left, t.last_call_at,
         s.id AS structure_id, s.designation, s.identifier_type, s.identifier, s.active AS structure_active,
         u.contact_address, ",
    );
    push_known(query, manager_id);
    query.push(" AS known_to_another, ");
    push_known_to_integrator(query, manager_id);
    query.push(" AS known_to_integrator, ").push(FAILING).push(" AS failing");
}

/// The search text is normalized in subqueries, which run once; inline, a generic plan would
/// normalize it again for each row.
fn push_criteria(query: &mut QueryBuilder<Postgres>, manager_id: i64, filter: &AccountFilter) {
    if !filter.search.is_empty() {
        let text = || filter.search.clone();
        query.push(" AND (position((SELECT replace(search_key(").push_bind(text());
        query.push("), ' ', '')) IN replace(s.search_text, ' ', '')) > 0");
        query.push(" OR position((SELECT search_key(").push_bind(text()).push(")) IN t.search_text) > 0");
        query.push(" OR position((SELECT lower(regexp_replace(").push_bind(text());
        query.push(", '\\s', '', 'g'))) IN t.search_text) > 0)");
    }
    if filter.status != StatusFilter::Any {
        query.push(" AND ");
        push_status(query, manager_id, filter.status);
    }
    if let Some(month) = filter.month {
        query.push(" AND t.status = 'ACTIVE' AND s.active AND date_trunc('month', t.expires_at AT TIME ZONE 'Europe/Paris') = (");
        query.push_bind(month).push(" AT TIME ZONE 'Europe/Paris')");
    }
}

const FAILING: &str = "is_failing(t.last_refused_at, t.last_call_at, t.password_set_at)";

/// The condition of a filter on the account `t`.
fn push_status(query: &mut QueryBuilder<Postgres>, manager_id: i64, status: StatusFilter) {
    let condition = match status {
        StatusFilter::Any => "true",
        StatusFilter::Active => "t.status = 'ACTIVE' AND t.expires_at > (SELECT portal_now())",
        StatusFilter::Expired => "t.status = 'ACTIVE' AND t.expires_at <= (SELECT portal_now())",
        StatusFilter::ToRenew => {
            query.push(
                "t.status = 'ACTIVE' AND t.expires_at > (SELECT portal_now()) AND t.expires_at < (SELECT end_of_days(",
            );
            query.push_bind(NEAR_EXPIRY_DAYS).push("))");
            return;
        }
        StatusFilter::Failing => FAILING,
        StatusFilter::Suspended => "t.status = 'SUSPENDED'",
        StatusFilter::KnownToAnother => return push_known(query, manager_id),
        StatusFilter::KnownToIntegrator => return push_known_to_integrator(query, manager_id),
        StatusFilter::HandoverWaiting | StatusFilter::LinkAlarm => {
            query.push("t.id IN (SELECT technical_user_id FROM (");
            if status == StatusFilter::LinkAlarm {
                push_alarming_links(query, manager_id);
            } else {
                push_waiting_links(query, manager_id);
            }
            ") l)"
        }
    };
    query.push(condition);
}

/// The links of the manager that wait to be opened, with their accounts.
fn push_waiting_links(query: &mut QueryBuilder<Postgres>, manager_id: i64) {
    query.push(
        "SELECT o.handover_id, o.technical_user_id FROM openable_passwords o JOIN handovers h ON h.id = o.handover_id
          WHERE h.opened_at IS NULL AND h.ended_at IS NULL AND h.expires_at > portal_now() AND h.tries < ",
    );
    query.push_bind(MOST_TRIES).push(" AND h.made_by = ").push_bind(manager_id);
}

/// The links with an alarm about the present password of accounts of the manager: as
/// [`Handover::alarm`](super::handovers::Handover::alarm) has it.
fn push_alarming_links(query: &mut QueryBuilder<Postgres>, manager_id: i64) {
    query.push(
        "SELECT p.handover_id, p.technical_user_id FROM handovers h JOIN handed_over_passwords p ON p.handover_id = h.id
           JOIN technical_users t ON t.id = p.technical_user_id AND t.credential_version = p.credential_version
           JOIN structures s ON s.id = t.structure_id
          WHERE h.last_refusal <> 'EXPIRED' AND t.status <> 'DELETED' AND s.principal_manager_id = ",
    );
    query.push_bind(manager_id);
}

/// The condition of the view `passwords_known_to_others`, for one manager: former passwords that
/// still work are looked up once, not for each account.
fn push_known(query: &mut QueryBuilder<Postgres>, manager_id: i64) {
    query.push("(known_to_another(t.password_shown_at, t.password_set_by, ").push_bind(manager_id);
    query.push(
        ") OR t.id IN (SELECT f.technical_user_id FROM former_passwords f
                        WHERE f.ends_at > portal_now() AND known_to_another(f.shown_at, f.set_by, ",
    );
    query.push_bind(manager_id).push(")))");
}

/// The condition of the view `passwords_known_to_integrators`, for one manager: gathered once, not
/// for each account.
fn push_known_to_integrator(query: &mut QueryBuilder<Postgres>, manager_id: i64) {
    query.push("t.id IN (SELECT k.technical_user_id FROM passwords_known_to_integrators k WHERE k.manager_id = ");
    query.push_bind(manager_id).push(")");
}
