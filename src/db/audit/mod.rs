//! Writes audit events: each in the transaction of its operation, never changed afterwards. They
//! are read in `structures::history`.

pub mod chain;

use sqlx::{PgConnection, PgPool};

use crate::domain::audit::{Action, Actor};

/// An event to write.
#[derive(Clone, Copy, Debug)]
pub struct Event<'a> {
    pub actor: &'a Actor,
    pub action: Action,
    /// The structure in whose history the event appears.
    pub structure_id: Option<i64>,
    pub technical_user_id: Option<i64>,
    /// The login, or other name, of whom or what it concerns, for display.
    pub subject: &'a str,
    /// More details for display; never a secret.
    pub detail: &'a str,
}

impl<'a> Event<'a> {
    /// An event that concerns no structure.
    #[must_use]
    pub fn of(actor: &'a Actor, action: Action) -> Self {
        Self { actor, action, structure_id: None, technical_user_id: None, subject: "", detail: "" }
    }
}

/// Writes an event, within the transaction of the operation that it records.
///
/// # Errors
/// Database errors; the caller must then roll back.
pub async fn record(conn: &mut PgConnection, event: Event<'_>) -> sqlx::Result<()> {
    sqlx::query!(
        "INSERT INTO audit_events (actor_id, actor, address, action, structure_id, technical_user_id, subject, detail)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
        event.actor.user_id,
        event.actor.name,
        event.actor.address,
        event.action.code(),
        event.structure_id,
        event.technical_user_id,
        event.subject,
        event.detail,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Records that a member tried an operation that only the principal manager may do: mostly a form
/// that was opened before the manager was replaced. Nothing is written for people who are not
/// members.
///
/// # Errors
/// Database errors.
pub async fn record_refusal(pool: &PgPool, actor: &Actor, target: RefusedTarget, act: &str) -> sqlx::Result<()> {
    let (mut structure_id, mut technical_user_id, mut membership_id, mut request_id) = (None, None, None, None);
    match target {
        RefusedTarget::Structure(id) => structure_id = Some(id),
        RefusedTarget::TechnicalUser(id) => technical_user_id = Some(id),
        RefusedTarget::Membership(id) => membership_id = Some(id),
        RefusedTarget::MembershipRequest(id) => request_id = Some(id),
    }
    sqlx::query!(
        "INSERT INTO audit_events (actor_id, actor, address, action, structure_id, technical_user_id, subject, detail)
         SELECT $1, $2, $3, $4, m.structure_id, t.id, coalesce(t.login, ''), $5
           FROM memberships m LEFT JOIN technical_users t ON t.id = $7
          WHERE m.user_id = $1 AND m.structure_id = coalesce($6, t.structure_id,
                    (SELECT structure_id FROM memberships WHERE id = $8),
                    (SELECT s.id FROM membership_requests r JOIN structures s USING (identifier_type, identifier) WHERE r.id = $9))",
        actor.user_id,
        actor.name,
        actor.address,
        Action::ActRefused.code(),
        act,
        structure_id,
        technical_user_id,
        membership_id,
        request_id,
    )
    .execute(pool)
    .await?;
    Ok(())
}

/// What a refused operation was about.
#[derive(Clone, Copy, Debug)]
pub enum RefusedTarget {
    Structure(i64),
    TechnicalUser(i64),
    Membership(i64),
    MembershipRequest(i64),
}
