//! Argon2id on threads of its own: as many as cores, each keeping its 19 MiB, behind a bounded
//! queue that is fair. A flood of passwords fills its asker's share of the queue and is told to
//! come back; it takes neither memory, nor the threads that serve pages, nor the turn of anybody
//! else.

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

/// Passwords that may wait: at 25 ms each on two cores the last one waits for less than a second.
const QUEUE_LENGTH: usize = 64;
/// Of which calls to the API may take so many, so that people at the portal always find a place.
const API_LENGTH: usize = 48;
/// Of which one network may take so many.
const NETWORK_SHARE: usize = 8;
/// Of which one person who is signed in may take so many: all but those of a network.
const PERSON_SHARE: usize = QUEUE_LENGTH - NETWORK_SHARE;

/// The queue is full, or the asker's share of it: try again shortly.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("too many passwords are waiting to be hashed")]
pub struct Busy;

/// On whose account a password waits. Askers take turns, and so do the portal and the API.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum QueueKey {
    /// A person who is signed in, by her number.
    Person(i64),
    /// A network from which somebody signs in.
    Portal(String),
    /// A network from which programs call.
    Api(String),
}

impl QueueKey {
    fn share(&self) -> usize {
        if matches!(self, Self::Person(_)) { PERSON_SHARE } else { NETWORK_SHARE }
    }

    fn side(&self) -> usize {
        usize::from(matches!(self, Self::Api(_)))
    }
}

type Job = Box<dyn FnOnce(&mut Argon2id) + Send>;

/// Jobs by asker, and the order of the askers' turns: those of the portal, those of the API.
#[derive(Default)]
struct Queue {
    waiting: HashMap<QueueKey, VecDeque<Job>>,
    turns: [VecDeque<QueueKey>; 2],
    lengths: [usize; 2],
    /// Whose turn it is, if both sides wait.
    next: usize,
    closed: bool,
}

impl Queue {
    fn push(&mut self, asker: QueueKey, job: Job) -> Result<(), Busy> {
        let side = asker.side();
        let of_asker = self.waiting.get(&asker).map_or(0, VecDeque::len);
        let is_full = self.lengths.iter().sum::<usize>() >= QUEUE_LENGTH;
        if is_full || of_asker >= asker.share() || (side == 1 && self.lengths[1] >= API_LENGTH) {
            return Err(Busy);
        }
        if of_asker == 0 {
            self.turns[side].push_back(asker.clone());
        }
        self.waiting.entry(asker).or_default().push_back(job);
        self.lengths[side] += 1;
        Ok(())
    }

    fn pop(&mut self) -> Option<Job> {
        let side = if self.turns[self.next].is_empty() { 1 - self.next } else { self.next };
        let asker = self.turns[side].pop_front()?;
        self.next = 1 - side;
        let jobs = self.waiting.get_mut(&asker)?;
        let job = jobs.pop_front();
        if jobs.is_empty() {
            self.waiting.remove(&asker);
        } else {
            self.turns[side].push_back(asker);
        }
        self.lengths[side] -= 1;
        job
    }
}

#[derive(Default)]
struct Counter {
    queue: Mutex<Queue>,
    changed: Condvar,
}

impl Counter {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().expect("nothing panics under this lock")
    }

    /// The next job, once there is one; `None` at the end.
    fn wait(&self) -> Option<Job> {
        let mut queue = self.queue();
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

/// The hashing threads. They end when the last clone is dropped.
#[derive(Clone)]
pub struct Hasher(Arc<Threads>);

struct Threads(Arc<Counter>);

impl Drop for Threads {
    fn drop(&mut self) {
        self.0.queue().closed = true;
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
        let counter = Arc::new(Counter::default());
        for number in 0..threads.max(1) {
            let counter = Arc::clone(&counter);
            let work = move || {
                let mut argon2id = Argon2id::default();
                while let Some(job) = counter.wait() {
                    job(&mut argon2id);
                }
            };
            thread::Builder::new()
                .name(format!("hashing-{number}"))
                .spawn(work)
                .expect("the system can start a thread");
        }
        Self(Arc::new(Threads(counter)))
    }

    /// Hashes a password with a fresh salt.
    ///
    /// # Errors
    /// [`Busy`] where the queue is full.
    pub async fn hash(
        &self,
        asker: QueueKey,
        password: TypedPassword,
        rng: &mut (impl CryptoRng + Send),
    ) -> Result<PasswordHash, Busy> {
        let salt = random::bytes(rng);
        self.run(asker, move |argon2id| argon2id.hash(password.expose(), salt)).await
    }

    /// Whether the password is the hash's; as slow, and false, without a hash.
    ///
    /// # Errors
    /// [`Busy`] where the queue is full.
    pub async fn verify(
        &self,
        asker: QueueKey,
        password: TypedPassword,
        hash: Option<PasswordHash>,
    ) -> Result<bool, Busy> {
        self.run(asker, move |argon2id| argon2id.verify(password.expose(), hash.as_ref())).await
    }

    async fn run<T: Send + 'static>(
        &self,
        asker: QueueKey,
        work: impl FnOnce(&mut Argon2id) -> T + Send + 'static,
    ) -> Result<T, Busy> {
        let (answer, answered) = oneshot::channel();
        let job: Job = Box::new(move |argon2id| {
            // Nobody waits any more: the browser has gone.
            if !answer.is_closed() {
                let _ = answer.send(work(argon2id));
            }
        });
        let counter = &self.0.0;
        counter.queue().push(asker, job)?;
        counter.changed.notify_one();
        answered.await.map_err(|_| Busy)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn typed(text: &str) -> TypedPassword {
        TypedPassword::new(text.into())
    }

    fn asker(number: usize) -> QueueKey {
        if number.is_multiple_of(2) { QueueKey::Portal(number.to_string()) } else { QueueKey::Api(number.to_string()) }
    }

    #[tokio::test]
    async fn what_is_hashed_verifies() {
        let hasher = Hasher::with_threads(1);
        let hash = hasher.hash(asker(0), typed("un mot de passe"), &mut random::os_rng()).await.unwrap();
        assert!(hasher.verify(asker(0), typed("un mot de passe"), Some(hash.clone())).await.unwrap());
        assert!(!hasher.verify(asker(0), typed("un autre"), Some(hash)).await.unwrap());
        assert!(!hasher.verify(asker(0), typed("un autre"), None).await.unwrap());
    }

    #[tokio::test]
    async fn a_flood_is_refused_and_others_are_served_meanwhile() {
        let hasher = Hasher::with_threads(1);
        let flood: Vec<_> = (0..300)
            .map(|_| {
                tokio::spawn({
                    let hasher = hasher.clone();
                    async move { hasher.verify(asker(1), typed("x"), None).await }
                })
            })
            .collect();
        tokio::task::yield_now().await;
        assert!(!hasher.verify(asker(0), typed("x"), None).await.unwrap());
        let mut refused = 0;
        for attempt in flood {
            refused += usize::from(attempt.await.unwrap() == Err(Busy));
        }
        assert!(refused > 200, "{refused}");
    }

    /// The numbers that stand in the queue, in the order in which they are served.
    fn served(mut queue: Queue, order: &Arc<Mutex<Vec<usize>>>) -> Vec<usize> {
        let mut argon2id = Argon2id::default();
        while let Some(job) = queue.pop() {
            job(&mut argon2id);
        }
        assert!(queue.waiting.is_empty() && queue.lengths == [0, 0]);
        std::mem::take(&mut *order.lock().unwrap())
    }

    #[test]
    fn askers_take_turns_and_so_do_portal_and_api() {
        let (mut queue, order) = (Queue::default(), Arc::new(Mutex::new(Vec::new())));
        for (asker_number, job_number) in [(1, 10), (1, 11), (1, 12), (3, 30), (0, 100), (0, 101), (2, 120)] {
            let order = Arc::clone(&order);
            queue.push(asker(asker_number), Box::new(move |_| order.lock().unwrap().push(job_number))).unwrap();
        }
        assert_eq!(served(queue, &order), [100, 10, 120, 30, 101, 11, 12]);
    }

    #[test]
    fn no_asker_takes_more_than_its_share_and_the_api_leaves_places() {
        let mut queue = Queue::default();
        let mut push = |asker| queue.push(asker, Box::new(|_| ())).is_ok();
        assert_eq!((0..20).filter(|_| push(asker(1))).count(), NETWORK_SHARE);
        let networks = (0..200).filter(|number| push(QueueKey::Api(format!("network {number}")))).count();
        assert_eq!(NETWORK_SHARE + networks, API_LENGTH);
        let people = (0..200).filter(|number| push(QueueKey::Person(*number))).count();
        assert_eq!(people, QUEUE_LENGTH - API_LENGTH);
    }
}
