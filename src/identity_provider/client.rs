//! The three requests of a relying party: to authenticate, to redeem the code, to end the session.

use std::{borrow::Cow, sync::Arc, time::SystemTime};

use openidconnect::{
    AccessToken, AsyncHttpClient, AuthenticationContextClass, AuthorizationCode, ClaimsVerificationError, ClientId,
    CsrfToken, IssuerUrl, Nonce, OAuth2TokenResponse, PkceCodeChallenge, PkceCodeVerifier, RedirectUrl,
    RequestTokenError, Scope, SignatureVerificationError, TokenResponse,
    core::{
        CoreAuthPrompt, CoreAuthenticationFlow, CoreErrorResponseType, CoreIdToken, CoreIdTokenClaims,
        CoreIdTokenVerifier, CoreTokenResponse,
    },
    http::Request,
    url::Url,
};
use serde_json::{Map, Value, json};
use time::{Duration, OffsetDateTime};
use zeroize::Zeroizing;

use super::{
    credential::Credential,
    discovery::Metadata,
    error::{ProviderError, with_causes},
    provider::IdentityProvider,
    user_info::{self, ALGORITHMS, Unusable, VouchedAddress},
};

/// How far the provider's clock may be from the database's.
const LEEWAY: Duration = Duration::minutes(2);

/// How long a call waits for others.
const LONGEST_WAIT: std::time::Duration = std::time::Duration::from_secs(2);

/// How old an ID token may be when its code has just been redeemed, beside [`LEEWAY`].
const OLDEST_TOKEN: Duration = Duration::minutes(5);

/// OpenID Connect Core §2.
const LONGEST_SUBJECT: usize = 255;
/// RFC 5321 §4.5.3.1.3, without the brackets.
const LONGEST_ADDRESS: usize = 254;

/// An authentication that the provider is asked for.
pub struct Asked<'a> {
    pub state: &'a str,
    pub nonce: &'a str,
    /// The PKCE verifier, of which the provider gets the hash.
    pub verifier: &'a str,
    /// Whether the person must authenticate anew, whatever session the provider has.
    pub fresh: bool,
}

/// What came back from an authentication, and what it was asked with.
pub struct Redemption<'a> {
    pub code: &'a str,
    pub nonce: &'a str,
    pub verifier: &'a str,
    /// The database's time.
    pub now: OffsetDateTime,
    /// Whether it is for a person who is signed in, or for a browser in which one was.
    pub is_for_known: bool,
}

/// A person, as the provider vouches for them.
#[derive(Clone, Debug)]
pub struct Vouched {
    pub subject: String,
    pub address: Option<VouchedAddress>,
    /// Whether the provider says that a second factor was given, by one of the values of `acr` in
    /// the settings.
    pub has_second_factor: bool,
    /// When the person authenticated, by the provider's clock: not before this moment. `None` where
    /// it does not say.
    pub authenticated_at: Option<OffsetDateTime>,
    /// For the sign-out.
    pub id_token: Zeroizing<String>,
}

impl Vouched {
    /// Whether the person authenticated after this moment, as far as clocks agree.
    #[must_use]
    pub fn is_after(&self, moment: OffsetDateTime) -> bool {
        self.authenticated_at.is_some_and(|at| at >= moment - LEEWAY)
    }
}

impl IdentityProvider {
    /// Whether an answer that names this issuer is the provider's (RFC 9207). Without a name, it is
    /// where the provider does not say that it names itself.
    ///
    /// # Errors
    /// [`ProviderError`].
    pub async fn is_answer_of(&self, issuer: Option<&str>) -> Result<bool, ProviderError> {
        Ok(match issuer {
            Some(issuer) => issuer == self.settings.issuer,
            None => !self.metadata().await?.additional_metadata().authorization_response_iss_parameter_supported,
        })
    }

    /// The URL at which the person authenticates.
    ///
    /// # Errors
    /// [`ProviderError`].
    pub async fn authorization_url(&self, asked: &Asked<'_>) -> Result<String, ProviderError> {
        let metadata = self.metadata().await?;
        let (state, nonce) = (asked.state.to_owned(), asked.nonce.to_owned());
        let verifier = PkceCodeVerifier::new(asked.verifier.to_owned());
        let callback = redirect_url(&self.addresses.callback)?;
        let client = self.client(&metadata);
        let mut request = client
            .authorize_url(
                CoreAuthenticationFlow::AuthorizationCode,
                move || CsrfToken::new(state),
                move || Nonce::new(nonce),
            )
            .set_pkce_challenge(PkceCodeChallenge::from_code_verifier_sha256(&verifier))
            .set_redirect_uri(Cow::Owned(callback))
            .add_scopes(self.settings.scopes.iter().filter(|scope| *scope != "openid").cloned().map(Scope::new));
        for value in &self.settings.acr_values {
            request = request.add_auth_context_value(AuthenticationContextClass::new(value.clone()));
        }
        request = request.add_extra_param("claims", self.claims_parameter(asked.fresh));
        if asked.fresh {
            request = request.add_prompt(CoreAuthPrompt::Login);
        }
        Ok(request.url().0.into())
    }

    /// The parameter `claims`: a second factor is essential, and so is the time of a fresh
    /// authentication, since whoever sits before the browser could take `prompt` away. Otherwise
    /// the time is welcome: the provider's session may be older than what counts as fresh here.
    fn claims_parameter(&self, fresh: bool) -> String {
        let mut claims = Map::new();
        if !self.settings.acr_values.is_empty() {
            claims.insert("acr".into(), json!({ "essential": true, "values": self.settings.acr_values }));
        }
        claims.insert("auth_time".into(), if fresh { json!({ "essential": true }) } else { Value::Null });
        json!({ "id_token": claims }).to_string()
    }

    /// Redeems the code and verifies all that the provider says: signatures, issuer, audience,
    /// nonce and times.
    ///
    /// # Errors
    /// [`ProviderError`].
    pub async fn redeem(&self, redemption: &Redemption<'_>) -> Result<Vouched, ProviderError> {
        let calls = if redemption.is_for_known { &self.calls_for_known } else { &self.calls_for_strangers };
        let call = tokio::time::timeout(LONGEST_WAIT, calls.acquire()).await;
        let _call = call.map_err(|_| ProviderError::Away("too many calls under way".into()))?;
        let mut metadata = self.metadata().await?;
        let tokens = self.exchange(&metadata, redemption).await?;
        let id_token = tokens.id_token().ok_or_else(|| ProviderError::Unsound("no ID token".into()))?;
        let claims = match self.verify(&metadata, id_token, redemption) {
            Err(error) if lacks_key(&error) => {
                metadata = self.newer(&metadata).await?;
                self.verify(&metadata, id_token, redemption)
            }
            verified => verified,
        };
        let claims = claims.map_err(|error| ProviderError::Unsound(with_causes(&error)))?;
        let address = self.address(metadata, tokens.access_token(), &claims).await?;
        address.as_ref().map(|vouched| kept(&vouched.address, LONGEST_ADDRESS)).transpose()?;
        let acr = claims.auth_context_ref().map(|acr| acr.as_str());
        let authenticated_at = claims.auth_time().map(|at| at.min(claims.issue_time()).timestamp());
        Ok(Vouched {
            subject: kept(claims.subject().as_str(), LONGEST_SUBJECT)?.to_owned(),
            address,
            has_second_factor: self.proves_second_factor(acr),
            authenticated_at: authenticated_at
                .map(OffsetDateTime::from_unix_timestamp)
                .transpose()
                .map_err(|error| ProviderError::Unsound(error.to_string()))?,
            id_token: Zeroizing::new(id_token.to_string()),
        })
    }

    fn proves_second_factor(&self, acr: Option<&str>) -> bool {
        acr.is_some_and(|acr| self.settings.acr_values.iter().any(|value| value == acr))
    }

    async fn exchange(
        &self,
        metadata: &Metadata,
        redemption: &Redemption<'_>,
    ) -> Result<CoreTokenResponse, ProviderError> {
        let client = self.client(metadata);
        let mut request = client
            .exchange_code(AuthorizationCode::new(redemption.code.to_owned()))
            .map_err(|error| ProviderError::Unsound(error.to_string()))?
            .set_pkce_verifier(PkceCodeVerifier::new(redemption.verifier.to_owned()))
            .set_redirect_uri(Cow::Owned(redirect_url(&self.addresses.callback)?));
        if let Credential::Key(key) = &self.credential {
            let assertion = key.assertion(&self.settings.client_id, &self.settings.issuer, redemption.now);
            request = request
                .add_extra_param("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer")
                .add_extra_param("client_assertion", assertion);
        }
        request.request_async(&self.http).await.map_err(|error| match error {
            RequestTokenError::ServerResponse(said) => {
                // The code of the error alone: descriptions are of any length.
                let code: &CoreErrorResponseType = said.error();
                ProviderError::Refused(format!("token endpoint: {}", code.as_ref()))
            }
            RequestTokenError::Parse(..) => ProviderError::Unsound("token endpoint: an answer that is no token".into()),
            error => ProviderError::Away(with_causes(&error)),
        })
    }

    fn verify(
        &self,
        metadata: &Metadata,
        id_token: &CoreIdToken,
        redemption: &Redemption<'_>,
    ) -> Result<CoreIdTokenClaims, ClaimsVerificationError> {
        let now = redemption.now;
        let issuer = IssuerUrl::new(self.settings.issuer.clone())
            .map_err(|error| ClaimsVerificationError::InvalidIssuer(error.to_string()))?;
        let client_id = ClientId::new(self.settings.client_id.clone());
        // Knows no secret of the client: a token that is signed with one is never valid.
        let verifier = CoreIdTokenVerifier::new_public_client(client_id, issuer, metadata.jwks().clone())
            .set_allowed_algs(ALGORITHMS)
            .set_time_fn(move || SystemTime::from(now - LEEWAY).into())
            .set_issue_time_verifier_fn(move |issued| {
                let age = now.unix_timestamp() - issued.timestamp();
                let sound = -LEEWAY.whole_seconds()..=(OLDEST_TOKEN + LEEWAY).whole_seconds();
                if sound.contains(&age) { Ok(()) } else { Err(format!("issued {age} s ago")) }
            });
        let nonce = Nonce::new(redemption.nonce.to_owned());
        let claims = id_token.claims(&verifier, &nonce)?.clone();
        match claims.authorized_party() {
            Some(party) if **party != self.settings.client_id => {
                Err(ClaimsVerificationError::InvalidAudience("authorized party: another client".into()))
            }
            _ => Ok(claims),
        }
    }

    /// What the provider says of the person's address, at its userinfo endpoint if it has one.
    async fn address(
        &self,
        metadata: Arc<Metadata>,
        token: &AccessToken,
        claims: &CoreIdTokenClaims,
    ) -> Result<Option<VouchedAddress>, ProviderError> {
        let Some(url) = metadata.userinfo_endpoint() else {
            let is_verified = claims.email_verified() != Some(false);
            return Ok(claims.email().map(|email| VouchedAddress { address: email.to_string(), is_verified }));
        };
        let request = Request::builder()
            .uri(url.as_str())
            .header("accept", "application/jwt, application/json")
            .header("authorization", format!("Bearer {}", token.secret()))
            .body(Vec::new())
            .map_err(|error| ProviderError::Unsound(error.to_string()))?;
        let answer = self.http.call(request).await.map_err(|error| ProviderError::Away(with_causes(&error)))?;
        let read = |metadata: &Metadata| {
            user_info::read(&answer, metadata, &self.settings.client_id, claims.subject().as_str())
        };
        let result = match read(&metadata) {
            Err(Unusable::UnknownKey) => read(&*self.newer(&metadata).await?),
            result => result,
        };
        result.map_err(|error| match error {
            Unusable::UnknownKey => ProviderError::Unsound("userinfo: signed by an unknown key".into()),
            Unusable::Error(error) => error,
        })
    }

    /// The URL at which the provider ends its session; `None` where it has none.
    ///
    /// # Errors
    /// [`ProviderError`].
    pub async fn end_session_url(&self, id_token: &str, state: &str) -> Result<Option<String>, ProviderError> {
        let metadata = self.metadata().await?;
        let Some(endpoint) = &metadata.additional_metadata().end_session_endpoint else { return Ok(None) };
        let mut url = Url::parse(endpoint).map_err(|error| ProviderError::Unsound(error.to_string()))?;
        if !["https", "http"].contains(&url.scheme()) {
            return Err(ProviderError::Unsound("an end_session_endpoint that is no web page".into()));
        }
        url.query_pairs_mut()
            // The token may name several audiences; without it, a provider cannot tell whose
            // address comes next.
            .append_pair("client_id", &self.settings.client_id)
            .append_pair("id_token_hint", id_token)
            .append_pair("state", state)
            .append_pair("post_logout_redirect_uri", &self.addresses.signed_out);
        Ok(Some(url.into()))
    }

    /// Metadata that may have the key that these lack.
    async fn newer(&self, metadata: &Arc<Metadata>) -> Result<Arc<Metadata>, ProviderError> {
        let other = self.discovery.other_than(metadata, &self.settings.issuer, &self.http).await?;
        Ok(other.unwrap_or_else(|| metadata.clone()))
    }
}

/// A text of the provider that the database can keep.
fn kept(text: &str, longest: usize) -> Result<&str, ProviderError> {
    let is_sound = (1..=longest).contains(&text.chars().count()) && !text.contains(char::is_control);
    is_sound.then_some(text).ok_or_else(|| ProviderError::Unsound("an identifier or address of no sound form".into()))
}

fn redirect_url(text: &str) -> Result<RedirectUrl, ProviderError> {
    RedirectUrl::new(text.to_owned()).map_err(|error| ProviderError::Unsound(error.to_string()))
}

fn lacks_key(error: &ClaimsVerificationError) -> bool {
    matches!(error, ClaimsVerificationError::SignatureVerification(SignatureVerificationError::NoMatchingKey))
}
