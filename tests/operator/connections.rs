//! Connections that hold, flood, drip, end early, or speak TLS.

use std::{
    fs,
    io::{ErrorKind, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    os::unix::fs::MetadataExt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use tokio_rustls::rustls::{
    ClientConfig, ClientConnection, RootCertStore, StreamOwned, SupportedProtocolVersion,
    crypto::ring,
    pki_types::{CertificateDer, ServerName, pem::PemObject},
    version::{TLS12, TLS13},
};

use super::{
    binary::{Directory, Serving, send},
    smtp::make_certificate,
};
use crate::common::TestPortal;

/// The longest time after which the portal closes an idle or slow connection.
const PROMISED: Duration = Duration::from_secs(30);

fn connect(address: SocketAddr, first: &[u8]) -> TcpStream {
    let mut stream = TcpStream::connect(address).expect("a connection");
    stream.write_all(first).expect("the first bytes");
    stream.set_read_timeout(Some(PROMISED + Duration::from_secs(5))).expect("a timeout");
    stream
}

/// How long it takes until the server closes, and what it sent before.
fn closed_after(mut stream: TcpStream, start: Instant) -> (Duration, String) {
    let mut said = Vec::new();
    match stream.read_to_end(&mut said) {
        Ok(_) => {}
        Err(error) if error.kind() == ErrorKind::ConnectionReset => {}
        Err(error) => panic!("not closed after {:?}: {error}", start.elapsed()),
    }
    (start.elapsed(), String::from_utf8_lossy(&said).into_owned())
}

/// Sends one byte every half second until the connection is closed.
fn drip(stream: &TcpStream, byte: u8) {
    let mut stream = stream.try_clone().expect("the same connection");
    thread::spawn(move || {
        while stream.write_all(&[byte]).is_ok() {
            thread::sleep(Duration::from_millis(500));
        }
    });
}

const FORM: &str = "POST /connexion HTTP/1.1\r\nHost: x\r\nSec-Fetch-Site: same-origin\r\nContent-Length: 60000\r\n\
                    Content-Type: application/x-www-form-urlencoded\r\n\r\n";

#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_silent_or_slow_is_let_go_within_thirty_seconds() {
    let portal = TestPortal::start().await;
    let directory = Directory::create();
    let serving = Serving::start(&directory, &["serve"], &[("DATABASE_URL", portal.database_url())]);
    let (address, start) = (serving.address, Instant::now());
    let slow_head = connect(address, b"GET / HTTP/1.1\r\nX-Slow: ");
    drip(&slow_head, b'a');
    let slow_body = connect(address, FORM.as_bytes());
    drip(&slow_body, b'a');
    let slow_call = connect(
        address,
        b"POST /api/oauth/token HTTP/1.1\r\nHost: x\r\nContent-Length: 60000\r\nContent-Type: application/x-www-form-urlencoded\r\n\r\n",
    );
    drip(&slow_call, b'a');
    let second_head = connect(address, b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n");
    thread::sleep(Duration::from_millis(500));
    drip(&second_head, b'a');
    let held = [
        ("says nothing", connect(address, b"")),
        ("a head that drips", slow_head),
        ("a body that never comes", connect(address, FORM.as_bytes())),
        ("a body that drips", slow_body),
        ("a call that drips", slow_call),
        ("a second head that drips", second_head),
        // Asks for much and reads nothing: what the kernels do not buffer waits in the portal.
        ("takes no answer", connect(address, &b"GET /documentation-api HTTP/1.1\r\nHost: x\r\n\r\n".repeat(400))),
    ];
    let closed: Vec<_> = held
        .into_iter()
        .map(|(what, stream)| {
            thread::spawn(move || {
                if what == "takes no answer" {
                    thread::sleep(Duration::from_secs(28));
                }
                (what, closed_after(stream, start))
            })
        })
        .collect();
    for thread in closed {
        let (what, (after, said)) = thread.join().expect("no panic");
        println!("{what}: closed after {after:?}, {:.40}", said.lines().next().unwrap_or_default());
        assert!(after < PROMISED, "{what}: {after:?}");
        assert!(!said.contains(" 500 ") && !said.contains(" 200 OK\r\n") || !what.contains("body"), "{what}: {said}");
    }
    assert_eq!(serving.get("/readyz").expect("an answer").0, 200);
    serving.stop();
}

/// Balancers keep their connections for a minute: the portal must not be the first to close.
#[tokio::test(flavor = "multi_thread")]
async fn a_connection_is_kept_for_a_minute_and_more_between_two_requests() {
    const REQUEST: &[u8] = b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n";
    let portal = TestPortal::start().await;
    let directory = Directory::create();
    let serving = Serving::start(&directory, &["serve"], &[("DATABASE_URL", portal.database_url())]);
    let mut used_again = connect(serving.address, REQUEST);
    let unused = connect(serving.address, REQUEST);
    unused.set_read_timeout(Some(Duration::from_secs(110))).expect("a timeout");
    let start = Instant::now();
    let closed = thread::spawn(move || closed_after(unused, start).0);
    let mut answer = [0; 4096];
    let read = used_again.read(&mut answer).expect("the first answer");
    assert!(answer[..read].starts_with(b"HTTP/1.1 200"));
    thread::sleep(Duration::from_secs(76));
    used_again.write_all(REQUEST).expect("a second request");
    let read = used_again.read(&mut answer).expect("the second answer");
    assert!(answer[..read].starts_with(b"HTTP/1.1 200"), "closed after {:?}", start.elapsed());
    let after = closed.join().expect("no panic");
    assert!(after > Duration::from_secs(75) && after < Duration::from_secs(105), "{after:?}");
    serving.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_metrics_listener_has_the_same_limits() {
    let portal = TestPortal::start().await;
    let directory = Directory::create();
    let address = TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).expect("a free port");
    let listen = address.to_string();
    let settings = [("DATABASE_URL", portal.database_url()), ("RACCORD_METRICS_LISTEN", &listen)];
    let serving = Serving::start(&directory, &["serve"], &settings);
    let start = Instant::now();
    let slow_head = connect(address, b"GET /metrics HTTP/1.1\r\nX-Slow: ");
    drip(&slow_head, b'a');
    let request = "GET /metrics HTTP/1.1\r\nHost: x\r\n";
    let slow_body = connect(address, format!("{request}Content-Length: 60000\r\n\r\n").as_bytes());
    drip(&slow_body, b'a');
    let held =
        [("says nothing", connect(address, b"")), ("a head that drips", slow_head), ("a body that drips", slow_body)];
    let closed = held.map(|(what, stream)| thread::spawn(move || (what, closed_after(stream, start).0)));
    for thread in closed {
        let (what, after) = thread.join().expect("closed in time");
        println!("{what}: closed after {after:?}");
        assert!(after < PROMISED, "{what}: {after:?}");
    }
    // More idle connections than there are places: a scrape is served all the same.
    let idle: Vec<_> = (0..200).map(|_| connect(address, b"")).collect();
    let (status, _, body) = send(address, &format!("{request}Connection: close\r\n\r\n")).expect("an answer");
    assert!(status == 200 && body.ends_with("# EOF\n"), "{status} {body}");
    drop(idle);
    serving.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn thousands_of_idle_connections_take_no_place() {
    let count = std::env::var("RACCORD_TEST_CONNECTIONS").ok().and_then(|count| count.parse().ok()).unwrap_or(2_000);
    let portal = TestPortal::start().await;
    let directory = Directory::create();
    let settings = [("DATABASE_URL", portal.database_url()), ("RACCORD_LOG", "warn")];
    // So few files that there are fewer places than connections.
    let serving = Serving::start_limited(&directory, 1_024, &settings);
    let before = memory(serving.pid());
    let mut idle = Vec::with_capacity(count);
    let start = Instant::now();
    for number in 0..count {
        // A third send nothing, a third half a head, a third half a body.
        idle.push(connect(serving.address, ["", "GET / HT", FORM][number % 3].as_bytes()));
        if number % 200 == 199 {
            let asked = Instant::now();
            assert_eq!(serving.get("/connexion").expect("an answer").0, 200, "with {number} idle connections");
            assert_eq!(serving.get("/readyz").expect("an answer").0, 200, "with {number} idle connections");
            assert!(asked.elapsed() < Duration::from_secs(2), "{:?} with {number}", asked.elapsed());
        }
    }
    assert!(start.elapsed() < Duration::from_mins(1));
    println!("{count} connections in {:?}; from {before} kB to {} kB", start.elapsed(), memory(serving.pid()));
    drop(idle);
    serving.stop();
}

fn memory(pid: u32) -> usize {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("the process runs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("its memory");
    line.trim().trim_end_matches(" kB").parse().expect("a number")
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_too_long_is_refused() {
    let portal = TestPortal::start().await;
    let directory = Directory::create();
    let serving = Serving::start(&directory, &["serve"], &[("DATABASE_URL", portal.database_url())]);
    let long = "a".repeat(10_000);
    let head = |line: &str, rest: &str| format!("{line} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{rest}\r\n");
    for (request, status) in [
        (head(&format!("GET /connexion?suite={long}"), ""), 414),
        (head("GET /connexion", &format!("X-Long: {}\r\n", long.repeat(4))), 431),
        (head("GET /connexion", &"X-Many: a\r\n".repeat(200)), 431),
        (head("POST /connexion", "Sec-Fetch-Site: same-origin\r\nContent-Length: 70000\r\n"), 413),
        (head("POST /api/oauth/token", "Content-Length: 70000\r\n"), 413),
        (head("GET /%zz%ff%00", ""), 404),
        (head("BREW /connexion", "Sec-Fetch-Site: same-origin\r\n"), 405),
        (head("GET /connexion", "Content-Length: -1\r\n"), 400),
        (head("GET /connexion", "Content-Length: 5\r\nContent-Length: 6\r\n"), 400),
        (head("POST /connexion", "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n") + "0\r\n\r\n", 400),
        ("GET /connexion\r\n\r\n".into(), 400),
        ("\u{0}\u{1}\u{2}\r\n\r\n".into(), 400),
    ] {
        let answer = send(serving.address, &request).unwrap_or_else(|| panic!("no answer to {request:.60}"));
        // A smuggled request may be refused with different statuses.
        let smuggled = request.contains("Transfer-Encoding");
        assert!(answer.0 == status || smuggled && (400..500).contains(&answer.0), "{request:.60}: {}", answer.0);
    }
    assert_eq!(serving.get("/livez").expect("an answer").0, 200);
    serving.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_under_load_loses_no_request() {
    let portal = TestPortal::start().await;
    let (manager, structure) = portal.manager().await;
    let directory = Directory::create();
    let mut serving = Serving::start(&directory, &["serve"], &[("DATABASE_URL", portal.database_url())]);
    let browser = portal.sign_in(serving.browser(), &manager).await;
    let cookie = browser.cookies().iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("; ");
    let (address, stopping) = (serving.address, Arc::new(AtomicBool::new(false)));
    let visitors: Vec<_> = (0..16)
        .map(|_| {
            let (stopping, request) = (stopping.clone(), page_request(structure.id, &cookie));
            thread::spawn(move || visit_until_refused(address, &request, &stopping))
        })
        .collect();
    thread::sleep(Duration::from_secs(1));
    stopping.store(true, Ordering::SeqCst);
    let start = Instant::now();
    serving.signal("-TERM");
    assert_eq!(serving.wait(), Some(0), "{}", serving.log());
    let took = start.elapsed();
    let answered: usize = visitors.into_iter().map(|visitor| visitor.join().expect("no request is lost")).sum();
    println!("{answered} requests answered; stopped in {took:?}");
    assert!(answered > 16 && took < PROMISED, "{answered} answers, {took:?}");
}

/// A balancer sees that the instance is about to stop before anything is refused.
#[tokio::test(flavor = "multi_thread")]
async fn an_instance_about_to_stop_is_not_ready_and_serves_for_the_delay() {
    const REQUEST: &[u8] = b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n";
    let portal = TestPortal::start().await;
    let directory = Directory::create();
    let settings = [("DATABASE_URL", portal.database_url()), ("RACCORD_STOP_DELAY_SECONDS", "20")];
    let mut serving = Serving::start(&directory, &["serve"], &settings);
    let mut kept = connect(serving.address, REQUEST);
    let mut answer = [0; 4096];
    let read = kept.read(&mut answer).expect("an answer");
    assert!(!String::from_utf8_lossy(&answer[..read]).contains("connection: close"));
    serving.signal("-TERM");
    let asked = Instant::now();
    while serving.get("/readyz").is_some_and(|answer| answer.0 == 200) {
        assert!(asked.elapsed() < Duration::from_secs(5), "it is still ready");
    }
    let (status, _, body) = serving.get("/readyz").expect("an answer");
    assert_eq!((status, body.as_str()), (503, "stopping\n"));
    assert_eq!(serving.get("/connexion").expect("a page").0, 200);
    kept.write_all(REQUEST).expect("another request");
    let (_, said) = closed_after(kept, asked);
    assert!(said.starts_with("HTTP/1.1 200") && said.contains("connection: close"), "{said}");
    assert!(asked.elapsed() < Duration::from_secs(15) && !serving.has_ended());
    // Who does not want to wait asks again.
    serving.signal("-TERM");
    assert_eq!(serving.wait(), Some(0));
    assert!(asked.elapsed() < Duration::from_secs(19), "{:?}", asked.elapsed());
}

fn page_request(structure: i64, cookie: &str) -> String {
    format!("GET /structures/{structure} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nCookie: {cookie}\r\n\r\n")
}

/// Sends requests until the portal refuses connections. Each one on an open connection must be
/// answered whole. Returns how many were.
fn visit_until_refused(address: SocketAddr, request: &str, stopping: &AtomicBool) -> usize {
    let mut answered = 0;
    loop {
        let Ok(mut stream) = TcpStream::connect(address) else {
            assert!(stopping.load(Ordering::SeqCst), "refused before the end was asked for");
            return answered;
        };
        let mut answer = Vec::new();
        let result = stream.write_all(request.as_bytes()).and_then(|()| stream.read_to_end(&mut answer));
        let text = String::from_utf8_lossy(&answer);
        // The listener closed on a connection that only the kernel had accepted: no request was
        // read, and a client may retry elsewhere.
        if answer.is_empty() && result.is_err() && stopping.load(Ordering::SeqCst) {
            return answered;
        }
        assert!(text.starts_with("HTTP/1.1 200 ") && text.trim_end().ends_with("</html>"), "{result:?} {text:.200}");
        answered += 1;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_memory_stays_private() {
    let portal = TestPortal::start().await;
    let directory = Directory::create();
    let serving = Serving::start(&directory, &["serve"], &[("DATABASE_URL", portal.database_url())]);
    let limits = fs::read_to_string(format!("/proc/{}/limits", serving.pid())).expect("the process runs");
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).expect("a limit");
    assert_eq!(core.split_whitespace().filter(|word| *word == "0").count(), 2, "{core}");
    // A process that may be dumped or traced belongs to its user there; one that may not, to root.
    let runs_as_root = fs::metadata("/proc/self").expect("Linux").uid() == 0;
    let owner = fs::metadata(format!("/proc/{}/mem", serving.pid())).expect("the process runs").uid();
    assert!(runs_as_root || owner == 0, "others of this user may read the memory");
    serving.signal("-ABRT");
    let mut serving = serving;
    assert_eq!(serving.wait(), None);
    let dumps = fs::read_dir(directory.path()).expect("the directory").flatten();
    assert!(dumps.into_iter().all(|entry| !entry.file_name().to_string_lossy().starts_with("core")));
}

#[tokio::test(flavor = "multi_thread")]
async fn it_speaks_tls_by_itself_and_takes_a_new_certificate_without_a_stop() {
    let portal = TestPortal::start().await;
    let directory = Directory::create();
    let (certificate, key) = (directory.path().join("cert.pem"), directory.path().join("key.pem"));
    let first = make_certificate(directory.path(), "portail");
    fs::copy(&first.0, &certificate).and_then(|_| fs::copy(&first.1, &key)).expect("the first certificate");
    let (certificate_text, key_text) = (certificate.to_str().expect("text"), key.to_str().expect("text"));
    let settings = [
        ("DATABASE_URL", portal.database_url()),
        ("RACCORD_TLS_CERT", certificate_text),
        ("RACCORD_TLS_KEY", key_text),
        ("RACCORD_PUBLIC_URL", "https://portail.exemple.fr"),
    ];
    let mut serving = Serving::spawn(&directory, &["serve"], &settings);
    let start = Instant::now();
    let answer = loop {
        if let Some(answer) = tls_get(serving.address, &first.0, "/connexion") {
            break answer;
        }
        assert!(start.elapsed() < PROMISED, "{}", serving.log());
        thread::sleep(Duration::from_millis(50));
    };
    let answer = answer.to_ascii_lowercase();
    assert!(answer.starts_with("http/1.1 200 ") && answer.contains("strict-transport-security: max-age="), "{answer}");
    // TLS 1.2 and plain HTTP get no page, and a client that trusts another certificate does not
    // connect.
    assert!(tls_get_by(&[&TLS12], serving.address, &first.0, "/livez").is_none());
    assert!(send(serving.address, "GET / HTTP/1.1\r\nHost: x\r\n\r\n").is_none());
    let second = make_certificate(directory.path(), "nouveau");
    assert!(tls_get(serving.address, &second.0, "/livez").is_none());
    fs::copy(&second.0, &certificate).and_then(|_| fs::copy(&second.1, &key)).expect("the second certificate");
    serving.signal("-HUP");
    while tls_get(serving.address, &second.0, "/livez").is_none() {
        assert!(start.elapsed() < PROMISED, "{}", serving.log());
        thread::sleep(Duration::from_millis(50));
    }
    // A broken one leaves the good one in place.
    fs::write(&certificate, "nothing").expect("a broken certificate");
    serving.signal("-HUP");
    thread::sleep(Duration::from_millis(300));
    assert!(tls_get(serving.address, &second.0, "/livez").is_some() && serving.log().contains("stays as it was"));
    serving.signal("-TERM");
    assert_eq!(serving.wait(), Some(0));
    assert!(!serving.log().contains("PRIVATE KEY"));
}

/// The whole answer to a GET over TLS, by a client that trusts this certificate alone.
fn tls_get(address: SocketAddr, certificate: &str, path: &str) -> Option<String> {
    tls_get_by(&[&TLS13], address, certificate, path)
}

/// The same, by a client that speaks these versions alone.
fn tls_get_by(
    versions: &[&'static SupportedProtocolVersion],
    address: SocketAddr,
    certificate: &str,
    path: &str,
) -> Option<String> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(certificate).expect("a certificate")).expect("a root");
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(versions)
        .expect("versions of TLS")
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from("localhost").expect("a name");
    let session = ClientConnection::new(Arc::new(config), name).expect("a client");
    let mut stream = StreamOwned::new(session, TcpStream::connect(address).ok()?);
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).ok()?;
    let mut answer = Vec::new();
    // The end of a connection without TLS's own farewell is no matter here: the answer says its
    // length.
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8(answer).ok().filter(|answer| answer.starts_with("HTTP/1.1"))
}
