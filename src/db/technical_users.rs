//! Technical users: their creation, their password and their status.

use sqlx::{PgConnection, PgPool, Postgres, Transaction};
use thiserror::Error;
use time::OffsetDateTime;

use super::{
    audit::{self, Event},
    envelopes, former_passwords, outbox,
    structures::{self, ManagedStructure, NotManager},
    violates,
};
use crate::domain::{
    audit::{Action, Actor},
    envelope::{EnvelopeSubject, IssuedPassword},
    notice::{AccountNotice, Notice},
    rotation::Grace,
    technical_user::{Label, TechnicalUserStatus, label_change, technical_login},
};

/// All that may be told about a technical user.
#[derive(Clone, Debug)]
pub struct TechnicalUser {
    pub id: i64,
    pub login: String,
    pub label: Option<String>,
    pub status: String,
    pub created_at: OffsetDateTime,
    /// The full name of who created it.
    pub created_by: String,
    pub credential_version: i32,
    pub password_set_at: OffsetDateTime,
    pub expires_at: OffsetDateTime,
    /// Days until then on the calendar; negative once it is past.
    pub days_left: i32,
    pub password_shown_at: Option<OffsetDateTime>,
    pub password_exported_at: Option<OffsetDateTime>,
    pub last_call_at: Option<OffsetDateTime>,
    pub last_call_address: Option<String>,
    pub last_call_software: Option<String>,
    /// Whether the password was shown to somebody who is no longer the principal manager.
    pub known_to_another: bool,
    /// Until when the password before this one works, if it does.
    pub former_until: Option<OffsetDateTime>,
    /// The last call with that one.
    pub former_last_call_at: Option<OffsetDateTime>,
}

impl TechnicalUser {
    pub fn status(&self) -> TechnicalUserStatus {
        TechnicalUserStatus::parse(&self.status).unwrap_or(TechnicalUserStatus::Suspended)
    }
}

/// A technical user together with the proof that the person who asks manages its structure.
#[derive(Clone, Debug)]
pub struct ManagedTechnicalUser {
    structure: ManagedStructure,
    account: TechnicalUser,
}

impl ManagedTechnicalUser {
    pub fn id(&self) -> i64 {
        self.account.id
    }

    pub fn structure(&self) -> &ManagedStructure {
        &self.structure
    }

    pub fn account(&self) -> &TechnicalUser {
        &self.account
    }

    /// An event on this account, to be recorded.
    pub(super) fn event<'a>(&'a self, actor: &'a Actor, action: Action) -> Event<'a> {
        Event {
            structure_id: Some(self.structure.id()),
            technical_user_id: Some(self.account.id),
            subject: &self.account.login,
            ..Event::of(actor, action)
        }
    }
}

/// The account, if `manager_id` is the principal manager of its structure and it is not deleted.
///
/// # Errors
/// Database errors.
pub async fn find_managed(
    pool: &PgPool,
    manager_id: i64,
    technical_user_id: i64,
) -> sqlx::Result<Option<ManagedTechnicalUser>> {
    let mut conn = pool.acquire().await?;
    let Some(row) = sqlx::query!("SELECT structure_id FROM technical_users WHERE id = $1", technical_user_id)
        .fetch_optional(&mut *conn)
        .await?
    else {
        return Ok(None);
    };
    let Some(structure) = structures::find_managed(&mut *conn, manager_id, row.structure_id).await? else {
        return Ok(None);
    };
    let accounts = select(&mut conn, structure.id(), Some(technical_user_id)).await?;
    Ok(accounts.into_iter().next().map(|account| ManagedTechnicalUser { structure, account }))
}

/// The structure's technical users that are not deleted, oldest first.
///
/// # Errors
/// Database errors.
pub async fn of_structure(pool: &PgPool, structure: &ManagedStructure) -> sqlx::Result<Vec<TechnicalUser>> {
    let mut conn = pool.acquire().await?;
    select(&mut conn, structure.id(), None).await
}

async fn select(conn: &mut PgConnection, structure_id: i64, only: Option<i64>) -> sqlx::Result<Vec<TechnicalUser>> {
    sqlx::query_as!(
        TechnicalUser,
        r#"SELECT t.id, t.login, t.label, t.status, t.created_at, u.first_name || ' ' || u.last_name AS "created_by!",
                  t.credential_version, t.password_set_at, t.expires_at, days_until(t.expires_at) AS "days_left!",
                  t.password_shown_at, t.password_exported_at, t.last_call_at, t.last_call_address, t.last_call_software,
                  (SELECT count(*) > 0 FROM passwords_known_to_others k WHERE k.technical_user_id = t.id) AS "known_to_another!",
                  f.ends_at AS "former_until?", f.last_call_at AS former_last_call_at
             FROM technical_users t JOIN users u ON u.id = t.created_by
             LEFT JOIN former_passwords f ON f.technical_user_id = t.id AND f.ends_at > portal_now()
            WHERE t.structure_id = $1 AND t.status <> 'DELETED' AND ($2::bigint IS NULL OR t.id = $2)
            ORDER BY t.number"#,
        structure_id,
        only,
    )
    .fetch_all(conn)
    .await
}

/// The accounts of a structure whose password somebody knows who is no longer its principal manager, as a mail names them.
///
/// # Errors
/// Database errors.
pub(super) async fn known_to_others(conn: &mut PgConnection, structure_id: i64) -> sqlx::Result<Vec<String>> {
    sqlx::query_scalar!(
        r#"SELECT t.login || coalesce(' (' || t.label || ')', '') AS "name!" FROM technical_users t
            WHERE t.structure_id = $1 AND t.status <> 'DELETED' AND (SELECT count(*) > 0 FROM passwords_known_to_others k WHERE k.technical_user_id = t.id) ORDER BY t.number"#,
        structure_id,
    )
    .fetch_all(conn)
    .await
}

/// The account that an earlier post of the same form made or reset: looked at before anything costly is done again.
///
/// # Errors
/// Database errors.
pub async fn find_done(pool: &PgPool, user_id: i64, token: &str) -> sqlx::Result<Option<DoneForm>> {
    let mut conn = pool.acquire().await?;
    done(&mut conn, user_id, token).await
}

/// What a form that has already done its work did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DoneForm {
    pub technical_user_id: i64,
    pub login: String,
    /// What was asked for, to tell a repetition from another request.
    pub request: String,
}

async fn done(conn: &mut PgConnection, user_id: i64, token: &str) -> sqlx::Result<Option<DoneForm>> {
    sqlx::query_as!(
        DoneForm,
        "SELECT i.technical_user_id, i.request, t.login
           FROM idempotency_tokens i JOIN technical_users t ON t.id = i.technical_user_id
          WHERE i.user_id = $1 AND i.token = $2",
        user_id,
        token,
    )
    .fetch_optional(conn)
    .await
}

async fn mark_done(conn: &mut PgConnection, user_id: i64, form: &Form<'_>, technical_user_id: i64) -> sqlx::Result<()> {
    sqlx::query!(
        "INSERT INTO idempotency_tokens (user_id, token, request, technical_user_id) VALUES ($1, $2, $3, $4)",
        user_id,
        form.token,
        form.request,
        technical_user_id,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// The form behind an act: its idempotency token, and what it asks for.
#[derive(Clone, Debug)]
pub struct Form<'a> {
    pub token: &'a str,
    pub request: String,
}

impl<'a> Form<'a> {
    /// The creation form of a structure.
    #[must_use]
    pub fn creation(token: &'a str, structure: &ManagedStructure, label: Option<&Label>) -> Self {
        Self { token, request: format!("create {} {}", structure.id(), label.map_or("", Label::as_str)) }
    }

    /// The reset form of an account.
    #[must_use]
    pub fn reset(token: &'a str, account: &ManagedTechnicalUser, reset: Reset) -> Self {
        let Reset { credential_version, grace } = reset;
        Self { token, request: format!("reset {} {credential_version} {}", account.id(), grace.hours()) }
    }
}

/// A reset, as its form asks for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reset {
    /// The version of the password that the manager saw. Where somebody has reset it since, this reset is refused, so that two
    /// who reset together both learn the truth.
    pub credential_version: i32,
    /// How long the old password goes on working.
    pub grace: Grace,
}

/// The settings that bear on passwords and accounts.
#[derive(Clone, Copy, Debug)]
pub struct AccountRules {
    /// Days that a password lives.
    pub password_lifetime_days: i32,
    /// Technical users that a structure may have.
    pub max_per_structure: i64,
}

/// The database's time, the only one that counts.
///
/// # Errors
/// Database errors.
pub async fn now(pool: &PgPool) -> sqlx::Result<OffsetDateTime> {
    sqlx::query_scalar!(r#"SELECT portal_now() AS "now!""#).fetch_one(pool).await
}

/// When a password that is made now will expire.
///
/// # Errors
/// Database errors.
pub async fn expiry_of_new(pool: &PgPool, rules: AccountRules) -> sqlx::Result<OffsetDateTime> {
    sqlx::query_scalar!(r#"SELECT portal_now() + make_interval(days => $1) AS "at!""#, rules.password_lifetime_days)
        .fetch_one(pool)
        .await
}

/// Why no technical user was created.
#[derive(Debug, Error)]
pub enum CreateError {
    #[error(transparent)]
    NotManager(#[from] NotManager),
    #[error("the structure is inactive")]
    StructureInactive,
    #[error("the structure has as many technical users as it may")]
    LimitReached,
    #[error("another technical user of the structure has this label")]
    LabelTaken,
    #[error("this form has already created {0}")]
    FormReused(String),
    #[error(transparent)]
    Database(sqlx::Error),
}

impl From<sqlx::Error> for CreateError {
    fn from(error: sqlx::Error) -> Self {
        if violates(&error, "technical_users_label_key") { Self::LabelTaken } else { Self::Database(error) }
    }
}

/// Creates a technical user: account, envelope, event and mail in one transaction. Posting the same form again finds the
/// first account instead of making another.
///
/// # Errors
/// [`CreateError`].
pub async fn create(
    pool: &PgPool,
    actor: &Actor,
    structure: &ManagedStructure,
    label: Option<&Label>,
    form: &Form<'_>,
    issued: &IssuedPassword,
    rules: AccountRules,
) -> Result<i64, CreateError> {
    let mut tx = pool.begin().await?;
    let structure = structures::lock_managed(&mut tx, structure).await?.ok_or(NotManager)?;
    if let Some(done) = done(&mut tx, structure.manager_id(), form.token).await? {
        return if done.request == form.request {
            Ok(done.technical_user_id)
        } else {
            Err(CreateError::FormReused(done.login))
        };
    }
    check_room(&mut tx, &structure, rules).await?;
    let number = take_number(&mut tx, &structure).await?;
    let login = technical_login(number, structure.identifier());
    let row = sqlx::query!(
        "INSERT INTO technical_users (structure_id, number, login, label, created_by, password_set_by, password_hash, password_checksum, expires_at)
         VALUES ($1, $2, $3, $4, $5, $5, $6, $7, portal_now() + make_interval(days => $8))
         RETURNING id, credential_version, created_at, expires_at",
        structure.id(),
        number,
        login,
        label.map(Label::as_str),
        structure.manager_id(),
        issued.hash.as_phc(),
        issued.password.checksum(),
        rules.password_lifetime_days,
    )
    .fetch_one(&mut *tx)
    .await?;
    let subject = EnvelopeSubject {
        technical_user_id: row.id,
        credential_version: row.credential_version,
        manager_id: structure.manager_id(),
    };
    envelopes::put(&mut tx, subject, issued).await?;
    mark_done(&mut tx, structure.manager_id(), form, row.id).await?;
    let event = Event {
        structure_id: Some(structure.id()),
        technical_user_id: Some(row.id),
        subject: &login,
        detail: label.map_or("", Label::as_str),
        ..Event::of(actor, Action::TechnicalUserCreated)
    };
    audit::record(&mut tx, event).await?;
    let notice = AccountNotice {
        technical_user_id: row.id,
        login: login.clone(),
        label: label.map(|label| label.as_str().to_owned()),
        structure: structure.designation().into(),
        identifier: structure.identifier().into(),
        actor: actor.name.clone(),
        at: row.created_at,
        expires_at: row.expires_at,
        former_until: None,
    };
    outbox::enqueue(&mut tx, structure.contact_address(), &Notice::TechnicalUserCreated(notice)).await?;
    tx.commit().await?;
    Ok(row.id)
}

async fn check_room(
    conn: &mut PgConnection,
    structure: &ManagedStructure,
    rules: AccountRules,
) -> Result<(), CreateError> {
    if !structure.card().active {
        return Err(CreateError::StructureInactive);
    }
    let count = sqlx::query_scalar!(
        r#"SELECT count(*) AS "count!" FROM technical_users WHERE structure_id = $1 AND status <> 'DELETED'"#,
        structure.id(),
    )
    .fetch_one(conn)
    .await?;
    if count < rules.max_per_structure { Ok(()) } else { Err(CreateError::LimitReached) }
}

async fn take_number(conn: &mut PgConnection, structure: &ManagedStructure) -> sqlx::Result<i32> {
    sqlx::query_scalar!(
        r#"UPDATE structures SET next_technical_number = next_technical_number + 1 WHERE id = $1
           RETURNING next_technical_number - 1 AS "number!""#,
        structure.id(),
    )
    .fetch_one(conn)
    .await
}

/// Why an account was left as it was.
#[derive(Debug, Error)]
pub enum ChangeError {
    #[error(transparent)]
    NotManager(#[from] NotManager),
    #[error("the account has been deleted")]
    Deleted,
    #[error("the password has been reset in the meantime")]
    ResetMeanwhile,
    #[error("this form has already been used")]
    FormReused,
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

/// Resets the password. One transaction: at any instant exactly one password works, or, for the time that the manager gave, the
/// new one and the one before it; and with the old one die the tokens it had obtained.
///
/// # Errors
/// [`ChangeError`].
pub async fn reset_password(
    pool: &PgPool,
    actor: &Actor,
    account: &ManagedTechnicalUser,
    reset: Reset,
    form: &Form<'_>,
    issued: &IssuedPassword,
    rules: AccountRules,
) -> Result<(), ChangeError> {
    let (mut tx, structure) = begin(pool, account).await?;
    if let Some(done) = done(&mut tx, structure.manager_id(), form.token).await? {
        return if done.request == form.request { Ok(()) } else { Err(ChangeError::FormReused) };
    }
    let former_until = former_passwords::succeed(&mut tx, account.id(), reset.grace, rules).await?;
    let row = sqlx::query!(
        "UPDATE technical_users SET password_hash = $3, password_checksum = $6, credential_version = credential_version + 1,
                password_set_at = portal_now(), password_set_by = $4, password_shown_at = NULL, password_exported_at = NULL,
                expires_at = portal_now() + make_interval(days => $5)
          WHERE id = $1 AND credential_version = $2 AND status <> 'DELETED'
         RETURNING credential_version, password_set_at, expires_at",
        account.id(),
        reset.credential_version,
        issued.hash.as_phc(),
        structure.manager_id(),
        rules.password_lifetime_days,
        issued.password.checksum(),
    )
    .fetch_optional(&mut *tx)
    .await?
    .ok_or(ChangeError::ResetMeanwhile)?;
    if former_until.is_none() {
        sqlx::query!("DELETE FROM access_tokens WHERE technical_user_id = $1", account.id()).execute(&mut *tx).await?;
    }
    let subject = EnvelopeSubject {
        technical_user_id: account.id(),
        credential_version: row.credential_version,
        manager_id: structure.manager_id(),
    };
    envelopes::put(&mut tx, subject, issued).await?;
    mark_done(&mut tx, structure.manager_id(), form, account.id()).await?;
    let detail = if former_until.is_some() { reset.grace.detail() } else { "" };
    audit::record(&mut tx, Event { detail, ..account.event(actor, Action::PasswordReset) }).await?;
    let notice = AccountNotice {
        technical_user_id: account.id(),
        login: account.account.login.clone(),
        label: account.account.label.clone(),
        structure: structure.designation().into(),
        identifier: structure.identifier().into(),
        actor: actor.name.clone(),
        at: row.password_set_at,
        expires_at: row.expires_at,
        former_until,
    };
    outbox::enqueue(&mut tx, structure.contact_address(), &Notice::PasswordReset(notice)).await?;
    tx.commit().await?;
    Ok(())
}

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

/// Gives the account another label, or none. `seen` is the label that the form showed, empty for none: where somebody has changed
/// it since, nothing is written over it unseen. What is as wanted already stays so, and history tells it once.
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

/// Suspends, reactivates or deletes the account. Tokens and a former password die with a suspension and a deletion; a deleted
/// login stays taken.
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

/// Opens a transaction in which the authority over the account has been read again and holds.
async fn begin<'p>(
    pool: &'p PgPool,
    account: &ManagedTechnicalUser,
) -> Result<(Transaction<'p, Postgres>, ManagedStructure), ChangeError> {
    let mut tx = pool.begin().await?;
    let structure = structures::lock_managed(&mut tx, &account.structure).await?.ok_or(NotManager)?;
    Ok((tx, structure))
}
