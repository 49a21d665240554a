//! « Rattachements »: where the caller's principal manager is a member, at this moment (rule 5).

use sqlx::PgPool;

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
/// # Errors
/// Database errors.
pub async fn of_manager(pool: &PgPool, claim: &Claim, page: Page) -> sqlx::Result<Option<(Caller, ApiMemberships)>> {
    let rows = sqlx::query!(
        r#"SELECT c.technical_user_id AS "technical_user_id!", c.at AS "at!", c.sunset, n.total AS "total!",
                  p.id AS "id?", p.structure_id AS "structure_id?", p.identifier_type AS "identifier_type?",
                  p.identifier AS "identifier?", p.designation AS "designation?", p.role AS "role?"
             FROM api_caller($1, $2, $3) c
            CROSS JOIN LATERAL (SELECT count(*) AS total FROM memberships WHERE user_id = c.manager_id) n
             LEFT JOIN LATERAL (
                  SELECT m.id, m.structure_id, m.role, s.identifier_type, s.identifier, s.designation, k.key
                    FROM memberships m JOIN structures s ON s.id = m.structure_id
                   CROSS JOIN LATERAL (SELECT CASE $4 WHEN 'IDENTIFIER' THEN s.identifier WHEN 'DESIGNATION' THEN s.search_text
                         WHEN 'IDENTIFIER_TYPE' THEN s.identifier_type WHEN 'STATUS' THEN s.active::text END AS key) k
                   WHERE m.user_id = c.manager_id
                   ORDER BY CASE WHEN NOT $5 THEN k.key END, CASE WHEN $5 THEN k.key END DESC, m.structure_id
                  OFFSET $6 LIMIT $7) p ON true
            ORDER BY CASE WHEN NOT $5 THEN p.key END, CASE WHEN $5 THEN p.key END DESC, p.structure_id"#,
        claim.token_hash(),
        claim.account_id(),
        claim.version(),
        page.order.map(super::Order::code),
        page.descending,
        page.offset(),
        page.limit(),
    )
    .fetch_all(pool)
    .await?;
    let Some(first) = rows.first() else { return Ok(None) };
    let caller = Caller { technical_user_id: first.technical_user_id, at: first.at, sunset: first.sunset };
    let total = first.total;
    let rows = rows.into_iter().filter_map(|row| {
        Some(ApiMembership {
            id: row.id?,
            structure_id: row.structure_id?,
            identifier_type: row.identifier_type?,
            identifier: row.identifier?,
            designation: row.designation?,
            role: row.role?,
        })
    });
    Ok(Some((caller, ApiMemberships { rows: rows.collect(), total })))
}
