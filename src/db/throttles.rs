//! Throttles attempts to guess and limits the rate of operations. The table is shared by all
//! instances.
//!
//! An attempt is counted as failed before it is judged, so that parallel attempts are throttled
//! like sequential ones: [`begin`] counts it, [`succeed`] and [`give_back`] take the count back.

use std::net::IpAddr;

use data_encoding::HEXLOWER;
use sqlx::{PgConnection, PgExecutor, PgPool};

use crate::db::transaction;
use crate::domain::{
    network::{Breadth, Network, networks_of},
    random::digest,
};

/// What is throttled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// A person's sign-in to the portal, by [`secret_bucket`].
    SignIn,
    /// The same from a browser in which the person has signed in before, by the browser's number;
    /// and from all such browsers of the person together.
    KnownBrowser,
    /// The password of a signed-in person, by session.
    OwnPassword,
    /// The second factor of a person whose password was right. Counted over all networks; a known
    /// browser and a session of the person count by themselves, known browsers together, too.
    SecondFactor,
    /// Wrong codes after the right password, from wherever: each counts.
    WrongCode,
    /// New recovery codes of a person: each counts.
    RecoveryCodes,
    /// Set-ups of a second factor that a person begins: each counts.
    SecondFactorSetup,
    /// A person's new calendar links: each counts.
    CalendarLink,
    /// Changes of a person's own password: each counts.
    PasswordChange,
    /// Requests of a link for a forgotten password. Each counts as a failure: by login and network,
    /// and by network alone.
    PasswordLink,
    /// Sign-ins that leave for the identity provider: each counts.
    ProviderAttempt,
    /// The same from all known browsers of a network.
    KnownProviderAttempt,
    /// Sign-ins that the identity provider did not vouch for, by network: each is an event.
    ProviderRefusal,
    /// Requests for a membership: each withdrawal counts.
    MembershipRequest,
    /// Mails to other people that a manager causes: each counts.
    MemberMail,
    /// Invitations of one person by one manager: each counts.
    Invitation,
    /// Changes of a person's own contact address, which mail the old and the new one: each counts.
    ContactAddress,
    /// Labels of technical users that a manager changes: each counts.
    LabelChange,
    /// Edits of structures' cards by a manager: each counts.
    CardEdit,
    /// A technical user's password at the API, by [`bucket`].
    Api,
    /// A service's secret, by [`bucket`].
    Service,
}

/// What is counted together: attempts on one subject from one network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    scope: Scope,
    breadth: Breadth,
    /// The digest of a login, for example. Where all of a network count together, the login is
    /// empty.
    subject: Vec<u8>,
    /// Empty where the subject is counted over all networks.
    network: String,
}

impl Scope {
    /// The key of a subject and a network in this scope.
    #[must_use]
    pub fn key(self, subject: &str, network: &str) -> Key {
        Key { scope: self, breadth: Breadth::Narrow, subject: digest(subject), network: network.to_owned() }
    }

    fn code(self) -> &'static str {
        match self {
            Self::SignIn => "SIGN_IN",
            Self::KnownBrowser => "KNOWN_BROWSER",
            Self::OwnPassword => "OWN_PASSWORD",
            Self::SecondFactor => "SECOND_FACTOR",
            Self::WrongCode => "WRONG_CODE",
            Self::RecoveryCodes => "RECOVERY_CODES",
            Self::SecondFactorSetup => "SECOND_FACTOR_SETUP",
            Self::CalendarLink => "CALENDAR_LINK",
            Self::PasswordChange => "PASSWORD_CHANGE",
            Self::PasswordLink => "PASSWORD_LINK",
            Self::ProviderAttempt => "PROVIDER_ATTEMPT",
            Self::KnownProviderAttempt => "KNOWN_PROVIDER_ATTEMPT",
            Self::ProviderRefusal => "PROVIDER_REFUSAL",
            Self::MembershipRequest => "MEMBERSHIP_REQUEST",
            Self::MemberMail => "MEMBER_MAIL",
            Self::Invitation => "INVITATION",
            Self::ContactAddress => "CONTACT_ADDRESS",
            Self::LabelChange => "LABEL_CHANGE",
            Self::CardEdit => "CARD_EDIT",
            Self::Api => "API",
            Self::Service => "SERVICE",
        }
    }
}

impl Key {
    /// The same in a network of this breadth, which allows more failures.
    #[must_use]
    pub fn with_breadth(self, breadth: Breadth) -> Self {
        Self { breadth, ..self }
    }

    fn scope(&self) -> String {
        let suffix = match self.breadth {
            Breadth::Narrow => "",
            Breadth::Wide => "/56",
            Breadth::Widest => "/48",
        };
        format!("{}{suffix}", self.scope.code())
    }

    /// Failures without a delay: people mistype, and a wider network has more people.
    fn free_failures(&self) -> i32 {
        match self.breadth {
            Breadth::Narrow => 4,
            Breadth::Wide => 16,
            Breadth::Widest => 64,
        }
    }
}

/// Where attempts come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A client of which no more is known.
    Address(IpAddr),
    /// A browser in which the person that is named has signed in before, or any person where none
    /// is named, by its number. What others do in its network does not count for it.
    KnownBrowser(String),
}

impl Source {
    /// The keys of attempts to sign in with this login, narrowest first. `secret` is the hash of
    /// its password, so that a new password begins new counts; for a login without one, another
    /// secret of the login: if its keys could be computed, they would show that it has none.
    #[must_use]
    pub fn sign_in_keys(&self, login: &str, secret: &str) -> Vec<Key> {
        let subject = format!("{login} {secret}");
        match self {
            Self::KnownBrowser(number) => keys_of_browser(number, |place| Scope::KnownBrowser.key(&subject, place)),
            Self::Address(address) => {
                keys_of(*address, |network| Scope::SignIn.key(&secret_bucket(&subject, network), ""))
            }
        }
    }

    /// The keys of requests of a link for the person that is named so.
    #[must_use]
    pub fn link_keys(&self, named: &str) -> Vec<Key> {
        match self {
            Self::KnownBrowser(number) => keys_of_browser(number, |place| Scope::PasswordLink.key(named, place)),
            Self::Address(address) => keys_of(*address, |network| Scope::PasswordLink.key(named, network)),
        }
    }
}

/// The keys of wrong passwords of a technical user from an address.
#[must_use]
pub fn api_keys(login: &str, address: IpAddr) -> Vec<Key> {
    keys_of(address, |network| Scope::Api.key(&bucket(login, network), ""))
}

/// The key of a known browser, and that of all known browsers of the person together. Whoever has a
/// person's password can have many browsers marked; those count like the networks of one `/48`.
pub fn keys_of_browser(number: &str, key: impl Fn(&str) -> Key) -> Vec<Key> {
    vec![key(number), key("known browsers").with_breadth(Breadth::Widest)]
}

/// The keys of wrong secrets of a service from an address.
#[must_use]
pub fn service_keys(client_id: &str, address: IpAddr) -> Vec<Key> {
    keys_of(address, |network| Scope::Service.key(&bucket(client_id, network), ""))
}

/// A key for each network of an address, narrowest first.
pub fn keys_of(address: IpAddr, key: impl Fn(&str) -> Key) -> Vec<Key> {
    networks_of(address).into_iter().map(|network| key(&network.name).with_breadth(network.breadth)).collect()
}

/// One of 65,536 subjects, for a login and a network that a caller chooses: so the number of rows
/// is bounded. Logins and networks with the same subject share its delay.
#[must_use]
pub fn bucket(login: &str, network: &str) -> String {
    HEXLOWER.encode(&digest(format!("{network} {login}"))[..2])
}

/// One of 262,144 subjects, where a shared delay must not be caused on purpose. `secret` holds the
/// salted hash of a person's password, or what stands for it, so that others cannot compute which
/// logins and networks share a subject; to hit it blindly takes more failures an hour than are
/// judged.
#[must_use]
pub fn secret_bucket(secret: &str, network: &str) -> String {
    let digest = digest(format!("{network} {secret}"));
    HEXLOWER.encode(&[digest[0], digest[1], digest[2] & 0b1100_0000])
}

/// Seconds until the next attempt is allowed; `None` where one is allowed now.
///
/// # Errors
/// Database errors.
pub async fn wait(executor: impl PgExecutor<'_>, key: &Key) -> sqlx::Result<Option<u32>> {
    let seconds = sqlx::query_scalar!(
        r#"SELECT ceil(extract(epoch FROM blocked_until - portal_now()))::int AS "seconds!" FROM throttles
            WHERE scope = $1 AND subject_hash = $2 AND network = $3 AND blocked_until > portal_now()"#,
        key.scope(),
        key.subject,
        key.network,
    )
    .fetch_optional(executor)
    .await?;
    Ok(seconds.and_then(|seconds| u32::try_from(seconds).ok()))
}

/// An attempt that is counted as failed in each of these keys, until it is found to be right.
#[derive(Clone, Debug, Default)]
#[must_use]
pub struct Counted(Vec<Key>);

/// What became of the start of an attempt.
#[derive(Clone, Debug)]
pub enum Begun {
    /// It may be judged.
    Counted(Counted),
    /// Too many failed: seconds to wait. Nothing was counted.
    Wait(u32),
}

/// Counts an attempt as failed before it is judged, in all of the keys or, where one of them must
/// wait, in none.
///
/// # Errors
/// Database errors.
pub async fn begin(conn: &mut PgConnection, keys: Vec<Key>) -> sqlx::Result<Begun> {
    // Before any lock: otherwise a flood of attempts that must wait would queue for the locks, each
    // with a connection.
    if let Some(seconds) = longest_wait(conn, &keys).await? {
        return Ok(Begun::Wait(seconds));
    }
    for key in &keys {
        lock(conn, key).await?;
    }
    if let Some(seconds) = longest_wait(conn, &keys).await? {
        return Ok(Begun::Wait(seconds));
    }
    for key in &keys {
        fail(&mut *conn, key).await?;
    }
    Ok(Begun::Counted(Counted(keys)))
}

async fn longest_wait(conn: &mut PgConnection, keys: &[Key]) -> sqlx::Result<Option<u32>> {
    let mut longest = None;
    for key in keys {
        longest = longest.max(wait(&mut *conn, key).await?);
    }
    Ok(longest)
}

/// The same in a transaction of its own.
///
/// # Errors
/// Database errors.
pub async fn begin_alone(pool: &PgPool, keys: Vec<Key>) -> sqlx::Result<Begun> {
    let mut tx = transaction::begin(pool).await?;
    let begun = begin(&mut tx, keys).await?;
    tx.commit().await?;
    Ok(begun)
}

/// After an attempt that was right: resets the count of the narrowest key, and takes this attempt
/// back from those of wider networks, in which others may have failed.
///
/// # Errors
/// Database errors.
pub async fn succeed(conn: &mut PgConnection, counted: &Counted) -> sqlx::Result<()> {
    let Some((narrowest, wider)) = counted.0.split_first() else { return Ok(()) };
    reset(conn, narrowest).await?;
    for key in wider {
        uncount(conn, key).await?;
    }
    Ok(())
}

/// After an attempt that could not be judged: takes it back.
///
/// # Errors
/// Database errors.
pub async fn give_back(pool: &PgPool, counted: &Counted) -> sqlx::Result<()> {
    let mut tx = transaction::begin(pool).await?;
    for key in &counted.0 {
        uncount(&mut tx, key).await?;
    }
    tx.commit().await
}

/// Takes one failure back, and the delay that it caused.
async fn uncount(conn: &mut PgConnection, key: &Key) -> sqlx::Result<()> {
    sqlx::query!(
        "WITH last AS (DELETE FROM throttles WHERE scope = $1 AND subject_hash = $2 AND network = $3 AND failures <= 1)
         UPDATE throttles SET failures = failures - 1, blocked_until = NULL
          WHERE scope = $1 AND subject_hash = $2 AND network = $3 AND failures > 1",
        key.scope(),
        key.subject,
        key.network,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Serialises transactions on the same key, with an advisory lock: a row that does not exist yet
/// cannot be locked.
async fn lock(conn: &mut PgConnection, key: &Key) -> sqlx::Result<()> {
    let name = format!("{} {} {}", key.scope(), HEXLOWER.encode(&key.subject), key.network);
    sqlx::query!("SELECT pg_advisory_xact_lock(hashtextextended($1, 0))", name).execute(conn).await?;
    Ok(())
}

/// The operations that are allowed in a row. `minutes` is both the pause after which the count
/// starts again and the wait once the limit is reached.
#[derive(Clone, Copy, Debug)]
pub struct RateLimit {
    /// Operations in a row.
    pub most: i32,
    /// The pause, and the wait.
    pub minutes: i32,
}

/// The limits of the networks of an address, narrowest first: each allows twice as much as the one
/// in it.
#[must_use]
pub fn network_limits(scope: Scope, address: IpAddr, narrowest: RateLimit) -> Vec<(Key, RateLimit)> {
    let of_network = |network: Network| {
        let times = match network.breadth {
            Breadth::Narrow => 1,
            Breadth::Wide => 2,
            Breadth::Widest => 4,
        };
        let limit = RateLimit { most: narrowest.most * times, ..narrowest };
        (scope.key("", &network.name).with_breadth(network.breadth), limit)
    };
    networks_of(address).into_iter().map(of_network).collect()
}

/// The same after a limit of the address alone, of IPv4: a neighbour who floods leaves the network
/// to others. In IPv6 the narrowest network is one subscriber's.
#[must_use]
pub fn address_limits(scope: Scope, address: IpAddr, own: RateLimit, narrowest: RateLimit) -> Vec<(Key, RateLimit)> {
    let address = address.to_canonical();
    let own = address.is_ipv4().then(|| (scope.key("", &address.to_string()), own));
    own.into_iter().chain(network_limits(scope, address, narrowest)).collect()
}

/// Counts a rate-limited operation, within its transaction. Returns the seconds to wait where the
/// limit was reached before; the operation must then not happen.
///
/// # Errors
/// Database errors.
pub async fn consume(conn: &mut PgConnection, key: Key, limit: RateLimit) -> sqlx::Result<Option<u32>> {
    lock(conn, &key).await?;
    let seconds = wait(&mut *conn, &key).await?;
    if seconds.is_some() {
        return Ok(seconds);
    }
    sqlx::query!(
        "INSERT INTO throttles (scope, subject_hash, network, failures) VALUES ($1, $2, $3, 1)
         ON CONFLICT (scope, subject_hash, network) DO UPDATE SET
             failures = CASE WHEN throttles.last_failure < portal_now() - make_interval(mins => $5) OR throttles.blocked_until IS NOT NULL
                 THEN 1 ELSE throttles.failures + 1 END,
             last_failure = portal_now(),
             blocked_until = CASE WHEN throttles.last_failure >= portal_now() - make_interval(mins => $5) AND throttles.blocked_until IS NULL
                 AND throttles.failures + 1 >= $4 THEN portal_now() + make_interval(mins => $5) END",
        key.scope(),
        key.subject,
        key.network,
        limit.most,
        limit.minutes,
    )
    .execute(&mut *conn)
    .await?;
    Ok(None)
}

/// Counts an event, within its transaction. True for the one that reaches the limit; those of the
/// wait that follows are not counted.
///
/// # Errors
/// Database errors.
pub async fn reaches(conn: &mut PgConnection, key: Key, limit: RateLimit) -> sqlx::Result<bool> {
    let is_counted = consume(&mut *conn, key.clone(), limit).await?.is_none();
    Ok(is_counted && wait(conn, &key).await?.is_some())
}

/// Counts a failure. The first four cause no delay, since people mistype (16 and 64 in wider
/// networks); then the delay doubles from 2 seconds up to 5 minutes. An hour without failure resets
/// the count.
///
/// # Errors
/// Database errors.
pub async fn fail(executor: impl PgExecutor<'_>, key: &Key) -> sqlx::Result<()> {
    sqlx::query!(
        "INSERT INTO throttles (scope, subject_hash, network, failures) VALUES ($1, $2, $3, 1)
         ON CONFLICT (scope, subject_hash, network) DO UPDATE SET
             failures = CASE WHEN throttles.last_failure < portal_now() - interval '1 hour' THEN 1 ELSE throttles.failures + 1 END,
             last_failure = portal_now(),
             blocked_until = CASE WHEN throttles.last_failure >= portal_now() - interval '1 hour' AND throttles.failures >= $4
                 THEN portal_now() + least(300, power(2, least(throttles.failures - $4, 16) + 1)) * interval '1 second' END",
        key.scope(),
        key.subject,
        key.network,
        key.free_failures(),
    )
    .execute(executor)
    .await?;
    Ok(())
}

/// Resets the count: after a success, or where another person may have used it up.
///
/// # Errors
/// Database errors.
pub(super) async fn reset(conn: &mut PgConnection, key: &Key) -> sqlx::Result<()> {
    sqlx::query!(
        "DELETE FROM throttles WHERE scope = $1 AND subject_hash = $2 AND network = $3",
        key.scope(),
        key.subject,
        key.network,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Deletes counts without a failure for an hour: they have no effect any more.
pub(super) async fn sweep(pool: &PgPool) -> sqlx::Result<()> {
    sqlx::query!("DELETE FROM throttles WHERE last_failure < portal_now() - interval '1 hour'").execute(pool).await?;
    Ok(())
}
