//! What the database is, and what our role may do there: read for the operator, changed by nothing.

use sqlx::PgPool;
use time::OffsetDateTime;

/// The server and our role on it.
#[derive(Clone, Debug)]
pub struct Examination {
    /// As the server writes it, e.g. « 15.18 (Debian 15.18-0+deb12u1) ».
    pub version: String,
    /// e.g. 150018.
    pub version_number: i32,
    pub encoding: String,
    pub max_connections: i32,
    /// The server's own clock, which tests do not move.
    pub clock: OffsetDateTime,
    pub role: String,
    pub is_superuser: bool,
    /// Whether our role owns the tables; `None` where there are none yet.
    pub owns_tables: Option<bool>,
    /// Whether our role may do what serving needs; `None` where there are no tables yet.
    pub may_serve: Option<bool>,
}

/// Looks at the server.
///
/// # Errors
/// Database errors.
pub async fn examine(pool: &PgPool) -> sqlx::Result<Examination> {
    sqlx::query_as!(
        Examination,
        r#"SELECT current_setting('server_version') AS "version!", current_setting('server_version_num')::int AS "version_number!",
                  current_setting('server_encoding') AS "encoding!", current_setting('max_connections')::int AS "max_connections!",
                  clock_timestamp() AS "clock!", current_user::text AS "role!", r.rolsuper AS "is_superuser!",
                  (SELECT pg_has_role(current_user, c.relowner, 'USAGE') FROM pg_class c WHERE c.oid = to_regclass('users')) AS owns_tables,
                  has_any_column_privilege(to_regclass('sessions')::oid, 'INSERT')
                      AND has_table_privilege(to_regclass('sessions')::oid, 'DELETE') AND has_any_column_privilege(to_regclass('audit_events')::oid, 'INSERT') AS may_serve
             FROM pg_roles r WHERE r.rolname = current_user"#,
    )
    .fetch_one(pool)
    .await
}

/// What waits in the outbox, and why it may.
#[derive(Clone, Copy, Debug)]
pub struct Outbox {
    pub waiting: i64,
    /// Of these, those that have waited for more than an hour.
    pub late: i64,
    /// Addresses that refuse mails.
    pub refused_addresses: i64,
}

/// Looks at the outbox.
///
/// # Errors
/// Database errors.
pub async fn outbox(pool: &PgPool) -> sqlx::Result<Outbox> {
    sqlx::query_as!(
        Outbox,
        r#"SELECT count(*) AS "waiting!", count(*) FILTER (WHERE created_at < portal_now() - interval '1 hour') AS "late!",
                  (SELECT count(*) FROM refused_addresses) AS "refused_addresses!"
             FROM mails WHERE sent_at IS NULL"#,
    )
    .fetch_one(pool)
    .await
}
