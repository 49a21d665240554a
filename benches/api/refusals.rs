//! How long refused credentials take: what is refused must not show in the time.

use std::{net::SocketAddr, time::Duration};

use raccord::web::paths;

use crate::{
    accounts::Accounts,
    common::TestPortal,
    load::{self, Variant, request},
};

/// Calls of each kind, in this many turns.
const CALLS: usize = 1_000;
const TURNS: usize = 20;

/// What is wrong with a credential, and what makes it so: SQL for the account whose login is $1.
const KINDS: [(&str, &str); 5] = [
    // Its verifier ends too: it would be found by that alone.
    (
        "unknown login",
        "WITH ended AS (DELETE FROM password_verifiers v USING technical_users t
                                       WHERE t.id = v.technical_user_id AND t.login = $1)
                       UPDATE technical_users SET login = 'TECH_9_' || id || '@cpro.fr' WHERE login = $1",
    ),
    (
        "wrong password",
        "UPDATE password_verifiers v SET verifier = sha256(v.verifier) FROM technical_users t
                         WHERE t.id = v.technical_user_id AND t.login = $1",
    ),
    ("expired", "UPDATE technical_users SET expires_at = portal_now() - interval '1 day' WHERE login = $1"),
    ("suspended", "UPDATE technical_users SET status = 'SUSPENDED' WHERE login = $1"),
    ("deleted", "UPDATE technical_users SET status = 'DELETED' WHERE login = $1"),
];

/// The times of each kind of refusal, in turns.
pub async fn measure(portal: &TestPortal, raccord: SocketAddr) -> Vec<(&'static str, Vec<Duration>)> {
    let mut measured = Vec::new();
    for (number, (kind, change)) in KINDS.into_iter().enumerate() {
        let account = Accounts::create(portal, &format!("REFUS{number}"), 1).await;
        sqlx::query(change).bind(account.login()).execute(&portal.pool).await.expect("a change");
        let calls = account.headers_of_passwords().flat_map(|header| from_many_networks(&header, number)).collect();
        measured.push((Variant::new(kind, raccord, calls).answered("401"), Vec::new()));
    }
    for turn in 0..=TURNS {
        for (variant, times) in &mut measured {
            let of_turn = load::times(variant, CALLS / TURNS).await;
            // The first turn is a warm-up.
            if turn > 0 {
                times.extend(of_turn);
            }
        }
    }
    measured.into_iter().zip(KINDS).map(|((_, times), (kind, _))| (kind, times)).collect()
}

/// Calls from networks of their own, so that none is throttled.
fn from_many_networks(header: &str, kind: usize) -> Vec<String> {
    let call = |number: usize| {
        let from = format!("X-Forwarded-For: 10.{}.{}.1\r\n", kind * 8 + number / 256, number % 256);
        request(paths::API_HEALTH_CHECK, &format!("{header}{from}"), "")
    };
    (0..CALLS + CALLS / TURNS).map(call).collect()
}

pub fn print(measured: &[(&str, Vec<Duration>)]) {
    println!("\nRefused credentials, µs: {:>20} {:>8} {:>8}   of {CALLS} calls each, in turns", "p25", "median", "p75");
    for (kind, times) in measured {
        let [low, median, high] = [25, 50, 75].map(|percent| load::percentile(times, percent).as_micros());
        println!("{kind:24} {low:>20} {median:>8} {high:>8}");
    }
}
