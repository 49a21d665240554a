//! One-time links by which a person chooses a password: the first one, or another where they forgot
//! it.

use std::time::Duration;

use sqlx::{PgConnection, PgPool, types::Json};
use time::OffsetDateTime;

use super::{locks, passwords, registration, sessions};
use crate::{
    db::{
        audit::{self, Event},
        outbox::Cause,
        throttles::{self, Begun, RateLimit, Scope, Source},
    },
    domain::{
        audit::{Action, Actor},
        known_browser::Epoch,
        link_lifetime,
        network::{Breadth, networks_of},
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
fn requests_of_a_network(breadth: Breadth) -> RateLimit {
    let most = match breadth {
        Breadth::Narrow => 100,
        Breadth::Wide => 200,
        Breadth::Widest => 400,
    };
    RateLimit { most, minutes: 10 }
}

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
    /// See [`passwords::known_words`].
    pub known_words: Vec<String>,
}

/// Makes a link, valid for [`link_lifetime::PASSWORD_CHOICE`]; only the hash of its token is
/// stored. The person's older links stay: otherwise whoever asks for another one would end the link
/// that the person has just been mailed. All end when one is used.
///
/// # Errors
/// Database errors.
pub async fn create(conn: &mut PgConnection, user_id: i64, token_hash: &[u8]) -> sqlx::Result<()> {
    sqlx::query!(
        "INSERT INTO invitations (token_hash, user_id, expires_at) VALUES ($1, $2, portal_now() + $3::interval)",
        token_hash,
        user_id,
        link_lifetime::PASSWORD_CHOICE as _,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// The person to whom the mail with a link goes.
#[derive(Clone, Debug)]
pub struct Guest {
    pub login: String,
    /// The address that is confirmed now, whatever it was when the link was asked for; for a person
    /// who never confirmed one, that of their invitation.
    pub address: String,
    pub first_name: String,
    pub last_name: String,
}

/// The person with this number.
///
/// # Errors
/// Database errors.
pub async fn find_guest(conn: &mut PgConnection, user_id: i64) -> sqlx::Result<Option<Guest>> {
    sqlx::query_as!(
        Guest,
        r#"SELECT login, coalesce(confirmed_address, contact_address) AS "address!", first_name, last_name FROM users WHERE id = $1"#,
        user_id,
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
        r#"SELECT u.id AS user_id, u.login, u.first_name, u.last_name, u.password_hash IS NOT NULL AS "has_password!", i.expires_at
           FROM invitations i JOIN users u ON u.id = i.user_id
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
        known_words: passwords::known_words(&mut *conn, row.user_id).await?,
    }))
}

/// Uses the link up and replaces the password; ends the person's sessions, other links and marks of
/// known browsers, and mails them. Returns the new epoch of known browsers; `None` where the link was
/// used or ended meanwhile.
///
/// # Errors
/// Database errors.
pub async fn accept(
    pool: &PgPool,
    actor: &Actor,
    token_hash: &[u8],
    hash: &PasswordHash,
) -> sqlx::Result<Option<Epoch>> {
    let mut tx = pool.begin().await?;
    let user_id = sqlx::query_scalar!("SELECT user_id FROM invitations WHERE token_hash = $1", token_hash)
        .fetch_optional(&mut *tx)
        .await?;
    let Some(user_id) = user_id else { return Ok(None) };
    locks::person(&mut tx, user_id).await?;
    let used = sqlx::query!(
        "UPDATE invitations SET used_at = portal_now()
          WHERE token_hash = $1 AND used_at IS NULL AND expires_at > portal_now()",
        token_hash,
    )
    .execute(&mut *tx)
    .await?;
    if used.rows_affected() == 0 {
        return Ok(None);
    }
    passwords::replace(&mut tx, actor, user_id, hash).await?;
    registration::confirm_address(&mut tx, user_id).await?;
    end_links(&mut tx, user_id).await?;
    let epoch = sessions::end_all_but(&mut tx, user_id, None).await?;
    audit::record(&mut tx, Event::of(actor, Action::PasswordChosen)).await?;
    tx.commit().await?;
    Ok(Some(epoch))
}

/// Ends the links that a person has been mailed and has not used.
pub(super) async fn end_links(conn: &mut PgConnection, user_id: i64) -> sqlx::Result<()> {
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

/// Takes a request for a link from a person who forgot their password and names themselves by
/// login, or by a contact address that is confirmed and no login. Where a person is known by it,
/// they are mailed a link, unless one is on its way already. The event names what was typed where a
/// person is known by it, and `actor` otherwise. The same statements and one event for any name, so
/// that the answer takes as long. A refused request writes nothing.
///
/// # Errors
/// Database errors.
pub async fn request(pool: &PgPool, actor: &Actor, named: &str, source: &Source) -> sqlx::Result<Request> {
    // A known browser counts by itself, and names its own person.
    let networks = match source {
        Source::Address(address) => networks_of(*address),
        Source::KnownBrowser(_) => Vec::new(),
    };
    let keys = networks.into_iter().map(|network| {
        let limit = requests_of_a_network(network.breadth);
        (Scope::PasswordLink.key("", &network.name).with_breadth(network.breadth), limit)
    });
    let keys: Vec<_> = keys.collect();
    let mut tx = pool.begin().await?;
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
        r#"SELECT id, coalesce(confirmed_address, contact_address) AS "address!" FROM users u
            WHERE login = $1 OR lower(confirmed_address) = $1 AND NOT EXISTS (SELECT FROM users WHERE login = $1)"#,
        named,
    )
    .fetch_all(&mut *conn)
    .await?;
    let ids: Vec<i64> = people.iter().map(|person| person.id).collect();
    let notices: Vec<_> = ids.iter().map(|&user_id| Json(Notification::PasswordForgotten { user_id })).collect();
    let recipients: Vec<String> = people.into_iter().map(|person| person.address).collect();
    sqlx::query!(
        "WITH person AS (SELECT * FROM unnest($7::bigint[], $8::text[], $9::jsonb[]) AS person (id, address, notice)),
         mailed AS (
             INSERT INTO mails (recipient, notice, caused_by)
             SELECT p.address, p.notice, $10 FROM person p
              WHERE NOT EXISTS (SELECT FROM mails m WHERE m.recipient = p.address AND m.sent_at IS NULL AND m.notice = p.notice)
                AND NOT EXISTS (SELECT FROM invitations i WHERE i.user_id = p.id AND i.used_at IS NULL
                                   AND i.expires_at > portal_now() + $6::interval))
         INSERT INTO audit_events (actor_id, actor, address, action, subject)
         SELECT $2, name, $4, $5, name FROM coalesce((SELECT left($1, 120) FROM person LIMIT 1), $3) AS name",
        named,
        actor.user_id,
        actor.name,
        actor.address,
        Action::PasswordLinkAsked.code(),
        link_lifetime::PASSWORD_CHOICE.saturating_sub(PAUSE) as _,
        &ids,
        &recipients,
        &notices as _,
        Cause::from(actor).key(),
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
