//! Randomness, from the operating system's generator alone.

use data_encoding::BASE64URL_NOPAD;
use rand::{CryptoRng, rand_core::UnwrapErr, rngs::SysRng};
use sha2::{Digest, Sha256};

use super::wiped::wiped;

/// The operating system's CSPRNG. It panics where the system provides no randomness: nothing would
/// be safe without it.
#[must_use]
pub fn os_rng() -> UnwrapErr<SysRng> {
    UnwrapErr(SysRng)
}

/// The same generator for signatures, whose crate takes it in a form of its own.
#[must_use]
pub fn for_signatures() -> ring::rand::SystemRandom {
    ring::rand::SystemRandom::new()
}

/// `N` random bytes.
#[must_use]
pub fn bytes<const N: usize>(rng: &mut impl CryptoRng) -> [u8; N] {
    let mut bytes = [0; N];
    rng.fill_bytes(&mut bytes);
    bytes
}

/// 256 random bits in base64url, safe in a URL, a form and a header.
#[must_use]
pub fn token(rng: &mut impl CryptoRng) -> String {
    wiped(|| BASE64URL_NOPAD.encode(&bytes::<32>(rng)))
}

/// SHA-256, as the database stores random secrets (sessions, API tokens, links, nonces). A fast
/// hash is enough: 128 random bits cannot be guessed.
#[must_use]
pub fn digest(secret: impl AsRef<[u8]>) -> Vec<u8> {
    wiped(|| Sha256::digest(secret.as_ref()).to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_256_bits_that_no_url_changes_and_never_the_same() {
        let (one, other) = (token(&mut os_rng()), token(&mut os_rng()));
        assert!(one.len() == 43 && one.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte)));
        assert_ne!(one, other);
        assert_ne!(bytes::<16>(&mut os_rng()), bytes::<16>(&mut os_rng()));
    }

    #[test]
    fn a_digest_is_sha_256() {
        let expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(data_encoding::HEXLOWER.encode(&digest("abc")), expected);
    }
}
