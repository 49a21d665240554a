//! Argon2id on dedicated threads, one per core with 19 MiB each, behind a bounded and fair queue.
//! A flood of passwords fills its own share of the queue and gets [`Busy`]. It costs no further
//! memory, does not occupy the threads that serve pages, and does not delay other queue keys.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Condvar, Mutex, MutexGuard},
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

/// The most jobs that may wait. At 25 ms each on two cores, the last one waits for less than a
/// second.
const QUEUE_LENGTH: usize = 64;
/// The most jobs that calls to the API may queue; the rest is reserved for people at the portal.
const API_LENGTH: usize = 48;
/// The most jobs that one network may queue.
const NETWORK_SHARE: usize = 8;
/// The most jobs that one signed-in person may queue: leaves room for those of a network.
const PERSON_SHARE: usize = QUEUE_LENGTH - NETWORK_SHARE;

/// The queue is full, or the key's share of it: try again shortly.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("too many passwords are waiting to be hashed")]
pub struct Busy;

/// Whose share of the queue a job counts against. Keys are served in turn (round robin), and so are
/// the portal and the API.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum QueueKey {
    /// A signed-in person, by id.
    Person(i64),
    /// A network from which people sign in.
    Portal(String),
    /// A network from which programs call.
    Api(String),
}

impl QueueKey {
    fn share(&self) -> usize {
        if matches!(self, Self::Person(_)) { PERSON_SHARE } else { NETWORK_SHARE }
    }

    fn side(&self) -> Side {
        if matches!(self, Self::Api(_)) { Side::Api } else { Side::Portal }
    }
}

/// An index into the queue's pairs: each side has its own turns and its own length.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Side {
    #[default]
    Portal,
    Api,
}

impl Side {
    fn other(self) -> Self {
        if self == Self::Portal { Self::Api } else { Self::Portal }
    }
}

type Job = Box<dyn FnOnce(&mut Argon2id) + Send>;

/// Jobs by key. Of each side: the order in which its keys are served, and its number of jobs.
#[derive(Default)]
struct Queue {
    waiting: HashMap<QueueKey, VecDeque<Job>>,
    turns: [VecDeque<QueueKey>; 2],
    lengths: [usize; 2],
    /// The side that is served next, if both have jobs.
    next: Side,
    closed: bool,
}

impl Queue {
    fn push(&mut self, key: QueueKey, job: Job) -> Result<(), Busy> {
        let side = key.side();
        let of_key = self.waiting.get(&key).map_or(0, VecDeque::len);
        let is_full = self.lengths.iter().sum::<usize>() >= QUEUE_LENGTH;
        let is_api_full = side == Side::Api && self.lengths[side as usize] >= API_LENGTH;
        if is_full || is_api_full || of_key >= key.share() {
            return Err(Busy);
        }
        if of_key == 0 {
            self.turns[side as usize].push_back(key.clone());
        }
        self.waiting.entry(key).or_default().push_back(job);
        self.lengths[side as usize] += 1;
        Ok(())
    }

    fn pop(&mut self) -> Option<Job> {
        let side = if self.turns[self.next as usize].is_empty() { self.next.other() } else { self.next };
        let key = self.turns[side as usize].pop_front()?;
        self.next = side.other();
        let jobs = self.waiting.get_mut(&key)?;
        let job = jobs.pop_front();
        if jobs.is_empty() {
            self.waiting.remove(&key);
        } else {
            self.turns[side as usize].push_back(key);
        }
        self.lengths[side as usize] -= 1;
        job
    }
}

/// The queue, shared with the hashing threads.
#[derive(Default)]
struct SharedQueue {
    queue: Mutex<Queue>,
    changed: Condvar,
}

impl SharedQueue {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().expect("nothing panics under this lock")
    }

    /// Waits for the next job; `None` once the queue is closed.
    fn next_job(&self) -> Option<Job> {
        let mut queue = self.lock();
        loop {
            if queue.closed {
                return None;
            }
            if let Some(job) = queue.pop() {
                return Some(job);
            }
            queue = self.changed.wait(queue).expect("nothing panics under this lock");
        }
    }
}

/// The hashing threads. They stop when the last clone is dropped.
#[derive(Clone)]
pub struct Hasher(Arc<Threads>);

struct Threads(Arc<SharedQueue>);

impl Drop for Threads {
    fn drop(&mut self) {
        self.0.lock().closed = true;
        self.0.changed.notify_all();
    }
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
        let queue = Arc::new(SharedQueue::default());
        for number in 0..threads.max(1) {
            let queue = Arc::clone(&queue);
            let work = move || {
                let mut argon2id = Argon2id::default();
                while let Some(job) = queue.next_job() {
                    job(&mut argon2id);
                }
            };
            thread::Builder::new()
                .name(format!("hashing-{number}"))
                .spawn(work)
                .expect("the system can start a thread");
        }
        Self(Arc::new(Threads(queue)))
    }

    /// Hashes a password with a fresh salt.
    ///
    /// # Errors
    /// [`Busy`] where the queue is full.
    pub async fn hash(
        &self,
        key: QueueKey,
        password: TypedPassword,
        rng: &mut (impl CryptoRng + Send),
    ) -> Result<PasswordHash, Busy> {
        let salt = random::bytes(rng);
        self.run(key, move |argon2id| argon2id.hash(password.expose(), salt)).await
    }

    /// Whether the password matches the hash. Without a hash: false, after the same time.
    ///
    /// # Errors
    /// [`Busy`] where the queue is full.
    pub async fn verify(
        &self,
        key: QueueKey,
        password: TypedPassword,
        hash: Option<PasswordHash>,
    ) -> Result<bool, Busy> {
        self.run(key, move |argon2id| argon2id.verify(password.expose(), hash.as_ref())).await
    }

    async fn run<T: Send + 'static>(
        &self,
        key: QueueKey,
        work: impl FnOnce(&mut Argon2id) -> T + Send + 'static,
    ) -> Result<T, Busy> {
        let (answer, answered) = oneshot::channel();
        let job: Job = Box::new(move |argon2id| {
            // Skipped where the request was cancelled.
            if !answer.is_closed() {
                let _ = answer.send(work(argon2id));
            }
        });
        let queue = &self.0.0;
        queue.lock().push(key, job)?;
        queue.changed.notify_one();
        answered.await.map_err(|_| Busy)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn typed(text: &str) -> TypedPassword {
        TypedPassword::new(text.into())
    }

    fn key(number: usize) -> QueueKey {
        if number.is_multiple_of(2) { QueueKey::Portal(number.to_string()) } else { QueueKey::Api(number.to_string()) }
    }

    #[tokio::test]
    async fn what_is_hashed_verifies() {
        let hasher = Hasher::with_threads(1);
        let hash = hasher.hash(key(0), typed("un mot de passe"), &mut random::os_rng()).await.unwrap();
        assert!(hasher.verify(key(0), typed("un mot de passe"), Some(hash.clone())).await.unwrap());
        assert!(!hasher.verify(key(0), typed("un autre"), Some(hash)).await.unwrap());
        assert!(!hasher.verify(key(0), typed("un autre"), None).await.unwrap());
    }

    #[tokio::test]
    async fn a_flood_is_refused_and_others_are_served_meanwhile() {
        let hasher = Hasher::with_threads(1);
        let flood: Vec<_> = (0..300)
            .map(|_| {
                tokio::spawn({
                    let hasher = hasher.clone();
                    async move { hasher.verify(key(1), typed("x"), None).await }
                })
            })
            .collect();
        tokio::task::yield_now().await;
        assert!(!hasher.verify(key(0), typed("x"), None).await.unwrap());
        let mut refused = 0;
        for attempt in flood {
            refused += usize::from(attempt.await.unwrap() == Err(Busy));
        }
        assert!(refused > 200, "{refused}");
    }

    /// Runs all jobs. Returns their numbers in the order in which they ran.
    fn served(mut queue: Queue, order: &Arc<Mutex<Vec<usize>>>) -> Vec<usize> {
        let mut argon2id = Argon2id::default();
        while let Some(job) = queue.pop() {
            job(&mut argon2id);
        }
        assert!(queue.waiting.is_empty() && queue.lengths == [0, 0]);
        std::mem::take(&mut *order.lock().unwrap())
    }

    #[test]
    fn keys_take_turns_and_so_do_portal_and_api() {
        let (mut queue, order) = (Queue::default(), Arc::new(Mutex::new(Vec::new())));
        for (key_number, job_number) in [(1, 10), (1, 11), (1, 12), (3, 30), (0, 100), (0, 101), (2, 120)] {
            let order = Arc::clone(&order);
            queue.push(key(key_number), Box::new(move |_| order.lock().unwrap().push(job_number))).unwrap();
        }
        assert_eq!(served(queue, &order), [100, 10, 120, 30, 101, 11, 12]);
    }

    #[test]
    fn no_key_takes_more_than_its_share_and_the_api_leaves_places() {
        let mut queue = Queue::default();
        let mut push = |key| queue.push(key, Box::new(|_| ())).is_ok();
        assert_eq!((0..20).filter(|_| push(key(1))).count(), NETWORK_SHARE);
        let networks = (0..200).filter(|number| push(QueueKey::Api(format!("network {number}")))).count();
        assert_eq!(NETWORK_SHARE + networks, API_LENGTH);
        let people = (0..200).filter(|number| push(QueueKey::Person(*number))).count();
        assert_eq!(people, QUEUE_LENGTH - API_LENGTH);
    }
}
