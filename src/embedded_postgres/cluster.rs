//! Creates, starts, recovers and stops the server of one cluster.
//!
//! The socket is in a directory of mode 0700, so only the server's user and root reach it. The
//! serving role uses `trust`: it needs no password. `peer` does not work, because root connects to
//! a server that runs as `postgres`. The owner needs the password of `owner_password`. The
//! superuser (`postgres`) requires `peer`, so no SQL from the portal, even injected, can read files
//! or run programs.

use std::{
    fs::{self, File},
    io::ErrorKind,
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use super::{
    directories::{self, SOCKET},
    durability::Durability,
    error::{At, EmbeddedPostgresError, Result},
    owner_password,
    programs::{Call, Owner, Programs, last_lines},
};

/// How long the server's processes may take to exit after a `kill -9` of the server.
const EXIT_TIMEOUT: Duration = Duration::from_secs(15);
/// Time limit for crash recovery, which replays up to `max_wal_size`.
const RECOVERY_TIMEOUT: Duration = Duration::from_mins(10);

const BOOTSTRAP: &str = "CREATE ROLE raccord LOGIN CREATEDB;\nCREATE ROLE raccord_portal LOGIN;\n\
                         CREATE DATABASE raccord OWNER raccord;\n";
const PG_HBA: &str = "local all raccord scram-sha-256\nlocal all raccord_portal trust\nlocal all postgres peer\n";
/// The tests open connections by the thousand, and a password costs each of them milliseconds.
const THROWAWAY_PG_HBA: &str = "local all raccord,raccord_portal trust\nlocal all postgres peer\n";

/// The log keeps starts, stops and crashes, but no failing statement and no values: `log` ranks
/// above `error`, and `terse` drops the DETAIL that quotes keys. The portal logs its own errors.
const SETTINGS: &str = "-c listen_addresses= -c port=5432 -c unix_socket_permissions=0700 -c timezone=UTC -c log_timezone=UTC \
    -c logging_collector=off -c log_min_messages=log -c log_error_verbosity=terse -c log_min_error_statement=panic \
    -c log_parameter_max_length_on_error=0 -c log_checkpoints=off -c log_autovacuum_min_duration=-1";
const THROWAWAY_SETTINGS: &str =
    "-c fsync=off -c synchronous_commit=off -c full_page_writes=off -c max_connections=200";

#[derive(Debug)]
pub(super) struct Cluster {
    dir: PathBuf,
    home: PathBuf,
    socket_dir: PathBuf,
    owner: Owner,
    programs: Programs,
    durability: Durability,
}

enum State {
    Ready,
    /// It accepts connections, but is still recovering or shutting down.
    Busy,
    Down,
}

impl Cluster {
    pub(super) fn open(dir: &Path, pg_bin: Option<&Path>, durability: Durability) -> Result<Self> {
        let owner = Owner::find(&dir.join("cluster"))?;
        let home = directories::home(dir, owner, durability)?;
        let version = fs::read_to_string(home.join("pgdata/PG_VERSION")).ok();
        let programs = Programs::find(pg_bin, version.as_deref().map(str::trim))?;
        directories::make_private(&home, owner)?;
        let socket_dir = directories::socket_dir(&home, owner)?;
        Ok(Self { dir: dir.to_owned(), home, socket_dir, owner, programs, durability })
    }

    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    pub(super) fn socket_dir(&self) -> &Path {
        &self.socket_dir
    }

    /// Creates and starts the server where needed. Returns once it accepts queries.
    pub(super) fn ensure_running(&self) -> Result<()> {
        if !self.pgdata().exists() {
            self.create()?;
        }
        let start = Instant::now();
        loop {
            let limit = match self.state() {
                State::Ready => return Ok(()),
                State::Busy => RECOVERY_TIMEOUT,
                State::Down if self.has_processes()? => EXIT_TIMEOUT,
                State::Down => {
                    self.start_server()?;
                    continue;
                }
            };
            if start.elapsed() > limit {
                return Err(EmbeddedPostgresError::NotAnswering(self.home.clone()));
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Creates the cluster with its roles and database under another name, and renames it when
    /// complete: a kill before that leaves a directory that the next start removes. `postgres
    /// --single` creates roles and database without a running server or `psql`. Everything is
    /// synced to disk at once, before the rename.
    fn create(&self) -> Result<()> {
        self.remove_unfinished();
        let new = self.home.join(format!("initdb-{}", directories::nanoseconds()));
        let (text, locale) = (new.to_string_lossy(), ["-E", "UTF8", "--locale=C.UTF-8"]);
        let args =
            [&["-D", &text, "-U", "postgres", "-A", "peer", "--data-checksums", "--no-sync"], &locale[..]].concat();
        self.run("initdb", &args, "")?;
        self.run("postgres", &["--single", "-F", "-D", &text, "-c", "exit_on_error=on", "postgres"], BOOTSTRAP)?;
        self.protect_owner(&new)?;
        if self.durability == Durability::Durable {
            self.run("initdb", &["--sync-only", "-D", &text], "")?;
        }
        fs::rename(&new, self.pgdata()).at(&new)?;
        File::open(&self.home).and_then(|home| home.sync_all()).at(&self.home)
    }

    /// Gives the owner its password, where the cluster in `pgdata` asks for none yet: it is new, or
    /// of an older version, or the file with the password was removed. No server may run. A kill
    /// on the way leaves a state from which the next start does it again.
    fn protect_owner(&self, pgdata: &Path) -> Result<()> {
        let (hba, is_durable) = (pgdata.join("pg_hba.conf"), self.durability == Durability::Durable);
        let rules = if is_durable { PG_HBA } else { THROWAWAY_PG_HBA };
        let is_ruled = fs::read_to_string(&hba).is_ok_and(|now| now == rules);
        if is_ruled && (!is_durable || owner_password::exists(&self.dir)) {
            return Ok(());
        }
        if is_durable {
            let password = owner_password::read_or_make(&self.dir)?;
            let data = pgdata.to_string_lossy();
            let settings = ["-c", "exit_on_error=on", "-c", "log_min_error_statement=panic"];
            let args = [&["--single", "-D", &data], &settings[..], &["postgres"]].concat();
            self.run("postgres", &args, &format!("ALTER ROLE raccord PASSWORD '{password}';\n"))?;
        }
        // Written over, not replaced: it stays the server's own file.
        fs::write(&hba, rules).at(&hba)
    }

    /// Best effort: the `initdb` of a killed portal may still be writing there. Every creation uses
    /// a new name.
    fn remove_unfinished(&self) {
        for entry in fs::read_dir(&self.home).into_iter().flatten().flatten() {
            if entry.file_name().to_string_lossy().starts_with("initdb-") {
                let _ = fs::remove_dir_all(entry.path());
            }
        }
    }

    fn state(&self) -> State {
        if UnixStream::connect(self.socket_dir.join(SOCKET)).is_err() {
            return State::Down;
        }
        // The eighth line is the server's status, the one that `pg_ctl -w` waits for.
        let status = fs::read_to_string(self.pid_file()).unwrap_or_default();
        if status.lines().nth(7).map(str::trim) == Some("ready") { State::Ready } else { State::Busy }
    }

    /// Whether a process of this server exists, exiting or not yet listening. All of them have
    /// `pgdata` as their working directory.
    ///
    /// The number in `postmaster.pid` does not answer this: the dead server may remain a zombie (in
    /// a container without an init), or its number may have been reused. Runs as the server's user,
    /// because root in a container may lack the right to read another user's `/proc/*/cwd`.
    fn has_processes(&self) -> Result<bool> {
        let script = "for file in $(grep -lx postgres /proc/[0-9]*/comm); do readlink \"${file%comm}cwd\"; done";
        let found = self.owner.command("sh").args(["-c", script]).output().at(Path::new("sh"))?;
        let pgdata = fs::canonicalize(self.pgdata()).at(&self.pgdata())?;
        Ok(String::from_utf8_lossy(&found.stdout).lines().any(|cwd| Path::new(cwd) == pgdata))
    }

    /// Requires that no process of this server exists.
    fn start_server(&self) -> Result<()> {
        let log = self.home.join("postgres.log");
        if fs::metadata(&log).is_ok_and(|meta| meta.len() > 1 << 20) {
            fs::rename(&log, log.with_extension("log.old")).at(&log)?;
        }
        // Both files hold the dead server's process number, which would prevent a start (see
        // `has_processes`).
        for stale in [self.pid_file(), self.socket_dir.join(format!("{SOCKET}.lock"))] {
            match fs::remove_file(&stale) {
                Err(cause) if cause.kind() != ErrorKind::NotFound => return Err(cause).at(&stale),
                _ => {}
            }
        }
        self.protect_owner(&self.pgdata())?;
        let throwaway = if self.durability == Durability::Throwaway { THROWAWAY_SETTINGS } else { "" };
        let options = format!("{SETTINGS} {throwaway} -c 'unix_socket_directories={}'", self.socket_dir.display());
        let (pgdata, log_text) = (self.pgdata(), log.to_string_lossy());
        let args = ["start", "-w", "-s", "-D", &pgdata.to_string_lossy(), "-l", &log_text, "-o", &options];
        match self.run("pg_ctl", &args, "") {
            // `pg_ctl` timed out during a long recovery: `ensure_running` goes on waiting.
            Err(_) if !matches!(self.state(), State::Down) => Ok(()),
            Err(_) => Err(EmbeddedPostgresError::Program { program: "postgres", output: last_lines(&log) }),
            Ok(()) => Ok(()),
        }
    }

    pub(super) fn stop_server(&self) -> Result<()> {
        if matches!(self.state(), State::Down) {
            return Ok(());
        }
        match self.run("pg_ctl", &["stop", "-w", "-s", "-m", "fast", "-D", &self.pgdata().to_string_lossy()], "") {
            // Killed meanwhile: it is down, as requested.
            Err(_) if matches!(self.state(), State::Down) => Ok(()),
            result => result,
        }
    }

    fn run(&self, name: &'static str, args: &[&str], input: &str) -> Result<()> {
        self.programs.run(self.owner, Call { name, args, input }, &self.dir.join("last-command.log"))
    }

    fn pgdata(&self) -> PathBuf {
        self.home.join("pgdata")
    }

    fn pid_file(&self) -> PathBuf {
        self.pgdata().join("postmaster.pid")
    }
}
