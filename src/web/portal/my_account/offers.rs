//! « Examiner la proposition »: a person accepts or declines a structure that they are offered.

use askama::Template;
use axum::{
    extract::{Path, State},
    response::{IntoResponse, Redirect, Response},
};

use crate::{
    db::members::{
        offers::{self, Consequences},
        succession::{self, Answer, Answered},
    },
    web::{
        edge::{
            error::{AppError, page as render},
            state::AppState,
        },
        identity::{
            fresh_form::{FreshForm, Nothing},
            visitor::Visitor,
        },
        paths,
        shell::{
            filters,
            layout::{Layout, Tab},
            notice::Notice,
        },
    },
};

/// The offer, and what follows.
#[derive(Template)]
#[template(path = "my_account/offer.html")]
struct OfferPage {
    layout: Layout,
    offered: Consequences,
}

/// The page.
pub async fn page(
    State(state): State<AppState>,
    visitor: Visitor,
    Path(id): Path<String>,
) -> Result<Response, AppError> {
    let found = offers::find_own(&state.pool, visitor.person.user_id, number(&id)?).await?;
    let offered = found.ok_or(AppError::NotFound)?;
    render(&OfferPage { layout: state.layout(&visitor.person, Tab::MyAccount, None), offered })
}

/// « Accepter »: leads to the page of the structure, which the person now manages.
pub async fn accept(
    State(state): State<AppState>,
    visitor: Visitor,
    Path(id): Path<String>,
    FreshForm(Nothing {}): FreshForm<Nothing>,
) -> Result<Response, AppError> {
    let id = number(&id)?;
    let answered = succession::accept(&state.pool, answer(&visitor, id)).await?;
    leads_to(answered, &Notice::SuccessionAccepted.on(&paths::structure(id)))
}

/// « Refuser ».
pub async fn decline(
    State(state): State<AppState>,
    visitor: Visitor,
    Path(id): Path<String>,
) -> Result<Response, AppError> {
    let answered = succession::decline(&state.pool, answer(&visitor, number(&id)?)).await?;
    leads_to(answered, &Notice::SuccessionDeclined.on(paths::MY_ACCOUNT))
}

/// The number of the offered structure.
fn number(id: &str) -> Result<i64, AppError> {
    id.parse().map_err(|_| AppError::NotFound)
}

fn answer(visitor: &Visitor, structure_id: i64) -> Answer<'_> {
    let Visitor { person, session, actor, .. } = visitor;
    Answer { actor, session, user_id: person.user_id, structure_id }
}

fn leads_to(answered: Answered, next: &str) -> Result<Response, AppError> {
    match answered {
        Answered::Done => Ok(Redirect::to(next).into_response()),
        Answered::NoOffer => Err(AppError::NotFound),
        Answered::SessionEnded => Err(AppError::SignInRequired { expired: true, return_to: None }),
    }
}
