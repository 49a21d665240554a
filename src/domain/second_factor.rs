//! The second factor of people: codes of an application (RFC 6238: SHA-1, 6 digits, 30 seconds, one
//! step of tolerance), and recovery codes for a person who has lost it.

use std::fmt;

use chacha20poly1305::{
    ChaCha20Poly1305, KeyInit,
    aead::{Aead, Payload},
};
use data_encoding::{BASE32_NOPAD, BASE64URL_NOPAD};
use hkdf::Hkdf;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use rand::CryptoRng;
use sha2::Sha256;
use zeroize::Zeroizing;

use super::{random, wiped::wiped};

/// How many recovery codes a person gets at once.
pub const RECOVERY_CODES: usize = 10;
const SECRET_BYTES: usize = 20;
const NONCE_BYTES: usize = 12;

/// What portal and application share. `Debug` says nothing.
pub struct TotpSecret(Zeroizing<[u8; SECRET_BYTES]>);

impl fmt::Debug for TotpSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TotpSecret(…)")
    }
}

impl TotpSecret {
    /// 160 random bits, as RFC 4226 recommends.
    #[must_use]
    pub fn generate(rng: &mut impl CryptoRng) -> Self {
        Self(Zeroizing::new(random::bytes(rng)))
    }

    /// The text that people type into an application: base32.
    #[must_use]
    pub fn expose(&self) -> Zeroizing<String> {
        Zeroizing::new(BASE32_NOPAD.encode(&*self.0))
    }

    /// What an application reads from the QR code. `login` and the portal's `host` name the account
    /// there: some applications replace the account of another portal that has the same name.
    #[must_use]
    pub fn expose_uri(&self, login: &str, host: &str) -> Zeroizing<String> {
        let (login, host) = (utf8_percent_encode(login, RESERVED), utf8_percent_encode(host, RESERVED));
        let issuer = format!("Raccord%20{host}");
        Zeroizing::new(format!("otpauth://totp/{issuer}:{login}?secret={}&issuer={issuer}", *self.expose()))
    }

    /// The step whose code this is, if it is the code of now or a neighbour's. `now` is in seconds
    /// since 1970.
    #[must_use]
    pub fn matching_step(&self, code: &str, now: u64) -> Option<i64> {
        wiped(|| totp_rs::Builder::new().with_secret(self.0.to_vec()).build().ok()?.check(code, now))
            .and_then(|step| i64::try_from(step).ok())
    }
}

/// What is percent-encoded in the account name of an `otpauth` URI.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'.').remove(b'-').remove(b'_').remove(b'@');

/// A secret under a key of the [`Keyring`]: what the database holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SealedSecret {
    /// The name of the key in the key file.
    pub key_id: String,
    /// Nonce, then ciphertext and tag.
    pub bytes: Vec<u8>,
}

/// The keys that seal second factors, and from which the secrets of links by mail and the keys of
/// verifiers are derived: the first one seals and makes, all open and verify. `Debug` says nothing.
pub struct Keyring(Vec<(String, Zeroizing<[u8; 32]>)>);

impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Keyring(…)")
    }
}

impl Keyring {
    /// Reads lines of `name:key`, the key being 32 bytes in base64url without padding. `None` where
    /// one is no such line, or there is none.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
        let keys: Option<Vec<_>> = lines.map(parse_key).collect();
        keys.filter(|keys| !keys.is_empty()).map(Self)
    }

    /// The names of the keys.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(name, _)| name.as_str())
    }

    /// A line for a new key.
    #[must_use]
    pub fn new_line(rng: &mut impl CryptoRng) -> Zeroizing<String> {
        let name = BASE32_NOPAD.encode(&random::bytes::<5>(rng));
        let key = Zeroizing::new(random::bytes::<32>(rng));
        Zeroizing::new(format!("{name}:{}\n", BASE64URL_NOPAD.encode(&*key)))
    }

    /// Seals a person's secret; it opens for that person's row alone.
    #[must_use]
    pub fn seal(&self, secret: &TotpSecret, user_id: i64, rng: &mut impl CryptoRng) -> SealedSecret {
        let (key_id, key) = &self.0[0];
        let nonce: [u8; NONCE_BYTES] = random::bytes(rng);
        let payload = Payload { msg: &*secret.0, aad: &associated_data(user_id) };
        let sealed = wiped(|| ChaCha20Poly1305::new((&**key).into()).encrypt(&nonce.into(), payload))
            .expect("20 bytes are fewer than ChaCha20 can encrypt");
        SealedSecret { key_id: key_id.clone(), bytes: [nonce.as_slice(), &sealed].concat() }
    }

    /// The secret, or `None` where its key is unknown or it was sealed for another person.
    #[must_use]
    pub fn open(&self, sealed: &SealedSecret, user_id: i64) -> Option<TotpSecret> {
        let (_, key) = self.0.iter().find(|(id, _)| *id == sealed.key_id)?;
        let (nonce, text) = sealed.bytes.split_at_checked(NONCE_BYTES)?;
        let nonce: [u8; NONCE_BYTES] = nonce.try_into().ok()?;
        let payload = Payload { msg: text, aad: &associated_data(user_id) };
        let opened = wiped(|| ChaCha20Poly1305::new((&**key).into()).decrypt(&nonce.into(), payload));
        let opened = opened.ok().map(Zeroizing::new)?;
        Some(TotpSecret(Zeroizing::new(opened.as_slice().try_into().ok()?)))
    }

    /// The secret of the link in a mail, by the mail's Message-ID: 256 bits that cannot be
    /// guessed without the key. The same each time, so a mail that is sent twice has the same text.
    #[must_use]
    pub fn link_token(&self, message_id: &str) -> String {
        self.derived_text("raccord mail link 1", message_id)
    }

    /// What stands for the password hash of a login that has none, where a secret of the login is
    /// needed. Always the same for a login.
    #[must_use]
    pub fn stand_in_for_hash(&self, login: &str) -> String {
        self.derived_text("raccord login without password 1", login)
    }

    fn derived_text(&self, label: &str, about: &str) -> String {
        let (_, key) = &self.0[0];
        let mut derived = Zeroizing::new([0; 32]);
        wiped(|| Hkdf::<Sha256>::new(None, &**key).expand(format!("{label}{about}").as_bytes(), &mut *derived))
            .expect("32 bytes are within HKDF's limit");
        BASE64URL_NOPAD.encode(&*derived)
    }

    /// Keys for another purpose, which the label names: one derived from each key, with its name.
    pub(super) fn derived_keys(&self, label: &[u8]) -> impl Iterator<Item = (&str, Zeroizing<[u8; 32]>)> {
        self.0.iter().map(move |(name, key)| {
            let mut derived = Zeroizing::new([0; 32]);
            wiped(|| Hkdf::<Sha256>::new(None, &**key).expand(label, &mut *derived))
                .expect("32 bytes are within HKDF's limit");
            (name.as_str(), derived)
        })
    }
}

fn parse_key(line: &str) -> Option<(String, Zeroizing<[u8; 32]>)> {
    let (name, key) = line.split_once(':')?;
    let key = Zeroizing::new(BASE64URL_NOPAD.decode(key.as_bytes()).ok()?);
    Some((name.to_owned(), Zeroizing::new(key.as_slice().try_into().ok()?)))
}

fn associated_data(user_id: i64) -> Vec<u8> {
    [b"raccord second factor 1".as_slice(), &user_id.to_be_bytes()].concat()
}

/// A code that serves once in place of the application's: 120 bits, in groups of four.
pub struct RecoveryCode(Zeroizing<String>);

impl RecoveryCode {
    /// A new code of 15 random bytes, in base32.
    #[must_use]
    pub fn generate(rng: &mut impl CryptoRng) -> Self {
        let text = Zeroizing::new(BASE32_NOPAD.encode(&random::bytes::<15>(rng)));
        let groups: Vec<&str> = (0..6).map(|group| &text[group * 4..group * 4 + 4]).collect();
        Self(Zeroizing::new(groups.join("-")))
    }

    /// The text itself, for the one page that shows it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// What the database keeps of it.
    #[must_use]
    pub fn digest(&self) -> Vec<u8> {
        recovery_digest(&self.0)
    }
}

/// The digest of a recovery code as it was typed: case, spaces and hyphens do not matter.
#[must_use]
pub fn recovery_digest(typed: &str) -> Vec<u8> {
    let plain: Zeroizing<String> =
        Zeroizing::new(typed.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_uppercase()).collect());
    random::digest(plain.as_bytes())
}

/// What was typed, as the code of an application: six digits, spaces left out. `None` where it is
/// no such code.
#[must_use]
pub fn six_digits(typed: &str) -> Option<String> {
    let digits: String = typed.chars().filter(|c| !c.is_whitespace()).collect();
    (digits.len() == 6 && digits.bytes().all(|byte| byte.is_ascii_digit())).then_some(digits)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::random::os_rng;

    #[test]
    fn codes_are_those_of_rfc_6238_within_one_step() {
        let secret = TotpSecret(Zeroizing::new(*b"12345678901234567890"));
        for (now, code) in
            [(59, "287082"), (1_111_111_109, "081804"), (1_234_567_890, "005924"), (20_000_000_000, "353130")]
        {
            let step = i64::try_from(now / 30).unwrap();
            for moment in [now - 30, now, now + 30] {
                assert_eq!(secret.matching_step(code, moment), Some(step), "{code}");
            }
            assert_eq!(secret.matching_step(code, now + 90), None);
        }
        assert_eq!(secret.matching_step("28708", 59), None);
        assert_eq!(secret.matching_step("", 59), None);
    }

    #[test]
    fn a_sealed_secret_opens_with_its_key_and_for_its_person() {
        let line = Keyring::new_line(&mut os_rng());
        let keyring = Keyring::parse(&line).unwrap();
        let secret = TotpSecret::generate(&mut os_rng());
        let sealed = keyring.seal(&secret, 7, &mut os_rng());
        assert_eq!(keyring.open(&sealed, 7).unwrap().expose(), secret.expose());
        assert!(keyring.open(&sealed, 8).is_none());
        let rotated = Keyring::parse(&format!("{}{}", *Keyring::new_line(&mut os_rng()), *line)).unwrap();
        assert!(rotated.open(&sealed, 7).is_some(), "an older key still opens");
        assert_ne!(rotated.seal(&secret, 7, &mut os_rng()).key_id, sealed.key_id, "and no longer seals");
        assert!(Keyring::parse(&Keyring::new_line(&mut os_rng())).unwrap().open(&sealed, 7).is_none());
        assert!(!sealed.bytes.windows(8).any(|window| secret.0.windows(8).any(|part| part == window)));
    }

    #[test]
    fn a_key_file_is_read_whole_or_not_at_all() {
        for text in ["", "# nothing\n", "a:b", "a"] {
            assert!(Keyring::parse(text).is_none(), "{text}");
        }
    }

    #[test]
    fn a_recovery_code_may_be_typed_as_people_do() {
        let code = RecoveryCode::generate(&mut os_rng());
        assert_eq!(code.expose().len(), 29);
        assert_eq!(recovery_digest(&code.expose().to_lowercase().replace('-', " ")), code.digest());
        assert_eq!(six_digits(" 123 456 "), Some("123456".into()));
        assert_eq!((six_digits("12345a"), six_digits("1234567")), (None, None));
    }

    #[test]
    fn the_uri_names_the_account() {
        let uri = TotpSecret::generate(&mut os_rng()).expose_uri("anne é@mairie.fr", "raccord.example");
        assert!(
            uri.starts_with("otpauth://totp/Raccord%20raccord.example:anne%20%C3%A9@mairie.fr?secret="),
            "{}",
            *uri
        );
    }

    #[test]
    fn a_mails_link_is_the_same_again_and_no_other_mails_nor_keys() {
        let ring = |byte: u8| Keyring::parse(&format!("k:{}", BASE64URL_NOPAD.encode(&[byte; 32]))).unwrap();
        let token = ring(1).link_token("<raccord-1-1@a.fr>");
        assert_eq!(token.len(), 43);
        assert_eq!(ring(1).link_token("<raccord-1-1@a.fr>"), token);
        assert_ne!(ring(1).link_token("<raccord-1-2@a.fr>"), token);
        assert_ne!(ring(2).link_token("<raccord-1-1@a.fr>"), token);
    }

    proptest! {
        #[test]
        fn a_code_is_good_for_its_step_and_its_neighbours_alone(secret in any::<[u8; 20]>(), now in 120_u64..4_000_000_000, away in -5_i64..=5) {
            let secret = TotpSecret(Zeroizing::new(secret));
            let code = totp_rs::Builder::new().with_secret(secret.0.to_vec()).build().unwrap().generate(now);
            let then = now.checked_add_signed(away * 30).unwrap();
            // One code in a million is another step's too.
            let step = secret.matching_step(&code.to_string(), then);
            prop_assert!(step.is_none_or(|step| step.abs_diff(i64::try_from(then / 30).unwrap()) <= 1));
            prop_assert!(away.abs() > 1 || step.is_some());
        }

        #[test]
        fn nothing_that_is_typed_makes_it_panic(text in any::<String>()) {
            prop_assert!(TotpSecret::generate(&mut os_rng()).matching_step(&text, 59).is_none() || text.len() == 6);
            prop_assert!(six_digits(&text).is_none_or(|digits| digits.len() == 6 && digits.bytes().all(|byte| byte.is_ascii_digit())));
            prop_assert_eq!(recovery_digest(&text), recovery_digest(&format!("-{} ", text.to_ascii_lowercase())));
            let _ = Keyring::parse(&text);
        }

        #[test]
        fn no_other_person_and_no_other_bytes_open_a_secret((user, other) in any::<(i64, i64)>(), place in any::<prop::sample::Index>(), bit in 0_u32..8) {
            let keyring = Keyring::parse(&Keyring::new_line(&mut os_rng())).unwrap();
            let mut sealed = keyring.seal(&TotpSecret::generate(&mut os_rng()), user, &mut os_rng());
            prop_assert!(keyring.open(&sealed, user).is_some());
            prop_assert_eq!(keyring.open(&sealed, other).is_some(), user == other);
            let place = place.index(sealed.bytes.len());
            sealed.bytes[place] ^= 1_u8 << bit;
            prop_assert!(keyring.open(&sealed, user).is_none());
        }
    }

    #[test]
    fn secrets_and_codes_are_random_and_debug_tells_nothing() {
        let secret = TotpSecret::generate(&mut os_rng());
        assert_eq!(format!("{secret:?}"), "TotpSecret(…)");
        assert_eq!(
            (secret.expose().len(), secret.expose() == TotpSecret::generate(&mut os_rng()).expose()),
            (32, false)
        );
        assert_eq!(format!("{:?}", Keyring::parse(&Keyring::new_line(&mut os_rng())).unwrap()), "Keyring(…)");
        let (one, other) = (RecoveryCode::generate(&mut os_rng()), RecoveryCode::generate(&mut os_rng()));
        assert_ne!(one.digest(), other.digest());
        assert!(one.expose().split('-').all(|group| group.len() == 4) && one.expose().split('-').count() == 6);
    }

    #[test]
    fn what_an_application_must_not_read_otherwise_is_escaped() {
        let uri = TotpSecret::generate(&mut os_rng()).expose_uri("azAZ09.-_@:?&%#/", "[::1]:8080");
        assert!(
            uri.starts_with("otpauth://totp/Raccord%20%5B%3A%3A1%5D%3A8080:azAZ09.-_@%3A%3F%26%25%23%2F?secret="),
            "{}",
            *uri
        );
        assert!(uri.ends_with("&issuer=Raccord%20%5B%3A%3A1%5D%3A8080"));
    }

    #[test]
    fn a_key_file_may_have_comments_and_empty_lines() {
        let line = Keyring::new_line(&mut os_rng());
        let keyring = Keyring::parse(&format!("# the key of November\n\n  {}  \n", line.trim())).unwrap();
        assert_eq!(keyring.0.len(), 1);
        assert!(Keyring::parse(&format!("{}b:short\n", *line)).is_none());
    }
}
