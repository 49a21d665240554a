//! Technical users: creation, password, label and status, and the lists of them.
use crate::db::transaction;

pub mod activity;
pub mod batches;
pub mod changes;
pub mod creation;
pub mod deadlines;
pub mod details;
pub mod dormancy;
pub mod envelopes;
pub mod former_passwords;
pub mod handovers;
pub mod idempotency;
pub mod inventory;
pub mod leaks;
pub mod operator_acts;
pub mod overview;
pub mod reminders;
pub mod reset;
pub mod restrictions;
pub mod sheet_facts;

use sqlx::{PgConnection, PgExecutor, PgPool, Postgres, Transaction};
use thiserror::Error;
use time::OffsetDateTime;

use idempotency::FormReused;

use super::{
    audit::Event,
    structures::{self, Claimant, ManagedStructure, NotManager},
    violates,
};
use crate::domain::{
    audit::{Action, Actor},
    structure_identifier::IdentifierType,
    technical_user::{Label, TechnicalUserStatus, look_alike},
};

/// A technical user, without its password's hash.
#[derive(Clone, Debug)]
pub struct TechnicalUser {
    pub id: i64,
    pub login: String,
    pub label: Option<String>,
    pub status: TechnicalUserStatus,
    pub created_at: OffsetDateTime,
    /// The full name of the person who created it.
    pub created_by: String,
    /// The number of the present password; a reset adds one.
    pub credential_version: i32,
    pub password_set_at: OffsetDateTime,
    pub expires_at: OffsetDateTime,
    /// The kind of its structure's identifier and the postal code: they say where it is.
    pub identifier_type: IdentifierType,
    pub postal_code: String,
    /// Calendar days until then in Paris; negative once it is past.
    pub days_left: i32,
    pub password_shown_at: Option<OffsetDateTime>,
    pub password_exported_at: Option<OffsetDateTime>,
    pub last_call_at: Option<OffsetDateTime>,
    pub last_call_address: Option<String>,
    /// Whether it called within a day from now.
    pub called_within_a_day: bool,
    /// The `User-Agent` of the last call; may be empty.
    pub last_call_software: Option<String>,
    /// Whether a working password was shown to a former principal manager.
    pub known_to_another: bool,
    /// Whether calls are refused at present.
    pub failing: bool,
    /// Since when they are; `None` where the version before has written it.
    pub refused_since: Option<OffsetDateTime>,
    pub last_refused_at: Option<OffsetDateTime>,
    /// The code of a [`CallRefusal`](crate::domain::audit::CallRefusal).
    pub last_refusal_reason: Option<String>,
    /// `None`: several.
    pub last_refusal_address: Option<String>,
    /// The `User-Agent`; may be empty.
    pub last_refusal_software: Option<String>,
    /// Until when the password before this one works, if it still does.
    pub former_until: Option<OffsetDateTime>,
    /// The last call with the password before this one.
    pub former_last_call_at: Option<OffsetDateTime>,
}

/// A technical user, with the proof that a person is the principal manager of its structure.
#[derive(Clone, Debug)]
pub struct ManagedTechnicalUser {
    structure: ManagedStructure,
    account: TechnicalUser,
}

impl ManagedTechnicalUser {
    /// The technical user's id.
    pub fn id(&self) -> i64 {
        self.account.id
    }

    /// Its structure, and the authority over it.
    pub fn structure(&self) -> &ManagedStructure {
        &self.structure
    }

    /// The technical user, as it was read with the authority.
    pub fn account(&self) -> &TechnicalUser {
        &self.account
    }

    /// An audit event on this account, not recorded yet.
    pub(super) fn event<'a>(&'a self, actor: &'a Actor, action: Action) -> Event<'a> {
        Event {
            structure_id: Some(self.structure.id()),
            technical_user_id: Some(self.account.id),
            subject: &self.account.login,
            ..Event::of(actor, action)
        }
    }
}

/// The account, if it is not deleted and the claimant is the principal manager of its structure.
///
/// # Errors
/// Database errors.
pub async fn find_managed(
    pool: &PgPool,
    claimant: impl Into<Claimant<'_>>,
    technical_user_id: i64,
) -> sqlx::Result<Option<ManagedTechnicalUser>> {
    let mut conn = pool.acquire().await?;
    let Some(row) = sqlx::query!("SELECT structure_id FROM technical_users WHERE id = $1", technical_user_id)
        .fetch_optional(&mut *conn)
        .await?
    else {
        return Ok(None);
    };
    let Some(structure) = structures::find_managed(&mut *conn, claimant, row.structure_id).await? else {
        return Ok(None);
    };
    find_in(&mut conn, structure, technical_user_id).await
}

/// The account of a managed structure, if it is not deleted.
async fn find_in(
    conn: &mut PgConnection,
    structure: ManagedStructure,
    technical_user_id: i64,
) -> sqlx::Result<Option<ManagedTechnicalUser>> {
    let accounts = select(conn, structure.id(), Some(technical_user_id)).await?;
    Ok(accounts.into_iter().next().map(|account| ManagedTechnicalUser { structure, account }))
}

/// The structure's technical users that are not deleted, oldest first.
///
/// # Errors
/// Database errors.
pub async fn of_structure(
    executor: impl PgExecutor<'_>,
    structure: &ManagedStructure,
) -> sqlx::Result<Vec<TechnicalUser>> {
    select(executor, structure.id(), None).await
}

async fn select(
    executor: impl PgExecutor<'_>,
    structure_id: i64,
    only: Option<i64>,
) -> sqlx::Result<Vec<TechnicalUser>> {
    sqlx::query_as!(
        TechnicalUser,
        r#"SELECT t.id, t.login, t.label, t.status AS "status: TechnicalUserStatus", t.created_at, u.first_name || ' ' || u.last_name AS "created_by!",
                  t.credential_version, t.password_set_at, t.expires_at, days_until(t.expires_at) AS "days_left!",
                  s.identifier_type AS "identifier_type: IdentifierType", s.postal_code,
                  t.password_shown_at, t.password_exported_at, t.last_call_at, t.last_call_address, t.last_call_software,
                  coalesce(t.last_call_at > portal_now() - interval '1 day', false) AS "called_within_a_day!",
                  (SELECT count(*) > 0 FROM passwords_known_to_others k WHERE k.technical_user_id = t.id) AS "known_to_another!",
                  is_failing(t.last_refused_at, t.last_call_at, t.password_set_at) AS "failing!",
                  t.refused_since, t.last_refused_at, t.last_refusal_reason, t.last_refusal_address, t.last_refusal_software,
                  f.ends_at AS "former_until?", f.last_call_at AS former_last_call_at
             FROM technical_users t JOIN users u ON u.id = t.created_by JOIN structures s ON s.id = t.structure_id
             LEFT JOIN former_passwords f ON f.technical_user_id = t.id AND f.ends_at > portal_now()
            WHERE t.structure_id = $1 AND t.status <> 'DELETED' AND ($2::bigint IS NULL OR t.id = $2)
            ORDER BY t.number"#,
        structure_id,
        only,
    )
    .fetch_all(executor)
    .await
}

/// Why an account was not changed.
#[derive(Debug, Error)]
pub enum ChangeError {
    #[error(transparent)]
    NotManager(#[from] NotManager),
    #[error("the account has been deleted")]
    Deleted,
    #[error("the password has been reset in the meantime")]
    ResetMeanwhile,
    #[error("the restrictions have been changed in the meantime")]
    RestrictedMeanwhile,
    #[error("a chosen structure is none of the manager's")]
    OutsideRights,
    #[error(transparent)]
    FormReused(#[from] FormReused),
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

/// Begins a transaction with the structure locked and the authority over it checked again.
async fn begin<'p>(
    pool: &'p PgPool,
    account: &ManagedTechnicalUser,
) -> Result<(Transaction<'p, Postgres>, ManagedStructure), ChangeError> {
    let mut tx = transaction::begin(pool).await?;
    let structure = structures::lock_managed(&mut tx, &account.structure).await?.ok_or(NotManager)?;
    Ok((tx, structure))
}

/// Writes the same event for each of these accounts, in one statement.
async fn record_each(
    conn: &mut PgConnection,
    actor: &Actor,
    action: Action,
    ids: &[i64],
    detail: &str,
) -> sqlx::Result<()> {
    sqlx::query!(
        "INSERT INTO audit_events (actor_id, actor, address, action, structure_id, technical_user_id, subject, detail)
         SELECT $1, $2, $3, $4, structure_id, id, login, $5 FROM technical_users WHERE id = ANY ($6) ORDER BY id",
        actor.user_id,
        actor.name,
        actor.address,
        action.code(),
        detail,
        ids,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Another technical user of the structure has this label.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("another technical user of the structure has this label")]
pub struct LabelTaken;

/// Refuses a label that looks like that of another technical user of the structure, which is
/// locked. The index knows the same of fewer letters.
async fn check_look<E: From<LabelTaken> + From<sqlx::Error>>(
    conn: &mut PgConnection,
    structure_id: i64,
    account_id: Option<i64>,
    label: Option<&Label>,
) -> Result<(), E> {
    let Some(label) = label else { return Ok(()) };
    let others = sqlx::query_scalar!(
        r#"SELECT label AS "label!" FROM technical_users
            WHERE structure_id = $1 AND status <> 'DELETED' AND label IS NOT NULL AND id IS DISTINCT FROM $2"#,
        structure_id,
        account_id,
    )
    .fetch_all(conn)
    .await?;
    if others.iter().any(|other| look_alike(other, label.as_str())) { Err(LabelTaken.into()) } else { Ok(()) }
}

/// Tells [`LabelTaken`] from the other errors of a statement that writes a label.
fn label_error<E: From<LabelTaken> + From<sqlx::Error>>(error: sqlx::Error) -> E {
    if violates(&error, "technical_users_label_key") { LabelTaken.into() } else { error.into() }
}
