//! Middleware for every request: number, client address, access log, security headers, time limit,
//! URL length, origin check.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::Arc,
    time::{Duration, Instant},
};

use axum::{
    extract::{ConnectInfo, MatchedPath, Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use data_encoding::BASE32_NOPAD;
use tokio::time::timeout;
use tracing::Instrument;

use super::{
    context::RequestContext,
    error::{AppError, OtherOrigin},
    metrics,
    origin::is_same_origin,
    probes,
    state::AppState,
    traceparent,
};
use crate::{
    domain::{random, wiped::wiped_after_polls},
    settings::{ForwardedHeader, TrustedProxies},
    web::paths,
};

/// Sets the [`RequestContext`]; logs and counts the response and adds the security headers. One
/// middleware for all of these, since each layer costs every request.
pub async fn log_and_set_headers(State(state): State<AppState>, mut request: Request, next: Next) -> Response {
    let number: Arc<str> = BASE32_NOPAD.encode(&random::bytes::<10>(&mut random::os_rng())).into();
    let settings = &state.settings;
    let address = client_address(&request, &settings.trusted_proxies, settings.forwarded_header);
    let context = RequestContext::new(number.clone(), address);
    request.extensions_mut().insert(context.clone());
    let method = metrics::known_method(request.method().as_str());
    let (path, start) = (request.uri().path().to_owned(), Instant::now());
    let route = metrics::route(&request);
    let span = tracing::info_span!("request", %number, traceparent = traceparent::of(request.headers()));
    let mut response = next.run(request).instrument(span.clone()).await;
    let route = route.as_ref().map(MatchedPath::as_str);
    set_security_headers(response.headers_mut(), &number, state.is_public_https());
    response.headers_mut().insert(header::REFERRER_POLICY, referrer_policy(route));
    if state.stopping.has_begun() {
        // The next request needs a new connection, which leads to another instance.
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    response.headers_mut().extend(context.response_headers().unwrap_or_default());
    let (status, duration) = (response.status(), start.elapsed());
    state.metrics.count(method, route, status, duration);
    let path = paths::for_log(route, &path);
    let (milliseconds, who) = (duration.as_millis(), context.principal().map(tracing::field::display));
    let status = status.as_u16();
    span.in_scope(|| {
        // Balancers ask every second: nothing is learnt from a yes.
        if route.is_some_and(probes::is_probe) && status == 200 {
            tracing::debug!(method, path, status, milliseconds, %address, who, "answered");
        } else {
            tracing::info!(method, path, status, milliseconds, %address, who, "answered");
        }
    });
    response
}

/// The peer's address; where the peer is a trusted proxy, the rightmost address in the header that
/// such proxies write that is not a trusted proxy. The other header is not read: a proxy that does
/// not write it passes on what the client says there.
///
/// Where that hop cannot be parsed, the address is unknown, written `::`. It is not the proxy's,
/// since every visitor behind the proxy would then share its throttles; nor one further left, which
/// the client may have forged. All unknown clients share the throttles of one network, so an
/// unreadable entry gains a client nothing.
fn client_address(request: &Request, trusted: &TrustedProxies, header: ForwardedHeader) -> IpAddr {
    let peer = request
        .extensions()
        .get::<ConnectInfo<SocketAddr>>()
        .map_or(IpAddr::V4(Ipv4Addr::LOCALHOST), |info| info.0.ip())
        .to_canonical();
    if !trusted.contain(peer) {
        return peer;
    }
    let headers = request.headers();
    let hops: Vec<&[u8]> = match header {
        // It has no quoted strings: a quote of the client's hides no hop.
        ForwardedHeader::XForwardedFor => {
            entries(headers, "x-forwarded-for", |value| value.split(|byte| *byte == b',')).collect()
        }
        ForwardedHeader::Forwarded => {
            let elements = entries(headers, header::FORWARDED.as_str(), |value| split_outside_quotes(value, b','));
            elements.map(forwarded_for).collect()
        }
    };
    let client = hops.into_iter().rev().map(hop_address).find(|hop| !trusted.contain(*hop));
    client.unwrap_or(peer)
}

/// The entries of a list that may be in several headers, but for empty ones.
fn entries<'a, I: Iterator<Item = &'a [u8]>>(
    headers: &'a HeaderMap,
    name: &str,
    split: impl Fn(&'a [u8]) -> I,
) -> impl Iterator<Item = &'a [u8]> {
    let values = headers.get_all(name).iter();
    values.flat_map(move |value| split(value.as_bytes())).map(<[u8]>::trim_ascii).filter(|hop| !hop.is_empty())
}

/// Splits at a sign that is not in a quoted string (RFC 9110 §5.6.4), where the client may have
/// put it.
fn split_outside_quotes(text: &[u8], sign: u8) -> impl Iterator<Item = &[u8]> {
    let (mut is_quoted, mut is_escaped) = (false, false);
    text.split(move |&byte| {
        let is_text = std::mem::take(&mut is_escaped);
        is_escaped = is_quoted && !is_text && byte == b'\\';
        is_quoted ^= !is_text && byte == b'"';
        !is_quoted && byte == sign
    })
}

/// The `for` of an element of `Forwarded`, such as `for="[2001:db8::1]:4711";proto=https`; empty
/// where it names none, or two.
fn forwarded_for(element: &[u8]) -> &[u8] {
    let mut values = split_outside_quotes(element, b';').filter_map(|pair| {
        let (name, value) = pair.trim_ascii().split_at_checked(4)?;
        name.eq_ignore_ascii_case(b"for=").then_some(value)
    });
    let (Some(value), None) = (values.next(), values.next()) else { return b"" };
    let value = value.trim_ascii();
    value.strip_prefix(b"\"").and_then(|value| value.strip_suffix(b"\"")).unwrap_or(value)
}

/// `192.0.2.1`, `2001:db8::1` or `[2001:db8::1]`, each of the first and last also with a port, and
/// an IPv6 address also with a zone; `::` for anything else.
fn hop_address(hop: &[u8]) -> IpAddr {
    let text = str::from_utf8(hop).unwrap_or_default();
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    let without_zone = bare.split_once('%').map_or(bare, |(address, _)| address);
    let address = without_zone.parse().or_else(|_| text.parse().map(|with_port: SocketAddr| with_port.ip()));
    address.unwrap_or(IpAddr::V6(Ipv6Addr::UNSPECIFIED)).to_canonical()
}

const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; object-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; \
     connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'";

/// Same on every response. A static, so that names and values are made once.
static SECURITY_HEADERS: [(HeaderName, HeaderValue); 6] = [
    (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(CONTENT_SECURITY_POLICY)),
    (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
    (HeaderName::from_static("cross-origin-opener-policy"), HeaderValue::from_static("same-origin")),
    (HeaderName::from_static("cross-origin-resource-policy"), HeaderValue::from_static("same-origin")),
    (
        HeaderName::from_static("permissions-policy"),
        HeaderValue::from_static("camera=(), display-capture=(), geolocation=(), microphone=(), payment=(), usb=()"),
    ),
];

/// A page that a secret link opens names only the portal's origin to the files that it loads, or
/// the link would stand in the log of a proxy; so does one that no route has, since its path may be
/// another spelling of such a link. Not `no-referrer`, with which forms would send `Origin: null`.
fn referrer_policy(route: Option<&str>) -> HeaderValue {
    let names_no_path = route.is_none_or(paths::is_secret_link);
    HeaderValue::from_static(if names_no_path { "strict-origin" } else { "same-origin" })
}

fn set_security_headers(headers: &mut HeaderMap, number: &str, https: bool) {
    // Includes the headers that are set elsewhere, so that the map grows once.
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
    // Some clients fail where the charset is missing, though JSON has but one (RFC 8259 §8.1).
    if headers.get(header::CONTENT_TYPE).is_some_and(|kind| kind == "application/json") {
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json; charset=utf-8"));
    }
    if let Ok(number) = HeaderValue::from_str(number) {
        headers.insert(HeaderName::from_static("x-request-id"), number);
    }
}

/// The time limit of a request. SQL statements have a shorter one of their own; this one is for a
/// database that no longer responds.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(25);

/// Makes the response to a request that exceeded its time limit; the portal and the API have one
/// each.
pub type TimeoutResponse = fn() -> Response;

/// Answers 503 where a request exceeds its time limit, and cancels it.
pub async fn limit_time(State(timed_out): State<TimeoutResponse>, request: Request, next: Next) -> Response {
    timeout(REQUEST_TIMEOUT, next.run(request)).await.unwrap_or_else(|_| timed_out())
}

/// The longest path and query that any URL of the portal needs.
const MAX_URL_BYTES: usize = 8 * 1024;

/// Answers 414 to URLs longer than `MAX_URL_BYTES`.
pub async fn limit_url_length(request: Request, next: Next) -> Response {
    let length = request.uri().path_and_query().map_or(0, |path| path.as_str().len());
    if length > MAX_URL_BYTES { StatusCode::URI_TOO_LONG.into_response() } else { next.run(request).await }
}

/// CSRF guard: refuses unsafe methods from another origin's page. `Sec-Fetch-Site` must be
/// `same-origin` (or `none`: no page started the request), and an `Origin` that names an address
/// the portal's own; a browser without `Sec-Fetch-Site` must send that `Origin`. A request with
/// neither header is refused.
pub async fn same_origin_only(State(state): State<AppState>, request: Request, next: Next) -> Response {
    if request.method().is_safe() || is_same_origin(request.headers(), &state.settings.public_url) {
        next.run(request).await
    } else {
        let header = |name| request.headers().get(name).map(|value: &HeaderValue| start_for_log(value.as_bytes()));
        let (origin, host) = (header(header::ORIGIN), header(header::HOST));
        let expected = &state.settings.public_url;
        tracing::warn!(origin, host, expected, "a form was refused: it was sent from another address");
        let mut response = AppError::Forbidden.into_response();
        response.extensions_mut().insert(OtherOrigin);
        response
    }
}

/// The beginning of a text that a stranger chose, without what is not printed: a log must not grow
/// by whatever is sent.
fn start_for_log(text: &[u8]) -> String {
    const LONGEST: usize = 100;
    text.iter().take(LONGEST).map(|&byte| if byte.is_ascii_graphic() { char::from(byte) } else { '?' }).collect()
}

/// Leaves no copy of a session's id, a link's token or a password on the stacks of the threads that
/// handled a request.
pub async fn wipe_stack(request: Request, next: Next) -> Response {
    wiped_after_polls(next.run(request)).await
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trusted() -> TrustedProxies {
        ["10.0.0.1", "10.0.0.2"].iter().map(|address| address.parse::<IpAddr>().unwrap()).collect()
    }

    #[test]
    fn the_standard_header_is_read_where_proxies_write_it() {
        let of = |forwarded: &[&'static str], usual: Option<&str>| {
            let mut request = Request::builder().body(axum::body::Body::empty()).unwrap();
            for value in forwarded {
                request.headers_mut().append(header::FORWARDED, HeaderValue::from_static(value));
            }
            if let Some(usual) = usual {
                request.headers_mut().insert("x-forwarded-for", HeaderValue::from_str(usual).unwrap());
            }
            request.extensions_mut().insert(ConnectInfo(SocketAddr::from(([10, 0, 0, 1], 1))));
            let by = |header| client_address(&request, &trusted(), header).to_string();
            (by(ForwardedHeader::Forwarded), by(ForwardedHeader::XForwardedFor))
        };
        let of_forwarded = |forwarded: &[&'static str]| of(forwarded, None).0;
        assert_eq!(of_forwarded(&["for=192.0.2.60;proto=http;by=203.0.113.43"]), "192.0.2.60");
        assert_eq!(of_forwarded(&["proto=https; For=\"[2001:db8:cafe::17]:4711\""]), "2001:db8:cafe::17");
        assert_eq!(of_forwarded(&["for=1.1.1.1, for=192.0.2.43:80", "for=10.0.0.2"]), "192.0.2.43");
        // What the client says in the other header, or within quotes, does not count.
        assert_eq!(of(&["for=192.0.2.60"], Some("1.1.1.1")), ("192.0.2.60".into(), "1.1.1.1".into()));
        assert_eq!(of(&["for=1.1.1.1"], None).1, "10.0.0.1");
        assert_eq!(of_forwarded(&["for=192.0.2.60;host=\"a,for=1.1.1.1;x=\""]), "192.0.2.60");
        assert_eq!(of_forwarded(&["for=192.0.2.60;host=\"a\\\",for=1.1.1.1;x=\""]), "192.0.2.60");
        for unreadable in ["for=unknown", "for=_hidden", "proto=https", "for=\"", "for", "for=1.1.1.2;for=1.1.1.3"] {
            assert_eq!(of_forwarded(&["for=1.1.1.1", unreadable]), "::", "{unreadable}");
        }
    }

    #[test]
    fn what_a_stranger_sends_makes_no_long_line_of_the_log() {
        assert_eq!(start_for_log("https://é\n".as_bytes()), "https://???");
        assert_eq!(start_for_log(&vec![0xff; 30_000]).len(), 100);
    }

    #[test]
    fn only_a_trusted_proxy_is_believed() {
        let request = |peer: &str, forwarded: &str| {
            let mut request =
                Request::builder().header("x-forwarded-for", forwarded).body(axum::body::Body::empty()).unwrap();
            request.extensions_mut().insert(ConnectInfo(SocketAddr::new(peer.parse().unwrap(), 1)));
            request
        };
        let trusted = trusted();
        let of = |peer, forwarded| {
            client_address(&request(peer, forwarded), &trusted, ForwardedHeader::default()).to_string()
        };
        assert_eq!(of("203.0.113.9", "198.51.100.1"), "203.0.113.9");
        assert_eq!(of("10.0.0.1", "1.1.1.1, 198.51.100.1"), "198.51.100.1");
        assert_eq!(of("10.0.0.1", "198.51.100.1, 10.0.0.2"), "198.51.100.1");
        assert_eq!(of("10.0.0.1", ""), "10.0.0.1");
        assert_eq!(of("10.0.0.1", "10.0.0.2"), "10.0.0.1");
    }

    #[test]
    fn a_hop_may_have_a_port_and_one_that_cannot_be_read_is_no_known_address() {
        let of = |forwarded: &[u8]| {
            let mut request = Request::builder()
                .header("x-forwarded-for", HeaderValue::from_bytes(forwarded).unwrap())
                .body(axum::body::Body::empty())
                .unwrap();
            request.extensions_mut().insert(ConnectInfo(SocketAddr::from(([10, 0, 0, 1], 1))));
            client_address(&request, &trusted(), ForwardedHeader::default()).to_string()
        };
        assert_eq!(of(b"203.0.113.50:4711"), "203.0.113.50");
        assert_eq!(of(b"[2001:db8::1]:443"), "2001:db8::1");
        assert_eq!(of(b"[2001:db8::1]"), "2001:db8::1");
        assert_eq!(of(b"fe80::1%eth0"), "fe80::1");
        assert_eq!(of(b"::ffff:203.0.113.50"), "203.0.113.50");
        assert_eq!(of(b"203.0.113.50:4711, 10.0.0.2:80"), "203.0.113.50");
        assert_eq!(of(b"203.0.113.50, ::ffff:10.0.0.2"), "203.0.113.50");
        // What stands left of the first untrusted hop does not matter.
        assert_eq!(of(b"\xe9, 203.0.113.50"), "203.0.113.50");
        assert_eq!(of(b"unknown,203.0.113.50,"), "203.0.113.50");
        // Nor does a quote, which has no meaning in this header.
        assert_eq!(of(b"\", 203.0.113.50"), "203.0.113.50");
        assert_eq!(of(b"\"1.1.1.1, 203.0.113.50, 10.0.0.2"), "203.0.113.50");
        // Where the hop itself cannot be read, nothing left of it counts, nor does the proxy.
        for unreadable in
            [&b"not an address"[..], b"198.51.100.1, \xe9", b"198.51.100.1, unknown, 10.0.0.2", b"1.2.3.4:x"]
        {
            assert_eq!(of(unreadable), "::", "{unreadable:?}");
        }
    }
}
