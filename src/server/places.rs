//! A bounded number of places for connections. When another connection needs one, the connection
//! that has been idle for longest is closed.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::{Notify, OwnedSemaphorePermit};

/// Connections that wait for nothing from the server: between two requests, or before a request
/// has arrived whole. Any of them may be closed.
#[derive(Default)]
pub(super) struct IdleConnections(Mutex<Idle>);

#[derive(Default)]
struct Idle {
    last_number: u64,
    /// By number: the connection that has been idle for longest comes first.
    connections: BTreeMap<u64, Arc<Notify>>,
}

impl IdleConnections {
    fn lock(&self) -> MutexGuard<'_, Idle> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn close_longest_idle(&self) {
        if let Some((_, close)) = self.lock().connections.pop_first() {
            close.notify_one();
        }
    }
}

/// The place that one connection occupies.
pub(super) struct Place {
    idle: Arc<IdleConnections>,
    close: Arc<Notify>,
    /// The connection's number among the idle ones; `None` while it handles a request.
    number: Mutex<Option<u64>>,
    _permit: OwnedSemaphorePermit,
}

impl Place {
    /// A place for a new connection, which is idle at first.
    pub(super) fn new(idle: Arc<IdleConnections>, permit: OwnedSemaphorePermit) -> Self {
        let place = Self { idle, close: Arc::default(), number: Mutex::default(), _permit: permit };
        place.mark_idle();
        place
    }

    fn number(&self) -> MutexGuard<'_, Option<u64>> {
        self.number.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From now on the connection may be closed to free its place.
    pub(super) fn mark_idle(&self) {
        let mut idle = self.idle.lock();
        idle.last_number += 1;
        let number = idle.last_number;
        idle.connections.insert(number, self.close.clone());
        *self.number() = Some(number);
    }

    /// From now on the connection may not be closed. `false` where it is being closed already.
    pub(super) fn mark_busy(&self) -> bool {
        let number = self.number().take();
        number.is_none_or(|number| self.idle.lock().connections.remove(&number).is_some())
    }

    /// Completes once the connection must be closed.
    pub(super) async fn needed(&self) {
        self.close.notified().await;
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.mark_busy();
    }
}
