//! The second step of « Connexion »: the code of the second factor.

use axum::{
    extract::{FromRequestParts, State},
    http::{StatusCode, request::Parts},
    response::{IntoResponse, Redirect, Response},
};
use serde::Deserialize;

use super::{
    kept_form::{Carrying, KeptFields, resume},
    pages::SignInCodePage,
    session::Browser,
    verification::{self, Verdict},
    visitor::Visitor,
};
use crate::{
    db::identity::{
        second_factors::CodePlace,
        sessions::{self, PendingSignIn},
    },
    domain::{audit::Actor, person::TypedPassword},
    web::{
        edge::{
            error::{AppError, page, page_with_status, rate_limited},
            redirect_guard::destination,
            state::AppState,
        },
        paths,
        shell::{
            form::{Errors, FieldError},
            notice::Notice,
        },
    },
};

/// The browser's sign-in that waits for the code. Without one, the visitor is signed in already,
/// or must begin anew.
pub struct Pending(PendingSignIn);

impl FromRequestParts<AppState> for Pending {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, Response> {
        let found = find(parts, state).await.map_err(IntoResponse::into_response)?;
        if let Some(pending) = found {
            return Ok(Self(pending));
        }
        let is_signed_in = Visitor::from_request_parts(parts, state).await.is_ok();
        let url = if is_signed_in { paths::HOME.to_owned() } else { Notice::SessionExpired.on(paths::SIGN_IN) };
        Err(Redirect::to(&url).into_response())
    }
}

async fn find(parts: &mut Parts, state: &AppState) -> Result<Option<PendingSignIn>, AppError> {
    match Browser::from_request_parts(parts, state).await?.session() {
        Some(session) => Ok(sessions::find_pending(&state.strangers_pool, session).await?),
        None => Ok(None),
    }
}

/// The form.
pub async fn form(State(state): State<AppState>, _: Pending) -> Result<Response, AppError> {
    page(&SignInCodePage { layout: state.anonymous_layout(None), typed: Vec::new(), errors: Errors::none() })
}

#[derive(Deserialize)]
pub struct CodeForm {
    #[serde(default)]
    code: TypedPassword,
}

/// Signs the person in if the code is right.
///
/// Several calls of `db`: an attempt stays counted, and a code used, whatever fails after it. A
/// carried form needs the new session's person, who is read last.
pub async fn submit(
    State(state): State<AppState>,
    Pending(pending): Pending,
    browser: Browser,
    Carrying { form, typed, forms }: Carrying<CodeForm>,
) -> Result<Response, AppError> {
    let user_id = pending.proof.user_id();
    let actor = Actor { user_id: Some(user_id), name: pending.login.clone(), address: browser.address.to_string() };
    let source = browser.source(&state, &pending.login).await?;
    let place = CodePlace::SignIn(&source);
    match verification::verify_code(&state, &actor, user_id, place, form.code.expose()).await? {
        Verdict::Right(()) => {
            let (session, epoch) = browser.complete(&state, &actor, &pending).await?;
            let return_to = pending.return_to.as_deref();
            let resumed = resume(&state, forms, &session, return_to, typed).await?;
            let answer = resumed.unwrap_or_else(|| Redirect::to(&destination(return_to)).into_response());
            Ok(browser.mark_known(&state, &pending.login, epoch, answer))
        }
        Verdict::Wrong => {
            let message =
                "Le code est incorrect ou a déjà servi. Saisissez le code que votre application affiche maintenant.";
            refuse(&state, message.into(), typed)
        }
        Verdict::Wait(seconds) => {
            Ok(rate_limited(refuse(&state, verification::too_many_attempts(seconds), typed)?, seconds))
        }
    }
}

fn refuse(state: &AppState, message: String, typed: KeptFields) -> Result<Response, AppError> {
    let errors = Errors(vec![FieldError { field: "code", message }]);
    let page = SignInCodePage { layout: state.anonymous_layout(None), typed, errors };
    page_with_status(StatusCode::UNPROCESSABLE_ENTITY, &page)
}
