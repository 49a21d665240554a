//! « Demandes de rattachement »: a person asks, the principal manager answers.

use sqlx::PgPool;
use thiserror::Error;
use time::OffsetDateTime;

use super::MemberError;
use crate::{
    db::{
        audit::{self, Event},
        members, outbox,
        structures::{self, ManagedStructure, NotManager},
    },
    domain::{
        audit::{Action, Actor},
        notification::Notification,
        role::Role,
        structure_identifier::StructureIdentifier,
    },
};

/// Requests that a person may have waiting.
pub const MOST_PENDING: i64 = 10;

/// Why a request was not kept. None of these says anything about structures that are not the
/// person's own.
#[derive(Debug, Error)]
pub enum AskError {
    #[error("the person is a member already")]
    AlreadyMember,
    #[error("the person has as many requests waiting as she may")]
    TooMany,
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

/// Keeps a request, whether or not there is such a structure; its principal manager, if there is
/// one, is written to. Asking again changes nothing.
///
/// # Errors
/// [`AskError`].
pub async fn ask(pool: &PgPool, actor: &Actor, user_id: i64, structure: &StructureIdentifier) -> Result<(), AskError> {
    let (kind, value) = (structure.kind().code(), structure.value());
    let mut tx = pool.begin().await?;
    // Her requests queue, so that together they are not too many either.
    sqlx::query!("SELECT id FROM users WHERE id = $1 FOR NO KEY UPDATE", user_id).fetch_one(&mut *tx).await?;
    let standing = sqlx::query!(
        r#"SELECT EXISTS (SELECT FROM memberships m JOIN structures s ON s.id = m.structure_id
                           WHERE m.user_id = $1 AND s.identifier_type = $2 AND s.identifier = $3) AS "member!",
                  coalesce(bool_or(identifier_type = $2 AND identifier = $3), false) AS "asked!", count(*) AS "pending!"
             FROM membership_requests WHERE user_id = $1"#,
        user_id,
        kind,
        value,
    )
    .fetch_one(&mut *tx)
    .await?;
    match standing {
        row if row.member => return Err(AskError::AlreadyMember),
        row if row.asked => return Ok(()),
        row if row.pending >= MOST_PENDING => return Err(AskError::TooMany),
        _ => {}
    }
    // One statement, as long for a structure that nobody knows.
    sqlx::query!(
        "WITH request AS (INSERT INTO membership_requests (user_id, identifier_type, identifier) VALUES ($1, $2, $3)),
              named AS (SELECT s.id, s.designation, m.contact_address FROM structures s LEFT JOIN users m ON m.id = s.principal_manager_id
                         WHERE s.identifier_type = $2 AND s.identifier = $3),
              mailed AS (INSERT INTO mails (recipient, notice)
                         SELECT n.contact_address, jsonb_build_object('kind', 'membership_requested', 'structure', n.designation,
                                'identifier', $3::text, 'person', u.first_name || ' ' || u.last_name, 'login', u.login)
                           FROM named n, users u WHERE u.id = $1 AND n.contact_address IS NOT NULL)
         INSERT INTO audit_events (actor_id, actor, address, action, structure_id, subject, detail)
         VALUES ($1, $4, $5, $6, (SELECT id FROM named), $4, $2 || ' ' || $3)",
        user_id,
        kind,
        value,
        actor.name,
        actor.address,
        Action::MembershipRequested.code(),
    )
    .execute(&mut *tx)
    .await?;
    tx.commit().await?;
    Ok(())
}

/// A request as the person who made it sees it: what she typed, nothing more.
#[derive(Clone, Debug)]
pub struct OwnRequest {
    pub id: i64,
    pub identifier_type: String,
    pub identifier: String,
    pub created_at: OffsetDateTime,
}

/// A person's own requests that wait, oldest first.
///
/// # Errors
/// Database errors.
pub async fn own(pool: &PgPool, user_id: i64) -> sqlx::Result<Vec<OwnRequest>> {
    sqlx::query_as!(
        OwnRequest,
        "SELECT id, identifier_type, identifier, created_at FROM membership_requests WHERE user_id = $1 ORDER BY id",
        user_id,
    )
    .fetch_all(pool)
    .await
}

/// Takes one of a person's own requests back. False where it is gone already.
///
/// # Errors
/// Database errors.
pub async fn withdraw(pool: &PgPool, actor: &Actor, id: i64) -> sqlx::Result<bool> {
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
    .execute(pool)
    .await?;
    Ok(withdrawn.rows_affected() > 0)
}

/// A request as the principal manager of its structure sees it.
#[derive(Clone, Debug)]
pub struct PendingRequest {
    pub id: i64,
    pub full_name: String,
    pub login: String,
    pub created_at: OffsetDateTime,
    pub structure_id: i64,
    pub designation: String,
    pub identifier_type: String,
    pub identifier: String,
    /// How many wait in all.
    pub total: i64,
}

/// The requests that wait for `manager_id`, oldest first.
///
/// # Errors
/// Database errors.
pub async fn of_manager(pool: &PgPool, manager_id: i64, limit: i64) -> sqlx::Result<Vec<PendingRequest>> {
    sqlx::query_as!(
        PendingRequest,
        r#"SELECT r.id, u.first_name || ' ' || u.last_name AS "full_name!", u.login, r.created_at, s.id AS structure_id,
                  s.designation, s.identifier_type, s.identifier, count(*) OVER () AS "total!"
             FROM membership_requests r
             JOIN structures s ON s.identifier_type = r.identifier_type AND s.identifier = r.identifier
             JOIN users u ON u.id = r.user_id
            WHERE s.principal_manager_id = $1
              AND NOT EXISTS (SELECT FROM memberships m WHERE m.structure_id = s.id AND m.user_id = r.user_id)
            ORDER BY r.id LIMIT $2"#,
        manager_id,
        limit,
    )
    .fetch_all(pool)
    .await
}

/// A request together with the proof that the person who asks is principal manager of its
/// structure.
#[derive(Clone, Debug)]
pub struct ManagedRequest {
    id: i64,
    structure: ManagedStructure,
    user_id: i64,
    login: String,
    contact_address: String,
}

/// The request, if `manager_id` may answer it.
///
/// # Errors
/// Database errors.
pub async fn find_managed(pool: &PgPool, manager_id: i64, id: i64) -> sqlx::Result<Option<ManagedRequest>> {
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
    let structure = structures::find_managed(&mut *conn, manager_id, row.structure_id).await?;
    let (user_id, login, contact_address) = (row.user_id, row.login, row.contact_address);
    Ok(structure.map(|structure| ManagedRequest { id, structure, user_id, login, contact_address }))
}

/// « Valider »: the person becomes a member. Where she is one already, in whatever role, she stays
/// what she is.
///
/// # Errors
/// [`MemberError`].
pub async fn accept(pool: &PgPool, actor: &Actor, request: &ManagedRequest, role: Role) -> Result<(), MemberError> {
    let mut tx = pool.begin().await?;
    let structure = structures::lock_managed(&mut tx, &request.structure).await?.ok_or(NotManager)?;
    if !take(&mut tx, request).await? {
        return Ok(());
    }
    match members::seat(&mut tx, (actor, Action::MembershipRequestAccepted), &structure, request.user_id, role).await {
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
    let mut tx = pool.begin().await?;
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
        identifier: structure.identifier().into(),
    };
    outbox::enqueue(&mut tx, &request.contact_address, &notice).await?;
    tx.commit().await?;
    Ok(())
}

/// Takes the request away; false where it has been answered or withdrawn.
async fn take(conn: &mut sqlx::PgConnection, request: &ManagedRequest) -> sqlx::Result<bool> {
    let taken = sqlx::query!("DELETE FROM membership_requests WHERE id = $1", request.id).execute(conn).await?;
    Ok(taken.rows_affected() == 1)
}
