//! Replaces the principal manager of a structure by another member, who accepts it, or whom the
//! operator appoints.

use sqlx::{PgConnection, PgPool};
use thiserror::Error;

use super::{
    MemberError, count_mail,
    memberships::{self, Member},
    offers,
};
use crate::{
    db::{
        audit::{self, Event},
        identity::{locks, mailboxes},
        outbox,
        structures::{self, ManagedStructure, NotManager},
        technical_users::{envelopes, handovers},
        transaction,
    },
    domain::{
        audit::{Action, Actor},
        envelope::SessionSecret,
        notification::Notification,
        role::Role,
    },
};

/// Why the principal manager was not replaced.
#[derive(Debug, Error)]
pub enum SuccessionError {
    #[error("not another member of the structure")]
    NotAnotherMember,
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

/// Why a structure was not offered.
#[derive(Debug, Error)]
pub enum OfferError {
    #[error(transparent)]
    NotManager(#[from] NotManager),
    #[error("not another member of the structure")]
    NotAnotherMember,
    #[error("the person cannot sign in, or has not since they were invited or attached")]
    CannotAccept,
    #[error("the manager has written to too many people")]
    TooMany { seconds: u32 },
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

impl From<SuccessionError> for OfferError {
    fn from(error: SuccessionError) -> Self {
        match error {
            SuccessionError::NotAnotherMember => Self::NotAnotherMember,
            SuccessionError::Database(error) => Self::Database(error),
        }
    }
}

impl From<MemberError> for OfferError {
    fn from(error: MemberError) -> Self {
        match error {
            MemberError::TooMany { seconds } => Self::TooMany { seconds },
            MemberError::Database(error) => Self::Database(error),
            _ => Self::NotAnotherMember,
        }
    }
}

/// Offers the structure to another member, and mails both. It replaces an earlier offer; repeating
/// it changes nothing. The member can sign in, and has since they were invited or attached, so that
/// no structure is offered to whatever address a manager typed.
///
/// # Errors
/// [`OfferError`].
pub async fn offer(
    pool: &PgPool,
    actor: &Actor,
    structure: &ManagedStructure,
    successor_id: i64,
) -> Result<(), OfferError> {
    let mut tx = transaction::begin(pool).await?;
    let structure = structures::lock_managed(&mut tx, structure).await?.ok_or(NotManager)?;
    let members = memberships::of_structure(&mut *tx, &structure).await?;
    let successor = find_successor(&structure, &members, successor_id)?;
    if !successor.can_accept() {
        return Err(OfferError::CannotAccept);
    }
    if !offers::write(&mut tx, &structure, successor).await? {
        return Ok(());
    }
    count_mail(&mut tx, actor).await?;
    record(&mut tx, actor, structure.id(), &successor.login, Action::SuccessionOffered).await?;
    let manager = members.iter().find(|member| member.user_id == structure.manager_id());
    let notice = Notification::SuccessionOffered {
        structure: structure.designation().into(),
        identifier: structure.written_identifier(),
        structure_id: structure.id(),
        manager: manager.map(Member::full_name).unwrap_or_default(),
    };
    outbox::enqueue(&mut tx, actor, &successor.contact_address, &notice).await?;
    let notice = Notification::SuccessionOfferMade {
        structure: structure.designation().into(),
        identifier: structure.written_identifier(),
        structure_id: structure.id(),
        successor: successor.full_name(),
    };
    mailboxes::tell(&mut tx, actor, structure.manager_id(), &notice).await?;
    Ok(tx.commit().await?)
}

/// « Annuler la proposition », by the principal manager. Does nothing if there is none.
///
/// # Errors
/// Database errors; [`NotManager`].
pub async fn withdraw(pool: &PgPool, actor: &Actor, structure: &ManagedStructure) -> Result<(), OfferError> {
    let mut tx = transaction::begin(pool).await?;
    let structure = structures::lock_managed(&mut tx, structure).await?.ok_or(NotManager)?;
    let Some(offer) = offers::of_structure(&mut *tx, &structure).await? else { return Ok(()) };
    offers::end(&mut tx, structure.id()).await?;
    record(&mut tx, actor, structure.id(), &offer.successor_login, Action::SuccessionWithdrawn).await?;
    Ok(tx.commit().await?)
}

/// What became of a successor's answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answered {
    /// Or it was so already.
    Done,
    /// The offer does not stand any more. Nothing was written.
    NoOffer,
    /// Accounts of the structure, their passwords or who knows them have changed since the member
    /// saw them. Nothing was written.
    Changed,
    /// The session was ended meanwhile. Nothing was written.
    SessionEnded,
}

/// A member who answers an offer.
#[derive(Clone, Copy)]
pub struct Answer<'a> {
    pub actor: &'a Actor,
    pub session: &'a SessionSecret,
    pub user_id: i64,
    pub structure_id: i64,
}

/// « Accepter »: the member becomes the principal manager, see [`appoint`], of a structure that is
/// as they saw it: `seen` is [`Consequences::seen`](offers::Consequences::seen). Parallel
/// acceptances take effect once.
///
/// # Errors
/// Database errors.
pub async fn accept(pool: &PgPool, answer: Answer<'_>, seen: &str) -> sqlx::Result<Answered> {
    let Answer { actor, session, user_id, structure_id } = answer;
    let mut tx = transaction::begin(pool).await?;
    if !lock(&mut tx, user_id, structure_id).await? {
        return Ok(Answered::NoOffer);
    }
    if locks::person_in_session(&mut tx, user_id, session).await?.is_none() {
        return Ok(Answered::SessionEnded);
    }
    if structures::find_managed(&mut *tx, user_id, structure_id).await?.is_some() {
        return Ok(Answered::Done);
    }
    let offered = offers::find_own(&mut *tx, user_id, structure_id).await?;
    if offered.is_some_and(|offered| offered.seen != seen) {
        return Ok(Answered::Changed);
    }
    let Some(offered_by) = offers::take(&mut tx, user_id, structure_id).await? else { return Ok(Answered::NoOffer) };
    let Some(structure) = structures::find_managed(&mut *tx, offered_by, structure_id).await? else {
        return Ok(Answered::NoOffer);
    };
    match appoint(&mut tx, Appointing::plain(actor), &structure, user_id).await {
        Ok(()) => {}
        Err(SuccessionError::NotAnotherMember) => return Ok(Answered::NoOffer),
        Err(SuccessionError::Database(error)) => return Err(error),
    }
    tx.commit().await?;
    Ok(Answered::Done)
}

/// « Refuser ».
///
/// # Errors
/// Database errors.
pub async fn decline(pool: &PgPool, answer: Answer<'_>) -> sqlx::Result<Answered> {
    let Answer { actor, session, user_id, structure_id } = answer;
    let mut tx = transaction::begin(pool).await?;
    if !lock(&mut tx, user_id, structure_id).await? {
        return Ok(Answered::NoOffer);
    }
    if locks::person_in_session(&mut tx, user_id, session).await?.is_none() {
        return Ok(Answered::SessionEnded);
    }
    if offers::take(&mut tx, user_id, structure_id).await?.is_none() {
        return Ok(Answered::NoOffer);
    }
    record(&mut tx, actor, structure_id, &actor.name, Action::SuccessionDeclined).await?;
    tx.commit().await?;
    Ok(Answered::Done)
}

/// Locks the structure, as every act on one does. False, without a lock, where it is neither
/// offered to the person nor theirs: who has no part in it holds no act up.
async fn lock(conn: &mut PgConnection, user_id: i64, structure_id: i64) -> sqlx::Result<bool> {
    let locked = sqlx::query!(
        "SELECT id FROM structures s WHERE id = $1
            AND (principal_manager_id = $2
                 OR EXISTS (SELECT FROM succession_offers o WHERE o.structure_id = s.id AND o.successor_id = $2))
            FOR NO KEY UPDATE",
        structure_id,
        user_id,
    )
    .fetch_optional(conn)
    .await?;
    Ok(locked.is_some())
}

/// Who appoints a principal manager, and why.
#[derive(Clone, Copy)]
pub(super) struct Appointing<'a> {
    pub actor: &'a Actor,
    /// In the history; may be empty.
    pub reason: &'a str,
}

impl<'a> Appointing<'a> {
    /// Without a reason.
    pub(super) fn plain(actor: &'a Actor) -> Self {
        Self { actor, reason: "" }
    }
}

/// Makes another member the principal manager, in the transaction of a caller that has locked the
/// structure; the former one becomes a secondary manager. In the same transaction, contact address
/// and rights of the technical users change, since both are derived (rules 5 and 6), envelopes that
/// the former manager has not opened are destroyed, and both are mailed. The new one's mail names
/// the accounts whose password the former one knows. The new one has accepted an
/// [offer](offers), or the operator appoints them.
///
/// # Errors
/// [`SuccessionError`].
pub(super) async fn appoint(
    conn: &mut PgConnection,
    by: Appointing<'_>,
    structure: &ManagedStructure,
    new_manager_id: i64,
) -> Result<(), SuccessionError> {
    let members = memberships::of_structure(&mut *conn, structure).await?;
    let successor = find_successor(structure, &members, new_manager_id)?;
    Ok(hand_over(conn, by, structure, &members, successor).await?)
}

/// The member who would replace the principal manager.
fn find_successor<'a>(
    structure: &ManagedStructure,
    members: &'a [Member],
    new_manager_id: i64,
) -> Result<&'a Member, SuccessionError> {
    let mut others = members.iter().filter(|member| member.user_id != structure.manager_id());
    others.find(|member| member.user_id == new_manager_id).ok_or(SuccessionError::NotAnotherMember)
}

async fn hand_over(
    conn: &mut PgConnection,
    by: Appointing<'_>,
    structure: &ManagedStructure,
    members: &[Member],
    successor: &Member,
) -> sqlx::Result<()> {
    let actor = by.actor;
    replace(conn, actor, structure.id(), successor.user_id).await?;
    let known_accounts = known_to_others(conn, structure.id()).await?;
    let notice = manager_changed(structure, successor.full_name(), Recipient::NewManager { known_accounts });
    outbox::enqueue(conn, actor, &successor.contact_address, &notice).await?;
    if let Some(former) = members.iter().find(|member| member.user_id == structure.manager_id()) {
        let notice = manager_changed(structure, successor.shown_name(), Recipient::FormerManager);
        outbox::enqueue(conn, actor, &former.contact_address, &notice).await?;
    }
    record_change(conn, by, structure.id(), &successor.login).await
}

/// Makes a member the first principal manager of a structure that has none, and mails them.
///
/// # Errors
/// Database errors.
pub(super) async fn appoint_first(
    conn: &mut PgConnection,
    by: Appointing<'_>,
    structure_id: i64,
    manager: (i64, &str),
) -> sqlx::Result<()> {
    let (user_id, login) = manager;
    replace(conn, by.actor, structure_id, user_id).await?;
    if let Some(structure) = structures::find_managed(&mut *conn, user_id, structure_id).await? {
        tell_new_manager(conn, by.actor, &structure).await?;
    }
    record_change(conn, by, structure_id, login).await
}

async fn record_change(
    conn: &mut PgConnection,
    by: Appointing<'_>,
    structure_id: i64,
    successor: &str,
) -> sqlx::Result<()> {
    let event = Event {
        structure_id: Some(structure_id),
        subject: successor,
        detail: by.reason,
        ..Event::of(by.actor, Action::ManagerChanged)
    };
    audit::record(conn, event).await
}

/// Mails a manager who replaces no other, if people who are no longer managers know passwords of
/// the structure.
///
/// # Errors
/// Database errors.
pub(super) async fn warn_of_known_passwords(
    conn: &mut PgConnection,
    actor: &Actor,
    structure: &ManagedStructure,
) -> sqlx::Result<()> {
    if known_to_others(conn, structure.id()).await?.is_empty() {
        return Ok(());
    }
    tell_new_manager(conn, actor, structure).await
}

/// Mails the principal manager that they are it, and whose passwords others know.
///
/// # Errors
/// Database errors.
pub(super) async fn tell_new_manager(
    conn: &mut PgConnection,
    actor: &Actor,
    structure: &ManagedStructure,
) -> sqlx::Result<()> {
    let known_accounts = known_to_others(conn, structure.id()).await?;
    let members = memberships::of_structure(&mut *conn, structure).await?;
    let manager = members.iter().find(|member| member.user_id == structure.manager_id());
    let name = manager.map(Member::full_name).unwrap_or_default();
    let notice = manager_changed(structure, name, Recipient::NewManager { known_accounts });
    outbox::enqueue(conn, actor, structure.contact_address(), &notice).await
}

async fn record(
    conn: &mut PgConnection,
    actor: &Actor,
    structure_id: i64,
    subject: &str,
    action: Action,
) -> sqlx::Result<()> {
    audit::record(conn, Event { structure_id: Some(structure_id), subject, ..Event::of(actor, action) }).await
}

/// The recipient of the mail about a new principal manager.
enum Recipient {
    FormerManager,
    /// With the names of the accounts whose password other people know.
    NewManager {
        known_accounts: Vec<String>,
    },
}

fn manager_changed(structure: &ManagedStructure, new_manager: String, recipient: Recipient) -> Notification {
    let (is_recipient, known_accounts) = match recipient {
        Recipient::FormerManager => (false, Vec::new()),
        Recipient::NewManager { known_accounts } => (true, known_accounts),
    };
    Notification::ManagerChanged {
        structure: structure.designation().into(),
        identifier: structure.written_identifier(),
        new_manager,
        is_recipient,
        known_accounts,
    }
}

/// Changes roles and pointer together: two deferred foreign keys compare them at the end of the
/// transaction. An offer of the structure ends: it was of the former manager.
///
/// # Errors
/// Database errors.
pub(super) async fn replace(
    conn: &mut PgConnection,
    actor: &Actor,
    structure_id: i64,
    new_manager_id: i64,
) -> sqlx::Result<()> {
    memberships::demote_principal_manager(conn, structure_id).await?;
    memberships::set_role(conn, actor, structure_id, new_manager_id, Role::PrincipalManager).await?;
    structures::set_principal_manager(conn, structure_id, new_manager_id).await?;
    offers::end(conn, structure_id).await?;
    envelopes::end_of_structure(conn, structure_id).await?;
    handovers::ending::end_of_structure(conn, structure_id).await
}

/// The structure's accounts whose password is known to a person who is not the principal manager,
/// as mails name them.
///
/// # Errors
/// Database errors.
async fn known_to_others(conn: &mut PgConnection, structure_id: i64) -> sqlx::Result<Vec<String>> {
    sqlx::query_scalar!(
        r#"SELECT t.login || coalesce(' (' || t.label || ')', '') AS "name!" FROM technical_users t
            WHERE t.structure_id = $1 AND t.status <> 'DELETED' AND (SELECT count(*) > 0 FROM passwords_known_to_others k WHERE k.technical_user_id = t.id) ORDER BY t.number"#,
        structure_id,
    )
    .fetch_all(conn)
    .await
}
