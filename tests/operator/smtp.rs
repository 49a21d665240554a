//! A mail server for tests, over real sockets: plain, with STARTTLS, or with TLS from the first
//! byte; with or without a password.

use std::{
    io::{self, BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use data_encoding::BASE64;
use tokio_rustls::rustls::{
    ServerConfig, ServerConnection, StreamOwned,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};

/// A mail as it was accepted.
#[derive(Clone, Debug)]
pub struct Taken {
    pub recipient: String,
    /// Head and body, with plain ends of lines, and in the body without soft ones.
    pub text: String,
}

impl Taken {
    pub fn message_id(&self) -> &str {
        self.text.lines().find_map(|line| line.strip_prefix("Message-ID: ")).expect("a Message-ID")
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Security {
    #[default]
    None,
    StartTls,
    Implicit,
}

/// A mail server that keeps the mails it accepts. Its clones are the same server.
#[derive(Clone, Default)]
pub struct Listener {
    taken: Arc<Mutex<Vec<Taken>>>,
    /// The names by which clients introduced themselves, in `EHLO`.
    names: Arc<Mutex<Vec<String>>>,
    /// While set, it answers every recipient « try again later ».
    pub busy: Arc<AtomicBool>,
    /// While set, it answers every recipient « user unknown ».
    pub unknown: Arc<AtomicBool>,
    /// A word for which it refuses a mail's text; none where empty.
    pub refused_word: Arc<Mutex<String>>,
    /// While set, it is gone: new connections get no answer, and open ones end.
    pub gone: Arc<AtomicBool>,
    security: Security,
    tls: Option<Arc<ServerConfig>>,
    /// User and password, where it requires them.
    account: Option<(String, String)>,
    /// Called between keeping a mail and confirming it, with the number of mails kept.
    before_telling: Option<Arc<dyn Fn(usize) + Send + Sync>>,
}

trait Stream: Read + Write {}
impl<T: Read + Write> Stream for T {}

impl Listener {
    pub fn with_tls(security: Security, certificate: &str, key: &str) -> Self {
        Self { security, tls: Some(tls_config(certificate, key)), ..Self::default() }
    }

    pub fn wants(self, user: &str, password: &str) -> Self {
        Self { account: Some((user.into(), password.into())), ..self }
    }

    pub fn before_telling(self, act: impl Fn(usize) + Send + Sync + 'static) -> Self {
        Self { before_telling: Some(Arc::new(act)), ..self }
    }

    pub fn start(&self, address: &str) -> SocketAddr {
        let socket = TcpListener::bind(address).expect("a free port");
        let address = socket.local_addr().expect("its address");
        let listener = self.clone();
        thread::spawn(move || {
            for stream in socket.incoming().flatten() {
                let listener = listener.clone();
                if !listener.gone.load(Ordering::Relaxed) {
                    thread::spawn(move || listener.talk(stream));
                }
            }
        });
        address
    }

    /// All mails that were accepted, in order, with repetitions.
    pub fn taken(&self) -> Vec<Taken> {
        self.taken.lock().expect("no panic under the lock").clone()
    }

    /// The names that clients gave in `EHLO`, without repetitions.
    pub fn names(&self) -> Vec<String> {
        let mut names = self.names.lock().expect("no panic under the lock").clone();
        names.dedup();
        names
    }

    /// Waits until this holds for the accepted mails.
    pub fn wait_until(&self, what: &str, holds: impl Fn(&[Taken]) -> bool, log: impl Fn() -> String) -> Vec<Taken> {
        let start = Instant::now();
        loop {
            let taken = self.taken();
            if holds(&taken) {
                return taken;
            }
            assert!(start.elapsed() < Duration::from_mins(2), "{what}: {} mails\n{}", taken.len(), log());
            thread::sleep(Duration::from_millis(100));
        }
    }

    pub fn wait_for(&self, count: usize, log: impl Fn() -> String) -> Vec<Taken> {
        self.wait_until(&format!("{count} mails"), |taken| taken.len() >= count, log)
    }

    fn talk(&self, stream: TcpStream) -> Option<()> {
        stream.set_read_timeout(Some(Duration::from_millis(200))).ok()?;
        let stream = Leaving { stream, gone: self.gone.clone() };
        match self.security {
            Security::Implicit => self.converse(&mut BufReader::new(self.wrapped(stream)?), true),
            Security::None => self.converse(&mut BufReader::new(stream), true),
            Security::StartTls => {
                let mut plain = BufReader::new(stream);
                self.converse(&mut plain, false)?;
                self.converse(&mut BufReader::new(self.wrapped(plain.into_inner())?), true)
            }
        }
    }

    fn wrapped(&self, stream: Leaving) -> Option<StreamOwned<ServerConnection, Leaving>> {
        Some(StreamOwned::new(ServerConnection::new(self.tls.clone()?).ok()?, stream))
    }

    /// One conversation. Returns `Some` where TLS must begin.
    fn converse<S: Stream>(&self, stream: &mut BufReader<S>, is_safe: bool) -> Option<()> {
        let say = |stream: &mut BufReader<S>, line: &str| {
            stream.get_mut().write_all(format!("{line}\r\n").as_bytes()).ok()?;
            stream.get_mut().flush().ok()
        };
        // After STARTTLS the client speaks first.
        if !is_safe || self.security != Security::StartTls {
            say(stream, "220 here")?;
        }
        let (mut recipient, mut is_known) = (String::new(), self.account.is_none());
        loop {
            let line = read_line(stream)?;
            let word = line.split(' ').next()?.to_ascii_uppercase();
            if word == "EHLO" {
                let name = line.split(' ').nth(1).unwrap_or_default().to_owned();
                self.names.lock().expect("no panic under the lock").push(name);
            }
            match word.as_str() {
                "EHLO" if !is_safe => say(stream, "250-here\r\n250-8BITMIME\r\n250 STARTTLS")?,
                "EHLO" if self.account.is_some() => say(stream, "250-here\r\n250-8BITMIME\r\n250 AUTH PLAIN")?,
                "EHLO" => say(stream, "250 8BITMIME")?,
                "STARTTLS" if !is_safe => return say(stream, "220 go on"),
                "AUTH" => {
                    is_known = self.knows(line.rsplit(' ').next()?);
                    say(stream, if is_known { "235 welcome" } else { "535 5.7.8 wrong user or password" })?;
                }
                "MAIL" | "RCPT" if !is_safe || !is_known => say(stream, "530 5.7.0 say first who you are")?,
                "RCPT" if self.busy.load(Ordering::Relaxed) => say(stream, "451 later")?,
                "RCPT" if self.unknown.load(Ordering::Relaxed) => say(stream, "550 5.1.1 user unknown")?,
                "RCPT" => {
                    line.split(['<', '>']).nth(1)?.clone_into(&mut recipient);
                    say(stream, "250 ok")?;
                }
                "DATA" => {
                    say(stream, "354 go on")?;
                    let Judged::Kept(count) = self.keep(stream, &recipient)? else {
                        say(stream, "554 5.7.1 refused for its text")?;
                        continue;
                    };
                    if let Some(act) = &self.before_telling {
                        act(count);
                    }
                    say(stream, "250 taken")?;
                }
                "QUIT" => {
                    say(stream, "221 bye")?;
                    return None;
                }
                _ => say(stream, "250 ok")?,
            }
        }
    }

    /// Keeps a mail that came whole, if its text is taken.
    fn keep<S: Stream>(&self, stream: &mut BufReader<S>, recipient: &str) -> Option<Judged> {
        let mut text = String::new();
        loop {
            let line = read_line(stream)?;
            match line.as_str() {
                "." => break,
                line => text += &(line.strip_prefix("..").map_or(line.to_owned(), |rest| format!(".{rest}")) + "\n"),
            }
        }
        // Soft line ends occur in the body alone: `=` ends encoded words in the head.
        let (head, body) = text.split_once("\n\n")?;
        let text = format!("{head}\n\n{}", body.replace("=\n", "").replace("=3D", "="));
        let refused = self.refused_word.lock().ok()?;
        if !refused.is_empty() && text.contains(refused.as_str()) {
            return Some(Judged::Refused);
        }
        let mut taken = self.taken.lock().ok()?;
        taken.push(Taken { recipient: recipient.into(), text });
        Some(Judged::Kept(taken.len()))
    }

    fn knows(&self, encoded: &str) -> bool {
        let shown = BASE64.decode(encoded.as_bytes()).unwrap_or_default();
        self.account.as_ref().is_some_and(|(user, password)| shown == format!("\0{user}\0{password}").as_bytes())
    }
}

/// A mail that came whole.
enum Judged {
    /// With how many there are now.
    Kept(usize),
    Refused,
}

fn read_line<S: Stream>(stream: &mut BufReader<S>) -> Option<String> {
    let mut line = String::new();
    match stream.read_line(&mut line) {
        Ok(read) if read > 0 => Some(line.trim_end_matches(['\r', '\n']).to_owned()),
        _ => None,
    }
}

/// A connection that ends when its server is gone.
struct Leaving {
    stream: TcpStream,
    gone: Arc<AtomicBool>,
}

impl Read for Leaving {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            if self.gone.load(Ordering::Relaxed) {
                return Ok(0);
            }
            match self.stream.read(buffer) {
                Err(error) if [io::ErrorKind::WouldBlock, io::ErrorKind::TimedOut].contains(&error.kind()) => {}
                read => return read,
            }
        }
    }
}

impl Write for Leaving {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        if self.gone.load(Ordering::Relaxed) {
            Err(io::ErrorKind::BrokenPipe.into())
        } else {
            self.stream.write(buffer)
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}

/// TLS of a server with this certificate and key.
pub fn tls_config(certificate: &str, key: &str) -> Arc<ServerConfig> {
    let chain = vec![CertificateDer::from_pem_file(certificate).expect("a certificate")];
    let key = PrivateKeyDer::from_pem_file(key).expect("a key");
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("versions of TLS")
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .expect("a key that fits");
    Arc::new(config)
}

/// Makes a self-signed certificate for `localhost` and its key. Returns the paths of both.
pub fn make_certificate(directory: &Path, name: &str) -> (String, String) {
    let path = |kind| directory.join(format!("{name}.{kind}")).to_str().expect("text").to_owned();
    let (certificate, key) = (path("cert"), path("key"));
    let made = std::process::Command::new("openssl")
        .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"])
        .args(["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"])
        .args(["-addext", "basicConstraints=critical,CA:FALSE", "-keyout", &key, "-out", &certificate])
        .output()
        .expect("openssl is installed");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    (certificate, key)
}
