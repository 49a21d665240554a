//! What only a demonstration writes: people with passwords and accounts with a past, in one
//! transaction.

use sqlx::{PgConnection, PgPool, Postgres, Transaction};

use super::identity::registration;
use crate::domain::{audit::Action, new_person::NewPerson, password::PasswordHash, role::Role};

/// Where a database stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DemoState {
    /// Nothing is in it.
    Empty,
    /// It is a demonstration.
    Demo,
    /// It serves for something else.
    InUse,
}

/// Opens the transaction that may fill the database; two that start together queue, and the second
/// finds it filled.
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

/// Says for good that the database is a demonstration.
///
/// # Errors
/// Database errors.
pub async fn mark(conn: &mut PgConnection) -> sqlx::Result<()> {
    sqlx::query!("INSERT INTO portal_facts (name, value) VALUES ('demo', portal_now()::text)").execute(conn).await?;
    Ok(())
}

/// Registers a person with a password, without inviting anybody.
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

/// Attaches a person to the first structures, by name, of a principal manager.
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
    /// Its structure's place among the manager's, by name, from 0.
    pub place: i64,
    pub label: &'a str,
    pub suspended: bool,
    /// Days until the password expires; negative where it has.
    pub days_left: i32,
    /// Hours since the last call, its address and software.
    pub last_call: Option<(i32, &'a str, &'a str)>,
}

/// Adds a technical user whose password nobody knows, and the event of its creation.
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
    sqlx::query!(
        "WITH structure AS (
           UPDATE structures SET next_technical_number = next_technical_number + 1
            WHERE id = (SELECT id FROM structures WHERE principal_manager_id = $1 ORDER BY designation, id OFFSET $2 LIMIT 1)
           RETURNING id, identifier, next_technical_number - 1 AS number
         ), account AS (
           INSERT INTO technical_users (structure_id, number, login, label, status, created_at, created_by, password_hash,
                  password_set_at, password_set_by, password_shown_at, expires_at,
                  last_call_at, last_call_address, last_call_software)
           SELECT s.id, s.number, 'TECH_' || s.number || '_' || s.identifier || '@cpro.fr', $3,
                  CASE WHEN $4 THEN 'SUSPENDED' ELSE 'ACTIVE' END, set_at, $1, $5, set_at, $1, set_at, expires_at,
                  portal_now() - make_interval(hours => $8), $9, $10
             FROM structure s, LATERAL (SELECT portal_now() + make_interval(days => $6) AS expires_at) e,
                  LATERAL (SELECT least(portal_now(), expires_at - make_interval(days => $7)) AS set_at) t
           RETURNING id, structure_id, login, label, created_at
         )
         INSERT INTO audit_events (at, actor_id, actor, address, action, structure_id, technical_user_id, subject, detail)
         SELECT a.created_at, u.id, u.login, 'démonstration', $11, a.structure_id, a.id, a.login, a.label
           FROM account a, users u WHERE u.id = $1",
        manager_id,
        account.place,
        account.label,
        account.suspended,
        hash.as_phc(),
        account.days_left,
        lifetime_days,
        account.last_call.map(|(hours, _, _)| hours),
        account.last_call.map(|(_, address, _)| address),
        account.last_call.map(|(_, _, software)| software),
        Action::TechnicalUserCreated.code(),
    )
    .execute(conn)
    .await?;
    Ok(())
}
