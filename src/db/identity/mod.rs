//! People.

pub mod invitations;
pub mod registration;
pub mod second_factors;
pub mod session_store;
pub mod sessions;

use sqlx::PgPool;
use time::OffsetDateTime;

use super::{
    audit::{self, Event},
    outbox,
    throttles::{self, RateLimit, Scope},
};
use crate::domain::{
    audit::{Action, Actor},
    contact_address::ContactAddress,
    envelope::SessionSecret,
    notification::Notification,
    password::PasswordHash,
    role::Role,
};

/// What sign-in needs of a person.
#[derive(Clone, Debug)]
pub struct Credentials {
    pub user_id: i64,
    pub login: String,
    /// `None` until the person has chosen a password.
    pub password_hash: Option<PasswordHash>,
}

/// The person with this normalized login.
///
/// # Errors
/// Database errors.
pub async fn find_credentials(pool: &PgPool, login: &str) -> sqlx::Result<Option<Credentials>> {
    let row =
        sqlx::query!("SELECT id, login, password_hash FROM users WHERE login = $1", login).fetch_optional(pool).await?;
    Ok(row.map(|row| Credentials {
        user_id: row.id,
        login: row.login,
        password_hash: row.password_hash.map(PasswordHash::from_stored),
    }))
}

/// What others know of a person, hence try as her password: login, names, contact address, and the
/// names and identifiers of some of her structures.
///
/// # Errors
/// Database errors.
pub async fn known_words(pool: &PgPool, user_id: i64) -> sqlx::Result<Vec<String>> {
    sqlx::query_scalar!(
        r#"SELECT word AS "word!" FROM users u, unnest(ARRAY[u.login, u.last_name, u.first_name, u.contact_address]) AS word WHERE u.id = $1
           UNION ALL
           (SELECT unnest(ARRAY[s.designation, s.identifier]) FROM memberships m JOIN structures s ON s.id = m.structure_id
             WHERE m.user_id = $1 ORDER BY m.id LIMIT 40)"#,
        user_id,
    )
    .fetch_all(pool)
    .await
}

/// Replaces a hash by one of the same password with today's parameters.
///
/// # Errors
/// Database errors.
pub async fn renew_hash(pool: &PgPool, user_id: i64, old: &PasswordHash, new: &PasswordHash) -> sqlx::Result<()> {
    sqlx::query!(
        "UPDATE users SET password_hash = $3 WHERE id = $1 AND password_hash = $2",
        user_id,
        old.as_phc(),
        new.as_phc()
    )
    .execute(pool)
    .await?;
    Ok(())
}

/// Keeps the password that a person chose, and ends her other sessions with what they could open.
///
/// # Errors
/// Database errors.
pub async fn change_password(
    pool: &PgPool,
    actor: &Actor,
    user_id: i64,
    hash: &PasswordHash,
    current: &SessionSecret,
) -> sqlx::Result<()> {
    let mut tx = pool.begin().await?;
    invitations::keep_password(&mut tx, user_id, hash).await?;
    sessions::end_all_but(&mut tx, user_id, Some(current)).await?;
    audit::record(&mut tx, Event::of(actor, Action::PasswordChosen)).await?;
    tx.commit().await
}

/// Changes of her own contact address that a person may make in a row.
pub const CHANGES_OF_ADDRESS: RateLimit = RateLimit { most: 10, minutes: 60 };

/// Keeps a person's new contact address, which is at once that of the technical users of her
/// structures (rule 6). The old and the new address are both written to; links that wait in the old
/// mailbox end. Each of her structures remembers it. Seconds to wait, and nothing done, where she
/// has changed it too often: any address may be typed, and whoever reads there is written to.
///
/// # Errors
/// Database errors.
pub async fn change_contact_address(
    pool: &PgPool,
    actor: &Actor,
    user_id: i64,
    address: &ContactAddress,
) -> sqlx::Result<Option<u32>> {
    let mut tx = pool.begin().await?;
    let old = sqlx::query_scalar!("SELECT contact_address FROM users WHERE id = $1 FOR UPDATE", user_id)
        .fetch_one(&mut *tx)
        .await?;
    if old == address.as_str() {
        return Ok(None);
    }
    let wait = throttles::consume(&mut tx, Scope::ContactAddress.key(&actor.name, ""), CHANGES_OF_ADDRESS).await?;
    if wait.is_some() {
        return Ok(wait);
    }
    sqlx::query!("UPDATE users SET contact_address = $2 WHERE id = $1", user_id, address.as_str())
        .execute(&mut *tx)
        .await?;
    // A link in the old mailbox may be why the address is changed.
    invitations::end_links(&mut tx, user_id).await?;
    let notice = Notification::ContactAddressChanged { new_address: address.as_str().into() };
    for recipient in [old.as_str(), address.as_str()] {
        outbox::enqueue(&mut tx, recipient, &notice).await?;
    }
    audit::record(&mut tx, Event { detail: address.as_str(), ..Event::of(actor, Action::ContactAddressChanged) })
        .await?;
    sqlx::query!(
        "INSERT INTO audit_events (actor_id, actor, address, action, structure_id, subject, detail)
         SELECT $1, $2, $3, $4, s.id, $2, $5 FROM structures s WHERE s.principal_manager_id = $6",
        actor.user_id,
        actor.name,
        actor.address,
        Action::ContactAddressChanged.code(),
        address.as_str(),
        user_id,
    )
    .execute(&mut *tx)
    .await?;
    tx.commit().await?;
    Ok(None)
}

/// A structure that a person is a member of.
#[derive(Clone, Debug)]
pub struct MembershipRow {
    pub structure_id: i64,
    pub designation: String,
    pub identifier_type: String,
    pub identifier: String,
    pub role: String,
    pub active: bool,
    /// How many memberships the person has in all.
    pub total: i64,
}

impl MembershipRow {
    pub fn role(&self) -> Role {
        Role::parse(&self.role).unwrap_or(Role::User)
    }
}

/// A page of a person's memberships, by the structure's name.
///
/// # Errors
/// Database errors.
pub async fn memberships(pool: &PgPool, user_id: i64, offset: i64, limit: i64) -> sqlx::Result<Vec<MembershipRow>> {
    sqlx::query_as!(
        MembershipRow,
        r#"SELECT s.id AS structure_id, s.designation, s.identifier_type, s.identifier, m.role, s.active,
                  count(*) OVER () AS "total!"
             FROM memberships m JOIN structures s ON s.id = m.structure_id
            WHERE m.user_id = $1 ORDER BY s.search_text, s.id OFFSET $2 LIMIT $3"#,
        user_id,
        offset,
        limit,
    )
    .fetch_all(pool)
    .await
}

/// What « Mon compte » tells besides: the sign-in before this one, and how many technical users
/// follow the contact address.
#[derive(Clone, Debug)]
pub struct AccountFacts {
    pub previous_sign_in: Option<OffsetDateTime>,
    pub technical_users: i64,
}

/// Reads them.
///
/// # Errors
/// Database errors.
pub async fn account_facts(pool: &PgPool, user_id: i64) -> sqlx::Result<AccountFacts> {
    sqlx::query_as!(
        AccountFacts,
        r#"SELECT (SELECT at FROM audit_events WHERE actor_id = $1 AND action = 'SIGNED_IN' ORDER BY id DESC OFFSET 1 LIMIT 1)
                      AS previous_sign_in,
                  (SELECT count(*) FROM technical_users t JOIN structures s ON s.id = t.structure_id
                    WHERE s.principal_manager_id = $1 AND t.status <> 'DELETED') AS "technical_users!""#,
        user_id,
    )
    .fetch_one(pool)
    .await
}
