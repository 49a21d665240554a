//! Leaving for the identity provider.
//!
//! A form asks for it, not a link: what a browser fetches beforehand begins nothing, and another
//! site cannot begin it. The answer is a page that goes on by itself: browsers check `form-action`
//! also where the answer to a form redirects, to the provider and to sites that only it knows.

use axum::{
    Form,
    extract::{Path, State},
    http::StatusCode,
    response::Response,
};
use serde::Deserialize;

use super::pages::{ProviderDeparturePage, ProviderPage, ProviderRefusal};
use crate::{
    db::{
        identity::{
            invitations,
            provider_attempts::{self, NewAttempt},
        },
        throttles::Source,
    },
    domain::{
        provider_attempt::{BrowserSecret, Purpose},
        random,
    },
    identity_provider::{Asked, IdentityProvider, ProviderError},
    web::{
        edge::{
            error::{AppError, page, page_with_status},
            redirect_guard::is_local_path,
            state::AppState,
        },
        identity::{
            fresh_form::OWN_FIELDS,
            kept_form::{Carrying, KeptFields, is_short},
            session::Browser,
            visitor::Visitor,
        },
    },
};

/// What a person leaves for, and what they find again afterwards.
pub struct Departure<'a> {
    pub purpose: Purpose,
    /// The person in whose session it is asked for.
    pub visitor: Option<&'a Visitor>,
    /// The hash of a link's token.
    pub invitation: Option<&'a [u8]>,
    pub return_to: Option<&'a str>,
    pub carried: &'a KeptFields,
}

#[derive(Deserialize)]
pub struct SignInForm {
    suite: Option<String>,
}

/// « S’identifier avec … », on « Connexion ».
pub async fn sign_in(
    State(state): State<AppState>,
    browser: Browser,
    Carrying { form, typed, .. }: Carrying<SignInForm>,
) -> Result<Response, AppError> {
    let return_to = form.suite.as_deref().filter(|page| is_local_path(page));
    let departure = Departure { purpose: Purpose::SignIn, visitor: None, invitation: None, return_to, carried: &typed };
    leave(&state, &browser, departure).await
}

/// « Confirmer avec … », on « Confirmez votre identité ».
pub async fn confirm(
    State(state): State<AppState>,
    visitor: Visitor,
    browser: Browser,
    Form(mut sent): Form<KeptFields>,
) -> Result<Response, AppError> {
    let target = sent.iter().find(|(name, _)| name == "confirmation-suite").map(|(_, target)| target.clone());
    let target = target.filter(|target| is_local_path(target)).ok_or(AppError::Unprocessable)?;
    sent.retain(|(name, _)| !name.starts_with(OWN_FIELDS));
    if !is_short(&sent) {
        return Err(AppError::Unprocessable);
    }
    let departure = Departure {
        purpose: Purpose::Confirmation,
        visitor: Some(&visitor),
        invitation: None,
        return_to: Some(&target),
        carried: &sent,
    };
    leave(&state, &browser, departure).await
}

/// « Continuer avec … », on the page of a mailed link.
pub async fn accept_invitation(
    State(state): State<AppState>,
    browser: Browser,
    Path(token): Path<String>,
) -> Result<Response, AppError> {
    let token_hash = random::digest(&token);
    // A link that has ended says so at once.
    invitations::find(&state.strangers_pool, &token_hash).await?.ok_or(AppError::NotFound)?;
    let departure = Departure {
        purpose: Purpose::Invitation,
        visitor: None,
        invitation: Some(&token_hash),
        return_to: None,
        carried: &Vec::new(),
    };
    leave(&state, &browser, departure).await
}

/// Begins an attempt and leads the browser to the provider.
pub async fn leave(state: &AppState, browser: &Browser, departure: Departure<'_>) -> Result<Response, AppError> {
    let provider = state.provider.as_ref().ok_or(AppError::NotFound)?;
    // Tabs of one browser share the secret, so that none spoils the attempt of another.
    let secret = browser.provider_secret(state).unwrap_or_else(|| BrowserSecret::generate(&mut random::os_rng()));
    let attempt = random::token(&mut random::os_rng());
    let url = match authorization_url(provider, &secret, &attempt, departure.purpose).await {
        Ok(url) => url,
        Err(error) => return away(state, departure.purpose, &error),
    };
    let carried = Carried { fields: departure.carried.clone(), mark: browser.proved_mark(state) };
    let carried = (!carried.is_empty()).then(|| secret.seal(&attempt, &carried.encode(), &mut random::os_rng()));
    let new = NewAttempt {
        state: &attempt,
        address: browser.address,
        browser: &secret.digest(),
        purpose: departure.purpose,
        person: departure.visitor.map(|visitor| (visitor.person.user_id, &visitor.session)),
        invitation: departure.invitation,
        return_to: departure.return_to,
        carried: carried.as_deref(),
    };
    if let Some(seconds) = begin(state, browser, new).await? {
        return Err(AppError::TooManyRequests { seconds });
    }
    let label = provider.settings.label.clone();
    let answer = page(&ProviderDeparturePage { layout: state.anonymous_layout(None), label, url })?;
    Ok(browser.give_provider_secret(state, &secret, answer))
}

/// A person who is signed in does not wait behind strangers.
async fn begin(state: &AppState, browser: &Browser, new: NewAttempt<'_>) -> Result<Option<u32>, AppError> {
    if new.person.is_some() {
        return Ok(provider_attempts::begin(&state.pool, &Source::Address(browser.address), new).await?);
    }
    let _turn = browser.turn(state).await?;
    Ok(provider_attempts::begin(&state.strangers_pool, &browser.unnamed_source(state), new).await?)
}

async fn authorization_url(
    provider: &IdentityProvider,
    secret: &BrowserSecret,
    attempt: &str,
    purpose: Purpose,
) -> Result<String, ProviderError> {
    let (nonce, verifier) = (secret.nonce(attempt), secret.verifier(attempt));
    let fresh = matches!(purpose, Purpose::Confirmation | Purpose::Linking);
    provider.authorization_url(&Asked { state: attempt, nonce: &nonce, verifier: &verifier, fresh }).await
}

/// The page for a provider that does not answer.
pub fn away(state: &AppState, purpose: Purpose, error: &ProviderError) -> Result<Response, AppError> {
    tracing::warn!(cause = error.to_string(), "the identity provider does not serve");
    page_with_status(StatusCode::SERVICE_UNAVAILABLE, &ProviderPage::new(state, purpose, ProviderRefusal::Away))
}

/// What an attempt carries, sealed for the browser.
#[derive(Default)]
pub struct Carried {
    pub fields: KeptFields,
    /// The mark of the browser, as it left: the cookie does not come along from another site.
    pub mark: Option<String>,
}

/// The field of the mark, which no form has.
const MARK: &str = "confirmation-navigateur";

impl Carried {
    fn is_empty(&self) -> bool {
        self.fields.is_empty() && self.mark.is_none()
    }

    /// As a form sends it.
    fn encode(&self) -> Vec<u8> {
        let fields = self.fields.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let fields = fields.filter(|(name, _)| *name != MARK).chain(self.mark.as_deref().map(|mark| (MARK, mark)));
        form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish().into_bytes()
    }

    /// What the attempt carried; nothing where it cannot be opened.
    pub fn open(secret: &BrowserSecret, attempt: &str, sealed: Option<&[u8]>) -> Self {
        let opened = sealed.and_then(|sealed| secret.open(attempt, sealed)).unwrap_or_default();
        let (mark, fields) = form_urlencoded::parse(&opened).into_owned().partition(|(name, _)| name == MARK);
        let mark: KeptFields = mark;
        Self { fields, mark: mark.into_iter().next().map(|(_, mark)| mark) }
    }
}
