//! The portal's own `PostgreSQL`: what it runs on when no `DATABASE_URL` is set.
//!
//! The cluster lives in the data directory and listens on a private Unix socket, never on TCP.
//! Several processes share it (the portal, a command line, tests): the first one starts the server,
//! the others attach, the last one stops it.
//!
//! Two advisory file locks carry this, and the kernel gives both back when a process is killed:
//! - `start.lock`, exclusive, while somebody creates, starts or stops the cluster;
//! - `in-use.lock`, shared, as long as a process uses the cluster.
//!
//! `start.lock` is always taken first, so a start never meets a stop halfway. Linux only: it reads
//! `/proc`.

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

use cluster::Cluster;
use error::{At, Result};

pub use durability::Durability;
pub use error::EmbeddedPostgresError;

mod cluster;
mod durability;
mod error;
mod place;
mod programs;

/// The role that owns the schema. It may create databases, and is no superuser.
pub const USER: &str = "raccord";

/// The role that serves: it owns nothing. Clusters that an older version made do not have it.
pub const SERVING_USER: &str = "raccord_portal";

/// A running cluster. Dropping it leaves the server up for the next process; [`stop`](Self::stop)
/// is what ends it.
#[derive(Debug)]
pub struct EmbeddedPostgres {
    cluster: Cluster,
    in_use: File,
}

impl EmbeddedPostgres {
    /// Attaches to the cluster in `dir`, creating, starting or recovering it where needed.
    ///
    /// `pg_bin` is the directory of `PostgreSQL`'s programs; without it Debian's are taken, then
    /// those on `PATH`. The durability counts for the server's whole run: whoever attaches gets
    /// what the first process asked for.
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
    /// Port and `sslmode` are spelt out, else `PGPORT` or `PGSSLMODE` in the environment would
    /// decide them.
    #[must_use]
    pub fn url(&self, database: &str) -> String {
        self.url_as(USER, database)
    }

    /// The same as the role that serves.
    #[must_use]
    pub fn serving_url(&self, database: &str) -> String {
        self.url_as(SERVING_USER, database)
    }

    fn url_as(&self, user: &str, database: &str) -> String {
        let (database, host) = (percent_encode(database), percent_encode(&self.socket_dir().to_string_lossy()));
        format!("postgres://{user}@localhost:5432/{database}?host={host}&sslmode=disable")
    }

    /// The directory of the socket, which only the server's user and root may enter.
    #[must_use]
    pub fn socket_dir(&self) -> &Path {
        self.cluster.socket_dir()
    }

    /// Stops the server, unless another process still uses it. Sessions still open are ended.
    ///
    /// # Errors
    ///
    /// [`EmbeddedPostgresError::Program`] when the server does not stop within a minute.
    pub async fn stop(self) -> Result<()> {
        blocking(move || self.stop_blocking()).await
    }

    fn stop_blocking(self) -> Result<()> {
        let _starting = lock_start(self.cluster.dir())?;
        // Given back first: turning a shared lock into an exclusive one is no single step anyway,
        // and nobody can slip in between, for a newcomer would need the start lock.
        self.in_use.unlock().at(self.cluster.dir())?;
        match self.in_use.try_lock() {
            Ok(()) => self.cluster.stop_server(),
            Err(TryLockError::WouldBlock) => Ok(()),
            Err(TryLockError::Error(cause)) => Err(cause).at(self.cluster.dir()),
        }
    }
}

/// Locks, processes and files all block, and a start begun is best finished: so no async code below
/// this line.
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
    // Private: whoever can open the file could hold the lock, and the portal's start with it.
    OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(&path).at(&path)
}

fn percent_encode(text: &str) -> String {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~".contains(byte);
    text.bytes().map(|byte| if plain(&byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}
