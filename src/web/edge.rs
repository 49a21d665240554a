//! What holds for every request, before and after its handler: its number, where it comes from, and the headers that keep
//! browsers from doing what the portal does not mean.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::{Arc, OnceLock},
    time::{Duration, Instant},
};

use axum::{
    extract::{ConnectInfo, Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use data_encoding::BASE32_NOPAD;
use tokio::time::timeout;
use tracing::Instrument;

use super::{error::AppError, layout::SignedInUser, metrics, paths, state::AppState};
use crate::{db::sessions::SignedIn, domain::random};

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
    /// Remembers who is signed in, for the log and for an error page's header.
    pub(super) fn remember(&self, person: &SignedIn) {
        self.name_caller(Caller::Person(person.user_id));
        let _ = self.learnt.person.set(SignedInUser::from(person));
    }

    /// Says who asks, for the log.
    pub(super) fn name_caller(&self, caller: Caller) {
        let _ = self.learnt.caller.set(caller);
    }

    pub(super) fn signed_in_user(&self) -> Option<SignedInUser> {
        self.learnt.person.get().cloned()
    }

    /// Puts headers on the answer, be it a success or a refusal.
    pub(super) fn announce(&self, headers: HeaderMap) {
        let _ = self.learnt.headers.set(headers);
    }
}

/// Numbers the request, logs it, and puts the security headers on its answer.
pub async fn envelope(State(state): State<AppState>, mut request: Request, next: Next) -> Response {
    let number: Arc<str> = BASE32_NOPAD.encode(&random::bytes::<10>(&mut random::os_rng())).into();
    let address = client_address(&request, &state.settings.trusted_proxies);
    let learnt = Arc::<Learnt>::default();
    request.extensions_mut().insert(RequestContext { number: number.clone(), address, learnt: learnt.clone() });
    let (method, path, start) = (request.method().clone(), request.uri().path().to_owned(), Instant::now());
    let route = metrics::route(&request);
    let span = tracing::info_span!("request", %number);
    let mut response = next.run(request).instrument(span.clone()).await;
    set_headers(response.headers_mut(), &number, state.is_public_https());
    if let Some(headers) = learnt.headers.get() {
        response.headers_mut().extend(headers.clone());
    }
    let (status, duration) = (response.status(), start.elapsed());
    state.metrics.count(method.as_str(), route.as_ref(), status, duration);
    let path = paths::for_log(&path);
    let (milliseconds, who) = (duration.as_millis(), learnt.caller.get().map(tracing::field::display));
    span.in_scope(|| tracing::info!(%method, path, status = status.as_u16(), milliseconds, %address, who, "answered"));
    response
}

/// The first address from the right in X-Forwarded-For that is not a trusted proxy's, if the peer is one.
fn client_address(request: &Request, trusted: &[IpAddr]) -> IpAddr {
    let peer = request
        .extensions()
        .get::<ConnectInfo<SocketAddr>>()
        .map_or(IpAddr::V4(Ipv4Addr::LOCALHOST), |info| info.0.ip());
    if !trusted.contains(&peer.to_canonical()) {
        return peer.to_canonical();
    }
    let forwarded = request.headers().get_all("x-forwarded-for").iter().filter_map(|value| value.to_str().ok());
    let hops: Vec<&str> = forwarded.flat_map(|value| value.split(',')).map(str::trim).collect();
    let client = hops.iter().rev().map_while(|hop| hop.parse::<IpAddr>().ok()).find(|hop| !trusted.contains(hop));
    client.unwrap_or(peer).to_canonical()
}

const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; object-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; \
     connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'";

/// What no browser may do with an answer of ours. A static, so that names and values are made once.
static SECURITY_HEADERS: [(HeaderName, HeaderValue); 7] = [
    (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(CONTENT_SECURITY_POLICY)),
    (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
    (header::REFERRER_POLICY, HeaderValue::from_static("same-origin")),
    (HeaderName::from_static("cross-origin-opener-policy"), HeaderValue::from_static("same-origin")),
    (HeaderName::from_static("cross-origin-resource-policy"), HeaderValue::from_static("same-origin")),
    (
        HeaderName::from_static("permissions-policy"),
        HeaderValue::from_static("camera=(), display-capture=(), geolocation=(), microphone=(), payment=(), usb=()"),
    ),
];

fn set_headers(headers: &mut HeaderMap, number: &str, https: bool) {
    // With those that every answer has besides, so that the map grows once.
    headers.reserve(SECURITY_HEADERS.len() + 8);
    for (name, value) in &SECURITY_HEADERS {
        headers.insert(name, value.clone());
    }
    if https {
        let value = HeaderValue::from_static("max-age=63072000; includeSubDomains");
        headers.insert(header::STRICT_TRANSPORT_SECURITY, value);
    }
    if !headers.contains_key(header::CACHE_CONTROL) {
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
    if let Ok(number) = HeaderValue::from_str(number) {
        headers.insert(HeaderName::from_static("x-request-id"), number);
    }
}

/// How long a request may take in all. Statements end earlier by themselves; this is for a database that says nothing any more.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(25);

/// What answers a request that took too long: pages and API each have their own words.
pub type TooLate = fn() -> Response;

/// Answers 503 where a request takes too long, and lets go of what it waits for.
pub async fn in_time(State(too_late): State<TooLate>, request: Request, next: Next) -> Response {
    timeout(REQUEST_TIMEOUT, next.run(request)).await.unwrap_or_else(|_| too_late())
}

/// The longest path and query that a URL of ours can need.
const MAX_URL_BYTES: usize = 8 * 1024;

/// Refuses URLs that no page of ours has made.
pub async fn short_urls_only(request: Request, next: Next) -> Response {
    let length = request.uri().path_and_query().map_or(0, |path| path.as_str().len());
    if length > MAX_URL_BYTES { StatusCode::URI_TOO_LONG.into_response() } else { next.run(request).await }
}

/// Refuses unsafe methods that another site's page sent: `Sec-Fetch-Site` must say same-origin (or none, a person's own doing);
/// a browser without it must name the portal's own origin. A request with neither is refused.
pub async fn same_origin_only(State(state): State<AppState>, request: Request, next: Next) -> Response {
    if request.method().is_safe() || is_same_origin(request.headers(), &state.settings.public_url) {
        next.run(request).await
    } else {
        AppError::Forbidden.into_response()
    }
}

fn is_same_origin(headers: &HeaderMap, public_url: &str) -> bool {
    match headers.get("sec-fetch-site") {
        Some(site) => site == "same-origin" || site == "none",
        None => headers.get(header::ORIGIN).is_some_and(|origin| origin == public_url),
    }
}

/// Whether a request is a GET, somebody's navigation from one of our own pages, and no prefetch: the only kind of request that may open an
/// envelope. Browsers that send no `Sec-Fetch-*` are known by their referrer.
#[must_use]
pub fn is_own_navigation(method: &Method, headers: &HeaderMap, public_url: &str) -> bool {
    let is = |name: &str, wanted: &str| headers.get(name).is_none_or(|value| value == wanted);
    let is_prefetch =
        ["sec-purpose", "purpose", "x-moz"].iter().filter_map(|name| headers.get(*name)?.to_str().ok()).any(|value| {
            value.to_ascii_lowercase().contains("prefetch") || value.to_ascii_lowercase().contains("prerender")
        });
    let is_own = match headers.get("sec-fetch-site") {
        Some(site) => site == "same-origin",
        None => headers
            .get(header::REFERER)
            .and_then(|referrer| referrer.to_str().ok()?.strip_prefix(public_url))
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/')),
    };
    // A HEAD, routed as a GET, would open the envelope and show nothing.
    method == Method::GET
        && is_own
        && !is_prefetch
        && is("sec-fetch-mode", "navigate")
        && is("sec-fetch-dest", "document")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value))).collect()
    }

    #[test]
    fn only_our_own_pages_may_act() {
        let own = |pairs| is_same_origin(&headers(pairs), "https://raccord.example");
        assert!(own(&[("sec-fetch-site", "same-origin")]) && own(&[("sec-fetch-site", "none")]));
        assert!(own(&[("origin", "https://raccord.example")]));
        assert!(!own(&[]) && !own(&[("origin", "null")]) && !own(&[("origin", "https://raccord.example.evil")]));
        assert!(!own(&[("sec-fetch-site", "same-site"), ("origin", "https://raccord.example")]));
        assert!(!own(&[("sec-fetch-site", "cross-site")]));
    }

    #[test]
    fn only_a_navigation_of_ours_opens_an_envelope() {
        let own = |pairs: &[_]| is_own_navigation(&Method::GET, &headers(pairs), "https://raccord.example");
        let navigation =
            [("sec-fetch-site", "same-origin"), ("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "document")];
        assert!(own(&navigation));
        assert!(own(&[("referer", "https://raccord.example/structures/1")]));
        assert!(!own(&[]) && !own(&[("referer", "https://raccord.example.evil/")]));
        assert!(!own(&[("sec-fetch-site", "none")]) && !own(&[("sec-fetch-site", "cross-site")]));
        assert!(!own(&[("sec-fetch-site", "same-origin"), ("sec-fetch-dest", "image")]));
        for prefetch in [("sec-purpose", "prefetch;prerender"), ("purpose", "prefetch"), ("x-moz", "prefetch")] {
            assert!(!own(&[navigation[0], navigation[1], navigation[2], prefetch]));
        }
    }

    #[test]
    fn only_a_trusted_proxy_is_believed() {
        let request = |peer: &str, forwarded: &str| {
            let mut request =
                Request::builder().header("x-forwarded-for", forwarded).body(axum::body::Body::empty()).unwrap();
            request.extensions_mut().insert(ConnectInfo(SocketAddr::new(peer.parse().unwrap(), 1)));
            request
        };
        let trusted = ["10.0.0.1".parse().unwrap(), "10.0.0.2".parse().unwrap()];
        let of = |peer, forwarded| client_address(&request(peer, forwarded), &trusted).to_string();
        assert_eq!(of("203.0.113.9", "198.51.100.1"), "203.0.113.9");
        assert_eq!(of("10.0.0.1", "1.1.1.1, 198.51.100.1"), "198.51.100.1");
        assert_eq!(of("10.0.0.1", "198.51.100.1, 10.0.0.2"), "198.51.100.1");
        assert_eq!(of("10.0.0.1", "not an address"), "10.0.0.1");
        assert_eq!(of("10.0.0.1", ""), "10.0.0.1");
    }
}
