//! What the operator does to an account: with the locks, events and ends of the manager's own acts,
//! and with a mail to the manager, who did not ask for it.

use sqlx::{PgConnection, PgPool, Postgres, Transaction};
use time::OffsetDateTime;

use super::{
    changes::{self, Change, LockedAccount},
    envelopes, former_passwords, handovers, reminders,
};
use crate::{
    db::{
        api::tokens,
        audit::{self, Event},
        outbox, transaction,
    },
    domain::{
        audit::{Action, Actor},
        notification::{Notification, OperatorAct, OperatorNotice},
        structure_identifier::{IdentifierType, as_written},
        technical_user::TechnicalUserStatus,
    },
};

/// What became of an act.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ActOutcome {
    Done,
    /// It was so already: nothing was written.
    Unchanged,
    NoSuchAccount,
    /// The account is deleted, for good.
    Deleted,
}

/// An account on which an operator acts.
#[derive(Clone, Copy, Debug)]
pub struct Target<'a> {
    /// In any case of letters.
    pub login: &'a str,
    /// Why, in the history and the mail; may be empty.
    pub reason: &'a str,
}

/// Suspends the account.
///
/// # Errors
/// Database errors.
pub async fn suspend(pool: &PgPool, actor: &Actor, target: Target<'_>) -> sqlx::Result<ActOutcome> {
    set_status(pool, actor, target, TechnicalUserStatus::Suspended, OperatorAct::Suspended).await
}

/// Takes a suspended account back.
///
/// # Errors
/// Database errors.
pub async fn reactivate(pool: &PgPool, actor: &Actor, target: Target<'_>) -> sqlx::Result<ActOutcome> {
    set_status(pool, actor, target, TechnicalUserStatus::Active, OperatorAct::Reactivated).await
}

async fn set_status(
    pool: &PgPool,
    actor: &Actor,
    target: Target<'_>,
    status: TechnicalUserStatus,
    act: OperatorAct,
) -> sqlx::Result<ActOutcome> {
    let (mut tx, account) = match begin(pool, target.login).await? {
        Ok(begun) => begun,
        Err(outcome) => return Ok(outcome),
    };
    let change = Change { status, reason: target.reason };
    if !changes::apply(&mut tx, actor, &account.locked(), change).await? {
        return Ok(ActOutcome::Unchanged);
    }
    tell(&mut tx, actor, account, target.reason, act).await?;
    tx.commit().await?;
    Ok(ActOutcome::Done)
}

/// Lets the account's password expire now, with its former password, its tokens and an envelope
/// that waits. A reset gives the account another password.
///
/// # Errors
/// Database errors.
pub async fn expire(pool: &PgPool, actor: &Actor, target: Target<'_>) -> sqlx::Result<ActOutcome> {
    let (mut tx, account) = match begin(pool, target.login).await? {
        Ok(begun) => begun,
        Err(outcome) => return Ok(outcome),
    };
    let expired = sqlx::query!(
        "UPDATE technical_users SET expires_at = portal_now() WHERE id = $1 AND expires_at > portal_now()",
        account.id
    )
    .execute(&mut *tx)
    .await?;
    let has_ended_former = former_passwords::end(&mut tx, account.id).await?;
    if expired.rows_affected() == 0 && !has_ended_former {
        return Ok(ActOutcome::Unchanged);
    }
    tokens::end_of_account(&mut tx, account.id).await?;
    envelopes::end_of_account(&mut tx, account.id).await?;
    handovers::ending::end_of_account(&mut tx, account.id).await?;
    reminders::leave_out(&mut tx, account.id).await?;
    let event = account.locked().event(actor, Action::PasswordExpiredEarly);
    audit::record(&mut tx, Event { detail: target.reason, ..event }).await?;
    tell(&mut tx, actor, account, target.reason, OperatorAct::Expired).await?;
    tx.commit().await?;
    Ok(ActOutcome::Done)
}

/// An account whose structure is locked.
struct Account {
    id: i64,
    login: String,
    label: Option<String>,
    structure_id: i64,
    designation: String,
    identifier_type: IdentifierType,
    identifier: String,
    /// `None` where the structure has no principal manager.
    contact_address: Option<String>,
    at: OffsetDateTime,
}

impl Account {
    fn locked(&self) -> LockedAccount<'_> {
        LockedAccount { id: self.id, login: &self.login, structure_id: self.structure_id }
    }
}

/// Begins a transaction with the account's structure locked, as each act on an account does.
async fn begin<'p>(
    pool: &'p PgPool,
    login: &str,
) -> sqlx::Result<Result<(Transaction<'p, Postgres>, Account), ActOutcome>> {
    let mut tx = transaction::begin(pool).await?;
    let structure = sqlx::query!(
        "SELECT s.id FROM technical_users t JOIN structures s ON s.id = t.structure_id
          WHERE lower(t.login) = lower($1) FOR NO KEY UPDATE OF s",
        login
    )
    .fetch_optional(&mut *tx)
    .await?;
    if structure.is_none() {
        return Ok(Err(ActOutcome::NoSuchAccount));
    }
    // Read under the lock.
    let account = sqlx::query_as!(
        Account,
        r#"SELECT t.id, t.login, t.label, s.id AS structure_id, s.designation, s.identifier,
                  m.contact_address AS "contact_address?", portal_now() AS "at!", s.identifier_type AS "identifier_type: IdentifierType"
             FROM technical_users t JOIN structures s ON s.id = t.structure_id LEFT JOIN users m ON m.id = s.principal_manager_id
            WHERE lower(t.login) = lower($1) AND t.status <> 'DELETED'"#,
        login
    )
    .fetch_optional(&mut *tx)
    .await?;
    Ok(account.map(|account| (tx, account)).ok_or(ActOutcome::Deleted))
}

async fn tell(
    conn: &mut PgConnection,
    actor: &Actor,
    account: Account,
    reason: &str,
    act: OperatorAct,
) -> sqlx::Result<()> {
    let Some(recipient) = account.contact_address else { return Ok(()) };
    let notice = Notification::ChangedByOperator(OperatorNotice {
        technical_user_id: account.id,
        login: account.login,
        label: account.label,
        structure: account.designation,
        identifier: as_written(account.identifier_type.code(), &account.identifier),
        at: account.at,
        act,
        reason: (!reason.is_empty()).then(|| reason.to_owned()),
    });
    outbox::enqueue(conn, actor, &recipient, &notice).await
}
