//! One person, one account or one network that asks for much, and the pages of others meanwhile.

use std::{
    io::{Read, Write},
    net::TcpStream,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use raccord::domain::role::Role;

use super::binary::{Directory, Serving};
use crate::common::{Browser, KEY_FILE, PASSWORD, Program, SEARCH, TestPortal};

/// Opens a page again and again. Returns the sorted durations.
async fn durations(browser: &Browser, path: &str, count: usize) -> Vec<Duration> {
    let mut durations = Vec::with_capacity(count);
    for _ in 0..count {
        let start = Instant::now();
        browser.open(path).await;
        durations.push(start.elapsed());
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    durations.sort();
    durations
}

/// What `zxcvbn` takes longest for: each sign may stand for several letters.
fn costly_password() -> String {
    "4@8({[<369&#!1/|0$5+7%2".chars().cycle().take(128).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn costly_new_passwords_of_one_person_delay_no_other_person() {
    let portal = TestPortal::start().await;
    let (manager, structure) = portal.manager().await;
    let directory = Directory::create();
    let serving = Serving::start(&directory, &["serve"], &[("DATABASE_URL", portal.database_url())]);
    let browser = portal.sign_in(serving.browser(), &manager).await;
    let page = format!("/structures/{}", structure.id);
    let stop = Arc::new(AtomicBool::new(false));
    let asked = Arc::new(AtomicUsize::new(0));
    let mut flood = Vec::new();
    // One does not know the password; the other one does, and chooses what is refused.
    let weak = "motdepasse@(1{".repeat(9);
    for (name, current, new) in [("Hugo", "inconnu", costly_password()), ("Zoé", PASSWORD, weak)] {
        let person = portal.person(name).await;
        portal.attach(&person, &structure, Role::User).await;
        let attacker = portal.sign_in(serving.browser(), &person).await;
        for _ in 0..8 {
            let (attacker, new, stop, asked) = (attacker.clone(), new.clone(), stop.clone(), asked.clone());
            flood.push(tokio::spawn(async move {
                while !stop.load(Ordering::Relaxed) {
                    let fields = [("mot-de-passe-actuel", current), ("nouveau-mot-de-passe", &new)];
                    let status = attacker.post("/mon-compte/mot-de-passe", &fields).await.status.as_u16();
                    assert!(matches!(status, 422 | 429 | 503), "{status}");
                    asked.fetch_add(1, Ordering::Relaxed);
                    tokio::time::sleep(Duration::from_secs(1)).await;
                }
            }));
        }
    }
    tokio::time::sleep(Duration::from_millis(300)).await;
    let pages = durations(&browser, &page, 60).await;
    stop.store(true, Ordering::Relaxed);
    for task in flood {
        task.await.expect("no panic");
    }
    println!("{} tried; pages: median {:?}, slowest {:?}", asked.load(Ordering::Relaxed), pages[30], pages[59]);
    assert!(pages[30] < Duration::from_millis(500), "half of the pages in {:?}", pages[30]);
    assert!(pages[59] < Duration::from_secs(2), "the slowest page in {:?}", pages[59]);
    serving.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn searches_of_one_account_delay_no_page_and_wait_for_one_another() {
    let portal = TestPortal::start().await;
    let (manager, structure) = portal.manager().await;
    let account = portal.account(structure.id).await;
    let other = portal.account_without_verifier(structure.id).await;
    let directory = Directory::create();
    let serving = Serving::start(&directory, &["serve"], &[("DATABASE_URL", portal.database_url()), KEY_FILE]);
    let browser = portal.sign_in(serving.browser(), &manager).await;
    // Every call takes a second.
    portal
        .execute(
            "ALTER FUNCTION password_caller(bytea[], inet) RENAME TO fast_password_caller;
             CREATE FUNCTION password_caller(shown_verifiers bytea[], caller inet) RETURNS TABLE (technical_user_id bigint,
                 manager_id bigint, structures_chosen boolean, at timestamptz, sunset timestamptz, credential_version integer)
             LANGUAGE plpgsql STABLE AS $$ BEGIN
                 PERFORM pg_sleep(1);
                 RETURN QUERY SELECT c.* FROM fast_password_caller(shown_verifiers, caller) c;
             END $$",
        )
        .await;
    let program = Program::new(serving.server());
    let search = |account: String| {
        let program = program.clone();
        tokio::spawn(async move { program.call(SEARCH, &[("cpro-account", &account)], "{}").await })
    };
    let flood: Vec<_> = (0..80).map(|_| search(account.cpro_account())).collect();
    tokio::time::sleep(Duration::from_millis(300)).await;
    let pages = durations(&browser, &format!("/structures/{}", structure.id), 20).await;
    assert_eq!(serving.get("/readyz").expect("an answer").0, 200);
    println!("pages: median {:?}, slowest {:?}", pages[10], pages[19]);
    assert!(pages[19] < Duration::from_secs(1), "the slowest page in {:?}", pages[19]);
    let other = search(other.cpro_account()).await.expect("no panic");
    assert!(matches!(other.status.as_u16(), 200 | 401), "another account is judged: {}", other.status);
    let (mut served, mut told_to_wait) = (0, 0);
    for answer in flood {
        let answer = answer.await.expect("no panic");
        match answer.status.as_u16() {
            200 => served += 1,
            429 if answer.header("retry-after").is_some() => told_to_wait += 1,
            other => panic!("{other}"),
        }
    }
    assert!(served >= 4 && told_to_wait >= 40, "{served} served, {told_to_wait} told to wait");
    serving.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_has_two_downloads_at_a_time_and_the_next_after_one_of_them() {
    let portal = TestPortal::start().await;
    let (manager, structure) = portal.manager().await;
    portal
        .execute(
            "INSERT INTO audit_events (actor, address, action, structure_id, subject, detail)
             SELECT 'x', '192.0.2.1', 'ACT_REFUSED', s.id, repeat('a', 1000), repeat('b', 2000)
               FROM structures s, generate_series(1, 3000)",
        )
        .await;
    let directory = Directory::create();
    let serving = Serving::start(&directory, &["serve"], &[("DATABASE_URL", portal.database_url())]);
    let browser = portal.sign_in(serving.browser(), &manager).await;
    let cookie = browser.cookies().iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("; ");
    let path = format!("/structures/{}/historique.csv", structure.id);
    // Asks for a download and reads no more than the beginning of its answer.
    let download = || {
        let mut stream = TcpStream::connect(serving.address).expect("a connection");
        let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nCookie: {cookie}\r\n\r\n");
        stream.write_all(request.as_bytes()).expect("a request");
        let mut start = [0; 12];
        stream.read_exact(&mut start).expect("an answer");
        (String::from_utf8_lossy(&start).into_owned(), stream)
    };
    let (first, second) = (download(), download());
    assert_eq!((first.0.as_str(), second.0.as_str()), ("HTTP/1.1 200", "HTTP/1.1 200"));
    let refused = browser.get(&path).await;
    assert!(refused.status == 429 && refused.header("retry-after").is_some(), "{}", refused.status);
    assert!(refused.page().heading().contains("Trop de demandes"));
    drop(first);
    let start = Instant::now();
    while download().0 != "HTTP/1.1 200" {
        assert!(start.elapsed() < Duration::from_secs(10), "the share is not given back");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    serving.stop();
}
