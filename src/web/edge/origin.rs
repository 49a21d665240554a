//! Origin checks: same-origin requests, and navigations from the portal's pages.

use axum::http::{HeaderMap, Method, header};

/// The check of [`super::middleware::same_origin_only`].
pub(super) fn is_same_origin(headers: &HeaderMap, public_url: &str) -> bool {
    match headers.get("sec-fetch-site") {
        Some(site) => (site == "same-origin" || site == "none") && !names_another_address(headers, public_url),
        None => headers.get(header::ORIGIN).is_some_and(|origin| origin == public_url),
    }
}

/// Whether the page that sends a form is at another address than the public URL. It may be the
/// portal's own, at another name, scheme or port: its cookies and links would not hold. `null`
/// names no address.
fn names_another_address(headers: &HeaderMap, public_url: &str) -> bool {
    headers.get(header::ORIGIN).is_some_and(|origin| origin != public_url && origin != "null")
}

/// Whether a request is a GET, a navigation from one of the portal's pages, and not a prefetch: the
/// only kind of request that may open a password's envelope. Browsers without `Sec-Fetch-*` are
/// judged by their `Referer`.
#[must_use]
pub fn is_own_navigation(method: &Method, headers: &HeaderMap, public_url: &str) -> bool {
    let is_own = match headers.get("sec-fetch-site") {
        Some(site) => site == "same-origin",
        None => headers
            .get(header::REFERER)
            .and_then(|referrer| referrer.to_str().ok()?.strip_prefix(public_url))
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/')),
    };
    // HEAD is routed as GET: it would open the envelope and show nothing.
    method == Method::GET && is_own && is_navigation(headers)
}

/// Whether a POST is a form that a person sent from one of the portal's pages: the only kind of
/// request that may open a link by which passwords are handed over. Browsers without `Sec-Fetch-*`
/// are judged by their `Origin`.
#[must_use]
pub fn is_own_submission(headers: &HeaderMap, public_url: &str) -> bool {
    let is_own = match headers.get("sec-fetch-site") {
        Some(site) => site == "same-origin" && !names_another_address(headers, public_url),
        None => headers.get(header::ORIGIN).is_some_and(|origin| origin == public_url),
    };
    is_own && is_navigation(headers)
}

/// Whether the answer will be shown as a page, as far as the browser says. A prefetch is not.
fn is_navigation(headers: &HeaderMap) -> bool {
    let is = |name: &str, wanted: &str| headers.get(name).is_none_or(|value| value == wanted);
    let is_prefetch =
        ["sec-purpose", "purpose", "x-moz"].iter().filter_map(|name| headers.get(*name)?.to_str().ok()).any(|value| {
            value.to_ascii_lowercase().contains("prefetch") || value.to_ascii_lowercase().contains("prerender")
        });
    !is_prefetch && is("sec-fetch-mode", "navigate") && is("sec-fetch-dest", "document")
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderName, HeaderValue};

    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value))).collect()
    }

    #[test]
    fn only_our_own_pages_may_act() {
        let own = |pairs: &[_]| is_same_origin(&headers(pairs), "https://raccord.example");
        assert!(own(&[("sec-fetch-site", "same-origin")]) && own(&[("sec-fetch-site", "none")]));
        assert!(own(&[("origin", "https://raccord.example")]));
        assert!(!own(&[]) && !own(&[("origin", "null")]) && !own(&[("origin", "https://raccord.example.evil")]));
        assert!(!own(&[("sec-fetch-site", "same-site"), ("origin", "https://raccord.example")]));
        assert!(!own(&[("sec-fetch-site", "cross-site")]));
        // The portal at another name, scheme or port: its pages are of one origin there, too.
        for origin in ["https://autre.example", "http://raccord.example", "https://raccord.example:8443"] {
            for site in ["same-origin", "none"] {
                assert!(!own(&[("sec-fetch-site", site), ("origin", origin)]), "{origin}");
            }
        }
        assert!(own(&[("sec-fetch-site", "same-origin"), ("origin", "https://raccord.example")]));
    }

    #[test]
    fn only_a_form_of_ours_opens_a_link() {
        let own = |pairs: &[_]| is_own_submission(&headers(pairs), "https://raccord.example");
        let sent = [("sec-fetch-site", "same-origin"), ("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "document")];
        assert!(own(&sent) && own(&[("origin", "https://raccord.example")]));
        assert!(!own(&[]) && !own(&[("origin", "null")]) && !own(&[("sec-fetch-site", "none")]));
        assert!(!own(&[sent[0], ("sec-fetch-mode", "cors"), ("sec-fetch-dest", "empty")]));
        assert!(!own(&[sent[0], sent[1], sent[2], ("sec-purpose", "prefetch")]));
        assert!(!own(&[sent[0], sent[1], sent[2], ("origin", "https://autre.example")]));
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
}
