//! Authentication of calls: credentials are read from the headers; the statement that serves the
//! call also judges them.

use axum::{
    extract::{FromRequest, FromRequestParts, Request},
    http::{HeaderMap, HeaderName, HeaderValue, header, request::Parts},
};
use jiff::{Timestamp, fmt::rfc2822};
use serde::de::DeserializeOwned;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use super::{body, credentials, error::ApiError, state::ApiState};
use crate::{
    db::api::{Caller, PresentedCredentials, accounts},
    domain::{credential::Credential, random},
    web::edge::context::{Principal, RequestContext, software},
};

/// A call with the credentials that it presents: a Bearer, a `cpro-account`, or both. They are
/// judged by [`Authentication::authenticate_with`].
pub struct Authentication {
    state: ApiState,
    context: RequestContext,
    software: String,
    pub presented: PresentedCredentials,
    /// The password, where its verification was taken from memory.
    recalled: Option<Credential>,
}

impl Authentication {
    /// For a credential that did not come in the headers of a call.
    ///
    /// # Errors
    /// [`ApiError::Unauthorized`], or a temporary failure.
    pub async fn of_credential(parts: &Parts, state: &ApiState, credential: Credential) -> Result<Self, ApiError> {
        let mut authentication = Self::without_credentials(parts, state);
        authentication.present(credential).await?;
        Ok(authentication)
    }

    fn without_credentials(parts: &Parts, state: &ApiState) -> Self {
        let context = parts.extensions.get::<RequestContext>().cloned().unwrap_or_default();
        let software = software(&parts.headers);
        Self { state: state.clone(), context, software, presented: PresentedCredentials::default(), recalled: None }
    }

    async fn present(&mut self, credential: Credential) -> Result<(), ApiError> {
        if let Some(account) = self.state.credentials.recall(&credential) {
            self.presented.account = Some(account);
            self.recalled = Some(credential);
        } else {
            self.presented.account = Some(credentials::verify(&self.state, &credential, self.context.address).await?);
        }
        Ok(())
    }

    /// Runs the statement that authenticates and serves the call; it returns no row where the
    /// credentials are not valid. Adds the expiry headers to the response where the password
    /// expires soon.
    ///
    /// # Errors
    /// [`ApiError::Unauthorized`], or a temporary failure.
    pub async fn authenticate_with<T>(
        &self,
        statement: impl Future<Output = sqlx::Result<Option<(Caller, T)>>>,
    ) -> Result<T, ApiError> {
        match statement.await? {
            Some((caller, found)) => {
                if let Some(sunset) = caller.sunset {
                    self.context.set_response_headers(expiry_headers(sunset).collect());
                }
                self.context.set_principal(Principal::TechnicalUser(caller.technical_user_id));
                self.state.call_log.record_call(&caller, self.context.address, &self.software);
                self.state.call_log.record_expiring(&caller, &self.presented);
                Ok(found)
            }
            None => Err(self.refuse().await),
        }
    }

    /// Like [`Authentication::authenticate_with`], for a call that reads nothing else.
    ///
    /// # Errors
    /// As there.
    pub async fn authenticate(&self) -> Result<(), ApiError> {
        self.authenticate_with(async {
            Ok(accounts::caller(&self.state.app.pool, &self.presented).await?.map(|caller| (caller, ())))
        })
        .await
    }

    /// A password that memory held valid and the database did not is verified like any other, so
    /// that the refusal takes as long and counts as a failure.
    async fn refuse(&self) -> ApiError {
        if let Some(account) = &self.presented.account {
            self.context.set_principal(Principal::TechnicalUser(account.technical_user_id));
        }
        match &self.recalled {
            Some(credential) => {
                let verdict = credentials::verify(&self.state, credential, self.context.address).await;
                verdict.err().unwrap_or(ApiError::Unauthorized)
            }
            None => ApiError::Unauthorized,
        }
    }
}

impl FromRequestParts<ApiState> for Authentication {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &ApiState) -> Result<Self, ApiError> {
        let bearer = single(&parts.headers, &header::AUTHORIZATION)?.map(bearer_of);
        let account =
            single(&parts.headers, &CPRO_ACCOUNT)?.map(|value| Credential::from_cpro_account(value.as_bytes()));
        if bearer.is_none() && account.is_none() {
            return Err(ApiError::Unauthorized);
        }
        let mut authentication = Self::without_credentials(parts, state);
        if let Some(token) = bearer {
            authentication.presented.token_hash = Some(random::digest(token.ok_or(ApiError::Unauthorized)?));
        }
        if let Some(credential) = account {
            authentication.present(credential.ok_or(ApiError::Unauthorized)?).await?;
        }
        Ok(authentication)
    }
}

const CPRO_ACCOUNT: HeaderName = HeaderName::from_static("cpro-account");

/// A header with credentials may occur only once.
fn single<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<Option<&'a HeaderValue>, ApiError> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (value, None) => Ok(value),
        _ => Err(ApiError::Unauthorized),
    }
}

pub(crate) fn bearer_of(value: &HeaderValue) -> Option<&[u8]> {
    let (scheme, token) = value.as_bytes().split_at_checked("Bearer ".len())?;
    let token = token.trim_ascii();
    (scheme.eq_ignore_ascii_case(b"Bearer ") && !token.is_empty()).then_some(token)
}

/// A call with a JSON body. A malformed body is reported only to authenticated callers.
pub struct Call<T> {
    pub authentication: Authentication,
    pub request: T,
}

impl<T: DeserializeOwned + Default + Send> FromRequest<ApiState> for Call<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &ApiState) -> Result<Self, ApiError> {
        let (mut parts, body) = request.into_parts();
        let authentication = Authentication::from_request_parts(&mut parts, state).await?;
        match body::read(Request::from_parts(parts, body)).await {
            Ok(request) => Ok(Self { authentication, request }),
            Err(error) => {
                authentication.authenticate().await?;
                Err(error)
            }
        }
    }
}

/// `Sunset` (RFC 8594), and the same date in RFC 3339.
fn expiry_headers(sunset: OffsetDateTime) -> impl Iterator<Item = (HeaderName, HeaderValue)> {
    let date = Timestamp::from_second(sunset.unix_timestamp()).ok();
    let http = date.and_then(|date| rfc2822::DateTimePrinter::new().timestamp_to_rfc9110_string(&date).ok());
    let whole_seconds = sunset.replace_nanosecond(0).unwrap_or(sunset);
    let readable = whole_seconds.format(&Rfc3339).ok();
    [(HeaderName::from_static("sunset"), http), (HeaderName::from_static("x-raccord-expiration"), readable)]
        .into_iter()
        .filter_map(|(name, text)| Some((name, HeaderValue::from_str(&text?).ok()?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bearer_is_told_from_anything_else() {
        let of = |text: &'static str| bearer_of(&HeaderValue::from_static(text)).map(<[u8]>::to_vec);
        assert_eq!(of("Bearer abc"), Some(b"abc".to_vec()));
        assert_eq!(of("bearer  abc "), Some(b"abc".to_vec()));
        assert_eq!((of("Bearer "), of("Bearer"), of("Basic abc"), of("")), (None, None, None, None));
    }

    #[test]
    fn expiry_is_told_twice() {
        let sunset = OffsetDateTime::from_unix_timestamp(1_800_000_000).unwrap();
        let values: Vec<_> = expiry_headers(sunset).map(|(_, value)| value).collect();
        assert_eq!(values, ["Fri, 15 Jan 2027 08:00:00 GMT", "2027-01-15T08:00:00Z"]);
    }
}
