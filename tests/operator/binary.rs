//! The real binary, started as a process.

use std::{
    fs,
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    sync::atomic::{AtomicU32, Ordering},
    time::{Duration, Instant},
};

use crate::common::{Browser, MEMBERSHIPS, Server, cpro_account};

static NUMBER: AtomicU32 = AtomicU32::new(0);

/// A directory for one test, removed on drop.
pub struct Directory(PathBuf);

impl Directory {
    pub fn create() -> Self {
        let name = format!("raccord-operator-{}-{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        fs::create_dir_all(&path).expect("a new directory");
        // Where root runs the tests, the database runs as another user, which must reach its files
        // here.
        fs::set_permissions(&path, fs::Permissions::from_mode(0o711)).expect("a directory that others may enter");
        Self(path)
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    pub fn file(&self, name: &str, content: &[u8]) -> PathBuf {
        let path = self.0.join(name);
        fs::write(&path, content).expect("a file");
        path
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// `raccord`, with these settings and no others of this process's environment.
pub fn raccord(arguments: &[&str], settings: &[(&str, &str)]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_raccord"));
    command.args(arguments);
    settled(command, settings)
}

fn settled(mut command: Command, settings: &[(&str, &str)]) -> Command {
    command.env_clear();
    // The last one is where coverage is written (bin/coverage).
    for kept in ["PATH", "HOME", "RACCORD_PG_BIN", "LLVM_PROFILE_FILE"] {
        if let Ok(value) = std::env::var(kept) {
            command.env(kept, value);
        }
    }
    command.envs(settings.iter().copied()).stdin(Stdio::null());
    command
}

/// Runs a command to its end: exit code, standard output, standard error.
pub fn run(command: &mut Command) -> (i32, String, String) {
    finished(&command.output().expect("the binary runs"))
}

/// The same, with something on standard input.
pub fn run_with_input(command: &mut Command, input: &[u8]) -> (i32, String, String) {
    let piped = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = piped.spawn().expect("the binary runs");
    child.stdin.take().expect("a pipe").write_all(input).expect("it reads its input");
    finished(&child.wait_with_output().expect("it ends"))
}

fn finished(output: &Output) -> (i32, String, String) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code().unwrap_or(-1), text(&output.stdout), text(&output.stderr))
}

/// A port of this machine on which nothing listens.
pub fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).expect("a free port")
}

/// A process that runs `raccord serve`.
pub struct Serving {
    pub address: SocketAddr,
    child: Child,
    log: PathBuf,
}

impl Serving {
    /// Starts `serve` on a free port and waits until it is ready.
    pub fn start(directory: &Directory, arguments: &[&str], settings: &[(&str, &str)]) -> Self {
        Self::spawn(directory, arguments, settings).ready()
    }

    /// The same at this address, where a process before it has ended.
    pub fn start_at(directory: &Directory, address: SocketAddr, settings: &[(&str, &str)]) -> Self {
        Self::spawn_command_at(directory, raccord(&["serve"], settings), address).ready()
    }

    /// The same, with a limit of open files.
    pub fn start_limited(directory: &Directory, files: u32, settings: &[(&str, &str)]) -> Self {
        let limit = format!("ulimit -n {files} && exec \"$0\" serve");
        let mut command = Command::new("sh");
        command.args(["-c", &limit, env!("CARGO_BIN_EXE_raccord")]);
        Self::spawn_command(directory, settled(command, settings)).ready()
    }

    fn ready(self) -> Self {
        let serving = self;
        let start = Instant::now();
        while serving.get("/readyz").is_none_or(|answer| answer.0 != 200) {
            assert!(start.elapsed() < Duration::from_mins(1), "not ready:\n{}", serving.log());
            std::thread::sleep(Duration::from_millis(50));
        }
        serving
    }

    /// Starts `serve` without waiting until it is ready.
    pub fn spawn(directory: &Directory, arguments: &[&str], settings: &[(&str, &str)]) -> Self {
        Self::spawn_command(directory, raccord(arguments, settings))
    }

    fn spawn_command(directory: &Directory, command: Command) -> Self {
        Self::spawn_command_at(directory, command, free_address())
    }

    fn spawn_command_at(directory: &Directory, mut command: Command, address: SocketAddr) -> Self {
        let log = directory.path().join(format!("log-{}", address.port()));
        let file = fs::File::create(&log).expect("a log");
        command.env("RACCORD_DATA_DIR", directory.path()).env("RACCORD_LISTEN", address.to_string());
        let streams = (file.try_clone().expect("the log"), file);
        let child = command.stdout(streams.0).stderr(streams.1).spawn().expect("the binary starts");
        Self { address, child, log }
    }

    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// A browser that visits this process.
    pub fn browser(&self) -> Browser {
        Browser::new(self.server())
    }

    pub fn server(&self) -> Server {
        Server::remote(self.address)
    }

    /// The same, behind a balancer with this URL.
    pub fn server_known_as(&self, public_url: &str) -> Server {
        self.server().known_as(public_url)
    }

    /// The API's answer about the account's memberships.
    pub fn memberships(&self, login: &str, password: &str) -> String {
        let account = cpro_account(login, password);
        let request = format!(
            "POST {MEMBERSHIPS} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\
             cpro-account: {account}\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{{}}"
        );
        let (status, _, body) = send(self.address, &request).expect("an answer");
        assert_eq!(status, 200, "{body}");
        body
    }

    pub fn has_ended(&mut self) -> bool {
        !matches!(self.child.try_wait(), Ok(None))
    }

    /// Kills it at once, and waits for its end.
    pub fn kill(mut self) {
        let _ = self.child.kill();
        self.wait();
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Status, head and body; `None` where no answer comes.
    pub fn get(&self, path: &str) -> Option<(u16, String, String)> {
        let head = format!("GET {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", self.address);
        send(self.address, &head)
    }

    /// Sends a signal by its name.
    pub fn signal(&self, name: &str) {
        let status = Command::new("kill").args([name, &self.pid().to_string()]).status().expect("kill is there");
        assert!(status.success());
    }

    /// Waits for its end: the exit code, `None` where a signal ended it.
    pub fn wait(&mut self) -> Option<i32> {
        self.child.wait().expect("it ends").code()
    }

    /// Stops it by SIGTERM, as an operator does. Returns its log.
    pub fn stop(mut self) -> String {
        self.signal("-TERM");
        assert_eq!(self.wait(), Some(0), "{}", self.log());
        self.log()
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            // SIGTERM first, so that an embedded database ends with it.
            self.signal("-TERM");
            let _ = self.child.wait();
        }
    }
}

/// One request over TCP: status, head and body.
pub fn send(address: SocketAddr, request: &str) -> Option<(u16, String, String)> {
    let mut stream = TcpStream::connect(address).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(30))).ok()?;
    stream.write_all(request.as_bytes()).ok()?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).ok()?;
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let status = head.split(' ').nth(1)?.parse().ok()?;
    Some((status, head.to_ascii_lowercase(), body.to_owned()))
}
