//! The file of the demonstration's sign-in data.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

use rand::{CryptoRng, seq::IndexedRandom};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::{
    domain::person::{TypedPassword, check_chosen_password},
    private_files,
};

#[derive(Deserialize, Serialize)]
struct Account {
    role: String,
    login: String,
    password: Zeroizing<String>,
}

/// The file's content.
#[derive(Deserialize, Serialize)]
pub struct Credentials {
    url: String,
    accounts: Vec<Account>,
}

impl Credentials {
    pub fn new(url: &str) -> Self {
        Self { url: url.into(), accounts: Vec::new() }
    }

    pub fn add(&mut self, role: &str, login: &str, password: &TypedPassword) {
        let password = Zeroizing::new(password.expose().to_owned());
        self.accounts.push(Account { role: role.into(), login: login.into(), password });
    }

    /// Writes the file atomically, private to its owner. When this returns, it survives a loss of
    /// power.
    pub fn save(&self, path: &Path) -> io::Result<()> {
        let text = Zeroizing::new(serde_json::to_vec_pretty(self)?);
        let dir = path.parent().unwrap_or(Path::new("."));
        private_files::create_directory(dir, 0o700)?;
        // Named by process: two concurrent starts must not write into the same file.
        let part = path.with_extension(format!("{}.part", std::process::id()));
        let _ = fs::remove_file(&part);
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&part)?;
        file.write_all(&text)?;
        file.write_all(b"\n")?;
        file.sync_all()?;
        fs::rename(&part, path)?;
        File::open(dir)?.sync_all()
    }

    /// Updates the portal's URL in the file. `false` where there is no file.
    pub fn update_url(path: &Path, url: &str) -> io::Result<bool> {
        let text = match fs::read(path) {
            Ok(text) => Zeroizing::new(text),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(error),
        };
        let mut credentials: Self = serde_json::from_slice(&text)?;
        if credentials.url != url {
            url.clone_into(&mut credentials.url);
            credentials.save(path)?;
        }
        Ok(true)
    }
}

/// A password that can be read aloud, such as `vako-midu-…`: six groups of two syllables, 76 bits.
pub fn readable_password(rng: &mut impl CryptoRng, login: &str) -> TypedPassword {
    loop {
        let groups: Vec<_> = (0..6).map(|_| Zeroizing::new(syllable(rng) + &syllable(rng))).collect();
        let text = groups.iter().map(|group| group.as_str()).collect::<Vec<_>>().join("-");
        let password = TypedPassword::new(text);
        if check_chosen_password(&password, &[login.to_owned()]).is_ok() {
            return password;
        }
    }
}

fn syllable(rng: &mut impl CryptoRng) -> String {
    let mut letter = |letters: &[u8]| char::from(*letters.choose(rng).unwrap_or(&b'a'));
    [letter(b"bcdfgjklmnprstvz"), letter(b"aeiou")].iter().collect()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::domain::random::os_rng;

    #[test]
    fn a_password_is_long_readable_and_never_the_same() {
        let [one, other] = [0; 2].map(|_| readable_password(&mut os_rng(), "claire@raccord.example"));
        assert_eq!(one.expose().len(), 29);
        assert_ne!(one.expose(), other.expose());
    }

    #[test]
    fn the_file_is_its_owners_alone_and_follows_the_portal() {
        let dir = std::env::temp_dir().join(format!("raccord-credentials-{}", std::process::id()));
        let path = dir.join("demo-credentials.json");
        assert!(!Credentials::update_url(&path, "http://a").unwrap());
        let mut credentials = Credentials::new("http://a");
        credentials.add("utilisateur", "hugo", &TypedPassword::new("x".into()));
        credentials.save(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(Credentials::update_url(&path, "http://b").unwrap());
        let json: serde_json::Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        assert_eq!((&json["url"], &json["accounts"][0]["password"]), (&"http://b".into(), &"x".into()));
        fs::remove_dir_all(dir).unwrap();
    }
}
