//! However much one person, or strangers, ask for at a time: others are served meanwhile. What
//! holds under load is measured by `bin/attack --floods`.

use std::time::Duration;

use raccord::{
    db::{
        self,
        throttles::{self, Begun, RateLimit, Scope},
    },
    settings::Settings,
    web::edge::state::AppState,
};
use sqlx::{Connection, PgConnection};
use tokio::{
    task::yield_now,
    time::{Instant, sleep, timeout},
};

use crate::common::{Browser, KEY_FILE, PASSWORD, Person, Server, TestPortal};

/// More than the connections to the database.
const MANY: usize = 40;
/// Within this, all of a flood's requests have come to wait.
const ALL_WAIT: Duration = Duration::from_millis(500);
const PROMPTLY: Duration = Duration::from_secs(1);

async fn is_served(browser: &Browser) -> bool {
    let answer = timeout(PROMPTLY, browser.get("/mon-compte")).await;
    answer.is_ok_and(|answer| answer.status == 200)
}

#[tokio::test]
async fn however_many_acts_of_one_person_wait_the_pages_of_others_are_served() {
    let portal = TestPortal::start().await;
    let (one, other) = (portal.person("Sacha").await, portal.person("Camille").await);
    let (browser, visitor) = (portal.signed_in(&one).await, portal.signed_in(&other).await);
    let mut lock = portal.pool.begin().await.expect("a transaction");
    let hold = "SELECT id FROM users WHERE id = $1 FOR UPDATE";
    sqlx::query(hold).bind(one.id).execute(&mut *lock).await.expect("a lock");
    let acts: Vec<_> = (0..MANY)
        .map(|_| {
            let browser = browser.clone();
            tokio::spawn(async move { browser.post("/mon-compte/sessions/0/fermeture", &[]).await.status })
        })
        .collect();
    sleep(ALL_WAIT).await;
    assert!(is_served(&visitor).await);
    lock.rollback().await.expect("the lock is given back");
    for act in acts {
        assert_eq!(act.await.expect("no panic"), 303);
    }
}

#[tokio::test]
async fn however_many_strangers_wait_to_sign_in_the_pages_of_others_are_served() {
    let portal = TestPortal::start().await;
    let sacha = portal.person("Sacha").await;
    let pools = db::serving_pools(&portal.pool, 20);
    let settings = Settings::read(|_| None).expect("sound settings");
    let server = Server::local(AppState::new(pools, settings).expect("no theme to read"));
    let visitor = portal.sign_in(Browser::new(server.clone()), &sacha).await;
    let mut lock = portal.pool.begin().await.expect("a transaction");
    sqlx::query("LOCK TABLE throttles").execute(&mut *lock).await.expect("a lock");
    let attempts: Vec<_> = (0..MANY)
        .map(|number| {
            let stranger = Browser::new(server.clone()).with_address(&format!("192.0.{number}.1"));
            tokio::spawn(async move {
                let fields = [("identifiant", "sacha"), ("mot-de-passe", "pas celui-là, non")];
                stranger.post("/connexion", &fields).await.status
            })
        })
        .collect();
    sleep(ALL_WAIT).await;
    assert!(is_served(&visitor).await);
    lock.rollback().await.expect("the lock is given back");
    for attempt in attempts {
        assert_eq!(attempt.await.expect("no panic"), 422);
    }
}

/// Neighbours of the known browser have all turns of their network.
#[tokio::test]
async fn a_known_browser_signs_in_and_asks_for_a_link_though_its_network_has_all_its_turns() {
    let portal = TestPortal::start().await;
    let (sacha, noor) = (portal.person("Sacha").await, portal.person("Noor").await);
    let given = |name: &str| (name == KEY_FILE.0).then(|| KEY_FILE.1.to_owned());
    let settings = Settings::read(given).expect("sound settings");
    let state = AppState::new(db::serving_pools(&portal.pool, 20), settings).expect("no theme to read");
    let server = Server::local(state.clone());
    let known = portal.sign_in(Browser::new(server.clone()).with_address("192.0.2.7"), &sacha).await;
    known.post("/deconnexion", &[]).await.location();
    let mut cookies = known.cookies();
    for mark in cookies.values_mut() {
        let forged = mark.split('.').map(|part| format!("{}AA", &part[..part.len() - 2]));
        *mark = forged.collect::<Vec<_>>().join(".");
    }
    let forger = Browser::new(server.clone()).with_address("192.0.2.8");
    forger.set_cookies(cookies);
    let unknown = Browser::new(server).with_address("192.0.2.9");
    let all = state.strangers.take("192.0.2.0/24".into(), 100).expect("all turns of the network");
    let attempt = async |browser: &Browser, person: &Person| {
        let typed = [("identifiant", person.login.as_str()), ("mot-de-passe", PASSWORD)];
        browser.post("/connexion", &typed).await.status.as_u16()
    };
    assert_eq!((attempt(&unknown, &sacha).await, attempt(&forger, &sacha).await), (429, 429));
    assert_eq!(attempt(&known, &noor).await, 429, "it is known for one person");
    assert_eq!(attempt(&known, &sacha).await, 303);
    known.post("/mot-de-passe-oublie", &[("identifiant", &sacha.login)]).await.location();
    drop(all);
    assert_eq!(attempt(&unknown, &sacha).await, 303);
    // Where the person's turns are taken, the network's are left.
    let _all = state.strangers.take(format!("known {}", sacha.login), 100).expect("all turns of the person");
    assert_eq!(attempt(&known, &sacha).await, 303);
}

#[tokio::test]
async fn however_many_wrong_passwords_wait_the_calls_of_accounts_are_served() {
    let portal = TestPortal::start().await;
    let (_, structure) = portal.manager().await;
    let account = portal.account(structure.id).await;
    let right = account.password.expose().to_owned();
    assert_eq!(portal.program().health_check(&account.login, &right).await, 200);
    let mut lock = portal.pool.begin().await.expect("a transaction");
    sqlx::query("LOCK TABLE throttles").execute(&mut *lock).await.expect("a lock");
    let wrong: Vec<_> = (0..MANY)
        .map(|number| {
            let (program, login) = (portal.program().with_address(&format!("192.0.{number}.1")), account.login.clone());
            tokio::spawn(async move { program.health_check(&login, "pas celui-là").await })
        })
        .collect();
    sleep(ALL_WAIT).await;
    let served = timeout(PROMPTLY, portal.program().health_check(&account.login, &right)).await;
    assert_eq!(served, Ok(200));
    lock.rollback().await.expect("the lock is given back");
    for call in wrong {
        assert!([401, 429].contains(&call.await.expect("no panic")));
    }
}

#[tokio::test]
async fn what_must_wait_is_refused_and_waits_for_no_lock() {
    let portal = TestPortal::start().await;
    let key = Scope::SignIn.key("sacha", "2001:db8:1::/48");
    for _ in 0..5 {
        throttles::fail(&portal.pool, &key).await.expect("it is counted");
    }
    // Holds the key's lock, as another of many attempts does.
    let mut other = portal.pool.begin().await.expect("a transaction");
    let limit = RateLimit { most: 1, minutes: 1 };
    assert!(throttles::consume(&mut other, key.clone(), limit).await.expect("an answer").is_some());
    let begun = timeout(PROMPTLY, throttles::begin_alone(&portal.pool, vec![key])).await;
    assert!(matches!(begun, Ok(Ok(Begun::Wait(_)))), "{begun:?}");
}

/// Waits until no transaction of the database is left open by a request that has ended.
async fn until_none_is_open(observer: &mut PgConnection, what: &str) {
    let open = "SELECT count(*) FROM pg_stat_activity
                 WHERE datname = current_database() AND state LIKE 'idle in transaction%'";
    let start = Instant::now();
    while sqlx::query_scalar::<_, i64>(open).fetch_one(&mut *observer).await.expect("a count") > 0 {
        assert!(start.elapsed() < Duration::from_secs(2), "{what}: a transaction stays open");
        sleep(Duration::from_millis(2)).await;
    }
}

/// A client may go at any instant. Acts of others in a transaction that stays open would be lost.
#[tokio::test]
async fn a_request_that_ends_at_any_instant_leaves_no_transaction_open() {
    let portal = TestPortal::start().await;
    let (manager, _) = portal.manager().await;
    let browser = portal.signed_in(&manager).await;
    let mut observer = PgConnection::connect(portal.database_url()).await.expect("a connection of its own");
    for instant in 0..400 {
        let request = async {
            match instant % 2 {
                0 => browser.post("/mon-compte/sessions/0/fermeture", &[]).await,
                _ => browser.get("/activites").await,
            }
        };
        let goes = async {
            for _ in 0..instant / 2 {
                yield_now().await;
            }
        };
        tokio::select! {
            biased;
            _ = request => {}
            () = goes => {}
        }
        until_none_is_open(&mut observer, &format!("gone at instant {instant}")).await;
    }
}
