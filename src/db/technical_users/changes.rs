//! Changes a technical user’s label and status.

use sqlx::PgPool;
use thiserror::Error;

use super::{ChangeError, ManagedTechnicalUser, begin, former_passwords};
use crate::{
    db::{
        audit::{self, Event},
        structures::{self, NotManager},
        violates,
    },
    domain::{
        audit::{Action, Actor},
        technical_user::{Label, TechnicalUserStatus, label_change},
    },
};

/// Why an account's label was left as it was.
#[derive(Debug, Error)]
pub enum RelabelError {
    #[error(transparent)]
    NotManager(#[from] NotManager),
    #[error("the account has been deleted")]
    Deleted,
    #[error("another technical user of the structure has this label")]
    LabelTaken,
    /// What the label is now; the account that the form was made for had another one.
    #[error("the label has been changed in the meantime")]
    ChangedMeanwhile(Option<String>),
    #[error(transparent)]
    Database(sqlx::Error),
}

impl From<sqlx::Error> for RelabelError {
    fn from(error: sqlx::Error) -> Self {
        if violates(&error, "technical_users_label_key") { Self::LabelTaken } else { Self::Database(error) }
    }
}

/// Gives the account another label, or none. `seen` is the label that the form showed, empty for
/// none: where somebody has changed it since, nothing is written over it unseen. What is as wanted
/// already stays so, and history tells it once.
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
    let mut tx = pool.begin().await?;
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
    sqlx::query!("UPDATE technical_users SET label = $2 WHERE id = $1", account.id(), after).execute(&mut *tx).await?;
    let detail = label_change(before, after);
    audit::record(&mut tx, Event { detail: &detail, ..account.event(actor, Action::LabelChanged) }).await?;
    tx.commit().await?;
    Ok(())
}

/// Suspends, reactivates or deletes the account. Tokens and a former password die with a suspension
/// and a deletion; a deleted login stays taken.
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
    let changed = sqlx::query!(
        "UPDATE technical_users SET status = $2 WHERE id = $1 AND status <> 'DELETED' AND status <> $2",
        account.id(),
        status.code(),
    )
    .execute(&mut *tx)
    .await?
    .rows_affected();
    // Twice the same click: the account already is as wanted, and history tells it once.
    if changed == 0 {
        return Ok(());
    }
    let mut detail = "";
    if status != TechnicalUserStatus::Active {
        if former_passwords::end(&mut tx, account.id()).await? {
            detail = former_passwords::ENDED_TOO;
        }
        sqlx::query!("DELETE FROM access_tokens WHERE technical_user_id = $1", account.id()).execute(&mut *tx).await?;
    }
    if status == TechnicalUserStatus::Deleted {
        sqlx::query!("DELETE FROM envelopes WHERE technical_user_id = $1", account.id()).execute(&mut *tx).await?;
    }
    let action = match status {
        TechnicalUserStatus::Active => Action::TechnicalUserReactivated,
        TechnicalUserStatus::Suspended => Action::TechnicalUserSuspended,
        TechnicalUserStatus::Deleted => Action::TechnicalUserDeleted,
    };
    audit::record(&mut tx, Event { detail, ..account.event(actor, action) }).await?;
    tx.commit().await?;
    Ok(())
}
