//! Statements that only the demonstration uses: people with passwords and accounts with a past.

use sqlx::{PgConnection, PgPool, Postgres, Transaction};
use time::OffsetDateTime;

use super::identity::registration;
use crate::domain::{audit::Action, new_person::NewPerson, password::PasswordHash, role::Role};

/// What a database contains.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DemoState {
    /// No data.
    Empty,
    /// A demonstration.
    Demo,
    /// Data that is not a demonstration.
    InUse,
}

/// Begins the transaction that fills the database. It locks out a second one, which then finds the
/// database filled.
///
/// # Errors
/// Database errors.
pub async fn begin(pool: &PgPool) -> sqlx::Result<(Transaction<'static, Postgres>, DemoState)> {
    let mut tx = pool.begin().await?;
    sqlx::query!("LOCK TABLE portal_facts IN EXCLUSIVE MODE").execute(&mut *tx).await?;
    let row = sqlx::query!(
        r#"SELECT EXISTS (SELECT 1 FROM portal_facts WHERE name = 'demo') AS "demo!",
                  EXISTS (SELECT 1 FROM users) OR EXISTS (SELECT 1 FROM structures) AS "in_use!""#
    )
    .fetch_one(&mut *tx)
    .await?;
    let state = match (row.demo, row.in_use) {
        (true, _) => DemoState::Demo,
        (false, true) => DemoState::InUse,
        (false, false) => DemoState::Empty,
    };
    Ok((tx, state))
}

/// Marks the database as a demonstration, for good.
///
/// # Errors
/// Database errors.
pub async fn mark(conn: &mut PgConnection) -> sqlx::Result<()> {
    sqlx::query!("INSERT INTO portal_facts (name, value) VALUES ('demo', portal_now()::text)").execute(conn).await?;
    Ok(())
}

/// Registers a person with a password, without an invitation.
///
/// # Errors
/// Database errors; [`sqlx::Error::RowNotFound`] where the login is taken.
pub async fn add_person(conn: &mut PgConnection, person: &NewPerson, password: &PasswordHash) -> sqlx::Result<i64> {
    registration::insert(conn, person, Some(password)).await?.ok_or(sqlx::Error::RowNotFound)
}

/// Makes a person the principal manager of structures that have none.
///
/// # Errors
/// Database errors.
pub async fn give_structures(conn: &mut PgConnection, manager_id: i64, identifiers: &[String]) -> sqlx::Result<()> {
    sqlx::query!(
        "INSERT INTO memberships (user_id, structure_id, role)
         SELECT $1, id, 'PRINCIPAL_MANAGER' FROM structures WHERE identifier = ANY ($2)",
        manager_id,
        identifiers,
    )
    .execute(&mut *conn)
    .await?;
    sqlx::query!(
        "UPDATE structures SET principal_manager_id = $1, managed = true WHERE identifier = ANY ($2)",
        manager_id,
        identifiers,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Makes a person a member of the first `count` structures of a principal manager, by designation.
///
/// # Errors
/// Database errors.
pub async fn join_first_structures(
    conn: &mut PgConnection,
    manager_id: i64,
    user_id: i64,
    role: Role,
    count: i64,
) -> sqlx::Result<()> {
    sqlx::query!(
        "INSERT INTO memberships (user_id, structure_id, role)
         SELECT $2, id, $3 FROM structures WHERE principal_manager_id = $1 ORDER BY designation, id LIMIT $4",
        manager_id,
        user_id,
        role.code(),
        count,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// A technical user with a past.
#[derive(Clone, Copy, Debug)]
pub struct DemoAccount<'a> {
    /// The index of its structure among the manager's, by designation, from 0.
    pub place: i64,
    pub label: &'a str,
    pub suspended: bool,
    /// Days until the password expires; negative where it has expired.
    pub days_left: i32,
    pub last_call: Option<DemoCall<'a>>,
}

/// The last call of a [`DemoAccount`].
#[derive(Clone, Copy, Debug)]
pub struct DemoCall<'a> {
    pub hours_ago: i32,
    pub address: &'a str,
    pub software: &'a str,
}

/// Adds a technical user with an unknown password, and the event of its creation.
///
/// # Errors
/// Database errors.
pub async fn add_account(
    conn: &mut PgConnection,
    manager_id: i64,
    account: DemoAccount<'_>,
    hash: &PasswordHash,
    lifetime_days: i32,
) -> sqlx::Result<()> {
    let made = sqlx::query!(
        "WITH structure AS (
           UPDATE structures SET next_technical_number = next_technical_number + 1
            WHERE id = (SELECT id FROM structures WHERE principal_manager_id = $1 ORDER BY designation, id OFFSET $2 LIMIT 1)
           RETURNING id, identifier, next_technical_number - 1 AS number
         )
         INSERT INTO technical_users (structure_id, number, login, label, status, created_at, created_by, password_hash,
                password_set_at, password_set_by, password_shown_at, expires_at,
                last_call_at, last_call_address, last_call_software)
         SELECT s.id, s.number, 'TECH_' || s.number || '_' || s.identifier || '@cpro.fr', $3,
                CASE WHEN $4 THEN 'SUSPENDED' ELSE 'ACTIVE' END, set_at, $1, $5, set_at, $1, set_at, expires_at,
                portal_now() - make_interval(hours => $8), $9, $10
           FROM structure s, LATERAL (SELECT portal_now() + make_interval(days => $6) AS expires_at) e,
                LATERAL (SELECT least(portal_now(), expires_at - make_interval(days => $7)) AS set_at) t
         RETURNING id, created_at",
        manager_id,
        account.place,
        account.label,
        account.suspended,
        hash.as_phc(),
        account.days_left,
        lifetime_days,
        account.last_call.map(|call| call.hours_ago),
        account.last_call.map(|call| call.address),
        account.last_call.map(|call| call.software),
    )
    .fetch_one(&mut *conn)
    .await?;
    record_creation(conn, manager_id, made.id, made.created_at).await
}

/// The date of an event is the database's: the clock of this transaction is moved for it, and back.
async fn record_creation(
    conn: &mut PgConnection,
    manager_id: i64,
    account_id: i64,
    created_at: OffsetDateTime,
) -> sqlx::Result<()> {
    let offset =
        sqlx::query_scalar!("SELECT current_setting('raccord.clock_offset', true)").fetch_one(&mut *conn).await?;
    sqlx::query!("SELECT set_config('raccord.clock_offset', ($1 - now())::text, true)", created_at)
        .fetch_one(&mut *conn)
        .await?;
    sqlx::query!(
        "INSERT INTO audit_events (actor_id, actor, address, action, structure_id, technical_user_id, subject, detail)
         SELECT u.id, u.login, 'démonstration', $3, a.structure_id, a.id, a.login, a.label
           FROM technical_users a, users u WHERE u.id = $1 AND a.id = $2",
        manager_id,
        account_id,
        Action::TechnicalUserCreated.code(),
    )
    .execute(&mut *conn)
    .await?;
    sqlx::query!("SELECT set_config('raccord.clock_offset', $1, true)", offset.unwrap_or_default())
        .fetch_one(conn)
        .await?;
    Ok(())
}
