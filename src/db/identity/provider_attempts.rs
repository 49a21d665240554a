//! The table `provider_attempts`: sign-ins, and acts of signed-in people, that left for the
//! identity provider. Each comes back once, in the browser that left.

use std::net::IpAddr;

use sqlx::PgPool;
use time::OffsetDateTime;

use crate::{
    db::{
        throttles::{self, Key, RateLimit, Scope, Source},
        transaction,
    },
    domain::{
        envelope::SessionSecret,
        provider_attempt::{LIFETIME, MOST_OF_A_BROWSER, Purpose},
        random::digest,
    },
};

/// Attempts that begin in one network. Each is a row for [`LIFETIME`] and costs a stranger nothing.
const ATTEMPTS_OF_A_NETWORK: RateLimit = RateLimit { most: 800, minutes: 10 };

/// The same from one address. A whole administration may stand behind it.
const ATTEMPTS_OF_AN_ADDRESS: RateLimit = RateLimit { most: 400, minutes: 10 };

/// The same of one person who is signed in, in whatever sessions, and of one known browser.
const ATTEMPTS_OF_A_PERSON: RateLimit = RateLimit { most: 100, minutes: 10 };

/// The same of all known browsers of one network.
const ATTEMPTS_OF_KNOWN_BROWSERS: RateLimit = RateLimit { most: 1_600, minutes: 10 };

/// An attempt that begins.
#[derive(Clone, Copy)]
pub struct NewAttempt<'a> {
    pub state: &'a str,
    /// Where it begins.
    pub address: IpAddr,
    /// The hash of the browser's secret.
    pub browser: &'a [u8],
    pub purpose: Purpose,
    /// The person and the session in which it begins, where it needs one.
    pub person: Option<(i64, &'a SessionSecret)>,
    /// The hash of the token of the link that is followed.
    pub invitation: Option<&'a [u8]>,
    /// The page to go to afterwards.
    pub return_to: Option<&'a str>,
    /// A form, sealed for the browser.
    pub carried: Option<&'a [u8]>,
}

/// Begins an attempt from this source; of the browser's older ones, the newest stay. Returns the
/// seconds to wait where too many began there, and then writes nothing.
///
/// # Errors
/// Database errors.
pub async fn begin(pool: &PgPool, source: &Source, new: NewAttempt<'_>) -> sqlx::Result<Option<u32>> {
    let mut tx = transaction::begin(pool).await?;
    for (key, limit) in keys(source, &new) {
        if let Some(seconds) = throttles::consume(&mut tx, key, limit).await? {
            return Ok(Some(seconds));
        }
    }
    sqlx::query!(
        "DELETE FROM provider_attempts WHERE state_hash IN (
             SELECT state_hash FROM provider_attempts WHERE browser_hash = $1 ORDER BY created_at DESC, state_hash OFFSET $2)",
        new.browser,
        MOST_OF_A_BROWSER - 1,
    )
    .execute(&mut *tx)
    .await?;
    sqlx::query!(
        "INSERT INTO provider_attempts (state_hash, browser_hash, purpose, session_hash, invitation_hash, return_to, carried)
         VALUES ($1, $2, $3, $4, $5, $6, $7)",
        digest(new.state),
        new.browser,
        new.purpose.code(),
        new.person.map(|(_, session)| session.digest()),
        new.invitation,
        new.return_to,
        new.carried,
    )
    .execute(&mut *tx)
    .await?;
    tx.commit().await?;
    Ok(None)
}

/// What counts an attempt: its person or known browser, so that neighbours hold up no person who is
/// or was signed in there, or else its address and networks. Known browsers of a network are
/// counted together, too: a person may have gathered the marks of many.
fn keys(source: &Source, new: &NewAttempt<'_>) -> Vec<(Key, RateLimit)> {
    let counted = |subject: &str| vec![(Scope::ProviderAttempt.key(subject, ""), ATTEMPTS_OF_A_PERSON)];
    match (new.person, source) {
        (Some((user_id, _)), _) => counted(&format!("person {user_id}")),
        (None, Source::KnownBrowser(number)) => {
            let of_network =
                throttles::network_limits(Scope::KnownProviderAttempt, new.address, ATTEMPTS_OF_KNOWN_BROWSERS);
            counted(number).into_iter().chain(of_network).collect()
        }
        (None, Source::Address(address)) => {
            throttles::address_limits(Scope::ProviderAttempt, *address, ATTEMPTS_OF_AN_ADDRESS, ATTEMPTS_OF_A_NETWORK)
        }
    }
}

/// An attempt that has come back.
#[derive(Clone, Debug)]
pub struct Attempt {
    pub purpose: Purpose,
    /// See [`NewAttempt::session`]: its hash.
    pub session_hash: Option<Vec<u8>>,
    pub invitation_hash: Option<Vec<u8>>,
    pub return_to: Option<String>,
    pub carried: Option<Vec<u8>>,
    pub began_at: OffsetDateTime,
    /// The database's time.
    pub now: OffsetDateTime,
}

/// Takes an attempt out, by what came back and the browser that brings it. `None` where there is
/// none: it came back already, is too old, or began in another browser, which then still has it.
///
/// # Errors
/// Database errors.
pub async fn take(pool: &PgPool, state: &str, browser: &[u8]) -> sqlx::Result<Option<Attempt>> {
    let row = sqlx::query!(
        r#"DELETE FROM provider_attempts
            WHERE state_hash = $1 AND browser_hash = $2 AND created_at > portal_now() - $3::interval
        RETURNING purpose, session_hash, invitation_hash, return_to, carried, created_at, portal_now() AS "now!""#,
        digest(state),
        browser,
        LIFETIME as _,
    )
    .fetch_optional(pool)
    .await?;
    Ok(row.and_then(|row| {
        Some(Attempt {
            purpose: Purpose::parse(&row.purpose)?,
            session_hash: row.session_hash,
            invitation_hash: row.invitation_hash,
            return_to: row.return_to,
            carried: row.carried,
            began_at: row.created_at,
            now: row.now,
        })
    }))
}

/// Deletes attempts that are too old.
pub(in crate::db) async fn sweep(pool: &PgPool) -> sqlx::Result<()> {
    sqlx::query!("DELETE FROM provider_attempts WHERE created_at <= portal_now() - $1::interval", LIFETIME as _)
        .execute(pool)
        .await?;
    Ok(())
}
