//! Creates technical users.

use sqlx::{PgConnection, PgPool};
use thiserror::Error;
use time::OffsetDateTime;

use super::{
    envelopes,
    idempotency::{Form, done, mark_done},
};
use crate::{
    db::{
        api::verifiers,
        audit::{self, Event},
        outbox,
        structures::{self, ManagedStructure, NotManager},
        violates,
    },
    domain::{
        audit::{Action, Actor},
        envelope::{EnvelopeSubject, IssuedPassword},
        notification::{AccountNotification, Notification},
        technical_user::{AccountRules, Label, technical_login},
    },
};

/// When a password that is made now will expire.
///
/// # Errors
/// Database errors.
pub async fn expiry_of_new(pool: &PgPool, rules: AccountRules) -> sqlx::Result<OffsetDateTime> {
    sqlx::query_scalar!(r#"SELECT portal_now() + make_interval(days => $1) AS "at!""#, rules.password_lifetime_days)
        .fetch_one(pool)
        .await
}

impl<'a> Form<'a> {
    /// The creation form of a structure.
    #[must_use]
    pub fn creation(token: &'a str, structure: &ManagedStructure, label: Option<&Label>) -> Self {
        Self { token, request: format!("create {} {}", structure.id(), label.map_or("", Label::as_str)) }
    }
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

/// Creates a technical user: account, envelope, event and mail in one transaction. Posting the same
/// form again finds the first account instead of making another.
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
    verifiers::put(&mut tx, row.id, row.credential_version, &issued.verifier(&login)).await?;
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
    let notice = AccountNotification {
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
    outbox::enqueue(&mut tx, structure.contact_address(), &Notification::TechnicalUserCreated(notice)).await?;
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
