//! Requests that were meant for the API and missed it: a doubled slash, another case, a wrong base
//! URL. They are answered as the API answers, not with a page of the portal.

use std::borrow::Cow;

use axum::{
    extract::{MatchedPath, Request},
    http::{HeaderMap, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use percent_encoding::percent_decode_str;

use super::error::ApiError;

/// What a segment of a path begins with that was meant for the API.
const BEGINNINGS: [&str; 5] = ["api", "cpro", "oauth", "openapi", ".well-known"];

/// Answers a request that no page of the portal takes, if it was meant for the API.
pub async fn answer(request: Request, next: Next) -> Response {
    let is_missed = request.extensions().get::<MatchedPath>().is_none()
        && (is_near(request.uri().path()) || is_of_a_program(request.headers()));
    if is_missed { ApiError::UnknownPath.into_response() } else { next.run(request).await }
}

/// Whether a segment of the path names the API, however it is written.
fn is_near(path: &str) -> bool {
    let path: Cow<'_, str> = percent_decode_str(path).decode_utf8_lossy();
    let path = path.to_lowercase();
    path.split(['/', '\\']).map(str::trim).any(|segment| BEGINNINGS.iter().any(|name| segment.starts_with(name)))
}

/// Whether the headers are those of a program: a credential, or JSON. Browsers ask for HTML.
fn is_of_a_program(headers: &HeaderMap) -> bool {
    let has_json =
        |name| headers.get(name).and_then(|value| value.to_str().ok()).is_some_and(|value| value.contains("json"));
    let asks_for_pages =
        headers.get(header::ACCEPT).is_some_and(|value| value.to_str().is_ok_and(|kinds| kinds.contains("html")));
    let shows_a_credential = headers.contains_key(header::AUTHORIZATION) || headers.contains_key("cpro-account");
    shows_a_credential || !asks_for_pages && (has_json(header::CONTENT_TYPE) || has_json(header::ACCEPT))
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderName, HeaderValue};

    use super::*;

    #[test]
    fn a_path_near_the_api_is_known_however_it_is_written() {
        for path in [
            "//cpro/structures/v1/rechercher",
            "/CPRO/structures",
            "/Api",
            "/%41pi/oauth/token",
            "/raccord/api/oauth/token",
            "/\\api",
            "/%2Fapi",
            "/ api",
            "/oauth/token",
            "/openapi.json",
            "/x/.well-known/openid-configuration",
            "/.Well-Known",
            "/cpro-v1/x",
        ] {
            assert!(is_near(path), "{path}");
        }
        for path in ["/", "/structures/1", "/documentation-api/", "/connexion", "/rapide", "/%ff"] {
            assert!(!is_near(path), "{path}");
        }
    }

    #[test]
    fn a_program_is_known_by_its_headers() {
        let is_program = |pairs: &[(&'static str, &'static str)]| {
            let header = |(name, value): &(&'static str, &'static str)| {
                (HeaderName::from_static(name), HeaderValue::from_static(value))
            };
            is_of_a_program(&pairs.iter().map(header).collect())
        };
        assert!(is_program(&[("authorization", "Basic x")]) && is_program(&[("cpro-account", "x")]));
        assert!(is_program(&[("content-type", "application/json"), ("accept", "*/*")]));
        assert!(is_program(&[("accept", "application/json")]));
        assert!(!is_program(&[]) && !is_program(&[("content-type", "application/x-www-form-urlencoded")]));
        assert!(!is_program(&[("accept", "text/html,application/json;q=0.9")]));
    }
}
