//! Finds the person of an identity: by the provider's name for them; the first time, by the address
//! that the provider vouches for.

use std::net::IpAddr;

use sqlx::{PgConnection, PgPool};

use super::{Identity, count_all, find, insert, use_again};
use crate::{
    db::{
        audit::{self, Event},
        identity::locks::{self, ProvedIdentity},
        throttles::{self, RateLimit, Scope},
        transaction,
    },
    domain::{
        audit::{Action, Actor},
        technical_user::is_technical_login,
    },
};

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
    let mut tx = transaction::begin(pool).await?;
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
        Some(use_again(&mut tx, known.id, identity).await?)
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

/// Whether the address that the provider vouches for is that of another person than this one.
pub(in crate::db::identity) async fn names_another(
    conn: &mut PgConnection,
    user_id: i64,
    identity: &Identity<'_>,
) -> sqlx::Result<bool> {
    Ok(named(conn, identity).await?.is_ok_and(|named| named != user_id))
}

/// The person whom the address names: by login or, if it is no login, by a confirmed address.
async fn named(conn: &mut PgConnection, identity: &Identity<'_>) -> sqlx::Result<Result<i64, Unrecognized>> {
    // Not by Unicode: the Kelvin sign would become a k.
    let Some(address) = identity.address.map(str::to_ascii_lowercase) else {
        return Ok(Err(Unrecognized::WithoutAddress));
    };
    if !identity.is_address_verified {
        return Ok(Err(Unrecognized::AddressNotVerified));
    }
    let people = sqlx::query_scalar!(
        r#"SELECT u.id AS "id!" FROM users u WHERE u.login = $1 AND u.disabled_at IS NULL
            UNION SELECT u.id FROM users u
             WHERE lower(u.confirmed_address) = $1 AND u.disabled_at IS NULL AND NOT EXISTS (SELECT FROM users WHERE login = $1) LIMIT 2"#,
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
pub(in crate::db::identity) async fn comes_in(
    conn: &mut PgConnection,
    user_id: i64,
    identity: &Identity<'_>,
    rule: SecondFactorRule,
) -> sqlx::Result<bool> {
    if identity.has_second_factor || !rule.is_asked_for || locks::asks_code(&mut *conn, user_id).await? {
        return Ok(true);
    }
    // A thief of the first factor must not set up a second one for a person who always gave theirs.
    let may_set_one_up = sqlx::query_scalar!(
        r#"SELECT EXISTS (SELECT FROM structures WHERE principal_manager_id = $1)
              AND NOT EXISTS (SELECT FROM provider_identities
                               WHERE user_id = $1 AND second_factor_proved_at IS NOT NULL) AS "may!""#,
        user_id
    );
    Ok(rule.managers_set_one_up && may_set_one_up.fetch_one(conn).await?)
}

/// Sign-ins from one network that the provider did not vouch for and that are events. It takes no
/// password and no person to cause one.
const REFUSALS_OF_A_NETWORK: RateLimit = RateLimit { most: 20, minutes: 60 };

/// Records that a visitor from this address was not let in with the provider; where many of the
/// network were recorded in this hour, it stands in the log alone.
///
/// # Errors
/// Database errors.
pub async fn record_refusal(pool: &PgPool, address: IpAddr, detail: &str) -> sqlx::Result<()> {
    let mut tx = transaction::begin(pool).await?;
    for (key, limit) in throttles::network_limits(Scope::ProviderRefusal, address, REFUSALS_OF_A_NETWORK) {
        if throttles::consume(&mut tx, key, limit).await?.is_some() {
            return Ok(());
        }
    }
    let actor = Actor::unknown(address.to_string());
    let event = Event { subject: &actor.name, detail, ..Event::of(&actor, Action::SignInFailed) };
    audit::record(&mut tx, event).await?;
    tx.commit().await
}
