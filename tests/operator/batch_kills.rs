//! `kill -9` of the portal at any instant of a batch: each of its accounts is made or reset once,
//! and its password is in the file.

use std::time::Duration;

use super::{
    binary::{Directory, Serving},
    kills::{number_from, random_below},
};
use crate::common::{Browser, Structure, TestPortal};

/// Accounts of a batch.
const ACCOUNTS: usize = 100;

/// What must hold at every instant: a number of rows that break it.
const RULES: [(&str, &str); 4] = [
    (
        "an event of each creation",
        "SELECT count(*) FROM technical_users t WHERE (SELECT count(*) FROM audit_events e
           WHERE e.technical_user_id = t.id AND e.action = 'TECHNICAL_USER_CREATED') <> 1",
    ),
    (
        "an event of each reset",
        "SELECT count(*) FROM technical_users t WHERE (SELECT count(*) FROM audit_events e
           WHERE e.technical_user_id = t.id AND e.action = 'PASSWORD_RESET') <> t.credential_version - 1",
    ),
    (
        "one account an item, marked with it",
        "SELECT count(*) FROM technical_users t WHERE (SELECT count(*) FROM batch_items i
           WHERE i.technical_user_id = t.id AND i.done_at IS NOT NULL) <> t.credential_version",
    ),
    (
        "an envelope of the password that works",
        "SELECT count(*) FROM technical_users t WHERE (SELECT count(*) FROM envelopes e
           WHERE e.technical_user_id = t.id AND e.credential_version = t.credential_version) <> 1",
    ),
];

async fn assert_rules(portal: &TestPortal) {
    for (rule, broken) in RULES {
        assert_eq!(portal.number(broken, &[]).await, 0, "{rule}");
    }
}

async fn is_finished(portal: &TestPortal) -> bool {
    portal.number("SELECT count(*) FROM batches WHERE finished_at IS NULL", &[]).await == 0
}

/// Begins the creations, or resets of all accounts; the path of the batch.
async fn begin(portal: &TestPortal, browser: &Browser, structures: &[Structure]) -> String {
    let accounts = portal.account_ids().await;
    let url = if accounts.is_empty() {
        let chosen: Vec<String> =
            structures.iter().map(|structure| format!("structure-{}=oui", structure.id)).collect();
        format!("/activites/choix?{}", chosen.join("&"))
    } else {
        "/activites/utilisateurs-techniques/choix?acte=RESET&portee=tous".to_owned()
    };
    let page = browser.open(&url).await;
    browser.submit(&page, "/lots", &[("ancien", "0")]).await.location()
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_any_instant_a_batch_is_done_once() {
    let portal = TestPortal::start().await;
    let (manager, structures) = portal.manager_with_structures("Camille", ACCOUNTS).await;
    let directory = Directory::create();
    let settings = [("DATABASE_URL", portal.database_url())];
    let mut serving = Serving::start(&directory, &["serve"], &settings);
    let mut browser = portal.sign_in(serving.browser(), &manager).await;
    let mut batch = begin(&portal, &browser, &structures).await;
    let mut batches = 1;
    for _ in 0..number_from("RACCORD_TEST_KILLS", 6) {
        tokio::time::sleep(Duration::from_micros(random_below(500_000))).await;
        serving.kill();
        assert_rules(&portal).await;
        // Its claim would hold for a while.
        portal.execute("UPDATE batches SET claimed_until = portal_now()").await;
        serving = Serving::start(&directory, &["serve"], &settings);
        browser = browser.at(&serving.server());
        if is_finished(&portal).await {
            batch = begin(&portal, &browser, &structures).await;
            batches += 1;
        }
    }
    while !is_finished(&portal).await {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_rules(&portal).await;
    assert_eq!((portal.account_ids().await.len(), portal.events_of("BATCH_FINISHED").await), (ACCOUNTS, batches));
    // Of resets of as many accounts, ten are mailed in an hour.
    assert_eq!(portal.mails_of("batch_finished").await.len(), batches.min(1 + 10));
    let file = browser.post(&format!("{batch}/logiciel"), &[]).await;
    let mut lines = csv::ReaderBuilder::new().delimiter(b';').from_reader(&file.body[..]);
    let mut known = 0;
    for line in lines.records().map(|line| line.expect("a line")) {
        assert_eq!(portal.program().health_check(&line[4], &line[5]).await, 200, "{}", &line[4]);
        known += 1;
    }
    assert_eq!(known, ACCOUNTS);
    println!("{batches} batches");
    serving.stop();
}
