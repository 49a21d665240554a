//! An API as an operator has one: it answers every call, and remembers what it was sent.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
    time::Duration,
};

/// A call as the API saw it. Names of headers are in lower case.
#[derive(Clone, Debug)]
pub struct Seen {
    pub line: String,
    pub headers: Vec<(String, String)>,
    pub body: String,
}

impl Seen {
    /// The header's value; empty where it was not sent.
    pub fn header(&self, name: &str) -> &str {
        let mut values = self.headers.iter().filter(|(sent, _)| sent == name).map(|(_, value)| value.as_str());
        let value = values.next().unwrap_or_default();
        assert_eq!(values.next(), None, "{name} came once");
        value
    }
}

pub struct SmallApi {
    pub address: SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl SmallApi {
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("an address");
        let seen = Arc::new(Mutex::new(Vec::new()));
        let calls = seen.clone();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let calls = calls.clone();
                thread::spawn(move || answer(stream, &calls));
            }
        });
        Self { address, seen }
    }

    /// The calls since this was asked last.
    pub fn take(&self) -> Vec<Seen> {
        std::mem::take(&mut *self.seen.lock().expect("no panic under the lock"))
    }
}

fn answer(mut stream: TcpStream, calls: &Mutex<Vec<Seen>>) {
    let _ = stream.set_read_timeout(Some(Duration::from_secs(10)));
    let Some(seen) = read(&mut stream) else { return };
    calls.lock().expect("no panic under the lock").push(seen);
    let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}");
}

fn read(stream: &mut TcpStream) -> Option<Seen> {
    let mut bytes = Vec::new();
    let mut part = [0; 4096];
    let end = loop {
        if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break end;
        }
        let length = stream.read(&mut part).ok().filter(|length| *length > 0)?;
        bytes.extend_from_slice(&part[..length]);
    };
    let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
    let (line, rest) = head.split_once("\r\n").unwrap_or((&head, ""));
    let named = |line: &str| line.split_once(':').map(|(name, value)| (name.to_ascii_lowercase(), value.trim().into()));
    let headers: Vec<(String, String)> = rest.split("\r\n").filter_map(named).collect();
    let length = headers.iter().find(|(name, _)| name == "content-length").and_then(|(_, value)| value.parse().ok());
    let mut body = bytes[end + 4..].to_vec();
    while body.len() < length.unwrap_or(0) {
        let length = stream.read(&mut part).ok().filter(|length| *length > 0)?;
        body.extend_from_slice(&part[..length]);
    }
    Some(Seen { line: line.to_owned(), headers, body: String::from_utf8_lossy(&body).into_owned() })
}
