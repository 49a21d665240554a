//! One person, one account or one network that asks for much, and the pages of others meanwhile.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use raccord::domain::role::Role;

use super::binary::{Directory, Serving};
use crate::common::{Browser, PASSWORD, TestPortal};

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
async fn a_person_who_tries_costly_new_passwords_delays_no_other_person() {
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
                }
            }));
        }
    }
    tokio::time::sleep(Duration::from_millis(300)).await;
    let pages = durations(&browser, &page, 50).await;
    stop.store(true, Ordering::Relaxed);
    for task in flood {
        task.await.expect("no panic");
    }
    println!("{} tried; pages: median {:?}, slowest {:?}", asked.load(Ordering::Relaxed), pages[25], pages[49]);
    assert!(pages[49] < Duration::from_secs(1), "the slowest page in {:?}", pages[49]);
    serving.stop();
}
