//! Mails by a real SMTP exchange.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::TcpListener,
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use super::{
    binary::{Directory, Serving, raccord, run, send},
    smtp::{Listener, Security, Taken, make_certificate},
};
use crate::common::{KEY_FILE, TestPortal};

#[tokio::test(flavor = "multi_thread")]
async fn every_mail_is_delivered_once_and_in_order_though_the_server_was_away() {
    let portal = TestPortal::start().await;
    let (manager, structure) = portal.manager().await;
    let browser = portal.signed_in(&manager).await;
    let listener = Listener::default();
    // The port is known before the server listens: it is down at first.
    let address = TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).expect("a free port");
    let directory = Directory::create();
    let smtp = format!("smtp://{address}");
    let settings = [("DATABASE_URL", portal.database_url()), ("RACCORD_SMTP_URL", smtp.as_str())];
    let serving = Serving::start(&directory, &["serve"], &settings);
    let (id, _, first) = portal.create_and_show(&browser, structure.id, "ERP").await;
    until_tried(&portal, 1).await;
    listener.busy.store(true, Ordering::Relaxed);
    listener.start(&address.to_string());
    portal.retry_mails_now().await;
    until_tried(&portal, 2).await;
    assert!(listener.taken().is_empty());
    assert!(portal.mail_attempts().await >= 1);
    listener.busy.store(false, Ordering::Relaxed);
    let page = browser.open(&format!("/utilisateurs-techniques/{id}")).await;
    browser.submit(&page, &format!("/utilisateurs-techniques/{id}/mot-de-passe"), &[]).await.location();
    let shown = browser.open(&format!("/utilisateurs-techniques/{id}/recapitulatif")).await;
    let second = shown.password().expect("the new password");
    portal.retry_mails_now().await;
    let taken = listener.wait_for(2, || serving.log());
    thread::sleep(Duration::from_secs(3));
    assert_eq!(listener.taken().len(), 2, "none is sent twice");
    assert_eq!(listener.names(), ["[127.0.0.1]"], "the host of the public URL");
    for (Taken { recipient, text }, subject) in taken.iter().zip(["utilisateur technique cr", "mot de passe r"]) {
        assert_eq!(recipient, &manager.contact_address);
        let head = text.split("\n\n").next().expect("a head");
        assert!(head.contains("Message-ID:") && head.contains("Auto-Submitted: auto-generated"), "{head}");
        let decoded = rfc2047(head);
        assert!(decoded.contains(subject), "{decoded}");
        assert!(!text.contains(&first) && !text.contains(&second));
    }
    assert_eq!(portal.unsent_mails().await, 0);
    serving.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mail_that_is_refused_for_good_ends_and_whoever_can_correct_the_address_sees_it() {
    let portal = TestPortal::start().await;
    let (manager, structure) = portal.manager().await;
    let browser = portal.signed_in(&manager).await;
    let listener = Listener::default();
    listener.unknown.store(true, Ordering::Relaxed);
    let smtp = format!("smtp://{}", listener.start("127.0.0.1:0"));
    let directory = Directory::create();
    let metrics = TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).expect("a free port").to_string();
    let settings = [
        ("DATABASE_URL", portal.database_url()),
        ("RACCORD_SMTP_URL", smtp.as_str()),
        ("RACCORD_METRICS_LISTEN", &metrics),
    ];
    let serving = Serving::start(&directory, &["serve"], &settings);
    portal.create_account(&browser, structure.id, "ERP").await;
    let page = browser.open(&format!("/structures/{}/membres/invitation", structure.id)).await;
    let fields = [("adresse", "inconnu@mairie.example"), ("prenom", "Lou"), ("nom", "Martin"), ("role", "UTILISATEUR")];
    browser.submit(&page, &format!("/structures/{}/membres/invitation", structure.id), &fields).await.location();
    let patience = Instant::now();
    while portal.unsent_mails().await > 0 {
        assert!(patience.elapsed() < Duration::from_mins(1), "{}", serving.log());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(listener.taken().is_empty());
    let scraped =
        send(metrics.parse().expect("an address"), "GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    let (_, _, scraped) = scraped.expect("metrics");
    assert!(scraped.contains("raccord_mails_refused 2") && scraped.contains("raccord_mails_waiting 0"), "{scraped}");
    let activities = browser.open("/activites").await;
    activities.assert_says("La messagerie de votre adresse de contact les refuse");
    activities.assert_says("L’invitation envoyée à inconnu@mairie.example n’a pas été remise");
    browser.open("/mon-compte").await.assert_says("la messagerie de cette adresse refuse nos courriels");
    // The next mail that is taken ends the warning.
    listener.unknown.store(false, Ordering::Relaxed);
    portal.create_account(&browser, structure.id, "Paie").await;
    listener.wait_for(1, || serving.log());
    let patience = Instant::now();
    while portal.unsent_mails().await > 0 {
        assert!(patience.elapsed() < Duration::from_mins(1), "{}", serving.log());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(!browser.open("/activites").await.text().contains("votre adresse de contact refuse"));
    serving.stop();
}

/// A filter's word may be in a name that others chose.
#[tokio::test(flavor = "multi_thread")]
async fn a_mail_that_is_refused_for_its_text_holds_up_no_other_to_its_recipient() {
    let portal = TestPortal::start().await;
    let (manager, structure) = portal.manager().await;
    let browser = portal.signed_in(&manager).await;
    let listener = Listener::default();
    "Casino".clone_into(&mut listener.refused_word.lock().expect("no panic"));
    let smtp = format!("smtp://{}", listener.start("127.0.0.1:0"));
    let directory = Directory::create();
    let settings = [("DATABASE_URL", portal.database_url()), ("RACCORD_SMTP_URL", smtp.as_str())];
    let serving = Serving::start(&directory, &["serve"], &settings);
    portal.create_account(&browser, structure.id, "Casino").await;
    until_tried(&portal, 1).await;
    portal.create_account(&browser, structure.id, "Paie").await;
    let taken = listener.wait_for(1, || serving.log());
    assert!(taken[0].text.contains("Paie") && taken[0].recipient == manager.contact_address, "{taken:?}");
    assert_eq!(portal.unsent_mails().await, 1);
    // It is tried again, later.
    listener.refused_word.lock().expect("no panic").clear();
    portal.retry_mails_now().await;
    listener.wait_until(
        "the other one",
        |taken| taken.iter().any(|mail| mail.text.contains("Casino")),
        || serving.log(),
    );
    serving.stop();
}

/// Waits until an unsent mail has failed this often.
async fn until_tried(portal: &TestPortal, times: i64) {
    let patience = Instant::now();
    while portal.mail_attempts().await < times {
        assert!(patience.elapsed() < Duration::from_mins(1), "not tried {times} times");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// The subject in clear.
fn rfc2047(head: &str) -> String {
    let unfolded = head.replace("\n ", " ");
    let subject = unfolded.lines().find_map(|line| line.strip_prefix("Subject: ")).expect("a subject");
    let words = subject.split("=?utf-8?b?").map(|part| {
        let (encoded, rest) = part.split_once("?=").unwrap_or(("", part));
        let clear = data_encoding::BASE64.decode(encoded.as_bytes()).unwrap_or_default();
        format!("{}{}", String::from_utf8_lossy(&clear), rest.trim_start())
    });
    words.collect()
}

/// SMTP leaves one instant open: the server has the mail, and the sender dies before it knows.
#[tokio::test(flavor = "multi_thread")]
async fn a_mail_whose_sender_died_before_the_answer_comes_again_as_the_same() {
    let portal = TestPortal::start().await;
    let sender = Arc::new(AtomicU32::new(0));
    let victim = sender.clone();
    let listener = Listener::default().before_telling(move |count| {
        if count == 1 {
            kill(victim.load(Ordering::Relaxed));
        }
    });
    let smtp = format!("smtp://{}", listener.start("127.0.0.1:0"));
    let directory = Directory::create();
    let settings = [("DATABASE_URL", portal.database_url()), ("RACCORD_SMTP_URL", smtp.as_str())];
    let mut first = Serving::start(&directory, &["serve"], &settings);
    sender.store(first.pid(), Ordering::Relaxed);
    let names = ["--last-name", "Fontaine", "--first-name", "Claire"];
    let who = ["user", "invite", "--login", "claire@ville.example", "--contact", "claire@ville.example"];
    assert_eq!(run(&mut raccord(&[&who[..], &names].concat(), &[("DATABASE_URL", portal.database_url())])).0, 0);
    assert_eq!(first.wait(), None, "it was killed while it sent");
    assert_eq!(listener.taken().len(), 1);
    assert_eq!(portal.unsent_mails().await, 1, "its sender did not learn that it was taken");
    let second = Serving::start(&directory, &["serve"], &settings);
    let taken = listener.wait_for(2, || second.log());
    thread::sleep(Duration::from_secs(3));
    assert_eq!((listener.taken().len(), portal.unsent_mails().await), (2, 0));
    // A mail server may drop either of the two, which have one Message-ID: the link of both works.
    assert_eq!(taken[0].message_id(), taken[1].message_id());
    let link = |mail: &Taken| {
        let (_, rest) = mail.text.split_once("/invitation/").expect("a link");
        format!("/invitation/{}", &rest[..43])
    };
    assert_eq!(link(&taken[0]), link(&taken[1]));
    portal.browser().open(&link(&taken[0])).await;
    second.stop();
}

fn kill(pid: u32) {
    let _ = Command::new("kill").args(["-9", &pid.to_string()]).status();
}

#[tokio::test(flavor = "multi_thread")]
async fn under_fire_every_mail_arrives_in_order_and_twice_only_what_was_in_the_air() {
    let portal = Arc::new(TestPortal::start().await);
    let listener = Listener::default();
    let smtp = format!("smtp://{}", listener.start("127.0.0.1:0"));
    let directory = Directory::create();
    let settings = [("DATABASE_URL", portal.database_url()), KEY_FILE, ("RACCORD_SMTP_URL", smtp.as_str())];
    let start = || Serving::spawn(&directory, &["serve"], &settings);
    let load: Vec<_> = ["Camille", "Alix", "Sacha"]
        .map(|name| {
            let portal = portal.clone();
            tokio::spawn(async move {
                let (manager, structures) = portal.manager_with_structures(name, 4).await;
                let browser = portal.signed_in(&manager).await;
                for structure in &structures {
                    for label in ["Paie", "Marchés", "Régie"] {
                        portal.create_account(&browser, structure.id, label).await;
                        tokio::time::sleep(Duration::from_millis(400)).await;
                    }
                }
            })
        })
        .into_iter()
        .collect();
    // Two senders, one of which is killed each time; and the mail server goes away twice.
    let (mut senders, mut kills, mut outages) = (vec![start(), start()], 0_usize, 0_usize);
    let mut round = 0;
    while !load.iter().all(tokio::task::JoinHandle::is_finished) || kills < 6 {
        tokio::time::sleep(Duration::from_millis(1_300)).await;
        round += 1;
        if round % 3 == 0 {
            listener.gone.store(true, Ordering::Relaxed);
            tokio::time::sleep(Duration::from_millis(1_500)).await;
            listener.gone.store(false, Ordering::Relaxed);
            outages += 1;
        } else {
            senders.remove(0).kill();
            senders.push(start());
            kills += 1;
        }
        portal.retry_mails_now().await;
    }
    for task in load {
        task.await.expect("the load ends");
    }
    let patience = Instant::now();
    while portal.unsent_mails().await > 0 {
        assert!(patience.elapsed() < Duration::from_mins(2), "{}", senders[1].log());
        tokio::time::sleep(Duration::from_secs(1)).await;
        portal.retry_mails_now().await;
    }
    let mails = portal.count("mails").await;
    let taken = listener.taken();
    let known: BTreeSet<&str> = taken.iter().map(Taken::message_id).collect();
    assert_eq!(known.len(), usize::try_from(mails).expect("a count"), "each mail has arrived");
    let twice = taken.len() - known.len();
    eprintln!("{mails} mails, {kills} senders killed, {outages} outages of the mail server: {twice} came twice");
    assert!(twice <= kills + outages * 2, "{twice} came twice, more than can have been in the air");
    assert_eq!(in_first_order(&taken), in_order_of_writing(&portal).await);
    for sender in senders {
        drop(sender);
    }
}

/// The Message-IDs of each recipient in the order in which they came first.
fn in_first_order(taken: &[Taken]) -> BTreeMap<String, Vec<String>> {
    let mut order: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for mail in taken {
        let numbers = order.entry(mail.recipient.clone()).or_default();
        let number = mail.message_id().split('-').nth(1).expect("a number").to_owned();
        if !numbers.contains(&number) {
            numbers.push(number);
        }
    }
    order
}

async fn in_order_of_writing(portal: &TestPortal) -> BTreeMap<String, Vec<String>> {
    let mut order: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for mail in portal.outbox().await {
        order.entry(mail.recipient).or_default().push(mail.id.to_string());
    }
    order
}

const RIGHT: &str = "Sesame-8731-ouvre";
const WRONG: &str = "Sesame-9999-ferme";

#[tokio::test(flavor = "multi_thread")]
async fn mails_leave_by_tls_for_a_server_that_proves_itself_and_with_the_right_password() {
    let portal = TestPortal::start().await;
    let directory = Directory::create();
    let (certificate, key) = make_certificate(directory.path(), "courrier");
    let (scheme, tls) = (["smtp", "smtps"], ["?tls=required", ""]);
    for (way, security) in [Security::StartTls, Security::Implicit].into_iter().enumerate() {
        let listener = Listener::with_tls(security, &certificate, &key).wants("raccord", RIGHT);
        let port = listener.start("127.0.0.1:0").port();
        let url = |password: &str| format!("{}://raccord:{password}@localhost:{port}{}", scheme[way], tls[way]);
        invite(&portal, &format!("claire-{way}@ville.example"));

        // An untrusted certificate: no mail is sent to that server.
        let told = failure(&portal, &directory, &[("RACCORD_SMTP_URL", &url(RIGHT))]).await;
        assert!(told.contains("certificate"), "{told}");
        // The wrong password: the log names the refusal without the password; tried again later.
        let trusted = ("SSL_CERT_FILE", certificate.as_str());
        let told = failure(&portal, &directory, &[("RACCORD_SMTP_URL", &url(WRONG)), trusted]).await;
        assert!(told.contains("535") || told.contains("wrong user or password"), "{told}");
        assert!(listener.taken().is_empty());

        let settings = [
            ("DATABASE_URL", portal.database_url()),
            ("RACCORD_SMTP_URL", &url(RIGHT)),
            ("RACCORD_PUBLIC_URL", "https://raccord.example:8443"),
            trusted,
        ];
        portal.retry_mails_now().await;
        let serving = Serving::start(&directory, &["serve"], &settings);
        let taken = listener.wait_for(1, || serving.log());
        assert_eq!(taken[0].recipient, format!("claire-{way}@ville.example"));
        assert_eq!(listener.names().last().map(String::as_str), Some("raccord.example"), "before TLS and after it");
        assert!(!serving.stop().contains(RIGHT));
    }
    // Nor is a mail sent where TLS is required and not offered.
    let listener = Listener::default().wants("raccord", RIGHT);
    let port = listener.start("127.0.0.1:0").port();
    invite(&portal, "claire@ville.example");
    let url = format!("smtp://raccord:{RIGHT}@localhost:{port}?tls=required");
    failure(&portal, &directory, &[("RACCORD_SMTP_URL", &url)]).await;
    assert!(listener.taken().is_empty());
}

/// Puts a mail to a new person in the outbox.
fn invite(portal: &TestPortal, login: &str) {
    let who =
        ["user", "invite", "--login", login, "--contact", login, "--last-name", "Petit", "--first-name", "Claire"];
    let (code, _, told) = run(&mut raccord(&who, &[("DATABASE_URL", portal.database_url())]));
    assert_eq!(code, 0, "{told}");
}

/// Lets a sender with these settings fail to send the one waiting mail. Returns its line in the
/// log, which has no password. It waits before the next attempt.
async fn failure(portal: &TestPortal, directory: &Directory, settings: &[(&str, &str)]) -> String {
    portal.forget_mail_attempts().await;
    let all = [&[("DATABASE_URL", portal.database_url())], settings].concat();
    let serving = Serving::start(directory, &["serve"], &all);
    let patience = Instant::now();
    while portal.mail_attempts().await == 0 {
        assert!(patience.elapsed() < Duration::from_mins(1), "{}", serving.log());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert!((30..=60).contains(&portal.mail_wait().await));
    let log = serving.stop();
    assert!(!log.contains(RIGHT) && !log.contains(WRONG), "{log}");
    let told: Vec<_> = log.lines().filter(|line| line.contains("a mail could not be sent")).collect();
    assert_eq!(told.len(), 1, "{log}");
    told.concat()
}
