//! Contact addresses. A new one counts at once (rule 6), but identifies its person only once a link
//! that was mailed to it is followed. Until then the address that was confirmed before does, and
//! links and notices about the person's own account go there.

use sqlx::{PgConnection, PgPool};
use time::OffsetDateTime;

use super::{account, invitations, known_browsers, locks, mailboxes};
use crate::{
    db::{
        audit::{self, Event},
        outbox::{self, Cause},
        throttles::{self, RateLimit, Scope},
        transaction,
    },
    domain::{
        audit::{Action, Actor},
        contact_address::ContactAddress,
        envelope::SessionSecret,
        known_browser::Epoch,
        link_lifetime,
        notification::Notification,
    },
};

/// How often a person may change their contact address.
const CHANGES: RateLimit = RateLimit { most: 10, minutes: 60 };

/// Links to confirm one address that one person may have mailed to it in a day.
pub const LINKS_OF_A_PERSON: i64 = 3;

/// Links to confirm one address that all people together may have mailed to it in a day.
const LINKS_TO_AN_ADDRESS: i64 = 10;

/// What became of a change of the contact address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AddressChange {
    /// It is the person's address now, and that of so many technical users.
    Saved { technical_users: i64 },
    /// The person has changed it too often: seconds to wait. Nothing was written.
    TooOften { seconds: u32 },
    /// The session was ended meanwhile. Nothing was written.
    SessionEnded,
}

/// The person's address before a change.
struct Before {
    contact_address: String,
    confirmed_address: Option<String>,
}

/// Replaces a person's contact address, which is at once that of the technical users of their
/// structures (rule 6); the history of each structure records it. Mails the change to the mailboxes
/// that the person had before and a link to the new one. Links to choose a password stay: they went
/// to those mailboxes. How often is limited: the new address is whatever was typed, and whoever
/// reads mail there gets one.
///
/// # Errors
/// Database errors.
pub async fn change(
    pool: &PgPool,
    actor: &Actor,
    session: &SessionSecret,
    user_id: i64,
    address: &ContactAddress,
) -> sqlx::Result<AddressChange> {
    let mut tx = transaction::begin(pool).await?;
    if locks::person_in_session(&mut tx, user_id, session).await?.is_none() {
        return Ok(AddressChange::SessionEnded);
    }
    let before = lock(&mut tx, user_id).await?;
    if before.contact_address != address.as_str() {
        let wait = throttles::consume(&mut tx, Scope::ContactAddress.key(&actor.name, ""), CHANGES).await?;
        if let Some(seconds) = wait {
            return Ok(AddressChange::TooOften { seconds });
        }
        replace(&mut tx, actor, user_id, address.as_str()).await?;
    }
    let technical_users = account::facts(&mut tx, user_id).await?.technical_users;
    tx.commit().await?;
    Ok(AddressChange::Saved { technical_users })
}

async fn lock(conn: &mut PgConnection, user_id: i64) -> sqlx::Result<Before> {
    sqlx::query_as!(
        Before,
        "SELECT contact_address, confirmed_address FROM users WHERE id = $1 FOR NO KEY UPDATE",
        user_id
    )
    .fetch_one(conn)
    .await
}

async fn replace(conn: &mut PgConnection, actor: &Actor, user_id: i64, new: &str) -> sqlx::Result<()> {
    let notice = Notification::ContactAddressChanged { new_address: new.to_owned(), is_way_back: true };
    mailboxes::tell(conn, actor, user_id, &notice).await?;
    // Who returns to the address that was confirmed before has nothing to confirm.
    let is_confirmed = sqlx::query_scalar!(
        r#"UPDATE users SET contact_address = $2,
                former_contact_address = CASE WHEN lower(confirmed_address) = lower($2) THEN NULL ELSE confirmed_address END,
                contact_address_confirmed_at = CASE WHEN lower(confirmed_address) = lower($2) THEN portal_now() END
          WHERE id = $1 RETURNING contact_address_confirmed_at IS NOT NULL AS "is_confirmed!""#,
        user_id,
        new,
    )
    .fetch_one(&mut *conn)
    .await?;
    if !is_confirmed {
        mail_link(conn, user_id, new).await?;
    }
    mailboxes::record_change(conn, actor, user_id, new).await
}

/// Mails a link to confirm the address, unless enough were mailed there in the last day: then
/// false. Those of an epoch that is over do not count for the person, since they lead nowhere. The
/// caller has locked the person.
async fn mail_link(conn: &mut PgConnection, user_id: i64, address: &str) -> sqlx::Result<bool> {
    let Epoch(epoch) = known_browsers::epoch(&mut *conn, user_id).await?;
    let mailed = sqlx::query!(
        r#"SELECT count(*) FILTER (WHERE caused_by = $2 AND (notice->>'epoch')::bigint = $3) AS "by_person!",
                  count(*) AS "in_all!" FROM mails
            WHERE lower(recipient) = lower($1) AND notice->>'kind' = 'contact_address_to_confirm'
              AND created_at > portal_now() - interval '1 day'"#,
        address,
        Cause::Person(user_id).key(),
        epoch,
    )
    .fetch_one(&mut *conn)
    .await?;
    if mailed.by_person >= LINKS_OF_A_PERSON || mailed.in_all >= LINKS_TO_AN_ADDRESS {
        return Ok(false);
    }
    let notice = Notification::ContactAddressToConfirm { user_id, address: address.to_owned(), epoch };
    outbox::enqueue(conn, Cause::Person(user_id), address, &notice).await?;
    Ok(true)
}

/// What became of « Renvoyer le courriel de confirmation ».
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resent {
    /// Mailed, or nothing is left to confirm.
    Done,
    /// The address got its links of this day. Nothing was written.
    TooOften,
    /// The session was ended meanwhile. Nothing was written.
    SessionEnded,
}

/// Mails another link to the address that waits to be confirmed. Those that were mailed before stay
/// valid.
///
/// # Errors
/// Database errors.
pub async fn send_again(pool: &PgPool, session: &SessionSecret, user_id: i64) -> sqlx::Result<Resent> {
    let mut tx = transaction::begin(pool).await?;
    if locks::person_in_session(&mut tx, user_id, session).await?.is_none() {
        return Ok(Resent::SessionEnded);
    }
    let address = lock(&mut tx, user_id).await?;
    if address.confirmed_address.as_ref() == Some(&address.contact_address) {
        return Ok(Resent::Done);
    }
    if !mail_link(&mut tx, user_id, &address.contact_address).await? {
        return Ok(Resent::TooOften);
    }
    tx.commit().await?;
    Ok(Resent::Done)
}

/// Makes a link, valid for [`link_lifetime::ADDRESS_CONFIRMATION`]; only the hash of its token is
/// stored. The person's name; `None`, and no link, where the address does not wait to be confirmed
/// any more, or the person's sessions were ended since it was asked for.
///
/// # Errors
/// Database errors.
pub async fn create_link(
    conn: &mut PgConnection,
    (user_id, asked_in): (i64, Epoch),
    address: &str,
    token_hash: &[u8],
) -> sqlx::Result<Option<String>> {
    sqlx::query_scalar!(
        r#"WITH person AS (SELECT id, first_name || ' ' || last_name AS name FROM users
                          WHERE id = $1 AND contact_address = $2 AND contact_address_confirmed_at IS NULL
                              AND known_browsers_epoch = $5),
                link AS (INSERT INTO address_confirmations (token_hash, user_id, address, expires_at, epoch)
                         SELECT $3, id, $2, portal_now() + $4::interval, $5 FROM person)
           SELECT name AS "name!" FROM person"#,
        user_id,
        address,
        token_hash,
        link_lifetime::ADDRESS_CONFIRMATION as _,
        asked_in.0,
    )
    .fetch_optional(conn)
    .await
}

/// An address that a valid link confirms.
#[derive(Clone, Debug)]
pub struct Awaiting {
    pub login: String,
    pub address: String,
    /// When the link ends.
    pub expires_at: OffsetDateTime,
}

/// What the link with this token confirms; `None` once it is used or too old, the address was
/// changed again, or the person's sessions were ended: another person may have typed it in one.
///
/// # Errors
/// Database errors.
pub async fn find(pool: &PgPool, token_hash: &[u8]) -> sqlx::Result<Option<Awaiting>> {
    sqlx::query_as!(
        Awaiting,
        "SELECT u.login, c.address, c.expires_at FROM address_confirmations c JOIN users u ON u.id = c.user_id
          WHERE c.token_hash = $1 AND c.expires_at > portal_now() AND c.epoch = u.known_browsers_epoch
            AND u.contact_address = c.address AND u.contact_address_confirmed_at IS NULL",
        token_hash,
    )
    .fetch_optional(pool)
    .await
}

/// Confirms the address by its link, from a client at `from`. The one that was confirmed before
/// stays a way back for a while, and the links that were mailed there stay, too; others end. Where
/// the address itself was one, the person has returned to it: what was confirmed after it is no way
/// back any more. False where the link is not valid.
///
/// # Errors
/// Database errors.
pub async fn confirm(pool: &PgPool, from: String, token_hash: &[u8]) -> sqlx::Result<bool> {
    let mut tx = transaction::begin(pool).await?;
    let former = sqlx::query_scalar!(
        "SELECT u.former_contact_address FROM address_confirmations c JOIN users u ON u.id = c.user_id
          WHERE c.token_hash = $1 FOR NO KEY UPDATE OF u",
        token_hash,
    )
    .fetch_optional(&mut *tx)
    .await?;
    let Some(former) = former else { return Ok(false) };
    let person = sqlx::query!(
        "UPDATE users u SET contact_address_confirmed_at = portal_now(), former_contact_address = NULL FROM address_confirmations c
          WHERE c.token_hash = $1 AND c.expires_at > portal_now() AND c.epoch = u.known_browsers_epoch AND u.id = c.user_id
            AND u.contact_address = c.address AND u.contact_address_confirmed_at IS NULL
         RETURNING u.id, u.login, u.contact_address",
        token_hash,
    )
    .fetch_optional(&mut *tx)
    .await?;
    let Some(person) = person else { return Ok(false) };
    let former = mailboxes::returned_to(&mut tx, person.id, &person.contact_address, former).await?;
    sqlx::query!("DELETE FROM address_confirmations WHERE user_id = $1", person.id).execute(&mut *tx).await?;
    if let Some(former) = former {
        mailboxes::keep(&mut tx, person.id, &former).await?;
    }
    invitations::end_links(&mut tx, person.id).await?;
    let actor = Actor { user_id: Some(person.id), name: person.login, address: from };
    let event = Event { detail: &person.contact_address, ..Event::of(&actor, Action::ContactAddressConfirmed) };
    audit::record(&mut tx, event).await?;
    tx.commit().await?;
    Ok(true)
}

/// Gives the person with this login another address, at the operator's wish: it counts as
/// confirmed, and addresses of before are no way back. Mails the change to the mailboxes that the
/// person had, and ends all links. False where the login is not known.
///
/// # Errors
/// Database errors.
pub async fn assign(pool: &PgPool, actor: &Actor, login: &str, address: &ContactAddress) -> sqlx::Result<bool> {
    let mut tx = transaction::begin(pool).await?;
    let Some(user_id) = locks::named_person(&mut tx, login).await? else { return Ok(false) };
    let notice = Notification::ContactAddressChanged { new_address: address.as_str().to_owned(), is_way_back: false };
    mailboxes::tell(&mut tx, actor, user_id, &notice).await?;
    mailboxes::assign_alone(&mut tx, user_id, address.as_str()).await?;
    sqlx::query!("DELETE FROM address_confirmations WHERE user_id = $1", user_id).execute(&mut *tx).await?;
    invitations::end_links(&mut tx, user_id).await?;
    mailboxes::record_change(&mut tx, actor, user_id, address.as_str()).await?;
    tx.commit().await?;
    Ok(true)
}

/// Deletes links that have ended.
pub(in crate::db) async fn sweep(pool: &PgPool) -> sqlx::Result<()> {
    sqlx::query!("DELETE FROM address_confirmations WHERE expires_at <= portal_now()").execute(pool).await?;
    Ok(())
}
