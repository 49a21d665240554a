//! A person leaves a structure by themselves.

use sqlx::PgPool;

use super::memberships;
use crate::{
    db::{
        audit::{self, Event},
        identity::locks,
        outbox, transaction,
    },
    domain::{
        audit::{Action, Actor},
        envelope::SessionSecret,
        notification::Notification,
        structure_identifier::as_written,
    },
};

/// A person's own membership that they may end: not that of a principal manager, whom only a
/// succession replaces.
#[derive(Clone, Debug)]
pub struct OwnMembership {
    pub id: i64,
    /// The structure's name.
    pub designation: String,
    pub identifier: String,
    identifier_type: String,
    structure_id: i64,
    /// See [`memberships::Member::invited_as`].
    invited_as: Option<String>,
}

/// The membership with this number, if it is this person's.
///
/// # Errors
/// Database errors.
pub async fn find_own(pool: &PgPool, user_id: i64, id: i64) -> sqlx::Result<Option<OwnMembership>> {
    sqlx::query_as!(
        OwnMembership,
        "SELECT m.id, s.designation, s.identifier, s.id AS structure_id, m.invited_as, s.identifier_type
           FROM memberships m JOIN structures s ON s.id = m.structure_id
          WHERE m.id = $1 AND m.user_id = $2 AND m.role <> 'PRINCIPAL_MANAGER'",
        id,
        user_id,
    )
    .fetch_optional(pool)
    .await
}

/// What became of a departure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Departure {
    Left,
    /// The membership was ended, or became a principal manager's. Nothing was written.
    NoMember,
    /// The session was ended meanwhile. Nothing was written.
    SessionEnded,
}

/// « Quitter cette structure »: ends the membership, and with it the rights of the technical users
/// of the person's own structures there (rule 5); mails the structure's principal manager. Who has
/// not signed in since they were attached stays unnamed to the manager.
///
/// # Errors
/// Database errors.
pub async fn leave(
    pool: &PgPool,
    actor: &Actor,
    session: &SessionSecret,
    user_id: i64,
    membership: &OwnMembership,
) -> sqlx::Result<Departure> {
    let mut tx = transaction::begin(pool).await?;
    // As for every act on a structure: a succession must not make a member of who leaves.
    sqlx::query!("SELECT id FROM structures WHERE id = $1 FOR NO KEY UPDATE", membership.structure_id)
        .fetch_one(&mut *tx)
        .await?;
    if locks::person_in_session(&mut tx, user_id, session).await?.is_none() {
        return Ok(Departure::SessionEnded);
    }
    let person = sqlx::query!(
        r#"SELECT u.login, u.first_name || ' ' || u.last_name AS "name!", p.contact_address AS "manager_address?"
             FROM users u CROSS JOIN structures s LEFT JOIN users p ON p.id = s.principal_manager_id
            WHERE u.id = $1 AND s.id = $2"#,
        user_id,
        membership.structure_id,
    )
    .fetch_one(&mut *tx)
    .await?;
    if !memberships::remove(&mut tx, membership.id).await? {
        return Ok(Departure::NoMember);
    }
    let shown_login = membership.invited_as.clone().unwrap_or(person.login);
    let actor = &Actor { name: shown_login.clone(), ..actor.clone() };
    let event = Event {
        structure_id: Some(membership.structure_id),
        subject: &shown_login,
        ..Event::of(actor, Action::MembershipLeft)
    };
    audit::record(&mut tx, event).await?;
    if let Some(manager) = person.manager_address {
        let notice = Notification::MemberLeft {
            structure: membership.designation.clone(),
            identifier: as_written(&membership.identifier_type, &membership.identifier),
            member: membership.invited_as.clone().unwrap_or(person.name),
        };
        outbox::enqueue(&mut tx, actor, &manager, &notice).await?;
    }
    tx.commit().await?;
    Ok(Departure::Left)
}
