//! A bounded number of slots for connections, and of each client network. When another connection
//! needs one, the connection that has been idle for longest is closed.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::{Notify, OwnedSemaphorePermit};

/// The slots that are taken. Connections that wait for nothing from the server (between two
/// requests, or before a request has arrived whole) are idle: any of them may be closed.
pub(super) struct Slots {
    /// The most connections of one network.
    of_network: usize,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    last_number: u64,
    /// By number: the connection that has been idle for longest comes first.
    idle: BTreeMap<u64, Idle>,
    /// The connections of each network.
    taken: HashMap<String, usize>,
}

struct Idle {
    close: Arc<Notify>,
    network: Option<String>,
}

impl Slots {
    pub(super) fn new(of_network: usize) -> Self {
        Self { of_network, state: Mutex::default() }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn close_longest_idle(&self) {
        if let Some((_, idle)) = self.lock().idle.pop_first() {
            idle.close.notify_one();
        }
    }

    /// Counts a connection of the network. Where the network has all its slots, its connection
    /// that has been idle for longest is closed; false where none is idle.
    fn admit(&self, network: &str) -> bool {
        let mut state = self.lock();
        if state.taken.get(network).is_some_and(|taken| *taken >= self.of_network) {
            let of_network = |idle: &Idle| idle.network.as_deref() == Some(network);
            let longest = state.idle.iter().find(|(_, idle)| of_network(idle)).map(|(number, _)| *number);
            let Some(idle) = longest.and_then(|number| state.idle.remove(&number)) else { return false };
            idle.close.notify_one();
        }
        *state.taken.entry(network.to_owned()).or_default() += 1;
        true
    }

    fn leave(&self, network: &str) {
        let mut state = self.lock();
        if let Some(taken) = state.taken.get_mut(network) {
            *taken -= 1;
            if *taken == 0 {
                state.taken.remove(network);
            }
        }
    }
}

/// The slot that one connection occupies.
pub(super) struct Slot {
    slots: Arc<Slots>,
    close: Arc<Notify>,
    /// `None` where the network's connections are not counted.
    network: Option<String>,
    /// The connection's number among the idle ones; `None` while it handles a request.
    number: Mutex<Option<u64>>,
    _permit: OwnedSemaphorePermit,
}

impl Slot {
    /// A slot for a new connection, which is idle at first. `None` where its network has no slot
    /// left.
    pub(super) fn take(slots: &Arc<Slots>, network: Option<String>, permit: OwnedSemaphorePermit) -> Option<Self> {
        if !network.as_ref().is_none_or(|network| slots.admit(network)) {
            return None;
        }
        let (slots, close) = (slots.clone(), Arc::default());
        let slot = Self { slots, close, network, number: Mutex::default(), _permit: permit };
        slot.mark_idle();
        Some(slot)
    }

    fn number(&self) -> MutexGuard<'_, Option<u64>> {
        self.number.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From now on the connection may be closed to free its slot.
    pub(super) fn mark_idle(&self) {
        let mut state = self.slots.lock();
        state.last_number += 1;
        let number = state.last_number;
        state.idle.insert(number, Idle { close: self.close.clone(), network: self.network.clone() });
        *self.number() = Some(number);
    }

    /// From now on the connection may not be closed. `false` where it is being closed already.
    pub(super) fn mark_busy(&self) -> bool {
        let number = self.number().take();
        number.is_none_or(|number| self.slots.lock().idle.remove(&number).is_some())
    }

    /// Completes once the connection must be closed.
    pub(super) async fn needed(&self) {
        self.close.notified().await;
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.mark_busy();
        if let Some(network) = &self.network {
            self.slots.leave(network);
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;
    use tokio::sync::Semaphore;

    use super::*;

    fn take(slots: &Arc<Slots>, network: Option<&str>) -> Option<Slot> {
        let permit = Arc::new(Semaphore::new(1)).try_acquire_owned().unwrap();
        Slot::take(slots, network.map(str::to_owned), permit)
    }

    #[test]
    fn a_network_has_its_places_and_its_longest_idle_connection_makes_room() {
        let slots = Arc::new(Slots::new(3));
        let [first, second, third] = [(); 3].map(|()| take(&slots, Some("a")).unwrap());
        assert!(first.mark_busy());
        let fourth = take(&slots, Some("a")).unwrap();
        let is_closed = |slot: &Slot| slot.needed().now_or_never().is_some();
        assert_eq!([&first, &second, &third, &fourth].map(is_closed), [false, true, false, false]);
        drop(second);
        assert!(third.mark_busy() && fourth.mark_busy());
        assert!(take(&slots, Some("a")).is_none(), "all are busy");
        let others = [take(&slots, Some("b")), take(&slots, None)];
        assert!(others.iter().all(Option::is_some));
        drop(first);
        assert!(take(&slots, Some("a")).is_some());
        drop((third, fourth, others));
        assert!(slots.lock().taken.is_empty() && slots.lock().idle.is_empty());
    }
}
