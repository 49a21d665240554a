//! « Rattachements »: where the caller's principal manager is a member, at this moment (rule 5).

use sqlx::{PgPool, QueryBuilder};
use time::OffsetDateTime;

use super::{Caller, Claim, Page};

/// One of the principal manager's memberships.
#[derive(Clone, Debug)]
pub struct ApiMembership {
    pub id: i64,
    pub structure_id: i64,
    pub identifier_type: String,
    pub identifier: String,
    pub designation: String,
    pub role: String,
}

/// A page of memberships, and how many there are in all.
#[derive(Clone, Debug, Default)]
pub struct ApiMemberships {
    pub rows: Vec<ApiMembership>,
    pub total: i64,
}

/// The caller with a page of the principal manager's memberships; by structure where no order is asked for.
///
/// This is the call that software makes most. The caller is judged once, before anything else is read, and stands in a row of its
/// own; the page comes in the order of an index, and nobody counts where the page shows all. The statement is put together from
/// parts because an order cannot be bound to one.
///
/// # Errors
/// Database errors.
pub async fn of_manager(pool: &PgPool, claim: &Claim, page: Page) -> sqlx::Result<Option<(Caller, ApiMemberships)>> {
    let mut query = QueryBuilder::new("WITH c AS MATERIALIZED (SELECT * FROM ");
    claim.push_caller(&mut query);
    query.push(
        ") SELECT technical_user_id, at, sunset,
                  NULL::bigint, NULL::bigint, NULL::text, NULL::text, NULL::text, NULL::text FROM c
           UNION ALL
          (SELECT NULL, NULL, NULL, m.id, m.structure_id, s.identifier_type, s.identifier, s.designation, m.role
             FROM memberships m JOIN structures s ON s.id = m.structure_id WHERE m.user_id = (SELECT manager_id FROM c) ",
    );
    query.push(page.order_of_structures());
    query.push(" OFFSET ").push_bind(page.offset()).push(" LIMIT ").push_bind(page.limit()).push(")");
    let rows: Vec<Row> = query.build_query_as().fetch_all(pool).await?;
    let Some(caller) = rows.iter().find_map(caller) else { return Ok(None) };
    let rows: Vec<_> = rows.into_iter().filter_map(membership).collect();
    let shown = i64::try_from(rows.len()).unwrap_or(i64::MAX);
    let is_last = (1..page.limit()).contains(&shown) || page.offset() == 0 && shown == 0;
    let total = if is_last { page.offset() + shown } else { count(pool, claim).await? };
    Ok(Some((caller, ApiMemberships { rows, total })))
}

/// Either the caller's columns or a membership's, by their places, which costs less than by their names.
type Row = (
    Option<i64>,
    Option<OffsetDateTime>,
    Option<OffsetDateTime>,
    Option<i64>,
    Option<i64>,
    Option<String>,
    Option<String>,
    Option<String>,
    Option<String>,
);

fn caller(&(technical_user_id, at, sunset, ..): &Row) -> Option<Caller> {
    Some(Caller { technical_user_id: technical_user_id?, at: at?, sunset })
}

fn membership(
    (_, _, _, id, structure_id, identifier_type, identifier, designation, role): Row,
) -> Option<ApiMembership> {
    Some(ApiMembership {
        id: id?,
        structure_id: structure_id?,
        identifier_type: identifier_type?,
        identifier: identifier?,
        designation: designation?,
        role: role?,
    })
}

/// How many memberships the caller's principal manager has.
async fn count(pool: &PgPool, claim: &Claim) -> sqlx::Result<i64> {
    sqlx::query_scalar!(
        r#"SELECT count(*) AS "count!" FROM api_caller($1, $2, $3) c JOIN memberships m ON m.user_id = c.manager_id"#,
        claim.token_hash(),
        claim.account_id(),
        claim.version(),
    )
    .fetch_one(pool)
    .await
}
