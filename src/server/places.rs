//! Places for connections; the longest idle one is closed when another connection needs a place.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::{Notify, OwnedSemaphorePermit};

/// The connections that wait for nothing of ours: between two requests, or before a head has come.
/// Longest first.
#[derive(Default)]
pub(super) struct Crowd(Mutex<Waiting>);

#[derive(Default)]
struct Waiting {
    arrivals: u64,
    seats: BTreeMap<u64, Arc<Notify>>,
}

impl Crowd {
    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn send_the_longest_away(&self) {
        if let Some((_, seat)) = self.waiting().seats.pop_first() {
            seat.notify_one();
        }
    }
}

/// A connection's place among the others.
pub(super) struct Seat {
    crowd: Arc<Crowd>,
    end: Arc<Notify>,
    /// Its number while it waits.
    number: Mutex<Option<u64>>,
    _place: OwnedSemaphorePermit,
}

impl Seat {
    pub(super) fn new(crowd: Arc<Crowd>, place: OwnedSemaphorePermit) -> Self {
        let seat = Self { crowd, end: Arc::default(), number: Mutex::default(), _place: place };
        seat.wait();
        seat
    }

    fn number(&self) -> MutexGuard<'_, Option<u64>> {
        self.number.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From now on the place may be given to somebody else.
    pub(super) fn wait(&self) {
        let mut waiting = self.crowd.waiting();
        waiting.arrivals += 1;
        let number = waiting.arrivals;
        waiting.seats.insert(number, self.end.clone());
        *self.number() = Some(number);
    }

    /// From now on it may not; `false` where it already was.
    pub(super) fn work(&self) -> bool {
        let number = self.number().take();
        number.is_none_or(|number| self.crowd.waiting().seats.remove(&number).is_some())
    }

    pub(super) async fn sent_away(&self) {
        self.end.notified().await;
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.work();
    }
}
