//! Giving a person a role in a structure: by an invitation, or in answer to their request.

use sqlx::PgConnection;
use thiserror::Error;

use super::memberships::{self, Member};
use crate::{
    db::{
        audit::{self, Event},
        outbox,
        structures::{ManagedStructure, NotManager},
        throttles::{self, RateLimit, Scope},
    },
    domain::{
        audit::{Action, Actor},
        notification::{Joining, Notification},
        role::Role,
    },
};

/// Why a membership was not created or changed.
#[derive(Debug, Error)]
pub enum MemberError {
    #[error(transparent)]
    NotManager(#[from] NotManager),
    #[error("only a succession changes the principal manager's role")]
    PrincipalManager,
    #[error("the person is a member already, in another role")]
    OtherRole(Role),
    #[error("several people have this address")]
    Ambiguous,
    #[error("the manager has written to too many people")]
    TooMany { seconds: u32 },
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

/// A role for a person who is not a member yet.
pub(super) struct Grant<'a> {
    pub actor: &'a Actor,
    /// The kind of event to write.
    pub action: Action,
    /// Locked by the caller's transaction.
    pub structure: &'a ManagedStructure,
    pub user_id: i64,
    pub role: Role,
    /// For a person whom the manager invites: what was typed, all that the manager sees of them at
    /// first.
    pub invited_as: Option<&'a str>,
}

/// Gives the role, with its mail and its event. False if the person has this role already.
///
/// # Errors
/// [`MemberError`].
pub(super) async fn give(conn: &mut PgConnection, grant: Grant<'_>) -> Result<bool, MemberError> {
    let Grant { actor, action, structure, user_id, role, invited_as } = grant;
    if role == Role::PrincipalManager {
        return Err(MemberError::PrincipalManager);
    }
    let person = sqlx::query!(
        r#"SELECT login, contact_address, way_in(id, password_hash) IS NOT NULL AS "has_password!" FROM users WHERE id = $1"#,
        user_id
    )
    .fetch_one(&mut *conn)
    .await?;
    match memberships::role_of(conn, structure.id(), user_id).await? {
        Some(current) if current == role => return Ok(false),
        Some(current) => return Err(MemberError::OtherRole(current)),
        None => {}
    }
    memberships::set_role(conn, actor, structure.id(), user_id, role).await?;
    if let Some(typed) = invited_as {
        memberships::hide(conn, structure.id(), user_id, typed).await?;
    }
    let event = Event {
        structure_id: Some(structure.id()),
        subject: invited_as.unwrap_or(&person.login),
        detail: role.label(),
        ..Event::of(actor, action)
    };
    audit::record(conn, event).await?;
    // More invitations than a person is mailed: they still learn of the membership.
    let invitation = Invitation { user_id, role, has_password: person.has_password, address: &person.contact_address };
    if invited_as.is_none() || matches!(send(conn, actor, structure, invitation).await?, Mailed::TooOften { .. }) {
        notify(conn, actor, structure, &person.contact_address, RoleChange::new_member(role)).await?;
    }
    Ok(true)
}

/// Invitations that a person is mailed by one manager in a day, for whichever structures: their
/// mailbox may be a stranger's.
const INVITATIONS: RateLimit = RateLimit { most: 3, minutes: 24 * 60 };

/// What became of an invitation's mail.
pub(super) enum Mailed {
    Written,
    /// The manager has had this person mailed too often: seconds to wait.
    TooOften {
        seconds: u32,
    },
}

struct Invitation<'a> {
    user_id: i64,
    role: Role,
    has_password: bool,
    address: &'a str,
}

/// Mails a member their invitation again.
///
/// # Errors
/// Database errors.
pub(super) async fn invite(
    conn: &mut PgConnection,
    actor: &Actor,
    structure: &ManagedStructure,
    member: &Member,
) -> sqlx::Result<Mailed> {
    let Member { user_id, role, active, contact_address, .. } = member;
    let invitation = Invitation { user_id: *user_id, role: *role, has_password: *active, address: contact_address };
    send(conn, actor, structure, invitation).await
}

/// Mails a person that they are invited: with a link where they are to choose their first password.
/// Both kinds are counted alike, so that a manager cannot tell them apart.
async fn send(
    conn: &mut PgConnection,
    actor: &Actor,
    structure: &ManagedStructure,
    invitation: Invitation<'_>,
) -> sqlx::Result<Mailed> {
    let Invitation { user_id, role, has_password, address } = invitation;
    let key = Scope::Invitation.key(&format!("{}:{user_id}", structure.manager_id()), "");
    if let Some(seconds) = throttles::consume(conn, key, INVITATIONS).await? {
        return Ok(Mailed::TooOften { seconds });
    }
    if has_password {
        notify(conn, actor, structure, address, RoleChange::new_member(role)).await?;
        return Ok(Mailed::Written);
    }
    let inviter = sqlx::query_scalar!(
        r#"SELECT first_name || ' ' || last_name AS "name!" FROM users WHERE id = $1"#,
        structure.manager_id(),
    )
    .fetch_one(&mut *conn)
    .await?;
    let joins = Joining {
        structure: structure.designation().into(),
        identifier: structure.written_identifier(),
        role: role.label().into(),
        inviter,
    };
    outbox::enqueue(conn, actor, address, &Notification::Invitation { user_id, joins: Some(joins) }).await?;
    Ok(Mailed::Written)
}

/// A person's role in a structure before and after an act; `None`: no member.
#[derive(Clone, Copy, Debug)]
pub(super) struct RoleChange {
    pub before: Option<Role>,
    pub after: Option<Role>,
}

impl RoleChange {
    fn new_member(role: Role) -> Self {
        Self { before: None, after: Some(role) }
    }
}

/// Mails a person their new role in the structure, or that they are no longer a member.
///
/// # Errors
/// Database errors.
pub(super) async fn notify(
    conn: &mut PgConnection,
    actor: &Actor,
    structure: &ManagedStructure,
    recipient: &str,
    change: RoleChange,
) -> sqlx::Result<()> {
    let label = |role: Option<Role>| role.map(|role| role.label().to_owned());
    let notice = Notification::MembershipChanged {
        structure: structure.designation().into(),
        identifier: structure.written_identifier(),
        role: label(change.after),
        former_role: label(change.before),
        actor: actor.name.clone(),
    };
    outbox::enqueue(conn, actor, recipient, &notice).await
}
