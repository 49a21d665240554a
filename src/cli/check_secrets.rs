//! `raccord secret check`: finds technical passwords and secrets of services in a text that are
//! still valid.

use std::{
    collections::{BTreeSet, HashSet},
    fs::File,
    io::{self, Read},
    path::Path,
};

use sqlx::PgPool;
use zeroize::Zeroizing;

use super::error::{CliError, Outcome};
use crate::{
    db::{api::services, technical_users::leaks},
    domain::{
        password::{self, Argon2id, LENGTH, checksum_part},
        random, service,
    },
};

/// Bytes read at a time.
const CHUNK: usize = 64 * 1024;

/// Reads the text to its end, and prints the login of each account whose valid password it
/// contains, and the name of each service whose valid secret it contains, once.
///
/// # Errors
/// Where the text or the database cannot be read.
pub async fn run(pool: &PgPool, text: &mut impl Read) -> Result<Outcome, CliError> {
    let (mut chunks, mut seen, mut found) = (Chunks::default(), HashSet::new(), BTreeSet::new());
    let mut argon2id = Argon2id::default();
    while let Some(chunk) = chunks.next(text).map_err(CliError::Input)? {
        for secret in password::find_in(&chunk) {
            if !seen.insert(random::digest(secret)) {
                continue;
            }
            for suspect in leaks::suspects(pool, checksum_part(secret)).await? {
                if argon2id.verify(secret, Some(&suspect.password_hash)) && found.insert(suspect.login.clone()) {
                    println!("{}", suspect.login);
                }
            }
        }
        for secret in service::find_secrets(&chunk) {
            let digest = random::digest(secret);
            if !seen.insert(digest.clone()) {
                continue;
            }
            if let Some(name) = services::name_of_secret(pool, &digest).await? {
                let line = format!("service {name}");
                println!("{line}");
                found.insert(line);
            }
        }
    }
    Ok(if found.is_empty() { Outcome::Done } else { Outcome::LiveSecrets })
}

/// The same of a file.
///
/// # Errors
/// Where the file or the database cannot be read.
pub async fn run_file(pool: &PgPool, path: &Path) -> Result<Outcome, CliError> {
    let mut file = File::open(path).map_err(|error| CliError::file(path, error))?;
    run(pool, &mut file).await
}

/// Splits the text into chunks that overlap by one byte less than a password's length, so that each
/// password is whole in exactly one chunk. Bytes that are not UTF-8 are never part of a password.
#[derive(Default)]
struct Chunks {
    rest: Zeroizing<Vec<u8>>,
}

impl Chunks {
    fn next(&mut self, text: &mut impl Read) -> io::Result<Option<Zeroizing<String>>> {
        let kept = self.rest.len();
        let mut bytes = std::mem::take(&mut self.rest);
        let read = text.take(CHUNK as u64).read_to_end(&mut bytes)?;
        if read == 0 {
            return Ok(None);
        }
        debug_assert!(kept < LENGTH);
        self.rest = Zeroizing::new(bytes[bytes.len().saturating_sub(LENGTH - 1)..].to_vec());
        Ok(Some(Zeroizing::new(String::from_utf8_lossy(&bytes).into_owned())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::password::Password;

    #[test]
    fn no_place_in_a_text_hides_a_password_and_none_is_seen_twice() {
        let password = Password::generate(&mut random::os_rng());
        for before in CHUNK - LENGTH - 3..CHUNK + 3 {
            let mut text = vec![0xe9_u8; before];
            text.extend_from_slice(password.expose().as_bytes());
            text.extend_from_slice(" é\n".repeat(40_000).as_bytes());
            let (mut chunks, mut reader, mut seen) = (Chunks::default(), text.as_slice(), 0);
            while let Some(chunk) = chunks.next(&mut reader).unwrap() {
                seen += password::find_in(&chunk).filter(|found| *found == password.expose()).count();
            }
            assert_eq!(seen, 1, "{before}");
        }
    }
}
