//! What a person reads and changes in « Mon compte ».

use sqlx::{PgConnection, PgPool};
use time::OffsetDateTime;

use super::{
    invitations,
    locks::{self, VerifiedPassword},
    mailboxes::{self, FormerAddress},
    passwords,
    provider_identities::{self, LinkedIdentity},
    sessions::{self, Kept, OpenSession},
};
use crate::{
    db::{
        audit::{self, Event},
        members::offers::{self, OwnOffer},
        throttles::{self, Key, RateLimit, Scope},
        transaction,
    },
    domain::{
        audit::{Action, Actor},
        envelope::SessionSecret,
        known_browser::Epoch,
        password::PasswordHash,
        role::Role,
    },
};

/// How often a person may change their password. A change by a mailed link is not counted.
const CHANGES_OF_PASSWORD: RateLimit = RateLimit { most: 10, minutes: 60 };

fn password_change_key(user_id: i64) -> Key {
    Scope::PasswordChange.key(&user_id.to_string(), "")
}

/// Seconds until the person may change their password again; `None` where they may now.
///
/// # Errors
/// Database errors.
pub async fn wait_for_password_change(pool: &PgPool, user_id: i64) -> sqlx::Result<Option<u32>> {
    throttles::wait(pool, &password_change_key(user_id)).await
}

/// A change of a person's own password, once the current one was verified.
pub struct PasswordChange<'a> {
    pub verified: &'a VerifiedPassword,
    pub new: &'a PasswordHash,
    /// The session that stays; all others of the person end.
    pub kept: Kept<'a>,
}

/// What became of a change of the password. Where it was not changed, nothing was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PasswordChanged {
    /// With the new epoch of the person's known browsers.
    Changed(Epoch),
    /// The session was ended after the current password had been verified.
    SessionEnded,
    /// The current password was replaced after it had been verified.
    ReplacedMeanwhile,
    /// The person has changed it too often: seconds to wait.
    TooOften { seconds: u32 },
}

/// Replaces a person's password by one that they chose, and ends their other sessions, their unused
/// links, what waits in their name and the marks of their known browsers: all only if the session
/// is still open and the password is still the one that was verified. A person who knew the
/// password cannot undo what its owner did meanwhile.
///
/// # Errors
/// Database errors.
pub async fn change_password(
    pool: &PgPool,
    actor: &Actor,
    change: PasswordChange<'_>,
) -> sqlx::Result<PasswordChanged> {
    let PasswordChange { verified, new, kept } = change;
    let user_id = verified.user_id;
    let mut tx = transaction::begin(pool).await?;
    let is_same = locks::verified_person(&mut tx, verified).await?;
    if locks::living_session(&mut tx, user_id, kept.current).await?.is_none() {
        return Ok(PasswordChanged::SessionEnded);
    }
    if !is_same {
        return Ok(PasswordChanged::ReplacedMeanwhile);
    }
    if let Some(seconds) = throttles::consume(&mut tx, password_change_key(user_id), CHANGES_OF_PASSWORD).await? {
        return Ok(PasswordChanged::TooOften { seconds });
    }
    passwords::replace(&mut tx, actor, user_id, new).await?;
    invitations::end_links(&mut tx, user_id).await?;
    let epoch = sessions::end_all_but(&mut tx, actor, user_id, kept).await?;
    throttles::succeed(&mut tx, &verified.counted).await?;
    audit::record(&mut tx, Event::of(actor, Action::PasswordChosen)).await?;
    tx.commit().await?;
    Ok(PasswordChanged::Changed(epoch))
}

/// What « Mon compte » shows beside the person's own data.
#[derive(Clone, Debug)]
pub struct Account {
    /// When the person signed in before the present session.
    pub previous_sign_in: Option<OffsetDateTime>,
    /// How many technical users have the person's contact address.
    pub technical_users: i64,
    /// Whether the contact address is confirmed.
    pub is_address_confirmed: bool,
    /// Where links and notices about the person's own account go.
    pub confirmed_address: Option<String>,
    /// Since when the contact address refuses mails, if it does.
    pub refused_since: Option<OffsetDateTime>,
    /// Addresses that were confirmed before, to which they go as well for a while.
    pub former_addresses: Vec<FormerAddress>,
    /// Identities at the provider with which the person signs in.
    pub identities: Vec<LinkedIdentity>,
    /// Structures that the person is offered.
    pub offers: Vec<OwnOffer>,
    /// One page of the memberships.
    pub memberships: Vec<MembershipRow>,
    /// The open sessions, the latest seen first.
    pub sessions: Vec<OpenSession>,
}

/// The part of a person's memberships that a page shows.
#[derive(Clone, Copy, Debug)]
pub struct Slice {
    /// Memberships before the slice.
    pub offset: i64,
    /// The most memberships in the slice.
    pub limit: i64,
}

/// Reads the account of a person, seen from the session `current`.
///
/// # Errors
/// Database errors.
pub async fn find(pool: &PgPool, user_id: i64, current: &SessionSecret, slice: Slice) -> sqlx::Result<Account> {
    let mut conn = pool.acquire().await?;
    let facts = facts(&mut conn, user_id).await?;
    Ok(Account {
        previous_sign_in: facts.previous_sign_in,
        technical_users: facts.technical_users,
        is_address_confirmed: facts.is_address_confirmed,
        confirmed_address: facts.confirmed_address,
        refused_since: facts.refused_since,
        former_addresses: mailboxes::former(&mut conn, user_id).await?,
        identities: provider_identities::list(&mut conn, user_id).await?,
        offers: offers::own(&mut *conn, user_id).await?,
        memberships: memberships(&mut conn, user_id, slice).await?,
        sessions: sessions::open_sessions(&mut conn, user_id, current).await?,
    })
}

/// A structure that a person is a member of.
#[derive(Clone, Debug)]
pub struct MembershipRow {
    pub id: i64,
    /// When the person was attached.
    pub attached_at: OffsetDateTime,
    /// The login of whoever attached them, or « opérateur »; `None` where it was not recorded.
    pub attached_by: Option<String>,
    pub structure_id: i64,
    pub designation: String,
    /// An [`IdentifierType`](crate::domain::structure_identifier::IdentifierType)'s code.
    pub identifier_type: String,
    pub identifier: String,
    /// A [`Role`]'s code.
    pub role: String,
    /// Whether the structure is active.
    pub active: bool,
    /// The full name of its principal manager, where it has one.
    pub manager_name: Option<String>,
    /// How to reach them, where the address is confirmed.
    pub manager_address: Option<String>,
    /// How many memberships the person has in all.
    pub total: i64,
}

impl MembershipRow {
    /// Their role in the structure. An unknown code reads as the role that grants least.
    pub fn role(&self) -> Role {
        Role::parse(&self.role).unwrap_or(Role::User)
    }
}

/// By the structure's name.
async fn memberships(conn: &mut PgConnection, user_id: i64, slice: Slice) -> sqlx::Result<Vec<MembershipRow>> {
    sqlx::query_as!(
        MembershipRow,
        r#"SELECT m.id, m.created_at AS attached_at, m.attached_by, s.id AS structure_id, s.designation, s.identifier_type, s.identifier, m.role, s.active,
                  p.first_name || ' ' || p.last_name AS manager_name,
                  CASE WHEN p.contact_address_confirmed_at IS NOT NULL THEN p.contact_address END AS manager_address,
                  count(*) OVER () AS "total!"
             FROM memberships m JOIN structures s ON s.id = m.structure_id LEFT JOIN users p ON p.id = s.principal_manager_id
            WHERE m.user_id = $1 ORDER BY s.search_text, s.id OFFSET $2 LIMIT $3"#,
        user_id,
        slice.offset,
        slice.limit,
    )
    .fetch_all(conn)
    .await
}

/// What one statement tells of a person.
pub(super) struct Facts {
    previous_sign_in: Option<OffsetDateTime>,
    pub(super) technical_users: i64,
    is_address_confirmed: bool,
    confirmed_address: Option<String>,
    refused_since: Option<OffsetDateTime>,
}

pub(super) async fn facts(conn: &mut PgConnection, user_id: i64) -> sqlx::Result<Facts> {
    sqlx::query_as!(
        Facts,
        r#"SELECT (SELECT at FROM audit_events WHERE actor_id = $1 AND action = 'SIGNED_IN' AND detail = '' ORDER BY id DESC OFFSET 1 LIMIT 1)
                      AS previous_sign_in,
                  (SELECT count(*) FROM technical_users t JOIN structures s ON s.id = t.structure_id
                    WHERE s.principal_manager_id = $1 AND t.status <> 'DELETED') AS "technical_users!",
                  u.contact_address_confirmed_at IS NOT NULL AS "is_address_confirmed!", u.confirmed_address,
                  (SELECT refused_at FROM refused_addresses WHERE address = lower(u.contact_address)) AS refused_since
             FROM users u WHERE u.id = $1"#,
        user_id,
    )
    .fetch_one(conn)
    .await
}
