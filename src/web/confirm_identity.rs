//! « Confirmez votre identité », answered: the session begins anew, and the act that was under way goes on.

use axum::{
    Extension, Form,
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Redirect, Response},
};
use tower_sessions::Session;

use super::{
    edge::RequestContext,
    error::AppError,
    fresh_form::ask,
    layout::{Errors, FieldError},
    own_pages::is_ours,
    state::AppState,
    visitor::Visitor,
};
use crate::{
    db::{
        sessions,
        throttles::{self, Scope},
        users,
    },
    domain::{envelope::SessionSecret, network::network_of, person::TypedPassword},
    hashing::Asker,
};

struct ConfirmationForm {
    target: String,
    password: TypedPassword,
}

/// Checks the password, as slowly as sign-in does for who guesses. 307: the browser sends the same form to where it was going,
/// which takes from it what it knows.
pub async fn submit(
    State(state): State<AppState>,
    visitor: Visitor,
    Extension(context): Extension<RequestContext>,
    session: Session,
    Form(sent): Form<Vec<(String, String)>>,
) -> Result<Response, AppError> {
    let form = read(&sent)?;
    let person = &visitor.person;
    let refuse = |status, message: String| {
        let errors = Errors(vec![FieldError { field: "confirmation-mot-de-passe", message }]);
        ask(&state, &visitor, form.target.clone(), sent.clone(), (status, errors))
    };
    let network = network_of(context.address);
    if let Some(seconds) = throttles::wait(&state.pool, Scope::SignIn, &person.login, &network).await? {
        let s = if seconds > 1 { "s" } else { "" };
        let message = format!("Trop de tentatives. Veuillez patienter {seconds} seconde{s} avant de réessayer.");
        let mut response = refuse(StatusCode::TOO_MANY_REQUESTS, message)?;
        response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
        return Ok(response);
    }
    let hash = users::find_credentials(&state.pool, &person.login).await?.and_then(|found| found.password_hash);
    if !state.hasher.verify(Asker::Person(person.user_id), form.password, hash).await? {
        throttles::fail(&state.pool, Scope::SignIn, &person.login, &network).await?;
        sessions::record_failed_confirmation(&state.pool, &visitor.actor).await?;
        return refuse(StatusCode::UNPROCESSABLE_ENTITY, "Le mot de passe est incorrect.".into());
    }
    throttles::forget(&state.pool, Scope::SignIn, &person.login, &network).await?;
    renew(&state, &visitor, &session).await?;
    Ok(Redirect::temporary(&form.target).into_response())
}

fn read(sent: &[(String, String)]) -> Result<ConfirmationForm, AppError> {
    let field = |name: &str| sent.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone());
    let form = ConfirmationForm {
        target: field("confirmation-suite").ok_or(AppError::Unprocessable)?,
        password: TypedPassword::new(field("confirmation-mot-de-passe").unwrap_or_default()),
    };
    if is_ours(&form.target) { Ok(form) } else { Err(AppError::Unprocessable) }
}

/// A new session id (ASVS 7.2.4). Where the act cannot be written down, the new session ends at once.
async fn renew(state: &AppState, visitor: &Visitor, session: &Session) -> Result<(), AppError> {
    session.cycle_id().await?;
    session.save().await?;
    let id = session.id().ok_or_else(|| AppError::Internal("a saved session has no id".into()))?;
    if let Err(error) = sessions::renew(&state.pool, &visitor.actor, &visitor.session, &SessionSecret::new(id.0)).await
    {
        session.flush().await?;
        return Err(error.into());
    }
    Ok(())
}
