//! Buffers each account's last call and refusals, flushed every 20 s, and the number of both,
//! flushed every five minutes, so that no call costs a write. A crash loses what is not flushed
//! yet.

use std::{
    collections::HashMap,
    hash::Hash,
    net::IpAddr,
    sync::{Mutex, MutexGuard},
    time::{Duration, Instant},
};

use crate::{
    db::api::{
        Caller, PresentedCredentials,
        call_log::{
            self, CallCount, ExpiringCall, Hour, LastCall, Refused, RefusedCalls, RefusedPassword, RefusedToken,
            hour_of,
        },
        verifiers,
    },
    domain::{
        audit::CallRefusal, restrictions::CallerAddress, rotation::Grace, technical_user::is_technical_login,
        verifier::Verifier,
    },
    web::edge::metrics::RefusalCounter,
};
use sqlx::PgPool;
use tokio::sync::Notify;

/// How often the buffers are flushed.
pub const FLUSH_EVERY: Duration = Duration::from_secs(20);
/// How often counts of calls are added to those of their days: a row of each account that called.
const COUNTS_EVERY: Duration = Duration::from_mins(5);
/// After refusals of a kind were written, the next ones of that kind are written together, this
/// long afterwards.
const REFUSALS_EVERY: Duration = Duration::from_hours(1);
/// The most kinds of refusals, and of refused passwords, in the buffers; further ones are in the
/// access log only.
const MAX_KINDS: usize = 10_000;
/// So many of them ask for a flush at once, which forgets those of no account: made-up credentials
/// must not take the places of refusals that concern one.
const MANY_KINDS: usize = MAX_KINDS / 2;
/// The addresses, each with its reason, that an account's history tells apart in an hour. Refusals
/// from further ones are one kind for each reason: a caller may have addresses without number.
const MOST_KINDS_OF_AN_ACCOUNT: usize = 10;
/// The addresses of an account's callers that are kept until the next flush.
const MOST_CALLERS: usize = 16;
/// Longer than any technical user's login.
const MAX_LOGIN_BYTES: usize = 200;

/// Refusals that are written as one event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Kind {
    technical_user_id: i64,
    why: CallRefusal,
    /// `None` for all beyond [`MOST_KINDS_OF_AN_ACCOUNT`].
    address: Option<IpAddr>,
}

/// The refusals of one kind.
#[derive(Clone, Debug)]
struct Refusals {
    /// Those that are not written yet.
    seen: Refused,
    not_before: Instant,
}

/// See the module.
#[derive(Default)]
pub struct CallLog {
    calls: Mutex<HashMap<i64, LastCall>>,
    /// The last call of each account with a password that expires within days: perhaps a former
    /// password.
    expiring: Mutex<HashMap<i64, ExpiringCall>>,
    /// The verifiers of the last call of each account, where the key file has several keys.
    verifiers: Mutex<HashMap<i64, Vec<Verifier>>>,
    /// Refused passwords, not yet attributed to an account.
    refused: Mutex<HashMap<RefusedPassword, Refused>>,
    /// Refused tokens, of which those count whose caller's address alone was wrong.
    refused_tokens: Mutex<HashMap<RefusedToken, Refused>>,
    refusals: Mutex<HashMap<Kind, Refusals>>,
    /// Calls and refusals of each account that are to be added to those of their days. Only a flush
    /// touches it: a call is counted in `calls`.
    counts: Mutex<HashMap<(i64, Option<Hour>), Counts>>,
    /// Whether [`MANY_KINDS`] are kept.
    many: Notify,
    /// When counts are written next; `None` before the first time.
    counts_due: Mutex<Option<Instant>>,
    metric: RefusalCounter,
}

/// Accepted and refused calls.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Counts {
    accepted: i64,
    refused: i64,
}

impl CallLog {
    /// Counts refused calls in this metric, too.
    pub fn counting_in(metric: RefusalCounter) -> Self {
        Self { metric, ..Self::default() }
    }

    /// Records an authenticated call.
    pub fn record_call(&self, caller: &Caller, presented: &PresentedCredentials, address: IpAddr, software: &str) {
        self.record_last_call(caller, presented.from, address, software);
        self.record_expiring(caller, presented);
        if let Some(verifiers) = presented.verifiers.as_ref().filter(|verifiers| verifiers.len() > 1) {
            lock(&self.verifiers).insert(caller.technical_user_id, verifiers.clone());
        }
    }

    fn record_last_call(&self, caller: &Caller, from: CallerAddress, address: IpAddr, software: &str) {
        let Caller { technical_user_id, at, .. } = *caller;
        let mut calls = lock(&self.calls);
        let kept = calls.entry(technical_user_id).or_insert_with(|| {
            let (software, callers, hours) = (software.into(), Vec::new(), Vec::new());
            LastCall { technical_user_id, at, address, software, callers, hours }
        });
        add_calls(&mut kept.hours, hour_of(at), 1);
        if let Some(caller) = from.known() {
            keep_caller(&mut kept.callers, caller);
        }
        if kept.at < at {
            (kept.at, kept.address) = (at, address);
            // The same one, as nearly always: saves an allocation.
            if kept.software != software {
                kept.software = software.into();
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

    /// Records a refused password. What cannot be a technical user's login is left out.
    pub fn record_refused(&self, password: RefusedPassword, software: &str) {
        if password.login.len() <= MAX_LOGIN_BYTES && is_technical_login(&password.login) {
            self.note_many(record_in(&self.refused, password, software));
        }
    }

    /// Records a refused token.
    pub fn record_refused_token(&self, token: RefusedToken, software: &str) {
        self.note_many(record_in(&self.refused_tokens, token, software));
    }

    fn note_many(&self, kinds: usize) {
        if kinds >= MANY_KINDS {
            self.many.notify_one();
        }
    }

    /// Waits until a flush should not wait for its time.
    pub async fn wants_flush(&self) {
        self.many.notified().await;
    }

    fn count(&self, refused: &[RefusedCalls], now: Instant) {
        let mut counts = lock(&self.counts);
        for calls in refused {
            counts.entry((calls.technical_user_id, None)).or_default().refused += i64::from(calls.seen.count);
            self.metric.add(calls.why, calls.seen.count.unsigned_abs().into());
        }
        drop(counts);
        let mut refusals = lock(&self.refusals);
        let mut places = Places::default();
        for kind in refusals.keys() {
            places.take(kind);
        }
        for RefusedCalls { technical_user_id, why, address, seen } in refused {
            let of = |address| Kind { technical_user_id: *technical_user_id, why: *why, address };
            let kind = [of(*address), of(None)]
                .into_iter()
                .find(|kind| refusals.contains_key(kind) || places.has_room_for(kind));
            let Some(kind) = kind else { continue };
            if !refusals.contains_key(&kind) {
                places.take(&kind);
            }
            let kept = refusals.entry(kind).or_insert_with(|| Refusals { seen: Refused::default(), not_before: now });
            add(&mut kept.seen, seen);
        }
    }

    /// Writes what is due.
    ///
    /// # Errors
    /// Database errors; the buffers then keep their content.
    pub async fn flush(&self, pool: &PgPool) -> sqlx::Result<()> {
        self.flush_ahead(pool, Duration::ZERO).await
    }

    /// Writes everything, at shutdown.
    ///
    /// # Errors
    /// Database errors.
    pub async fn flush_all(&self, pool: &PgPool) -> sqlx::Result<()> {
        self.flush_ahead(pool, REFUSALS_EVERY).await
    }

    async fn flush_ahead(&self, pool: &PgPool, ahead: Duration) -> sqlx::Result<()> {
        self.flush_calls(pool).await?;
        self.flush_expiring(pool).await?;
        let verifiers: Vec<_> = take(&self.verifiers).into_values().collect();
        // Where this fails, the account's next call tries again.
        verifiers::renew(pool, &verifiers).await?;
        self.attribute_refused(pool).await?;
        self.attribute_refused_tokens(pool).await?;
        let due = Instant::now() + ahead;
        self.flush_counts(pool, due).await?;
        let refusals = self.due_refusals(due);
        call_log::write_refusals(pool, &refusals).await.inspect_err(|_| self.put_back(refusals))
    }

    async fn flush_calls(&self, pool: &PgPool) -> sqlx::Result<()> {
        let calls: Vec<_> = take(&self.calls).into_values().collect();
        if let Err(error) = call_log::write_calls(pool, &calls).await {
            let mut kept = lock(&self.calls);
            for call in calls {
                keep_later(&mut kept, call);
            }
            return Err(error);
        }
        let mut counts = lock(&self.counts);
        for call in calls {
            for (hour, accepted) in call.hours {
                counts.entry((call.technical_user_id, Some(hour))).or_default().accepted += accepted;
            }
        }
        Ok(())
    }

    async fn flush_counts(&self, pool: &PgPool, due: Instant) -> sqlx::Result<()> {
        if lock(&self.counts_due).is_some_and(|next| next > due) {
            return Ok(());
        }
        let taken = take(&self.counts);
        let counts: Vec<_> = taken
            .iter()
            .map(|(&(technical_user_id, hour), &Counts { accepted, refused })| CallCount {
                technical_user_id,
                hour,
                accepted,
                refused,
            })
            .collect();
        if let Err(error) = call_log::add_counts(pool, &counts).await {
            let mut kept = lock(&self.counts);
            for (key, Counts { accepted, refused }) in taken {
                let kept = kept.entry(key).or_default();
                kept.accepted += accepted;
                kept.refused += refused;
            }
            return Err(error);
        }
        if !counts.is_empty() {
            *lock(&self.counts_due) = Some(Instant::now() + COUNTS_EVERY);
        }
        Ok(())
    }

    async fn flush_expiring(&self, pool: &PgPool) -> sqlx::Result<()> {
        let expiring: Vec<_> = take(&self.expiring).into_values().collect();
        call_log::write_former_calls(pool, &expiring).await.inspect_err(|_| {
            let mut kept = lock(&self.expiring);
            for call in expiring {
                kept.entry(call.technical_user_id).or_insert(call);
            }
        })
    }

    /// Counts refused passwords for their accounts.
    async fn attribute_refused(&self, pool: &PgPool) -> sqlx::Result<()> {
        let refused: Vec<_> = take(&self.refused).into_iter().collect();
        match call_log::find_refused(pool, &refused).await {
            Ok(found) => {
                self.count(&found, Instant::now());
                Ok(())
            }
            Err(error) => {
                let mut kept = lock(&self.refused);
                for (password, seen) in refused {
                    add(kept.entry(password).or_default(), &seen);
                }
                Err(error)
            }
        }
    }

    /// The same for tokens. What cannot be attributed now is left out: a token lives for minutes.
    async fn attribute_refused_tokens(&self, pool: &PgPool) -> sqlx::Result<()> {
        let refused: Vec<_> = take(&self.refused_tokens).into_iter().collect();
        let found = call_log::find_refused_tokens(pool, &refused).await?;
        self.count(&found, Instant::now());
        Ok(())
    }

    fn due_refusals(&self, due: Instant) -> Vec<RefusedCalls> {
        let mut buffer = lock(&self.refusals);
        buffer.retain(|_, refusals| refusals.seen.count > 0 || refusals.not_before > due);
        let due = buffer.iter_mut().filter(|(_, refusals)| refusals.seen.count > 0 && refusals.not_before <= due);
        due.map(|(Kind { technical_user_id, why, address }, refusals)| {
            refusals.not_before = Instant::now() + REFUSALS_EVERY;
            let seen = std::mem::take(&mut refusals.seen);
            RefusedCalls { technical_user_id: *technical_user_id, why: *why, address: *address, seen }
        })
        .collect()
    }

    fn put_back(&self, refused: Vec<RefusedCalls>) {
        let now = Instant::now();
        let mut buffer = lock(&self.refusals);
        for RefusedCalls { technical_user_id, why, address, seen } in refused {
            let kind = Kind { technical_user_id, why, address };
            let refusals = buffer.entry(kind).or_insert_with(|| Refusals { seen: Refused::default(), not_before: now });
            add(&mut refusals.seen, &seen);
            refusals.not_before = now;
        }
    }
}

/// The places that kinds of refusals take, each class of them its own [`MAX_KINDS`]: wrong
/// passwords from an address, wrong passwords of an account, and refusals of a right credential. So
/// whoever guesses passwords of many accounts keeps no other refusal out.
#[derive(Default)]
struct Places {
    of_classes: HashMap<(bool, bool), usize>,
    of_accounts: HashMap<i64, usize>,
}

impl Places {
    fn class(kind: &Kind) -> (bool, bool) {
        let is_wrong = kind.why == CallRefusal::WrongPassword;
        (is_wrong, is_wrong && kind.address.is_some())
    }

    fn take(&mut self, kind: &Kind) {
        *self.of_classes.entry(Self::class(kind)).or_default() += 1;
        *self.of_accounts.entry(kind.technical_user_id).or_default() += 1;
    }

    fn has_room_for(&self, kind: &Kind) -> bool {
        let of_account = self.of_accounts.get(&kind.technical_user_id);
        let is_one_more = kind.address.is_some() && of_account.is_some_and(|&kinds| kinds >= MOST_KINDS_OF_AN_ACCOUNT);
        !is_one_more && self.of_classes.get(&Self::class(kind)).is_none_or(|&kinds| kinds < MAX_KINDS)
    }
}

/// Counts a refused credential, where there is room for its kind.
/// Returns how many kinds are kept then.
fn record_in<K: Eq + Hash>(refused: &Mutex<HashMap<K, Refused>>, credential: K, software: &str) -> usize {
    let mut refused = lock(refused);
    if refused.len() >= MAX_KINDS && !refused.contains_key(&credential) {
        return refused.len();
    }
    let kept = refused.entry(credential).or_default();
    kept.count += 1;
    kept.last = Some(Instant::now());
    if kept.software != software {
        kept.software = software.into();
    }
    refused.len()
}

fn add(kept: &mut Refused, later: &Refused) {
    kept.count += later.count;
    // One that was put back may be the earlier one.
    if kept.last <= later.last {
        kept.last = later.last;
        kept.software.clone_from(&later.software);
    }
}

fn keep_caller(callers: &mut Vec<IpAddr>, caller: IpAddr) {
    if callers.len() < MOST_CALLERS && !callers.contains(&caller) {
        callers.push(caller);
    }
}

fn add_calls(hours: &mut Vec<(Hour, i64)>, hour: Hour, calls: i64) {
    match hours.iter_mut().find(|(of, _)| *of == hour) {
        Some((_, counted)) => *counted += calls,
        None => hours.push((hour, calls)),
    }
}

fn keep_later(calls: &mut HashMap<i64, LastCall>, call: LastCall) {
    let empty = || LastCall { callers: Vec::new(), hours: Vec::new(), ..call.clone() };
    let kept = calls.entry(call.technical_user_id).or_insert_with(empty);
    for caller in &call.callers {
        keep_caller(&mut kept.callers, *caller);
    }
    for (hour, calls) in &call.hours {
        add_calls(&mut kept.hours, *hour, *calls);
    }
    if kept.at < call.at {
        let (callers, hours) = (std::mem::take(&mut kept.callers), std::mem::take(&mut kept.hours));
        *kept = LastCall { callers, hours, ..call };
    }
}

fn take<T: Default>(mutex: &Mutex<T>) -> T {
    std::mem::take(&mut *lock(mutex))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().expect("nothing panics under this lock")
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use futures_util::FutureExt;

    use super::*;

    const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

    fn wrong(technical_user_id: i64) -> RefusedCalls {
        let seen = Refused { count: 1, last: Some(Instant::now()), software: "curl".into() };
        RefusedCalls { technical_user_id, why: CallRefusal::WrongPassword, address: Some(HERE), seen }
    }

    #[test]
    fn the_first_refusal_is_written_soon_and_those_that_follow_as_one() {
        let log = CallLog::default();
        let start = Instant::now();
        log.count(&[wrong(1)], start);
        assert_eq!(log.due_refusals(Instant::now())[0].seen.count, 1);
        for _ in 0..5 {
            log.count(&[wrong(1)], start);
        }
        assert!(log.due_refusals(Instant::now()).is_empty());
        let later = Instant::now() + REFUSALS_EVERY;
        let seen = &log.due_refusals(later)[0].seen;
        assert_eq!((seen.count, seen.software.as_str()), (5, "curl"));
        assert!(seen.last > Some(start));
        assert!(log.due_refusals(later + REFUSALS_EVERY).is_empty());
        assert!(lock(&log.refusals).is_empty(), "nothing stays of what is over");
    }

    #[test]
    fn a_flood_of_kinds_takes_no_more_memory() {
        let log = CallLog::default();
        log.count(&(0..20_000).map(wrong).collect::<Vec<_>>(), Instant::now());
        for id in 0..20_000 {
            log.record_refused(refused(&format!("TECH_{id}_X@cpro.fr")), "");
        }
        assert_eq!((lock(&log.refusals).len(), lock(&log.refused).len()), (2 * MAX_KINDS, MAX_KINDS));
    }

    #[test]
    fn wrong_passwords_of_many_accounts_keep_no_other_refusal_out() {
        let log = CallLog::default();
        log.count(&(0..30_000).map(wrong).collect::<Vec<_>>(), Instant::now());
        let outside = RefusedCalls { why: CallRefusal::OutsideNetworks, ..wrong(40_000) };
        log.count(&[outside], Instant::now());
        let due = log.due_refusals(Instant::now());
        assert!(due.iter().any(|refused| refused.technical_user_id == 40_000));
    }

    #[test]
    fn made_up_credentials_ask_for_a_flush_before_they_take_every_place() {
        let log = CallLog::default();
        let token = |number: usize| RefusedToken { hash: number.to_be_bytes().into(), address: HERE };
        for number in 1..MANY_KINDS {
            log.record_refused_token(token(number), "");
        }
        assert!(log.wants_flush().now_or_never().is_none());
        log.record_refused_token(token(MANY_KINDS), "");
        assert!(log.wants_flush().now_or_never().is_some());
    }

    fn refused(login: &str) -> RefusedPassword {
        RefusedPassword { login: login.into(), checksum: None, address: HERE, from: CallerAddress::Known(HERE) }
    }

    #[test]
    fn what_is_no_technical_login_is_not_kept() {
        let log = CallLog::default();
        for login in ["mon mot de passe", "anne@mairie.fr", &format!("TECH_1_{}@cpro.fr", "9".repeat(200))] {
            log.record_refused(refused(login), "");
        }
        assert!(lock(&log.refused).is_empty());
        log.record_refused(refused("TECH_1_X@cpro.fr"), "");
        assert_eq!(lock(&log.refused).len(), 1);
    }
}
