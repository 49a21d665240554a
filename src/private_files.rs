//! Files and directories that hold secrets: created private, and refused where other users of the
//! machine can read or write them.

use std::{
    fs::{self, DirBuilder, Metadata},
    io,
    os::unix::fs::{DirBuilderExt, MetadataExt},
    path::Path,
};

use rustix::process::geteuid;

/// Permissions to read or write, of the group and of others. To enter a directory is harmless.
const OTHERS_READ_OR_WRITE: u32 = 0o066;

/// Creates a directory and its missing parents with this mode. An existing one is left as it is.
///
/// # Errors
/// Where it cannot be created.
pub fn create_directory(path: &Path, mode: u32) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(mode).create(path)
}

/// Checks that no other user can read or write the file or directory, and that it belongs to this
/// process's user or to root. `mode` is the one that the error recommends.
///
/// # Errors
/// Says what is wrong, and which owner or mode is required.
pub fn check(metadata: &Metadata, mode: u32) -> io::Result<()> {
    let (owner, user) = (metadata.uid(), geteuid().as_raw());
    if owner != user && owner != 0 {
        return Err(io::Error::other(format!("it must belong to user number {user} or to root, not to {owner}")));
    }
    let current = metadata.mode() & 0o7777;
    if current & OTHERS_READ_OR_WRITE != 0 {
        return Err(io::Error::other(format!("its mode must be {mode:04o}, not {current:04o}: others could read it")));
    }
    Ok(())
}

/// Checks a directory as [`check`] does. One that does not exist passes.
///
/// # Errors
/// As [`check`], or where its metadata cannot be read.
pub fn check_directory(path: &Path, mode: u32) -> io::Result<()> {
    match fs::metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        metadata => check(&metadata?, mode),
    }
}
