//! « Examiner la proposition »: a person accepts or declines a structure that they are offered.

use askama::Template;
use axum::{
    extract::{Path, State},
    http::StatusCode,
    response::{IntoResponse, Redirect, Response},
};
use serde::Deserialize;

use crate::{
    db::members::{
        offers::{self, Consequences},
        succession::{self, Answer, Answered},
    },
    web::{
        edge::{
            error::{AppError, page as render, page_with_status},
            state::AppState,
        },
        identity::{fresh_form::FreshForm, visitor::Visitor},
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
    /// Whether it was accepted as it was before.
    is_changed: bool,
}

/// The page.
pub async fn page(
    State(state): State<AppState>,
    visitor: Visitor,
    Path(id): Path<String>,
) -> Result<Response, AppError> {
    render(&offer_page(&state, &visitor, number(&id)?, false).await?)
}

async fn offer_page(
    state: &AppState,
    visitor: &Visitor,
    structure_id: i64,
    is_changed: bool,
) -> Result<OfferPage, AppError> {
    let found = offers::find_own(&state.pool, visitor.person.user_id, structure_id).await?;
    let offered = found.ok_or(AppError::NotFound)?;
    Ok(OfferPage { layout: state.layout(&visitor.person, Tab::MyAccount, None), offered, is_changed })
}

/// What the person saw of the structure.
#[derive(Deserialize)]
pub struct Seen {
    #[serde(rename = "vu", default)]
    seen: String,
}

/// « Accepter »: leads to the page of the structure, which the person now manages. Where the
/// structure's accounts have changed since the page was shown, it is shown again.
///
/// Two calls of `db` then.
pub async fn accept(
    State(state): State<AppState>,
    visitor: Visitor,
    Path(id): Path<String>,
    FreshForm(Seen { seen }): FreshForm<Seen>,
) -> Result<Response, AppError> {
    let id = number(&id)?;
    let answered = succession::accept(&state.pool, answer(&visitor, id), &seen).await?;
    if answered == Answered::Changed {
        return page_with_status(StatusCode::CONFLICT, &offer_page(&state, &visitor, id, true).await?);
    }
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
        Answered::NoOffer | Answered::Changed => Err(AppError::NotFound),
        Answered::SessionEnded => Err(AppError::SignInRequired { expired: true, return_to: None }),
    }
}
