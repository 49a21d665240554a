//! « Mot de passe oublié »: asks for a link by mail. The answer, and the time it takes, do not tell
//! whether a person is known by what was typed.

use axum::{
    Form,
    extract::{Query, State},
    http::StatusCode,
    response::{IntoResponse, Redirect, Response},
};
use serde::Deserialize;

use super::{pages::ForgottenPasswordPage, session::Browser};
use crate::{
    db::identity::invitations::{self, Request},
    domain::{audit::Actor, person::normalized_login},
    french,
    web::{
        edge::{
            error::{AppError, page, page_with_status, rate_limited},
            state::AppState,
        },
        paths,
        shell::{
            form::{Errors, FieldError},
            notice::{Notice, NoticeQuery},
        },
    },
};

/// The form, which also shows that a request was taken.
pub async fn form(State(state): State<AppState>, Query(notice): Query<NoticeQuery>) -> Result<Response, AppError> {
    let layout = state.anonymous_layout(notice.notice());
    page(&ForgottenPasswordPage { layout, named: String::new(), errors: Errors::none() })
}

#[derive(Deserialize)]
pub struct NameForm {
    #[serde(default)]
    identifiant: String,
}

/// Takes the request.
pub async fn ask(
    State(state): State<AppState>,
    browser: Browser,
    Form(form): Form<NameForm>,
) -> Result<Response, AppError> {
    let named: String = normalized_login(&form.identifiant).chars().filter(|c| !c.is_control()).take(254).collect();
    if named.is_empty() {
        let message = "Saisissez votre identifiant de connexion ou votre adresse de contact.".to_owned();
        return refuse(&state, form.identifiant, message);
    }
    let actor = Actor::unknown(browser.address.to_string());
    let _turn = browser.turn(&state).await?;
    let (message, seconds) =
        match invitations::request(&state.strangers_pool, &actor, &named, &browser.source(&state, &named)).await? {
            Request::Taken => {
                return Ok(Redirect::to(&Notice::PasswordLinkAsked.on(paths::FORGOTTEN_PASSWORD)).into_response());
            }
            Request::TooOftenNamed { seconds } => {
                let wait = french::seconds(seconds);
                (format!("Trop de demandes. Veuillez patienter {wait} avant de recommencer."), seconds)
            }
            Request::TooOftenFromNetwork { seconds } => {
                let message = "Beaucoup de demandes viennent du même réseau que la vôtre. Réessayez dans dix minutes.";
                (message.to_owned(), seconds)
            }
        };
    Ok(rate_limited(refuse(&state, form.identifiant, message)?, seconds))
}

fn refuse(state: &AppState, named: String, message: String) -> Result<Response, AppError> {
    let errors = Errors(vec![FieldError { field: "identifiant", message }]);
    let page = ForgottenPasswordPage { layout: state.anonymous_layout(None), named, errors };
    page_with_status(StatusCode::UNPROCESSABLE_ENTITY, &page)
}
