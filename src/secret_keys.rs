//! The file of the keys that encrypt second factors. Outside the database, so that a dump of the
//! database does not disclose them.

use std::{
    fs::{self, File},
    io::{self, Read, Write},
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

use thiserror::Error;
use zeroize::Zeroizing;

use crate::{
    domain::{random, second_factor::Keyring},
    private_files,
};

/// The file's mode.
const MODE: u32 = 0o600;

/// The key file can be neither read nor made, or holds no keys.
#[derive(Debug, Error)]
#[error("RACCORD_SECRET_KEY_FILE: {0}")]
pub struct KeyFileError(pub io::Error);

/// Reads the keys, and creates the file with a first key where it is missing. Of several instances
/// that start together, one creates it and all read the same key.
///
/// # Errors
/// Where the file cannot be read or created, other users can read or replace it, or it does not
/// hold keys.
pub fn load(path: &Path) -> io::Result<Keyring> {
    let mut file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            create(path)?;
            File::open(path)?
        }
        opened => opened?,
    };
    private_files::check(&file.metadata()?, MODE)?;
    private_files::check_place(path)?;
    let mut text = Zeroizing::new(String::new());
    file.read_to_string(&mut text)?;
    Keyring::parse(&text).ok_or_else(|| io::Error::other("it holds no keys, which are lines of name:key"))
}

/// Writes the file whole under another name first, then links it: readers see all of it or none.
fn create(path: &Path) -> io::Result<()> {
    if let Some(directory) = path.parent() {
        private_files::create_directory(directory, 0o700)?;
    }
    let suffix: [u8; 6] = random::bytes(&mut random::os_rng());
    let draft = path.with_extension(data_encoding::HEXLOWER.encode(&suffix));
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(MODE).open(&draft)?;
    file.write_all(Keyring::new_line(&mut random::os_rng()).as_bytes())?;
    file.sync_all()?;
    let linked = fs::hard_link(&draft, path);
    fs::remove_file(&draft)?;
    match linked {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        linked => linked,
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::domain::second_factor::TotpSecret;

    #[test]
    fn the_file_is_made_once_for_its_owner_alone() {
        let directory = std::env::temp_dir().join(format!("raccord-keys-{}", std::process::id()));
        let path = directory.join("secret.key");
        let rings: Vec<_> = std::thread::scope(|scope| {
            let loads: Vec<_> = (0..8).map(|_| scope.spawn(|| load(&path).unwrap())).collect();
            loads.into_iter().map(|load| load.join().unwrap()).collect()
        });
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let rng = &mut random::os_rng();
        let sealed = rings[0].seal(&TotpSecret::generate(rng), 1, rng);
        assert!(rings.iter().all(|ring| ring.open(&sealed, 1).is_some()), "all have the same key");
        assert_eq!(fs::read_dir(&directory).unwrap().count(), 1, "no draft is left");
        fs::write(&path, "no key").unwrap();
        assert!(load(&path).is_err());
        fs::remove_dir_all(directory).unwrap();
    }
}
