//! A structure changes hands: another member becomes its principal manager.

use sqlx::{PgConnection, PgPool};
use thiserror::Error;

use crate::{
    db::{
        audit::{self, Event},
        outbox,
        structures::{self, ManagedStructure, Member, NotManager},
        technical_users::envelopes,
    },
    domain::{
        audit::{Action, Actor},
        notification::Notification,
    },
};

/// Why no other principal manager was designated.
#[derive(Debug, Error)]
pub enum DesignateError {
    #[error(transparent)]
    NotManager(#[from] NotManager),
    #[error("not another member of the structure")]
    NotAnotherMember,
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

/// Makes another member the principal manager; the former one becomes a secondary manager. In the
/// same transaction the technical users change contact address and rights, since both are derived
/// (rules 5 and 6), envelopes that the former manager has not opened die, and both are written to;
/// the new one learns which passwords the former one knows.
///
/// # Errors
/// [`DesignateError`].
pub async fn designate(
    pool: &PgPool,
    actor: &Actor,
    structure: &ManagedStructure,
    new_manager_id: i64,
) -> Result<(), DesignateError> {
    let mut tx = pool.begin().await?;
    let structure = structures::lock_managed(&mut tx, structure).await?.ok_or(NotManager)?;
    hand_over(&mut tx, actor, &structure, new_manager_id).await?;
    tx.commit().await?;
    Ok(())
}

/// The same within the transaction of a caller who has locked the structure.
///
/// # Errors
/// [`DesignateError`].
pub(in crate::db) async fn hand_over(
    conn: &mut PgConnection,
    actor: &Actor,
    structure: &ManagedStructure,
    new_manager_id: i64,
) -> Result<(), DesignateError> {
    let members = structures::members(&mut *conn, structure).await?;
    let successor = members
        .iter()
        .find(|member| member.user_id == new_manager_id && member.user_id != structure.manager_id())
        .ok_or(DesignateError::NotAnotherMember)?;
    replace(conn, structure.id(), new_manager_id).await?;
    let known = known_to_others(conn, structure.id()).await?;
    for member in
        [Some(successor), members.iter().find(|member| member.user_id == structure.manager_id())].into_iter().flatten()
    {
        let notice = Notification::ManagerChanged {
            structure: structure.designation().into(),
            identifier: structure.identifier().into(),
            new_manager: successor.full_name(),
            is_recipient: member.user_id == new_manager_id,
            known_accounts: if member.user_id == new_manager_id { known.clone() } else { Vec::new() },
        };
        outbox::enqueue(conn, &member.contact_address, &notice).await?;
    }
    let event = Event {
        structure_id: Some(structure.id()),
        subject: &successor.login,
        ..Event::of(actor, Action::ManagerChanged)
    };
    audit::record(conn, event).await?;
    Ok(())
}

/// Writes to a manager who replaces nobody, where passwords are known that somebody had before.
pub(in crate::db) async fn warn_of_known_passwords(
    conn: &mut PgConnection,
    structure: &ManagedStructure,
) -> sqlx::Result<()> {
    let known_accounts = known_to_others(conn, structure.id()).await?;
    if known_accounts.is_empty() {
        return Ok(());
    }
    let members = structures::members(&mut *conn, structure).await?;
    let manager = members.iter().find(|member| member.user_id == structure.manager_id());
    let notice = Notification::ManagerChanged {
        structure: structure.designation().into(),
        identifier: structure.identifier().into(),
        new_manager: manager.map(Member::full_name).unwrap_or_default(),
        is_recipient: true,
        known_accounts,
    };
    outbox::enqueue(conn, structure.contact_address(), &notice).await
}

/// The change itself: roles and pointer, which two deferred foreign keys compare at the end of the
/// transaction.
pub(in crate::db) async fn replace(
    conn: &mut PgConnection,
    structure_id: i64,
    new_manager_id: i64,
) -> sqlx::Result<()> {
    sqlx::query!(
        "UPDATE memberships SET role = 'SECONDARY_MANAGER' WHERE structure_id = $1 AND role = 'PRINCIPAL_MANAGER'",
        structure_id,
    )
    .execute(&mut *conn)
    .await?;
    sqlx::query!(
        "INSERT INTO memberships (user_id, structure_id, role) VALUES ($2, $1, 'PRINCIPAL_MANAGER')
         ON CONFLICT ON CONSTRAINT memberships_user_structure_key DO UPDATE SET role = 'PRINCIPAL_MANAGER'",
        structure_id,
        new_manager_id,
    )
    .execute(&mut *conn)
    .await?;
    sqlx::query!(
        "UPDATE structures SET principal_manager_id = $2, managed = true WHERE id = $1",
        structure_id,
        new_manager_id
    )
    .execute(&mut *conn)
    .await?;
    envelopes::end_of_structure(conn, structure_id).await
}

/// The accounts of a structure whose password somebody knows who is no longer its principal
/// manager, as a mail names them.
///
/// # Errors
/// Database errors.
pub(in crate::db) async fn known_to_others(conn: &mut PgConnection, structure_id: i64) -> sqlx::Result<Vec<String>> {
    sqlx::query_scalar!(
        r#"SELECT t.login || coalesce(' (' || t.label || ')', '') AS "name!" FROM technical_users t
            WHERE t.structure_id = $1 AND t.status <> 'DELETED' AND (SELECT count(*) > 0 FROM passwords_known_to_others k WHERE k.technical_user_id = t.id) ORDER BY t.number"#,
        structure_id,
    )
    .fetch_all(conn)
    .await
}
