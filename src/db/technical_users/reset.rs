//! Resets the password of a technical user.

use rand::CryptoRng;
use sqlx::{PgConnection, PgPool};
use time::OffsetDateTime;

use super::{
    ChangeError, ManagedTechnicalUser, begin, envelopes, former_passwords, handovers,
    idempotency::{Form, Once},
};
use crate::{
    db::{
        api::{tokens, verifiers},
        audit::{self, Event},
        outbox,
        structures::ManagedStructure,
    },
    domain::{
        audit::{Action, Actor},
        envelope::{EnvelopeSubject, IssuedPassword, Keeper, SessionSecret},
        notification::{AccountNotification, Notification},
        rotation::Grace,
        technical_user::AccountRules,
    },
};

/// The reset that a form asks for.
#[derive(Clone, Copy)]
pub struct Reset<'a> {
    pub actor: &'a Actor,
    pub account: &'a ManagedTechnicalUser,
    /// The version of the password that the form was made for. If it was reset since, this reset is
    /// refused: of two people who reset at the same time, one gets an error rather than a password
    /// that no longer works.
    pub credential_version: i32,
    /// How long the old password keeps working.
    pub grace: Grace,
    /// The session that may display the password.
    pub session: &'a SessionSecret,
    /// The form's idempotency token.
    pub token: &'a str,
}

impl<'a> Reset<'a> {
    /// Looks for an earlier post of the same form, before the costly hash of a password.
    ///
    /// # Errors
    /// [`ChangeError::FormReused`], or database errors.
    pub async fn find(self, pool: &PgPool) -> Result<Once<OpenReset<'a>>, ChangeError> {
        let request = format!("reset {} {} {}", self.account.id(), self.credential_version, self.grace.hours());
        let form = Form { manager_id: self.account.structure().manager_id(), token: self.token, request };
        Ok(form.find::<ChangeError>(pool).await?.map(|form| OpenReset { reset: self, form }))
    }
}

/// A reset whose form has not acted yet.
pub struct OpenReset<'a> {
    reset: Reset<'a>,
    form: Form<'a>,
}

impl OpenReset<'_> {
    /// Replaces the password in one transaction. At every moment exactly one password works or,
    /// during the grace, the new one and the one before it. The access tokens of a password end
    /// with it.
    ///
    /// # Errors
    /// [`ChangeError`].
    pub async fn complete(
        self,
        pool: &PgPool,
        issued: &IssuedPassword,
        rules: AccountRules,
        rng: &mut (impl CryptoRng + Send),
    ) -> Result<(), ChangeError> {
        let Self { reset, form } = self;
        let (mut tx, structure) = begin(pool, reset.account).await?;
        // Checked again under the lock, for parallel posts.
        if let Some(done) = form.find_done(&mut tx).await? {
            done.repeated_by(&form)?;
            return Ok(());
        }
        let Reset { actor, account, credential_version, grace, session, .. } = reset;
        let keeper = &Keeper::Session(session.clone());
        let order = Order { actor, account, credential_version, grace, keeper };
        let renewed = order.carry_out(&mut tx, issued, rules, rng).await?;
        form.mark_done(&mut tx, account.id()).await?;
        notify(&mut tx, &reset, &structure, &renewed).await?;
        tx.commit().await?;
        Ok(())
    }
}

/// A password to replace, of an account whose structure the transaction has locked.
pub(super) struct Order<'a> {
    pub actor: &'a Actor,
    pub account: &'a ManagedTechnicalUser,
    /// The version of the password that the form was made for.
    pub credential_version: i32,
    pub grace: Grace,
    /// Whose envelope the password goes into.
    pub keeper: &'a Keeper,
}

impl Order<'_> {
    /// Writes password, envelope and audit event, but no mail. After an error, the caller must roll
    /// back.
    ///
    /// # Errors
    /// [`ChangeError::ResetMeanwhile`], or database errors.
    pub(super) async fn carry_out(
        &self,
        conn: &mut PgConnection,
        issued: &IssuedPassword,
        rules: AccountRules,
        rng: &mut (impl CryptoRng + Send),
    ) -> Result<Renewed, ChangeError> {
        let id = self.account.id();
        let former_until = former_passwords::succeed(conn, id, self.grace, rules).await?;
        let renewed = replace(conn, self, issued, rules).await?.ok_or(ChangeError::ResetMeanwhile)?;
        if former_until.is_none() {
            tokens::end_of_account(conn, id).await?;
        }
        let verifier = issued.verifier(&self.account.account().login);
        verifiers::put(conn, id, renewed.credential_version, &verifier).await?;
        handovers::ending::end_of_account(conn, id).await?;
        envelopes::put(conn, self.envelope_subject(&renewed), issued, self.keeper, rng).await?;
        let detail = if former_until.is_some() { self.grace.detail() } else { "" };
        audit::record(conn, Event { detail, ..self.account.event(self.actor, Action::PasswordReset) }).await?;
        Ok(Renewed { former_until, ..renewed })
    }

    fn envelope_subject(&self, renewed: &Renewed) -> EnvelopeSubject {
        EnvelopeSubject {
            technical_user_id: self.account.id(),
            credential_version: renewed.credential_version,
            manager_id: self.account.structure().manager_id(),
        }
    }
}

/// The password that a reset has just set.
pub(super) struct Renewed {
    pub credential_version: i32,
    password_set_at: OffsetDateTime,
    expires_at: OffsetDateTime,
    /// Until when the password before it works, if it does.
    former_until: Option<OffsetDateTime>,
}

/// Sets the new password. `None` if the account is deleted or its password is not at the version
/// that the form was made for.
async fn replace(
    conn: &mut PgConnection,
    reset: &Order<'_>,
    issued: &IssuedPassword,
    rules: AccountRules,
) -> sqlx::Result<Option<Renewed>> {
    sqlx::query_as!(
        Renewed,
        "UPDATE technical_users SET password_hash = $3, password_checksum = $6, credential_version = credential_version + 1,
                password_set_at = portal_now(), password_set_by = $4, password_shown_at = NULL, password_exported_at = NULL,
                expires_at = portal_now() + make_interval(days => $5)
          WHERE id = $1 AND credential_version = $2 AND status <> 'DELETED'
         RETURNING credential_version, password_set_at, expires_at, NULL::timestamptz AS former_until",
        reset.account.id(),
        reset.credential_version,
        issued.hash.as_phc(),
        reset.account.structure().manager_id(),
        rules.password_lifetime_days,
        issued.password.checksum(),
    )
    .fetch_optional(conn)
    .await
}

async fn notify(
    conn: &mut PgConnection,
    reset: &Reset<'_>,
    structure: &ManagedStructure,
    renewed: &Renewed,
) -> sqlx::Result<()> {
    let account = reset.account.account();
    let notice = AccountNotification {
        technical_user_id: account.id,
        login: account.login.clone(),
        label: account.label.clone(),
        structure: structure.designation().into(),
        identifier: structure.written_identifier(),
        actor: reset.actor.name.clone(),
        at: renewed.password_set_at,
        expires_at: renewed.expires_at,
        former_until: renewed.former_until,
        territory: structure.territory(),
    };
    outbox::enqueue(conn, reset.actor, structure.contact_address(), &Notification::PasswordReset(notice)).await
}
