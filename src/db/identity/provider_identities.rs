//! The table `provider_identities`: who people are at the identity provider. A person is found by
//! the provider's name for them; the first time, by the address that the provider vouches for.

use sqlx::{PgConnection, PgPool};
use time::OffsetDateTime;

use super::{
    locks::{self, ProvedIdentity},
    mailboxes, sessions,
};
use crate::{
    db::audit::{self, Event, frequent},
    domain::{
        audit::{Action, Actor},
        envelope::SessionSecret,
        notification::Notification,
        technical_user::is_technical_login,
    },
};

/// The identities that one person may have.
const MOST_OF_A_PERSON: i64 = 10;

/// What the provider vouches for.
#[derive(Clone, Copy, Debug)]
pub struct Identity<'a> {
    pub issuer: &'a str,
    pub subject: &'a str,
    /// The address; `None` where the provider names none.
    pub address: Option<&'a str>,
    /// Whether the provider does not deny that it has verified the address.
    pub is_address_verified: bool,
    pub has_second_factor: bool,
    /// When the person authenticated there.
    pub authenticated_at: OffsetDateTime,
    /// The provider's name, for the mail.
    pub label: &'a str,
}

impl Identity<'_> {
    /// As the proof of a person to whom it is linked. Its token is still to be sealed.
    pub(super) fn proved(&self, user_id: i64, identity_id: i64) -> ProvedIdentity {
        ProvedIdentity {
            user_id,
            identity_id,
            has_second_factor: self.has_second_factor,
            authenticated_at: Some(self.authenticated_at),
            id_token: Vec::new(),
        }
    }
}

/// A person who was recognised.
#[derive(Clone, Debug)]
pub struct Recognized {
    pub login: String,
    pub proved: ProvedIdentity,
}

/// Why a person whom the provider vouches for does not get in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unrecognized {
    /// The address is a technical user's login.
    TechnicalAccount,
    /// The provider names no address, and the identity is linked to no person.
    WithoutAddress,
    AddressNotVerified,
    /// No person has this login or confirmed address, or they are disabled.
    NoPerson,
    /// Several people share the confirmed address.
    SeveralPeople,
    /// The person ended the link.
    Unlinked,
    /// The person has, or had, another identity there.
    LinkedOtherwise,
    /// The provider proved no second factor, and the portal asks for none of its own.
    SecondFactorMissing,
}

/// Which second factor a person without a proved one at the provider must have here.
#[derive(Clone, Copy, Debug)]
pub struct SecondFactorRule {
    /// Whether the provider is asked for one, so that a person must have one, there or here.
    pub is_asked_for: bool,
    /// Whether principal managers without one are led to set one up, and may therefore come in.
    pub managers_set_one_up: bool,
}

/// Finds the person of an identity, and links it at first to the person whose login or confirmed
/// address the provider vouches for: with an event, and a mail to their mailboxes.
///
/// # Errors
/// Database errors.
pub async fn recognize(
    pool: &PgPool,
    address: &str,
    identity: &Identity<'_>,
    rule: SecondFactorRule,
) -> sqlx::Result<Result<Recognized, Unrecognized>> {
    if identity.address.is_some_and(is_technical_login) {
        return Ok(Err(Unrecognized::TechnicalAccount));
    }
    let mut tx = pool.begin().await?;
    let known = find(&mut tx, identity).await?;
    let user_id = match &known {
        Some(known) if known.is_unlinked => return Ok(Err(Unrecognized::Unlinked)),
        Some(known) => known.user_id,
        None => match named(&mut tx, identity).await? {
            Ok(user_id) => user_id,
            Err(reason) => return Ok(Err(reason)),
        },
    };
    let Some(login) = lock_enabled(&mut tx, user_id).await? else { return Ok(Err(Unrecognized::NoPerson)) };
    if !comes_in(&mut tx, user_id, identity, rule).await? {
        return Ok(Err(Unrecognized::SecondFactorMissing));
    }
    let identity_id = if let Some(known) = known {
        Some(use_again(&mut tx, known.id).await?)
    } else if count_all(&mut tx, user_id, identity.issuer).await? > 0 {
        None
    } else {
        let actor = Actor { user_id: Some(user_id), name: login.clone(), address: address.to_owned() };
        // None where another tab of the person linked it at this moment, or another person did.
        insert(&mut tx, &actor, user_id, identity).await?
    };
    let Some(identity_id) = identity_id else { return Ok(Err(Unrecognized::LinkedOtherwise)) };
    tx.commit().await?;
    Ok(Ok(Recognized { login, proved: identity.proved(user_id, identity_id) }))
}

/// The identity of a person within their session, for « Confirmez votre identité »; `None` where it
/// is not, or no longer, linked to them.
///
/// # Errors
/// Database errors.
pub async fn own(pool: &PgPool, user_id: i64, identity: &Identity<'_>) -> sqlx::Result<Option<ProvedIdentity>> {
    let mut conn = pool.acquire().await?;
    let known = find(&mut conn, identity).await?.filter(|known| known.user_id == user_id && !known.is_unlinked);
    Ok(known.map(|known| identity.proved(user_id, known.id)))
}

struct Known {
    id: i64,
    user_id: i64,
    is_unlinked: bool,
}

async fn find(conn: &mut PgConnection, identity: &Identity<'_>) -> sqlx::Result<Option<Known>> {
    sqlx::query_as!(
        Known,
        r#"SELECT id, user_id, unlinked_at IS NOT NULL AS "is_unlinked!" FROM provider_identities
            WHERE issuer = $1 AND subject = $2"#,
        identity.issuer,
        identity.subject,
    )
    .fetch_optional(conn)
    .await
}

/// The person whom the address names: by login or, if it is no login, by a confirmed address.
async fn named(conn: &mut PgConnection, identity: &Identity<'_>) -> sqlx::Result<Result<i64, Unrecognized>> {
    let Some(address) = identity.address.map(str::to_lowercase) else { return Ok(Err(Unrecognized::WithoutAddress)) };
    if !identity.is_address_verified {
        return Ok(Err(Unrecognized::AddressNotVerified));
    }
    let people = sqlx::query_scalar!(
        r#"SELECT u.id AS "id!" FROM users u WHERE u.login = $1
            UNION SELECT u.id FROM users u
             WHERE lower(u.confirmed_address) = $1 AND NOT EXISTS (SELECT FROM users WHERE login = $1) LIMIT 2"#,
        address,
    )
    .fetch_all(conn)
    .await?;
    Ok(match people[..] {
        [] => Err(Unrecognized::NoPerson),
        [one] => Ok(one),
        _ => Err(Unrecognized::SeveralPeople),
    })
}

/// Locks the row of a person who is not disabled: their login.
async fn lock_enabled(conn: &mut PgConnection, user_id: i64) -> sqlx::Result<Option<String>> {
    locks::person(&mut *conn, user_id).await?;
    sqlx::query_scalar!("SELECT login FROM users WHERE id = $1 AND disabled_at IS NULL", user_id)
        .fetch_optional(conn)
        .await
}

/// Whether a person whose row is locked may come in with what the provider says of their second
/// factor: it was given there, or is asked for here, or they are led to set one up.
pub(super) async fn comes_in(
    conn: &mut PgConnection,
    user_id: i64,
    identity: &Identity<'_>,
    rule: SecondFactorRule,
) -> sqlx::Result<bool> {
    if identity.has_second_factor || !rule.is_asked_for || locks::asks_code(&mut *conn, user_id).await? {
        return Ok(true);
    }
    let manages = sqlx::query_scalar!(
        r#"SELECT EXISTS (SELECT FROM structures WHERE principal_manager_id = $1) AS "manages!""#,
        user_id
    );
    Ok(rule.managers_set_one_up && manages.fetch_one(conn).await?)
}

/// How many identities a person has, or had, at this provider.
async fn count_all(conn: &mut PgConnection, user_id: i64, issuer: &str) -> sqlx::Result<i64> {
    sqlx::query_scalar!(
        r#"SELECT count(*) AS "count!" FROM provider_identities WHERE user_id = $1 AND issuer = $2"#,
        user_id,
        issuer,
    )
    .fetch_one(conn)
    .await
}

async fn use_again(conn: &mut PgConnection, id: i64) -> sqlx::Result<i64> {
    sqlx::query!("UPDATE provider_identities SET last_used_at = portal_now() WHERE id = $1", id).execute(conn).await?;
    Ok(id)
}

/// Links the identity to a person whose row is locked; `None` where it is linked to a person
/// already. One whose link ended is linked anew.
async fn insert(
    conn: &mut PgConnection,
    actor: &Actor,
    user_id: i64,
    identity: &Identity<'_>,
) -> sqlx::Result<Option<i64>> {
    let address: String = identity.address.unwrap_or_default().chars().take(254).collect();
    let id = sqlx::query_scalar!(
        "INSERT INTO provider_identities AS i (user_id, issuer, subject, address) VALUES ($1, $2, $3, $4)
         ON CONFLICT (issuer, subject) DO UPDATE SET user_id = $1, address = $4, linked_at = portal_now(),
             last_used_at = portal_now(), unlinked_at = NULL WHERE i.unlinked_at IS NOT NULL
         RETURNING id",
        user_id,
        identity.issuer,
        identity.subject,
        address,
    )
    .fetch_optional(&mut *conn)
    .await?;
    if id.is_some() {
        announce(conn, actor, user_id, Change { is_linked: true, label: identity.label, address: &address }).await?;
    }
    Ok(id)
}

/// A change of what a person signs in with.
struct Change<'a> {
    is_linked: bool,
    label: &'a str,
    address: &'a str,
}

/// Records the change, and mails the person.
async fn announce(conn: &mut PgConnection, actor: &Actor, user_id: i64, change: Change<'_>) -> sqlx::Result<()> {
    let action = if change.is_linked { Action::IdentityLinked } else { Action::IdentityUnlinked };
    let detail = format!("{} : {}", change.label, change.address);
    audit::record(&mut *conn, Event { subject: &actor.name, detail: &detail, ..Event::of(actor, action) }).await?;
    let person = sqlx::query!(r#"SELECT login, portal_now() AS "at!" FROM users WHERE id = $1"#, user_id)
        .fetch_one(&mut *conn)
        .await?;
    let notice = Notification::ProviderIdentityChanged {
        login: person.login,
        provider: change.label.to_owned(),
        identity: change.address.to_owned(),
        is_linked: change.is_linked,
        at: person.at,
    };
    mailboxes::tell(conn, actor, user_id, &notice).await
}

/// Records that a person whom the provider vouched for did not get in.
///
/// # Errors
/// Database errors.
pub async fn record_refusal(pool: &PgPool, actor: &Actor, detail: &str) -> sqlx::Result<()> {
    let mut tx = pool.begin().await?;
    let event = Event { subject: &actor.name, detail, ..Event::of(actor, Action::SignInFailed) };
    frequent::record_or_count(&mut tx, event).await?;
    tx.commit().await
}

/// What became of a link that a person asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Linking {
    Linked,
    /// It is linked to this person already.
    AlreadyOwn,
    /// It is linked to another person.
    AnotherPersons,
    TooMany,
    /// The session ended meanwhile.
    SessionEnded,
}

/// Links an identity to a person within their session.
///
/// # Errors
/// Database errors.
pub async fn link(
    pool: &PgPool,
    actor: &Actor,
    user_id: i64,
    session: &SessionSecret,
    identity: &Identity<'_>,
) -> sqlx::Result<Linking> {
    let mut tx = pool.begin().await?;
    if !locks::person_in_session(&mut tx, user_id, session).await? {
        return Ok(Linking::SessionEnded);
    }
    let linked = link_locked(&mut tx, actor, user_id, identity).await?;
    tx.commit().await?;
    Ok(linked.map_or_else(|refused| refused, |_| Linking::Linked))
}

/// Links an identity to a person whose row is locked: its number.
pub(super) async fn link_locked(
    conn: &mut PgConnection,
    actor: &Actor,
    user_id: i64,
    identity: &Identity<'_>,
) -> sqlx::Result<Result<i64, Linking>> {
    match find(&mut *conn, identity).await? {
        Some(known) if known.is_unlinked => {}
        Some(known) if known.user_id == user_id => return Ok(Err(Linking::AlreadyOwn)),
        Some(_) => return Ok(Err(Linking::AnotherPersons)),
        None => {}
    }
    if count_all(&mut *conn, user_id, identity.issuer).await? >= MOST_OF_A_PERSON {
        return Ok(Err(Linking::TooMany));
    }
    Ok(insert(conn, actor, user_id, identity).await?.ok_or(Linking::AnotherPersons))
}

/// An identity as « Mon compte » lists it.
#[derive(Clone, Debug)]
pub struct LinkedIdentity {
    pub id: i64,
    pub address: String,
    pub linked_at: OffsetDateTime,
    pub last_used_at: OffsetDateTime,
}

/// The identities of a person, the first one first.
pub(super) async fn list(conn: &mut PgConnection, user_id: i64) -> sqlx::Result<Vec<LinkedIdentity>> {
    sqlx::query_as!(
        LinkedIdentity,
        "SELECT id, address, linked_at, last_used_at FROM provider_identities
          WHERE user_id = $1 AND unlinked_at IS NULL ORDER BY id",
        user_id,
    )
    .fetch_all(conn)
    .await
}

/// What became of the end of a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unlinking {
    Unlinked,
    /// There is none with this number, or the session ended.
    NotFound,
    /// Without it, the person could not sign in any more.
    OnlyWayIn,
}

/// Ends a link of a person within their session, and the other sessions that began by it, with an
/// event and a mail.
///
/// # Errors
/// Database errors.
pub async fn unlink(
    pool: &PgPool,
    actor: &Actor,
    user_id: i64,
    session: &SessionSecret,
    id: i64,
    ways: WaysIn<'_>,
) -> sqlx::Result<Unlinking> {
    let mut tx = pool.begin().await?;
    if !locks::person_in_session(&mut tx, user_id, session).await? {
        return Ok(Unlinking::NotFound);
    }
    let has_another_way = sqlx::query_scalar!(
        r#"SELECT $3 AND password_hash IS NOT NULL
                  OR EXISTS (SELECT FROM provider_identities WHERE user_id = $1 AND id <> $2 AND unlinked_at IS NULL) AS "is!"
             FROM users WHERE id = $1"#,
        user_id,
        id,
        ways.passwords,
    )
    .fetch_one(&mut *tx)
    .await?;
    let address = sqlx::query_scalar!(
        "UPDATE provider_identities SET unlinked_at = portal_now() WHERE id = $1 AND user_id = $2 AND unlinked_at IS NULL
         RETURNING address",
        id,
        user_id,
    )
    .fetch_optional(&mut *tx)
    .await?;
    let Some(address) = address else { return Ok(Unlinking::NotFound) };
    if !has_another_way {
        return Ok(Unlinking::OnlyWayIn);
    }
    sessions::end_of_identity(&mut tx, id, session).await?;
    announce(&mut tx, actor, user_id, Change { is_linked: false, label: ways.label, address: &address }).await?;
    tx.commit().await?;
    Ok(Unlinking::Unlinked)
}

/// How people can sign in, apart from an identity.
#[derive(Clone, Copy, Debug)]
pub struct WaysIn<'a> {
    pub passwords: bool,
    /// The provider's name, for the mail.
    pub label: &'a str,
}

/// Forgets a person's identities, when a mailed link has given the account back: who had it before
/// may have linked one. The address that the provider vouches for links the owner's again.
pub(super) async fn forget(conn: &mut PgConnection, user_id: i64) -> sqlx::Result<()> {
    sqlx::query!("DELETE FROM provider_identities WHERE user_id = $1", user_id).execute(conn).await?;
    Ok(())
}
