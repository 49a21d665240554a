//! Changes a technical user's label and status.

use sqlx::{PgConnection, PgPool};
use thiserror::Error;

use super::{
    ChangeError, LabelTaken, ManagedTechnicalUser, begin, check_look, envelopes, former_passwords, handovers,
    label_error,
};
use crate::{
    db::{
        api::tokens,
        audit::{self, Event},
        structures::{self, NotManager},
        throttles::{self, RateLimit, Scope},
        transaction,
    },
    domain::{
        audit::{Action, Actor},
        technical_user::{Label, TechnicalUserStatus, label_change},
    },
};

/// Labels that a person may change in a row: each is an event that history keeps.
const CHANGES_OF_LABELS: RateLimit = RateLimit { most: 100, minutes: 60 };

/// Why an account's label was not changed.
#[derive(Debug, Error)]
pub enum RelabelError {
    #[error(transparent)]
    NotManager(#[from] NotManager),
    #[error("the account has been deleted")]
    Deleted,
    #[error(transparent)]
    LabelTaken(#[from] LabelTaken),
    /// The present label, which is not the one that the form showed.
    #[error("the label has been changed in the meantime")]
    ChangedMeanwhile(Option<String>),
    /// Seconds to wait.
    #[error("the person has changed very many labels")]
    TooOften { seconds: u32 },
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

/// Gives the account another label, or none. `seen` is the label that the form showed, empty for
/// none; if the label was changed since, it is not overwritten. Does nothing if the account has
/// this label already.
///
/// # Errors
/// [`RelabelError`].
pub async fn change_label(
    pool: &PgPool,
    actor: &Actor,
    account: &ManagedTechnicalUser,
    seen: &str,
    label: Option<&Label>,
) -> Result<(), RelabelError> {
    let mut tx = transaction::begin(pool).await?;
    structures::lock_managed(&mut tx, &account.structure).await?.ok_or(NotManager)?;
    let row = sqlx::query!("SELECT label FROM technical_users WHERE id = $1 AND status <> 'DELETED'", account.id())
        .fetch_optional(&mut *tx)
        .await?
        .ok_or(RelabelError::Deleted)?;
    let (before, after) = (row.label.as_deref(), label.map(Label::as_str));
    if before == after {
        return Ok(());
    }
    if before.unwrap_or_default() != seen {
        return Err(RelabelError::ChangedMeanwhile(row.label));
    }
    check_look::<RelabelError>(&mut tx, account.structure.id(), Some(account.id()), label).await?;
    let wait = throttles::consume(&mut tx, Scope::LabelChange.key(&actor.name, ""), CHANGES_OF_LABELS).await?;
    if let Some(seconds) = wait {
        return Err(RelabelError::TooOften { seconds });
    }
    set_label(&mut tx, account.id(), after).await?;
    let detail = label_change(before, after);
    audit::record(&mut tx, Event { detail: &detail, ..account.event(actor, Action::LabelChanged) }).await?;
    tx.commit().await?;
    Ok(())
}

async fn set_label(conn: &mut PgConnection, technical_user_id: i64, label: Option<&str>) -> Result<(), RelabelError> {
    sqlx::query!("UPDATE technical_users SET label = $2 WHERE id = $1", technical_user_id, label)
        .execute(conn)
        .await
        .map_err(label_error::<RelabelError>)?;
    Ok(())
}

/// Suspends, reactivates or deletes the account. A suspension or deletion also ends its access
/// tokens, its former password and the link that hands its password over. The login of a deleted
/// account is never given again. Does nothing if the account has this status already.
///
/// # Errors
/// [`ChangeError`].
pub async fn change_status(
    pool: &PgPool,
    actor: &Actor,
    account: &ManagedTechnicalUser,
    status: TechnicalUserStatus,
) -> Result<(), ChangeError> {
    let (mut tx, _) = begin(pool, account).await?;
    let locked =
        LockedAccount { id: account.id(), login: &account.account().login, structure_id: account.structure.id() };
    if apply(&mut tx, actor, &locked, Change { status, reason: "" }).await? {
        tx.commit().await?;
    }
    Ok(())
}

/// An account whose structure is locked by the transaction.
pub(super) struct LockedAccount<'a> {
    pub id: i64,
    pub login: &'a str,
    pub structure_id: i64,
}

impl<'a> LockedAccount<'a> {
    /// An act on the account.
    pub(super) fn event(&self, actor: &'a Actor, action: Action) -> Event<'a> {
        Event {
            structure_id: Some(self.structure_id),
            technical_user_id: Some(self.id),
            subject: self.login,
            ..Event::of(actor, action)
        }
    }
}

/// Another status of an account.
#[derive(Clone, Copy)]
pub(super) struct Change<'a> {
    pub status: TechnicalUserStatus,
    /// Why, in the history; may be empty.
    pub reason: &'a str,
}

/// [`change_status`] in the transaction of a caller. False, and nothing written, if the account has
/// this status already or is deleted.
pub(super) async fn apply(
    conn: &mut PgConnection,
    actor: &Actor,
    account: &LockedAccount<'_>,
    change: Change<'_>,
) -> sqlx::Result<bool> {
    let Change { status, reason } = change;
    if !set_status(conn, account.id, status).await? {
        return Ok(false);
    }
    let mut details = vec![reason];
    if status != TechnicalUserStatus::Active {
        if former_passwords::end(conn, account.id).await? {
            details.push(former_passwords::ENDED_TOO);
        }
        tokens::end_of_account(conn, account.id).await?;
        if handovers::ending::end_of_account(conn, account.id).await? {
            details.push(handovers::ending::ENDED_TOO);
        }
    }
    if status == TechnicalUserStatus::Deleted {
        envelopes::end_of_account(conn, account.id).await?;
    }
    let action = match status {
        TechnicalUserStatus::Active => Action::TechnicalUserReactivated,
        TechnicalUserStatus::Suspended => Action::TechnicalUserSuspended,
        TechnicalUserStatus::Deleted => Action::TechnicalUserDeleted,
    };
    details.retain(|detail| !detail.is_empty());
    let detail = details.join("\u{202f}; ");
    audit::record(conn, Event { detail: &detail, ..account.event(actor, action) }).await?;
    Ok(true)
}

/// False if the account has this status already or is deleted.
async fn set_status(
    conn: &mut PgConnection,
    technical_user_id: i64,
    status: TechnicalUserStatus,
) -> sqlx::Result<bool> {
    let changed = sqlx::query!(
        "UPDATE technical_users
            SET status = $2, reactivated_at = CASE $2 WHEN 'ACTIVE' THEN portal_now() ELSE reactivated_at END
          WHERE id = $1 AND status <> 'DELETED' AND status <> $2",
        technical_user_id,
        status.code(),
    )
    .execute(conn)
    .await?;
    Ok(changed.rows_affected() > 0)
}
