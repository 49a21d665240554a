//! Removing a member from several structures of one principal manager at once.

use sqlx::{PgConnection, PgPool};

use super::{
    ManagedMember, MemberError,
    memberships::{self, Removed},
};
use crate::{
    db::{
        audit::{self, Event},
        outbox,
        structures::{self, NotManager},
        transaction,
    },
    domain::{
        audit::{Action, Actor},
        notification::Notification,
        role::Role,
        structure_identifier::{IdentifierType, as_written},
    },
};

/// Memberships that one form lists, and that one act ends.
pub const MOST: usize = 1_000;
/// Structures that the mail names; of the others it says how many there are.
const MOST_NAMED: usize = 50;

/// A membership of the person in a structure of the manager.
#[derive(Clone, Debug)]
pub struct SharedMembership {
    pub membership_id: i64,
    /// The structure's name.
    pub designation: String,
    pub identifier_type: IdentifierType,
    pub identifier: String,
    pub role: Role,
}

/// The structures that the manager shares with this member, by name; [`MOST`] and one at most. Of a
/// person who has not signed in since they were invited, only those for which the manager typed the
/// same: the list tells nothing of who they are.
///
/// # Errors
/// Database errors.
pub async fn shared(pool: &PgPool, managed: &ManagedMember) -> sqlx::Result<Vec<SharedMembership>> {
    sqlx::query_as!(
        SharedMembership,
        r#"SELECT m.id AS membership_id, s.designation, s.identifier_type AS "identifier_type: IdentifierType", s.identifier,
                  m.role AS "role: Role"
             FROM memberships m JOIN structures s ON s.id = m.structure_id
            WHERE m.user_id = $1 AND s.principal_manager_id = $2 AND m.invited_as IS NOT DISTINCT FROM $3
            ORDER BY s.designation, s.id LIMIT $4"#,
        managed.member.user_id,
        managed.structure.manager_id(),
        managed.member.invited_as,
        i64::try_from(MOST).unwrap_or(i64::MAX).saturating_add(1),
    )
    .fetch_all(pool)
    .await
}

/// Ends the chosen ones of these memberships, in one transaction: an event for each structure, one
/// mail for all. Returns how many were ended; those that are not shared any more are passed over.
///
/// # Errors
/// [`MemberError`].
pub async fn remove(
    pool: &PgPool,
    actor: &Actor,
    managed: &ManagedMember,
    memberships: &[i64],
) -> Result<usize, MemberError> {
    let mut tx = transaction::begin(pool).await?;
    let structures = lock(&mut tx, managed, memberships).await?;
    if !structures::holds_session(&mut tx, &managed.structure).await? {
        return Err(NotManager.into());
    }
    let member = &managed.member;
    let ids: Vec<i64> = structures.iter().map(|structure| structure.id).collect();
    let removed = memberships::remove_from(&mut tx, member.user_id, member.invited_as.as_deref(), &ids).await?;
    if removed.is_empty() {
        return Ok(0);
    }
    for Removed { structure_id, role } in &removed {
        let event = Event {
            structure_id: Some(*structure_id),
            subject: member.shown_login(),
            detail: role.label(),
            ..Event::of(actor, Action::MembershipRemoved)
        };
        audit::record(&mut tx, event).await?;
    }
    let is_removed = |structure: &&Locked| removed.iter().any(|removed| removed.structure_id == structure.id);
    let names: Vec<String> = structures.iter().filter(is_removed).map(Locked::name).collect();
    let notice = Notification::MembershipsEnded {
        others: names.len().saturating_sub(MOST_NAMED),
        structures: names.into_iter().take(MOST_NAMED).collect(),
        actor: actor.name.clone(),
    };
    outbox::enqueue(&mut tx, actor, &member.contact_address, &notice).await?;
    tx.commit().await?;
    Ok(removed.len())
}

/// A structure whose row is locked.
struct Locked {
    id: i64,
    designation: String,
    identifier_type: String,
    identifier: String,
}

impl Locked {
    /// `name (identifier)`.
    fn name(&self) -> String {
        format!("{} ({})", self.designation, as_written(&self.identifier_type, &self.identifier))
    }
}

/// Locks the structures of the chosen memberships that the manager still shares with the member, in
/// the order of their ids.
async fn lock(conn: &mut PgConnection, managed: &ManagedMember, memberships: &[i64]) -> sqlx::Result<Vec<Locked>> {
    sqlx::query_as!(
        Locked,
        "SELECT s.id, s.designation, s.identifier, s.identifier_type FROM structures s
          WHERE s.principal_manager_id = $2
            AND s.id IN (SELECT structure_id FROM memberships WHERE user_id = $1 AND id = ANY ($3))
          ORDER BY s.id FOR NO KEY UPDATE",
        managed.member.user_id,
        managed.structure.manager_id(),
        memberships,
    )
    .fetch_all(conn)
    .await
}
