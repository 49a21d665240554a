//! One-time links by which a person chooses a password: the first one, or another where they forgot
//! it.

use std::time::Duration;

use sqlx::{PgConnection, PgPool, types::Json};
use time::OffsetDateTime;

use super::{
    locks::{self, ProvedIdentity},
    mailboxes, passwords,
    provider_identities::{
        self, Identity, linking,
        recognition::{self, SecondFactorRule},
    },
    second_factors, sessions,
};
use crate::{
    db::{
        audit::{self, Event},
        outbox::Cause,
        throttles::{self, Begun, Key, RateLimit, Scope, Source},
        transaction,
    },
    domain::{
        audit::{Action, Actor},
        known_browser::Epoch,
        notification::Notification,
        password::PasswordHash,
    },
};

/// How long a person is not sent another link. Otherwise whoever else knows their login could fill
/// their mailbox.
const PAUSE: Duration = Duration::from_mins(5);

/// Requests for a link from one network. Each writes an event that is never deleted, whoever it
/// names, and costs a stranger nothing. A wider network may have more people, but not as many more
/// as it has addresses.
const REQUESTS_OF_A_NETWORK: RateLimit = RateLimit { most: 100, minutes: 10 };

/// The same from one address.
const REQUESTS_OF_AN_ADDRESS: RateLimit = RateLimit { most: 40, minutes: 10 };

/// Links that a mailbox whose address was never confirmed gets in a day, whoever asks for them: it
/// may be a stranger's.
const LINKS_TO_UNCONFIRMED: i64 = 10;

/// People whose known browser a request may come from, where several share an address.
const MOST_NAMED: i64 = 20;

/// The person that a valid link invites.
#[derive(Clone, Debug)]
pub struct Invited {
    pub user_id: i64,
    pub login: String,
    pub first_name: String,
    pub last_name: String,
    /// Whether the person has had a password before.
    pub has_password: bool,
    /// When the link ends.
    pub expires_at: OffsetDateTime,
    /// The mailbox that the link was mailed to, where it is not the contact address: it will be.
    pub restores: Option<String>,
    /// See [`passwords::known_words`].
    pub known_words: Vec<String>,
}

/// Makes a link that is mailed to `address`; only the hash of its token is stored. The person's
/// older links stay: otherwise whoever asks for another one would end the link that the person has
/// just been mailed. All end when one is used.
///
/// # Errors
/// Database errors.
pub async fn create(
    conn: &mut PgConnection,
    user_id: i64,
    address: &str,
    token_hash: &[u8],
    lifetime: Duration,
) -> sqlx::Result<()> {
    sqlx::query!(
        "INSERT INTO invitations (token_hash, user_id, address, expires_at)
         VALUES ($1, $2, $3, portal_now() + $4::interval)",
        token_hash,
        user_id,
        address,
        lifetime as _,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// The person to whom the mail with a link goes.
#[derive(Clone, Debug)]
pub struct Guest {
    pub login: String,
    /// The mailbox that the link was asked for, if it still is one of the person's; otherwise the
    /// address that is confirmed now, or that of the invitation of a person who confirmed none.
    pub address: String,
    pub first_name: String,
    pub last_name: String,
    /// Whether the person has had a password before.
    pub has_password: bool,
}

/// The person with this number, who is to get a link in this mailbox; `None` where they are
/// disabled.
///
/// # Errors
/// Database errors.
pub async fn find_guest(conn: &mut PgConnection, user_id: i64, mailbox: &str) -> sqlx::Result<Option<Guest>> {
    sqlx::query_as!(
        Guest,
        r#"SELECT login, first_name, last_name, password_hash IS NOT NULL AS "has_password!",
                  coalesce((SELECT address FROM person_mailboxes WHERE user_id = $1 AND lower(address) = lower($2) LIMIT 1),
                           confirmed_address, contact_address) AS "address!"
             FROM users WHERE id = $1 AND disabled_at IS NULL"#,
        user_id,
        mailbox,
    )
    .fetch_optional(conn)
    .await
}

/// The person that the link with this token invites; `None` once it is used or too old.
///
/// # Errors
/// Database errors.
pub async fn find(pool: &PgPool, token_hash: &[u8]) -> sqlx::Result<Option<Invited>> {
    let mut conn = pool.acquire().await?;
    let row = sqlx::query!(
        r#"SELECT u.id AS user_id, u.login, u.first_name, u.last_name, u.password_hash IS NOT NULL AS "has_password!", i.expires_at,
                  CASE WHEN lower(p.address) <> lower(u.contact_address) THEN p.address END AS restores
           FROM invitations i JOIN users u ON u.id = i.user_id
           JOIN person_mailboxes p ON p.user_id = u.id
                AND lower(p.address) = lower(coalesce(i.address, u.confirmed_address, u.contact_address))
          WHERE i.token_hash = $1 AND i.used_at IS NULL AND i.expires_at > portal_now()"#,
        token_hash,
    )
    .fetch_optional(&mut *conn)
    .await?;
    let Some(row) = row else { return Ok(None) };
    Ok(Some(Invited {
        user_id: row.user_id,
        login: row.login,
        first_name: row.first_name,
        last_name: row.last_name,
        has_password: row.has_password,
        expires_at: row.expires_at,
        restores: row.restores,
        known_words: passwords::known_words(&mut *conn, row.user_id).await?,
    }))
}

/// Uses the link up and replaces the password; ends the person's sessions, other links, identities
/// at the provider and marks of known browsers, and mails them. The mailbox in which the link was
/// followed is the contact address from then on. Returns the new epoch of known browsers; `None`
/// where the link was used or ended meanwhile.
///
/// # Errors
/// Database errors.
pub async fn accept(
    pool: &PgPool,
    actor: &Actor,
    token_hash: &[u8],
    hash: &PasswordHash,
) -> sqlx::Result<Option<Epoch>> {
    let mut tx = transaction::begin(pool).await?;
    let Some(user_id) = use_up(&mut tx, actor, token_hash).await? else { return Ok(None) };
    passwords::replace(&mut tx, actor, user_id, hash).await?;
    let epoch = begin_anew(&mut tx, actor, user_id).await?;
    audit::record(&mut tx, Event::of(actor, Action::PasswordChosen)).await?;
    tx.commit().await?;
    Ok(Some(epoch))
}

/// What became of an acceptance at the identity provider.
#[derive(Clone, Debug)]
pub enum ProviderAcceptance {
    Accepted(ProvedIdentity),
    /// The link was used or ended meanwhile.
    LinkEnded,
    /// The identity is linked to another person.
    AnotherPersons,
    /// The identity's address is that of another person, to whom the link may have been passed on:
    /// each of their sign-ins would then open this account.
    AnotherPersonsAddress,
    /// No second factor was proved, and the portal asks for none of its own.
    SecondFactorMissing,
}

/// Uses the link up and links the identity, instead of a password: what the person had is removed.
/// All else is as in [`accept`].
///
/// # Errors
/// Database errors.
pub async fn accept_at_provider(
    pool: &PgPool,
    actor: &Actor,
    token_hash: &[u8],
    identity: &Identity<'_>,
    rule: SecondFactorRule,
) -> sqlx::Result<ProviderAcceptance> {
    let mut tx = transaction::begin(pool).await?;
    let Some(user_id) = use_up(&mut tx, actor, token_hash).await? else { return Ok(ProviderAcceptance::LinkEnded) };
    if !recognition::comes_in(&mut tx, user_id, identity, rule).await? {
        return Ok(ProviderAcceptance::SecondFactorMissing);
    }
    if recognition::names_another(&mut tx, user_id, identity).await? {
        return Ok(ProviderAcceptance::AnotherPersonsAddress);
    }
    begin_anew(&mut tx, actor, user_id).await?;
    passwords::remove(&mut tx, user_id).await?;
    let Ok(identity_id) = linking::link_locked(&mut tx, actor, user_id, identity).await? else {
        return Ok(ProviderAcceptance::AnotherPersons);
    };
    tx.commit().await?;
    Ok(ProviderAcceptance::Accepted(identity.proved(user_id, identity_id)))
}

/// Locks the person of a link and uses it up; the mailbox in which it was followed is their contact
/// address from then on. `None` where the link was used or ended.
async fn use_up(conn: &mut PgConnection, actor: &Actor, token_hash: &[u8]) -> sqlx::Result<Option<i64>> {
    let user_id = sqlx::query_scalar!("SELECT user_id FROM invitations WHERE token_hash = $1", token_hash)
        .fetch_optional(&mut *conn)
        .await?;
    let Some(user_id) = user_id else { return Ok(None) };
    locks::person(&mut *conn, user_id).await?;
    // Read under the lock: a former address may have ceased to be a mailbox of the person.
    let mailbox = sqlx::query_scalar!(
        r#"UPDATE invitations i SET used_at = portal_now()
             FROM users u JOIN person_mailboxes p ON p.user_id = u.id
            WHERE i.token_hash = $1 AND i.used_at IS NULL AND i.expires_at > portal_now() AND u.id = i.user_id
              AND lower(p.address) = lower(coalesce(i.address, u.confirmed_address, u.contact_address))
        RETURNING p.address AS "address!""#,
        token_hash,
    )
    .fetch_optional(&mut *conn)
    .await?;
    let Some(mailbox) = mailbox else { return Ok(None) };
    mailboxes::settle(conn, actor, user_id, &mailbox).await?;
    Ok(Some(user_id))
}

/// Ends all that whoever had the account before may have begun.
async fn begin_anew(conn: &mut PgConnection, actor: &Actor, user_id: i64) -> sqlx::Result<Epoch> {
    end_links(&mut *conn, user_id).await?;
    let epoch = sessions::end_all(&mut *conn, actor, user_id).await?;
    provider_identities::forget(&mut *conn, user_id).await?;
    second_factors::forget_setups(conn, user_id).await?;
    Ok(epoch)
}

/// Ends the links that a person has been mailed and has not used, except those in the mailboxes of
/// former addresses: whoever confirmed another address must not end the way back from it.
pub(super) async fn end_links(conn: &mut PgConnection, user_id: i64) -> sqlx::Result<()> {
    sqlx::query!(
        "DELETE FROM invitations i WHERE i.user_id = $1 AND i.used_at IS NULL
            AND NOT EXISTS (SELECT FROM person_mailboxes m
                             WHERE m.user_id = $1 AND m.ends_at < 'infinity' AND lower(m.address) = lower(i.address))",
        user_id
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Ends all links that a person has been mailed and has not used.
pub(super) async fn end_all_links(conn: &mut PgConnection, user_id: i64) -> sqlx::Result<()> {
    sqlx::query!("DELETE FROM invitations WHERE user_id = $1 AND used_at IS NULL", user_id).execute(conn).await?;
    Ok(())
}

/// What became of a request for a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Request {
    /// Taken, whether or not what was typed names a person.
    Taken,
    /// Too often for the person that was named: seconds to wait.
    TooOftenNamed { seconds: u32 },
    /// Too often from this network: seconds to wait.
    TooOftenFromNetwork { seconds: u32 },
}

/// The logins of the people whom `named` names, in lower case: so a known browser is recognised
/// also where its person gives their address.
///
/// # Errors
/// Database errors.
pub async fn logins_named(pool: &PgPool, named: &str) -> sqlx::Result<Vec<String>> {
    sqlx::query_scalar!(
        r#"SELECT u.login AS "login!" FROM people_named($1) p JOIN users u ON u.id = p.id ORDER BY u.id LIMIT $2"#,
        named,
        MOST_NAMED
    )
    .fetch_all(pool)
    .await
}

/// The keys that count all requests from a source, whatever they name.
fn keys_of_networks(source: &Source) -> Vec<(Key, RateLimit)> {
    // A known browser counts by itself, and names its own person.
    let Source::Address(address) = source else { return Vec::new() };
    throttles::address_limits(Scope::PasswordLink, *address, REQUESTS_OF_AN_ADDRESS, REQUESTS_OF_A_NETWORK)
}

/// Takes a request for a link from a person who forgot their password and names themselves by
/// login, or by an address that is or was confirmed and is no login. Where a person is known by it,
/// each of their mailboxes is mailed a link, unless one is on its way there already. The event
/// names what was typed where a person is known by it, and `actor` otherwise. The same statements
/// and one event for any name, so that the answer takes as long. A refused request writes nothing.
///
/// # Errors
/// Database errors.
pub async fn request(pool: &PgPool, actor: &Actor, named: &str, source: &Source) -> sqlx::Result<Request> {
    let keys = keys_of_networks(source);
    let mut tx = transaction::begin(pool).await?;
    for (key, _) in &keys {
        if let Some(seconds) = throttles::wait(&mut *tx, key).await? {
            return Ok(Request::TooOftenFromNetwork { seconds });
        }
    }
    // Each request counts as a failure, so that no mailbox is filled.
    if let Begun::Wait(seconds) = throttles::begin(&mut tx, source.link_keys(named)).await? {
        return Ok(Request::TooOftenNamed { seconds });
    }
    for (key, limit) in keys {
        if let Some(seconds) = throttles::consume(&mut tx, key, limit).await? {
            return Ok(Request::TooOftenFromNetwork { seconds });
        }
    }
    mail_and_record(&mut tx, actor, named).await?;
    tx.commit().await?;
    Ok(Request::Taken)
}

async fn mail_and_record(conn: &mut PgConnection, actor: &Actor, named: &str) -> sqlx::Result<()> {
    let people = sqlx::query!(
        r#"SELECT m.user_id AS "user_id!", m.address AS "address!", m.is_confirmed AS "is_confirmed!"
             FROM people_named($1) p JOIN person_mailboxes m ON m.user_id = p.id ORDER BY m.user_id, m.ends_at DESC"#,
        named,
    )
    .fetch_all(&mut *conn)
    .await?;
    let ids: Vec<i64> = people.iter().map(|person| person.user_id).collect();
    let notices: Vec<_> = ids.iter().map(|&user_id| Json(Notification::PasswordForgotten { user_id })).collect();
    let confirmed: Vec<bool> = people.iter().map(|person| person.is_confirmed).collect();
    let recipients: Vec<String> = people.into_iter().map(|person| person.address).collect();
    sqlx::query!(
        "WITH person AS (SELECT * FROM unnest($7::bigint[], $8::text[], $9::jsonb[], $11::boolean[])
                             AS person (id, address, notice, is_confirmed)),
         mailed AS (
             INSERT INTO mails (recipient, notice, caused_by)
             SELECT p.address, p.notice, $10 FROM person p
              WHERE NOT EXISTS (SELECT FROM mails m WHERE m.recipient = p.address AND m.sent_at IS NULL AND m.notice = p.notice)
                AND NOT EXISTS (SELECT FROM invitations i WHERE i.user_id = p.id AND i.used_at IS NULL
                                   AND lower(coalesce(i.address, p.address)) = lower(p.address)
                                   AND i.created_at > portal_now() - $6::interval)
                AND (p.is_confirmed
                     OR NOT EXISTS (SELECT FROM mails m WHERE lower(m.recipient) = lower(p.address)
                                       AND m.notice->>'kind' = 'password_forgotten'
                                       AND m.created_at > portal_now() - interval '1 day' OFFSET $12::bigint - 1)))
         INSERT INTO audit_events (actor_id, actor, address, action, subject)
         SELECT $2, name, $4, $5, name FROM coalesce((SELECT left($1, 120) FROM person LIMIT 1), $3) AS name",
        named,
        actor.user_id,
        actor.name,
        actor.address,
        Action::PasswordLinkAsked.code(),
        PAUSE as _,
        &ids,
        &recipients,
        &notices as _,
        Cause::from(actor).key(),
        &confirmed,
        LINKS_TO_UNCONFIRMED,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Deletes links that ended more than a day ago.
pub(in crate::db) async fn sweep(pool: &PgPool) -> sqlx::Result<()> {
    sqlx::query!("DELETE FROM invitations WHERE expires_at <= portal_now() - interval '1 day'").execute(pool).await?;
    Ok(())
}
