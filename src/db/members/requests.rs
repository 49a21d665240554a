//! « Demandes de rattachement »: requests to become a member, answered by the principal manager.

use sqlx::{PgConnection, PgExecutor, PgPool, types::Json};
use thiserror::Error;
use time::OffsetDateTime;

use super::new_membership::{self, Grant, MemberError};
use crate::{
    db::{
        audit::{self, Event},
        identity::locks,
        outbox::{self, Cause},
        structures::{self, Claimant, ManagedStructure, NotManager},
        throttles::{self, Key, RateLimit, Scope},
        transaction,
    },
    domain::{
        audit::{Action, Actor},
        envelope::SessionSecret,
        notification::Notification,
        role::Role,
        structure_identifier::{IdentifierType, StructureIdentifier, as_written},
    },
};

/// The number of pending requests that a person may have.
pub const MOST_PENDING: i64 = 10;

/// New requests that a person may make in a row: each mails a manager, and withdrawing it makes
/// room for another.
const NEW_REQUESTS: RateLimit = RateLimit { most: 20, minutes: 60 };

/// The key of new requests, as [`withdrawals_of`].
fn requests_of(actor: &Actor) -> Key {
    Scope::MembershipRequest.key(&actor.name, "new")
}

/// The throttle of withdrawals. The word stands for a network: it counts per person, whatever their
/// network, so no other person can lengthen the delay.
fn withdrawals_of(actor: &Actor) -> Key {
    Scope::MembershipRequest.key(&actor.name, "account")
}

/// Why a request was refused. None of these reveals anything about structures that the person does
/// not belong to.
#[derive(Debug, Error)]
pub enum AskError {
    #[error("the person has withdrawn several requests")]
    TooManyWithdrawals { seconds: u32 },
    #[error("the person has made many requests")]
    TooOften { seconds: u32 },
    #[error("the person is a member already")]
    AlreadyMember,
    #[error("the person has as many pending requests as allowed")]
    TooMany,
    #[error("the session was ended meanwhile")]
    SessionEnded,
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

/// Stores a request, whether or not the structure exists, and mails its principal manager if there
/// is one. Repeating it changes nothing.
///
/// # Errors
/// [`AskError`].
pub async fn ask(
    pool: &PgPool,
    actor: &Actor,
    (user_id, session): (i64, &SessionSecret),
    structure: &StructureIdentifier,
) -> Result<(), AskError> {
    let mut tx = transaction::begin(pool).await?;
    // Each new request mails the manager: without this throttle, asking and withdrawing in turn
    // would send any number of mails.
    if let Some(seconds) = throttles::wait(&mut *tx, &withdrawals_of(actor)).await? {
        return Err(AskError::TooManyWithdrawals { seconds });
    }
    // The person's requests queue on this lock, so that parallel ones respect the limit, too.
    if locks::person_in_session(&mut tx, user_id, session).await?.is_none() {
        return Err(AskError::SessionEnded);
    }
    let person = sqlx::query!(
        r#"SELECT id, login, first_name || ' ' || last_name AS "full_name!" FROM users WHERE id = $1"#,
        user_id
    )
    .fetch_one(&mut *tx)
    .await?;
    if is_pending(&mut tx, user_id, structure).await? {
        return Ok(());
    }
    if let Some(seconds) = throttles::consume(&mut tx, requests_of(actor), NEW_REQUESTS).await? {
        return Err(AskError::TooOften { seconds });
    }
    let target = find_target(&mut tx, structure).await?;
    let notice = Notification::MembershipRequested {
        structure: target.designation.unwrap_or_default(),
        identifier: as_written(structure.kind().code(), structure.value()),
        person: person.full_name,
        login: person.login,
    };
    // One statement, which takes as long for a structure that does not exist.
    sqlx::query!(
        "WITH request AS (INSERT INTO membership_requests (user_id, identifier_type, identifier) VALUES ($1, $2, $3)),
              mailed AS (INSERT INTO mails (recipient, notice, caused_by) SELECT $4::text, $5::jsonb, $10 WHERE $4::text IS NOT NULL)
         INSERT INTO audit_events (actor_id, actor, address, action, structure_id, subject, detail)
         VALUES ($1, $6, $7, $8, $9, $6, $2 || ' ' || $3)",
        user_id,
        structure.kind().code(),
        structure.value(),
        target.recipient,
        Json(notice) as _,
        actor.name,
        actor.address,
        Action::MembershipRequested.code(),
        target.structure_id,
        Cause::from(actor).key(),
    )
    .execute(&mut *tx)
    .await?;
    tx.commit().await?;
    Ok(())
}

/// Whether the person has asked this already.
///
/// # Errors
/// [`AskError`] if they may not ask it.
async fn is_pending(conn: &mut PgConnection, user_id: i64, structure: &StructureIdentifier) -> Result<bool, AskError> {
    let row = sqlx::query!(
        r#"SELECT EXISTS (SELECT FROM memberships m JOIN structures s ON s.id = m.structure_id
                           WHERE m.user_id = $1 AND s.identifier_type = $2 AND s.identifier = $3) AS "member!",
                  coalesce(bool_or(identifier_type = $2 AND identifier = $3), false) AS "asked!", count(*) AS "pending!"
             FROM membership_requests WHERE user_id = $1"#,
        user_id,
        structure.kind().code(),
        structure.value(),
    )
    .fetch_one(conn)
    .await?;
    if row.member {
        Err(AskError::AlreadyMember)
    } else if !row.asked && row.pending >= MOST_PENDING {
        Err(AskError::TooMany)
    } else {
        Ok(row.asked)
    }
}

/// The structure that a request names. All fields are `None` if there is no such structure.
struct Target {
    structure_id: Option<i64>,
    designation: Option<String>,
    /// The principal manager's contact address.
    recipient: Option<String>,
}

/// Finds the structure. Gives one row in any case, so that both cases take as long.
async fn find_target(conn: &mut PgConnection, structure: &StructureIdentifier) -> sqlx::Result<Target> {
    sqlx::query_as!(
        Target,
        r#"SELECT s.id AS "structure_id?", s.designation AS "designation?", m.contact_address AS "recipient?"
             FROM (VALUES (1)) AS one
             LEFT JOIN structures s ON s.identifier_type = $1 AND s.identifier = $2
             LEFT JOIN users m ON m.id = s.principal_manager_id"#,
        structure.kind().code(),
        structure.value(),
    )
    .fetch_one(conn)
    .await
}

/// A request as its author sees it: only what they typed.
#[derive(Clone, Debug)]
pub struct OwnRequest {
    pub id: i64,
    pub identifier_type: IdentifierType,
    pub identifier: String,
    pub created_at: OffsetDateTime,
}

/// A person's own pending requests, oldest first.
///
/// # Errors
/// Database errors.
pub async fn own(pool: &PgPool, user_id: i64) -> sqlx::Result<Vec<OwnRequest>> {
    sqlx::query_as!(
        OwnRequest,
        r#"SELECT id, identifier_type AS "identifier_type: IdentifierType", identifier, created_at
             FROM membership_requests WHERE user_id = $1 ORDER BY id"#,
        user_id,
    )
    .fetch_all(pool)
    .await
}

/// Withdraws one of the person's own requests, and counts it in the throttle of [`ask`]. Does
/// nothing if the request is gone.
///
/// # Errors
/// Database errors.
pub async fn withdraw(pool: &PgPool, actor: &Actor, id: i64) -> sqlx::Result<()> {
    let mut tx = transaction::begin(pool).await?;
    let withdrawn = sqlx::query!(
        "WITH gone AS (DELETE FROM membership_requests WHERE id = $1 AND user_id = $2 RETURNING identifier_type, identifier)
         INSERT INTO audit_events (actor_id, actor, address, action, structure_id, subject, detail)
         SELECT $2, $3, $4, $5, s.id, $3, g.identifier_type || ' ' || g.identifier
           FROM gone g LEFT JOIN structures s USING (identifier_type, identifier)",
        id,
        actor.user_id,
        actor.name,
        actor.address,
        Action::MembershipRequestWithdrawn.code(),
    )
    .execute(&mut *tx)
    .await?;
    if withdrawn.rows_affected() > 0 {
        throttles::fail(&mut *tx, &withdrawals_of(actor)).await?;
    }
    tx.commit().await
}

/// A request as the principal manager of its structure sees it.
#[derive(Clone, Debug)]
pub struct PendingRequest {
    pub id: i64,
    /// First name, then last name.
    pub full_name: String,
    pub login: String,
    pub created_at: OffsetDateTime,
    pub structure_id: i64,
    pub designation: String,
    /// The number of the manager's pending requests, listed or not.
    pub total: i64,
}

/// The oldest pending requests to structures of `manager_id`.
///
/// # Errors
/// Database errors.
pub(in crate::db) async fn of_manager(
    executor: impl PgExecutor<'_>,
    manager_id: i64,
    limit: i64,
) -> sqlx::Result<Vec<PendingRequest>> {
    sqlx::query_as!(
        PendingRequest,
        r#"SELECT r.id, u.first_name || ' ' || u.last_name AS "full_name!", u.login, r.created_at, s.id AS structure_id,
                  s.designation, count(*) OVER () AS "total!"
             FROM membership_requests r
             JOIN structures s ON s.identifier_type = r.identifier_type AND s.identifier = r.identifier
             JOIN users u ON u.id = r.user_id
            WHERE s.principal_manager_id = $1
              AND NOT EXISTS (SELECT FROM memberships m WHERE m.structure_id = s.id AND m.user_id = r.user_id)
            ORDER BY r.id LIMIT $2"#,
        manager_id,
        limit,
    )
    .fetch_all(executor)
    .await
}

/// A request, with the proof that the caller is principal manager of its structure.
#[derive(Clone, Debug)]
pub struct ManagedRequest {
    id: i64,
    structure: ManagedStructure,
    user_id: i64,
    login: String,
    contact_address: String,
}

/// The request, if the claimant may answer it.
///
/// # Errors
/// Database errors.
pub async fn find_managed(
    pool: &PgPool,
    claimant: impl Into<Claimant<'_>>,
    id: i64,
) -> sqlx::Result<Option<ManagedRequest>> {
    let mut conn = pool.acquire().await?;
    let row = sqlx::query!(
        "SELECT r.user_id, u.login, u.contact_address, s.id AS structure_id FROM membership_requests r
           JOIN structures s ON s.identifier_type = r.identifier_type AND s.identifier = r.identifier
           JOIN users u ON u.id = r.user_id WHERE r.id = $1",
        id,
    )
    .fetch_optional(&mut *conn)
    .await?;
    let Some(row) = row else { return Ok(None) };
    let structure = structures::find_managed(&mut *conn, claimant, row.structure_id).await?;
    let (user_id, login, contact_address) = (row.user_id, row.login, row.contact_address);
    Ok(structure.map(|structure| ManagedRequest { id, structure, user_id, login, contact_address }))
}

/// « Valider »: the person becomes a member. A person who is one already keeps their role.
///
/// # Errors
/// [`MemberError`].
pub async fn accept(pool: &PgPool, actor: &Actor, request: &ManagedRequest, role: Role) -> Result<(), MemberError> {
    let mut tx = transaction::begin(pool).await?;
    let structure = structures::lock_managed(&mut tx, &request.structure).await?.ok_or(NotManager)?;
    if !take(&mut tx, request).await? {
        return Ok(());
    }
    let action = Action::MembershipRequestAccepted;
    let grant = Grant { actor, action, structure: &structure, user_id: request.user_id, role, invited_as: None };
    match new_membership::give(&mut tx, grant).await {
        Ok(_) | Err(MemberError::OtherRole(_)) => {}
        Err(error) => return Err(error),
    }
    tx.commit().await?;
    Ok(())
}

/// « Refuser ».
///
/// # Errors
/// [`MemberError`].
pub async fn refuse(pool: &PgPool, actor: &Actor, request: &ManagedRequest) -> Result<(), MemberError> {
    let mut tx = transaction::begin(pool).await?;
    let structure = structures::lock_managed(&mut tx, &request.structure).await?.ok_or(NotManager)?;
    if !take(&mut tx, request).await? {
        return Ok(());
    }
    let event = Event {
        structure_id: Some(structure.id()),
        subject: &request.login,
        ..Event::of(actor, Action::MembershipRequestRefused)
    };
    audit::record(&mut tx, event).await?;
    let notice = Notification::MembershipRefused {
        structure: structure.designation().into(),
        identifier: structure.written_identifier(),
    };
    outbox::enqueue(&mut tx, actor, &request.contact_address, &notice).await?;
    tx.commit().await?;
    Ok(())
}

/// Deletes the request. False if it has been answered or withdrawn.
async fn take(conn: &mut PgConnection, request: &ManagedRequest) -> sqlx::Result<bool> {
    let taken = sqlx::query!("DELETE FROM membership_requests WHERE id = $1", request.id).execute(conn).await?;
    Ok(taken.rows_affected() == 1)
}

/// Deletes the person's request to the structure, if there is one: they have become a member.
///
/// # Errors
/// Database errors.
pub(super) async fn delete_answered(
    conn: &mut PgConnection,
    structure: &ManagedStructure,
    user_id: i64,
) -> sqlx::Result<()> {
    sqlx::query!(
        "DELETE FROM membership_requests WHERE user_id = $1 AND identifier_type = $2 AND identifier = $3",
        user_id,
        structure.identifier_type().code(),
        structure.identifier(),
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Deletes requests older than 90 days. No answer will come: the structure is unknown, or its
/// manager does not decide.
pub(in crate::db) async fn sweep(pool: &PgPool) -> sqlx::Result<()> {
    sqlx::query!("DELETE FROM membership_requests WHERE created_at <= portal_now() - interval '90 days'")
        .execute(pool)
        .await?;
    Ok(())
}
