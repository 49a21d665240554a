//! Why the embedded `PostgreSQL` did not start or stop.

use std::{
    io,
    path::{Path, PathBuf},
};

pub(super) type Result<T, E = EmbeddedPostgresError> = std::result::Result<T, E>;

/// Why the embedded `PostgreSQL` did not start or stop.
#[derive(Debug, thiserror::Error)]
pub enum EmbeddedPostgresError {
    /// No directory with the three programs, neither Debian's nor on `PATH`.
    #[error(
        "PostgreSQL is not installed: run `apt-get install postgresql`, \
         or name the directory of initdb, pg_ctl and postgres in RACCORD_PG_BIN"
    )]
    NotInstalled,
    /// The directory that the setting names lacks one of the programs.
    #[error("RACCORD_PG_BIN names {0}, which does not hold initdb, pg_ctl and postgres")]
    NotABinDirectory(PathBuf),
    /// Started as root, as which `PostgreSQL` refuses to run.
    #[error(
        "PostgreSQL does not run as root, and there is no user `postgres` to run it as: start the portal as another user"
    )]
    NoUserForRoot,
    /// A path that `pg_ctl` would pass to a shell unescaped.
    #[error(
        "the database cannot live in {0:?}: choose a path without quotes, backslashes, `$` or line breaks in RACCORD_DATA_DIR"
    )]
    UnusablePath(PathBuf),
    /// A directory that must be private belongs to another user, or is open to others.
    #[error("{path} must be a directory of mode 0700 that belongs to user number {uid}: mend or remove it")]
    NotPrivate {
        /// The directory.
        path: PathBuf,
        /// Who must own it.
        uid: u32,
    },
    /// A program of `PostgreSQL` failed.
    #[error("{program} failed: {output}")]
    Program {
        /// Its name.
        program: &'static str,
        /// The last lines of its output, or of the server's log.
        output: String,
    },
    /// The server's processes exist, but did not become ready in time.
    #[error("the database server in {0} does not answer, and its processes do not end")]
    NotAnswering(PathBuf),
    /// A file or a directory could not be read, made or locked.
    #[error("{path}: {cause}", path = .path.display())]
    Io {
        /// Which one.
        path: PathBuf,
        /// Why.
        cause: io::Error,
    },
}

/// Adds the path to an I/O error.
pub(super) trait At<T> {
    fn at(self, path: &Path) -> Result<T>;
}

impl<T> At<T> for io::Result<T> {
    fn at(self, path: &Path) -> Result<T> {
        self.map_err(|cause| EmbeddedPostgresError::Io { path: path.to_owned(), cause })
    }
}
