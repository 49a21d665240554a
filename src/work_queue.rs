//! Costly computations on dedicated threads, one per core, behind a bounded and fair queue:
//! Argon2id with 19 MiB per thread, the judgement of chosen passwords, PDF, QR codes. They never
//! occupy the threads that serve.
//!
//! A flood fills its own places of the queue and gets [`Busy`]. It costs no further memory, and
//! delays other groups by one job each.

use std::{
    collections::{HashMap, VecDeque},
    net::IpAddr,
    sync::{Arc, Condvar, Mutex, MutexGuard},
    thread,
    time::Duration,
};

use rand::CryptoRng;
use thiserror::Error;
use tokio::sync::oneshot;

use crate::domain::{
    network::site_of,
    password::{Argon2id, PasswordHash},
    person::TypedPassword,
    random,
};

/// The most jobs of each [`Side`] that may wait. At 20 ms each on two cores, with all sides full,
/// the last one of a side waits for less than three seconds.
const PLACES: usize = 96;
/// The most jobs that one network may queue.
const SHARE: usize = 8;
/// The most jobs that one signed-in person may queue: as many as they open forms at once, and more.
const PERSON_SHARE: usize = 2 * SHARE;
/// A thread without a job for this long gives its memory back.
const IDLE: Duration = Duration::from_secs(10);

/// The queue is full, or the group's share of it: try again shortly.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("too many costly computations are waiting")]
pub struct Busy;

/// Whose share of the queue a job counts against: its group. The groups of a side are served in
/// turn (round robin), and so are the three sides.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum QueueKey {
    /// A person who is signed in or has followed a link, by id.
    Person(i64),
    /// A network from which people sign in.
    Portal(String),
    /// A network from which programs call.
    Api(String),
}

impl QueueKey {
    /// Of a visitor who has not signed in.
    #[must_use]
    pub fn portal(address: IpAddr) -> Self {
        Self::Portal(site_of(address))
    }

    /// Of a program.
    #[must_use]
    pub fn api(address: IpAddr) -> Self {
        Self::Api(site_of(address))
    }

    fn side(&self) -> Side {
        match self {
            Self::Person(_) => Side::People,
            Self::Portal(_) => Side::Portal,
            Self::Api(_) => Side::Api,
        }
    }
}

/// An index into the queue: each side has its own places and turns, so that neither visitors nor
/// programs take the places of people who are signed in.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    People,
    Portal,
    Api,
}

const SIDES: usize = 3;

type Job = Box<dyn FnOnce(&mut Argon2id) + Send>;

/// The jobs of each side.
#[derive(Default)]
struct Queue {
    sides: [Groups; SIDES],
    /// The side that is served next, if it has a job.
    next: usize,
    closed: bool,
}

impl Queue {
    /// A job that had to make room is dropped, which answers it [`Busy`].
    fn push(&mut self, key: QueueKey, job: Job) -> Result<(), Busy> {
        self.sides[key.side() as usize].push(key, job)
    }

    fn pop(&mut self) -> Option<Job> {
        let sides = (self.next..self.next + SIDES).map(|side| side % SIDES);
        let side = sides.into_iter().find(|side| self.sides[*side].length > 0)?;
        self.next = (side + 1) % SIDES;
        self.sides[side].pop()
    }
}

/// The jobs of one side, by group.
#[derive(Default)]
struct Groups {
    waiting: HashMap<QueueKey, VecDeque<Job>>,
    /// The order in which the groups are served.
    turns: VecDeque<QueueKey>,
    /// The number of jobs.
    length: usize,
}

impl Groups {
    fn push(&mut self, key: QueueKey, job: Job) -> Result<(), Busy> {
        let of_group = self.waiting.get(&key).map_or(0, VecDeque::len);
        let share = if matches!(key, QueueKey::Person(_)) { PERSON_SHARE } else { SHARE };
        if of_group >= share {
            return Err(Busy);
        }
        if self.length >= PLACES {
            self.make_room(of_group)?;
        }
        if of_group == 0 {
            self.turns.push_back(key.clone());
        }
        self.waiting.entry(key).or_default().push_back(job);
        self.length += 1;
        Ok(())
    }

    /// Drops the newest job of the longest group, if that group still has no fewer jobs than the
    /// newcomer's, which has `of_group`.
    fn make_room(&mut self, of_group: usize) -> Result<(), Busy> {
        let longest = self.waiting.values_mut().max_by_key(|jobs| jobs.len()).ok_or(Busy)?;
        if longest.len() < of_group + 2 {
            return Err(Busy);
        }
        longest.pop_back();
        self.length -= 1;
        Ok(())
    }

    fn pop(&mut self) -> Option<Job> {
        let key = self.turns.pop_front()?;
        let jobs = self.waiting.get_mut(&key)?;
        let job = jobs.pop_front();
        if jobs.is_empty() {
            self.waiting.remove(&key);
        } else {
            self.turns.push_back(key);
        }
        self.length -= 1;
        job
    }
}

/// The queue, shared with the threads.
#[derive(Default)]
struct SharedQueue {
    queue: Mutex<Queue>,
    changed: Condvar,
}

impl SharedQueue {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().expect("nothing panics under this lock")
    }

    /// Waits for the next job.
    fn next_job(&self) -> Next {
        let mut queue = self.lock();
        loop {
            if queue.closed {
                return Next::Closed;
            }
            if let Some(job) = queue.pop() {
                return Next::Job(job);
            }
            let (waited, timeout) = self.changed.wait_timeout(queue, IDLE).expect("nothing panics under this lock");
            queue = waited;
            if timeout.timed_out() && !queue.closed {
                return queue.pop().map_or(Next::Idle, Next::Job);
            }
        }
    }

    /// Runs jobs until the queue is closed.
    fn work(&self) {
        let mut argon2id = Argon2id::default();
        loop {
            match self.next_job() {
                Next::Job(job) => job(&mut argon2id),
                Next::Idle => argon2id.free_memory(),
                Next::Closed => return,
            }
        }
    }
}

/// What a thread does next.
enum Next {
    Job(Job),
    /// There was no job for [`IDLE`].
    Idle,
    Closed,
}

/// The threads for costly computations. They stop when the last clone is dropped.
#[derive(Clone)]
pub struct WorkQueue(Arc<Threads>);

struct Threads(Arc<SharedQueue>);

impl Drop for Threads {
    fn drop(&mut self) {
        self.0.lock().closed = true;
        self.0.changed.notify_all();
    }
}

impl Default for WorkQueue {
    fn default() -> Self {
        Self::with_threads(thread::available_parallelism().map_or(2, usize::from))
    }
}

impl WorkQueue {
    /// Starts `threads` threads.
    #[must_use]
    pub fn with_threads(threads: usize) -> Self {
        let queue = Arc::new(SharedQueue::default());
        for number in 0..threads.max(1) {
            let queue = Arc::clone(&queue);
            thread::Builder::new()
                .name(format!("worker-{number}"))
                .spawn(move || queue.work())
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
        self.enqueue(key, move |argon2id| argon2id.hash(password.expose(), salt)).await
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
        self.enqueue(key, move |argon2id| argon2id.verify(password.expose(), hash.as_ref())).await
    }

    /// Runs another computation that takes more than about a millisecond of processor.
    ///
    /// # Errors
    /// [`Busy`] where the queue is full.
    pub async fn run<T: Send + 'static>(
        &self,
        key: QueueKey,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Busy> {
        self.enqueue(key, |_| work()).await
    }

    /// Runs a computation with Argon2id of its own kind.
    ///
    /// # Errors
    /// [`Busy`] where the queue is full.
    pub async fn compute<T: Send + 'static>(
        &self,
        key: QueueKey,
        work: impl FnOnce(&mut Argon2id) -> T + Send + 'static,
    ) -> Result<T, Busy> {
        self.enqueue(key, work).await
    }

    async fn enqueue<T: Send + 'static>(
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
        let work_queue = WorkQueue::with_threads(1);
        let hash = work_queue.hash(key(0), typed("un mot de passe"), &mut random::os_rng()).await.unwrap();
        assert!(work_queue.verify(key(0), typed("un mot de passe"), Some(hash.clone())).await.unwrap());
        assert!(!work_queue.verify(key(0), typed("un autre"), Some(hash)).await.unwrap());
        assert!(!work_queue.verify(key(0), typed("un autre"), None).await.unwrap());
    }

    #[tokio::test]
    async fn a_flood_is_refused_and_others_are_served_meanwhile() {
        let work_queue = WorkQueue::with_threads(1);
        let flood: Vec<_> = (0..300)
            .map(|_| {
                tokio::spawn({
                    let work_queue = work_queue.clone();
                    async move { work_queue.verify(key(1), typed("x"), None).await }
                })
            })
            .collect();
        tokio::task::yield_now().await;
        assert!(!work_queue.verify(key(0), typed("x"), None).await.unwrap());
        let mut refused = 0;
        for attempt in flood {
            refused += usize::from(attempt.await.unwrap() == Err(Busy));
        }
        assert!(refused > 200, "{refused}");
    }

    /// A queue whose jobs write their numbers down as they run.
    #[derive(Default)]
    struct Recorded {
        queue: Queue,
        order: Arc<Mutex<Vec<usize>>>,
    }

    impl Recorded {
        fn push(&mut self, key: QueueKey, number: usize) -> bool {
            let order = Arc::clone(&self.order);
            self.queue.push(key, Box::new(move |_| order.lock().unwrap().push(number))).is_ok()
        }

        fn run_next(&mut self) -> bool {
            self.queue.pop().map(|job| job(&mut Argon2id::default())).is_some()
        }

        /// Runs all jobs. Returns the numbers in the order in which they ran.
        fn served(mut self) -> Vec<usize> {
            while self.run_next() {}
            assert!(self.queue.sides.iter().all(|side| side.waiting.is_empty() && side.length == 0));
            std::mem::take(&mut *self.order.lock().unwrap())
        }
    }

    #[test]
    fn keys_take_turns_and_so_do_people_portal_and_api() {
        let mut queue = Recorded::default();
        for (key_number, job_number) in [(1, 10), (1, 11), (1, 12), (3, 30), (0, 100), (0, 101), (2, 120)] {
            assert!(queue.push(key(key_number), job_number));
        }
        assert!(queue.push(QueueKey::Person(1), 7));
        assert_eq!(queue.served(), [7, 100, 10, 120, 30, 101, 11, 12]);
    }

    #[test]
    fn no_key_takes_more_than_its_share_and_neither_networks_nor_people_take_the_others_places() {
        let mut queue = Recorded::default();
        assert_eq!((0..20).filter(|_| queue.push(key(1), 0)).count(), SHARE);
        let networks = (0..200).filter(|number| queue.push(QueueKey::Api(format!("network {number}")), 0)).count();
        // The first network made room for one after the other, until all had one.
        assert_eq!(SHARE - 1 + networks, PLACES + SHARE - 2);
        assert_eq!((0..20).filter(|_| queue.push(QueueKey::Person(1), 0)).count(), PERSON_SHARE);
        assert_eq!((0..200).filter(|number| queue.push(key(2 * number), 0)).count(), PLACES);
    }

    /// Floods from this many networks, each with this many requests at a time, as often as one is
    /// served or refused. Returns how many of 25 sign-ins from another network, and how many of 25
    /// computations of a signed-in person, were refused or overtaken by more than a turn.
    fn refused_under_flood(networks: usize, each: usize) -> (usize, usize) {
        let mut queue = Recorded::default();
        let flood = |queue: &mut Recorded, each: usize| {
            for number in 0..networks * each {
                queue.push(QueueKey::Portal(format!("network {}", number % networks)), 0);
            }
        };
        let is_served = |queue: &mut Recorded, key: QueueKey, number: usize| {
            let taken = queue.push(key, number);
            (0..2 * PLACES).any(|_| {
                flood(queue, 1);
                queue.run_next();
                queue.order.lock().unwrap().last() == Some(&number)
            }) && taken
        };
        let (mut sign_ins, mut confirmations) = (0, 0);
        for number in 1..=25 {
            flood(&mut queue, each);
            sign_ins += usize::from(!is_served(&mut queue, QueueKey::Portal("owner".into()), number));
            confirmations += usize::from(!is_served(&mut queue, QueueKey::Person(1), 100 + number));
        }
        (sign_ins, confirmations)
    }

    #[test]
    fn however_many_networks_flood_people_and_other_networks_are_served() {
        for (networks, each) in [(16, 6), (32, 4), (32, 12), (64, 8)] {
            assert_eq!(refused_under_flood(networks, each), (0, 0), "{networks} networks of {each}");
        }
    }

    #[test]
    fn the_newest_job_of_the_longest_group_makes_room_and_is_answered() {
        let mut queue = Queue::default();
        let mut push = |network: usize| {
            let (answer, answered) = oneshot::channel::<()>();
            queue.push(QueueKey::Portal(network.to_string()), Box::new(move |_| drop(answer))).unwrap();
            answered
        };
        let mut waiting: Vec<_> = (0..PLACES).map(|number| push(number / SHARE)).collect();
        let _newcomer = push(PLACES);
        let answered = |job: &mut oneshot::Receiver<()>| job.try_recv() == Err(oneshot::error::TryRecvError::Closed);
        let dropped: Vec<_> = (0..PLACES).filter(|number| answered(&mut waiting[*number])).collect();
        assert!(matches!(dropped[..], [number] if number % SHARE == SHARE - 1), "{dropped:?}");
    }
}
