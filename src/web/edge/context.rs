//! What is known of a request: its number, its client address, its caller.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr},
    sync::{Arc, OnceLock},
};

use axum::http::{HeaderMap, header};

use crate::{db::identity::sessions::SignedIn, domain::characters::is_unprintable, web::shell::layout::SignedInUser};

/// What is known of a request from its beginning.
#[derive(Clone, Debug)]
pub struct RequestContext {
    /// The number that people give to support and that stands in every line of the log.
    pub number: Arc<str>,
    /// The client, behind trusted proxies.
    pub address: IpAddr,
    learnt: Arc<Learnt>,
}

/// Who asks, as the log names them: by number, which tells nothing outside the database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Caller {
    Person(i64),
    TechnicalUser(i64),
}

impl fmt::Display for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Person(id) => write!(f, "person-{id}"),
            Self::TechnicalUser(id) => write!(f, "technical-user-{id}"),
        }
    }
}

/// What a handler learns that is needed after it, whatever it answers.
#[derive(Debug, Default)]
struct Learnt {
    caller: OnceLock<Caller>,
    person: OnceLock<SignedInUser>,
    headers: OnceLock<HeaderMap>,
}

impl Default for RequestContext {
    fn default() -> Self {
        Self { number: Arc::default(), address: IpAddr::V4(Ipv4Addr::LOCALHOST), learnt: Arc::default() }
    }
}

impl RequestContext {
    pub fn new(number: Arc<str>, address: IpAddr) -> Self {
        Self { number, address, learnt: Arc::default() }
    }

    /// Remembers who is signed in, for the log and for an error page's header.
    pub fn remember(&self, person: &SignedIn) {
        self.name_caller(Caller::Person(person.user_id));
        let _ = self.learnt.person.set(SignedInUser::from(person));
    }

    /// Says who asks, for the log.
    pub fn name_caller(&self, caller: Caller) {
        let _ = self.learnt.caller.set(caller);
    }

    pub fn signed_in_user(&self) -> Option<SignedInUser> {
        self.learnt.person.get().cloned()
    }

    pub fn caller(&self) -> Option<Caller> {
        self.learnt.caller.get().copied()
    }

    /// The headers that a handler asked for, if it did.
    pub fn announced(&self) -> Option<HeaderMap> {
        self.learnt.headers.get().cloned()
    }

    /// Puts headers on the answer, be it a success or a refusal.
    pub fn announce(&self, headers: HeaderMap) {
        let _ = self.learnt.headers.set(headers);
    }
}

/// The browser, as its user agent names it, cut to what a table can show.
pub fn software(parts: &axum::http::HeaderMap) -> String {
    let text = parts.get(header::USER_AGENT).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
    text.unwrap_or_default().chars().filter(|c| !is_unprintable(*c)).take(200).collect()
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderMap, HeaderValue};

    use super::*;

    #[test]
    fn what_software_calls_itself_is_one_short_line_that_hides_nothing() {
        let named = |bytes: &[u8]| {
            software(&HeaderMap::from_iter([(header::USER_AGENT, HeaderValue::from_bytes(bytes).unwrap())]))
        };
        assert_eq!(named("curl/8.5 \u{202e}\u{2028}\u{2066}é\u{85}\u{200b}\u{3164}\t!".as_bytes()), "curl/8.5 é!");
        assert_eq!(named(b"a\xffb"), "a\u{fffd}b");
        assert_eq!(named("é".repeat(300).as_bytes()).chars().count(), 200);
        assert_eq!(software(&HeaderMap::new()), "");
    }
}
