//! Extractors that load what the visitor may act on; anything else answers 404.

use axum::{
    extract::{FromRequestParts, MatchedPath, RawPathParams},
    http::request::Parts,
};

use super::visitor::Visitor;
use crate::{
    db::{
        audit::refusals::{self, RefusedTarget},
        members::{
            self, ManagedMember,
            requests::{self, ManagedRequest},
        },
        structures::{self, ManagedStructure},
        technical_users::{self, ManagedTechnicalUser},
    },
    web::{
        edge::{error::AppError, state::AppState},
        shell::{
            layout::{Layout, Tab},
            notice::Notice,
        },
    },
};

/// A structure in the URL, and the visitor who is its principal manager.
pub struct Managed {
    pub visitor: Visitor,
    pub structure: ManagedStructure,
}

impl FromRequestParts<AppState> for Managed {
    type Rejection = AppError;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, AppError> {
        let visitor = Visitor::from_request_parts(parts, state).await?;
        let id = id_in_path(parts, state).await?;
        match structures::find_managed(&state.pool, visitor.claimant(), id).await? {
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
        match technical_users::find_managed(&state.pool, visitor.claimant(), id).await? {
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

/// A membership in the URL, and the visitor who is principal manager of its structure and another
/// person than the member.
pub struct ManagedMembership {
    pub visitor: Visitor,
    pub managed: ManagedMember,
}

impl FromRequestParts<AppState> for ManagedMembership {
    type Rejection = AppError;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, AppError> {
        let visitor = Visitor::from_request_parts(parts, state).await?;
        let id = id_in_path(parts, state).await?;
        match members::find_managed(&state.pool, visitor.claimant(), id).await? {
            Some(managed) => Ok(Self { visitor, managed }),
            None => Err(refuse(parts, state, &visitor, RefusedTarget::Membership(id)).await),
        }
    }
}

/// A membership request in the URL, and the visitor who is principal manager of its structure.
pub struct Answerable {
    pub visitor: Visitor,
    pub request: ManagedRequest,
}

impl FromRequestParts<AppState> for Answerable {
    type Rejection = AppError;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, AppError> {
        let visitor = Visitor::from_request_parts(parts, state).await?;
        let id = id_in_path(parts, state).await?;
        match requests::find_managed(&state.pool, visitor.claimant(), id).await? {
            Some(request) => Ok(Self { visitor, request }),
            None => Err(refuse(parts, state, &visitor, RefusedTarget::MembershipRequest(id)).await),
        }
    }
}

/// Answers 404; an attempt to change what is not the visitor's is recorded, by its route: a path
/// has as many spellings as its sender likes, of any length.
async fn refuse(parts: &Parts, state: &AppState, visitor: &Visitor, target: RefusedTarget) -> AppError {
    if parts.method.is_safe() {
        return AppError::NotFound;
    }
    let route = parts.extensions.get::<MatchedPath>().map_or("", MatchedPath::as_str);
    match refusals::record_refusal(&state.pool, &visitor.actor, target, route).await {
        Ok(()) => AppError::NotFound,
        Err(error) => error.into(),
    }
}

/// The `{id}` of the path; 404 where it is no number.
async fn id_in_path(parts: &mut Parts, state: &AppState) -> Result<i64, AppError> {
    let params = RawPathParams::from_request_parts(parts, state).await.map_err(|_| AppError::NotFound)?;
    let id = params.iter().find(|(name, _)| *name == "id").and_then(|(_, value)| value.parse().ok());
    id.ok_or(AppError::NotFound)
}
