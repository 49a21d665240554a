//! « Désigner un nouveau gestionnaire principal ».

use axum::{
    extract::{Query, State},
    http::StatusCode,
    response::{IntoResponse, Redirect, Response},
};
use serde::Deserialize;

use super::pages::{Candidate, DesignateManagerPage};
use crate::{
    db::members::{
        memberships,
        succession::{self, OfferError},
    },
    web::{
        edge::{
            error::{AppError, page, page_with_status},
            state::AppState,
        },
        identity::{authority::Managed, fresh_form::FreshForm},
        paths,
        shell::{
            form::{Errors, FieldError},
            notice::Notice,
            values::StructureName,
        },
    },
};

#[derive(Default, Deserialize)]
pub struct MemberForm {
    #[serde(default)]
    membre: String,
}

/// The confirmation page, for browsers without scripts.
pub async fn confirmation(
    State(state): State<AppState>,
    managed: Managed,
    Query(form): Query<MemberForm>,
) -> Result<Response, AppError> {
    page(&confirmation_page(&state, &managed, form.membre.parse().ok(), Errors::none()).await?)
}

/// Offers the structure to the person, who accepts or declines in « Mon compte ».
///
/// Two calls of `db` only after a refusal: the page is read after the transaction that refused.
pub async fn offer(
    State(state): State<AppState>,
    managed: Managed,
    FreshForm(form): FreshForm<MemberForm>,
) -> Result<Response, AppError> {
    let chosen = form.membre.parse().unwrap_or(0);
    match succession::offer(&state.pool, &managed.visitor.actor, &managed.structure, chosen).await {
        Ok(()) => Ok(back(&managed, Notice::SuccessionOffered)),
        Err(OfferError::NotManager(_)) => Err(AppError::NotFound),
        // The same for both: otherwise numbers of people could be tried for that of an invited one.
        Err(OfferError::NotAnotherMember | OfferError::CannotAccept) => {
            let message = "Choisissez une autre personne rattachée à la structure. Une personne invitée peut être \
                désignée dès qu’elle s’est connectée au portail.";
            refused(&state, &managed, message.to_owned()).await
        }
        Err(OfferError::TooMany { seconds }) => Err(AppError::TooManyRequests { seconds }),
        Err(OfferError::Database(error)) => Err(error.into()),
    }
}

/// Withdraws the offer.
pub async fn withdraw(State(state): State<AppState>, managed: Managed) -> Result<Response, AppError> {
    match succession::withdraw(&state.pool, &managed.visitor.actor, &managed.structure).await {
        Ok(()) => Ok(back(&managed, Notice::SuccessionWithdrawn)),
        Err(OfferError::Database(error)) => Err(error.into()),
        Err(_) => Err(AppError::NotFound),
    }
}

fn back(managed: &Managed, notice: Notice) -> Response {
    Redirect::to(&notice.on(&paths::structure(managed.structure.id()))).into_response()
}

async fn refused(state: &AppState, managed: &Managed, message: String) -> Result<Response, AppError> {
    let errors = Errors(vec![FieldError { field: "membre", message }]);
    page_with_status(StatusCode::UNPROCESSABLE_ENTITY, &confirmation_page(state, managed, None, errors).await?)
}

async fn confirmation_page(
    state: &AppState,
    managed: &Managed,
    selected: Option<i64>,
    errors: Errors,
) -> Result<DesignateManagerPage, AppError> {
    let members = memberships::of_structure(&state.pool, &managed.structure).await?;
    Ok(DesignateManagerPage {
        layout: managed.layout(state, None),
        structure: StructureName::from(&managed.structure),
        candidates: Candidate::among(&members, &managed.structure, selected),
        errors,
    })
}
