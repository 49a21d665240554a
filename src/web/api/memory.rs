//! Process-local memory of verified credentials.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard},
    time::{Duration, Instant},
};

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use tokio::sync::OnceCell;

use crate::{
    db::api::{VerifiedAccount, accounts::ApiAccount},
    domain::{credential::Credential, random, wiped::wiped},
};

const LIFETIME: Duration = Duration::from_mins(15);
const CAPACITY: usize = 10_000;

pub(super) type Digest = [u8; 32];

/// What came out of looking at a password: the account, if there is one, and whether the password
/// is its own.
#[derive(Clone, Debug)]
pub(super) struct Verdict {
    pub(super) account: Option<ApiAccount>,
    pub(super) matches: bool,
}

struct Known {
    account: VerifiedAccount,
    until: Instant,
}

/// See the module.
pub struct VerifiedCredentials {
    key: Hmac<Sha256>,
    known: Mutex<HashMap<Digest, Known>>,
    /// Verifications under way: the same credential is verified once, whoever else waits for it.
    pub(super) under_way: Mutex<HashMap<Digest, Arc<OnceCell<Verdict>>>>,
}

impl Default for VerifiedCredentials {
    fn default() -> Self {
        let key: [u8; 32] = random::bytes(&mut random::os_rng());
        let key = Hmac::new_from_slice(&key).expect("HMAC takes keys of any length");
        Self { key, known: Mutex::default(), under_way: Mutex::default() }
    }
}

impl VerifiedCredentials {
    /// The account whose password this is, from memory alone.
    #[must_use]
    pub fn recall(&self, credential: &Credential) -> Option<VerifiedAccount> {
        let known = lock(&self.known);
        known.get(&self.digest(credential)).filter(|known| Instant::now() < known.until).map(|known| known.account)
    }

    pub(super) fn remember(&self, digest: Digest, account: VerifiedAccount) {
        let (mut known, now) = (lock(&self.known), Instant::now());
        if known.len() >= CAPACITY {
            known.retain(|_, known| now < known.until);
        }
        if known.len() >= CAPACITY {
            let oldest = known.iter().min_by_key(|(_, known)| known.until).map(|(digest, _)| *digest);
            oldest.and_then(|digest| known.remove(&digest));
        }
        known.insert(digest, Known { account, until: now + LIFETIME });
    }

    pub(super) fn digest(&self, credential: &Credential) -> Digest {
        wiped(|| {
            let mut hmac = self.key.clone();
            hmac.update(credential.login.as_bytes());
            // A login has no control character, so this parts the two.
            hmac.update(b"\0");
            hmac.update(credential.password.expose().as_bytes());
            hmac.finalize().into_bytes().into()
        })
    }
}

/// A place at a verification under way. The last to leave takes the table away, also where its
/// caller hung up.
pub(super) struct PendingVerification<'a> {
    tables: &'a Mutex<HashMap<Digest, Arc<OnceCell<Verdict>>>>,
    digest: Digest,
    pub(super) verdict: Arc<OnceCell<Verdict>>,
}

impl<'a> PendingVerification<'a> {
    pub(super) fn take(tables: &'a Mutex<HashMap<Digest, Arc<OnceCell<Verdict>>>>, digest: Digest) -> Self {
        let verdict = Arc::clone(lock(tables).entry(digest).or_default());
        Self { tables, digest, verdict }
    }
}

impl Drop for PendingVerification<'_> {
    fn drop(&mut self) {
        let mut tables = lock(self.tables);
        // The table's own and this one.
        if Arc::strong_count(&self.verdict) <= 2 {
            tables.remove(&self.digest);
        }
    }
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().expect("nothing panics under this lock")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn credential(login: &str, password: &str) -> Credential {
        Credential::new(login.into(), password.into()).unwrap()
    }

    #[test]
    fn only_what_was_verified_is_recalled() {
        let credentials = VerifiedCredentials::default();
        let account = VerifiedAccount { technical_user_id: 5, credential_version: 2 };
        credentials.remember(credentials.digest(&credential("login", "good")), account);
        assert_eq!(credentials.recall(&credential("login", "good")), Some(account));
        assert_eq!(credentials.recall(&credential("login", "bad")), None);
        assert_eq!(credentials.recall(&credential("logingo", "od")), None);
        assert_eq!(VerifiedCredentials::default().recall(&credential("login", "good")), None);
    }

    #[test]
    fn memory_is_bounded() {
        let credentials = VerifiedCredentials::default();
        for number in 0..CAPACITY + 10 {
            let account = VerifiedAccount { technical_user_id: 1, credential_version: 1 };
            credentials.remember(credentials.digest(&credential("login", &number.to_string())), account);
        }
        assert_eq!(lock(&credentials.known).len(), CAPACITY);
        assert!(credentials.recall(&credential("login", &(CAPACITY + 9).to_string())).is_some());
    }

    #[test]
    fn nothing_stays_of_a_verification_that_was_left() {
        let credentials = VerifiedCredentials::default();
        let (one, other) = (
            PendingVerification::take(&credentials.under_way, [0; 32]),
            PendingVerification::take(&credentials.under_way, [0; 32]),
        );
        drop(one);
        assert_eq!(lock(&credentials.under_way).len(), 1);
        drop(other);
        assert!(lock(&credentials.under_way).is_empty());
    }
}
