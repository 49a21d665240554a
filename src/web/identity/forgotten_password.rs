//! « Mot de passe oublié »: asks for a link by mail. The answer, and the time it takes, do not tell
//! whether anybody is known by what was typed.

use axum::{
    Extension, Form,
    extract::{Query, State},
    http::StatusCode,
    response::{IntoResponse, Redirect, Response},
};
use serde::Deserialize;

use super::pages::ForgottenPasswordPage;
use crate::{
    db::{
        identity::invitations,
        throttles::{self, Scope},
    },
    domain::{audit::Actor, network::network_of, person::normalized_login},
    french,
    web::{
        edge::{
            context::RequestContext,
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

/// The form, also after its answer.
pub async fn form(State(state): State<AppState>, Query(notice): Query<NoticeQuery>) -> Result<Response, AppError> {
    let layout = state.anonymous_layout(notice.notice());
    page(&ForgottenPasswordPage { layout, named: String::new(), errors: Errors::none() })
}

#[derive(Deserialize)]
pub struct NameForm {
    #[serde(default)]
    identifiant: String,
}

/// Takes the request; each one counts, so that nobody's letter box is filled.
pub async fn ask(
    State(state): State<AppState>,
    Extension(context): Extension<RequestContext>,
    Form(form): Form<NameForm>,
) -> Result<Response, AppError> {
    let named: String = normalized_login(&form.identifiant).chars().filter(|c| !c.is_control()).take(254).collect();
    if named.is_empty() {
        let message = "Saisissez votre identifiant de connexion ou votre adresse de contact.".to_owned();
        return refuse(&state, form.identifiant, message);
    }
    let network = network_of(context.address);
    // Before anything is written: a flood writes nothing.
    if let Some(seconds) = throttles::wait(&state.pool, Scope::PasswordLink.key("", &network)).await? {
        return too_many_from_here(&state, form.identifiant, seconds);
    }
    if let Some(seconds) = throttles::wait(&state.pool, Scope::PasswordLink.key(&named, &network)).await? {
        let wait = french::seconds(seconds);
        let message = format!("Trop de demandes. Veuillez patienter {wait} avant de recommencer.");
        return Ok(rate_limited(refuse(&state, form.identifiant, message)?, seconds));
    }
    throttles::fail(&state.pool, Scope::PasswordLink.key(&named, &network)).await?;
    let actor = Actor::unknown(context.address.to_string());
    if let Some(seconds) = invitations::ask_again(&state.pool, &actor, &named, &network).await? {
        return too_many_from_here(&state, form.identifiant, seconds);
    }
    Ok(Redirect::to(&Notice::PasswordLinkAsked.on(paths::FORGOTTEN_PASSWORD)).into_response())
}

fn too_many_from_here(state: &AppState, named: String, seconds: u32) -> Result<Response, AppError> {
    let message = "Beaucoup de demandes viennent du même réseau que la vôtre. Réessayez dans dix minutes.".to_owned();
    Ok(rate_limited(refuse(state, named, message)?, seconds))
}

fn refuse(state: &AppState, named: String, message: String) -> Result<Response, AppError> {
    let errors = Errors(vec![FieldError { field: "identifiant", message }]);
    let page = ForgottenPasswordPage { layout: state.anonymous_layout(None), named, errors };
    page_with_status(StatusCode::UNPROCESSABLE_ENTITY, &page)
}
