//! Appoints a principal manager where none is left who could offer the structure: two operators do
//! it together.

use sqlx::{PgConnection, PgPool};
use thiserror::Error;

use super::{
    memberships,
    succession::{self, Appointing, SuccessionError},
};
use crate::{
    db::{identity::locks, structures, transaction},
    domain::{audit::Actor, operator::Reason, role::Role, structure_identifier::StructureIdentifier},
};

/// Why no principal manager was appointed.
#[derive(Debug, Error)]
pub enum AppointError {
    #[error("no structure has this identifier")]
    UnknownStructure,
    #[error("no person has this login")]
    UnknownPerson,
    #[error("this person is disabled")]
    Disabled,
    #[error("this person is the principal manager already")]
    AlreadyManager,
    #[error("{0} is the principal manager and can sign in: they offer the structure themselves, or are disabled first")]
    ManagerIsThere(String),
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

impl From<SuccessionError> for AppointError {
    fn from(error: SuccessionError) -> Self {
        match error {
            SuccessionError::Database(error) => Self::Database(error),
            // The structure is locked and the successor was just made a member.
            other @ SuccessionError::NotAnotherMember => Self::Database(sqlx::Error::Protocol(other.to_string())),
        }
    }
}

/// Whom to appoint, where and why.
#[derive(Clone, Copy, Debug)]
pub struct Appointment<'a> {
    pub structure: &'a StructureIdentifier,
    /// The person's login.
    pub login: &'a str,
    pub reason: &'a Reason,
}

/// A principal manager who was appointed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Appointed {
    /// The login of the one before, who is a secondary manager now.
    pub former: Option<String>,
    /// Whether the new one has chosen a password yet.
    pub has_password: bool,
}

/// Makes a person the principal manager of a structure that has none, or whose one is disabled or
/// has never signed in. Both are mailed. A person who was no member becomes one.
///
/// # Errors
/// [`AppointError`].
pub async fn appoint(pool: &PgPool, actor: &Actor, appointment: Appointment<'_>) -> Result<Appointed, AppointError> {
    let Appointment { structure, login, reason } = appointment;
    let mut tx = transaction::begin(pool).await?;
    let structure = structures::lock_named(&mut tx, structure).await?.ok_or(AppointError::UnknownStructure)?;
    // Locked after the structure, as everywhere: none is disabled while they are appointed.
    let person_id = locks::named_person(&mut tx, login).await?.ok_or(AppointError::UnknownPerson)?;
    let person = sqlx::query!(
        r#"SELECT id, disabled_at, way_in(id, password_hash) IS NOT NULL AS "has_password!" FROM users WHERE id = $1"#,
        person_id
    )
    .fetch_one(&mut *tx)
    .await?;
    if structure.principal_manager_id == Some(person.id) {
        return Err(AppointError::AlreadyManager);
    }
    if person.disabled_at.is_some() {
        return Err(AppointError::Disabled);
    }
    if memberships::role_of(&mut tx, structure.id, person.id).await?.is_none() {
        memberships::set_role(&mut tx, actor, structure.id, person.id, Role::User).await?;
    }
    let by = Appointing { actor, reason: reason.as_str() };
    let former = if let Some(former) = structure.principal_manager_id {
        Some(replace(&mut tx, by, structure.id, (former, person.id)).await?)
    } else {
        succession::appoint_first(&mut tx, by, structure.id, (person.id, login)).await?;
        None
    };
    tx.commit().await?;
    Ok(Appointed { former, has_password: person.has_password })
}

/// Replaces a manager, the first of the two ids, who cannot act. Returns their login.
async fn replace(
    conn: &mut PgConnection,
    by: Appointing<'_>,
    structure_id: i64,
    (former, successor): (i64, i64),
) -> Result<String, AppointError> {
    let manager = sqlx::query!(
        r#"SELECT login, person_state(disabled_at, way_in(id, password_hash), invited) = 'active' AS "is_there!" FROM users WHERE id = $1"#,
        former
    )
    .fetch_one(&mut *conn)
    .await?;
    if manager.is_there {
        return Err(AppointError::ManagerIsThere(manager.login));
    }
    let structure = structures::find_managed(&mut *conn, former, structure_id).await?;
    let structure = structure.ok_or(AppointError::UnknownStructure)?;
    succession::appoint(conn, by, &structure, successor).await?;
    Ok(manager.login)
}
