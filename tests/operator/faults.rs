//! Start, stop and faults of the process and of its database.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    thread,
    time::{Duration, Instant},
};

use super::binary::{Directory, Serving, raccord, run, send};
use crate::common::{HEALTH, KEY_FILE, TestPortal, cpro_account};

/// The status of a health check over TCP, as a trusted proxy forwards it from the address `from`.
pub fn health_check(serving: &Serving, from: &str, login: &str, password: &str) -> Option<u16> {
    let account = cpro_account(login, password);
    let request = format!(
        "GET {HEALTH} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nX-Forwarded-For: {from}\r\n\
         cpro-account: {account}\r\n\r\n"
    );
    send(serving.address, &request).map(|answer| answer.0)
}

#[test]
fn the_embedded_database_outlives_the_portals_faults_and_keeps_its_data() {
    let directory = Directory::create();
    let mut first = Serving::start(&directory, &["serve", "--demo"], &[]);
    let credentials = directory.path().join("demo-credentials.json");
    let told = fs::read_to_string(&credentials).expect("the demonstration's sign-in data");
    assert_eq!(fs::metadata(&credentials).expect("the file").permissions().mode() & 0o777, 0o600);
    let json: serde_json::Value = serde_json::from_str(&told).expect("JSON");
    let roles: Vec<_> =
        json["accounts"].as_array().expect("a list").iter().map(|account| account["role"].clone()).collect();
    assert_eq!(roles, ["gestionnaire_principal", "gestionnaire_principal", "gestionnaire_secondaire", "utilisateur"]);
    first.signal("-KILL");
    assert_eq!(first.wait(), None);
    // The orphaned database is taken over, and the demonstration is not filled in again.
    let second = Serving::start(&directory, &["serve", "--demo"], &[]);
    let log = second.stop();
    assert!(log.contains("the demonstration is kept as it is"), "{log}");
    let cluster = directory.path().join("postgres/cluster/pgdata/postmaster.pid");
    assert!(!cluster.exists(), "the database ended with the portal");
    let start = Instant::now();
    let third = Serving::start(&directory, &["serve"], &[]);
    assert!(start.elapsed() < Duration::from_secs(5), "a second start is quick: {:?}", start.elapsed());
    third.signal("-INT");
    let mut third = third;
    assert_eq!(third.wait(), Some(0));
    let kept: serde_json::Value =
        serde_json::from_str(&fs::read_to_string(&credentials).expect("still there")).expect("JSON");
    assert_eq!(kept["accounts"], json["accounts"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_demonstration_is_not_laid_over_real_data() {
    let portal = TestPortal::start().await;
    portal.manager().await;
    let directory = Directory::create();
    let data = directory.path().to_str().expect("a path of text");
    let (code, _, told) =
        run(&mut raccord(&["serve", "--demo"], &[("DATABASE_URL", portal.database_url()), ("RACCORD_DATA_DIR", data)]));
    assert!(code == 1 && told.contains("demonstration"), "{code} {told}");
    assert_eq!(portal.count("structures").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn instances_that_start_together_share_one_database() {
    let portal = TestPortal::start().await;
    portal.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public").await;
    let directory = Directory::create();
    let settings = [("DATABASE_URL", portal.database_url())];
    let started: Vec<_> = (0..4).map(|_| Serving::spawn(&directory, &["serve"], &settings)).collect();
    let start = Instant::now();
    for serving in started {
        while serving.get("/readyz").is_none_or(|answer| answer.0 != 200) {
            assert!(start.elapsed() < Duration::from_mins(1), "{}", serving.log());
            thread::sleep(Duration::from_millis(50));
        }
        serving.stop();
    }
    let applied = portal.number("SELECT count(*) FROM _sqlx_migrations WHERE success", &[]).await;
    let migrations = fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/migrations")).expect("migrations").count();
    assert_eq!(usize::try_from(applied), Ok(migrations));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_under_way_is_answered_after_the_end_was_asked_for() {
    let portal = TestPortal::start().await;
    let directory = Directory::create();
    let mut serving = Serving::start(&directory, &["serve"], &[("DATABASE_URL", portal.database_url())]);
    let address = serving.address;
    // A sign-in takes its time for hashing.
    let under_way: Vec<_> = (0..6)
        .map(|number| {
            thread::spawn(move || {
                let body = format!("identifiant=personne{number}%40exemple.fr&mot-de-passe=faux");
                let request = format!(
                    "POST /connexion HTTP/1.1\r\nHost: x\r\nConnection: close\r\nSec-Fetch-Site: same-origin\r\n\
                     Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{body}",
                    body.len()
                );
                send(address, &request)
            })
        })
        .collect();
    thread::sleep(Duration::from_millis(60));
    serving.signal("-TERM");
    for answer in under_way {
        let (status, _, body) = answer.join().expect("no panic").expect("an answer");
        assert!(status == 422 && body.contains("Identifiant ou mot de passe incorrect."), "{status}");
    }
    assert_eq!(serving.wait(), Some(0), "{}", serving.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn without_its_database_the_portal_says_so_and_recovers_by_itself() {
    let portal = TestPortal::start().await;
    let (manager, structure) = portal.manager().await;
    let browser = portal.signed_in(&manager).await;
    let (id, _, password) = portal.create_and_show(&browser, structure.id, "ERP").await;
    let login = portal.login_of(id).await;
    let directory = Directory::create();
    let serving = Serving::start(&directory, &["serve"], &[("DATABASE_URL", portal.database_url()), KEY_FILE]);
    assert_eq!(health_check(&serving, "", &login, &password), Some(200));
    portal.set_database_reachable(false).await;
    let start = Instant::now();
    // The form needs no database; submitting it does.
    assert_eq!(serving.get("/connexion").expect("an answer").0, 200);
    assert_eq!(serving.get("/livez").expect("an answer").0, 200);
    assert_eq!(serving.get("/readyz").expect("an answer").0, 503);
    // Nothing is authenticated from memory alone.
    assert_eq!(health_check(&serving, "", &login, &password), Some(503));
    assert!(start.elapsed() < Duration::from_secs(15), "{:?}", start.elapsed());
    portal.set_database_reachable(true).await;
    let start = Instant::now();
    while health_check(&serving, "", &login, &password) != Some(200) {
        assert!(start.elapsed() < Duration::from_secs(20), "it does not recover:\n{}", serving.log());
        thread::sleep(Duration::from_millis(200));
    }
    serving.stop();
}

/// The resident memory of a process, in megabytes.
fn memory(pid: u32) -> usize {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("the process runs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("its memory");
    line.trim().trim_end_matches(" kB").parse::<usize>().expect("a number") / 1024
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_wrong_passwords_takes_neither_memory_nor_the_pages_nor_the_owners_place() {
    let portal = TestPortal::start().await;
    let (manager, structure) = portal.manager().await;
    let browser = portal.signed_in(&manager).await;
    let (id, _, password) = portal.create_and_show(&browser, structure.id, "ERP").await;
    let login = portal.login_of(id).await;
    let directory = Directory::create();
    let settings = [
        ("DATABASE_URL", portal.database_url()),
        KEY_FILE,
        ("RACCORD_TRUSTED_PROXIES", "127.0.0.1"),
        ("RACCORD_LOG", "warn"),
    ];
    let serving = Serving::start(&directory, &["serve"], &settings);
    let before = memory(serving.pid());
    thread::scope(|scope| {
        let flood: Vec<_> = (0..500)
            .map(|number| {
                let (serving, login) = (&serving, &login);
                // Half aim at the one account, half at as many logins.
                let aimed = if number % 2 == 0 { login.clone() } else { format!("TECH_{number}_X@cpro.fr") };
                scope.spawn(move || health_check(serving, "203.0.113.9", &aimed, &format!("faux {number}")))
            })
            .collect();
        let mut pages = Vec::new();
        while pages.len() < 100 {
            let start = Instant::now();
            assert_eq!(serving.get("/connexion").expect("an answer").0, 200);
            pages.push(start.elapsed());
        }
        pages.sort();
        assert!(pages[98] < Duration::from_secs(1), "99 % of the pages in {:?}", pages[98]);
        // The owner calls from elsewhere.
        let start = Instant::now();
        assert_eq!(health_check(&serving, "192.0.2.1", &login, &password), Some(200));
        assert!(start.elapsed() < Duration::from_secs(2), "the owner waited for {:?}", start.elapsed());
        for refused in flood {
            assert!(matches!(refused.join().expect("no panic"), Some(401 | 429)));
        }
        println!("pages: median {:?}, 99th {:?}; memory before {before} MB", pages[50], pages[98]);
    });
    let after = memory(serving.pid());
    println!("memory after {after} MB");
    assert!(after < before + 60, "from {before} to {after} MB");
    serving.stop();
}
