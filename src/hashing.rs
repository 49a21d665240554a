//! Argon2id on threads of its own: as many as cores, each keeping its 19 MiB, behind a bounded queue. A flood of passwords fills
//! the queue and is told to come back; it takes neither memory nor the threads that serve pages.

use std::{
    sync::{Arc, Mutex, mpsc},
    thread,
};

use rand::CryptoRng;
use thiserror::Error;
use tokio::sync::oneshot;

use crate::domain::{
    password::{Argon2id, PasswordHash},
    person::TypedPassword,
    random,
};

/// Passwords that may wait: at 25 ms each on two cores the last one waits for less than a second.
const QUEUE_LENGTH: usize = 64;

/// The queue is full: try again shortly.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("too many passwords are waiting to be hashed")]
pub struct Busy;

type Job = Box<dyn FnOnce(&mut Argon2id) + Send>;

/// The hashing threads. They end when the last clone is dropped.
#[derive(Clone)]
pub struct Hasher {
    queue: mpsc::SyncSender<Job>,
}

impl Default for Hasher {
    fn default() -> Self {
        Self::with_threads(thread::available_parallelism().map_or(2, usize::from))
    }
}

impl Hasher {
    /// Starts `threads` hashing threads.
    #[must_use]
    pub fn with_threads(threads: usize) -> Self {
        let (queue, jobs) = mpsc::sync_channel::<Job>(QUEUE_LENGTH);
        let jobs = Arc::new(Mutex::new(jobs));
        for number in 0..threads.max(1) {
            let jobs = Arc::clone(&jobs);
            let work = move || {
                let mut argon2id = Argon2id::default();
                // The lock is held while waiting, not while hashing.
                while let Ok(job) = { jobs.lock().expect("no job panics under the lock").recv() } {
                    job(&mut argon2id);
                }
            };
            thread::Builder::new()
                .name(format!("hashing-{number}"))
                .spawn(work)
                .expect("the system can start a thread");
        }
        Self { queue }
    }

    /// Hashes a password with a fresh salt.
    ///
    /// # Errors
    /// [`Busy`] where the queue is full.
    pub async fn hash(&self, password: TypedPassword, rng: &mut (impl CryptoRng + Send)) -> Result<PasswordHash, Busy> {
        let salt = random::bytes(rng);
        self.run(move |argon2id| argon2id.hash(password.expose(), salt)).await
    }

    /// Whether the password is the hash's; as slow, and false, without a hash.
    ///
    /// # Errors
    /// [`Busy`] where the queue is full.
    pub async fn verify(&self, password: TypedPassword, hash: Option<PasswordHash>) -> Result<bool, Busy> {
        self.run(move |argon2id| argon2id.verify(password.expose(), hash.as_ref())).await
    }

    async fn run<T: Send + 'static>(&self, work: impl FnOnce(&mut Argon2id) -> T + Send + 'static) -> Result<T, Busy> {
        let (answer, answered) = oneshot::channel();
        let job: Job = Box::new(move |argon2id| {
            // Nobody waits any more: the browser has gone.
            if !answer.is_closed() {
                let _ = answer.send(work(argon2id));
            }
        });
        self.queue.try_send(job).map_err(|_| Busy)?;
        answered.await.map_err(|_| Busy)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn typed(text: &str) -> TypedPassword {
        TypedPassword::new(text.into())
    }

    #[tokio::test]
    async fn what_is_hashed_verifies() {
        let hasher = Hasher::with_threads(1);
        let hash = hasher.hash(typed("un mot de passe"), &mut random::os_rng()).await.unwrap();
        assert!(hasher.verify(typed("un mot de passe"), Some(hash.clone())).await.unwrap());
        assert!(!hasher.verify(typed("un autre"), Some(hash)).await.unwrap());
        assert!(!hasher.verify(typed("un autre"), None).await.unwrap());
    }

    #[tokio::test]
    async fn a_flood_is_refused_and_service_goes_on() {
        let hasher = Hasher::with_threads(1);
        let flood: Vec<_> = (0..300)
            .map(|_| {
                tokio::spawn({
                    let hasher = hasher.clone();
                    async move { hasher.verify(typed("x"), None).await }
                })
            })
            .collect();
        let mut refused = 0;
        for attempt in flood {
            refused += usize::from(attempt.await.unwrap() == Err(Busy));
        }
        assert!(refused > 100, "{refused}");
        assert!(!hasher.verify(typed("x"), None).await.unwrap());
    }
}
