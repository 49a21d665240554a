//! The program itself, on its embedded database: how soon it is ready, and the memory it takes.

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use raccord::{
    db,
    embedded_postgres::{Durability, EmbeddedPostgres},
    web::paths,
};
use rustix::process::{Pid, Signal, kill_process};
use tokio::time::sleep;

use crate::{
    chain,
    load::{self, Variant, free_address, request},
};

/// How long the program is left alone after the burst.
const REST: Duration = Duration::from_mins(1);

/// Times of start and kilobytes of memory (RSS).
pub struct Figures {
    pub first_start: Duration,
    pub later_start: Duration,
    pub memory_at_start: u64,
    pub memory_under_load: u64,
    pub memory_after_rest: u64,
    /// Acts a second, 50 at once, with the disk waited for and without.
    pub acts_with_flush: u64,
    pub acts_without_flush: u64,
}

/// Starts the program with an empty directory for its data, then again.
pub async fn measure() -> Figures {
    let directory = fresh_directory();
    let (first, first_start) = Program::start(&directory).await;
    first.end();
    let (program, later_start) = Program::start(&directory).await;
    sleep(Duration::from_secs(2)).await;
    let memory_at_start = program.memory();
    let memory_under_load = burst(&program).await;
    sleep(REST).await;
    let memory_after_rest = program.memory();
    let (acts_with_flush, acts_without_flush) = acts(&directory).await;
    program.end();
    Figures {
        first_start,
        later_start,
        memory_at_start,
        memory_under_load,
        memory_after_rest,
        acts_with_flush,
        acts_without_flush,
    }
}

fn fresh_directory() -> PathBuf {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("bench");
    let _ = fs::remove_dir_all(&directory);
    directory
}

/// The program as a process.
struct Program {
    process: Child,
    address: SocketAddr,
}

impl Program {
    /// Starts it, and waits until it is ready.
    async fn start(directory: &Path) -> (Self, Duration) {
        let free = free_address();
        let start = Instant::now();
        let process = Command::new(env!("CARGO_BIN_EXE_raccord"))
            .args(["serve", "--demo"])
            .env("RACCORD_LISTEN", free.to_string())
            .env("RACCORD_DATA_DIR", directory)
            .env_remove("DATABASE_URL")
            .stderr(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .expect("the program runs");
        let program = Self { process, address: free };
        while !program.is_ready().await {
            assert!(start.elapsed() < Duration::from_mins(2), "the program is not ready");
            sleep(Duration::from_millis(5)).await;
        }
        (program, start.elapsed())
    }

    async fn is_ready(&self) -> bool {
        if tokio::net::TcpStream::connect(self.address).await.is_err() {
            return false;
        }
        let ready = Variant::new("readyz", self.address, vec![request("/readyz", "", "")]);
        tokio::spawn(async move { load::times(&ready, 1).await }).await.is_ok()
    }

    /// Its memory in kilobytes.
    fn memory(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.process.id())).expect("it lives");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("its memory");
        line.trim().trim_end_matches(" kB").parse().expect("a number")
    }

    /// Ends it as an operator does.
    fn end(mut self) {
        let pid = Pid::from_child(&self.process);
        kill_process(pid, Signal::TERM).expect("it lives");
        self.process.wait().expect("it ends");
    }
}

/// Pages, wrong passwords of people (which cost Argon2id) and exports for some seconds. The largest
/// memory seen.
async fn burst(program: &Program) -> u64 {
    let page = Variant::new("page", program.address, vec![request(paths::SIGN_IN, "", "")]);
    let mut largest = 0;
    for _ in 0..4 {
        let _ = load::round(&page, &[]).await;
        largest = largest.max(program.memory());
        let guesses: Vec<_> = (0..32).map(|number| tokio::spawn(guess(program.address, number))).collect();
        for guess in guesses {
            guess.await.expect("no panic");
            largest = largest.max(program.memory());
        }
    }
    largest
}

/// A wrong password, whatever the answer.
async fn guess(address: SocketAddr, number: usize) {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let form = format!("identifiant=personne{number}@x.fr&mot-de-passe=mauvais-mot-de-passe");
    let headers =
        "Content-Type: application/x-www-form-urlencoded\r\nSec-Fetch-Site: same-origin\r\nConnection: close\r\n";
    let mut stream = tokio::net::TcpStream::connect(address).await.expect("a connection");
    stream.write_all(request(paths::SIGN_IN, headers, &form).as_bytes()).await.expect("it listens");
    let _ = stream.read_to_end(&mut Vec::new()).await;
}

/// Acts a second on the program's own database, which is durable.
async fn acts(directory: &Path) -> (u64, u64) {
    let directory = directory.join("postgres");
    let cluster = EmbeddedPostgres::start(&directory, None, Durability::Durable).await.expect("the program's cluster");
    let url = cluster.url("raccord").expect("the owner's URL");
    let pool = db::pool(url.parse().expect("a sound URL"), 60);
    let with_flush = chain::acts_per_second(&pool, "SET synchronous_commit = on").await;
    let without = chain::acts_per_second(&pool, "SET synchronous_commit = off").await;
    pool.close().await;
    (with_flush, without)
}
