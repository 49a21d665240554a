//! The embedded `PostgreSQL`, used when no `DATABASE_URL` is set.
//!
//! The cluster lives in the data directory and listens on a private Unix socket, never on TCP.
//! Several processes share it (the portal, a command line, tests): the first one starts the server,
//! the others attach, the last one stops it.
//!
//! Two advisory file locks coordinate them. The kernel releases both when a process is killed:
//! - `start.lock`, exclusive, while a process creates, starts or stops the cluster;
//! - `in-use.lock`, shared, for as long as a process uses the cluster.
//!
//! `start.lock` is always taken first, so a start and a stop never overlap. Linux only: it reads
//! `/proc`.

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, PercentEncode, utf8_percent_encode};

use cluster::Cluster;
use error::{At, Result};

pub use durability::Durability;
pub use error::EmbeddedPostgresError;

mod cluster;
mod directories;
mod durability;
mod error;
mod owner_password;
mod programs;

/// The role that owns the schema. It may create databases, and is no superuser.
const USER: &str = "raccord";

/// The role that serves. It owns nothing. Clusters created by an older version lack it.
pub const SERVING_USER: &str = "raccord_portal";

/// A running cluster. Dropping it leaves the server running for the next process;
/// [`stop`](Self::stop) stops it.
#[derive(Debug)]
pub struct EmbeddedPostgres {
    cluster: Cluster,
    in_use: File,
}

impl EmbeddedPostgres {
    /// Attaches to the cluster in `dir`, creating, starting or recovering it where needed.
    ///
    /// `pg_bin` is the directory of `PostgreSQL`'s programs; without it Debian's are used, then
    /// those on `PATH`. The process that starts the server decides the durability; a process that
    /// attaches later gets the same.
    ///
    /// # Errors
    ///
    /// Each variant of [`EmbeddedPostgresError`], whose text names what to install or to set.
    pub async fn start(dir: &Path, pg_bin: Option<&Path>, durability: Durability) -> Result<Self> {
        let (dir, pg_bin) = (dir.to_owned(), pg_bin.map(Path::to_owned));
        blocking(move || Self::start_blocking(&dir, pg_bin.as_deref(), durability)).await
    }

    fn start_blocking(dir: &Path, pg_bin: Option<&Path>, durability: Durability) -> Result<Self> {
        fs::create_dir_all(dir).at(dir)?;
        let dir = &fs::canonicalize(dir).at(dir)?;
        let _starting = lock_start(dir)?;
        let in_use = open_lock(dir, "in-use.lock")?;
        in_use.lock_shared().at(dir)?;
        let cluster = Cluster::open(dir, pg_bin, durability)?;
        cluster.ensure_running()?;
        Ok(Self { cluster, in_use })
    }

    /// The connection URL of `database`, in the form that sqlx and libpq read. `raccord` exists
    /// from the start.
    ///
    /// Port and `sslmode` are explicit, so that `PGPORT` and `PGSSLMODE` in the environment do not
    /// override them.
    ///
    /// It holds the owner's password: do not keep it.
    ///
    /// # Errors
    ///
    /// [`EmbeddedPostgresError::Io`] where the password cannot be read.
    pub fn url(&self, database: &str) -> Result<String> {
        let password = owner_password::read(self.cluster.dir())?;
        let user = password.map_or_else(|| USER.to_owned(), |password| format!("{USER}:{}", encode(&password)));
        Ok(self.url_as(&user, database))
    }

    /// The same, for the role that serves.
    #[must_use]
    pub fn serving_url(&self, database: &str) -> String {
        self.url_as(SERVING_USER, database)
    }

    fn url_as(&self, user: &str, database: &str) -> String {
        let socket_dir = self.socket_dir().to_string_lossy();
        let (database, host) = (encode(database), encode(&socket_dir));
        format!("postgres://{user}@localhost:5432/{database}?host={host}&sslmode=disable")
    }

    /// The directory of the socket, which only the server's user and root may enter.
    #[must_use]
    pub fn socket_dir(&self) -> &Path {
        self.cluster.socket_dir()
    }

    /// Stops the server, unless another process still uses it. Open sessions are terminated.
    ///
    /// # Errors
    ///
    /// [`EmbeddedPostgresError::Program`] when the server does not stop within a minute.
    pub async fn stop(self) -> Result<()> {
        blocking(move || self.stop_blocking()).await
    }

    fn stop_blocking(self) -> Result<()> {
        let _starting = lock_start(self.cluster.dir())?;
        // Released first, since a shared lock cannot be converted into an exclusive one atomically.
        // No process can take it in between: that requires the start lock.
        self.in_use.unlock().at(self.cluster.dir())?;
        match self.in_use.try_lock() {
            Ok(()) => self.cluster.stop_server(),
            Err(TryLockError::WouldBlock) => Ok(()),
            Err(TryLockError::Error(cause)) => Err(cause).at(self.cluster.dir()),
        }
    }
}

/// Runs blocking work (locks, processes, files) on a thread where it cannot be cancelled halfway.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(failed) => std::panic::resume_unwind(failed.into_panic()),
    }
}

fn lock_start(dir: &Path) -> Result<File> {
    let lock = open_lock(dir, "start.lock")?;
    lock.lock().at(dir)?;
    Ok(lock)
}

fn open_lock(dir: &Path, name: &str) -> Result<File> {
    let path = dir.join(name);
    // Private: a user who can open the file could hold the lock and block the portal's start.
    OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(&path).at(&path)
}

/// The characters that RFC 3986 leaves unencoded are `-`, `.`, `_`, `~`, letters and digits.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

fn encode(text: &str) -> PercentEncode<'_> {
    utf8_percent_encode(text, RESERVED)
}
