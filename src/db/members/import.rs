//! The operator attaches people to structures.

use sqlx::{PgConnection, PgPool};
use thiserror::Error;

use super::succession::{self, DesignateError};
use crate::{
    db::{
        audit::{self, Event},
        identity::registration,
        structures,
    },
    domain::{
        audit::{Action, Actor},
        new_person::NewPerson,
        role::Role,
        structure_identifier::StructureIdentifier,
    },
};

/// Why somebody was not attached.
#[derive(Debug, Error)]
pub enum AttachError {
    #[error("no structure has this identifier: import it first")]
    UnknownStructure,
    #[error("this person is the structure's principal manager, which only naming another one can change")]
    IsPrincipalManager,
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

impl From<DesignateError> for AttachError {
    fn from(error: DesignateError) -> Self {
        match error {
            DesignateError::Database(error) => Self::Database(error),
            // The structure is locked and the successor was just made a member.
            other => Self::Database(sqlx::Error::Protocol(other.to_string())),
        }
    }
}

/// What attaching somebody changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attached {
    pub is_new_person: bool,
    pub is_changed: bool,
}

/// A person's place in a structure.
pub(in crate::db) struct Seat<'a> {
    pub structure_id: i64,
    pub principal_manager_id: Option<i64>,
    pub user_id: i64,
    pub login: &'a str,
    pub current: Option<Role>,
}

/// Gives a person a role in a structure, registering and inviting who is unknown. Where the role is
/// principal manager and somebody else is, he is replaced, just as by a designation on the portal.
/// Doing it again changes nothing.
///
/// # Errors
/// [`AttachError`].
pub async fn attach(
    pool: &PgPool,
    actor: &Actor,
    person: &NewPerson,
    structure: &StructureIdentifier,
    role: Role,
) -> Result<Attached, AttachError> {
    let mut tx = pool.begin().await?;
    // Locked as by every act on a structure, so that two successions queue.
    let structure = sqlx::query!(
        "SELECT id, principal_manager_id FROM structures WHERE identifier_type = $1 AND identifier = $2 FOR NO KEY UPDATE",
        structure.kind().code(),
        structure.value(),
    )
    .fetch_optional(&mut *tx)
    .await?
    .ok_or(AttachError::UnknownStructure)?;
    let registered = registration::register(&mut tx, actor, person).await?;
    let seat = Seat {
        structure_id: structure.id,
        principal_manager_id: structure.principal_manager_id,
        user_id: registered.user_id,
        login: person.login(),
        current: current_role(&mut tx, structure.id, registered.user_id).await?,
    };
    let is_changed = give(&mut tx, actor, &seat, role).await?;
    tx.commit().await?;
    Ok(Attached { is_new_person: registered.is_new, is_changed })
}

/// What the person is in the structure.
pub(in crate::db) async fn current_role(
    conn: &mut PgConnection,
    structure_id: i64,
    user_id: i64,
) -> sqlx::Result<Option<Role>> {
    let role = sqlx::query_scalar!(
        "SELECT role FROM memberships WHERE structure_id = $1 AND user_id = $2",
        structure_id,
        user_id
    )
    .fetch_optional(conn)
    .await?;
    Ok(role.and_then(|role| Role::parse(&role)))
}

async fn give(conn: &mut PgConnection, actor: &Actor, seat: &Seat<'_>, role: Role) -> Result<bool, AttachError> {
    match (seat.current, role) {
        (Some(current), wanted) if current == wanted => return Ok(false),
        (Some(Role::PrincipalManager), _) => return Err(AttachError::IsPrincipalManager),
        (_, Role::PrincipalManager) => appoint(conn, actor, seat).await?,
        _ => {
            set_role(conn, seat, role).await?;
            record(conn, actor, seat, Action::MembershipChanged, role).await?;
        }
    }
    Ok(true)
}

async fn appoint(conn: &mut PgConnection, actor: &Actor, seat: &Seat<'_>) -> Result<(), AttachError> {
    let former = match seat.principal_manager_id {
        Some(former) => structures::find_managed(&mut *conn, former, seat.structure_id).await?,
        None => None,
    };
    if let Some(structure) = former {
        if seat.current.is_none() {
            set_role(conn, seat, Role::User).await?;
        }
        return Ok(succession::hand_over(conn, actor, &structure, seat.user_id).await?);
    }
    // The first one replaces nobody: nobody needs to be told that things have changed, unless a
    // manager of former times, since removed, left passwords behind.
    succession::replace(conn, seat.structure_id, seat.user_id).await?;
    if let Some(structure) = structures::find_managed(&mut *conn, seat.user_id, seat.structure_id).await? {
        succession::warn_of_known_passwords(conn, &structure).await?;
    }
    Ok(record(conn, actor, seat, Action::ManagerChanged, Role::PrincipalManager).await?)
}

/// Gives the role, whatever the person was before.
pub(in crate::db) async fn set_role(conn: &mut PgConnection, seat: &Seat<'_>, role: Role) -> sqlx::Result<()> {
    sqlx::query!(
        "INSERT INTO memberships (user_id, structure_id, role) VALUES ($1, $2, $3)
         ON CONFLICT ON CONSTRAINT memberships_user_structure_key DO UPDATE SET role = excluded.role",
        seat.user_id,
        seat.structure_id,
        role.code(),
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Writes what became of the seat into the history.
pub(in crate::db) async fn record(
    conn: &mut PgConnection,
    actor: &Actor,
    seat: &Seat<'_>,
    action: Action,
    role: Role,
) -> sqlx::Result<()> {
    let event = Event {
        structure_id: Some(seat.structure_id),
        subject: seat.login,
        detail: if action == Action::ManagerChanged { "" } else { role.label() },
        ..Event::of(actor, action)
    };
    audit::record(conn, event).await
}
