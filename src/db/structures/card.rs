//! Editing a structure's card.

use sqlx::{PgConnection, PgExecutor, PgPool};
use thiserror::Error;

use super::{ManagedStructure, NotManager};
use crate::{
    db::{
        audit::{self, Event},
        structures,
        throttles::{self, RateLimit, Scope},
        transaction,
    },
    domain::{
        audit::{Action, Actor},
        structure::StructureCard,
    },
};

/// Cards that a person may edit in a row: each edit is an event that history keeps.
const EDITS: RateLimit = RateLimit { most: 100, minutes: 60 };

/// Why a card was not saved.
#[derive(Debug, Error)]
pub enum EditError {
    #[error(transparent)]
    NotManager(#[from] NotManager),
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

/// Whether the person confirmed that the edit may stop technical users.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Confirmation {
    /// The person was not asked yet.
    Missing,
    /// The person confirmed.
    Given,
}

/// What an edit that changes the structure's status needs.
#[derive(Clone, Copy, Debug)]
pub struct Consent {
    pub confirmation: Confirmation,
    /// Whether the person authenticated a moment ago.
    pub is_fresh: bool,
}

/// What an edit did to the structure's status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StatusChange {
    None,
    Deactivated,
    Reactivated,
}

impl StatusChange {
    fn between(before: &StructureCard, after: &StructureCard) -> Self {
        match (before.active, after.active) {
            (true, false) => Self::Deactivated,
            (false, true) => Self::Reactivated,
            _ => Self::None,
        }
    }
}

/// What became of an edit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EditOutcome {
    /// The card was written.
    Saved(StatusChange),
    /// Nothing was saved: the card would stop the structure's technical users or let them call
    /// again, which requires a fresh authentication.
    WouldChangeStatus,
    /// Nothing was saved: the card would make the structure inactive, and with it stop this many
    /// technical users. A confirmation is needed.
    WouldStop(u64),
    /// Nothing was saved: the person has edited very many cards. Seconds to wait.
    TooOften { seconds: u32 },
}

/// Saves the edited card, and writes the names of the changed fields into the history. Whether the
/// status changes is decided under the lock, so no parallel edit changes what the person was asked.
/// To make a structure inactive is never too often: that stops credentials that may be stolen.
///
/// # Errors
/// [`EditError`].
pub async fn edit(
    pool: &PgPool,
    actor: &Actor,
    structure: &ManagedStructure,
    card: &StructureCard,
    consent: Consent,
) -> Result<EditOutcome, EditError> {
    let mut tx = transaction::begin(pool).await?;
    let before = structures::lock_managed(&mut tx, structure).await?.ok_or(NotManager)?;
    if before.card.active != card.active && !consent.is_fresh {
        return Ok(EditOutcome::WouldChangeStatus);
    }
    if before.card.active && !card.active && consent.confirmation == Confirmation::Missing {
        let stopped = count_working(&mut *tx, structure).await?;
        if stopped > 0 {
            return Ok(EditOutcome::WouldStop(stopped));
        }
    }
    let detail = changed_fields(&before.card, card).join(", ");
    if !detail.is_empty() {
        let wait = throttles::consume(&mut tx, Scope::CardEdit.key(&actor.name, ""), EDITS).await?;
        if let Some(seconds) = wait
            && (!before.card.active || card.active)
        {
            return Ok(EditOutcome::TooOften { seconds });
        }
        write(&mut tx, structure.id, card).await?;
        let event = Event {
            structure_id: Some(structure.id),
            detail: &detail,
            subject: structure.identifier(),
            ..Event::of(actor, Action::StructureEdited)
        };
        audit::record(&mut tx, event).await?;
    }
    tx.commit().await?;
    Ok(EditOutcome::Saved(StatusChange::between(&before.card, card)))
}

/// The number of the structure's technical users that can call the API: an inactive structure stops
/// them.
///
/// # Errors
/// Database errors.
pub async fn count_working(executor: impl PgExecutor<'_>, structure: &ManagedStructure) -> sqlx::Result<u64> {
    let count = sqlx::query_scalar!(
        r#"SELECT count(*) AS "count!" FROM technical_users
            WHERE structure_id = $1 AND status = 'ACTIVE' AND days_until(expires_at) >= 0"#,
        structure.id,
    )
    .fetch_one(executor)
    .await?;
    Ok(count.unsigned_abs())
}

async fn write(conn: &mut PgConnection, structure_id: i64, card: &StructureCard) -> sqlx::Result<()> {
    sqlx::query!(
        "UPDATE structures SET designation = $2, address_line = $3, address_extra_1 = $4, address_extra_2 = $5,
                postal_code = $6, city = $7, country = $8, email = $9, phone = $10, active = $11 WHERE id = $1",
        structure_id,
        card.designation,
        card.address_line,
        card.address_extra_1,
        card.address_extra_2,
        card.postal_code,
        card.city,
        card.country,
        card.email,
        card.phone,
        card.active,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// The French names of the fields in which two cards differ; of the status, what it was and is.
fn changed_fields(before: &StructureCard, after: &StructureCard) -> Vec<&'static str> {
    let mut fields = Vec::new();
    let address = |card: &StructureCard| {
        [&card.address_line, &card.address_extra_1, &card.address_extra_2, &card.postal_code, &card.city, &card.country]
            .map(Clone::clone)
    };
    for (name, changed) in [
        ("désignation", before.designation != after.designation),
        ("adresse postale", address(before) != address(after)),
        ("adresse électronique", before.email != after.email),
        ("téléphone", before.phone != after.phone),
        ("statut\u{a0}: active → inactive", before.active && !after.active),
        ("statut\u{a0}: inactive → active", !before.active && after.active),
    ] {
        if changed {
            fields.push(name);
        }
    }
    fields
}
