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
        identity::{locks, registration},
        outbox, structures,
        throttles::{self, RateLimit, Scope},
        transaction,
    },
    domain::{
        audit::{Action, Actor},
        import_mode::Mode,
        new_person::NewPerson,
        notification::Notification,
        role::Role,
        structure_identifier::{StructureIdentifier, as_written},
    },
};

/// Why a person was not attached.
#[derive(Debug, Error)]
pub enum AttachError {
    #[error("no structure has this identifier: import it first")]
    UnknownStructure,
    #[error("this person is the structure's principal manager, which only naming another one can change")]
    IsPrincipalManager,
    #[error("{0} is the principal manager and can sign in: only `--by NAME` replaces them")]
    Unnamed(String),
    #[error("this person was removed from the structure, or left it, since: `--restore-removed` gives the role back")]
    Removed,
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
    pub mailed: Mailed,
}

/// Whether a person was mailed the role that they were given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mailed {
    Written,
    /// They were mailed [`ROLES`] in a day already.
    TooMany,
    /// They were given none, or have the link of their invitation.
    Needless,
}

/// Mails about new roles that the operator's files cause a person in a day.
const ROLES: RateLimit = RateLimit { most: 10, minutes: 24 * 60 };

/// A person in a structure, and the role they have there so far.
struct Assignment<'a> {
    structure_id: i64,
    principal_manager_id: Option<i64>,
    user_id: i64,
    login: &'a str,
    current: Option<Role>,
    has_way_in: bool,
}

/// A person and the role to give them in a structure.
#[derive(Clone, Copy, Debug)]
pub struct Attachment<'a> {
    pub person: &'a NewPerson,
    pub structure: &'a StructureIdentifier,
    pub role: Role,
    pub allowed: Allowed,
}

/// What attaching a person may undo.
#[derive(Clone, Copy, Debug)]
pub struct Allowed {
    /// A principal manager who can sign in is replaced.
    pub replaces_active: bool,
    /// A person who was removed from the structure, or left it, comes back.
    pub restores_removed: bool,
}

impl Allowed {
    /// Whatever it undoes: the operator names one person.
    pub const ALL: Self = Self { replaces_active: true, restores_removed: true };
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
    let mut tx = transaction::begin(pool).await?;
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
    Attachment { person, structure, role, allowed }: Attachment<'_>,
) -> Result<Attached, AttachError> {
    let structure = structures::lock_named(conn, structure).await?.ok_or(AttachError::UnknownStructure)?;
    let registered = registration::register(conn, actor, person).await?;
    let known = lock_person(conn, registered.user_id).await?;
    let assignment = Assignment {
        structure_id: structure.id,
        principal_manager_id: structure.principal_manager_id,
        user_id: registered.user_id,
        login: person.login(),
        current: memberships::role_of(conn, structure.id, registered.user_id).await?,
        has_way_in: known.has_way_in,
    };
    if assignment.current == Some(role) {
        return Ok(Attached {
            is_new_person: registered.is_new,
            is_changed: false,
            replaced: None,
            mailed: Mailed::Needless,
        });
    }
    if known.is_disabled {
        return Err(AttachError::Disabled);
    }
    let may_be_back = !registered.is_new && assignment.current.is_none();
    if !allowed.restores_removed && may_be_back && was_removed(conn, &assignment).await? {
        return Err(AttachError::Removed);
    }
    if !allowed.replaces_active && role == Role::PrincipalManager {
        refuse_active(conn, structure.principal_manager_id).await?;
    }
    let (replaced, mailed) = assign(conn, actor, &assignment, role).await?;
    Ok(Attached { is_new_person: registered.is_new, is_changed: true, replaced, mailed })
}

/// A person whose row is locked.
struct Known {
    is_disabled: bool,
    /// Whether they have chosen how to sign in.
    has_way_in: bool,
}

/// Locks a person, after the structure: none is disabled while they are given a role.
async fn lock_person(conn: &mut PgConnection, user_id: i64) -> sqlx::Result<Known> {
    locks::person(&mut *conn, user_id).await?;
    sqlx::query_as!(
        Known,
        r#"SELECT disabled_at IS NOT NULL AS "is_disabled!", way_in(id, password_hash) IS NOT NULL AS "has_way_in!"
             FROM users WHERE id = $1"#,
        user_id
    )
    .fetch_one(conn)
    .await
}

/// Whether a person who is no member was one. The history names them by the login, or by the
/// address that a manager had typed.
async fn was_removed(conn: &mut PgConnection, assignment: &Assignment<'_>) -> sqlx::Result<bool> {
    sqlx::query_scalar!(
        r#"SELECT EXISTS (SELECT FROM audit_events e JOIN users u ON u.id = $2
                           WHERE e.structure_id = $1 AND e.action IN ($3, $4)
                             AND lower(e.subject) IN (lower(u.login), lower(u.contact_address), lower(u.confirmed_address))) AS "was_removed!""#,
        assignment.structure_id,
        assignment.user_id,
        Action::MembershipRemoved.code(),
        Action::MembershipLeft.code(),
    )
    .fetch_one(conn)
    .await
}

/// Refuses to replace a principal manager who can sign in.
async fn refuse_active(conn: &mut PgConnection, manager_id: Option<i64>) -> Result<(), AttachError> {
    let active = sqlx::query_scalar!(
        "SELECT login FROM users WHERE id = $1 AND person_state(disabled_at, way_in(id, password_hash), invited) = 'active'",
        manager_id
    );
    match active.fetch_optional(conn).await? {
        Some(login) => Err(AttachError::Unnamed(login)),
        None => Ok(()),
    }
}

/// Gives a role that the person does not have. Returns the login of the principal manager whom they
/// replaced, and whether they were mailed.
async fn assign(
    conn: &mut PgConnection,
    actor: &Actor,
    assignment: &Assignment<'_>,
    role: Role,
) -> Result<(Option<String>, Mailed), AttachError> {
    match (assignment.current, role) {
        (Some(Role::PrincipalManager), _) => Err(AttachError::IsPrincipalManager),
        (_, Role::PrincipalManager) => appoint(conn, actor, assignment).await,
        _ => {
            memberships::set_role(conn, actor, assignment.structure_id, assignment.user_id, role).await?;
            let detail = match assignment.current {
                Some(before) => before.changed_to(role),
                None => role.label().to_owned(),
            };
            record(conn, actor, assignment, Action::MembershipChanged, &detail).await?;
            Ok((None, tell(conn, actor, assignment, role).await?))
        }
    }
}

/// Mails the role to a person who signs in already.
async fn tell(conn: &mut PgConnection, actor: &Actor, assignment: &Assignment<'_>, role: Role) -> sqlx::Result<Mailed> {
    let mailed = may_mail(conn, assignment).await?;
    if mailed != Mailed::Written {
        return Ok(mailed);
    }
    let about = sqlx::query!(
        "SELECT s.designation, s.identifier_type, s.identifier, u.contact_address
           FROM structures s JOIN users u ON u.id = $2 WHERE s.id = $1",
        assignment.structure_id,
        assignment.user_id,
    )
    .fetch_one(&mut *conn)
    .await?;
    let notice = Notification::MembershipChanged {
        identifier: as_written(&about.identifier_type, &about.identifier),
        structure: about.designation,
        role: Some(role.label().to_owned()),
        former_role: assignment.current.map(|before| before.label().to_owned()),
        actor: actor.name.clone(),
    };
    outbox::enqueue(conn, actor, &about.contact_address, &notice).await?;
    Ok(mailed)
}

/// Counts a mail about a role.
async fn may_mail(conn: &mut PgConnection, assignment: &Assignment<'_>) -> sqlx::Result<Mailed> {
    if !assignment.has_way_in {
        return Ok(Mailed::Needless);
    }
    let key = Scope::Invitation.key(&format!("operator:{}", assignment.user_id), "");
    let wait = throttles::consume(conn, key, ROLES).await?;
    Ok(if wait.is_some() { Mailed::TooMany } else { Mailed::Written })
}

/// Makes the person the principal manager.
async fn appoint(
    conn: &mut PgConnection,
    actor: &Actor,
    assignment: &Assignment<'_>,
) -> Result<(Option<String>, Mailed), AttachError> {
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
        return Ok((Some(former.fetch_one(conn).await?), Mailed::Written));
    }
    // There is no former manager to notify. The new one is warned of passwords that an earlier,
    // removed manager still knows, however many mails they were sent.
    succession::replace(conn, actor, structure_id, user_id).await?;
    let mailed = may_mail(conn, assignment).await?;
    if let Some(structure) = structures::find_managed(&mut *conn, user_id, structure_id).await? {
        if mailed == Mailed::Written {
            succession::tell_new_manager(conn, actor, &structure).await?;
        } else {
            succession::warn_of_known_passwords(conn, actor, &structure).await?;
        }
    }
    record(conn, actor, assignment, Action::ManagerChanged, "").await?;
    Ok((None, mailed))
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
