//! Attaches people to structures, from the operator's command line.

use sqlx::{PgConnection, PgPool};
use thiserror::Error;

use super::{
    memberships,
    succession::{self, Appointing, SuccessionError},
};
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

/// Why a person was not attached.
#[derive(Debug, Error)]
pub enum AttachError {
    #[error("no structure has this identifier: import it first")]
    UnknownStructure,
    #[error("this person is the structure's principal manager, which only naming another one can change")]
    IsPrincipalManager,
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

impl From<SuccessionError> for AttachError {
    fn from(error: SuccessionError) -> Self {
        match error {
            SuccessionError::Database(error) => Self::Database(error),
            // The structure is locked and the successor was just made a member.
            other @ SuccessionError::NotAnotherMember => Self::Database(sqlx::Error::Protocol(other.to_string())),
        }
    }
}

/// What attaching a person changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attached {
    /// Whether the person was registered by this.
    pub is_new_person: bool,
    /// Whether a membership or a role was written.
    pub is_changed: bool,
}

/// A person in a structure, and the role they have there so far.
struct Assignment<'a> {
    structure_id: i64,
    principal_manager_id: Option<i64>,
    user_id: i64,
    login: &'a str,
    current: Option<Role>,
}

/// Gives a person a role in a structure. An unknown person is registered and invited. A new
/// principal manager replaces the present one, as a designation in the portal does. Repeating it
/// changes nothing.
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
    // Locked like for every act on a structure, so that two successions queue.
    let structure = sqlx::query!(
        "SELECT id, principal_manager_id FROM structures WHERE identifier_type = $1 AND identifier = $2 FOR NO KEY UPDATE",
        structure.kind().code(),
        structure.value(),
    )
    .fetch_optional(&mut *tx)
    .await?
    .ok_or(AttachError::UnknownStructure)?;
    let registered = registration::register(&mut tx, actor, person).await?;
    let assignment = Assignment {
        structure_id: structure.id,
        principal_manager_id: structure.principal_manager_id,
        user_id: registered.user_id,
        login: person.login(),
        current: memberships::role_of(&mut tx, structure.id, registered.user_id).await?,
    };
    let is_changed = assign(&mut tx, actor, &assignment, role).await?;
    tx.commit().await?;
    Ok(Attached { is_new_person: registered.is_new, is_changed })
}

/// Gives the role. False if the person has it already.
async fn assign(
    conn: &mut PgConnection,
    actor: &Actor,
    assignment: &Assignment<'_>,
    role: Role,
) -> Result<bool, AttachError> {
    match (assignment.current, role) {
        (Some(current), wanted) if current == wanted => return Ok(false),
        (Some(Role::PrincipalManager), _) => return Err(AttachError::IsPrincipalManager),
        (_, Role::PrincipalManager) => appoint(conn, actor, assignment).await?,
        _ => {
            memberships::set_role(conn, actor, assignment.structure_id, assignment.user_id, role).await?;
            let detail = match assignment.current {
                Some(before) => before.changed_to(role),
                None => role.label().to_owned(),
            };
            record(conn, actor, assignment, Action::MembershipChanged, &detail).await?;
        }
    }
    Ok(true)
}

/// Makes the person the principal manager.
async fn appoint(conn: &mut PgConnection, actor: &Actor, assignment: &Assignment<'_>) -> Result<(), AttachError> {
    let &Assignment { structure_id, user_id, .. } = assignment;
    let former = match assignment.principal_manager_id {
        Some(former) => structures::find_managed(&mut *conn, former, structure_id).await?,
        None => None,
    };
    if let Some(structure) = former {
        if assignment.current.is_none() {
            memberships::set_role(conn, actor, structure_id, user_id, Role::User).await?;
        }
        return Ok(succession::appoint(conn, Appointing::plain(actor), &structure, user_id).await?);
    }
    // There is no former manager to notify. The new one is warned of passwords that an earlier,
    // removed manager still knows.
    succession::replace(conn, actor, structure_id, user_id).await?;
    if let Some(structure) = structures::find_managed(&mut *conn, user_id, structure_id).await? {
        succession::warn_of_known_passwords(conn, actor, &structure).await?;
    }
    Ok(record(conn, actor, assignment, Action::ManagerChanged, "").await?)
}

async fn record(
    conn: &mut PgConnection,
    actor: &Actor,
    assignment: &Assignment<'_>,
    action: Action,
    detail: &str,
) -> sqlx::Result<()> {
    let event = Event {
        structure_id: Some(assignment.structure_id),
        subject: assignment.login,
        detail,
        ..Event::of(actor, action)
    };
    audit::record(conn, event).await
}
