//! Verifiers: keyed digests of technical users' credentials. The API finds an account by the
//! verifier of its password, as it finds a token by its hash. Without the key file, a verifier
//! cannot be used to test a guess.

use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use zeroize::Zeroizing;

use super::{second_factor::Keyring, wiped::wiped};

/// HKDF's label.
const PURPOSE: &[u8] = b"raccord password verifier 1";

/// A key for verifiers, derived from a key of the key file. `Debug` shows nothing.
pub struct VerifierKey {
    id: String,
    key: Zeroizing<[u8; 32]>,
}

/// The verifier of a login and a password under one key. `Debug` shows nothing.
#[derive(Clone, PartialEq, Eq)]
pub struct Verifier {
    /// The name of the key in the key file.
    pub key_id: String,
    /// 32 bytes.
    pub digest: Vec<u8>,
}

impl fmt::Debug for VerifierKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("VerifierKey(…)")
    }
}

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Verifier(…)")
    }
}

impl VerifierKey {
    /// HMAC-SHA-256 over the login's length (eight bytes, big-endian), the login and the password.
    #[must_use]
    pub fn verifier(&self, login: &str, password: &str) -> Verifier {
        let digest = wiped(|| {
            let mut hmac = Hmac::<Sha256>::new_from_slice(&*self.key).expect("HMAC takes keys of any length");
            hmac.update(&(login.len() as u64).to_be_bytes());
            hmac.update(login.as_bytes());
            hmac.update(password.as_bytes());
            hmac.finalize().into_bytes().to_vec()
        });
        Verifier { key_id: self.id.clone(), digest }
    }
}

impl Keyring {
    /// The key for new verifiers: derived from the first key of the file.
    #[must_use]
    pub fn verifier_key(&self) -> VerifierKey {
        self.verifier_keys().swap_remove(0)
    }

    /// The keys for verifiers: one derived from each key of the file, in its order.
    #[must_use]
    pub fn verifier_keys(&self) -> Vec<VerifierKey> {
        self.derived_keys(PURPOSE).map(|(id, key)| VerifierKey { id: id.to_owned(), key }).collect()
    }
}

#[cfg(test)]
mod tests {
    use data_encoding::{BASE64URL_NOPAD, HEXLOWER};
    use proptest::prelude::*;

    use super::*;

    fn keyring(keys: &[u8]) -> Keyring {
        let lines = keys.iter().map(|byte| format!("k{byte}:{}", BASE64URL_NOPAD.encode(&[*byte; 32])));
        Keyring::parse(&lines.collect::<Vec<_>>().join("\n")).unwrap()
    }

    #[test]
    fn a_verifier_never_changes() {
        // Computed independently: HKDF-SHA-256 without salt, then HMAC-SHA-256.
        let expected = "85e97cce64feef87578e20426c6dac339edb55730b95ae2ae1ed137d1ac64d86";
        assert_eq!(
            HEXLOWER.encode(&keyring(&[1]).verifier_key().verifier("TECH_1_X@cpro.fr", "secret").digest),
            expected
        );
    }

    #[test]
    fn each_key_gives_a_verifier_of_its_own_in_the_order_of_the_file() {
        let of = |keys: &[u8]| -> Vec<Verifier> {
            keyring(keys).verifier_keys().iter().map(|key| key.verifier("login", "password")).collect()
        };
        let verifiers = of(&[2, 1]);
        assert_eq!(verifiers.iter().map(|verifier| verifier.key_id.as_str()).collect::<Vec<_>>(), ["k2", "k1"]);
        assert_ne!(verifiers[0].digest, verifiers[1].digest);
        assert_eq!(verifiers[0], keyring(&[2]).verifier_key().verifier("login", "password"));
        assert_eq!(verifiers[1..], of(&[1]));
    }

    #[test]
    fn debug_shows_neither_key_nor_verifier() {
        let key = keyring(&[1]).verifier_key();
        assert_eq!(format!("{key:?} {:?}", key.verifier("a", "b")), "VerifierKey(…) Verifier(…)");
    }

    proptest! {
        #[test]
        fn two_credentials_have_two_verifiers(text in "[a-c:]{1,12}", cut in any::<(prop::sample::Index, prop::sample::Index)>()) {
            let key = keyring(&[1]).verifier_key();
            let (one, other) = (cut.0.index(text.len() + 1), cut.1.index(text.len() + 1));
            let at = |cut: usize| key.verifier(&text[..cut], &text[cut..]);
            prop_assert_eq!(at(one) == at(other), one == other);
        }
    }
}
