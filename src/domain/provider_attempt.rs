//! An attempt to sign in with the identity provider, between leaving the portal and coming back.
//!
//! Its `state` goes to the provider and comes back; its browser keeps a secret in a cookie. Nonce,
//! PKCE verifier and the key of what the attempt carries are derived from both, so the database,
//! which has the hash of either, can neither finish an attempt nor read what it carries.

use std::{fmt, time::Duration};

use data_encoding::BASE64URL_NOPAD;
use rand::CryptoRng;
use zeroize::Zeroizing;

use super::{random, sealing, wiped::wiped};

/// How long an attempt may take.
pub const LIFETIME: Duration = Duration::from_mins(10);

/// The attempts of one browser that may be under way: the tabs of a person who begins anew.
pub const MOST_OF_A_BROWSER: i64 = 8;

/// The purpose of the key of what an attempt carries.
const CARRIED: &[u8] = b"raccord provider attempt 2";

/// What an attempt is for. Codes are in the database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    SignIn,
    /// « Confirmez votre identité », within a session.
    Confirmation,
    /// To accept the invitation of a mailed link.
    Invitation,
    /// To link an identity, within a session.
    Linking,
    /// To end the provider's session, too.
    SignOut,
}

impl Purpose {
    const ALL: [Self; 5] = [Self::SignIn, Self::Confirmation, Self::Invitation, Self::Linking, Self::SignOut];

    /// The code in the database.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::SignIn => "SIGN_IN",
            Self::Confirmation => "CONFIRMATION",
            Self::Invitation => "INVITATION",
            Self::Linking => "LINKING",
            Self::SignOut => "SIGN_OUT",
        }
    }

    /// The purpose of a code in the database.
    #[must_use]
    pub fn parse(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|purpose| purpose.code() == code)
    }
}

/// The secret of a browser that has attempts under way. `Debug` says nothing.
#[derive(Clone)]
pub struct BrowserSecret(Zeroizing<String>);

impl fmt::Debug for BrowserSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BrowserSecret(…)")
    }
}

impl BrowserSecret {
    /// 256 random bits.
    #[must_use]
    pub fn generate(rng: &mut impl CryptoRng) -> Self {
        Self(Zeroizing::new(random::token(rng)))
    }

    /// The secret in a cookie; `None` where it is none of ours.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = BASE64URL_NOPAD.decode(text.as_bytes()).ok().map(Zeroizing::new)?;
        (bytes.len() == 32).then(|| Self(Zeroizing::new(text.to_owned())))
    }

    /// The text for the cookie.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// What the database keeps of it.
    #[must_use]
    pub fn digest(&self) -> Vec<u8> {
        random::digest(self.0.as_bytes())
    }

    /// The nonce of the attempt with this state: 43 characters.
    #[must_use]
    pub fn nonce(&self, state: &str) -> Zeroizing<String> {
        self.derive(state, b"raccord provider nonce 1")
    }

    /// The PKCE verifier of the attempt with this state: 43 characters.
    #[must_use]
    pub fn verifier(&self, state: &str) -> Zeroizing<String> {
        self.derive(state, b"raccord provider verifier 1")
    }

    /// Encrypts what the attempt with this state carries.
    #[must_use]
    pub fn seal(&self, state: &str, carried: &[u8], rng: &mut impl CryptoRng) -> Vec<u8> {
        sealing::seal(self.0.as_bytes(), CARRIED, state.as_bytes(), carried, rng)
    }

    /// What the attempt with this state carries, or `None` where the bytes are not its own.
    #[must_use]
    pub fn open(&self, state: &str, sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        sealing::open(self.0.as_bytes(), CARRIED, state.as_bytes(), sealed)
    }

    fn derive(&self, state: &str, purpose: &[u8]) -> Zeroizing<String> {
        let mut bytes = Zeroizing::new([0; 32]);
        wiped(|| sealing::derive(self.0.as_bytes(), state.as_bytes(), purpose, &mut *bytes));
        Zeroizing::new(BASE64URL_NOPAD.encode(&*bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::random::os_rng;

    #[test]
    fn each_attempt_of_a_browser_has_secrets_of_its_own() {
        let browser = BrowserSecret::generate(&mut os_rng());
        assert_eq!(BrowserSecret::parse(browser.expose()).expect("ours").digest(), browser.digest());
        let made = [browser.nonce("a"), browser.nonce("b"), browser.verifier("a"), browser.verifier("b")];
        assert!(made.iter().all(|text| text.len() == 43));
        let different: std::collections::BTreeSet<_> = made.iter().map(|text| text.as_str()).collect();
        assert_eq!(different.len(), 4);
        assert_eq!(browser.nonce("a"), browser.nonce("a"));
        assert_ne!(BrowserSecret::generate(&mut os_rng()).nonce("a"), browser.nonce("a"));
        for strange in ["", "a", "é", &"A".repeat(44)] {
            assert!(BrowserSecret::parse(strange).is_none(), "{strange}");
        }
    }

    #[test]
    fn what_an_attempt_carries_opens_in_its_browser_alone() {
        let browser = BrowserSecret::generate(&mut os_rng());
        let sealed = browser.seal("a", b"libelle=Paie", &mut os_rng());
        assert_eq!(browser.open("a", &sealed).expect("its own").as_slice(), b"libelle=Paie");
        assert!(browser.open("b", &sealed).is_none());
        assert!(BrowserSecret::generate(&mut os_rng()).open("a", &sealed).is_none());
        assert!(!format!("{browser:?}").contains(browser.expose()));
    }

    #[test]
    fn purposes_are_found_by_their_codes() {
        assert!(Purpose::ALL.iter().all(|purpose| Purpose::parse(purpose.code()) == Some(*purpose)));
        assert_eq!(Purpose::parse("OTHER"), None);
    }
}
