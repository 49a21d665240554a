//! Request smuggling: requests whose end two servers could see in different places. Nothing inside
//! one may be answered as another request.

use std::{
    io::{Read, Write},
    net::TcpStream,
    thread,
    time::Duration,
};

use super::binary::{Directory, Serving};

/// All bytes that come back until the portal closes, or sends none for a second.
fn answers(serving: &Serving, request: &str) -> String {
    let mut stream = TcpStream::connect(serving.address).expect("a connection");
    stream.set_read_timeout(Some(Duration::from_secs(1))).expect("a timeout");
    stream.write_all(request.as_bytes()).expect("sent");
    let mut bytes = Vec::new();
    let mut part = [0; 4096];
    while let Ok(length @ 1..) = stream.read(&mut part) {
        bytes.extend_from_slice(&part[..length]);
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn statuses(answers: &str) -> Vec<&str> {
    answers.split("HTTP/1.").skip(1).filter_map(|answer| answer.split(' ').nth(1)).collect()
}

#[test]
fn no_request_hides_in_another() {
    let directory = Directory::create();
    let serving = Serving::start(&directory, &["serve"], &[]);
    let hidden = "GET /livez HTTP/1.1\r\nHost: x\r\n\r\n";
    let post = |headers: &str, body: &str| format!("POST /connexion HTTP/1.1\r\nHost: x\r\n{headers}\r\n{body}");
    // The check itself works: two requests in turn get two answers.
    let plain = format!("GET /livez HTTP/1.1\r\nHost: x\r\n\r\n{hidden}");
    assert_eq!(statuses(&answers(&serving, &plain)), ["200", "200"]);
    let refused = [
        ("two lengths", post("Content-Length: 0\r\nContent-Length: 38\r\n", hidden)),
        ("a list of lengths", post("Content-Length: 0, 38\r\n", hidden)),
        ("a signed length", post("Content-Length: +0\r\n", hidden)),
        ("a length below zero", post("Content-Length: -1\r\n", hidden)),
        ("an unknown coding", post("Transfer-Encoding: xchunked\r\n", hidden)),
        ("chunked, and then something", post("Transfer-Encoding: chunked, identity\r\n", hidden)),
        ("a folded line", post("Transfer-Encoding:\r\n chunked\r\nX: y\r\n", "0\r\n\r\n")),
        ("a space before the colon", post("Content-Length : 38\r\n", hidden)),
        ("a bare CR", post("X: a\rContent-Length: 38\r\n", hidden)),
        ("a NUL", post("X: a\0b\r\n", hidden)),
        ("a size of chunk that is none", post("Transfer-Encoding: chunked\r\n", &format!("+0\r\n\r\n{hidden}"))),
        (
            "a size of chunk that overflows",
            post("Transfer-Encoding: chunked\r\n", &format!("FFFFFFFFFFFFFFFFF\r\n\r\n{hidden}")),
        ),
        (
            "chunked in HTTP/1.0",
            format!("POST /connexion HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{hidden}"),
        ),
    ];
    // All at once, because each waits a second for more answers.
    thread::scope(|scope| {
        for (what, request) in &refused {
            let serving = &serving;
            scope.spawn(move || {
                let answers = answers(serving, request);
                let seen = statuses(&answers);
                let is_refused = seen.len() <= 1 && seen.iter().all(|status| status.starts_with('4'));
                assert!(is_refused, "{what}: {seen:?}\n{answers}");
            });
        }
    });
    // Where both a length and chunks are given, chunks count (RFC 9112 §6.3), and a proxy that
    // counts otherwise finds no more answers.
    let both = post("Content-Length: 4\r\nTransfer-Encoding: chunked\r\n", &format!("0\r\n\r\n{hidden}"));
    assert_eq!(statuses(&answers(&serving, &both)).len(), 1);
    let two_hosts = "GET /livez HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n";
    assert_eq!(statuses(&answers(&serving, two_hosts)), ["400"]);
    let none = "GET /livez HTTP/1.1\r\n\r\n";
    assert_eq!(statuses(&answers(&serving, none)), ["400"]);
    assert_eq!(statuses(&answers(&serving, "GET /livez HTTP/1.0\r\n\r\n")), ["200"], "which knows no Host");
    let elsewhere = "GET http://ailleurs.example/connexion HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    let told = answers(&serving, elsewhere);
    assert!(!told.contains("ailleurs.example"), "{told}");
    serving.stop();
}
