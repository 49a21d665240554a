//! A PostgreSQL server for one test, durable as in production, to be stopped, killed, filled and
//! searched.

use std::{
    fs,
    os::unix::{
        fs::{MetadataExt, chown},
        process::CommandExt,
    },
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    sync::Mutex,
    thread,
    time::{Duration, Instant},
};

use super::binary::Directory;

pub struct Postgres {
    home: Directory,
    data: PathBuf,
    settings: Vec<String>,
    server: Mutex<Option<Child>>,
}

impl Postgres {
    /// A new cluster with a database and a role `raccord`, which owns it.
    pub fn start(settings: &[&str]) -> Self {
        let postgres = Self::place(settings);
        let data = postgres.data.to_str().expect("a path of text").to_owned();
        let arguments = ["-D", &data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync"];
        checked(&Self::program("initdb").args(arguments).output().expect("initdb is installed"));
        postgres.boot();
        postgres.sql("postgres", "CREATE ROLE raccord LOGIN");
        postgres.sql("postgres", "CREATE DATABASE raccord OWNER raccord");
        postgres
    }

    /// A copy of this cluster, as `pg_basebackup` makes it: a standby, once it is booted.
    pub fn standby(&self, name: &str, settings: &[&str]) -> Self {
        let standby = Self::place(settings);
        let source = format!("host={} user=postgres application_name={name}", self.socket_dir().display());
        let data = standby.data.to_str().expect("a path of text");
        let arguments = ["--no-sync", "--checkpoint=fast", "--write-recovery-conf", "-D", data, "-d", &source];
        checked(&Self::program("pg_basebackup").args(arguments).output().expect("pg_basebackup is installed"));
        standby.boot();
        standby
    }

    fn place(settings: &[&str]) -> Self {
        let home = Directory::create();
        if let Some(user) = server_user() {
            chown(home.path(), Some(user.0), Some(user.1)).expect("root gives its directory away");
        }
        let settings = settings.iter().map(|&setting| setting.to_owned()).collect();
        Self { data: home.path().join("data"), home, settings, server: Mutex::default() }
    }

    pub fn socket_dir(&self) -> &Path {
        self.home.path()
    }

    /// Where the server's files are.
    pub fn data(&self) -> &Path {
        &self.data
    }

    pub fn url(&self, role: &str, database: &str) -> String {
        let socket = self.socket_dir().to_str().expect("a path of text").replace('/', "%2F");
        format!("postgres://{role}@localhost:5432/{database}?host={socket}&sslmode=disable")
    }

    /// One of PostgreSQL's programs, run as the user of the server.
    pub fn program(name: &str) -> Command {
        let mut versions: Vec<PathBuf> = fs::read_dir("/usr/lib/postgresql")
            .map(|entries| entries.flatten().map(|entry| entry.path().join("bin")).collect())
            .unwrap_or_default();
        versions.sort();
        let bin = std::env::var_os("RACCORD_PG_BIN").map(PathBuf::from).or_else(|| versions.pop());
        let mut command = Command::new(bin.map_or_else(|| PathBuf::from(name), |bin| bin.join(name)));
        command.current_dir("/").stdin(Stdio::null()).env("LC_ALL", "C.UTF-8");
        if let Some((uid, gid)) = server_user() {
            command.uid(uid).gid(gid);
        }
        command
    }

    /// Starts the server and waits until it takes queries. Processes that a kill orphaned need a
    /// moment to end before.
    pub fn boot(&self) {
        let start = Instant::now();
        while !self.try_boot() {
            assert!(start.elapsed() < Duration::from_secs(30), "PostgreSQL does not start:\n{}", self.log());
            thread::sleep(Duration::from_millis(100));
        }
    }

    fn try_boot(&self) -> bool {
        let log = fs::File::options().create(true).append(true).open(self.log_file()).expect("a log");
        let socket = format!("unix_socket_directories={}", self.socket_dir().display());
        let mut command = Self::program("postgres");
        command.arg("-D").arg(&self.data).args(["-c", "listen_addresses=", "-c", &socket]);
        for setting in &self.settings {
            command.args(["-c", setting]);
        }
        command.stdout(log.try_clone().expect("the log")).stderr(log).process_group(0);
        let mut server = command.spawn().expect("postgres is installed");
        while !self.is_ready(server.id()) {
            if let Ok(Some(_)) = server.try_wait() {
                return false;
            }
            thread::sleep(Duration::from_millis(20));
        }
        *self.server.lock().expect("no panic under the lock") = Some(server);
        true
    }

    /// Whether the server's own status file says that it is ready.
    fn is_ready(&self, pid: u32) -> bool {
        let status = fs::read_to_string(self.data.join("postmaster.pid")).unwrap_or_default();
        let lines: Vec<&str> = status.lines().map(str::trim).collect();
        lines.first() == Some(&pid.to_string().as_str()) && matches!(lines.get(7), Some(&("ready" | "standby")))
    }

    /// Ends the server with a signal, and waits for its end.
    pub fn end(&self, signal: &str) {
        let Some(mut server) = self.server.lock().expect("no panic under the lock").take() else { return };
        let _ = Command::new("kill").args([signal, &server.id().to_string()]).status();
        let _ = server.wait();
    }

    /// Kills the process, as a power cut does.
    pub fn kill(&self) {
        self.end("-KILL");
    }

    /// Sends a signal to the server and all its processes: `-STOP` freezes them, `-CONT` lets them
    /// go on.
    pub fn signal_all(&self, signal: &str) {
        let pid = self.server.lock().expect("no panic under the lock").as_ref().map_or(0, Child::id).to_string();
        let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).expect("its processes");
        // One of them may have ended meanwhile.
        let pids = children.split_whitespace().chain([pid.as_str()]);
        let _ = Command::new("kill").arg(signal).args(pids).status().expect("kill is there");
    }

    /// Runs statements as the superuser. Returns their unformatted output.
    #[track_caller]
    pub fn sql(&self, database: &str, statements: &str) -> String {
        self.try_sql("postgres", database, statements).unwrap_or_else(|error| panic!("{statements}: {error}"))
    }

    /// The same as any role, where it may fail.
    pub fn try_sql(&self, role: &str, database: &str, statements: &str) -> Result<String, String> {
        let mut psql = Self::program("psql");
        psql.args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-d", &self.url(role, database), "-c", statements]);
        let output = psql.output().expect("psql is installed");
        if output.status.success() {
            Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
        } else {
            Err(String::from_utf8_lossy(&output.stderr).into_owned())
        }
    }

    pub fn log(&self) -> String {
        String::from_utf8_lossy(&fs::read(self.log_file()).unwrap_or_default()).into_owned()
    }

    fn log_file(&self) -> PathBuf {
        self.home.path().join("server.log")
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        self.end("-QUIT");
    }
}

/// User and group `postgres` where the tests run as root, which PostgreSQL refuses.
fn server_user() -> Option<(u32, u32)> {
    if fs::metadata("/proc/self").expect("Linux").uid() != 0 {
        return None;
    }
    let users = fs::read_to_string("/etc/passwd").expect("the users");
    let line = users.lines().find(|line| line.starts_with("postgres:")).expect("user postgres");
    let number = |at| line.split(':').nth(at).and_then(|field| field.parse().ok()).expect("a number");
    Some((number(2), number(3)))
}

fn checked(output: &Output) {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
