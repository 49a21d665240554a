//! A load generator over plain TCP: it sends requests in turn and reads the answers.

use std::{
    fs,
    net::{SocketAddr, TcpListener},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// A free port of the loopback.
pub fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a free port")
}

/// Connections of a round.
pub const CONNECTIONS: usize = 8;
const ROUND: Duration = Duration::from_secs(2);

/// Requests to one server, sent in turn.
pub struct Variant {
    /// As the table shows it.
    pub name: String,
    /// The variant that it is compared with; empty for none.
    pub bare: &'static str,
    /// How the status of each answer begins.
    pub status: &'static str,
    pub address: SocketAddr,
    pub requests: Arc<Vec<Vec<u8>>>,
    /// Where the next round goes on.
    next: Arc<AtomicUsize>,
}

impl Variant {
    pub fn new(name: &str, address: SocketAddr, requests: Vec<String>) -> Self {
        let requests = Arc::new(requests.into_iter().map(String::into_bytes).collect());
        Self { name: name.to_owned(), bare: "", status: "20", address, requests, next: Arc::default() }
    }

    pub fn answered(self, status: &'static str) -> Self {
        Self { status, ..self }
    }

    pub fn beside(self, bare: &'static str) -> Self {
        Self { bare, ..self }
    }
}

/// A `GET`, or a `POST` where there is a body; `headers` are whole lines.
pub fn request(path: &str, headers: &str, body: &str) -> String {
    let (method, length) = if body.is_empty() { ("GET", 0) } else { ("POST", body.len()) };
    format!("{method} {path} HTTP/1.1\r\nHost: x\r\n{headers}Content-Length: {length}\r\n\r\n{body}")
}

/// Results of one round.
#[derive(Clone, Copy)]
pub struct Measure {
    pub requests_per_second: u64,
    /// CPU time of one request in this process, in microseconds.
    pub own_cpu: u64,
    /// CPU time of one request in the database's processes, in microseconds.
    pub database_cpu: u64,
}

/// Requests on all connections for [`ROUND`].
pub async fn round(variant: &Variant, backends: &[String]) -> Measure {
    let before = (cpu_time(["self"]), cpu_time(backends));
    let end = Instant::now() + ROUND;
    let callers: Vec<_> = (0..CONNECTIONS).map(|_| tokio::spawn(call_until(variant.connect(), end))).collect();
    let mut answered = 0;
    for caller in callers {
        answered += caller.await.expect("no panic");
    }
    let micros = |before: Duration, after: Duration| {
        u64::try_from(after.saturating_sub(before).as_micros()).expect("a few seconds") / answered
    };
    Measure {
        requests_per_second: answered / ROUND.as_secs(),
        own_cpu: micros(before.0, cpu_time(["self"])),
        database_cpu: micros(before.1, cpu_time(backends)),
    }
}

/// The times of `count` requests, one after the other on one connection.
pub async fn times(variant: &Variant, count: usize) -> Vec<Duration> {
    let mut caller = variant.connect().await;
    let mut times = Vec::with_capacity(count);
    for _ in 0..count {
        let start = Instant::now();
        caller.call().await;
        times.push(start.elapsed());
    }
    times
}

async fn call_until(caller: impl Future<Output = Caller>, end: Instant) -> u64 {
    let (mut caller, mut answered) = (caller.await, 0);
    while Instant::now() < end {
        caller.call().await;
        answered += 1;
    }
    answered
}

/// A connection that sends a variant's requests.
struct Caller {
    stream: TcpStream,
    status: &'static str,
    requests: Arc<Vec<Vec<u8>>>,
    next: Arc<AtomicUsize>,
    buffer: Vec<u8>,
}

impl Variant {
    fn connect(&self) -> impl Future<Output = Caller> + use<> {
        let (address, status, requests, next) =
            (self.address, self.status, Arc::clone(&self.requests), Arc::clone(&self.next));
        async move {
            let stream = TcpStream::connect(address).await.expect("a connection");
            stream.set_nodelay(true).expect("a socket");
            Caller { stream, status, requests, next, buffer: Vec::with_capacity(64 * 1024) }
        }
    }
}

impl Caller {
    /// Sends the next request and reads its answer, which must have the variant's status.
    async fn call(&mut self) {
        let number = self.next.fetch_add(1, Ordering::Relaxed) % self.requests.len();
        self.stream.write_all(&self.requests[number]).await.expect("it listens");
        self.buffer.clear();
        while !self.is_whole() {
            assert!(self.stream.read_buf(&mut self.buffer).await.expect("it answers") > 0, "the connection ended");
        }
        let answer = String::from_utf8_lossy(&self.buffer);
        assert!(answer.starts_with(&format!("HTTP/1.1 {}", self.status)), "{answer}");
    }

    /// Whether the buffer holds a whole answer, with a length or in chunks.
    fn is_whole(&self) -> bool {
        let Some(head) = self.buffer.windows(4).position(|bytes| bytes == b"\r\n\r\n") else { return false };
        let text = String::from_utf8_lossy(&self.buffer[..head]).to_ascii_lowercase();
        if text.contains("transfer-encoding: chunked") {
            return self.buffer.ends_with(b"\r\n0\r\n\r\n");
        }
        let length = text.split("content-length: ").nth(1).and_then(|rest| rest.split("\r\n").next()?.parse().ok());
        self.buffer.len() >= head + 4 + length.unwrap_or(0)
    }
}

/// CPU time used so far by all threads of these processes.
fn cpu_time(processes: impl IntoIterator<Item = impl AsRef<str>>) -> Duration {
    let threads = processes.into_iter().flat_map(|process| {
        fs::read_dir(format!("/proc/{}/task", process.as_ref())).expect("a process that lives").flatten()
    });
    // The first number is the CPU time in nanoseconds.
    let nanos = threads.filter_map(|thread| {
        let text = fs::read_to_string(thread.path().join("schedstat")).ok()?;
        text.split(' ').next()?.parse::<u64>().ok()
    });
    Duration::from_nanos(nanos.sum())
}

/// The value below which `percent` of these lie.
pub fn percentile<T: Ord + Copy>(values: &[T], percent: usize) -> T {
    let mut sorted = values.to_vec();
    sorted.sort_unstable();
    sorted[(sorted.len() * percent / 100).min(sorted.len() - 1)]
}

/// In milliseconds, as the tables show them.
pub fn milliseconds(time: Duration) -> String {
    format!("{:.2}", time.as_secs_f64() * 1000.0)
}
