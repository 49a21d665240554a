//! The request context: number, client address, and what handlers report to the middleware.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr},
    sync::{Arc, OnceLock},
};

use axum::http::{HeaderMap, header};

use crate::{db::identity::sessions::SignedIn, domain::characters::is_unprintable, web::shell::layout::SignedInUser};

/// Set on every request by the outermost middleware.
#[derive(Clone, Debug)]
pub struct RequestContext {
    /// Quoted to support by users; in every log line of the request.
    pub number: Arc<str>,
    /// The client's address, as trusted proxies report it.
    pub address: IpAddr,
    report: Arc<HandlerReport>,
}

/// The authenticated principal. The log shows its database id, which reveals nothing by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Principal {
    Person(i64),
    TechnicalUser(i64),
    Service(i64),
}

impl fmt::Display for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Person(id) => write!(f, "person-{id}"),
            Self::TechnicalUser(id) => write!(f, "technical-user-{id}"),
            Self::Service(id) => write!(f, "service-{id}"),
        }
    }
}

/// Set by extractors and handlers, read by the middleware after them, whatever the response is.
#[derive(Debug, Default)]
struct HandlerReport {
    principal: OnceLock<Principal>,
    signed_in_user: OnceLock<SignedInUser>,
    response_headers: OnceLock<HeaderMap>,
}

impl Default for RequestContext {
    fn default() -> Self {
        Self { number: Arc::default(), address: IpAddr::V4(Ipv4Addr::LOCALHOST), report: Arc::default() }
    }
}

impl RequestContext {
    pub fn new(number: Arc<str>, address: IpAddr) -> Self {
        Self { number, address, report: Arc::default() }
    }

    /// Reports the signed-in person, for the log and for the header of error pages.
    pub fn set_signed_in(&self, person: &SignedIn) {
        self.set_principal(Principal::Person(person.user_id));
        let _ = self.report.signed_in_user.set(SignedInUser::from(person));
    }

    /// Reports the authenticated principal, for the log.
    pub fn set_principal(&self, principal: Principal) {
        let _ = self.report.principal.set(principal);
    }

    pub fn signed_in_user(&self) -> Option<SignedInUser> {
        self.report.signed_in_user.get().cloned()
    }

    pub fn principal(&self) -> Option<Principal> {
        self.report.principal.get().copied()
    }

    pub fn response_headers(&self) -> Option<HeaderMap> {
        self.report.response_headers.get().cloned()
    }

    /// Adds headers to the response, whether it is a success or an error.
    pub fn set_response_headers(&self, headers: HeaderMap) {
        let _ = self.report.response_headers.set(headers);
    }
}

/// The `User-Agent` header without unprintable characters, cut to 200 characters.
pub fn software(headers: &HeaderMap) -> String {
    let text = headers.get(header::USER_AGENT).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
    text.unwrap_or_default().chars().filter(|c| !is_unprintable(*c)).take(200).collect()
}

/// The programs that a `User-Agent` names: `name/version`, two at most. Of a refused call a
/// stranger may have chosen the text, which people read.
#[must_use]
pub fn products(software: &str) -> String {
    let is_product = |word: &&str| {
        word.len() <= 40
            && word.split_once('/').is_some_and(|(name, version)| {
                let of = |text: &str, is_sign: fn(char) -> bool| !text.is_empty() && text.chars().all(is_sign);
                name.starts_with(|c: char| c.is_ascii_alphabetic())
                    && of(name, |c| c.is_ascii_alphanumeric() || "-_.".contains(c))
                    && of(version, |c| c.is_ascii_digit() || c == '.')
            })
    };
    software.split(' ').filter(is_product).take(2).collect::<Vec<_>>().join(" ")
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

    #[test]
    fn of_refused_calls_only_names_of_programs_are_kept() {
        assert_eq!(products("python-requests/2.31.0"), "python-requests/2.31.0");
        assert_eq!(products("Apache-HttpClient/4.5.13 (Java/17.0.2)"), "Apache-HttpClient/4.5.13");
        assert_eq!(products("Raccord : appelez le 01/99.00 ou https://raccord.example/1"), "");
        assert_eq!(products("a/1 b/2 c/3"), "a/1 b/2");
        assert_eq!(products(""), "");
    }
}
