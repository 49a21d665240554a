//! Mails by a real SMTP exchange.

use std::{
    io::{BufRead, BufReader, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use super::binary::{Directory, Serving};
use crate::common::TestPortal;

/// A mail server that keeps what it takes: recipient and text.
#[derive(Clone, Default)]
struct Listener {
    taken: Arc<Mutex<Vec<(String, String)>>>,
    /// While set, it answers every recipient « try again later ».
    busy: Arc<AtomicBool>,
}

impl Listener {
    fn start(&self, address: &str) -> SocketAddr {
        let socket = TcpListener::bind(address).expect("a free port");
        let address = socket.local_addr().expect("its address");
        let listener = self.clone();
        thread::spawn(move || {
            for stream in socket.incoming().flatten() {
                let listener = listener.clone();
                thread::spawn(move || listener.talk(&stream));
            }
        });
        address
    }

    fn talk(&self, stream: &TcpStream) -> Option<()> {
        let (mut answer, mut lines) = (stream, BufReader::new(stream).lines());
        let mut say = |line: &str| answer.write_all(format!("{line}\r\n").as_bytes()).ok();
        say("220 here")?;
        let mut recipient = String::new();
        while let Some(Ok(line)) = lines.next() {
            let word = line.split(' ').next()?.to_ascii_uppercase();
            match word.as_str() {
                "EHLO" => say("250 8BITMIME")?,
                "RCPT" if self.busy.load(Ordering::Relaxed) => say("451 later")?,
                "RCPT" => {
                    line.split(['<', '>']).nth(1)?.clone_into(&mut recipient);
                    say("250 ok")?;
                }
                "DATA" => {
                    say("354 go on")?;
                    let text: Vec<_> = lines.by_ref().map_while(Result::ok).take_while(|line| line != ".").collect();
                    self.taken.lock().ok()?.push((recipient.clone(), text.join("\n")));
                    say("250 taken")?;
                }
                "QUIT" => {
                    say("221 bye")?;
                    return None;
                }
                _ => say("250 ok")?,
            }
        }
        None
    }

    fn wait_for(&self, count: usize, log: impl Fn() -> String) -> Vec<(String, String)> {
        let start = Instant::now();
        loop {
            let taken = self.taken.lock().expect("no panic under the lock").clone();
            if taken.len() >= count {
                return taken;
            }
            assert!(start.elapsed() < Duration::from_mins(1), "{} of {count} mails\n{}", taken.len(), log());
            thread::sleep(Duration::from_millis(100));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_mail_is_delivered_once_and_in_order_though_the_server_was_away() {
    let portal = TestPortal::start().await;
    let (manager, structure) = portal.manager().await;
    let browser = portal.signed_in(&manager).await;
    let listener = Listener::default();
    // The port is known before anybody listens: the mail server is down at first.
    let address = TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).expect("a free port");
    let directory = Directory::create();
    let smtp = format!("smtp://{address}");
    let settings = [("DATABASE_URL", portal.database_url()), ("RACCORD_SMTP_URL", smtp.as_str())];
    let serving = Serving::start(&directory, &["serve"], &settings);
    let (id, _, first) = portal.create_and_show(&browser, structure.id, "ERP").await;
    thread::sleep(Duration::from_secs(2));
    listener.busy.store(true, Ordering::Relaxed);
    listener.start(&address.to_string());
    portal.execute("UPDATE mails SET next_attempt_at = portal_now()").await;
    thread::sleep(Duration::from_secs(6));
    assert!(listener.taken.lock().expect("no panic under the lock").is_empty());
    assert!(portal.number("SELECT max(attempts)::bigint FROM mails", &[]).await >= 1);
    listener.busy.store(false, Ordering::Relaxed);
    let page = browser.open(&format!("/utilisateurs-techniques/{id}")).await;
    browser.submit(&page, &format!("/utilisateurs-techniques/{id}/mot-de-passe"), &[]).await.location();
    let shown = browser.open(&format!("/utilisateurs-techniques/{id}/recapitulatif")).await;
    let second = shown.password().expect("the new password");
    portal.execute("UPDATE mails SET next_attempt_at = portal_now()").await;
    let taken = listener.wait_for(2, || serving.log());
    thread::sleep(Duration::from_secs(3));
    assert_eq!(listener.wait_for(2, || serving.log()).len(), 2, "none is sent twice");
    for ((recipient, text), subject) in taken.iter().zip(["utilisateur technique cr", "mot de passe r"]) {
        assert_eq!(recipient, &manager.contact_address);
        let head = text.split("\n\n").next().expect("a head");
        assert!(head.contains("Message-ID:") && head.contains("Auto-Submitted: auto-generated"), "{head}");
        let decoded = rfc2047(head);
        assert!(decoded.contains(subject), "{decoded}");
        assert!(!text.contains(&first) && !text.contains(&second));
    }
    assert_eq!(portal.number("SELECT count(*) FROM mails WHERE sent_at IS NULL", &[]).await, 0);
    serving.stop();
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
