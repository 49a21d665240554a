//! Writes audit events: each in the transaction of its operation, never changed afterwards. They
//! are read in `structures::history`.

pub mod chain;
pub mod frequent;
pub mod refusals;

use sqlx::PgConnection;

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
