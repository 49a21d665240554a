//! The table `provider_identities`: who people are at the identity provider.

pub mod linking;
pub mod recognition;

use sqlx::{PgConnection, PgPool};
use time::OffsetDateTime;

use super::{locks::ProvedIdentity, mailboxes};
use crate::{
    db::audit::{self, Event},
    domain::{
        audit::{Action, Actor},
        notification::Notification,
    },
};

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

async fn use_again(conn: &mut PgConnection, id: i64, identity: &Identity<'_>) -> sqlx::Result<i64> {
    sqlx::query!(
        "UPDATE provider_identities SET last_used_at = portal_now(),
                second_factor_proved_at = CASE WHEN $2 THEN portal_now() ELSE second_factor_proved_at END WHERE id = $1",
        id,
        identity.has_second_factor,
    )
    .execute(conn)
    .await?;
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
        "INSERT INTO provider_identities AS i (user_id, issuer, subject, address, second_factor_proved_at)
         VALUES ($1, $2, $3, $4, CASE WHEN $5 THEN portal_now() END)
         ON CONFLICT (issuer, subject) DO UPDATE SET user_id = $1, address = $4, linked_at = portal_now(),
             last_used_at = portal_now(), unlinked_at = NULL, second_factor_proved_at = EXCLUDED.second_factor_proved_at
             WHERE i.unlinked_at IS NOT NULL
         RETURNING id",
        user_id,
        identity.issuer,
        identity.subject,
        address,
        identity.has_second_factor,
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

/// Ends the link of a person whose row is locked: the identity's address. `None` where they have
/// none with this number.
async fn end(conn: &mut PgConnection, user_id: i64, id: i64) -> sqlx::Result<Option<String>> {
    sqlx::query_scalar!(
        "UPDATE provider_identities SET unlinked_at = portal_now() WHERE id = $1 AND user_id = $2 AND unlinked_at IS NULL
         RETURNING address",
        id,
        user_id,
    )
    .fetch_optional(conn)
    .await
}

/// Forgets a person's identities, when a mailed link has given the account back: who had it before
/// may have linked one. The address that the provider vouches for links the owner's again.
pub(super) async fn forget(conn: &mut PgConnection, user_id: i64) -> sqlx::Result<()> {
    sqlx::query!("DELETE FROM provider_identities WHERE user_id = $1", user_id).execute(conn).await?;
    Ok(())
}

/// What an operator's act made of a person's linked identities.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EndedIdentities {
    pub ended: i64,
    /// Those of a person who has no password: they would have no way in.
    pub kept: i64,
}

/// Forgets the identities of a person whose row is locked: a stranger at a session that was left
/// open may have linked one. They stay where the person has no password.
pub(super) async fn forget_beside_password(conn: &mut PgConnection, user_id: i64) -> sqlx::Result<EndedIdentities> {
    let count = count(&mut *conn, user_id).await?;
    let has_password =
        sqlx::query_scalar!(r#"SELECT password_hash IS NOT NULL AS "has_password!" FROM users WHERE id = $1"#, user_id);
    if !has_password.fetch_one(&mut *conn).await? {
        return Ok(EndedIdentities { ended: 0, kept: count });
    }
    forget(conn, user_id).await?;
    Ok(EndedIdentities { ended: count, kept: 0 })
}

/// How many identities of a person are linked.
pub(super) async fn count(conn: &mut PgConnection, user_id: i64) -> sqlx::Result<i64> {
    let linked = list(conn, user_id).await?.len();
    Ok(i64::try_from(linked).unwrap_or(i64::MAX))
}

/// Forgets a person's identities but the one with which this session began: another session may
/// have linked one. They stay where this session began with a password that no longer counts.
pub(super) async fn forget_others(conn: &mut PgConnection, user_id: i64, session_hash: &[u8]) -> sqlx::Result<()> {
    sqlx::query!(
        "DELETE FROM provider_identities i USING sessions s JOIN users u ON u.id = s.user_id
          WHERE s.id_hash = $2 AND u.id = $1 AND i.user_id = $1 AND i.id IS DISTINCT FROM s.provider_identity_id
            AND (s.provider_identity_id IS NOT NULL OR u.password_hash IS NOT NULL)",
        user_id,
        session_hash,
    )
    .execute(conn)
    .await?;
    Ok(())
}
