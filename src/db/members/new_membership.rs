//! Giving a person a role in a structure: by an invitation, or in answer to their request.

use sqlx::PgConnection;
use thiserror::Error;

use super::memberships;
use crate::{
    db::{
        audit::{self, Event},
        outbox,
        structures::{ManagedStructure, NotManager},
    },
    domain::{
        audit::{Action, Actor},
        notification::Notification,
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
    let person =
        sqlx::query!("SELECT login, contact_address FROM users WHERE id = $1", user_id).fetch_one(&mut *conn).await?;
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
    notify(conn, actor, structure, &person.contact_address, Some(role)).await?;
    Ok(true)
}

/// Mails a person their new role in the structure, or, with `None`, that they are no longer a
/// member.
///
/// # Errors
/// Database errors.
pub(super) async fn notify(
    conn: &mut PgConnection,
    actor: &Actor,
    structure: &ManagedStructure,
    recipient: &str,
    role: Option<Role>,
) -> sqlx::Result<()> {
    let notice = Notification::MembershipChanged {
        structure: structure.designation().into(),
        identifier: structure.identifier().into(),
        role: role.map(|role| role.label().to_owned()),
        actor: actor.name.clone(),
    };
    outbox::enqueue(conn, actor, recipient, &notice).await
}
