//! Buffers each account's last call and refusals; flushed every 20 s, so that no call costs a
//! write. A crash loses what is not flushed yet.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Mutex, MutexGuard},
    time::{Duration, Instant},
};

use crate::{
    db::api::{
        Caller, PresentedCredentials,
        call_log::{self, ExpiringCall, LastCall, RefusedCalls},
    },
    domain::{audit::CallRefusal, rotation::Grace},
};
use sqlx::PgPool;

/// How often the buffers are flushed.
pub const FLUSH_EVERY: Duration = Duration::from_secs(20);
/// After refusals of a kind were written, the next ones of that kind are written together, this
/// long afterwards.
const REFUSALS_EVERY: Duration = Duration::from_hours(1);
/// The most kinds of refusals in the buffer; further ones are in the access log only.
const MAX_KINDS: usize = 10_000;

/// Refusals that are written as one event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Kind {
    technical_user_id: i64,
    why: CallRefusal,
    address: IpAddr,
}

/// The refusals of one kind.
#[derive(Clone, Copy, Debug)]
struct Refusals {
    /// Those that are not written yet.
    count: i32,
    not_before: Instant,
}

/// See the module.
#[derive(Default)]
pub struct CallLog {
    calls: Mutex<HashMap<i64, LastCall>>,
    /// The last call of each account with a password that expires within days: perhaps a former
    /// password.
    expiring: Mutex<HashMap<i64, ExpiringCall>>,
    refusals: Mutex<HashMap<Kind, Refusals>>,
}

impl CallLog {
    /// Records an authenticated call.
    pub fn record_call(&self, caller: &Caller, address: IpAddr, software: &str) {
        let Caller { technical_user_id, at, .. } = *caller;
        let mut calls = lock(&self.calls);
        match calls.get_mut(&technical_user_id) {
            Some(kept) if kept.at >= at => {}
            // The usual case; saves an allocation.
            Some(kept) if kept.software == software => (kept.at, kept.address) = (at, address),
            _ => {
                calls.insert(technical_user_id, LastCall { technical_user_id, at, address, software: software.into() });
            }
        }
    }

    /// Records the credentials of an authenticated call, where they expire so soon that a reset may
    /// have replaced them.
    pub fn record_expiring(&self, caller: &Caller, presented: &PresentedCredentials) {
        let Caller { technical_user_id, at, sunset } = *caller;
        let grace = time::Duration::hours(Grace::MOST_HOURS.into());
        if sunset.is_some_and(|sunset| sunset - at <= grace) {
            lock(&self.expiring)
                .insert(technical_user_id, ExpiringCall { technical_user_id, at, presented: presented.clone() });
        }
    }

    /// Records a refused call of a known account.
    pub fn record_refusal(&self, technical_user_id: i64, why: CallRefusal, address: IpAddr) {
        self.count(technical_user_id, why, address, Instant::now());
    }

    fn count(&self, technical_user_id: i64, why: CallRefusal, address: IpAddr, now: Instant) {
        let mut refusals = lock(&self.refusals);
        let kind = Kind { technical_user_id, why, address };
        if refusals.len() >= MAX_KINDS && !refusals.contains_key(&kind) {
            return;
        }
        refusals.entry(kind).or_insert(Refusals { count: 0, not_before: now }).count += 1;
    }

    /// Writes what is due.
    ///
    /// # Errors
    /// Database errors; the buffers then keep their content.
    pub async fn flush(&self, pool: &PgPool) -> sqlx::Result<()> {
        self.flush_due(pool, Instant::now()).await
    }

    /// Writes everything, at shutdown.
    ///
    /// # Errors
    /// Database errors.
    pub async fn flush_all(&self, pool: &PgPool) -> sqlx::Result<()> {
        self.flush_due(pool, Instant::now() + REFUSALS_EVERY).await
    }

    async fn flush_due(&self, pool: &PgPool, due: Instant) -> sqlx::Result<()> {
        let calls: Vec<_> = std::mem::take(&mut *lock(&self.calls)).into_values().collect();
        if let Err(error) = call_log::write_calls(pool, &calls).await {
            let mut kept = lock(&self.calls);
            for call in calls {
                keep_later(&mut kept, call);
            }
            return Err(error);
        }
        let expiring: Vec<_> = std::mem::take(&mut *lock(&self.expiring)).into_values().collect();
        if let Err(error) = call_log::write_former_calls(pool, &expiring).await {
            let mut kept = lock(&self.expiring);
            for call in expiring {
                kept.entry(call.technical_user_id).or_insert(call);
            }
            return Err(error);
        }
        let refusals = self.due_refusals(due);
        call_log::write_refusals(pool, &refusals).await.inspect_err(|_| self.put_back(refusals))
    }

    fn due_refusals(&self, due: Instant) -> Vec<RefusedCalls> {
        let mut buffer = lock(&self.refusals);
        buffer.retain(|_, refusals| refusals.count > 0 || refusals.not_before > due);
        let due = buffer.iter_mut().filter(|(_, refusals)| refusals.count > 0 && refusals.not_before <= due);
        due.map(|(Kind { technical_user_id, why, address }, refusals)| {
            refusals.not_before = Instant::now() + REFUSALS_EVERY;
            let count = std::mem::take(&mut refusals.count);
            RefusedCalls { technical_user_id: *technical_user_id, why: *why, address: *address, count }
        })
        .collect()
    }

    fn put_back(&self, refused: Vec<RefusedCalls>) {
        let now = Instant::now();
        let mut buffer = lock(&self.refusals);
        for RefusedCalls { technical_user_id, why, address, count } in refused {
            let kind = Kind { technical_user_id, why, address };
            let refusals = buffer.entry(kind).or_insert(Refusals { count: 0, not_before: now });
            refusals.count += count;
            refusals.not_before = now;
        }
    }
}

fn keep_later(calls: &mut HashMap<i64, LastCall>, call: LastCall) {
    let kept = calls.entry(call.technical_user_id).or_insert_with(|| call.clone());
    if kept.at < call.at {
        *kept = call;
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().expect("nothing panics under this lock")
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

    #[test]
    fn the_first_refusal_is_written_soon_and_those_that_follow_as_one() {
        let log = CallLog::default();
        let start = Instant::now();
        log.count(1, CallRefusal::WrongPassword, HERE, start);
        assert_eq!(log.due_refusals(Instant::now())[0].count, 1);
        for _ in 0..5 {
            log.count(1, CallRefusal::WrongPassword, HERE, start);
        }
        assert!(log.due_refusals(Instant::now()).is_empty());
        let later = Instant::now() + REFUSALS_EVERY;
        assert_eq!(log.due_refusals(later)[0].count, 5);
        assert!(log.due_refusals(later + REFUSALS_EVERY).is_empty());
        assert!(lock(&log.refusals).is_empty(), "nothing stays of what is over");
    }

    #[test]
    fn a_flood_of_kinds_takes_no_more_memory() {
        let log = CallLog::default();
        for id in 0..20_000 {
            log.record_refusal(id, CallRefusal::WrongPassword, HERE);
        }
        assert_eq!(lock(&log.refusals).len(), MAX_KINDS);
    }
}
