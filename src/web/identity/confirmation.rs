//! The answer to « Confirmez votre identité »: the session gets a new id, and the act that asked
//! for it goes on.

use axum::{
    Form,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Redirect, Response},
};

use super::{
    fresh_form::ask,
    session::Browser,
    verification::{self, Verdict, or_give_back},
    visitor::Visitor,
};
use crate::{
    db::identity::{
        locks::{FirstFactor, VerifiedPassword},
        second_factors::CodePlace,
        sessions::{self, Reauthentication},
    },
    domain::person::TypedPassword,
    web::{
        edge::{
            error::{AppError, rate_limited},
            redirect_guard::is_local_path,
            state::AppState,
        },
        shell::form::{Errors, FieldError},
    },
};

struct ConfirmationForm {
    target: String,
    password: TypedPassword,
    /// Empty where the person has no second factor.
    code: TypedPassword,
}

/// Checks the password and, where there is a second factor, the code; guessing is slowed as at
/// sign-in, for this session alone. The answer 307 has the browser send the same form to where it
/// was going, which reads its own fields from it.
///
/// Several calls of `db`: the password is verified between them, and an attempt stays counted, and
/// a code used, whatever fails after it.
pub async fn submit(
    State(state): State<AppState>,
    visitor: Visitor,
    browser: Browser,
    Form(sent): Form<Vec<(String, String)>>,
) -> Result<Response, AppError> {
    let form = read(&sent)?;
    if !state.takes_passwords() {
        return Err(AppError::Forbidden);
    }
    let refuse = |field, message: String| {
        let errors = Errors(vec![FieldError { field, message }]);
        ask(&state, &visitor, form.target.clone(), sent.clone(), (StatusCode::UNPROCESSABLE_ENTITY, errors))
    };
    let wait = |seconds| {
        let page = refuse("confirmation-mot-de-passe", verification::too_many_attempts(seconds))?;
        Ok(rate_limited(page, seconds))
    };
    let verified = match verification::verify_own_password(&state, &visitor, form.password).await? {
        Verdict::Right(verified) => verified,
        Verdict::Wait(seconds) => return wait(seconds),
        Verdict::Wrong => {
            sessions::record_failed_confirmation(&state.pool, &visitor.actor).await?;
            let message = "Le mot de passe est incorrect.".into();
            return refuse("confirmation-mot-de-passe", message);
        }
    };
    let counted = verified.counted.clone();
    let confirmed = confirm(&state, &visitor, &browser, verified, &form.code).await;
    match or_give_back(&state, &counted, confirmed).await? {
        Verdict::Right(()) => Ok(Redirect::temporary(&form.target).into_response()),
        Verdict::Wait(seconds) => wait(seconds),
        Verdict::Wrong => refuse("confirmation-code", "Le code est incorrect ou a déjà servi.".into()),
    }
}

/// Gives the session of a person whose password was verified a new id, if their code is right or
/// they have no second factor.
async fn confirm(
    state: &AppState,
    visitor: &Visitor,
    browser: &Browser,
    verified: VerifiedPassword,
    code: &TypedPassword,
) -> Result<Verdict, AppError> {
    let person = &visitor.person;
    if person.has_second_factor {
        let place = CodePlace::Session(&visitor.session);
        match verification::verify_code(state, &visitor.actor, person.user_id, place, code.expose()).await? {
            Verdict::Right(()) => {}
            refused => return Ok(refused),
        }
    }
    let proof = Reauthentication { proof: FirstFactor::Password(verified), with_code: person.has_second_factor };
    browser.renew(state, visitor, &proof).await?;
    Ok(Verdict::Right(()))
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
