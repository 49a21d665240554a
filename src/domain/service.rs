//! Services: the operator's own APIs, which ask Raccord about the credentials that they are shown.

use std::{fmt, str::FromStr};

use rand::{CryptoRng, seq::IndexedRandom};
use thiserror::Error;
use zeroize::Zeroizing;

use super::{
    password::{self, ALPHABET},
    random,
};

/// The start of every secret of a service, by which secret scanners recognise one.
const SECRET_PREFIX: &str = "rcs_";
/// The form of a service's secret as a regular expression, for secret scanners.
pub const SECRET_PATTERN: &str = "rcs_[2-9A-HJ-NP-Za-km-np-z]{34}";
const ID_PREFIX: &str = "svc_";
const ID_LENGTH: usize = 12;
const MAX_NAME: usize = 60;
const MAX_AUDIENCE: usize = 250;

/// The lifetime of a token that names no service, in seconds.
pub const DEFAULT_TOKEN_SECONDS: i32 = 900;
/// The longest lifetime of a token that names a service, in seconds.
pub const MAX_TOKEN_SECONDS: i32 = 3600;
/// The longest lifetime of a JWT, and the default one, in seconds: no revocation reaches a JWT
/// that an API checks by itself.
pub const MAX_JWT_SECONDS: i32 = 300;
const MIN_TOKEN_SECONDS: i32 = 30;

/// A service's secret in clear text, in the form of a technical password. Wiped when dropped;
/// `Debug` is redacted, and there is no `Display` or `Serialize`.
pub struct ServiceSecret(Zeroizing<String>);

impl ServiceSecret {
    /// Generates a secret: `rcs_`, 28 random characters (162 bits), 6 characters of checksum.
    #[must_use]
    pub fn generate(rng: &mut impl CryptoRng) -> Self {
        Self(password::generate_with(SECRET_PREFIX, rng))
    }

    /// The text itself. Only the command that made the secret prints it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// SHA-256 of the secret, as it is stored.
    #[must_use]
    pub fn digest(&self) -> Vec<u8> {
        random::digest(&*self.0)
    }
}

impl fmt::Debug for ServiceSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ServiceSecret(…)")
    }
}

/// Whether a text has the form of a service's secret, checksum included.
#[must_use]
pub fn is_secret(text: &str) -> bool {
    password::has_form(SECRET_PREFIX, text)
}

/// All secrets of services within a text.
pub fn find_secrets(text: &str) -> impl Iterator<Item = &str> {
    password::find_with(SECRET_PREFIX, text)
}

/// A new id: what a service shows beside its secret. It is no secret.
#[must_use]
pub fn new_id(rng: &mut impl CryptoRng) -> String {
    let random = (0..ID_LENGTH)
        .map(|_| char::from(*ALPHABET.as_bytes().choose(rng).expect("the alphabet is not empty")))
        .collect::<String>();
    format!("{ID_PREFIX}{random}")
}

/// Why a value is refused; the texts are for the operator.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum ServiceError {
    #[error("a name has up to 60 of a-z, 0-9, '-', '_' and '.', and begins with a letter or a digit")]
    Name,
    #[error(
        "an audience is an absolute URL such as https://api.example/factures: http or https, up to 250 characters, \
         without a user, spaces or '#'"
    )]
    Audience,
    #[error("the seconds of a token are 30 to 3600, and 300 at most for a JWT")]
    TokenSeconds,
    #[error("a duration is a number with m, h or d, such as 24h, and 30 days at most")]
    Duration,
}

/// A service's name, for the operator: on the command line, in metrics and in the history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceName(String);

impl ServiceName {
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ServiceName {
    type Err = ServiceError;

    fn from_str(text: &str) -> Result<Self, ServiceError> {
        let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
        let begins = text.bytes().next().is_some_and(is_plain);
        let holds = text.bytes().all(|byte| is_plain(byte) || b"-_.".contains(&byte));
        if begins && holds && text.len() <= MAX_NAME { Ok(Self(text.to_owned())) } else { Err(ServiceError::Name) }
    }
}

/// What a token request names as `resource`, and a token as `aud` (RFC 8707): an absolute URL,
/// compared as it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Audience(String);

impl Audience {
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Audience {
    type Err = ServiceError;

    fn from_str(text: &str) -> Result<Self, ServiceError> {
        let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://")).unwrap_or_default();
        let host = rest.split(['/', '?']).next().unwrap_or_default();
        let in_host = |byte: u8| byte.is_ascii_alphanumeric() || b".-:[]".contains(&byte);
        let in_url = |byte: u8| byte.is_ascii_graphic() && !b"\"#<>\\^`{|}".contains(&byte);
        let is_sound = host.bytes().any(|byte| byte.is_ascii_alphanumeric()) && host.bytes().all(in_host);
        if is_sound && text.len() <= MAX_AUDIENCE && rest.bytes().all(in_url) {
            Ok(Self(text.to_owned()))
        } else {
            Err(ServiceError::Audience)
        }
    }
}

/// The lifetime of tokens that name a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TokenSeconds(i32);

impl TokenSeconds {
    /// The lifetime that the operator chose, or the default one.
    ///
    /// # Errors
    /// [`ServiceError::TokenSeconds`].
    pub fn checked(chosen: Option<i32>, kind: TokenKind) -> Result<Self, ServiceError> {
        let (default, most) = match kind {
            TokenKind::Opaque => (DEFAULT_TOKEN_SECONDS, MAX_TOKEN_SECONDS),
            TokenKind::Jwt => (MAX_JWT_SECONDS, MAX_JWT_SECONDS),
        };
        let seconds = chosen.unwrap_or(default);
        if (MIN_TOKEN_SECONDS..=most).contains(&seconds) { Ok(Self(seconds)) } else { Err(ServiceError::TokenSeconds) }
    }

    #[must_use]
    pub fn get(self) -> i32 {
        self.0
    }
}

/// What a token is that names a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenKind {
    /// Random; the service asks Raccord about it.
    Opaque,
    /// Signed (RFC 9068): the service may check it by itself.
    Jwt,
}

/// How long a replaced secret works on, in seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Keep(i32);

impl Keep {
    const MOST_SECONDS: i32 = 30 * 24 * 3600;

    #[must_use]
    pub fn seconds(self) -> i32 {
        self.0
    }
}

impl FromStr for Keep {
    type Err = ServiceError;

    fn from_str(text: &str) -> Result<Self, ServiceError> {
        let number = text.strip_suffix(['m', 'h', 'd']).ok_or(ServiceError::Duration)?;
        let unit = match text.as_bytes().last() {
            Some(b'm') => 60,
            Some(b'h') => 3600,
            _ => 24 * 3600,
        };
        let is_number = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
        let seconds = number.parse::<i32>().ok().filter(|_| is_number).and_then(|number| number.checked_mul(unit));
        let seconds = seconds.filter(|seconds| (1..=Self::MOST_SECONDS).contains(seconds));
        seconds.map(Self).ok_or(ServiceError::Duration)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use regex::Regex;

    use super::*;
    use crate::domain::{password::Password, random::os_rng};

    #[test]
    fn a_secret_has_the_form_of_a_technical_password_and_is_none() {
        let pattern = Regex::new(&format!("^{SECRET_PATTERN}$")).unwrap();
        let (secret, other) = (ServiceSecret::generate(&mut os_rng()), ServiceSecret::generate(&mut os_rng()));
        assert_ne!(secret.expose(), other.expose());
        assert!(is_secret(secret.expose()) && pattern.is_match(secret.expose()));
        assert!(!password::is_well_formed(secret.expose()));
        assert!(!is_secret(Password::generate(&mut os_rng()).expose()));
        let text = format!("x{}\n{}é", secret.expose(), other.expose());
        assert_eq!(find_secrets(&text).collect::<Vec<_>>(), [secret.expose(), other.expose()]);
        assert_eq!(format!("{secret:?}"), "ServiceSecret(…)");
    }

    #[test]
    fn ids_differ() {
        let (one, other) = (new_id(&mut os_rng()), new_id(&mut os_rng()));
        assert!(one.starts_with("svc_") && one.len() == 16 && one != other);
    }

    #[test]
    fn names_audiences_lifetimes_and_durations_are_checked() {
        for (name, is_good) in
            [("factures", true), ("api-2.v1_x", true), ("", false), ("-a", false), ("é", false), ("A", false)]
        {
            assert_eq!(ServiceName::from_str(name).is_ok(), is_good, "{name}");
        }
        assert!(ServiceName::from_str(&"a".repeat(60)).is_ok() && ServiceName::from_str(&"a".repeat(61)).is_err());
        for good in ["https://api.example/factures", "http://127.0.0.1:9000", "https://[::1]/?a=b"] {
            assert_eq!(Audience::from_str(good).map(|audience| audience.as_str().to_owned()), Ok(good.to_owned()));
        }
        let long = format!("https://a/{}", "x".repeat(250));
        for bad in [
            "",
            "factures",
            "urn:x",
            "https://",
            "https://:/",
            "https://u@h/",
            "https://h/#a",
            "https://h/a b",
            "https://h/é",
            &long,
        ] {
            assert_eq!(Audience::from_str(bad), Err(ServiceError::Audience), "{bad}");
        }
        let seconds = |chosen, kind| TokenSeconds::checked(chosen, kind).map(TokenSeconds::get);
        assert_eq!((seconds(None, TokenKind::Opaque), seconds(None, TokenKind::Jwt)), (Ok(900), Ok(300)));
        assert_eq!((seconds(Some(3600), TokenKind::Opaque), seconds(Some(30), TokenKind::Jwt)), (Ok(3600), Ok(30)));
        for (chosen, kind) in [(29, TokenKind::Opaque), (3601, TokenKind::Opaque), (301, TokenKind::Jwt)] {
            assert_eq!(seconds(Some(chosen), kind), Err(ServiceError::TokenSeconds));
        }
        for (text, expected) in [("24h", Ok(86_400)), ("5m", Ok(300)), ("30d", Ok(2_592_000))] {
            assert_eq!(Keep::from_str(text).map(Keep::seconds), expected.map_err(|()| ServiceError::Duration));
        }
        for bad in ["", "h", "24", "-1h", "+1h", "0h", "31d", "9999999999h", "1w"] {
            assert_eq!(Keep::from_str(bad), Err(ServiceError::Duration), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn what_is_accepted_is_safe_in_a_header_and_a_log(text in "\\PC{0,40}|https?://[a-z.]{1,9}\\PC{0,20}") {
            if let Ok(audience) = Audience::from_str(&text) {
                prop_assert!(audience.as_str().bytes().all(|byte| byte.is_ascii_graphic() && byte != b'"'));
            }
            if let Ok(name) = ServiceName::from_str(&text) {
                prop_assert!(name.as_str().bytes().all(|byte| byte.is_ascii_graphic() && byte != b'"'));
            }
        }
    }
}
