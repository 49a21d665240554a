//! « Confirmez votre identité », answered: the session begins anew, and the act that was under way
//! goes on.

use axum::{
    Extension, Form,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Redirect, Response},
};
use tower_sessions::Session;

use super::{
    fresh_form::ask,
    verification::{self, Verdict},
    visitor::Visitor,
};
use crate::{
    db::{
        identity::sessions,
        throttles::{self, Scope},
    },
    domain::{envelope::SessionSecret, network::network_of, person::TypedPassword},
    web::{
        edge::{
            context::RequestContext,
            error::{AppError, rate_limited},
            origin::is_local_path,
            state::AppState,
        },
        shell::form::{Errors, FieldError},
    },
};

struct ConfirmationForm {
    target: String,
    password: TypedPassword,
    /// Empty for who has no second factor.
    code: TypedPassword,
}

/// Checks the password and, where there is a second factor, the code, as slowly as sign-in does for
/// who guesses. 307: the browser sends the same form to where it was going, which takes from it
/// what it knows.
pub async fn submit(
    State(state): State<AppState>,
    visitor: Visitor,
    Extension(context): Extension<RequestContext>,
    session: Session,
    Form(sent): Form<Vec<(String, String)>>,
) -> Result<Response, AppError> {
    let form = read(&sent)?;
    let person = &visitor.person;
    let refuse = |field, message: String| {
        let errors = Errors(vec![FieldError { field, message }]);
        ask(&state, &visitor, form.target.clone(), sent.clone(), (StatusCode::UNPROCESSABLE_ENTITY, errors))
    };
    let network = network_of(context.address);
    let wait = |seconds| {
        let page = refuse("confirmation-mot-de-passe", verification::too_many_attempts(seconds))?;
        Ok(rate_limited(page, seconds))
    };
    match verification::judge_own_password(&state, person, &network, form.password).await? {
        Verdict::Right => {}
        Verdict::Wait(seconds) => return wait(seconds),
        Verdict::Wrong => {
            sessions::record_failed_confirmation(&state.pool, &visitor.actor).await?;
            let message = "Le mot de passe est incorrect.".into();
            return refuse("confirmation-mot-de-passe", message);
        }
    }
    if person.has_second_factor {
        match verification::judge(&state, &visitor.actor, person.user_id, form.code.expose()).await? {
            Verdict::Right => {}
            Verdict::Wait(seconds) => return wait(seconds),
            Verdict::Wrong => {
                sessions::record_failed_confirmation(&state.pool, &visitor.actor).await?;
                let message = "Le code est incorrect ou a déjà servi.".into();
                return refuse("confirmation-code", message);
            }
        }
    }
    throttles::reset(&state.pool, Scope::SignIn.key(&person.login, &network)).await?;
    renew(&state, &visitor, &session).await?;
    Ok(Redirect::temporary(&form.target).into_response())
}

fn read(sent: &[(String, String)]) -> Result<ConfirmationForm, AppError> {
    let field = |name: &str| sent.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone());
    let form = ConfirmationForm {
        target: field("confirmation-suite").ok_or(AppError::Unprocessable)?,
        password: TypedPassword::new(field("confirmation-mot-de-passe").unwrap_or_default()),
        code: TypedPassword::new(field("confirmation-code").unwrap_or_default()),
    };
    if is_local_path(&form.target) { Ok(form) } else { Err(AppError::Unprocessable) }
}

/// A new session id (ASVS 7.2.4), for what is left of the session's 12 hours (7.3.2). Where the act
/// cannot be written down, the new session ends at once.
async fn renew(state: &AppState, visitor: &Visitor, session: &Session) -> Result<(), AppError> {
    // What it holds goes into the new one.
    session.load().await?;
    let since = sessions::end_for_renewal(&state.pool, &visitor.session).await?;
    let since = since.ok_or(AppError::SignInRequired { expired: true, return_to: None })?;
    session.cycle_id().await?;
    session.save().await?;
    let id = session.id().ok_or_else(|| AppError::Internal("a saved session has no id".into()))?;
    let old = (&visitor.session, since);
    if let Err(error) = sessions::renew(&state.pool, &visitor.actor, old, &SessionSecret::new(id.0)).await {
        session.flush().await?;
        return Err(error.into());
    }
    Ok(())
}
