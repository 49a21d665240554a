//! Envelopes: a new password, encrypted so that only the browser session that asked for it can
//! decrypt it (section 3 of the specification).
//!
//! The key is derived from the session's secret. The server has that secret only while it handles
//! a request of the session; the database has its hash alone. So a dump of the database decrypts
//! nothing.

use std::time::Duration;

use chacha20poly1305::{
    ChaCha20Poly1305, KeyInit,
    aead::{Aead, Payload},
};
use hkdf::Hkdf;
use rand::CryptoRng;
use sha2::Sha256;
use zeroize::Zeroizing;

use super::{
    password::{Password, PasswordHash},
    random, sealing,
    verifier::{Verifier, VerifierKey},
    wiped::wiped,
};

/// How long the envelope of a new password lasts, displayed or not.
pub const LIFETIME: Duration = Duration::from_mins(10);

const SALT_LENGTH: usize = 32;

/// What an envelope is for. It is the associated data of the encryption: an envelope copied to
/// another account, version or manager does not open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EnvelopeSubject {
    pub technical_user_id: i64,
    /// The number of the account's password.
    pub credential_version: i32,
    /// The person for whom the password was made.
    pub manager_id: i64,
}

impl EnvelopeSubject {
    fn associated_data(self) -> Vec<u8> {
        [
            b"raccord envelope 1".as_slice(),
            &self.technical_user_id.to_be_bytes(),
            &self.credential_version.to_be_bytes(),
            &self.manager_id.to_be_bytes(),
        ]
        .concat()
    }
}

/// An encrypted password: salt of 32 bytes, ciphertext, then tag (HKDF-SHA-256, ChaCha20-Poly1305).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SealedPassword(Vec<u8>);

impl SealedPassword {
    /// Encrypts `password` under a key derived from the session's secret and a random salt.
    #[must_use]
    pub fn seal(
        password: &Password,
        session: &SessionSecret,
        subject: EnvelopeSubject,
        rng: &mut impl CryptoRng,
    ) -> Self {
        let salt: [u8; SALT_LENGTH] = random::bytes(rng);
        let payload = Payload { msg: password.expose().as_bytes(), aad: &subject.associated_data() };
        // Each key is unique thanks to its salt, so the nonce may be constant.
        let sealed = wiped(|| cipher(session, &salt).encrypt(&[0; 12].into(), payload))
            .expect("a password is shorter than what ChaCha20 can encrypt");
        Self([salt.as_slice(), &sealed].concat())
    }

    /// The password, or `None` if the session, the subject or the bytes differ from those it was
    /// sealed with.
    #[must_use]
    pub fn open(&self, session: &SessionSecret, subject: EnvelopeSubject) -> Option<Password> {
        let (salt, sealed) = self.0.split_at_checked(SALT_LENGTH)?;
        let payload = Payload { msg: sealed, aad: &subject.associated_data() };
        let opened = wiped(|| cipher(session, salt).decrypt(&[0; 12].into(), payload)).ok()?;
        Some(Password::from_envelope(Zeroizing::new(String::from_utf8(opened).ok()?)))
    }

    /// The bytes to store.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Wraps bytes read from the database.
    #[must_use]
    pub fn from_stored(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }
}

/// The secret id of a browser session, from its cookie. The database has only its
/// [`digest`](Self::digest).
#[derive(Clone)]
pub struct SessionSecret(Zeroizing<[u8; 16]>);

impl SessionSecret {
    /// Wraps the id that the cookie holds: 128 random bits.
    #[must_use]
    pub fn new(id: i128) -> Self {
        Self(Zeroizing::new(id.to_be_bytes()))
    }

    /// SHA-256 of the secret, as stored in the database.
    #[must_use]
    pub fn digest(&self) -> Vec<u8> {
        random::digest(self.0.as_slice())
    }

    /// Derives another secret from this one (HKDF-SHA-256).
    pub(super) fn derive(&self, salt: &[u8], purpose: &[u8], output: &mut [u8]) {
        wiped(|| sealing::derive(self.0.as_slice(), salt, purpose, output));
    }
}

/// A new password with its hash, and the session that may display it.
pub struct IssuedPassword {
    pub password: Password,
    pub hash: PasswordHash,
    /// Makes the verifier once the login is known.
    pub verifier_key: VerifierKey,
    /// The session that may display the password.
    pub session: SessionSecret,
}

impl IssuedPassword {
    /// The password's verifier, for the account with this login.
    #[must_use]
    pub fn verifier(&self, login: &str) -> Verifier {
        self.verifier_key.verifier(login, self.password.expose())
    }

    /// Seals the password for its session.
    #[must_use]
    pub fn seal(&self, subject: EnvelopeSubject, rng: &mut impl CryptoRng) -> SealedPassword {
        SealedPassword::seal(&self.password, &self.session, subject, rng)
    }
}

fn cipher(session: &SessionSecret, salt: &[u8]) -> ChaCha20Poly1305 {
    let mut key = Zeroizing::new([0; 32]);
    Hkdf::<Sha256>::new(Some(salt), session.0.as_slice())
        .expand(b"raccord envelope key", &mut *key)
        .expect("32 bytes are within HKDF's limit");
    ChaCha20Poly1305::new((&*key).into())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::random::os_rng;

    const SUBJECT: EnvelopeSubject = EnvelopeSubject { technical_user_id: 5, credential_version: 1, manager_id: 9 };

    fn sealed() -> (Password, SealedPassword) {
        let password = Password::generate(&mut os_rng());
        let sealed = SealedPassword::seal(&password, &SessionSecret::new(1), SUBJECT, &mut os_rng());
        (password, sealed)
    }

    #[test]
    fn its_session_opens_it() {
        let (password, sealed) = sealed();
        assert_eq!(sealed.open(&SessionSecret::new(1), SUBJECT).unwrap().expose(), password.expose());
    }

    #[test]
    fn nothing_else_opens_it() {
        let (_, sealed) = sealed();
        assert!(sealed.open(&SessionSecret::new(2), SUBJECT).is_none());
        for other in [
            EnvelopeSubject { technical_user_id: 6, ..SUBJECT },
            EnvelopeSubject { credential_version: 2, ..SUBJECT },
            EnvelopeSubject { manager_id: 8, ..SUBJECT },
        ] {
            assert!(sealed.open(&SessionSecret::new(1), other).is_none());
        }
        for place in 0..sealed.as_bytes().len() {
            let mut bytes = sealed.as_bytes().to_vec();
            bytes[place] ^= 1;
            assert!(SealedPassword::from_stored(bytes).open(&SessionSecret::new(1), SUBJECT).is_none());
        }
        assert!(SealedPassword::from_stored(vec![1, 2]).open(&SessionSecret::new(1), SUBJECT).is_none());
    }

    #[test]
    fn the_password_is_not_readable_in_it() {
        let (password, sealed) = sealed();
        let text = password.expose().as_bytes();
        assert!(!sealed.as_bytes().windows(8).any(|window| text.windows(8).any(|part| part == window)));
    }

    proptest! {
        #[test]
        fn its_own_session_and_subject_open_it_and_no_others(
            (id, other_id) in any::<(i128, i128)>(), (account, version, manager) in any::<(i64, i32, i64)>(),
            (other_account, other_version, other_manager) in any::<(i64, i32, i64)>(), moved in any::<bool>()
        ) {
            let subject = EnvelopeSubject { technical_user_id: account, credential_version: version, manager_id: manager };
            let mut other =
                EnvelopeSubject { technical_user_id: other_account, credential_version: other_version, manager_id: other_manager };
            if moved {
                other = EnvelopeSubject { technical_user_id: manager, manager_id: account, ..subject };
            }
            let (session, password) = (SessionSecret::new(id), Password::generate(&mut os_rng()));
            let sealed = SealedPassword::seal(&password, &session, subject, &mut os_rng());
            let stored = SealedPassword::from_stored(sealed.as_bytes().to_vec());
            let opened = stored.open(&session, subject).map(|opened| opened.expose().to_owned());
            prop_assert_eq!(opened.as_deref(), Some(password.expose()));
            prop_assert!(other == subject || stored.open(&session, other).is_none());
            prop_assert!(id == other_id || stored.open(&SessionSecret::new(other_id), subject).is_none());
        }

        #[test]
        fn no_other_bytes_open(place in any::<prop::sample::Index>(), bit in 0_u32..8, cut in any::<prop::sample::Index>(), noise in any::<Vec<u8>>()) {
            let (_, sealed) = sealed();
            let bytes = sealed.as_bytes();
            let mut flipped = bytes.to_vec();
            flipped[place.index(bytes.len())] ^= 1_u8 << bit;
            let shorter = bytes[..cut.index(bytes.len())].to_vec();
            let longer = [bytes, noise.as_slice(), b"x"].concat();
            for wrong in [flipped, shorter, longer, noise] {
                prop_assert!(SealedPassword::from_stored(wrong).open(&SessionSecret::new(1), SUBJECT).is_none());
            }
        }

        #[test]
        fn equal_passwords_are_sealed_differently(id in any::<i128>()) {
            let (password, session) = (Password::generate(&mut os_rng()), SessionSecret::new(id));
            let seal = || SealedPassword::seal(&password, &session, SUBJECT, &mut os_rng());
            prop_assert_ne!(seal(), seal());
        }
    }

    #[test]
    fn the_database_knows_the_session_by_its_sha_256() {
        assert_eq!(SessionSecret::new(1).digest(), random::digest(1_i128.to_be_bytes()));
        assert_ne!(SessionSecret::new(1).digest(), SessionSecret::new(2).digest());
    }
}
