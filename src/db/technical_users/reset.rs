//! Resets the password of a technical user.

use sqlx::PgPool;

use super::{
    ChangeError, ManagedTechnicalUser, begin, envelopes, former_passwords,
    idempotency::{Form, done, mark_done},
};
use crate::{
    db::{
        api::verifiers,
        audit::{self, Event},
        outbox,
    },
    domain::{
        audit::{Action, Actor},
        envelope::{EnvelopeSubject, IssuedPassword},
        notification::{AccountNotification, Notification},
        rotation::Grace,
        technical_user::AccountRules,
    },
};

/// A reset, as its form asks for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reset {
    /// The version of the password that the manager saw. Where somebody has reset it since, this
    /// reset is refused, so that two who reset together both learn the truth.
    pub credential_version: i32,
    /// How long the old password goes on working.
    pub grace: Grace,
}

impl<'a> Form<'a> {
    /// The reset form of an account.
    #[must_use]
    pub fn reset(token: &'a str, account: &ManagedTechnicalUser, reset: Reset) -> Self {
        let Reset { credential_version, grace } = reset;
        Self { token, request: format!("reset {} {credential_version} {}", account.id(), grace.hours()) }
    }
}

/// Resets the password. One transaction: at any instant exactly one password works, or, for the
/// time that the manager gave, the new one and the one before it; and with the old one die the
/// tokens it had obtained.
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
    let verifier = issued.verifier(&account.account.login);
    verifiers::put(&mut tx, account.id(), row.credential_version, &verifier).await?;
    envelopes::put(&mut tx, subject, issued).await?;
    mark_done(&mut tx, structure.manager_id(), form, account.id()).await?;
    let detail = if former_until.is_some() { reset.grace.detail() } else { "" };
    audit::record(&mut tx, Event { detail, ..account.event(actor, Action::PasswordReset) }).await?;
    let notice = AccountNotification {
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
    outbox::enqueue(&mut tx, structure.contact_address(), &Notification::PasswordReset(notice)).await?;
    tx.commit().await?;
    Ok(())
}
