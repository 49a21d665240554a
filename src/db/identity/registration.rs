//! People whom the operator registers and invites.

use sqlx::{PgConnection, PgPool};

use super::mailboxes;
use crate::{
    db::{
        audit::{self, Event},
        outbox, transaction,
    },
    domain::{
        audit::{Action, Actor},
        new_person::NewPerson,
        notification::Notification,
        password::PasswordHash,
    },
};

/// A person who is registered now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Registered {
    pub user_id: i64,
    /// False where the login was known already. Name and address then stay as they are.
    pub is_new: bool,
}

/// Registers a person unless the login is known. A new person is invited to choose a password.
///
/// # Errors
/// Database errors.
pub(in crate::db) async fn register(
    conn: &mut PgConnection,
    actor: &Actor,
    person: &NewPerson,
) -> sqlx::Result<Registered> {
    if let Some(user_id) = insert(conn, person, None).await? {
        send_invitation(conn, actor, user_id, person.login(), person.contact_address().as_str()).await?;
        return Ok(Registered { user_id, is_new: true });
    }
    let user_id = sqlx::query_scalar!("SELECT id FROM users WHERE login = $1", person.login()).fetch_one(conn).await?;
    Ok(Registered { user_id, is_new: false })
}

/// Registers a person whom a manager invites, unless the login is known; the caller mails the
/// invitation. Their address waits to be confirmed, by the invitation's link.
///
/// # Errors
/// Database errors.
pub(in crate::db) async fn register_invited(
    conn: &mut PgConnection,
    actor: &Actor,
    person: &NewPerson,
) -> sqlx::Result<i64> {
    let Some(user_id) = insert(conn, person, None).await? else {
        return sqlx::query_scalar!("SELECT id FROM users WHERE login = $1", person.login()).fetch_one(conn).await;
    };
    sqlx::query!("UPDATE users SET contact_address_confirmed_at = NULL WHERE id = $1", user_id)
        .execute(&mut *conn)
        .await?;
    audit::record(conn, Event { subject: person.login(), ..Event::of(actor, Action::PersonInvited) }).await?;
    Ok(user_id)
}

/// Inserts a person; `None` where the login is taken. The contact address counts as confirmed. A
/// person without a password counts as invited until their first sign-in.
///
/// # Errors
/// Database errors.
pub(in crate::db) async fn insert(
    conn: &mut PgConnection,
    person: &NewPerson,
    password: Option<&PasswordHash>,
) -> sqlx::Result<Option<i64>> {
    sqlx::query_scalar!(
        "INSERT INTO users (login, last_name, first_name, contact_address, password_hash, invited)
         VALUES ($1, $2, $3, $4, $5, $5::text IS NULL)
         ON CONFLICT ON CONSTRAINT users_login_key DO NOTHING RETURNING id",
        person.login(),
        person.last_name(),
        person.first_name(),
        person.contact_address().as_str(),
        password.map(PasswordHash::as_phc),
    )
    .fetch_optional(conn)
    .await
}

async fn send_invitation(
    conn: &mut PgConnection,
    actor: &Actor,
    user_id: i64,
    login: &str,
    address: &str,
) -> sqlx::Result<()> {
    outbox::enqueue(conn, actor, address, &Notification::Invitation { user_id, joins: None }).await?;
    audit::record(conn, Event { subject: login, ..Event::of(actor, Action::PersonInvited) }).await
}

/// What became of an invitation by the operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Invitation {
    /// The person is registered now.
    First,
    /// The person was known: a new link goes to these mailboxes. None where they are disabled.
    Again(Vec<String>),
}

/// Registers and invites a person. One who is known already gets a new link, in the mailboxes that
/// the portal has: this is how the operator helps a person who forgot their password.
///
/// # Errors
/// Database errors.
pub async fn invite(pool: &PgPool, actor: &Actor, person: &NewPerson) -> sqlx::Result<Invitation> {
    let mut tx = transaction::begin(pool).await?;
    let registered = register(&mut tx, actor, person).await?;
    let invitation = if registered.is_new {
        Invitation::First
    } else {
        Invitation::Again(send_links(&mut tx, actor, registered.user_id, person.login()).await?)
    };
    tx.commit().await?;
    Ok(invitation)
}

/// Sends a person who is known a new link, in each of their mailboxes. Returns these: none of a
/// person who is disabled. `None` where no person has this login.
///
/// # Errors
/// Database errors.
pub async fn invite_again(pool: &PgPool, actor: &Actor, login: &str) -> sqlx::Result<Option<Vec<String>>> {
    let mut tx = transaction::begin(pool).await?;
    let id = sqlx::query_scalar!("SELECT id FROM users WHERE login = $1", login).fetch_optional(&mut *tx).await?;
    let Some(user_id) = id else { return Ok(None) };
    let mailboxes = send_links(&mut tx, actor, user_id, login).await?;
    tx.commit().await?;
    Ok(Some(mailboxes))
}

/// Mails a link to each mailbox of a person, and returns these.
async fn send_links(conn: &mut PgConnection, actor: &Actor, user_id: i64, login: &str) -> sqlx::Result<Vec<String>> {
    let mailboxes = mailboxes::of_person(conn, user_id).await?;
    for address in &mailboxes {
        send_invitation(conn, actor, user_id, login, address).await?;
    }
    Ok(mailboxes)
}
