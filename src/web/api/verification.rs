//! `/api/verification`: tells a gateway whether it may let a call into the operator's own API, and
//! who calls (« forward-auth »).
//!
//! Whatever decides the answer comes from the gateway's operator, never from the client:
//! - The service stands in the path before everything that a client may write. No query and no
//!   header names it: a client that chose it could use a token of one API before another.
//! - A query counts at the exact path only. Below it (`…/verification/{*rest}`), path and query are
//!   the client's own, since Envoy appends them.
//! - A structure that is named but cannot be read, or is named twice, is refused like one outside
//!   the rights.

use std::sync::OnceLock;

use axum::{
    extract::State,
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header, request::Parts},
    response::{IntoResponse, Response},
};
use time::format_description::well_known::Rfc3339;

use super::{authentication::Authentication, error::ApiError, introspection, state::ApiState};
use crate::{
    db::api::{
        authority::Authority,
        verification::{self, Check, Verdict},
    },
    domain::structure_identifier::{StructureIdentifier, in_ascii},
    web::{edge::metrics::Verified, paths},
};

/// The structure that the call is about, as a gateway names it. Also in the answer, for the API.
const FOR_STRUCTURE: HeaderName = HeaderName::from_static("x-raccord-for-structure");
const STATUS: HeaderName = HeaderName::from_static("x-raccord-status");

/// Answers a check whose URL is the gateway's own.
pub async fn answer(State(state): State<ApiState>, parts: Parts) -> Response {
    match Question::parse(parts.uri.query().unwrap_or_default()) {
        Ok(question) => question.answer(&state, &parts).await,
        Err(error) => error.into_response(),
    }
}

/// Answers a check whose URL ends with the client's path and query.
pub async fn answer_below(State(state): State<ApiState>, parts: Parts) -> Response {
    Question::default().answer(&state, &parts).await
}

/// A structure that a gateway named.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Named {
    Readable(StructureIdentifier),
    /// No account has rights over it.
    Unreadable,
}

impl From<&str> for Named {
    fn from(text: &str) -> Self {
        introspection::structure(text).map_or(Self::Unreadable, Self::Readable)
    }
}

/// Which answers a gateway understands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Answers {
    #[default]
    AsTheyAre,
    /// 401 and 403 alone: nginx makes 500 of every other refusal.
    Nginx,
}

/// What the query of a check asks.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Question {
    structure: Option<Named>,
    answers: Answers,
}

impl Question {
    /// Reads the query of a gateway's own URL.
    ///
    /// # Errors
    /// [`ApiError::BadRequest`]: a parameter that is not understood would protect nothing.
    pub fn parse(query: &str) -> Result<Self, ApiError> {
        let mut question = Self::default();
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            match (&*name, &*value) {
                ("structure", _) if question.structure.is_some() => question.structure = Some(Named::Unreadable),
                ("structure", value) => question.structure = Some(value.into()),
                ("reponses", "nginx") => question.answers = Answers::Nginx,
                _ => {
                    let known = "Les paramètres d’une vérification sont structure=TYPE:IDENTIFIANT et reponses=nginx.";
                    return Err(ApiError::BadRequest(known.into()));
                }
            }
        }
        Ok(question)
    }

    async fn answer(mut self, state: &ApiState, parts: &Parts) -> Response {
        self.structure = self.structure.or_else(|| structure_header(&parts.headers));
        state.unknown_clients.warn(&state.app.settings.trusted_proxies, parts);
        let service = OnceLock::new();
        let judged = self.judge(state, parts, &service).await;
        let told = judged.as_ref().map_or_else(Verified::of, |_| Verified::LetIn);
        state.app.metrics.count_verification(service.get().map_or("", String::as_str), told);
        match judged {
            Ok(authority) => (StatusCode::OK, identity(&authority, self.structure.as_ref())).into_response(),
            Err(error) => refusal(&error, self.answers),
        }
    }

    /// `found` gets the name of the service, where there is one.
    async fn judge(&self, state: &ApiState, parts: &Parts, found: &OnceLock<String>) -> Result<Authority, ApiError> {
        let authentication = Authentication::of_gateway(parts, state)?;
        let structure = match &self.structure {
            Some(Named::Readable(structure)) => Some((structure.kind(), structure.value())),
            Some(Named::Unreadable) | None => None,
        };
        let check = Check { service: paths::verified_service(parts.uri.path()), structure };
        let statement = || async {
            let checked = verification::check(state.database(), &authentication.presented, check).await?;
            if let Some(name) = checked.service {
                let _ = found.set(name);
            }
            Ok(checked.judged)
        };
        let authority = match authentication.authenticate_with(statement).await? {
            Verdict::Opens(authority) => authority,
            Verdict::OpensOthers => return Err(ApiError::Unauthorized),
            Verdict::NoSuchService => return Err(ApiError::UnknownService),
        };
        let is_outside = authority.over_structure == Some(false) || self.structure == Some(Named::Unreadable);
        if is_outside { Err(ApiError::Forbidden) } else { Ok(authority) }
    }
}

fn structure_header(headers: &HeaderMap) -> Option<Named> {
    let mut values = headers.get_all(FOR_STRUCTURE).iter();
    let first = values.next()?;
    let text = str::from_utf8(first.as_bytes()).ok().filter(|_| values.next().is_none());
    Some(text.map_or(Named::Unreadable, Named::from))
}

/// All of them always, since some gateways pass on what the client sent in place of a header that
/// is missing here.
fn identity(authority: &Authority, asked: Option<&Named>) -> HeaderMap {
    let ends = authority.password_ends;
    let ends = ends.replace_nanosecond(0).unwrap_or(ends).format(&Rfc3339).unwrap_or_default();
    let structure = &authority.structure;
    let asked = match asked {
        Some(Named::Readable(asked)) => in_ascii(&asked.to_string()),
        Some(Named::Unreadable) | None => String::new(),
    };
    let is_authorized = if authority.over_structure == Some(true) { "true" } else { "" };
    let headers = [
        ("x-raccord-login", authority.login.clone()),
        ("x-raccord-structure", in_ascii(&format!("{}:{}", structure.identifier_type, structure.identifier))),
        ("x-raccord-scope", authority.scope()),
        ("x-raccord-expiration", ends),
        ("x-raccord-for-structure", asked),
        ("x-raccord-structure-authorized", is_authorized.to_owned()),
    ];
    let header = |(name, text): (_, String)| {
        (HeaderName::from_static(name), HeaderValue::from_str(&text).unwrap_or(HeaderValue::from_static("")))
    };
    headers.map(header).into_iter().collect()
}

fn refusal(error: &ApiError, answers: Answers) -> Response {
    let status = error.status();
    let mut response = error.into_response();
    if *error == ApiError::Unauthorized {
        let basic = HeaderValue::from_static(r#"Basic realm="PISTE", charset="UTF-8""#);
        response.headers_mut().append(header::WWW_AUTHENTICATE, basic);
    }
    let is_temporary = matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE);
    if answers == Answers::Nginx && is_temporary {
        response.headers_mut().insert(STATUS, HeaderValue::from(status.as_u16()));
        *response.status_mut() = StatusCode::FORBIDDEN;
    }
    response
}

impl Verified {
    fn of(error: &ApiError) -> Self {
        match error {
            ApiError::Unauthorized => Self::Unauthorized,
            ApiError::Forbidden => Self::Forbidden,
            ApiError::TooManyRequests { .. } => Self::Throttled,
            _ => Self::Failed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::structure_identifier::IdentifierType;

    fn readable(value: &str) -> Option<Named> {
        StructureIdentifier::parse(IdentifierType::Siret, value, false).ok().map(Named::Readable)
    }

    #[test]
    fn a_query_asks_for_one_structure_and_for_nothing_unknown() {
        let of = |query| Question::parse(query).map(|question| (question.structure, question.answers)).ok();
        assert_eq!(of(""), Some((None, Answers::AsTheyAre)));
        let both = "structure=SIRET%3A21570004800014&reponses=nginx";
        assert_eq!(of(both), Some((readable("21570004800014"), Answers::Nginx)));
        for unreadable in ["structure=", "structure=x", "structure=SIRET:1", "structure=A:1&structure=A:1"] {
            assert_eq!(of(unreadable), Some((Some(Named::Unreadable), Answers::AsTheyAre)), "{unreadable}");
        }
        for unknown in ["service=factures", "a", "reponses=", "reponses=caddy", "Structure=SIRET:21570004800014"] {
            assert_eq!(of(unknown), None, "{unknown}");
        }
    }

    #[test]
    fn a_header_names_one_structure() {
        let of = |values: &[&'static str]| {
            let values = values.iter().map(|value| (FOR_STRUCTURE, HeaderValue::from_static(value)));
            let mut headers = HeaderMap::new();
            values.for_each(|(name, value)| _ = headers.append(name, value));
            structure_header(&headers)
        };
        assert_eq!(of(&[]), None);
        assert_eq!(of(&["SIRET:21570004800014"]), readable("21570004800014"));
        for unreadable in [&[""][..], &["SIRET:21570004800014", "SIRET:21570004800014"], &["SIRET"]] {
            assert_eq!(of(unreadable), Some(Named::Unreadable), "{unreadable:?}");
        }
    }

    #[test]
    fn nginx_gets_the_refusals_that_it_understands() {
        let of = |error: ApiError, answers| {
            let response = refusal(&error, answers);
            let told = response.headers().get(STATUS).map(|value| value.to_str().unwrap_or_default().to_owned());
            (response.status().as_u16(), told, response.headers().contains_key("retry-after"))
        };
        let throttled = || ApiError::TooManyRequests { seconds: 2 };
        assert_eq!(of(throttled(), Answers::AsTheyAre), (429, None, true));
        assert_eq!(of(throttled(), Answers::Nginx), (403, Some("429".into()), true));
        assert_eq!(of(ApiError::Unavailable, Answers::Nginx), (403, Some("503".into()), true));
        for (error, status) in [(ApiError::Unauthorized, 401), (ApiError::Forbidden, 403), (ApiError::Internal, 500)] {
            assert_eq!(of(error, Answers::Nginx), (status, None, false));
        }
    }
}
