//! When the passwords of a manager's technical users expire, for calendars.

use sqlx::{PgExecutor, PgPool};
use time::OffsetDateTime;

use crate::domain::structure_identifier::IdentifierType;

/// The expiry of a technical user's password.
#[derive(Clone, Debug)]
pub struct Deadline {
    pub technical_user_id: i64,
    /// The number of the password; part of the calendar event's id.
    pub credential_version: i32,
    pub login: String,
    pub label: Option<String>,
    /// The structure's name.
    pub structure: String,
    pub expires_at: OffsetDateTime,
    pub password_set_at: OffsetDateTime,
    /// When what the event shows was last changed: password, expiry, label, or the structure's name
    /// or postal code, on which the local hour depends.
    pub changed_at: OffsetDateTime,
    /// Now, by the database's clock.
    pub read_at: OffsetDateTime,
    pub identifier_type: IdentifierType,
    pub postal_code: String,
}

/// The deadlines of the active technical users in this principal manager's active structures,
/// soonest first.
///
/// # Errors
/// Database errors.
pub async fn of_manager(pool: &PgPool, manager_id: i64) -> sqlx::Result<Vec<Deadline>> {
    sqlx::query_as!(
        Deadline,
        r#"SELECT t.id AS technical_user_id, t.credential_version, t.login, t.label, s.designation AS structure,
                t.expires_at, t.password_set_at,
                greatest(t.password_set_at, t.renamed_at, t.expiry_changed_at, s.renamed_at, s.postal_code_changed_at) AS "changed_at!",
                portal_now() AS "read_at!", s.identifier_type AS "identifier_type: IdentifierType", s.postal_code
           FROM structures s JOIN technical_users t ON t.structure_id = s.id AND t.status = 'ACTIVE'
          WHERE s.principal_manager_id = $1 AND s.active
          ORDER BY t.expires_at, t.id"#,
        manager_id,
    )
    .fetch_all(pool)
    .await
}

/// How many active technical users have a password that expires within 30 days.
///
/// # Errors
/// Database errors.
pub async fn expiring_soon(pool: &PgPool) -> sqlx::Result<i64> {
    sqlx::query_scalar!(
        r#"SELECT count(*) AS "count!" FROM technical_users
            WHERE status = 'ACTIVE' AND expires_at > portal_now() AND expires_at <= portal_now() + interval '30 days'"#
    )
    .fetch_one(pool)
    .await
}

/// One of the next deadlines, as the page about the calendar lists it.
#[derive(Clone, Debug)]
pub struct NextDeadline {
    pub technical_user_id: i64,
    pub login: String,
    pub label: Option<String>,
    pub structure_id: i64,
    /// The structure's name.
    pub structure: String,
    pub expires_at: OffsetDateTime,
    /// Calendar days until then in Paris; negative once it is past.
    pub days_left: i32,
    /// The number of deadlines in all.
    pub total: i64,
}

/// The first of the deadlines that [`of_manager`] gives.
///
/// # Errors
/// Database errors.
pub(in crate::db) async fn next(
    executor: impl PgExecutor<'_>,
    manager_id: i64,
    limit: i64,
) -> sqlx::Result<Vec<NextDeadline>> {
    sqlx::query_as!(
        NextDeadline,
        r#"SELECT t.id AS technical_user_id, t.login, t.label, s.id AS structure_id, s.designation AS structure,
                  t.expires_at, days_until(t.expires_at) AS "days_left!", count(*) OVER () AS "total!"
             FROM structures s JOIN technical_users t ON t.structure_id = s.id AND t.status = 'ACTIVE'
            WHERE s.principal_manager_id = $1 AND s.active
            ORDER BY t.expires_at, t.id LIMIT $2"#,
        manager_id,
        limit,
    )
    .fetch_all(executor)
    .await
}

/// How many of the deadlines that [`of_manager`] gives fall into each month.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MonthOfDeadlines {
    /// The month's beginning in Paris.
    pub from: OffsetDateTime,
    pub count: i64,
}

/// The present month and the eleven that follow, then the first one after them: it has all later
/// deadlines.
///
/// # Errors
/// Database errors.
pub(in crate::db) async fn by_month(
    executor: impl PgExecutor<'_>,
    manager_id: i64,
) -> sqlx::Result<Vec<MonthOfDeadlines>> {
    sqlx::query_as!(
        MonthOfDeadlines,
        r#"WITH months AS (
               SELECT m.month
                 FROM (SELECT date_trunc('month', portal_now() AT TIME ZONE 'Europe/Paris') AS this_month) t
                CROSS JOIN LATERAL generate_series(t.this_month, t.this_month + interval '12 months', interval '1 month') m (month)),
           deadlines AS (
               SELECT least(date_trunc('month', t.expires_at AT TIME ZONE 'Europe/Paris'), (SELECT max(month) FROM months)) AS month, count(*)
                 FROM structures s JOIN technical_users t ON t.structure_id = s.id AND t.status = 'ACTIVE'
                WHERE s.principal_manager_id = $1 AND s.active GROUP BY 1)
           SELECT m.month AT TIME ZONE 'Europe/Paris' AS "from!", coalesce(d.count, 0) AS "count!"
             FROM months m LEFT JOIN deadlines d USING (month) ORDER BY m.month"#,
        manager_id,
    )
    .fetch_all(executor)
    .await
}
