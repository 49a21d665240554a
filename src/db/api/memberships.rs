//! The current memberships (« rattachements ») of the caller's principal manager (rule 5), or those
//! that were chosen for the caller.

use sqlx::{Postgres, QueryBuilder, Row, postgres::PgRow};

use super::{Caller, Page, PresentedCredentials, connections::Connections};
use crate::domain::{role::Role, structure_identifier::IdentifierType};

/// One of the principal manager's memberships.
#[derive(Clone, Debug)]
pub struct ApiMembership {
    pub id: i64,
    pub structure_id: i64,
    pub identifier_type: IdentifierType,
    pub identifier: String,
    pub designation: String,
    pub role: Role,
}

/// A page of memberships, and the number of all.
#[derive(Clone, Debug, Default)]
pub struct ApiMemberships {
    pub rows: Vec<ApiMembership>,
    /// Memberships on all pages.
    pub total: i64,
}

/// The caller with a page of the memberships within its rights; by structure id as default.
///
/// The most frequent call. The caller is authenticated once (`OFFSET 0` keeps the planner from
/// doing it per membership) and is in every row, or in a single row without a membership. The page
/// comes in the order of an index; memberships are counted only where there is more than one page.
/// The statement is assembled because an order cannot be bound, and read by column numbers, which
/// is faster than by names.
///
/// # Errors
/// Database errors.
pub async fn of_manager(
    database: &Connections,
    presented: &PresentedCredentials,
    page: Page,
) -> sqlx::Result<Option<(Caller, ApiMemberships)>> {
    let mut query = within_rights(presented);
    query.push(page.order_of_structures());
    query.push(" OFFSET ").push_bind(page.offset()).push(" LIMIT ").push_bind(page.limit()).push(") p ON true");
    let Some((caller, rows)) = read(&query.build().fetch_all(database).await?)? else { return Ok(None) };
    let shown = i64::try_from(rows.len()).unwrap_or(i64::MAX);
    let is_last = (1..page.limit()).contains(&shown) || page.offset() == 0 && shown == 0;
    let total = if is_last { page.offset() + shown } else { count(database, presented).await? };
    Ok(Some((caller, ApiMemberships { rows, total })))
}

/// The caller with the memberships within its rights of active structures, the first 10,000.
///
/// # Errors
/// Database errors.
pub async fn active(
    database: &Connections,
    presented: &PresentedCredentials,
) -> sqlx::Result<Option<(Caller, Vec<ApiMembership>)>> {
    let mut query = within_rights(presented);
    query.push("WHERE s.active ORDER BY s.id LIMIT 10000) p ON true");
    read(&query.build().fetch_all(database).await?)
}

/// The statement up to the structures `s` of the memberships `m` within the caller's rights: what
/// follows chooses among them, and ends with `) p ON true`.
fn within_rights(presented: &PresentedCredentials) -> QueryBuilder<Postgres> {
    let mut query = QueryBuilder::new(
        "SELECT c.technical_user_id, c.at, c.sunset,
                p.id, p.structure_id, p.identifier_type, p.identifier, p.designation, p.role
           FROM (SELECT * FROM ",
    );
    presented.push_caller(&mut query);
    query.push(
        " OFFSET 0) c LEFT JOIN LATERAL
          (SELECT m.membership_id AS id, m.structure_id, s.identifier_type, s.identifier, s.designation, m.role
             FROM structures_within_rights(c.technical_user_id, c.manager_id, c.structures_chosen) m
             JOIN structures s ON s.id = m.structure_id ",
    );
    query
}

/// The caller with the memberships; `None` where there is no caller.
fn read(found: &[PgRow]) -> sqlx::Result<Option<(Caller, Vec<ApiMembership>)>> {
    let Some(first) = found.first() else { return Ok(None) };
    let rows = found.iter().map(membership).filter_map(Result::transpose).collect::<sqlx::Result<Vec<_>>>()?;
    Ok(Some((caller(first)?, rows)))
}

fn caller(row: &PgRow) -> sqlx::Result<Caller> {
    Ok(Caller { technical_user_id: row.try_get(0)?, at: row.try_get(1)?, sunset: row.try_get(2)? })
}

/// `None` in the row of a caller without memberships.
fn membership(row: &PgRow) -> sqlx::Result<Option<ApiMembership>> {
    let Some(id) = row.try_get(3)? else { return Ok(None) };
    Ok(Some(ApiMembership {
        id,
        structure_id: row.try_get(4)?,
        identifier_type: IdentifierType::parse(row.try_get(5)?).ok_or_else(|| unknown_word(5))?,
        identifier: row.try_get(6)?,
        designation: row.try_get(7)?,
        role: Role::parse(row.try_get(8)?).ok_or_else(|| unknown_word(8))?,
    }))
}

/// Cannot happen: the tables have check constraints.
fn unknown_word(column: usize) -> sqlx::Error {
    sqlx::Error::ColumnDecode { index: column.to_string(), source: "a word that this version does not know".into() }
}

/// How many memberships are within the caller's rights.
async fn count(database: &Connections, presented: &PresentedCredentials) -> sqlx::Result<i64> {
    let digests = presented.digests();
    sqlx::query_scalar!(
        r#"SELECT count(*) AS "count!" FROM api_caller($1, $2, $3::text::inet) c
            CROSS JOIN LATERAL structures_within_rights(c.technical_user_id, c.manager_id, c.structures_chosen)"#,
        presented.token_hash(),
        digests.as_deref(),
        presented.address(),
    )
    .fetch_one(database)
    .await
}
