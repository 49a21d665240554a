//! « Quitter cette structure »: a person ends their own membership.

use askama::Template;
use axum::{
    extract::{Path, State},
    response::{IntoResponse, Redirect, Response},
};

use crate::{
    db::members::departure::{self, Departure, OwnMembership},
    web::{
        edge::{
            error::{AppError, page},
            state::AppState,
        },
        identity::{
            fresh_form::{FreshForm, Nothing},
            visitor::Visitor,
        },
        paths,
        shell::{
            layout::{Layout, Tab},
            notice::Notice,
        },
    },
};

/// The confirmation page.
#[derive(Template)]
#[template(path = "my_account/departure.html")]
struct DeparturePage {
    layout: Layout,
    membership: OwnMembership,
}

async fn own(state: &AppState, visitor: &Visitor, id: &str) -> Result<OwnMembership, AppError> {
    let id = id.parse().map_err(|_| AppError::NotFound)?;
    departure::find_own(&state.pool, visitor.person.user_id, id).await?.ok_or(AppError::NotFound)
}

/// The confirmation page.
pub async fn confirmation(
    State(state): State<AppState>,
    visitor: Visitor,
    Path(id): Path<String>,
) -> Result<Response, AppError> {
    let membership = own(&state, &visitor, &id).await?;
    page(&DeparturePage { layout: state.layout(&visitor.person, Tab::MyAccount, None), membership })
}

/// Ends the membership, once confirmed.
///
/// Two calls of `db`: the membership is found, and judged again under the lock of its structure.
pub async fn leave(
    State(state): State<AppState>,
    visitor: Visitor,
    Path(id): Path<String>,
    FreshForm(Nothing {}): FreshForm<Nothing>,
) -> Result<Response, AppError> {
    let membership = own(&state, &visitor, &id).await?;
    let Visitor { person, session, actor, .. } = &visitor;
    match departure::leave(&state.pool, actor, session, person.user_id, &membership).await? {
        Departure::Left => Ok(Redirect::to(&Notice::StructureLeft.on(paths::MY_ACCOUNT)).into_response()),
        Departure::NoMember => Err(AppError::NotFound),
        Departure::SessionEnded => Err(AppError::SignInRequired { expired: true, return_to: None }),
    }
}
