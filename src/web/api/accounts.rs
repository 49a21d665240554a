//! The share of one account: of the database connections for calls, and of the memory for answers.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use axum::{
    body::{Body, Bytes},
    http::{HeaderValue, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;

use super::error::ApiError;
use crate::{
    db::api::{PresentedCredentials, tokens},
    domain::network::site_of,
    web::edge::shares::{Share, Shares, UsedUp},
};

/// Statements that run at a time for one network whose credentials are not judged yet.
const STATEMENTS_OF_NETWORK: u32 = 4;
/// The most calls of one account that wait for one of its statements to end; or of strangers.
const WAITING: usize = 256;
const LONGEST_WAIT: Duration = Duration::from_secs(2);
/// The most calls of all strangers that wait, [`STATEMENTS_OF_NETWORK`] of each network: as many as
/// are judged within [`LONGEST_WAIT`] by a busy machine, so that a right credential which is not
/// known here yet waits for wrong ones, and is not refused for them.
const STRANGERS_WAITING: usize = 4096;
/// Kilobytes of answers that one account may leave unread. One answer has 2 MB at most.
const UNREAD_KB: u32 = 8 * 1024;
/// Bytes for which an answer has room at first: growing from nothing would copy it several times.
const USUAL_ANSWER: usize = 8 * 1024;
/// Shorter answers are not counted: the connection's own buffers hold them.
const SHORT_ANSWER: usize = 64 * 1024;

/// Whose share it is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Account {
    /// An account by id.
    Known(i64),
    /// A network from which credentials come that are not judged yet, or wrong.
    Stranger(String),
    /// A service, by the secret that it shows.
    Service(Mark),
}

/// The beginning of a digest: enough to tell credentials apart, where a mistake would only join two
/// shares.
type Mark = u64;

impl From<UsedUp> for ApiError {
    fn from(_: UsedUp) -> Self {
        Self::TooManyRequests { seconds: 1 }
    }
}

/// See the module.
pub struct AccountShares {
    statements: Shares<Account>,
    answers: Shares<Account>,
    /// Of all connections, those that strangers may have at a time: accounts never wait for them.
    strangers: Shares<()>,
    networks: Shares<String>,
    known: Mutex<KnownCredentials>,
    /// Of services.
    known_services: Mutex<KnownCredentials>,
}

/// A stranger's shares, of the network's connections and of all strangers'. Dropped together.
pub struct StrangersShare {
    _of_network: Share<String>,
    _of_all: Share<()>,
}

/// A service's share, or that of whoever shows a secret which is not judged yet.
pub enum ServiceShare {
    Known(Share<Account>),
    Stranger(StrangersShare),
}

impl AccountShares {
    /// For a pool with so many connections: one account may have two thirds of them, strangers
    /// half.
    pub fn of(connections: u32) -> Self {
        Self {
            statements: Shares::of((connections * 2 / 3).max(1)),
            answers: Shares::of(UNREAD_KB),
            strangers: Shares::of((connections / 2).max(1)),
            networks: Shares::of(STATEMENTS_OF_NETWORK),
            known: Mutex::default(),
            known_services: Mutex::default(),
        }
    }

    fn known(&self) -> MutexGuard<'_, KnownCredentials> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whose credentials these are, where they were judged here lately. They may have ended since.
    pub fn find(&self, presented: &PresentedCredentials) -> Option<i64> {
        self.known().find_and_keep(mark_of(presented))
    }

    /// Remembers whose credentials these are.
    pub fn remember(&self, presented: &PresentedCredentials, technical_user_id: i64) {
        self.known().remember(mark_of(presented), technical_user_id, Instant::now());
    }

    /// Forgets credentials that turned out to be valid no more: whoever has them must not wait, or
    /// keep others waiting, as the account.
    pub fn forget(&self, presented: &PresentedCredentials) {
        self.known().forget(mark_of(presented));
    }

    /// Remembers whose token this is.
    pub fn remember_token(&self, token_hash: &[u8], technical_user_id: i64) {
        self.known().remember(mark(token_hash), technical_user_id, Instant::now());
    }

    /// Waits until the account may run one more statement.
    ///
    /// # Errors
    /// [`UsedUp`], after a while.
    pub async fn statement(&self, technical_user_id: i64) -> Result<Share<Account>, UsedUp> {
        self.statements.wait(Account::Known(technical_user_id), WAITING, LONGEST_WAIT).await
    }

    /// Waits until the service with this secret may ask once more. A secret that was not found
    /// right here lately has a stranger's share: made-up secrets get no more than made-up
    /// passwords.
    ///
    /// # Errors
    /// [`UsedUp`], after a while.
    pub async fn service(&self, secret_digest: &[u8], address: IpAddr) -> Result<ServiceShare, UsedUp> {
        let mark = mark(secret_digest);
        let is_known = self.known_services().find_and_keep(mark).is_some();
        Ok(if is_known {
            ServiceShare::Known(self.statements.wait(Account::Service(mark), WAITING, LONGEST_WAIT).await?)
        } else {
            ServiceShare::Stranger(self.stranger(address).await?)
        })
    }

    /// Forgets a service's secret that is valid no more.
    pub fn forget_service(&self, secret_digest: &[u8]) {
        self.known_services().forget(mark(secret_digest));
    }

    /// Remembers whose secret this is.
    pub fn remember_service(&self, secret_digest: &[u8], service_id: i64) {
        self.known_services().remember(mark(secret_digest), service_id, Instant::now());
    }

    fn known_services(&self) -> MutexGuard<'_, KnownCredentials> {
        self.known_services.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until a stranger from this network may have credentials judged.
    ///
    /// # Errors
    /// [`UsedUp`], after a while.
    pub async fn stranger(&self, address: IpAddr) -> Result<StrangersShare, UsedUp> {
        let of_network = self.networks.wait(site_of(address), WAITING, LONGEST_WAIT).await?;
        let of_all = self.strangers.wait((), STRANGERS_WAITING, LONGEST_WAIT).await?;
        Ok(StrangersShare { _of_network: of_network, _of_all: of_all })
    }

    /// A JSON answer. A long one counts as the account's until it is handed to the kernel.
    ///
    /// # Errors
    /// [`ApiError::TooManyRequests`] where the account leaves too many answers unread.
    pub fn answer(&self, account: impl FnOnce() -> Account, answer: &impl Serialize) -> Result<Response, ApiError> {
        let mut json = Vec::with_capacity(USUAL_ANSWER);
        serde_json::to_writer(&mut json, answer).map_err(|error| {
            tracing::error!(cause = error.to_string(), "an answer could not be written");
            ApiError::Internal
        })?;
        let bytes = if json.len() <= SHORT_ANSWER {
            Bytes::from(json)
        } else {
            let kilobytes = u32::try_from(json.len() / 1024).unwrap_or(u32::MAX);
            self.answers.take(account(), kilobytes)?.kept_by(json)
        };
        let kind = [(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))];
        Ok((kind, Body::from(bytes)).into_response())
    }
}

/// The mark of the password, if one is presented: it is one account's, and tokens may be many.
fn mark_of(presented: &PresentedCredentials) -> Mark {
    let password = presented.verifiers.as_ref().and_then(|verifiers| verifiers.first());
    let digest = password.map(|verifier| verifier.digest.as_slice());
    mark(digest.or(presented.token_hash.as_deref()).unwrap_or_default())
}

fn mark(digest: &[u8]) -> Mark {
    digest.first_chunk().map_or(0, |first| u64::from_be_bytes(*first))
}

/// The accounts of credentials that were issued or judged here lately, so that all credentials of
/// an account have one share. It authenticates nothing.
struct KnownCredentials {
    /// Those of this period, which is as long as a token lives.
    recent: HashMap<Mark, i64>,
    /// Those of the period before.
    older: HashMap<Mark, i64>,
    since: Instant,
}

/// The most credentials of one period. They take 9 MB.
const MOST_KNOWN: usize = 400_000;

impl Default for KnownCredentials {
    fn default() -> Self {
        Self { recent: HashMap::new(), older: HashMap::new(), since: Instant::now() }
    }
}

impl KnownCredentials {
    fn find(&self, mark: Mark) -> Option<i64> {
        self.recent.get(&mark).or_else(|| self.older.get(&mark)).copied()
    }

    /// Credentials that are in use are not forgotten.
    fn find_and_keep(&mut self, mark: Mark) -> Option<i64> {
        let found = self.find(mark)?;
        if self.recent.len() < MOST_KNOWN {
            self.recent.insert(mark, found);
        }
        Some(found)
    }

    fn forget(&mut self, mark: Mark) {
        self.recent.remove(&mark);
        self.older.remove(&mark);
    }

    fn remember(&mut self, mark: Mark, technical_user_id: i64, now: Instant) {
        let is_over = now.saturating_duration_since(self.since) >= tokens::LIFETIME;
        if is_over || self.recent.len() >= MOST_KNOWN {
            self.older = std::mem::take(&mut self.recent);
            self.since = now;
        }
        self.recent.insert(mark, technical_user_id);
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;
    use crate::domain::restrictions::CallerAddress;

    #[test]
    fn an_account_that_leaves_answers_unread_gets_no_more_until_it_reads_and_others_do() {
        let shares = AccountShares::of(12);
        let text = "x".repeat(1_500_000);
        let answer = |id| shares.answer(|| Account::Known(id), &text);
        let unread: Vec<_> = (0..5).map(|_| answer(1).unwrap()).collect();
        assert_eq!(answer(1).err(), Some(ApiError::TooManyRequests { seconds: 1 }));
        assert!(shares.answer(|| Account::Known(1), &"short").is_ok());
        assert!(answer(2).is_ok());
        drop(unread);
        assert!(answer(1).is_ok());
    }

    #[test]
    fn all_credentials_of_an_account_have_one_share() {
        let shares = AccountShares::of(12);
        let token = |byte| PresentedCredentials {
            token_hash: Some(vec![byte; 32]),
            verifiers: None,
            from: CallerAddress::Untold,
        };
        assert_eq!(shares.find(&token(1)), None);
        shares.remember(&token(1), 7);
        shares.remember_token(&[2; 32], 7);
        assert_eq!((shares.find(&token(1)), shares.find(&token(2))), (Some(7), Some(7)));
    }

    #[tokio::test]
    async fn strangers_have_half_of_the_connections_and_one_network_four() {
        let shares = AccountShares::of(12);
        let of = |network: u8| shares.stranger([192, 0, network, 1].into()).now_or_never();
        let held: Vec<_> = [1, 1, 1, 1, 1, 2, 2, 3].into_iter().map(of).collect();
        let served: Vec<_> = held.iter().map(Option::is_some).collect();
        assert_eq!(served, [true, true, true, true, false, true, true, false]);
        assert!(shares.statement(7).now_or_never().is_some(), "no account waits for them");
        drop(held);
        assert!(of(3).is_some());
    }

    #[tokio::test]
    async fn whoever_makes_secrets_of_services_up_has_a_strangers_share() {
        let shares = AccountShares::of(12);
        let of = |secret: u8| shares.service(&[secret; 32], [192, 0, 2, 1].into()).now_or_never();
        let made_up: Vec<_> = (0..6).map(of).collect();
        assert_eq!(made_up.iter().filter(|share| share.is_some()).count(), 4, "of one network");
        shares.remember_service(&[7; 32], 1);
        assert!(of(7).is_some(), "a service waits for none of them");
    }

    #[test]
    fn a_token_is_known_for_as_long_as_it_lives_and_forgotten_in_time() {
        let (mut known, start) = (KnownCredentials::default(), Instant::now());
        known.remember(1, 7, start);
        known.remember(2, 8, start + tokens::LIFETIME);
        assert_eq!((known.find(1), known.find(2)), (Some(7), Some(8)));
        known.remember(3, 9, start + 2 * tokens::LIFETIME);
        assert_eq!((known.find(1), known.find(2), known.find(3)), (None, Some(8), Some(9)));
    }

    #[test]
    fn tokens_without_end_take_bounded_memory() {
        let (mut known, start) = (KnownCredentials::default(), Instant::now());
        for mark in 0..3 * MOST_KNOWN as u64 {
            known.remember(mark, 7, start);
        }
        assert!(known.recent.len() + known.older.len() <= 2 * MOST_KNOWN);
    }
}
