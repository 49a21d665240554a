//! Creates technical users.

use rand::CryptoRng;
use sqlx::{PgConnection, PgPool};
use thiserror::Error;
use time::OffsetDateTime;

use super::{
    LabelTaken, check_look, envelopes,
    idempotency::{Form, FormReused, Once},
    label_error,
};
use crate::{
    db::{
        api::verifiers,
        audit::{self, Event},
        outbox,
        structures::{self, ManagedStructure, NotManager},
        transaction,
    },
    domain::{
        audit::{Action, Actor},
        envelope::{EnvelopeSubject, IssuedPassword, Keeper, SessionSecret},
        notification::{AccountNotification, Notification},
        structure_identifier::in_login,
        technical_user::{AccountRules, Label, technical_login},
    },
};

/// What the creation form shows before it is sent.
#[derive(Clone, Copy, Debug)]
pub struct Preview {
    /// Whether the structure may have one more technical user.
    pub has_room: bool,
    /// When a password issued now will expire.
    pub expires_at: OffsetDateTime,
    /// The structures that the account would open: those of which its manager is a member.
    pub reach: u64,
}

/// What a creation in this structure would find now.
///
/// # Errors
/// Database errors.
pub async fn preview(pool: &PgPool, structure: &ManagedStructure, rules: AccountRules) -> sqlx::Result<Preview> {
    let row = sqlx::query!(
        r#"SELECT portal_now() + make_interval(days => $2) AS "expires_at!",
                  (SELECT count(*) FROM technical_users WHERE structure_id = $1 AND status <> 'DELETED') AS "count!",
                  (SELECT count(*) FROM memberships WHERE user_id = $3) AS "reach!""#,
        structure.id(),
        rules.password_lifetime_days,
        structure.manager_id(),
    )
    .fetch_one(pool)
    .await?;
    let has_room = structure.card().active && row.count < rules.max_per_structure;
    Ok(Preview { has_room, expires_at: row.expires_at, reach: row.reach.unsigned_abs() })
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
    #[error(transparent)]
    LabelTaken(#[from] LabelTaken),
    #[error(transparent)]
    FormReused(#[from] FormReused),
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

/// The creation that a form asks for.
#[derive(Clone, Copy)]
pub struct Creation<'a> {
    pub actor: &'a Actor,
    pub structure: &'a ManagedStructure,
    pub label: Option<&'a Label>,
    /// The session that may display the password.
    pub session: &'a SessionSecret,
    /// The form's idempotency token.
    pub token: &'a str,
}

impl<'a> Creation<'a> {
    /// Looks for an earlier post of the same form, before the costly hash of a password.
    ///
    /// # Errors
    /// [`CreateError::FormReused`], or database errors.
    pub async fn find(self, pool: &PgPool) -> Result<Once<OpenCreation<'a>>, CreateError> {
        let request = format!("create {} {}", self.structure.id(), text_of(self.label));
        let form = Form { manager_id: self.structure.manager_id(), token: self.token, request };
        Ok(form.find::<CreateError>(pool).await?.map(|form| OpenCreation { creation: self, form }))
    }
}

/// A label, empty if there is none.
fn text_of(label: Option<&Label>) -> &str {
    label.map_or("", Label::as_str)
}

/// A creation whose form has not acted yet.
pub struct OpenCreation<'a> {
    creation: Creation<'a>,
    form: Form<'a>,
}

impl OpenCreation<'_> {
    /// Writes account, envelope, audit event and mail in one transaction. Returns the technical
    /// user's id. If the same form is posted several times at once, all posts return the account
    /// that the first one created.
    ///
    /// # Errors
    /// [`CreateError`].
    pub async fn complete(
        self,
        pool: &PgPool,
        issued: &IssuedPassword,
        rules: AccountRules,
        rng: &mut (impl CryptoRng + Send),
    ) -> Result<i64, CreateError> {
        let Self { creation, form } = self;
        let mut tx = transaction::begin(pool).await?;
        let structure = structures::lock_managed(&mut tx, creation.structure).await?.ok_or(NotManager)?;
        // Checked again under the lock, for parallel posts.
        if let Some(done) = form.find_done(&mut tx).await? {
            return Ok(done.repeated_by(&form)?);
        }
        let Creation { actor, label, session, .. } = creation;
        let order = Order { actor, structure: &structure, label, keeper: &Keeper::Session(session.clone()) };
        let account = order.carry_out(&mut tx, issued, rules, rng).await?;
        form.mark_done(&mut tx, account.id).await?;
        notify(&mut tx, &creation, &structure, &account).await?;
        tx.commit().await?;
        Ok(account.id)
    }
}

/// An account to create in a structure that the transaction has locked.
pub(super) struct Order<'a> {
    pub actor: &'a Actor,
    pub structure: &'a ManagedStructure,
    pub label: Option<&'a Label>,
    /// Whose envelope the password goes into.
    pub keeper: &'a Keeper,
}

impl Order<'_> {
    /// Writes account, envelope and audit event, but no mail. After an error, the caller must roll
    /// back.
    ///
    /// # Errors
    /// [`CreateError`].
    pub(super) async fn carry_out(
        &self,
        conn: &mut PgConnection,
        issued: &IssuedPassword,
        rules: AccountRules,
        rng: &mut (impl CryptoRng + Send),
    ) -> Result<NewAccount, CreateError> {
        let Self { structure, label, keeper, .. } = *self;
        check_room(conn, structure, rules).await?;
        check_look::<CreateError>(conn, structure.id(), None, label).await?;
        let account = insert(conn, structure, label, issued, rules).await?;
        verifiers::put(conn, account.id, account.credential_version, &issued.verifier(&account.login)).await?;
        envelopes::put(conn, account.envelope_subject(structure), issued, keeper, rng).await?;
        self.record(conn, &account).await?;
        Ok(account)
    }

    async fn record(&self, conn: &mut PgConnection, account: &NewAccount) -> sqlx::Result<()> {
        let event = Event {
            structure_id: Some(self.structure.id()),
            technical_user_id: Some(account.id),
            subject: &account.login,
            detail: text_of(self.label),
            ..Event::of(self.actor, Action::TechnicalUserCreated)
        };
        audit::record(conn, event).await
    }
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

/// An account that was just inserted.
pub(super) struct NewAccount {
    pub id: i64,
    login: String,
    pub credential_version: i32,
    created_at: OffsetDateTime,
    expires_at: OffsetDateTime,
}

impl NewAccount {
    fn envelope_subject(&self, structure: &ManagedStructure) -> EnvelopeSubject {
        EnvelopeSubject {
            technical_user_id: self.id,
            credential_version: self.credential_version,
            manager_id: structure.manager_id(),
        }
    }
}

async fn insert(
    conn: &mut PgConnection,
    structure: &ManagedStructure,
    label: Option<&Label>,
    issued: &IssuedPassword,
    rules: AccountRules,
) -> Result<NewAccount, CreateError> {
    let (number, login) = free_login(&mut *conn, structure).await?;
    sqlx::query_as!(
        NewAccount,
        "INSERT INTO technical_users (structure_id, number, login, label, created_by, password_set_by, password_hash, password_checksum, expires_at)
         VALUES ($1, $2, $3, $4, $5, $5, $6, $7, portal_now() + make_interval(days => $8))
         RETURNING id, login, credential_version, created_at, expires_at",
        structure.id(),
        number,
        login,
        label.map(Label::as_str),
        structure.manager_id(),
        issued.hash.as_phc(),
        issued.password.checksum(),
        rules.password_lifetime_days,
    )
    .fetch_one(conn)
    .await
    .map_err(label_error)
}

/// The next login of the structure that is free: identifiers of two structures may be the same in
/// logins, whose creations then wait for each other.
async fn free_login(conn: &mut PgConnection, structure: &ManagedStructure) -> sqlx::Result<(i32, String)> {
    let in_logins = in_login(structure.identifier());
    sqlx::query!("SELECT pg_advisory_xact_lock(hashtextextended('logins of ' || $1, 0))", in_logins)
        .execute(&mut *conn)
        .await?;
    loop {
        let number = structures::take_technical_number(&mut *conn, structure).await?;
        let login = technical_login(number, structure.identifier());
        let is_taken = sqlx::query_scalar!(
            r#"SELECT EXISTS (SELECT FROM technical_users WHERE login = $1) AS "is_taken!""#,
            login,
        );
        if !is_taken.fetch_one(&mut *conn).await? {
            return Ok((number, login));
        }
    }
}

async fn notify(
    conn: &mut PgConnection,
    creation: &Creation<'_>,
    structure: &ManagedStructure,
    account: &NewAccount,
) -> sqlx::Result<()> {
    let notice = AccountNotification {
        technical_user_id: account.id,
        login: account.login.clone(),
        label: creation.label.map(|label| label.as_str().to_owned()),
        structure: structure.designation().into(),
        identifier: structure.written_identifier(),
        actor: creation.actor.name.clone(),
        at: account.created_at,
        expires_at: account.expires_at,
        former_until: None,
        territory: structure.territory(),
    };
    let notice = Notification::TechnicalUserCreated(notice);
    outbox::enqueue(conn, creation.actor, structure.contact_address(), &notice).await
}
