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
        import_mode::Mode,
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
    #[error("this person is disabled: `raccord user enable` gives the access back first")]
    Disabled,
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
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attached {
    /// Whether the person was registered by this.
    pub is_new_person: bool,
    /// Whether a membership or a role was written.
    pub is_changed: bool,
    /// The login of the principal manager whom the person replaced.
    pub replaced: Option<String>,
}

/// What giving a role changed.
enum Assigned {
    Nothing,
    Role,
    /// The role of principal manager, which the person with this login had before.
    Manager(String),
}

/// A person in a structure, and the role they have there so far.
struct Assignment<'a> {
    structure_id: i64,
    principal_manager_id: Option<i64>,
    user_id: i64,
    login: &'a str,
    current: Option<Role>,
}

/// A person and the role to give them in a structure.
#[derive(Clone, Copy, Debug)]
pub struct Attachment<'a> {
    pub person: &'a NewPerson,
    pub structure: &'a StructureIdentifier,
    pub role: Role,
}

/// Gives a person a role in a structure. An unknown person is registered and invited. A new
/// principal manager replaces the present one, as a designation in the portal does. Repeating it
/// changes nothing. A person who is disabled is given nothing.
///
/// # Errors
/// [`AttachError`].
pub async fn attach(
    pool: &PgPool,
    actor: &Actor,
    attachment: Attachment<'_>,
    mode: Mode,
) -> Result<Attached, AttachError> {
    let mut tx = pool.begin().await?;
    let attached = attach_in(&mut tx, actor, attachment).await?;
    match mode {
        Mode::Load => tx.commit().await?,
        Mode::DryRun => tx.rollback().await?,
    }
    Ok(attached)
}

async fn attach_in(
    conn: &mut PgConnection,
    actor: &Actor,
    Attachment { person, structure, role }: Attachment<'_>,
) -> Result<Attached, AttachError> {
    let structure = structures::lock_named(conn, structure).await?.ok_or(AttachError::UnknownStructure)?;
    let registered = registration::register(conn, actor, person).await?;
    let assignment = Assignment {
        structure_id: structure.id,
        principal_manager_id: structure.principal_manager_id,
        user_id: registered.user_id,
        login: person.login(),
        current: memberships::role_of(conn, structure.id, registered.user_id).await?,
    };
    let (is_changed, replaced) = match assign(conn, actor, &assignment, role).await? {
        Assigned::Nothing => (false, None),
        Assigned::Role => (true, None),
        Assigned::Manager(former) => (true, Some(former)),
    };
    if is_changed && is_disabled(conn, registered.user_id).await? {
        return Err(AttachError::Disabled);
    }
    Ok(Attached { is_new_person: registered.is_new, is_changed, replaced })
}

/// Whether a person is disabled. Their row is not locked: acts lock people before structures.
async fn is_disabled(conn: &mut PgConnection, user_id: i64) -> sqlx::Result<bool> {
    sqlx::query_scalar!(r#"SELECT disabled_at IS NOT NULL AS "is_disabled!" FROM users WHERE id = $1"#, user_id)
        .fetch_one(conn)
        .await
}

/// Gives the role, unless the person has it already.
async fn assign(
    conn: &mut PgConnection,
    actor: &Actor,
    assignment: &Assignment<'_>,
    role: Role,
) -> Result<Assigned, AttachError> {
    match (assignment.current, role) {
        (Some(current), wanted) if current == wanted => Ok(Assigned::Nothing),
        (Some(Role::PrincipalManager), _) => Err(AttachError::IsPrincipalManager),
        (_, Role::PrincipalManager) => appoint(conn, actor, assignment).await,
        _ => {
            memberships::set_role(conn, actor, assignment.structure_id, assignment.user_id, role).await?;
            let detail = match assignment.current {
                Some(before) => before.changed_to(role),
                None => role.label().to_owned(),
            };
            record(conn, actor, assignment, Action::MembershipChanged, &detail).await?;
            Ok(Assigned::Role)
        }
    }
}

/// Makes the person the principal manager.
async fn appoint(conn: &mut PgConnection, actor: &Actor, assignment: &Assignment<'_>) -> Result<Assigned, AttachError> {
    let &Assignment { structure_id, user_id, .. } = assignment;
    let former = match assignment.principal_manager_id {
        Some(former) => structures::find_managed(&mut *conn, former, structure_id).await?,
        None => None,
    };
    if let Some(structure) = former {
        if assignment.current.is_none() {
            memberships::set_role(conn, actor, structure_id, user_id, Role::User).await?;
        }
        succession::appoint(conn, Appointing::plain(actor), &structure, user_id).await?;
        let former = sqlx::query_scalar!("SELECT login FROM users WHERE id = $1", structure.manager_id());
        return Ok(Assigned::Manager(former.fetch_one(conn).await?));
    }
    // There is no former manager to notify. The new one is warned of passwords that an earlier,
    // removed manager still knows.
    succession::replace(conn, actor, structure_id, user_id).await?;
    if let Some(structure) = structures::find_managed(&mut *conn, user_id, structure_id).await? {
        succession::warn_of_known_passwords(conn, actor, &structure).await?;
    }
    record(conn, actor, assignment, Action::ManagerChanged, "").await?;
    Ok(Assigned::Role)
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
