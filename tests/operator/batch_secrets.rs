//! The passwords of a batch and the links by which they are handed over stand nowhere either.

use std::time::Duration;

use super::{
    binary::{Directory, Serving},
    postgres::Postgres,
    secrets::{TALKATIVE, assert_memory_without, assert_nowhere},
};
use crate::common::{AgeIdentity, Browser, Page, TestPortal};

/// Creates an account in each structure, and waits until the portal has done so; the batch's path.
async fn create_everywhere(portal: &TestPortal, browser: &Browser, label: &str) -> String {
    let page = browser.open("/activites/choix?portee=tous").await;
    let batch = browser.submit(&page, "/lots", &[("libelle", label)]).await.location();
    while portal.number("SELECT count(*) FROM batches WHERE finished_at IS NULL", &[]).await > 0 {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    batch
}

/// Hands a batch over by a link with a code; the page that shows both.
async fn hand_over(browser: &Browser, batch: &str) -> Page {
    let action = format!("{batch}/remise");
    let form = browser.open(&action).await;
    browser.submit(&form, &action, &[("destinataire", "Zoé Petit"), ("code", "oui")]).await.page()
}

fn secret_of(made: &Page) -> String {
    let url = made.by_id("output", "lien").expect("the link");
    url.rsplit('/').next().expect("its secret").to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn no_dump_no_file_no_log_and_no_memory_holds_passwords_of_a_batch_or_a_link() {
    let postgres = Postgres::start(&TALKATIVE);
    let portal = TestPortal::over(&postgres.url("raccord", "raccord")).await;
    let (manager, _) = portal.manager_with_structures("Camille", 6).await;
    let directory = Directory::create();
    let settings = [("DATABASE_URL", portal.database_url()), ("RACCORD_LOG", "trace")];
    let serving = Serving::start(&directory, &["serve"], &settings);
    let browser = portal.sign_in(serving.browser(), &manager).await;

    // One batch is exported in each way, then handed over and opened; the link of another waits.
    let batch = create_everywhere(&portal, &browser, "ERP").await;
    let integrator = AgeIdentity::generate();
    let key = [("cle", integrator.recipient.as_str())];
    let encrypted = browser.post(&format!("{batch}/logiciel-chiffre"), &key).await;
    assert_eq!(browser.post(&format!("{batch}/fiches"), &[]).await.status, 200);
    let file = browser.post(&format!("{batch}/logiciel"), &[]).await;
    assert_eq!(integrator.decrypt(&encrypted.body).expect("the same file"), file.body);
    let mut passwords = passwords_in(&file.body_text());
    let made = hand_over(&browser, &batch).await;
    let (opened, code) = (secret_of(&made), made.by_id("output", "code").expect("the code"));
    let stranger = serving.browser();
    let path = format!("/remise/{opened}");
    let shown = stranger.submit(&stranger.open(&path).await, &path, &[("code", &code)]).await.page();
    assert!(shown.html().contains("rcd_"), "{}", shown.text());
    assert_eq!(stranger.submit(&shown, "/remise/export/csv", &[]).await.status, 200);
    let waiting = create_everywhere(&portal, &browser, "Paie").await;
    passwords.extend(passwords_in(&browser.post(&format!("{waiting}/logiciel"), &[]).await.body_text()));
    let waiting = secret_of(&hand_over(&browser, &waiting).await);
    assert_eq!(passwords.len(), 12);

    let mut secrets: Vec<(&str, String)> = passwords.into_iter().map(|password| ("password", password)).collect();
    secrets.extend([("opened link", opened), ("waiting link", waiting), ("code", code)]);
    postgres.sql("raccord", "CHECKPOINT");
    let dump = String::from_utf8(crate::common::pg_dump(&postgres.url("postgres", "raccord"))).expect("a text");
    let known = portal.database_url().rsplit('/').next().expect("the database's name");
    let in_memory: Vec<(&str, &[u8])> = secrets.iter().map(|(what, secret)| (*what, secret.as_bytes())).collect();
    assert_memory_without(&serving, known, "last file", &in_memory);
    let own_log = serving.stop();
    let login = portal.login_of(portal.account_ids().await[0]).await;
    assert!(own_log.contains("answered") && dump.contains(&login), "the search itself works");
    assert_nowhere(&postgres, &directory, &[("the dump", &dump), ("the portal's log", &own_log)], (&login, &secrets));
}

fn passwords_in(file: &str) -> Vec<String> {
    file.lines().skip(1).map(|line| line.split(';').nth(5).expect("a password").to_owned()).collect()
}
