//! The mark of a known browser: a cookie that proves in which people's name a browser has signed
//! in. It opens nothing. Guesses from such a browser are counted by themselves, so that neighbours
//! in its network cannot slow its people down. It counts for one epoch of the person, which ends
//! with their password, or with their second factor: marks cannot be gathered for later.

use std::time::Duration;

use data_encoding::BASE64URL_NOPAD;
use hmac::{Hmac, KeyInit, Mac};
use rand::CryptoRng;
use sha2::Sha256;

use super::{random, second_factor::Keyring, wiped::wiped};

/// How long a browser stays known for a person after their last sign-in there.
pub const LIFETIME: Duration = Duration::from_hours(180 * 24);

/// HKDF's label.
const PURPOSE: &[u8] = b"raccord known browser 2";

/// The people that one browser is known for: those who signed in last.
const MOST_PEOPLE: usize = 4;

/// In place of a login: a browser in which any person signed in.
const ANY_PERSON: (&str, Epoch) = ("", Epoch(0));

/// Bytes of the number that a browser gets.
const NUMBER_BYTES: usize = 16;

/// Which of a person's marks count: those of one number, which rises.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Epoch(pub i64);

impl Epoch {
    /// Whether `next` began when this one ended.
    #[must_use]
    pub fn precedes(self, next: Self) -> bool {
        self.0.checked_add(1) == Some(next.0)
    }
}

/// A browser in which a person signed in at some time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownBrowser {
    pub number: String,
    /// The person's epoch at that time.
    pub epoch: Epoch,
}

/// That one person, whom it does not name, signed in during an epoch.
struct Proof {
    epoch: Epoch,
    mac: Vec<u8>,
}

impl Keyring {
    /// The browser, if its mark says that the person with this login has signed in there.
    #[must_use]
    pub fn known_browser(&self, mark: &str, login: &str) -> Option<KnownBrowser> {
        if login == ANY_PERSON.0 { None } else { self.find_known(mark, login) }
    }

    fn find_known(&self, mark: &str, login: &str) -> Option<KnownBrowser> {
        let (number, proofs) = parse(mark)?;
        let place = self.find_proof(number, &proofs, login)?;
        Some(KnownBrowser { number: number.to_owned(), epoch: proofs[place].epoch })
    }

    /// The number of a browser whose mark says that any person has signed in there.
    #[must_use]
    pub fn browser_number(&self, mark: &str) -> Option<String> {
        self.find_known(mark, ANY_PERSON.0).map(|known| known.number)
    }

    /// The mark of a browser once the person with this login has signed in there, in this epoch. It
    /// keeps the number and the other people of the mark that the browser has, if any.
    #[must_use]
    pub fn mark_browser(&self, mark: Option<&str>, login: &str, epoch: Epoch, rng: &mut impl CryptoRng) -> String {
        let new_number = BASE64URL_NOPAD.encode(&random::bytes::<NUMBER_BYTES>(rng));
        let (number, mut proofs) = mark.and_then(parse).unwrap_or((&new_number, Vec::new()));
        for login in [login, ANY_PERSON.0] {
            if let Some(place) = self.find_proof(number, &proofs, login) {
                proofs.remove(place);
            }
        }
        let prove = |login, epoch| {
            let mac =
                self.proof_macs(number, login, epoch).next().expect("a keyring has a key").finalize().into_bytes();
            Proof { epoch, mac: mac.to_vec() }
        };
        proofs.insert(0, prove(login, epoch));
        proofs.truncate(MOST_PEOPLE);
        proofs.push(prove(ANY_PERSON.0, ANY_PERSON.1));
        let proofs = proofs.iter().map(|proof| format!("{}:{}", proof.epoch.0, BASE64URL_NOPAD.encode(&proof.mac)));
        std::iter::once(number.to_owned()).chain(proofs).collect::<Vec<_>>().join(".")
    }

    fn find_proof(&self, number: &str, proofs: &[Proof], login: &str) -> Option<usize> {
        proofs.iter().position(|proof| {
            self.proof_macs(number, login, proof.epoch).any(|mac| mac.verify_slice(&proof.mac).is_ok())
        })
    }

    /// HMAC-SHA-256 over number, epoch and login, under each key of the file.
    fn proof_macs(&self, number: &str, login: &str, epoch: Epoch) -> impl Iterator<Item = Hmac<Sha256>> {
        self.derived_keys(PURPOSE).map(move |(_, key)| {
            wiped(|| {
                let mut hmac = Hmac::<Sha256>::new_from_slice(&*key).expect("HMAC takes keys of any length");
                hmac.update(number.as_bytes());
                hmac.update(&epoch.0.to_be_bytes());
                hmac.update(login.as_bytes());
                hmac
            })
        })
    }
}

/// The number of a well-formed mark, and its proofs. Number, epoch and login cannot run into each
/// other: all numbers, and all epochs, have the same length.
fn parse(mark: &str) -> Option<(&str, Vec<Proof>)> {
    let (number, proofs) = mark.split_once('.')?;
    let is_number = BASE64URL_NOPAD.decode(number.as_bytes()).is_ok_and(|bytes| bytes.len() == NUMBER_BYTES);
    let proofs: Option<Vec<_>> = proofs.split('.').take(MOST_PEOPLE + 1).map(parse_proof).collect();
    proofs.filter(|_| is_number).map(|proofs| (number, proofs))
}

fn parse_proof(text: &str) -> Option<Proof> {
    let (epoch, mac) = text.split_once(':')?;
    Some(Proof { epoch: Epoch(epoch.parse().ok()?), mac: BASE64URL_NOPAD.decode(mac.as_bytes()).ok()? })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn keyring(keys: &[u8]) -> Keyring {
        let lines = keys.iter().map(|byte| format!("k{byte}:{}", BASE64URL_NOPAD.encode(&[*byte; 32])));
        Keyring::parse(&lines.collect::<Vec<_>>().join("\n")).unwrap()
    }

    fn marked_in(epoch: i64, keys: &Keyring, mark: Option<&str>, login: &str) -> String {
        keys.mark_browser(mark, login, Epoch(epoch), &mut random::os_rng())
    }

    fn marked(keys: &Keyring, mark: Option<&str>, login: &str) -> String {
        marked_in(0, keys, mark, login)
    }

    #[test]
    fn a_mark_names_its_epoch_and_a_person_has_one_of_them() {
        let keys = keyring(&[1]);
        let first = marked_in(3, &keys, None, "a@exemple.fr");
        let both = marked_in(0, &keys, Some(&first), "b@exemple.fr");
        let renewed = marked_in(4, &keys, Some(&both), "a@exemple.fr");
        let epoch = |mark: &str, login| keys.known_browser(mark, login).map(|known| known.epoch.0);
        assert_eq!((epoch(&first, "a@exemple.fr"), epoch(&renewed, "a@exemple.fr")), (Some(3), Some(4)));
        assert_eq!((epoch(&renewed, "b@exemple.fr"), renewed.split('.').count()), (Some(0), 4));
        // Another epoch in place of the mark's own proves nothing.
        assert_eq!(epoch(&first.replace(".3:", ".4:"), "a@exemple.fr"), None);
        assert!(Epoch(3).precedes(Epoch(4)) && !Epoch(3).precedes(Epoch(5)) && !Epoch(3).precedes(Epoch(3)));
    }

    #[test]
    fn a_browser_is_known_for_the_people_of_its_last_sign_ins_and_keeps_its_number() {
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
        // Whoever it is known for, it is known.
        assert_eq!((keys.browser_number(&mark), mark.split('.').count()), (Some(number.number), 6));
        assert_eq!(keyring(&[2]).browser_number(&mark), None);
    }

    #[test]
    fn a_mark_of_an_older_key_counts_and_one_of_an_unknown_key_does_not() {
        let mark = marked(&keyring(&[1]), None, "a@exemple.fr");
        assert!(keyring(&[2, 1]).known_browser(&mark, "a@exemple.fr").is_some());
        assert!(keyring(&[2]).known_browser(&mark, "a@exemple.fr").is_none());
        let renewed = marked(&keyring(&[2, 1]), Some(&mark), "a@exemple.fr");
        assert!(keyring(&[2]).known_browser(&renewed, "a@exemple.fr").is_some());
        assert_eq!(renewed.split('.').count(), 3);
    }

    proptest! {
        #[test]
        fn no_other_mark_is_a_proof(place in any::<prop::sample::Index>(), byte in "[A-Za-z0-9_.:-]", text in ".{0,80}") {
            let keys = keyring(&[1]);
            let mark = marked(&keys, None, "a@exemple.fr");
            let mut other = mark.clone();
            let place = place.index(other.len());
            other.replace_range(place..=place, &byte);
            let is_sound = keys.known_browser(&other, "a@exemple.fr").is_some() && keys.browser_number(&other).is_some();
            prop_assert_eq!(is_sound, other == mark);
            prop_assert_eq!(keys.known_browser(&text, "a@exemple.fr"), None);
            prop_assert_eq!(keys.known_browser(&mark, &text), None);
            // Whatever a browser sends, it gets a sound mark.
            prop_assert!(keys.known_browser(&marked(&keys, Some(&text), "a@exemple.fr"), "a@exemple.fr").is_some());
        }
    }
}
