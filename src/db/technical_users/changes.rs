//! Changes a technical user's label and status.

use sqlx::{PgConnection, PgPool};
use thiserror::Error;

use super::{
    ChangeError, LabelTaken, ManagedTechnicalUser, begin, check_look, envelopes, former_passwords, label_error,
};
use crate::{
    db::{
        api::tokens,
        audit::{self, Event},
        structures::{self, NotManager},
    },
    domain::{
        audit::{Action, Actor},
        technical_user::{Label, TechnicalUserStatus, label_change},
    },
};

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
    check_look::<RelabelError>(&mut tx, account.structure.id(), Some(account.id()), label).await?;
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
/// tokens and its former password. The login of a deleted account is never given again. Does
/// nothing if the account has this status already.
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
    if !set_status(&mut tx, account.id(), status).await? {
        return Ok(());
    }
    let mut detail = "";
    if status != TechnicalUserStatus::Active {
        if former_passwords::end(&mut tx, account.id()).await? {
            detail = former_passwords::ENDED_TOO;
        }
        tokens::end_of_account(&mut tx, account.id()).await?;
    }
    if status == TechnicalUserStatus::Deleted {
        envelopes::end_of_account(&mut tx, account.id()).await?;
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

/// False if the account has this status already or is deleted.
async fn set_status(
    conn: &mut PgConnection,
    technical_user_id: i64,
    status: TechnicalUserStatus,
) -> sqlx::Result<bool> {
    let changed = sqlx::query!(
        "UPDATE technical_users SET status = $2 WHERE id = $1 AND status <> 'DELETED' AND status <> $2",
        technical_user_id,
        status.code(),
    )
    .execute(conn)
    .await?;
    Ok(changed.rows_affected() > 0)
}
