//! Shares: how much of something one holder (a person, an account) may have at a time.

use std::{
    collections::HashMap,
    hash::Hash,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use axum::body::Bytes;
use thiserror::Error;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};

/// The holder has its whole share already: try again shortly.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("the share is used up")]
pub struct UsedUp;

type Holders<K> = Mutex<HashMap<K, Arc<Semaphore>>>;

/// The shares of all holders. Only those that have something take memory.
pub struct Shares<K: Eq + Hash> {
    /// The units of each holder.
    each: u32,
    holders: Arc<Holders<K>>,
}

/// What a holder has, until it is dropped.
pub struct Share<K: Eq + Hash> {
    key: K,
    permit: Option<OwnedSemaphorePermit>,
    holders: Arc<Holders<K>>,
}

impl<K: Clone + Eq + Hash> Shares<K> {
    #[must_use]
    pub fn of(each: u32) -> Self {
        Self { each, holders: Arc::default() }
    }

    /// Takes some units at once. More than a whole share counts as a whole one.
    ///
    /// # Errors
    /// [`UsedUp`].
    pub fn take(&self, key: K, units: u32) -> Result<Share<K>, UsedUp> {
        let mut share = self.empty(key);
        let permit = self.holder(&share.key).try_acquire_many_owned(units.min(self.each));
        share.permit = Some(permit.map_err(|_| UsedUp)?);
        Ok(share)
    }

    /// Takes one unit, or waits for it. No more than `waiting` may wait, for no longer than
    /// `longest`.
    ///
    /// # Errors
    /// [`UsedUp`].
    pub async fn wait(&self, key: K, waiting: usize, longest: Duration) -> Result<Share<K>, UsedUp> {
        // Declared before the holder, so dropped after it, also where the call ends while it waits.
        let mut share = self.empty(key);
        let holder = self.holder(&share.key);
        // Each permit and each waiting call has one reference; this call and the map have two.
        if Arc::strong_count(&holder) >= 2 + self.each as usize + waiting {
            return Err(UsedUp);
        }
        if let Ok(permit) = Arc::clone(&holder).try_acquire_owned() {
            share.permit = Some(permit);
            return Ok(share);
        }
        match timeout(longest, holder.acquire_owned()).await {
            Ok(Ok(permit)) => share.permit = Some(permit),
            _ => return Err(UsedUp),
        }
        Ok(share)
    }

    fn holder(&self, key: &K) -> Arc<Semaphore> {
        let new = || Arc::new(Semaphore::new(self.each as usize));
        lock(&self.holders).entry(key.clone()).or_insert_with(new).clone()
    }

    /// A share of nothing yet. Its end removes a holder that has nothing.
    fn empty(&self, key: K) -> Share<K> {
        Share { key, permit: None, holders: Arc::clone(&self.holders) }
    }
}

impl<K: Eq + Hash + Send + 'static> Share<K> {
    /// Bytes of an answer that hold the share until they are handed to the kernel.
    pub fn kept_by(self, bytes: Vec<u8>) -> Bytes {
        Bytes::from_owner(Kept { bytes, _share: self })
    }
}

struct Kept<K: Eq + Hash> {
    bytes: Vec<u8>,
    _share: Share<K>,
}

impl<K: Eq + Hash> AsRef<[u8]> for Kept<K> {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl<K: Eq + Hash> Drop for Share<K> {
    fn drop(&mut self) {
        self.permit = None;
        let mut holders = lock(&self.holders);
        // The map's own reference is the last one: nothing is held or waited for.
        if holders.get(&self.key).is_some_and(|holder| Arc::strong_count(holder) == 1) {
            holders.remove(&self.key);
        }
    }
}

fn lock<K>(holders: &Holders<K>) -> MutexGuard<'_, HashMap<K, Arc<Semaphore>>> {
    holders.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOON: Duration = Duration::from_millis(20);

    #[tokio::test]
    async fn each_holder_has_its_share_and_gives_it_back() {
        let shares = Shares::of(4);
        let all = shares.take("a", 100).unwrap();
        assert_eq!(shares.take("a", 1).err(), Some(UsedUp));
        let other = shares.take("b", 3).unwrap();
        assert!(shares.take("b", 2).is_err() && shares.take("b", 1).is_ok());
        drop(all);
        assert!(shares.take("a", 4).is_ok());
        drop(other);
        assert!(lock(&shares.holders).is_empty());
    }

    #[tokio::test]
    async fn what_is_too_much_waits_briefly_and_in_bounded_number() {
        let shares = Arc::new(Shares::of(1));
        let first = shares.take("a", 1).unwrap();
        assert!(shares.wait("a", 1, SOON).await.is_err());
        let waiting = tokio::spawn({
            let shares = Arc::clone(&shares);
            async move { shares.wait("a", 1, Duration::from_secs(9)).await.is_ok() }
        });
        tokio::time::sleep(SOON).await;
        assert!(shares.wait("a", 1, Duration::from_secs(9)).await.is_err(), "one waits already");
        drop(first);
        assert!(waiting.await.unwrap());
        assert!(shares.wait("a", 1, SOON).await.is_ok());
        assert!(lock(&shares.holders).is_empty());
    }

    #[tokio::test]
    async fn a_call_that_waited_in_vain_leaves_nothing_behind() {
        let shares = Shares::of(1);
        let first = shares.take("a", 1).unwrap();
        let mut waiting = Box::pin(shares.wait("a", 1, Duration::from_secs(9)));
        assert!(tokio::time::timeout(SOON, &mut waiting).await.is_err());
        drop(first);
        drop(waiting);
        assert!(lock(&shares.holders).is_empty());
    }
}
