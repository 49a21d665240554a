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
    db::{
        identity::invitations::{self, Request},
        throttles::Source,
    },
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

/// Where the request comes from. A browser is known by its person's login; an address that is typed
/// stands for it.
async fn source(state: &AppState, browser: &Browser, named: &str) -> Result<Source, AppError> {
    let logins = invitations::logins_named(&state.strangers_pool, named).await?;
    for login in logins {
        let source = browser.source(state, &login).await?;
        if matches!(source, Source::KnownBrowser(_)) {
            return Ok(source);
        }
    }
    Ok(Source::Address(browser.address))
}

/// Takes the request.
///
/// Several calls of `db`: the logins that are named, and for each the mark of this browser, decide
/// by which source the request is counted.
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
    let _turn = browser.turn_of(&state, &named).await?;
    let source = source(&state, &browser, &named).await?;
    let (message, seconds) = match invitations::request(&state.strangers_pool, &actor, &named, &source).await? {
        Request::Taken => {
            return Ok(Redirect::to(&Notice::PasswordLinkAsked.on(paths::FORGOTTEN_PASSWORD)).into_response());
        }
        Request::TooOftenNamed { seconds } => {
            let wait = french::seconds(seconds);
            (format!("Trop de demandes. Veuillez patienter {wait} avant de recommencer."), seconds)
        }
        Request::TooOftenFromNetwork { seconds } => {
            let message = "Beaucoup de demandes viennent du même réseau que la vôtre. Réessayez dans dix minutes. D’ici \
                là, faites votre demande depuis un autre réseau (avec votre téléphone, par exemple), ou depuis un \
                navigateur dans lequel vous vous êtes déjà connecté.";
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
