//! The page of a link sent by mail, on which a person chooses their password.

use axum::{
    Form,
    extract::{Path, State},
    http::StatusCode,
    response::{IntoResponse, Redirect, Response},
};
use serde::Deserialize;

use super::{
    pages::{InvitationOverPage, InvitationPage},
    session::Browser,
};
use crate::{
    db::identity::invitations,
    domain::{
        audit::Actor,
        person::{TypedPassword, check_chosen_password},
        random,
    },
    web::{
        edge::{
            error::{AppError, page, page_with_status},
            state::AppState,
        },
        paths,
        shell::{
            form::{Errors, FieldError},
            notice::Notice,
        },
    },
    work_queue::QueueKey,
};

/// The page of the link. It changes nothing, since mail readers open links too.
pub async fn invitation(State(state): State<AppState>, Path(token): Path<String>) -> Result<Response, AppError> {
    match invitations::find(&state.strangers_pool, &random::digest(&token)).await? {
        Some(invited) => page(&InvitationPage::new(&state, token, &invited, Errors::none())),
        None => page_with_status(StatusCode::NOT_FOUND, &InvitationOverPage { layout: state.anonymous_layout(None) }),
    }
}

#[derive(Deserialize)]
pub struct InvitationForm {
    #[serde(rename = "nouveau-mot-de-passe")]
    password: TypedPassword,
}

/// Sets the chosen password and uses the link up. A browser that was known stays known.
///
/// Two calls of `db`, before and after the password is judged and hashed.
pub async fn accept_invitation(
    State(state): State<AppState>,
    browser: Browser,
    Path(token): Path<String>,
    Form(form): Form<InvitationForm>,
) -> Result<Response, AppError> {
    if !state.takes_passwords() {
        return Err(AppError::Forbidden);
    }
    let token_hash = random::digest(&token);
    let over = || page_with_status(StatusCode::NOT_FOUND, &InvitationOverPage { layout: state.anonymous_layout(None) });
    let Some(invited) = invitations::find(&state.strangers_pool, &token_hash).await? else { return over() };
    let key = QueueKey::Person(invited.user_id);
    let (chosen, known) = (form.password.clone(), invited.known_words.clone());
    let judged = state.work_queue.run(key.clone(), move || check_chosen_password(&chosen, &known)).await?;
    if let Err(error) = judged {
        let errors = Errors(vec![FieldError { field: "nouveau-mot-de-passe", message: error.to_string() }]);
        let page = InvitationPage::new(&state, token, &invited, errors);
        return page_with_status(StatusCode::UNPROCESSABLE_ENTITY, &page);
    }
    let hash = state.work_queue.hash(key, form.password, &mut random::os_rng()).await?;
    let actor =
        Actor { user_id: Some(invited.user_id), name: invited.login.clone(), address: browser.address.to_string() };
    let Some(epoch) = invitations::accept(&state.strangers_pool, &actor, &token_hash, &hash).await? else {
        return over();
    };
    let answer = Redirect::to(&Notice::PasswordChosen.on(paths::SIGN_IN)).into_response();
    Ok(browser.mark_again(&state, &actor.name, epoch, answer))
}
