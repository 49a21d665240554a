//! The directories of a cluster.
//!
//! `dir/cluster` is private to the server's user and holds `pgdata`, `postgres.log` and the socket.
//! It is a symbolic link where the server's user cannot enter `dir`.

use std::{
    fs::{self, DirBuilder},
    io::ErrorKind,
    os::unix::fs::{DirBuilderExt, MetadataExt, lchown, symlink},
    path::{Path, PathBuf},
    time::{SystemTime, UNIX_EPOCH},
};

use super::{
    durability::Durability,
    error::{At, EmbeddedPostgresError, Result},
    programs::Owner,
};

/// The socket's file name for port 5432, fixed by `PostgreSQL`.
pub(super) const SOCKET: &str = ".s.PGSQL.5432";
/// The longest path that `sockaddr_un` holds, without the final zero.
const LONGEST_SOCKET_PATH: usize = 107;

/// `dir/cluster`, or the target of its link.
pub(super) fn home(dir: &Path, owner: Owner, durability: Durability) -> Result<PathBuf> {
    let cluster = dir.join("cluster");
    let home = match fs::read_link(&cluster) {
        Ok(elsewhere) => dir.join(elsewhere),
        Err(_) if cluster.exists() || can_enter(owner, dir) => cluster,
        Err(_) => link_elsewhere(dir, &cluster, durability)?,
    };
    // `pg_ctl` puts its paths between double quotes on a shell command line, without escaping.
    if home.to_str().is_none_or(|path| path.contains(['"', '\'', '\\', '$', '`', '\n'])) {
        return Err(EmbeddedPostgresError::UnusablePath(home));
    }
    Ok(home)
}

fn can_enter(owner: Owner, dir: &Path) -> bool {
    owner.command("test").arg("-x").arg(dir).status().is_ok_and(|status| status.success())
}

/// Places root's cluster under `/var/lib/raccord`, and links to it.
///
/// User `postgres` cannot enter a data directory in `/root`, and `PostgreSQL` 15 finds its files by
/// absolute paths alone. A durable cluster gets a new name each time: after the data directory was
/// removed, the next start creates a new database, and the old one can still be recovered.
fn link_elsewhere(dir: &Path, link: &Path, durability: Durability) -> Result<PathBuf> {
    let base = Path::new("/var/lib/raccord");
    fs::create_dir_all(base).at(base)?;
    let elsewhere = match durability {
        Durability::Throwaway => base.join(short_name(dir)),
        Durability::Durable => base.join(format!("{}-{}", short_name(dir), nanoseconds())),
    };
    symlink(&elsewhere, link).at(link)?;
    Ok(elsewhere)
}

/// `home`; or a private directory in `/tmp`, where the socket's path would be too long or would
/// contain a comma, at which the server and libpq split it.
pub(super) fn socket_dir(home: &Path, owner: Owner) -> Result<PathBuf> {
    let socket = home.join(SOCKET);
    if socket.as_os_str().len() <= LONGEST_SOCKET_PATH && !socket.to_string_lossy().contains(',') {
        return Ok(home.to_owned());
    }
    let short = Path::new("/tmp").join(format!("raccord-{}", short_name(home)));
    make_private(&short, owner)?;
    Ok(short)
}

/// Creates `path` as a directory private to `owner`. An existing one must already be private and no
/// link, since in `/tmp` any user could have created it first. It is never changed: a link could
/// point anywhere.
pub(super) fn make_private(path: &Path, owner: Owner) -> Result<()> {
    match DirBuilder::new().mode(0o700).create(path) {
        Ok(()) => lchown(path, Some(owner.uid), Some(owner.gid)).at(path)?,
        Err(cause) if cause.kind() != ErrorKind::AlreadyExists => return Err(cause).at(path),
        Err(_) => {}
    }
    let meta = fs::symlink_metadata(path).at(path)?;
    if meta.is_dir() && meta.uid() == owner.uid && meta.mode() & 0o777 == 0o700 {
        return Ok(());
    }
    Err(EmbeddedPostgresError::NotPrivate { path: path.to_owned(), uid: owner.uid })
}

/// A name for `path` that is the same in every process and version: FNV-1a, since the standard
/// library's hash guarantees neither.
fn short_name(path: &Path) -> String {
    let bytes = path.as_os_str().as_encoded_bytes().iter();
    let hash =
        bytes.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3));
    format!("{hash:016x}")
}

/// The current time, as a unique name.
pub(super) fn nanoseconds() -> u128 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos()
}
