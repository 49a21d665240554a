//! Authenticated encryption of small secrets: ChaCha20-Poly1305 under a key that HKDF-SHA-256
//! derives from another secret and a fresh salt.

use chacha20poly1305::{
    ChaCha20Poly1305, KeyInit,
    aead::{Aead, Payload},
};
use hkdf::Hkdf;
use rand::CryptoRng;
use sha2::Sha256;
use zeroize::Zeroizing;

use super::{random, wiped::wiped};

const SALT_LENGTH: usize = 32;

/// Encrypts `text`: salt of 32 bytes, ciphertext, then tag. `purpose` tells the keys of one secret
/// apart; `subject` is the associated data.
pub(super) fn seal(secret: &[u8], purpose: &[u8], subject: &[u8], text: &[u8], rng: &mut impl CryptoRng) -> Vec<u8> {
    let salt: [u8; SALT_LENGTH] = random::bytes(rng);
    let payload = Payload { msg: text, aad: subject };
    // Each key is unique thanks to its salt, so the nonce may be constant.
    let sealed = wiped(|| cipher(secret, purpose, &salt).encrypt(&[0; 12].into(), payload))
        .expect("the text is shorter than what ChaCha20 can encrypt");
    [salt.as_slice(), &sealed].concat()
}

/// The text, or `None` if secret, purpose, subject or bytes differ from those it was sealed with.
pub(super) fn open(secret: &[u8], purpose: &[u8], subject: &[u8], sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let (salt, sealed) = sealed.split_at_checked(SALT_LENGTH)?;
    let payload = Payload { msg: sealed, aad: subject };
    wiped(|| cipher(secret, purpose, salt).decrypt(&[0; 12].into(), payload)).ok().map(Zeroizing::new)
}

fn cipher(secret: &[u8], purpose: &[u8], salt: &[u8]) -> ChaCha20Poly1305 {
    let mut key = Zeroizing::new([0; 32]);
    derive(secret, salt, purpose, &mut *key);
    ChaCha20Poly1305::new((&*key).into())
}

/// HKDF-SHA-256, into an output of at most 8,160 bytes.
pub(super) fn derive(secret: &[u8], salt: &[u8], purpose: &[u8], output: &mut [u8]) {
    Hkdf::<Sha256>::new(Some(salt), secret).expand(purpose, output).expect("a length within HKDF's limit");
}
