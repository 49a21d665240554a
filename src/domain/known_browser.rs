//! The mark of a known browser: a cookie that proves in which people's name a browser has signed
//! in. It opens nothing. Guesses from such a browser are counted by themselves, so that neighbours
//! in its network cannot slow its people down.

use std::time::Duration;

use data_encoding::BASE64URL_NOPAD;
use hmac::{Hmac, KeyInit, Mac};
use rand::CryptoRng;
use sha2::Sha256;

use super::{random, second_factor::Keyring, wiped::wiped};

/// How long a browser stays known for a person after their last sign-in there.
pub const LIFETIME: Duration = Duration::from_hours(180 * 24);

/// HKDF's label.
const PURPOSE: &[u8] = b"raccord known browser 1";

/// The people that one browser is known for: those who signed in last.
const MOST_PEOPLE: usize = 4;

/// Bytes of the number that a browser gets.
const NUMBER_BYTES: usize = 16;

impl Keyring {
    /// The browser's number, if its mark says that the person with this login has signed in there.
    #[must_use]
    pub fn known_browser(&self, mark: &str, login: &str) -> Option<String> {
        let (number, proofs) = parse(mark)?;
        self.find_proof(number, &proofs, login).map(|_| number.to_owned())
    }

    /// The mark of a browser once the person with this login has signed in there. It keeps the
    /// number and the other people of the mark that the browser has, if any.
    #[must_use]
    pub fn mark_browser(&self, mark: Option<&str>, login: &str, rng: &mut impl CryptoRng) -> String {
        let new_number = BASE64URL_NOPAD.encode(&random::bytes::<NUMBER_BYTES>(rng));
        let (number, mut proofs) = mark.and_then(parse).unwrap_or((&new_number, Vec::new()));
        if let Some(place) = self.find_proof(number, &proofs, login) {
            proofs.remove(place);
        }
        let proof = self.proof_macs(number, login).next().expect("a keyring has a key").finalize().into_bytes();
        proofs.insert(0, proof.to_vec());
        proofs.truncate(MOST_PEOPLE);
        let proofs = proofs.iter().map(|proof| BASE64URL_NOPAD.encode(proof));
        std::iter::once(number.to_owned()).chain(proofs).collect::<Vec<_>>().join(".")
    }

    fn find_proof(&self, number: &str, proofs: &[Vec<u8>], login: &str) -> Option<usize> {
        self.proof_macs(number, login)
            .find_map(|mac| proofs.iter().position(|proof| mac.clone().verify_slice(proof).is_ok()))
    }

    /// HMAC-SHA-256 over number and login, under each key of the file.
    fn proof_macs(&self, number: &str, login: &str) -> impl Iterator<Item = Hmac<Sha256>> {
        self.derived_keys(PURPOSE).map(move |(_, key)| {
            wiped(|| {
                let mut hmac = Hmac::<Sha256>::new_from_slice(&*key).expect("HMAC takes keys of any length");
                hmac.update(number.as_bytes());
                hmac.update(login.as_bytes());
                hmac
            })
        })
    }
}

/// The number of a well-formed mark, and its proofs. Number and login cannot run into each other:
/// all numbers have the same length.
fn parse(mark: &str) -> Option<(&str, Vec<Vec<u8>>)> {
    let (number, proofs) = mark.split_once('.')?;
    let is_number = BASE64URL_NOPAD.decode(number.as_bytes()).is_ok_and(|bytes| bytes.len() == NUMBER_BYTES);
    let proofs: Option<Vec<_>> =
        proofs.split('.').take(MOST_PEOPLE).map(|proof| BASE64URL_NOPAD.decode(proof.as_bytes()).ok()).collect();
    proofs.filter(|_| is_number).map(|proofs| (number, proofs))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn keyring(keys: &[u8]) -> Keyring {
        let lines = keys.iter().map(|byte| format!("k{byte}:{}", BASE64URL_NOPAD.encode(&[*byte; 32])));
        Keyring::parse(&lines.collect::<Vec<_>>().join("\n")).unwrap()
    }

    fn marked(keys: &Keyring, mark: Option<&str>, login: &str) -> String {
        keys.mark_browser(mark, login, &mut random::os_rng())
    }

    #[test]
    fn a_browser_is_known_for_the_people_who_signed_in_last_and_keeps_its_number() {
        let keys = keyring(&[1]);
        let mut mark = marked(&keys, None, "a@exemple.fr");
        let number = keys.known_browser(&mark, "a@exemple.fr").unwrap();
        for login in ["b@exemple.fr", "c@exemple.fr", "a@exemple.fr", "d@exemple.fr", "e@exemple.fr"] {
            mark = marked(&keys, Some(&mark), login);
        }
        let known = |login| keys.known_browser(&mark, login);
        assert_eq!(known("b@exemple.fr"), None);
        for login in ["a@exemple.fr", "c@exemple.fr", "d@exemple.fr", "e@exemple.fr"] {
            assert_eq!(known(login), Some(number.clone()));
        }
        assert_ne!(marked(&keys, None, "a@exemple.fr"), marked(&keys, None, "a@exemple.fr"));
    }

    #[test]
    fn a_mark_of_an_older_key_counts_and_one_of_an_unknown_key_does_not() {
        let mark = marked(&keyring(&[1]), None, "a@exemple.fr");
        assert!(keyring(&[2, 1]).known_browser(&mark, "a@exemple.fr").is_some());
        assert!(keyring(&[2]).known_browser(&mark, "a@exemple.fr").is_none());
        let renewed = marked(&keyring(&[2, 1]), Some(&mark), "a@exemple.fr");
        assert!(keyring(&[2]).known_browser(&renewed, "a@exemple.fr").is_some());
        assert_eq!(renewed.split('.').count(), 2);
    }

    proptest! {
        #[test]
        fn no_other_mark_is_a_proof(place in any::<prop::sample::Index>(), byte in "[A-Za-z0-9_.-]", text in ".{0,80}") {
            let keys = keyring(&[1]);
            let mark = marked(&keys, None, "a@exemple.fr");
            let mut other = mark.clone();
            let place = place.index(other.len());
            other.replace_range(place..=place, &byte);
            prop_assert_eq!(keys.known_browser(&other, "a@exemple.fr").is_some(), other == mark);
            prop_assert_eq!(keys.known_browser(&text, "a@exemple.fr"), None);
            prop_assert_eq!(keys.known_browser(&mark, &text), None);
            // Whatever a browser sends, it gets a sound mark.
            prop_assert!(keys.known_browser(&marked(&keys, Some(&text), "a@exemple.fr"), "a@exemple.fr").is_some());
        }
    }
}
