//! Replaces the principal manager of a structure by another member.

use sqlx::{PgConnection, PgPool};
use thiserror::Error;

use super::memberships::{self, Member};
use crate::{
    db::{
        audit::{self, Event},
        outbox,
        structures::{self, ManagedStructure, NotManager},
        technical_users::envelopes,
    },
    domain::{
        audit::{Action, Actor},
        notification::Notification,
        role::Role,
    },
};

/// Why the principal manager was not replaced.
#[derive(Debug, Error)]
pub enum DesignateError {
    #[error(transparent)]
    NotManager(#[from] NotManager),
    #[error("not another member of the structure")]
    NotAnotherMember,
    #[error("the person has not signed in since they were invited or attached")]
    NotSignedInSince,
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

/// A succession that took place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Designated {
    /// Whether the former manager is still principal manager of another structure.
    pub manages_others: bool,
}

/// Makes another member the principal manager; the former one becomes a secondary manager. In the
/// same transaction, contact address and rights of the technical users change, since both are
/// derived (rules 5 and 6), envelopes that the former manager has not opened are destroyed, and
/// both are mailed. The new one's mail names the accounts whose password the former one knows. The
/// new one must have signed in since they were invited or attached: an invitation alone, to
/// whatever address, gives no structure away, and takes no person's rights for its technical users.
///
/// # Errors
/// [`DesignateError`].
pub async fn designate(
    pool: &PgPool,
    actor: &Actor,
    structure: &ManagedStructure,
    new_manager_id: i64,
) -> Result<Designated, DesignateError> {
    let mut tx = pool.begin().await?;
    let structure = structures::lock_managed(&mut tx, structure).await?.ok_or(NotManager)?;
    let members = memberships::of_structure(&mut *tx, &structure).await?;
    let successor = find_successor(&structure, &members, new_manager_id)?;
    if !successor.has_signed_in {
        return Err(DesignateError::NotSignedInSince);
    }
    hand_over(&mut tx, actor, &structure, &members, successor).await?;
    let manages_others = sqlx::query_scalar!(
        r#"SELECT EXISTS (SELECT FROM structures WHERE principal_manager_id = $1) AS "exists!""#,
        structure.manager_id(),
    )
    .fetch_one(&mut *tx)
    .await?;
    tx.commit().await?;
    Ok(Designated { manages_others })
}

/// The operator's succession, to a person who may not have signed in yet, in the transaction of a
/// caller that has locked the structure.
///
/// # Errors
/// [`DesignateError`].
pub(super) async fn appoint(
    conn: &mut PgConnection,
    actor: &Actor,
    structure: &ManagedStructure,
    new_manager_id: i64,
) -> Result<(), DesignateError> {
    let members = memberships::of_structure(&mut *conn, structure).await?;
    let successor = find_successor(structure, &members, new_manager_id)?;
    Ok(hand_over(conn, actor, structure, &members, successor).await?)
}

fn find_successor<'a>(
    structure: &ManagedStructure,
    members: &'a [Member],
    new_manager_id: i64,
) -> Result<&'a Member, DesignateError> {
    let mut others = members.iter().filter(|member| member.user_id != structure.manager_id());
    others.find(|member| member.user_id == new_manager_id).ok_or(DesignateError::NotAnotherMember)
}

async fn hand_over(
    conn: &mut PgConnection,
    actor: &Actor,
    structure: &ManagedStructure,
    members: &[Member],
    successor: &Member,
) -> sqlx::Result<()> {
    replace(conn, actor, structure.id(), successor.user_id).await?;
    let known_accounts = known_to_others(conn, structure.id()).await?;
    let notice = manager_changed(structure, successor.full_name(), Recipient::NewManager { known_accounts });
    outbox::enqueue(conn, actor, &successor.contact_address, &notice).await?;
    if let Some(former) = members.iter().find(|member| member.user_id == structure.manager_id()) {
        let notice = manager_changed(structure, successor.shown_name(), Recipient::FormerManager);
        outbox::enqueue(conn, actor, &former.contact_address, &notice).await?;
    }
    let event = Event {
        structure_id: Some(structure.id()),
        subject: &successor.login,
        ..Event::of(actor, Action::ManagerChanged)
    };
    audit::record(conn, event).await
}

/// Mails a manager who replaces no other, if people who are no longer managers know passwords of
/// the structure.
///
/// # Errors
/// Database errors.
pub(super) async fn warn_of_known_passwords(
    conn: &mut PgConnection,
    actor: &Actor,
    structure: &ManagedStructure,
) -> sqlx::Result<()> {
    let known_accounts = known_to_others(conn, structure.id()).await?;
    if known_accounts.is_empty() {
        return Ok(());
    }
    let members = memberships::of_structure(&mut *conn, structure).await?;
    let manager = members.iter().find(|member| member.user_id == structure.manager_id());
    let name = manager.map(Member::full_name).unwrap_or_default();
    let notice = manager_changed(structure, name, Recipient::NewManager { known_accounts });
    outbox::enqueue(conn, actor, structure.contact_address(), &notice).await
}

/// The recipient of the mail about a new principal manager.
enum Recipient {
    FormerManager,
    /// With the names of the accounts whose password other people know.
    NewManager {
        known_accounts: Vec<String>,
    },
}

fn manager_changed(structure: &ManagedStructure, new_manager: String, recipient: Recipient) -> Notification {
    let (is_recipient, known_accounts) = match recipient {
        Recipient::FormerManager => (false, Vec::new()),
        Recipient::NewManager { known_accounts } => (true, known_accounts),
    };
    Notification::ManagerChanged {
        structure: structure.designation().into(),
        identifier: structure.identifier().into(),
        new_manager,
        is_recipient,
        known_accounts,
    }
}

/// Changes roles and pointer together: two deferred foreign keys compare them at the end of the
/// transaction.
///
/// # Errors
/// Database errors.
pub(super) async fn replace(
    conn: &mut PgConnection,
    actor: &Actor,
    structure_id: i64,
    new_manager_id: i64,
) -> sqlx::Result<()> {
    memberships::demote_principal_manager(conn, structure_id).await?;
    memberships::set_role(conn, actor, structure_id, new_manager_id, Role::PrincipalManager).await?;
    structures::set_principal_manager(conn, structure_id, new_manager_id).await?;
    envelopes::end_of_structure(conn, structure_id).await
}

/// The structure's accounts whose password is known to a person who is not the principal manager,
/// as mails name them.
///
/// # Errors
/// Database errors.
async fn known_to_others(conn: &mut PgConnection, structure_id: i64) -> sqlx::Result<Vec<String>> {
    sqlx::query_scalar!(
        r#"SELECT t.login || coalesce(' (' || t.label || ')', '') AS "name!" FROM technical_users t
            WHERE t.structure_id = $1 AND t.status <> 'DELETED' AND (SELECT count(*) > 0 FROM passwords_known_to_others k WHERE k.technical_user_id = t.id) ORDER BY t.number"#,
        structure_id,
    )
    .fetch_all(conn)
    .await
}
