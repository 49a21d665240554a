//! Envelopes: a new password, encrypted so that only the browser session that asked for it can
//! decrypt it (section 3 of the specification).
//!
//! The key is derived from the session's secret. The server has that secret only while it handles
//! a request of the session; the database has its hash alone. So a dump of the database decrypts
//! nothing.
//!
//! The passwords of a batch are made between two requests of the session. They are encrypted for
//! the session's public key (HPKE, RFC 9180), whose private half is derived from the same secret.

use std::time::Duration;

use hpke::{
    Deserializable, Kem, OpModeR, OpModeS, Serializable, aead::ChaCha20Poly1305 as HpkeAead, kdf::HkdfSha256,
    kem::X25519HkdfSha256,
};
use rand::CryptoRng;
use zeroize::Zeroizing;

use super::{
    password::{Password, PasswordHash},
    random, sealing,
    verifier::{Verifier, VerifierKey},
    wiped::wiped,
};

/// How long the envelope of a new password lasts, displayed or not.
pub const LIFETIME: Duration = Duration::from_mins(10);

/// How long the envelopes of a batch wait for their first export. From then on they last for
/// [`LIFETIME`].
pub const BATCH_LIFETIME: Duration = Duration::from_hours(1);

/// Of the encapsulated key of HPKE with X25519, in bytes.
const ENCAPSULATED_LENGTH: usize = 32;

const FOR_A_SESSION: &[u8] = b"raccord envelope key";
const SESSION_KEY_PAIR: &[u8] = b"raccord session key pair";
const FOR_A_BATCH: &[u8] = b"raccord envelope of a batch";

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
/// Of a batch: the encapsulated key in place of the salt (HPKE with X25519).
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
        let (text, subject) = (password.expose().as_bytes(), subject.associated_data());
        Self(sealing::seal(session.0.as_slice(), FOR_A_SESSION, &subject, text, rng))
    }

    /// Encrypts `password` for the session with this public key.
    #[must_use]
    pub fn seal_for(
        password: &Password,
        key: &SessionKey,
        subject: EnvelopeSubject,
        rng: &mut impl CryptoRng,
    ) -> Option<Self> {
        let key = <X25519HkdfSha256 as Kem>::PublicKey::from_bytes(&key.0).ok()?;
        let (text, data) = (password.expose().as_bytes(), subject.associated_data());
        let (encapsulated, sealed) = wiped(|| {
            hpke::single_shot_seal_with_rng::<HpkeAead, HkdfSha256, X25519HkdfSha256>(
                &OpModeS::Base,
                &key,
                FOR_A_BATCH,
                text,
                &data,
                rng,
            )
        })
        .ok()?;
        Some(Self([encapsulated.to_bytes().as_slice(), &sealed].concat()))
    }

    /// The password, or `None` if the session, the subject or the bytes differ from those it was
    /// sealed with.
    #[must_use]
    pub fn open(&self, session: &SessionSecret, subject: EnvelopeSubject) -> Option<Password> {
        let subject = subject.associated_data();
        let opened = sealing::open(session.0.as_slice(), FOR_A_SESSION, &subject, &self.0)
            .or_else(|| open_by_key_pair(session, &self.0, &subject))?;
        Some(Password::from_envelope(Zeroizing::new(String::from_utf8(opened.to_vec()).ok()?)))
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

    /// The key for which the passwords of a batch are sealed: only the secret opens them.
    #[must_use]
    pub fn public_key(&self) -> SessionKey {
        SessionKey(self.key_pair().1.to_bytes().to_vec())
    }

    fn key_pair(&self) -> (<X25519HkdfSha256 as Kem>::PrivateKey, <X25519HkdfSha256 as Kem>::PublicKey) {
        let mut material = Zeroizing::new([0; 32]);
        sealing::derive(self.0.as_slice(), &[], SESSION_KEY_PAIR, &mut *material);
        X25519HkdfSha256::derive_keypair(material.as_slice())
    }

    /// Derives another secret from this one (HKDF-SHA-256).
    pub(super) fn derive(&self, salt: &[u8], purpose: &[u8], output: &mut [u8]) {
        wiped(|| sealing::derive(self.0.as_slice(), salt, purpose, output));
    }
}

/// The public key of a session (X25519), in 32 bytes. It is stored, and opens nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionKey(Vec<u8>);

impl SessionKey {
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

/// Whose envelope a new password goes into.
#[derive(Clone)]
pub enum Keeper {
    /// The session whose request makes the password.
    Session(SessionSecret),
    /// The session that asked for a batch.
    Batch { batch_id: i64, session_hash: Vec<u8>, key: SessionKey },
}

impl Keeper {
    /// SHA-256 of the session's secret.
    #[must_use]
    pub fn session_hash(&self) -> Vec<u8> {
        match self {
            Self::Session(session) => session.digest(),
            Self::Batch { session_hash, .. } => session_hash.clone(),
        }
    }

    /// How long the envelope waits.
    #[must_use]
    pub fn lifetime(&self) -> Duration {
        match self {
            Self::Session(_) => LIFETIME,
            Self::Batch { .. } => BATCH_LIFETIME,
        }
    }

    /// The batch that the password belongs to.
    #[must_use]
    pub fn batch_id(&self) -> Option<i64> {
        match self {
            Self::Session(_) => None,
            Self::Batch { batch_id, .. } => Some(*batch_id),
        }
    }

    /// Seals a password. `None` where the stored key is none.
    #[must_use]
    pub fn seal(
        &self,
        password: &Password,
        subject: EnvelopeSubject,
        rng: &mut impl CryptoRng,
    ) -> Option<SealedPassword> {
        match self {
            Self::Session(session) => Some(SealedPassword::seal(password, session, subject, rng)),
            Self::Batch { key, .. } => SealedPassword::seal_for(password, key, subject, rng),
        }
    }
}

/// A new password with its hash.
pub struct IssuedPassword {
    pub password: Password,
    pub hash: PasswordHash,
    /// Makes the verifier once the login is known.
    pub verifier_key: VerifierKey,
}

impl IssuedPassword {
    /// The password's verifier, for the account with this login.
    #[must_use]
    pub fn verifier(&self, login: &str) -> Verifier {
        self.verifier_key.verifier(login, self.password.expose())
    }
}

fn open_by_key_pair(session: &SessionSecret, bytes: &[u8], subject: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let (encapsulated, sealed) = bytes.split_at_checked(ENCAPSULATED_LENGTH)?;
    let encapsulated = <X25519HkdfSha256 as Kem>::EncappedKey::from_bytes(encapsulated).ok()?;
    wiped(|| {
        let (private, _) = session.key_pair();
        hpke::single_shot_open::<HpkeAead, HkdfSha256, X25519HkdfSha256>(
            &OpModeR::Base,
            &private,
            &encapsulated,
            FOR_A_BATCH,
            sealed,
            subject,
        )
    })
    .ok()
    .map(Zeroizing::new)
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
    fn what_is_sealed_for_a_public_key_is_opened_by_its_session_alone() {
        let password = Password::generate(&mut os_rng());
        let key = SessionKey::from_stored(SessionSecret::new(1).public_key().as_bytes().to_vec());
        let sealed = SealedPassword::seal_for(&password, &key, SUBJECT, &mut os_rng()).unwrap();
        assert_eq!(sealed.open(&SessionSecret::new(1), SUBJECT).unwrap().expose(), password.expose());
        assert!(sealed.open(&SessionSecret::new(2), SUBJECT).is_none());
        assert!(sealed.open(&SessionSecret::new(1), EnvelopeSubject { manager_id: 8, ..SUBJECT }).is_none());
        for place in 0..sealed.as_bytes().len() {
            let mut bytes = sealed.as_bytes().to_vec();
            bytes[place] ^= 1;
            assert!(SealedPassword::from_stored(bytes).open(&SessionSecret::new(1), SUBJECT).is_none(), "{place}");
        }
        let text = password.expose().as_bytes();
        assert!(!sealed.as_bytes().windows(8).any(|window| text.windows(8).any(|part| part == window)));
    }

    #[test]
    fn bytes_that_are_no_key_seal_nothing() {
        let password = Password::generate(&mut os_rng());
        for bytes in [vec![], vec![1; 31], vec![0; 32]] {
            let key = SessionKey::from_stored(bytes);
            assert!(SealedPassword::seal_for(&password, &key, SUBJECT, &mut os_rng()).is_none());
        }
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
