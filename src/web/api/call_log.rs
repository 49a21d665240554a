//! What calls leave behind: the last one of each account, and those that were refused. Kept in
//! memory and written together, so that no call costs a write; a crash loses less than a minute of
//! it.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Mutex, MutexGuard},
    time::{Duration, Instant},
};

use sqlx::PgPool;
use time::OffsetDateTime;

use crate::{
    db::api::{
        Caller, Claim,
        call_log::{self, EndingCall, LastCall, RefusedCalls},
    },
    domain::{audit::CallRefusal, rotation::Grace},
};

/// How often traces are written.
pub const WRITE_EVERY: Duration = Duration::from_secs(20);
/// After refusals were written, those that follow of the same kind wait for as long, to be written
/// as one.
const REFUSALS_EVERY: Duration = Duration::from_hours(1);
/// Kinds of refusals that are counted at a time: beyond, a flood is in the log alone.
const MOST_REFUSALS: usize = 10_000;

type Kind = (i64, CallRefusal, IpAddr);

/// Refusals of one kind.
#[derive(Clone, Copy, Debug)]
struct Counted {
    /// Not written yet.
    count: i32,
    not_before: Instant,
}

/// See the module.
#[derive(Default)]
pub struct CallLog {
    calls: Mutex<HashMap<i64, LastCall>>,
    /// Of each account the last call whose password ends within days, which a reset may have
    /// replaced.
    ending: Mutex<HashMap<i64, EndingCall>>,
    refusals: Mutex<HashMap<Kind, Counted>>,
}

impl CallLog {
    /// A call that was let in.
    pub fn call(&self, technical_user_id: i64, at: OffsetDateTime, address: IpAddr, software: &str) {
        let mut calls = lock(&self.calls);
        match calls.get_mut(&technical_user_id) {
            Some(kept) if kept.at >= at => {}
            // Nearly always the same software: no need for a text of its own each time.
            Some(kept) if kept.software == software => (kept.at, kept.address) = (at, address),
            _ => {
                calls.insert(technical_user_id, LastCall { technical_user_id, at, address, software: software.into() });
            }
        }
    }

    /// By what a call was let in: remembered where the password ends so soon that a reset may have
    /// replaced it.
    pub fn let_in(&self, caller: &Caller, claim: &Claim) {
        let Caller { technical_user_id, at, sunset } = *caller;
        let grace = time::Duration::hours(Grace::MOST_HOURS.into());
        if sunset.is_some_and(|sunset| sunset - at <= grace) {
            lock(&self.ending).insert(technical_user_id, EndingCall { technical_user_id, at, claim: claim.clone() });
        }
    }

    /// A call that was not, and why: callers never learn.
    pub fn refusal(&self, technical_user_id: i64, why: CallRefusal, address: IpAddr) {
        self.count(technical_user_id, why, address, Instant::now());
    }

    fn count(&self, technical_user_id: i64, why: CallRefusal, address: IpAddr, now: Instant) {
        let mut refusals = lock(&self.refusals);
        let kind = (technical_user_id, why, address);
        if refusals.len() >= MOST_REFUSALS && !refusals.contains_key(&kind) {
            return;
        }
        refusals.entry(kind).or_insert(Counted { count: 0, not_before: now }).count += 1;
    }

    /// Writes what is due.
    ///
    /// # Errors
    /// Database errors; nothing is lost by them.
    pub async fn write(&self, pool: &PgPool) -> sqlx::Result<()> {
        self.write_until(pool, Instant::now()).await
    }

    /// Writes everything, at the end of the process.
    ///
    /// # Errors
    /// Database errors.
    pub async fn write_all(&self, pool: &PgPool) -> sqlx::Result<()> {
        self.write_until(pool, Instant::now() + REFUSALS_EVERY).await
    }

    async fn write_until(&self, pool: &PgPool, due: Instant) -> sqlx::Result<()> {
        let calls: Vec<_> = std::mem::take(&mut *lock(&self.calls)).into_values().collect();
        if let Err(error) = call_log::write_calls(pool, &calls).await {
            let mut kept = lock(&self.calls);
            for call in calls {
                keep_later(&mut kept, call);
            }
            return Err(error);
        }
        let ending: Vec<_> = std::mem::take(&mut *lock(&self.ending)).into_values().collect();
        if let Err(error) = call_log::write_former_calls(pool, &ending).await {
            let mut kept = lock(&self.ending);
            for call in ending {
                kept.entry(call.technical_user_id).or_insert(call);
            }
            return Err(error);
        }
        let refusals = self.due_refusals(due);
        call_log::write_refusals(pool, &refusals).await.inspect_err(|_| self.give_back(refusals))
    }

    fn due_refusals(&self, due: Instant) -> Vec<RefusedCalls> {
        let mut counted = lock(&self.refusals);
        counted.retain(|_, counted| counted.count > 0 || counted.not_before > due);
        let due = counted.iter_mut().filter(|(_, counted)| counted.count > 0 && counted.not_before <= due);
        due.map(|((technical_user_id, why, address), counted)| {
            counted.not_before = Instant::now() + REFUSALS_EVERY;
            let count = std::mem::take(&mut counted.count);
            RefusedCalls { technical_user_id: *technical_user_id, why: *why, address: *address, count }
        })
        .collect()
    }

    fn give_back(&self, refusals: Vec<RefusedCalls>) {
        let now = Instant::now();
        let mut counted = lock(&self.refusals);
        for RefusedCalls { technical_user_id, why, address, count } in refusals {
            let kept =
                counted.entry((technical_user_id, why, address)).or_insert(Counted { count: 0, not_before: now });
            kept.count += count;
            kept.not_before = now;
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
        let traces = CallLog::default();
        let start = Instant::now();
        traces.count(1, CallRefusal::WrongPassword, HERE, start);
        assert_eq!(traces.due_refusals(Instant::now())[0].count, 1);
        for _ in 0..5 {
            traces.count(1, CallRefusal::WrongPassword, HERE, start);
        }
        assert!(traces.due_refusals(Instant::now()).is_empty());
        let later = Instant::now() + REFUSALS_EVERY;
        assert_eq!(traces.due_refusals(later)[0].count, 5);
        assert!(traces.due_refusals(later + REFUSALS_EVERY).is_empty());
        assert!(lock(&traces.refusals).is_empty(), "nothing stays of what is over");
    }

    #[test]
    fn a_flood_of_kinds_takes_no_more_memory() {
        let traces = CallLog::default();
        for id in 0..20_000 {
            traces.refusal(id, CallRefusal::WrongPassword, HERE);
        }
        assert_eq!(lock(&traces.refusals).len(), MOST_REFUSALS);
    }
}
