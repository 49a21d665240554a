//! The extractor of the signed-in person behind a request.

use std::{sync::Arc, time::Duration};

use axum::{
    extract::FromRequestParts,
    http::{Method, request::Parts},
};
use tower_sessions::Session;

use crate::{
    db::{
        identity::sessions::{self, SignedIn},
        structures::Claimant,
    },
    domain::{audit::Actor, envelope::SessionSecret},
    web::{
        edge::{context::RequestContext, error::AppError, shares::Share, state::AppState},
        paths,
    },
};

/// A person who is signed in.
#[derive(Clone)]
pub struct Visitor {
    pub person: SignedIn,
    pub session: SessionSecret,
    pub actor: Actor,
    /// Of the person's requests that are served at a time, until the handler has ended.
    _share: Arc<Share<i64>>,
}

impl Visitor {
    /// The person in this session, where an act needs authority over a structure.
    pub fn claimant(&self) -> Claimant<'_> {
        Claimant { user_id: self.person.user_id, session: Some(&self.session) }
    }
}

/// The most requests of one person that wait for one of theirs to end.
const WAITING: usize = 256;
const LONGEST_WAIT: Duration = Duration::from_secs(3);

impl FromRequestParts<AppState> for Visitor {
    type Rejection = AppError;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, AppError> {
        if let Some(visitor) = parts.extensions.get::<Self>() {
            // An extractor before this one has read it.
            return Ok(visitor.clone());
        }
        let return_to = || (parts.method == Method::GET).then(|| parts.uri.to_string());
        let id = parts.extensions.get::<Session>().and_then(Session::id);
        let Some(id) = id else { return Err(AppError::SignInRequired { expired: false, return_to: return_to() }) };
        let session = SessionSecret::new(id.0);
        let person = sessions::find_signed_in(&state.pool, &session).await?;
        let Some(person) = person else {
            return Err(AppError::SignInRequired { expired: true, return_to: return_to() });
        };
        let context = parts.extensions.get::<RequestContext>().cloned().unwrap_or_default();
        context.set_signed_in(&person);
        if must_set_up_second_factor(state, &person) && !leads_to_second_factor(parts.uri.path()) {
            return Err(AppError::SecondFactorRequired);
        }
        let actor =
            Actor { user_id: Some(person.user_id), name: person.login.clone(), address: context.address.to_string() };
        // The person's requests wait for the database's connections, as others do: 503, too.
        let share = state.requests.wait(person.user_id, WAITING, LONGEST_WAIT).await;
        let share = share.map_err(|used_up| AppError::Unavailable(used_up.to_string()))?;
        let visitor = Self { person, session, actor, _share: Arc::new(share) };
        parts.extensions.insert(visitor.clone());
        Ok(visitor)
    }
}

/// Whether this is a principal manager who must set up a second factor before anything else.
pub fn must_set_up_second_factor(state: &AppState, person: &SignedIn) -> bool {
    needs_second_factor(state, person) && !person.has_second_factor && !person.has_second_factor_elsewhere
}

/// Whether the operator requires a second factor of this person.
pub fn needs_second_factor(state: &AppState, person: &SignedIn) -> bool {
    state.settings.managers_need_second_factor && person.is_principal_manager
}

const LEADING: [&str; 5] =
    [paths::SIGN_IN, paths::SIGN_OUT, paths::CONFIRM_IDENTITY, paths::PROVIDER_CONFIRMATION, paths::PROVIDER_CALLBACK];

/// Whether this is a page on the way to a second factor, or to the sign-out.
fn leads_to_second_factor(path: &str) -> bool {
    path.starts_with(paths::SECOND_FACTOR) || LEADING.contains(&path)
}
