//! What the calls of OAuth 2.0 share: the form (RFC 6749 appendix B), the client's credential in it
//! or in the header (§2.3.1), and the error response (§5.2), whose texts are ASCII.

use axum::{
    Json,
    extract::Request,
    http::{HeaderMap, HeaderValue, StatusCode, header, request::Parts},
    response::{IntoResponse, Response},
};
use schemars::JsonSchema;
use serde::Serialize;
use zeroize::Zeroizing;

use super::{body, error::ApiError};
use crate::domain::credential::Credential;

/// The parameter that may occur several times (RFC 8707).
pub const RESOURCE: &str = "resource";

/// The most parameters of a form: RFC 6749 has five, and `resource` may be given 20 times.
const MOST_PARAMETERS: usize = 64;

/// The error response (RFC 6749 §5.2).
#[derive(JsonSchema, Serialize)]
pub struct OauthRefusal {
    #[schemars(title = "Le code de l’erreur (RFC 6749, RFC 8707)")]
    error: &'static str,
    #[schemars(title = "Ce qui ne va pas, en français sans accents")]
    error_description: &'static str,
}

/// Declares [`Flaw`] with its descriptions, so that a test can go through all of them.
macro_rules! flaws {
    ($($flaw:ident: $description:literal,)*) => {
        /// What is wrong with a form.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Flaw {
            $($flaw,)*
        }

        impl Flaw {
            #[cfg(test)]
            const ALL: &[Self] = &[$(Self::$flaw,)*];

            fn description(self) -> &'static str {
                match self {
                    $(Self::$flaw => $description,)*
                }
            }
        }
    };
}

flaws! {
    CutOff: "Le corps de la requete n'a pas ete recu en entier.",
    NoForm: "Le corps doit etre de type application/x-www-form-urlencoded.",
    TooManyParameters: "Le corps a trop de parametres.",
    Repeated: "Un parametre est donne plusieurs fois.",
    TwoAuthentications: "L'authentification est donnee de deux facons.",
    TwoClients: "Le client_id du corps n'est pas celui de l'en-tete.",
    NoToken: "Le parametre token est absent.",
    NoGrantType: "Le parametre grant_type est absent.",
    TooManyResources: "Le parametre resource est donne trop de fois.",
    NoAddress: "Le parametre address est une adresse IPv4 ou IPv6.",
    NoStructure: "Le parametre structure est de la forme TYPE:IDENTIFIANT.",
}

/// Why a call of OAuth failed.
#[derive(Debug, PartialEq, Eq)]
pub enum OauthError {
    InvalidRequest(Flaw),
    UnsupportedGrantType,
    InvalidTarget,
    InvalidClient,
    Call(ApiError),
}

impl From<ApiError> for OauthError {
    fn from(error: ApiError) -> Self {
        match error {
            ApiError::Unauthorized => Self::InvalidClient,
            error => Self::Call(error),
        }
    }
}

impl OauthError {
    fn refusal(&self) -> (StatusCode, OauthRefusal) {
        let (status, error, error_description) = match self {
            Self::InvalidRequest(why) => (StatusCode::BAD_REQUEST, "invalid_request", why.description()),
            Self::UnsupportedGrantType => (
                StatusCode::BAD_REQUEST,
                "unsupported_grant_type",
                "Le seul grant_type accepte est client_credentials.",
            ),
            Self::InvalidTarget => {
                (StatusCode::BAD_REQUEST, "invalid_target", "Une valeur de resource n'est l'adresse d'aucun service.")
            }
            Self::InvalidClient | Self::Call(_) => {
                (StatusCode::UNAUTHORIZED, "invalid_client", "Identifiant ou mot de passe incorrect.")
            }
        };
        (status, OauthRefusal { error, error_description })
    }
}

impl IntoResponse for OauthError {
    fn into_response(self) -> Response {
        if let Self::Call(error) = self {
            return error.into_response();
        }
        let (status, refusal) = self.refusal();
        let mut response = (status, NO_STORE, Json(refusal)).into_response();
        if self == Self::InvalidClient {
            let challenge = HeaderValue::from_static(r#"Basic realm="PISTE", charset="UTF-8""#);
            response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
        }
        response
    }
}

/// The headers of answers that hold a token, or say something of one.
pub const NO_STORE: [(header::HeaderName, &str); 2] =
    [(header::CACHE_CONTROL, "no-store"), (header::PRAGMA, "no-cache")];

/// Reads a request's form.
///
/// # Errors
/// Where the body is too large, cut off or not a form.
pub async fn read(request: Request) -> Result<(Parts, Form), OauthError> {
    let (parts, sent) = request.into_parts();
    let body = body::whole(Request::from_parts(parts.clone(), sent)).await.map_err(|error| match error {
        ApiError::BadRequest(_) => OauthError::InvalidRequest(Flaw::CutOff),
        error => OauthError::Call(error),
    })?;
    let form = Form::parse(&parts.headers, &body)?;
    Ok((parts, form))
}

/// A form's parameters. An empty one counts as absent (RFC 6749 §3.2).
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Form(Vec<(String, Zeroizing<String>)>);

impl Form {
    /// # Errors
    /// [`OauthError::InvalidRequest`].
    pub fn parse(headers: &HeaderMap, body: &[u8]) -> Result<Self, OauthError> {
        let kind = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let kind = kind.split(';').next().unwrap_or_default().trim();
        if !kind.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
            return Err(OauthError::InvalidRequest(Flaw::NoForm));
        }
        let mut parameters: Vec<(String, Zeroizing<String>)> = Vec::new();
        // Some clients end the body with a line break; encoded, it would be %0D%0A.
        for (name, value) in form_urlencoded::parse(body.trim_ascii()) {
            // Each is compared with all before it.
            if parameters.len() >= MOST_PARAMETERS {
                return Err(OauthError::InvalidRequest(Flaw::TooManyParameters));
            }
            let value = Zeroizing::new(value.into_owned());
            if name != RESOURCE && parameters.iter().any(|(seen, _)| *seen == name) {
                return Err(OauthError::InvalidRequest(Flaw::Repeated));
            }
            parameters.push((name.into_owned(), value));
        }
        parameters.retain(|(_, value)| !value.is_empty());
        Ok(Self(parameters))
    }

    /// The value of a parameter.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.all(name).next()
    }

    /// The values of a parameter.
    pub fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        self.0.iter().filter(move |(given, _)| given == name).map(|(_, value)| value.as_str())
    }

    /// The client's credential, from the header or from this form, but not from both.
    ///
    /// # Errors
    /// [`OauthError::InvalidClient`] or [`OauthError::InvalidRequest`].
    pub fn client(&self, headers: &HeaderMap) -> Result<Credential, OauthError> {
        let mut authorization = headers.get_all(header::AUTHORIZATION).iter();
        let Some(value) = authorization.next() else {
            let (Some(id), Some(secret)) = (self.get("client_id"), self.get("client_secret")) else {
                return Err(OauthError::InvalidClient);
            };
            return Credential::new(id.to_owned(), secret.to_owned()).ok_or(OauthError::InvalidClient);
        };
        if authorization.next().is_some() || self.get("client_secret").is_some() {
            return Err(OauthError::InvalidRequest(Flaw::TwoAuthentications));
        }
        let (scheme, encoded) = value.as_bytes().split_at_checked("Basic ".len()).unwrap_or_default();
        let credential = Credential::from_basic(encoded)
            .filter(|_| scheme.eq_ignore_ascii_case(b"Basic "))
            .ok_or(OauthError::InvalidClient)?;
        if self.get("client_id").is_some_and(|id| id != credential.login) {
            return Err(OauthError::InvalidRequest(Flaw::TwoClients));
        }
        Ok(credential)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use data_encoding::BASE64;

    fn read(body: &str, basic: Option<&str>) -> Result<(String, String), OauthError> {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, "application/x-www-form-urlencoded; charset=utf-8".parse().unwrap());
        if let Some(basic) = basic {
            let value = format!("basic {}", BASE64.encode(basic.as_bytes()));
            headers.insert(header::AUTHORIZATION, value.parse().unwrap());
        }
        let credential = Form::parse(&headers, body.as_bytes())?.client(&headers)?;
        Ok((credential.login, credential.password.expose().to_owned()))
    }

    #[test]
    fn a_credential_comes_in_the_body_or_by_basic() {
        let expected = Ok(("TECH_1_X@cpro.fr".to_owned(), "a b".to_owned()));
        assert_eq!(read("x=1&client_id=TECH_1_X%40cpro.fr&client_secret=a+b", None), expected);
        assert_eq!(read("x=1", Some("TECH_1_X%40cpro.fr:a+b")), expected);
        assert_eq!(read("client_id=TECH_1_X@cpro.fr", Some("TECH_1_X@cpro.fr:a%20b")), expected);
    }

    #[test]
    fn ambiguous_requests_are_refused_as_such() {
        let refused = |body: &str, basic| matches!(read(body, basic), Err(OauthError::InvalidRequest(_)));
        assert!(refused("client_id=a&client_secret=b", Some("a:b")));
        assert!(refused("client_id=a&client_id=a&client_secret=b", None));
        assert!(refused("x=1&x=2&client_id=a&client_secret=b", None));
        assert!(refused("client_id=other", Some("a:b")));
        assert_eq!(read("client_id=a&client_secret=b\r\n", None), Ok(("a".into(), "b".into())));
        assert_eq!(read("", None), Err(OauthError::InvalidClient));
        assert_eq!(read("client_secret=", Some("nocolon")), Err(OauthError::InvalidClient));
    }

    fn form_headers() -> HeaderMap {
        let kind = HeaderValue::from_static("application/x-www-form-urlencoded");
        HeaderMap::from_iter([(header::CONTENT_TYPE, kind)])
    }

    #[test]
    fn resources_may_be_several_and_empty_values_are_none() {
        let form = Form::parse(&form_headers(), b"resource=a&token=&resource=&resource=b").unwrap();
        assert_eq!(form.all(RESOURCE).collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(form.get("token"), None);
        assert!(Form::parse(&HeaderMap::new(), b"a=b").is_err());
    }

    #[test]
    fn a_form_of_very_many_parameters_is_refused_before_they_are_compared() {
        let body: String = (0..16_000_u32).map(|number| number.to_string() + "&").collect();
        let start = std::time::Instant::now();
        assert!(matches!(Form::parse(&form_headers(), body.as_bytes()), Err(OauthError::InvalidRequest(_))));
        assert!(start.elapsed() < std::time::Duration::from_millis(50));
        let few = "resource=a&".repeat(20) + "grant_type=client_credentials&client_id=b&client_secret=c";
        assert!(Form::parse(&form_headers(), few.as_bytes()).is_ok());
    }

    #[test]
    fn texts_of_errors_have_the_characters_that_rfc_6749_allows() {
        let others = [OauthError::UnsupportedGrantType, OauthError::InvalidTarget, OauthError::InvalidClient];
        for error in Flaw::ALL.iter().map(|flaw| OauthError::InvalidRequest(*flaw)).chain(others) {
            let text = error.refusal().1.error_description;
            assert!(text.bytes().all(|byte| matches!(byte, b' '..=b'~') && !b"\"\\".contains(&byte)), "{text}");
        }
    }
}
