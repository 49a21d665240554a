//! `/api/oauth/token`: issues a token for a login and a password (RFC 6749 §4.4).

use axum::{
    Json,
    extract::{Request, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use schemars::JsonSchema;
use serde::Serialize;

use super::{authentication::Authentication, body, error::ApiError};
use crate::{
    db::api::tokens,
    domain::{credential::Credential, random},
    web::api::state::ApiState,
};

/// The successful response (RFC 6749 §5.1).
#[derive(JsonSchema, Serialize)]
pub struct TokenAnswer {
    access_token: String,
    token_type: &'static str,
    expires_in: u64,
    scope: &'static str,
}

/// The error response (RFC 6749 §5.2).
#[derive(JsonSchema, Serialize)]
pub struct TokenRefusal {
    error: &'static str,
    error_description: &'static str,
}

/// Why no token was issued.
#[derive(Debug, PartialEq, Eq)]
pub enum TokenError {
    InvalidRequest(&'static str),
    UnsupportedGrantType,
    /// `basic`: the client used `Authorization: Basic`; the response then has that challenge.
    InvalidClient {
        basic: bool,
    },
    Call(ApiError),
}

impl TokenError {
    fn refusal(&self) -> (StatusCode, TokenRefusal) {
        let (status, error, error_description) = match self {
            Self::InvalidRequest(why) => (StatusCode::BAD_REQUEST, "invalid_request", *why),
            Self::UnsupportedGrantType => (
                StatusCode::BAD_REQUEST,
                "unsupported_grant_type",
                "Le seul grant_type accepté est client_credentials.",
            ),
            Self::InvalidClient { .. } | Self::Call(_) => {
                (StatusCode::UNAUTHORIZED, "invalid_client", "Identifiant ou mot de passe incorrect.")
            }
        };
        (status, TokenRefusal { error, error_description })
    }
}

impl IntoResponse for TokenError {
    fn into_response(self) -> Response {
        if let Self::Call(error) = self {
            return error.into_response();
        }
        let (status, refusal) = self.refusal();
        let mut response = (status, NO_STORE, Json(refusal)).into_response();
        if self == (Self::InvalidClient { basic: true }) {
            let challenge = HeaderValue::from_static(r#"Basic realm="PISTE", charset="UTF-8""#);
            response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
        }
        response
    }
}

const NO_STORE: [(header::HeaderName, &str); 2] = [(header::CACHE_CONTROL, "no-store"), (header::PRAGMA, "no-cache")];

/// Issues an opaque token; the database stores its hash.
///
/// # Errors
/// [`TokenError`].
pub async fn issue(State(state): State<ApiState>, request: Request) -> Result<Response, TokenError> {
    let (parts, sent) = request.into_parts();
    let headers = parts.headers.clone();
    let body = body::whole(Request::from_parts(parts.clone(), sent)).await.map_err(|error| match error {
        ApiError::BadRequest(_) => TokenError::InvalidRequest(body::INCOMPLETE),
        error => TokenError::Call(error),
    })?;
    let credential = presented(&headers, &body)?;
    let refused = |error| match error {
        ApiError::Unauthorized => TokenError::InvalidClient { basic: headers.contains_key(header::AUTHORIZATION) },
        error => TokenError::Call(error),
    };
    let authentication = Authentication::of_credential(&parts, &state, credential).map_err(refused)?;
    let token = random::token(&mut random::os_rng());
    let token_hash = random::digest(&token);
    let statement = || async {
        Ok(tokens::issue(state.database(), &authentication.presented, &token_hash)
            .await?
            .map(|caller| (caller, caller.technical_user_id)))
    };
    let technical_user_id = authentication.authenticate_with(statement).await.map_err(refused)?;
    state.accounts.remember_token(&token_hash, technical_user_id);
    let answer = TokenAnswer {
        access_token: token,
        token_type: "Bearer",
        expires_in: tokens::LIFETIME.as_secs(),
        scope: "openid",
    };
    Ok((NO_STORE, Json(answer)).into_response())
}

/// The form's parameters. An empty one counts as absent (§3.2).
#[derive(Debug, Default, PartialEq, Eq)]
struct Form {
    client_id: Option<String>,
    client_secret: Option<String>,
}

impl Form {
    fn read(headers: &HeaderMap, body: &[u8]) -> Result<Self, TokenError> {
        let kind = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let kind = kind.split(';').next().unwrap_or_default().trim();
        if !kind.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
            return Err(TokenError::InvalidRequest("Le corps doit être de type application/x-www-form-urlencoded."));
        }
        let (mut form, mut grant_type, mut seen) = (Self::default(), None, Vec::new());
        for (name, value) in form_urlencoded::parse(body) {
            if seen.contains(&name) {
                return Err(TokenError::InvalidRequest("Un paramètre est donné plusieurs fois."));
            }
            let value = (!value.is_empty()).then(|| value.into_owned());
            match &*name {
                "grant_type" => grant_type = value,
                "client_id" => form.client_id = value,
                "client_secret" => form.client_secret = value,
                _ => {}
            }
            seen.push(name);
        }
        match grant_type.as_deref() {
            None => Err(TokenError::InvalidRequest("Le paramètre grant_type est absent.")),
            Some("client_credentials") => Ok(form),
            Some(_) => Err(TokenError::UnsupportedGrantType),
        }
    }
}

/// The credential in a request, in its body or as HTTP Basic.
pub(crate) fn presented(headers: &HeaderMap, body: &[u8]) -> Result<Credential, TokenError> {
    credential(headers, &Form::read(headers, body)?)
}

/// Reads the credential from the header or the body, but not from both.
fn credential(headers: &HeaderMap, form: &Form) -> Result<Credential, TokenError> {
    let mut authorization = headers.get_all(header::AUTHORIZATION).iter();
    let Some(value) = authorization.next() else {
        let (Some(login), Some(password)) = (&form.client_id, &form.client_secret) else {
            return Err(TokenError::InvalidClient { basic: false });
        };
        return Credential::new(login.clone(), password.clone()).ok_or(TokenError::InvalidClient { basic: false });
    };
    if authorization.next().is_some() || form.client_secret.is_some() {
        return Err(TokenError::InvalidRequest("L’authentification est donnée de deux façons."));
    }
    let (scheme, encoded) = value.as_bytes().split_at_checked("Basic ".len()).unwrap_or_default();
    let credential = Credential::from_basic(encoded)
        .filter(|_| scheme.eq_ignore_ascii_case(b"Basic "))
        .ok_or(TokenError::InvalidClient { basic: true })?;
    if form.client_id.as_ref().is_some_and(|login| *login != credential.login) {
        return Err(TokenError::InvalidRequest("Le client_id du corps n’est pas celui de l’en-tête."));
    }
    Ok(credential)
}

#[cfg(test)]
mod tests {
    use super::*;
    use data_encoding::BASE64;

    fn read(body: &str, basic: Option<&str>) -> Result<(String, String), TokenError> {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, "application/x-www-form-urlencoded; charset=utf-8".parse().unwrap());
        if let Some(basic) = basic {
            let value = format!("basic {}", BASE64.encode(basic.as_bytes()));
            headers.insert(header::AUTHORIZATION, value.parse().unwrap());
        }
        presented(&headers, body.as_bytes()).map(|read| (read.login, read.password.expose().to_owned()))
    }

    #[test]
    fn a_credential_comes_in_the_body_or_by_basic() {
        let expected = Ok(("TECH_1_X@cpro.fr".to_owned(), "a b".to_owned()));
        let grant = "grant_type=client_credentials&scope=openid";
        assert_eq!(read(&format!("{grant}&client_id=TECH_1_X%40cpro.fr&client_secret=a+b"), None), expected);
        assert_eq!(read(grant, Some("TECH_1_X%40cpro.fr:a+b")), expected);
        assert_eq!(read(&format!("{grant}&client_id=TECH_1_X@cpro.fr"), Some("TECH_1_X@cpro.fr:a%20b")), expected);
    }

    #[test]
    fn ambiguous_requests_are_refused_as_such() {
        let refused = |body: &str, basic| matches!(read(body, basic), Err(TokenError::InvalidRequest(_)));
        let grant = "grant_type=client_credentials";
        assert!(refused(&format!("{grant}&client_id=a&client_secret=b"), Some("a:b")));
        assert!(refused(&format!("{grant}&client_id=a&client_id=a&client_secret=b"), None));
        assert!(refused(&format!("{grant}&x=1&x=2&client_id=a&client_secret=b"), None));
        assert!(refused(&format!("{grant}&client_id=other"), Some("a:b")));
        assert!(refused("client_id=a&client_secret=b", None) && refused("grant_type=&client_id=a", None));
        assert_eq!(read("grant_type=password", None), Err(TokenError::UnsupportedGrantType));
        assert_eq!(read(grant, None), Err(TokenError::InvalidClient { basic: false }));
        assert_eq!(read(grant, Some("nocolon")), Err(TokenError::InvalidClient { basic: true }));
    }
}
