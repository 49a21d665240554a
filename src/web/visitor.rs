//! Who asks, and over what they have authority: extractors, so that a handler which runs has them.

use axum::{
    extract::{FromRequestParts, RawPathParams},
    http::{Method, header, request::Parts},
};
use tower_sessions::Session;

use super::{
    edge::RequestContext,
    error::AppError,
    layout::{Layout, Notice, Tab},
    paths,
    state::AppState,
};
use crate::{
    db::{
        audit::{self, RefusedTarget},
        members::{self, ManagedMember},
        membership_requests::{self, ManagedRequest},
        sessions::{self, SignedIn},
        structures::{self, ManagedStructure},
        technical_users::{self, ManagedTechnicalUser},
    },
    domain::{audit::Actor, envelope::SessionSecret, technical_user::is_unprintable},
};

/// A person who is signed in.
#[derive(Clone)]
pub struct Visitor {
    pub person: SignedIn,
    pub session: SessionSecret,
    pub actor: Actor,
}

impl FromRequestParts<AppState> for Visitor {
    type Rejection = AppError;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, AppError> {
        if let Some(visitor) = parts.extensions.get::<Self>() {
            // Read already, for this very request.
            return Ok(visitor.clone());
        }
        let return_to = || (parts.method == Method::GET).then(|| parts.uri.to_string());
        // The layer has read the cookie; the row is read once, here, with the person it belongs to.
        let id = parts.extensions.get::<Session>().and_then(Session::id);
        let Some(id) = id else { return Err(AppError::SignInRequired { expired: false, return_to: return_to() }) };
        let session = SessionSecret::new(id.0);
        let person = sessions::find_signed_in(&state.pool, &session).await?;
        let Some(person) = person else {
            return Err(AppError::SignInRequired { expired: true, return_to: return_to() });
        };
        let context = parts.extensions.get::<RequestContext>().cloned().unwrap_or_default();
        context.remember(&person);
        if must_set_up_second_factor(state, &person) && !leads_to_second_factor(parts.uri.path()) {
            return Err(AppError::SecondFactorRequired);
        }
        let actor =
            Actor { user_id: Some(person.user_id), name: person.login.clone(), address: context.address.to_string() };
        let visitor = Self { person, session, actor };
        parts.extensions.insert(visitor.clone());
        Ok(visitor)
    }
}

/// Whether this is a principal manager who has to set up her second factor before anything else.
pub fn must_set_up_second_factor(state: &AppState, person: &SignedIn) -> bool {
    state.settings.managers_need_second_factor && person.is_principal_manager && !person.has_second_factor
}

/// The pages that lead to a second factor, and out.
fn leads_to_second_factor(path: &str) -> bool {
    path.starts_with(paths::SECOND_FACTOR) || [paths::SIGN_IN, paths::SIGN_OUT, paths::CONFIRM_IDENTITY].contains(&path)
}

/// A structure in the URL, and the visitor who is its principal manager. For anybody else it does not exist.
pub struct Managed {
    pub visitor: Visitor,
    pub structure: ManagedStructure,
}

impl FromRequestParts<AppState> for Managed {
    type Rejection = AppError;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, AppError> {
        let visitor = Visitor::from_request_parts(parts, state).await?;
        let id = id_in_path(parts, state).await?;
        match structures::find_managed(&state.pool, visitor.person.user_id, id).await? {
            Some(structure) => Ok(Self { visitor, structure }),
            None => Err(refuse(parts, state, &visitor, RefusedTarget::Structure(id)).await),
        }
    }
}

impl Managed {
    /// The frame of a page about the structure.
    pub fn layout(&self, state: &AppState, notice: Option<Notice>) -> Layout {
        state.layout(&self.visitor.person, Tab::Activities, notice)
    }
}

/// A technical user in the URL, and the visitor who is principal manager of its structure.
pub struct ManagedAccount {
    pub visitor: Visitor,
    pub account: ManagedTechnicalUser,
}

impl FromRequestParts<AppState> for ManagedAccount {
    type Rejection = AppError;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, AppError> {
        let visitor = Visitor::from_request_parts(parts, state).await?;
        let id = id_in_path(parts, state).await?;
        match technical_users::find_managed(&state.pool, visitor.person.user_id, id).await? {
            Some(account) => Ok(Self { visitor, account }),
            None => Err(refuse(parts, state, &visitor, RefusedTarget::TechnicalUser(id)).await),
        }
    }
}

impl ManagedAccount {
    /// The frame of a page about the account.
    pub fn layout(&self, state: &AppState, notice: Option<Notice>) -> Layout {
        state.layout(&self.visitor.person, Tab::Activities, notice)
    }
}

/// A membership in the URL, and the visitor who is principal manager of its structure and not this member.
pub struct ManagedMembership {
    pub visitor: Visitor,
    pub managed: ManagedMember,
}

impl FromRequestParts<AppState> for ManagedMembership {
    type Rejection = AppError;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, AppError> {
        let visitor = Visitor::from_request_parts(parts, state).await?;
        let id = id_in_path(parts, state).await?;
        match members::find_managed(&state.pool, visitor.person.user_id, id).await? {
            Some(managed) => Ok(Self { visitor, managed }),
            None => Err(refuse(parts, state, &visitor, RefusedTarget::Membership(id)).await),
        }
    }
}

/// A request to be attached in the URL, and the visitor who is principal manager of its structure.
pub struct Answerable {
    pub visitor: Visitor,
    pub request: ManagedRequest,
}

impl FromRequestParts<AppState> for Answerable {
    type Rejection = AppError;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, AppError> {
        let visitor = Visitor::from_request_parts(parts, state).await?;
        let id = id_in_path(parts, state).await?;
        match membership_requests::find_managed(&state.pool, visitor.person.user_id, id).await? {
            Some(request) => Ok(Self { visitor, request }),
            None => Err(refuse(parts, state, &visitor, RefusedTarget::MembershipRequest(id)).await),
        }
    }
}

/// What is not the visitor's does not exist; trying to change it is remembered.
async fn refuse(parts: &Parts, state: &AppState, visitor: &Visitor, target: RefusedTarget) -> AppError {
    if parts.method.is_safe() {
        return AppError::NotFound;
    }
    match audit::record_refusal(&state.pool, &visitor.actor, target, parts.uri.path()).await {
        Ok(()) => AppError::NotFound,
        Err(error) => error.into(),
    }
}

/// The `{id}` of the path; a text that is no number names nothing.
async fn id_in_path(parts: &mut Parts, state: &AppState) -> Result<i64, AppError> {
    let params = RawPathParams::from_request_parts(parts, state).await.map_err(|_| AppError::NotFound)?;
    let id = params.iter().find(|(name, _)| *name == "id").and_then(|(_, value)| value.parse().ok());
    id.ok_or(AppError::NotFound)
}

/// The browser, as its user agent names it, cut to what a table can show.
pub fn software(parts: &axum::http::HeaderMap) -> String {
    let text = parts.get(header::USER_AGENT).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
    text.unwrap_or_default().chars().filter(|c| !is_unprintable(*c)).take(200).collect()
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderMap, HeaderValue};

    use super::*;

    #[test]
    fn what_software_calls_itself_is_one_short_line_that_hides_nothing() {
        let named = |bytes: &[u8]| {
            software(&HeaderMap::from_iter([(header::USER_AGENT, HeaderValue::from_bytes(bytes).unwrap())]))
        };
        assert_eq!(named("curl/8.5 \u{202e}\u{2028}\u{2066}é\u{85}\u{200b}\u{3164}\t!".as_bytes()), "curl/8.5 é!");
        assert_eq!(named(b"a\xffb"), "a\u{fffd}b");
        assert_eq!(named("é".repeat(300).as_bytes()).chars().count(), 200);
        assert_eq!(software(&HeaderMap::new()), "");
    }
}
