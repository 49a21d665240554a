//! The page of a link that confirms a contact address. It needs no session: the link alone shows
//! that the mail was read.

use axum::{
    Extension,
    extract::{Path, State},
    http::StatusCode,
    response::{IntoResponse, Redirect, Response},
};

use super::{
    pages::{AddressConfirmationOverPage, AddressConfirmationPage},
    visitor::Visitor,
};
use crate::{
    db::identity::contact_addresses,
    domain::random,
    web::{
        edge::{
            context::RequestContext,
            error::{AppError, page as render, page_with_status},
            state::AppState,
        },
        paths,
        shell::notice::Notice,
    },
};

/// The page of the link. It changes nothing, since mail readers open links too.
pub async fn page(State(state): State<AppState>, Path(token): Path<String>) -> Result<Response, AppError> {
    match contact_addresses::find(&state.strangers_pool, &random::digest(&token)).await? {
        Some(awaiting) => render(&AddressConfirmationPage { layout: state.anonymous_layout(None), token, awaiting }),
        None => over(&state),
    }
}

fn over(state: &AppState) -> Result<Response, AppError> {
    page_with_status(StatusCode::NOT_FOUND, &AddressConfirmationOverPage { layout: state.anonymous_layout(None) })
}

/// « Confirmer cette adresse ».
pub async fn confirm(
    State(state): State<AppState>,
    Extension(context): Extension<RequestContext>,
    visitor: Result<Visitor, AppError>,
    Path(token): Path<String>,
) -> Result<Response, AppError> {
    let token_hash = random::digest(&token);
    if !contact_addresses::confirm(&state.strangers_pool, context.address.to_string(), &token_hash).await? {
        return over(&state);
    }
    let next = if visitor.is_ok() { paths::MY_ACCOUNT } else { paths::SIGN_IN };
    Ok(Redirect::to(&Notice::ContactAddressConfirmed.on(next)).into_response())
}
