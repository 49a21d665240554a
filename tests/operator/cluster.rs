//! One of several machines: a database that comes late, is a standby or went back, and key files
//! that differ.

use std::{
    fs,
    net::TcpListener,
    os::unix::fs::symlink,
    path::Path,
    time::{Duration, Instant},
};

use raccord::{
    db::{audit::chain, availability},
    domain::audit_chain::Head,
};

use super::{
    binary::{Directory, Serving, free_address, raccord, run, send},
    faults::health_check,
    outages::{until, until_ready},
    postgres::Postgres,
};
use crate::common::{Browser, KEY_FILE, Structure, TestPortal};

/// A URL by way of a symbolic link, which stands for a proxy before two servers.
pub fn url_by_way_of(link: &Path) -> String {
    let host = link.to_str().expect("text").replace('/', "%2F");
    format!("postgres://raccord@localhost:5432/raccord?host={host}&sslmode=disable")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_comes_late_is_waited_for() {
    let portal = TestPortal::start().await;
    portal.set_database_reachable(false).await;
    let directory = Directory::create();
    let mut serving = Serving::spawn(&directory, &["serve"], &[("DATABASE_URL", portal.database_url())]);
    until("says that it waits", 10, || serving.log().contains("the database is not there yet"));
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert!(!serving.has_ended(), "{}", serving.log());
    portal.set_database_reachable(true).await;
    until_ready(&serving, 20);
    assert_eq!(serving.log().matches("not there yet").count(), 1);
    serving.stop();
}

#[test]
fn a_database_that_accepts_and_says_nothing_is_given_up() {
    let silent = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = silent.local_addr().expect("its address").port();
    let url = format!("postgres://raccord@127.0.0.1:{port}/raccord");
    let start = Instant::now();
    let (code, _, said) = run(&mut raccord(&["audit", "verify"], &[("DATABASE_URL", &url)]));
    assert!(start.elapsed() < Duration::from_secs(20), "{:?}", start.elapsed());
    assert!(code == 1 && said.lines().last().is_some_and(|line| line.contains("cannot be reached")), "{code} {said}");
}

#[test]
fn a_wrong_password_or_name_is_not_waited_for() {
    let postgres = Postgres::start(&[]);
    let start = Instant::now();
    let (code, _, said) = run(&mut raccord(&["serve"], &[("DATABASE_URL", &postgres.url("raccord", "nowhere"))]));
    assert!(code == 1 && said.contains("nowhere") && !said.contains("not there yet"), "{said}");
    assert!(start.elapsed() < Duration::from_secs(10));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_standby_is_not_taken_for_the_database() {
    let primary = Postgres::start(&["wal_level=replica", "max_wal_senders=4"]);
    let portal = TestPortal::over(&primary.url("raccord", "raccord")).await;
    let standby = primary.standby("second", &["hot_standby=on"]);
    let (code, _, said) =
        run(&mut raccord(&["audit", "verify"], &[("DATABASE_URL", &standby.url("raccord", "raccord"))]));
    assert!(code == 1 && said.contains("standby"), "{code} {said}");
    let connections = raccord::db::pool(standby.url("raccord", "raccord").parse().expect("a URL"), 2);
    let refused = connections.acquire().await.expect_err("no connection");
    assert!(availability::is_unavailable(&refused), "{refused}");
    // The same server, once it leads.
    standby.sql("postgres", "SELECT pg_promote()");
    assert!(availability::ping(&connections).await.is_ok());
    drop(portal);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_that_is_led_to_a_standby_is_not_ready_until_that_leads() {
    let primary = Postgres::start(&["wal_level=replica", "max_wal_senders=4"]);
    let portal = TestPortal::over(&primary.url("raccord", "raccord")).await;
    let standby = primary.standby("second", &["hot_standby=on"]);
    let directory = Directory::create();
    let (link, new) = (directory.path().join("database"), directory.path().join("new"));
    symlink(primary.socket_dir(), &link).expect("a link");
    let serving = Serving::start(&directory, &["serve"], &[("DATABASE_URL", &url_by_way_of(&link))]);
    symlink(standby.socket_dir(), &new).and_then(|()| fs::rename(&new, &link)).expect("a new link");
    primary.kill();
    assert_eq!(standby.sql("raccord", "SELECT pg_is_in_recovery()"), "t");
    for _ in 0..8 {
        assert_eq!(serving.get("/readyz").expect("an answer").0, 503);
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
    standby.sql("postgres", "SELECT pg_promote()");
    until_ready(&serving, 10);
    serving.stop();
    drop(portal);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_start_leaves_no_connection_beside_those_that_serve() {
    let postgres = Postgres::start(&[]);
    let portal = TestPortal::over(&postgres.url("raccord", "raccord")).await;
    let (manager, structure) = portal.manager().await;
    let account = portal.technical_user(&structure, &manager).await;
    // A role of its own separates the instance's connections from those of the test.
    postgres.sql("postgres", "CREATE ROLE instance LOGIN SUPERUSER");
    let directory = Directory::create();
    let url = postgres.url("instance", "raccord");
    let settings = [("DATABASE_URL", url.as_str()), ("RACCORD_DATABASE_CONNECTIONS", "3"), KEY_FILE];
    let serving = Serving::start(&directory, &["serve"], &settings);
    let browser = portal.sign_in(serving.browser(), &manager).await;
    let login = portal.login_of(account).await;
    assert_eq!(health_check(&serving, "", &login, "faux"), Some(401));
    // A page waits for a lock and another is shown meanwhile, so that all three are open: two of
    // pages, one of the API.
    let holder = portal.hold(&structure).await;
    let (editor, path) = (browser.clone(), format!("/utilisateurs-techniques/{account}/libelle"));
    let edit = tokio::spawn(async move { editor.post(&path, &[("libelle", "ERP")]).await });
    let open = |which: &str| {
        let count = format!("SELECT count(*) FROM pg_stat_activity WHERE usename = 'instance' AND {which}");
        postgres.sql("raccord", &count)
    };
    until("waits for the lock", 10, || open("wait_event_type = 'Lock'") == "1");
    browser.open("/mon-compte").await;
    assert_eq!(open("true"), "3");
    holder.rollback().await.expect("the lock is given back");
    edit.await.expect("no panic");
    serving.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_with_another_key_file_does_not_serve_unless_told_to() {
    let portal = TestPortal::start().await;
    let (manager, structure) = portal.manager().await;
    let (first, second) = (Directory::create(), Directory::create());
    let settings = [("DATABASE_URL", portal.database_url())];
    let serving = Serving::start(&first, &["serve"], &settings);
    let browser = portal.sign_in(serving.browser(), &manager).await;
    portal.create_and_show(&browser, structure.id, "ERP").await;
    let refused = |what: &str| {
        let mut serving = Serving::spawn(&second, &["serve"], &settings);
        assert_eq!(serving.wait(), Some(1), "{what}: {}", serving.log());
        let log = serving.log();
        let line = log.lines().last().unwrap_or_default();
        assert!(line.contains("RACCORD_SECRET_KEY_FILE") && line.contains("--accept-new-keys"), "{what}: {log}");
    };
    refused("no key file");
    let key = second.path().join("secret.key");
    assert!(!key.exists(), "none is made");
    Serving::start(&second, &["serve", "--accept-new-keys"], &settings).stop();
    assert!(key.exists());
    refused("another key file");
    fs::copy(first.path().join("secret.key"), &key).expect("a copy");
    Serving::start(&second, &["serve"], &settings).stop();
    serving.stop();
}

/// Where the history ends before an account is created, and after.
async fn heads_around_a_creation(portal: &TestPortal, browser: &Browser, structure: &Structure) -> [Head; 2] {
    let before = chain::head(&portal.pool).await.expect("a head");
    portal.create_account(browser, structure.id, "ERP").await;
    [before, chain::head(&portal.pool).await.expect("a head")]
}

#[tokio::test]
async fn a_history_that_went_back_is_noticed_though_it_grows_again() {
    let portal = TestPortal::start().await;
    let (manager, structure) = portal.manager().await;
    let browser = portal.signed_in(&manager).await;
    let [before, seen] = heads_around_a_creation(&portal, &browser, &structure).await;
    assert!(seen.position > before.position && chain::has(&portal.pool, &seen).await.expect("an answer"));
    portal.forget_history_after(before.position).await;
    assert!(!chain::has(&portal.pool, &seen).await.expect("an answer"));
    portal.create_account(&browser, structure.id, "Paie").await;
    let again = chain::head(&portal.pool).await.expect("a head");
    assert!(again.position >= seen.position && !chain::has(&portal.pool, &seen).await.expect("an answer"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_says_within_a_minute_that_history_went_back() {
    let portal = TestPortal::start().await;
    let (manager, structure) = portal.manager().await;
    let browser = portal.signed_in(&manager).await;
    let [before, seen] = heads_around_a_creation(&portal, &browser, &structure).await;
    let (directory, metrics) = (Directory::create(), free_address());
    let listen = metrics.to_string();
    let settings = [("DATABASE_URL", portal.database_url()), ("RACCORD_METRICS_LISTEN", &listen), KEY_FILE];
    let serving = Serving::start(&directory, &["serve"], &settings);
    let says = |line: &str| {
        let answer = send(metrics, "GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        answer.is_some_and(|(_, _, body)| body.lines().any(|one| one == line))
    };
    until("knows the history", 10, || says(&format!("raccord_audit_position {}", seen.position)));
    assert!(says("raccord_audit_went_back_total 0"));
    portal.forget_history_after(before.position).await;
    // It grows again, and is as long as it was.
    portal.create_account(&browser, structure.id, "Paie").await;
    until("notices it", 75, || says("raccord_audit_went_back_total 1"));
    let log = serving.stop();
    let lines: Vec<_> = log.lines().filter(|line| line.contains("went back to an earlier state")).collect();
    assert!(lines.len() == 1 && lines[0].contains("ERROR"), "{log}");
    assert!(lines[0].contains(&format!("seen={seen}")), "{}", lines[0]);
}
