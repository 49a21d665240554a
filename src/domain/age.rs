//! Files encrypted for a recipient of age, <https://age-encryption.org/v1>: whoever has the private
//! key opens them with `age --decrypt`.
//!
//! It writes for one recipient of type X25519, with crates that Raccord needs anyway. The crate
//! `age` reads and writes much more, and would bring some eighty crates.

use bech32::{Bech32, Hrp, primitives::decode::CheckedHrpstring};
use chacha20poly1305::{ChaCha20Poly1305, KeyInit, aead::Aead};
use data_encoding::BASE64_NOPAD;
use hmac::{Hmac, Mac};
use rand::CryptoRng;
use sha2::Sha256;
use x25519_dalek::{X25519_BASEPOINT_BYTES, x25519};
use zeroize::Zeroizing;

use super::{random, sealing::derive, wiped::wiped};

/// Of a payload that is encrypted and authenticated at once, in bytes.
const CHUNK: usize = 64 * 1024;

type Key = Zeroizing<[u8; 32]>;

/// The public key of a user of age: `age1` and 58 more characters (Bech32).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recipient([u8; 32]);

impl Recipient {
    /// Reads a recipient, with white space around it. `None` where the text is none, its checksum
    /// is wrong, or no private key is needed to open what it encrypts (a point of small order).
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let decoded = CheckedHrpstring::new::<Bech32>(text.trim()).ok()?;
        if decoded.hrp() != Hrp::parse_unchecked("age") {
            return None;
        }
        let point: [u8; 32] = decoded.byte_iter().collect::<Vec<u8>>().try_into().ok()?;
        (x25519([1; 32], point) != [0; 32]).then_some(Self(point))
    }

    /// The file that holds `text`, encrypted for this recipient.
    #[must_use]
    pub fn encrypt(&self, text: &[u8], rng: &mut impl CryptoRng) -> Vec<u8> {
        let (file_key, ephemeral) = (Zeroizing::new(random::bytes::<16>(rng)), Zeroizing::new(random::bytes(rng)));
        let nonce: [u8; 16] = random::bytes(rng);
        wiped(|| {
            let mut file = self.header(&file_key, &ephemeral).into_bytes();
            file.extend(nonce);
            let mut key = Key::default();
            derive(&*file_key, &nonce, b"payload", &mut *key);
            append_chunks(&mut file, &key, text);
            file
        })
    }

    /// The text before the payload: the file's key for the recipient, and a code that
    /// authenticates both.
    fn header(&self, file_key: &[u8; 16], ephemeral: &[u8; 32]) -> String {
        let share = x25519(*ephemeral, X25519_BASEPOINT_BYTES);
        let shared = Zeroizing::new(x25519(*ephemeral, self.0));
        let mut key = Key::default();
        derive(&*shared, &[share, self.0].concat(), b"age-encryption.org/v1/X25519", &mut *key);
        let for_recipient = encrypt(&key, [0; 12], file_key);
        let (share, for_recipient) = (BASE64_NOPAD.encode(&share), BASE64_NOPAD.encode(&for_recipient));
        let text = format!("age-encryption.org/v1\n-> X25519 {share}\n{for_recipient}\n---");

        derive(file_key, &[], b"header", &mut *key);
        let mut code = Hmac::<Sha256>::new_from_slice(&*key).expect("HMAC takes keys of any length");
        code.update(text.as_bytes());
        format!("{text} {}\n", BASE64_NOPAD.encode(&code.finalize().into_bytes()))
    }
}

impl std::fmt::Display for Recipient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        bech32::encode_to_fmt::<Bech32, _>(f, Hrp::parse_unchecked("age"), &self.0).map_err(|_| std::fmt::Error)
    }
}

/// STREAM: the nonce of a chunk is its number, then whether it is the last. An empty text is one
/// empty chunk.
fn append_chunks(file: &mut Vec<u8>, key: &Key, text: &[u8]) {
    let count = text.len().div_ceil(CHUNK).max(1);
    for (number, chunk) in (0_u64..).zip((0..count).map(|n| &text[n * CHUNK..text.len().min((n + 1) * CHUNK)])) {
        let mut nonce = [0; 12];
        nonce[3..11].copy_from_slice(&number.to_be_bytes());
        nonce[11] = u8::from(number + 1 == count as u64);
        file.extend(encrypt(key, nonce, chunk));
    }
}

fn encrypt(key: &Key, nonce: [u8; 12], text: &[u8]) -> Vec<u8> {
    let cipher = ChaCha20Poly1305::new((&**key).into());
    cipher.encrypt(&nonce.into(), text).expect("the text is shorter than what ChaCha20 can encrypt")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::random::os_rng;

    /// That of the specification's examples.
    const RECIPIENT: &str = "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p";

    #[test]
    fn a_recipient_is_read_and_written_again() {
        let recipient = Recipient::parse(&format!(" {RECIPIENT}\n")).unwrap();
        assert_eq!(recipient.to_string(), RECIPIENT);
        assert_eq!(Recipient::parse(&RECIPIENT.to_uppercase()), Some(recipient));
    }

    #[test]
    fn what_is_no_recipient_is_refused() {
        let mistyped = RECIPIENT.replace("ql3z", "ql3y");
        let small_order = Recipient([0; 32]).to_string();
        let other = bech32::encode::<Bech32>(Hrp::parse("bc").unwrap(), &[9; 32]).unwrap();
        let short = bech32::encode::<Bech32>(Hrp::parse("age").unwrap(), &[9; 31]).unwrap();
        let private = bech32::encode::<Bech32>(Hrp::parse("age-secret-key-").unwrap(), &[9; 32]).unwrap();
        for text in ["", "age1", "ssh-ed25519 AAAA", &mistyped, &small_order, &other, &short, &private] {
            assert_eq!(Recipient::parse(text), None, "{text}");
        }
    }

    #[test]
    fn equal_texts_are_encrypted_differently_and_not_readable() {
        let recipient = Recipient::parse(RECIPIENT).unwrap();
        let (one, other) =
            (recipient.encrypt(&[b'a'; 64], &mut os_rng()), recipient.encrypt(&[b'a'; 64], &mut os_rng()));
        assert_ne!(one, other);
        assert!(!one.windows(8).any(|window| window == [b'a'; 8]));
    }
}
