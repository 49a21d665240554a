//! What a program shows to be let in: a login and a password, in the forms that Chorus Pro clients
//! send.

use data_encoding::{BASE64_NOPAD, BASE64URL_NOPAD};
use zeroize::Zeroizing;

use super::person::TypedPassword;

/// A technical user's login and password, as presented.
#[derive(Clone, Debug)]
pub struct Credential {
    pub login: String,
    pub password: TypedPassword,
}

impl Credential {
    /// `None` where no login can be like this: empty, or with characters that neither a database
    /// nor a log takes.
    #[must_use]
    pub fn new(login: String, password: String) -> Option<Self> {
        let password = TypedPassword::new(password);
        let is_login = !login.is_empty() && !login.chars().any(char::is_control);
        is_login.then_some(Self { login, password })
    }

    /// Reads the value of a `cpro-account` header: `base64(utf8(login:password))`, split at the
    /// first colon.
    #[must_use]
    pub fn from_cpro_account(value: &[u8]) -> Option<Self> {
        let text = decode_base64(value)?;
        let (login, password) = text.split_once(':')?;
        Self::new(login.to_owned(), password.to_owned())
    }

    /// Reads the value of an `Authorization: Basic` header as RFC 6749 §2.3.1 writes it: both
    /// halves are form-encoded first.
    #[must_use]
    pub fn from_basic(value: &[u8]) -> Option<Self> {
        let text = decode_base64(value)?;
        let (login, password) = text.split_once(':')?;
        Self::new(form_decode(login)?, form_decode(password)?)
    }
}

/// Base64 of UTF-8, in either alphabet, with or without padding.
fn decode_base64(value: &[u8]) -> Option<Zeroizing<String>> {
    let value = value.trim_ascii();
    let bare = value.strip_suffix(b"==").or_else(|| value.strip_suffix(b"=")).unwrap_or(value);
    let is_url_safe = bare.iter().any(|byte| matches!(byte, b'-' | b'_'));
    let bytes = if is_url_safe { BASE64URL_NOPAD.decode(bare) } else { BASE64_NOPAD.decode(bare) };
    String::from_utf8(bytes.ok()?).ok().map(Zeroizing::new)
}

/// One form-encoded value. A text with `&` would be several: it was not encoded, and is taken as it
/// is.
fn form_decode(text: &str) -> Option<String> {
    if text.contains('&') {
        return Some(text.to_owned());
    }
    let encoded = format!("={text}");
    let (_, value) = form_urlencoded::parse(encoded.as_bytes()).next()?;
    Some(value.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use data_encoding::{BASE64, BASE64URL};
    use proptest::prelude::*;

    fn account(value: &str) -> Option<(String, String)> {
        Credential::from_cpro_account(value.as_bytes()).map(|read| (read.login, read.password.expose().to_owned()))
    }

    #[test]
    fn the_first_colon_parts_login_and_password() {
        assert_eq!(account(&BASE64.encode(b"TECH_1_X@cpro.fr:a:b")), Some(("TECH_1_X@cpro.fr".into(), "a:b".into())));
        assert_eq!(account(&BASE64.encode(b"login:")), Some(("login".into(), String::new())));
    }

    #[test]
    fn what_is_no_credential_is_none() {
        for text in [&b"login"[..], b":password", b"", b"lo\0gin:x", b"lo\ngin:x", b"\xff\xfe:x"] {
            assert_eq!(account(&BASE64.encode(text)), None, "{text:?}");
        }
        for value in ["", "=", "????", "bG9naW46eA==="] {
            assert_eq!(account(value), None, "{value}");
        }
    }

    #[test]
    fn basic_halves_are_form_decoded() {
        let read = Credential::from_basic(BASE64.encode(b"TECH_1_X%40cpro.fr:a%3Ab+c").as_bytes()).unwrap();
        assert_eq!((read.login.as_str(), read.password.expose()), ("TECH_1_X@cpro.fr", "a:b c"));
        let plain = Credential::from_basic(BASE64.encode(b"a&b:c%41&d+e").as_bytes()).unwrap();
        assert_eq!((plain.login.as_str(), plain.password.expose()), ("a&b", "c%41&d+e"), "not encoded: as it stands");
    }

    #[test]
    fn debug_tells_no_password() {
        let read = Credential::new("login".into(), "secret".into());
        assert!(!format!("{read:?}").contains("secret"));
    }

    proptest! {
        #[test]
        fn whatever_was_encoded_reads_back(login in "[^:\\p{Cc}]{1,60}", password in "\\PC{0,60}") {
            let text = format!("{login}:{password}");
            let expected = Some((login, password));
            for value in [BASE64.encode(text.as_bytes()), BASE64_NOPAD.encode(text.as_bytes()), BASE64URL.encode(text.as_bytes()), BASE64URL_NOPAD.encode(text.as_bytes())] {
                prop_assert_eq!(account(&value), expected.clone());
            }
        }

        #[test]
        fn no_bytes_make_it_panic(value in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = Credential::from_cpro_account(&value);
            let _ = Credential::from_basic(&value);
        }
    }
}
