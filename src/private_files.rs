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

/// The same without the group's permission to read.
const STRANGERS_READ_OR_OTHERS_WRITE: u32 = 0o026;

/// Permissions to write, of the group and of others.
const OTHERS_WRITE: u32 = 0o022;

/// In a directory with this mode, others cannot rename or remove what is not theirs.
const STICKY: u32 = 0o1000;

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

/// Checks a key that another program may have made for this one: the group may read it, and only
/// its owner writes it.
///
/// # Errors
/// Says what is wrong.
pub fn check_shared_key(metadata: &Metadata) -> io::Result<()> {
    let current = metadata.mode() & 0o7777;
    if current & STRANGERS_READ_OR_OTHERS_WRITE == 0 {
        return Ok(());
    }
    let required = "its mode must be 0600, or 0640 for a group that holds this service alone";
    Err(io::Error::other(format!("{required}, not {current:04o}: others could read or write it")))
}

/// Checks that no other user can put a file of their own in the place of this one.
///
/// # Errors
/// Says which directory allows it, or why its metadata cannot be read.
pub fn check_place(file: &Path) -> io::Result<()> {
    let directory = file.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let current = fs::metadata(directory)?.mode() & 0o7777;
    if current & OTHERS_WRITE == 0 || current & STICKY != 0 {
        return Ok(());
    }
    let directory = directory.display();
    Err(io::Error::other(format!(
        "the mode of its directory {directory} must be 0755 or less, not {current:04o}: others could replace it"
    )))
}

/// Checks that this is a directory, not a link to one, and as [`check`] does. One that does not
/// exist passes.
///
/// # Errors
/// As [`check`], or where its metadata cannot be read.
pub fn check_own_directory(path: &Path, mode: u32) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Ok(metadata) if !metadata.is_dir() => Err(io::Error::other("it must be a directory, and no link to one")),
        metadata => check(&metadata?, mode),
    }
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
