//! Authentication of calls: credentials are read from the headers; the statement that serves the
//! call also judges them.

use axum::{
    extract::{FromRequest, FromRequestParts, Request},
    http::{HeaderMap, HeaderName, HeaderValue, header, request::Parts},
    response::Response,
};
use jiff::{Timestamp, fmt::rfc2822};
use serde::{Serialize, de::DeserializeOwned};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use super::{accounts::Account, body, credentials, error::ApiError, state::ApiState};
use crate::{
    db::api::{self, Caller, PresentedCredentials, call_log::RefusedToken},
    domain::{credential::Credential, network::site_of, random, restrictions::CallerAddress},
    web::edge::context::{Principal, RequestContext, products, software},
};

/// A call with the credentials that it presents: a Bearer, a `cpro-account`, or both. They are
/// judged by [`Authentication::authenticate_with`].
pub struct Authentication {
    state: ApiState,
    context: RequestContext,
    software: String,
    pub presented: PresentedCredentials,
    /// The login and password of `presented`.
    credential: Option<Credential>,
}

impl Authentication {
    /// For a credential that did not come in the headers of a call.
    ///
    /// # Errors
    /// [`ApiError::Internal`] where the key file cannot be read.
    pub fn of_credential(parts: &Parts, state: &ApiState, credential: Credential) -> Result<Self, ApiError> {
        let mut authentication = Self::without_credentials(parts, state);
        authentication.present(credential)?;
        Ok(authentication)
    }

    /// For a call that a gateway asks about: it may also show login and password by
    /// `Authorization: Basic`.
    ///
    /// # Errors
    /// [`ApiError::Unauthorized`] where there is no credential, or one that cannot be read;
    /// [`ApiError::Internal`] where the key file cannot be read.
    pub fn of_gateway(parts: &Parts, state: &ApiState) -> Result<Self, ApiError> {
        let basic = single(&parts.headers, &header::AUTHORIZATION)?.and_then(basic_of);
        let Some(encoded) = basic else { return Self::of_headers(parts, state) };
        // Two passwords, of which only one would be judged.
        if parts.headers.contains_key(CPRO_ACCOUNT) {
            return Err(ApiError::Unauthorized);
        }
        let credential = Credential::from_basic(encoded).ok_or(ApiError::Unauthorized)?;
        Self::of_credential(parts, state, credential)
    }

    /// Reads a Bearer, a `cpro-account`, or both.
    fn of_headers(parts: &Parts, state: &ApiState) -> Result<Self, ApiError> {
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
            authentication.present(credential.ok_or(ApiError::Unauthorized)?)?;
        }
        Ok(authentication)
    }

    fn without_credentials(parts: &Parts, state: &ApiState) -> Self {
        let context = parts.extensions.get::<RequestContext>().cloned().unwrap_or_default();
        let software = software(&parts.headers);
        let from = CallerAddress::from(context.address);
        let presented = PresentedCredentials { token_hash: None, verifiers: None, from };
        Self { state: state.clone(), context, software, presented, credential: None }
    }

    fn present(&mut self, credential: Credential) -> Result<(), ApiError> {
        self.presented.verifiers = Some(self.state.verifiers(&credential)?);
        self.credential = Some(credential);
        Ok(())
    }

    /// Runs the statement that authenticates and serves the call; it returns no row where the
    /// credentials are not valid. Adds the expiry headers to the response where the password
    /// expires soon.
    ///
    /// Credentials that this instance has judged before are judged again by the statement itself,
    /// so that an accepted call is one round trip, in the account's share. So is the first call
    /// with others, in the share of strangers of its network: accounts do not wait for wrong
    /// credentials. Nothing is throttled before: a right password is not refused for wrong ones.
    ///
    /// # Errors
    /// [`ApiError::Unauthorized`], or a temporary failure.
    pub async fn authenticate_with<T, F>(&self, statement: impl Fn() -> F) -> Result<T, ApiError>
    where
        F: Future<Output = sqlx::Result<Option<(Caller, T)>>>,
    {
        let accounts = &self.state.accounts;
        if let Some(technical_user_id) = accounts.find(&self.presented) {
            let _share = accounts.statement(technical_user_id).await?;
            if let Some((caller, found)) = statement().await? {
                return Ok(self.authenticated(&caller, found));
            }
            accounts.forget(&self.presented);
        }
        let _share = accounts.stranger(self.context.address).await?;
        let mut served = statement().await?;
        if served.is_none() {
            self.make_ready().await?;
            served = statement().await?;
        }
        let (caller, found) = served.ok_or(ApiError::Unauthorized)?;
        accounts.remember(&self.presented, caller.technical_user_id);
        Ok(self.authenticated(&caller, found))
    }

    /// Gives a right password its verifier, where it has none yet, and locks its account on this
    /// address, where no call did so yet. Counts a wrong password.
    ///
    /// # Errors
    /// [`ApiError::Unauthorized`] where the credentials are not valid, or a temporary failure.
    async fn make_ready(&self) -> Result<(), ApiError> {
        let (Some(credential), Some(presented)) = (&self.credential, &self.presented.verifiers) else {
            self.record_refused_token();
            return Err(ApiError::Unauthorized);
        };
        let wrote = credentials::write_missing_verifier(&self.state, credential, presented, &self.context).await?;
        if credentials::lock_network(&self.state, credential, &self.presented).await? || wrote {
            return Ok(());
        }
        if self.only_the_token_is_invalid().await? {
            return Err(ApiError::Unauthorized);
        }
        Err(credentials::refuse(&self.state, credential, &self.context, &products(&self.software)).await?)
    }

    /// A JSON answer, bounded in how much of it the account may leave unread.
    ///
    /// # Errors
    /// [`ApiError::TooManyRequests`].
    pub fn answer(&self, answer: &impl Serialize) -> Result<Response, ApiError> {
        let accounts = &self.state.accounts;
        let stranger = || Account::Stranger(site_of(self.context.address));
        accounts.answer(|| accounts.find(&self.presented).map_or_else(stranger, Account::Known), answer)
    }

    fn record_refused_token(&self) {
        if let Some(hash) = self.presented.token_hash.clone() {
            let token = RefusedToken { hash, address: self.context.address };
            self.state.call_log.record_refused_token(token, &products(&self.software));
        }
    }

    /// Clients send the right password beside a token that has expired: that is no failure of the
    /// password.
    async fn only_the_token_is_invalid(&self) -> sqlx::Result<bool> {
        if self.presented.token_hash.is_none() {
            return Ok(false);
        }
        let password_alone = PresentedCredentials { token_hash: None, ..self.presented.clone() };
        Ok(api::caller(self.state.database(), &password_alone).await?.is_some())
    }

    /// Like [`Authentication::authenticate_with`], for a call that reads nothing else.
    ///
    /// # Errors
    /// As there.
    pub async fn authenticate(&self) -> Result<(), ApiError> {
        let statement =
            || async { Ok(api::caller(self.state.database(), &self.presented).await?.map(|caller| (caller, ()))) };
        self.authenticate_with(statement).await
    }

    /// Reports and records the caller.
    fn authenticated<T>(&self, caller: &Caller, found: T) -> T {
        if let Some(sunset) = caller.sunset {
            self.context.set_response_headers(expiry_headers(sunset).collect());
        }
        self.context.set_principal(Principal::TechnicalUser(caller.technical_user_id));
        self.state.call_log.record_call(caller, &self.presented, self.context.address, &self.software);
        found
    }
}

impl FromRequestParts<ApiState> for Authentication {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &ApiState) -> Result<Self, ApiError> {
        Self::of_headers(parts, state)
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
    let token = after(value, b"Bearer ")?;
    (!token.is_empty()).then_some(token)
}

fn basic_of(value: &HeaderValue) -> Option<&[u8]> {
    after(value, b"Basic ")
}

/// What follows a scheme, in whatever case.
fn after<'a>(value: &'a HeaderValue, named: &[u8]) -> Option<&'a [u8]> {
    let (scheme, rest) = value.as_bytes().split_at_checked(named.len())?;
    scheme.eq_ignore_ascii_case(named).then(|| rest.trim_ascii())
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
    fn a_bearer_is_recognised_among_other_schemes() {
        let of = |text: &'static str| bearer_of(&HeaderValue::from_static(text)).map(<[u8]>::to_vec);
        assert_eq!(of("Bearer abc"), Some(b"abc".to_vec()));
        assert_eq!(of("bearer  abc "), Some(b"abc".to_vec()));
        assert_eq!((of("Bearer "), of("Bearer"), of("Basic abc"), of("")), (None, None, None, None));
    }

    #[test]
    fn expiry_stands_in_two_headers() {
        let sunset = OffsetDateTime::from_unix_timestamp(1_800_000_000).unwrap();
        let values: Vec<_> = expiry_headers(sunset).map(|(_, value)| value).collect();
        assert_eq!(values, ["Fri, 15 Jan 2027 08:00:00 GMT", "2027-01-15T08:00:00Z"]);
    }
}
