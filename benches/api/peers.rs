//! Comparable systems of other projects: Django OAuth Toolkit and oidc-provider.
//! `bin/bench --peers` installs them below `target/peers`; their settings stand in `benches/peers`.

use std::{
    fs::File,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use raccord::domain::random;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::sleep,
};

use crate::{
    common::{TestPortal, form},
    load::{Variant, free_address, request},
};

/// Clients of each peer. The first also asks about tokens.
const CLIENTS: usize = 1_000;
const FORM: &str = "Content-Type: application/x-www-form-urlencoded\r\n";

/// Both peers, which run until this is dropped.
pub struct Peers {
    django: Peer,
    node: Peer,
    /// Its database is Django's.
    _portal: TestPortal,
}

impl Peers {
    /// Starts them, and waits until they answer.
    pub async fn start() -> Self {
        let portal = TestPortal::start().await;
        let mut python = Command::new(installed("django/bin/python"));
        python.arg("-W").arg("ignore").arg(concat!(env!("CARGO_MANIFEST_DIR"), "/benches/peers/django_peer.py"));
        python.env("PEER_DATABASE", portal.database_url());
        let mut node = Command::new("node");
        node.arg(installed("node/node_peer.mjs")).env("NODE_ENV", "production");
        let django = Peer::start("Django", python, ["/o/token/", "/o/introspect/"]);
        let node = Peer::start("oidc-provider", node, ["/token", "/token/introspection"]);
        django.wait_until_it_answers().await;
        node.wait_until_it_answers().await;
        Self { django, node, _portal: portal }
    }

    pub async fn variants(&self) -> Vec<Variant> {
        // A service of Django's asks with a token, which costs no hash.
        let asking = self.django.token("introspection").await;
        let bearer = format!("{FORM}Authorization: Bearer {asking}\r\n");
        let own = [("client_id", "client-0"), ("client_secret", &self.node.secret)];
        let mut variants = self.django.variants(&bearer, &[]).await;
        variants.extend(self.node.variants(FORM, &own).await);
        variants
    }
}

/// What is behind their rows.
pub fn print_legend() {
    println!(
        "\
Django         Django OAuth Toolkit: gunicorn, 2 workers of 4 threads; PostgreSQL; secrets hashed by Argon2id
               (19 MiB, 2 passes); introspection with a Bearer token
oidc-provider  one process of node; tokens in memory, 100,000 at most, none on disk; secrets kept as they are
               The CPU time of both is in neither column: \"here\" is the load generator alone."
    );
}

/// A file that `bin/bench --peers` has installed.
fn installed(path: &str) -> PathBuf {
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("peers").join(path);
    assert!(file.exists(), "{} is missing: bin/bench --peers installs it", file.display());
    file
}

/// One of them, as a process.
struct Peer {
    name: &'static str,
    process: Child,
    address: SocketAddr,
    secret: String,
    token_path: &'static str,
    introspection_path: &'static str,
}

impl Peer {
    /// Starts it on a free port of the loopback. What it writes is kept in a file.
    fn start(name: &'static str, mut command: Command, [token_path, introspection_path]: [&'static str; 2]) -> Self {
        let address = free_address();
        let secret = random::token(&mut random::os_rng());
        let log = File::create(installed("").join(format!("{name}.log"))).expect("a file");
        let process = command
            .env("PEER_PORT", address.port().to_string())
            .env("PEER_CLIENTS", CLIENTS.to_string())
            .env("PEER_SECRET", &secret)
            // It ends when this process does, since its standard input ends then.
            .stdin(Stdio::piped())
            .stdout(log.try_clone().expect("a file"))
            .stderr(log)
            .spawn()
            .unwrap_or_else(|error| panic!("{name} does not start: {error}"));
        Self { name, process, address, secret, token_path, introspection_path }
    }

    async fn wait_until_it_answers(&self) {
        let start = Instant::now();
        while TcpStream::connect(self.address).await.is_err() {
            assert!(start.elapsed() < Duration::from_mins(2), "{} does not listen: see its log", self.name);
            sleep(Duration::from_millis(50)).await;
        }
    }

    /// Tokens for one client and for all in turn, and introspection of one token.
    async fn variants(&self, headers: &str, fields: &[(&str, &str)]) -> Vec<Variant> {
        let token = self.token("openid").await;
        let question =
            request(self.introspection_path, headers, &form(&[fields, &[("token", token.as_str())]].concat()));
        let answer = self.ask(&question).await;
        assert_eq!(answer["active"], true, "{}: {answer}", self.name);
        let tokens = |count| (0..count).map(|number| self.token_request(number, "openid")).collect();
        let variant = |name: &str, requests| Variant::new(&format!("{}, {name}", self.name), self.address, requests);
        vec![
            variant("token", tokens(1)),
            variant("token, 1,000", tokens(CLIENTS)),
            variant("introspection", vec![question]),
        ]
    }

    async fn token(&self, scope: &str) -> String {
        let answer = self.ask(&self.token_request(0, scope)).await;
        answer["access_token"].as_str().unwrap_or_else(|| panic!("{}: {answer}", self.name)).to_owned()
    }

    fn token_request(&self, client: usize, scope: &str) -> String {
        let client = format!("client-{client}");
        let fields = [
            ("grant_type", "client_credentials"),
            ("client_id", &client),
            ("client_secret", &self.secret),
            ("scope", scope),
        ];
        request(self.token_path, FORM, &form(&fields))
    }

    /// The answer to one request, as JSON.
    async fn ask(&self, request: &str) -> Value {
        let mut stream = TcpStream::connect(self.address).await.expect("a connection");
        let once = request.replacen("\r\n", "\r\nConnection: close\r\n", 1);
        stream.write_all(once.as_bytes()).await.expect("it listens");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.expect("it answers");
        let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
        serde_json::from_str(body).unwrap_or_else(|_| panic!("{}: {answer}", self.name))
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = kill_process(Pid::from_child(&self.process), Signal::TERM);
        let _ = self.process.wait();
    }
}
