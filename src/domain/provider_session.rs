//! The ID token of a session that began at the identity provider, which ends the session there. It
//! holds personal data, so the database has it under a key of the key file only.

use chacha20poly1305::{
    ChaCha20Poly1305, KeyInit,
    aead::{Aead, Payload},
};
use rand::CryptoRng;
use zeroize::Zeroizing;

use super::{random, second_factor::Keyring, wiped::wiped};

/// HKDF's label.
const PURPOSE: &[u8] = b"raccord id token 1";
const NONCE_BYTES: usize = 12;

impl Keyring {
    /// Seals the ID token of a person: nonce, then ciphertext and tag.
    #[must_use]
    pub fn seal_id_token(&self, token: &str, user_id: i64, rng: &mut impl CryptoRng) -> Vec<u8> {
        let (_, key) = self.derived_keys(PURPOSE).next().expect("a keyring has a key");
        let nonce: [u8; NONCE_BYTES] = random::bytes(rng);
        let payload = Payload { msg: token.as_bytes(), aad: &user_id.to_be_bytes() };
        let sealed = wiped(|| ChaCha20Poly1305::new((&*key).into()).encrypt(&nonce.into(), payload))
            .expect("a token is shorter than what ChaCha20 can encrypt");
        [nonce.as_slice(), &sealed].concat()
    }

    /// The ID token; `None` where its key is gone or it was sealed for another person.
    #[must_use]
    pub fn open_id_token(&self, sealed: &[u8], user_id: i64) -> Option<Zeroizing<String>> {
        let (nonce, text) = sealed.split_at_checked(NONCE_BYTES)?;
        let nonce: [u8; NONCE_BYTES] = nonce.try_into().ok()?;
        let opened = self.derived_keys(PURPOSE).find_map(|(_, key)| {
            let payload = Payload { msg: text, aad: &user_id.to_be_bytes() };
            wiped(|| ChaCha20Poly1305::new((&*key).into()).decrypt(&nonce.into(), payload)).ok()
        })?;
        String::from_utf8(opened).ok().map(Zeroizing::new)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::random::os_rng;

    fn keyring(lines: &[&str]) -> Keyring {
        Keyring::parse(&lines.concat()).expect("keys")
    }

    #[test]
    fn a_token_opens_for_its_person_under_any_key_of_the_file() {
        let (old, new) = (Keyring::new_line(&mut os_rng()), Keyring::new_line(&mut os_rng()));
        let sealed = keyring(&[&old]).seal_id_token("a.b.c", 7, &mut os_rng());
        assert_eq!(keyring(&[&new, &old]).open_id_token(&sealed, 7).as_deref().map(String::as_str), Some("a.b.c"));
        assert!(keyring(&[&old]).open_id_token(&sealed, 8).is_none());
        assert!(keyring(&[&new]).open_id_token(&sealed, 7).is_none());
        assert!(keyring(&[&old]).open_id_token(&sealed[..5], 7).is_none());
    }
}
