//! The password of the role that owns the schema, in a file of mode 0600 that belongs to the user
//! who starts the portal. It is read to migrate, and not kept.

use std::{
    fs::{self, File, OpenOptions},
    io::{ErrorKind, Read, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use data_encoding::HEXLOWER;

use super::{
    directories,
    error::{At, Result},
};

fn path(dir: &Path) -> PathBuf {
    dir.join("owner-password")
}

pub(super) fn exists(dir: &Path) -> bool {
    path(dir).exists()
}

/// `None` where there is none.
pub(super) fn read(dir: &Path) -> Result<Option<String>> {
    match fs::read_to_string(path(dir)) {
        Ok(password) => Ok(Some(password.trim().to_owned())),
        Err(cause) if cause.kind() == ErrorKind::NotFound => Ok(None),
        Err(cause) => Err(cause).at(&path(dir)),
    }
}

pub(super) fn read_or_make(dir: &Path) -> Result<String> {
    if let Some(password) = read(dir)? {
        return Ok(password);
    }
    // Under another name first: a kill leaves no file, or the whole one.
    let new = dir.join(format!("owner-password-{}", directories::nanoseconds()));
    let password = make()?;
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&new).at(&new)?;
    file.write_all(password.as_bytes()).and_then(|()| file.sync_all()).at(&new)?;
    fs::rename(&new, path(dir)).at(&new)?;
    File::open(dir).and_then(|dir| dir.sync_all()).at(dir)?;
    Ok(password)
}

fn make() -> Result<String> {
    let (source, mut bytes) = (Path::new("/dev/urandom"), [0; 32]);
    File::open(source).and_then(|mut source| source.read_exact(&mut bytes)).at(source)?;
    Ok(HEXLOWER.encode(&bytes))
}
