//! The second step of « Connexion », for who has a second factor.

use axum::{
    Extension,
    extract::State,
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Redirect, Response},
};
use serde::Deserialize;
use tower_sessions::Session;

use super::{
    kept_form::{Carrying, KeptFields, resume},
    pages::SignInCodePage,
    session::open_session,
    verification::{self, Verdict},
    visitor::Visitor,
};
use crate::{
    db::identity::sessions::{self, HalfSignedIn},
    domain::{audit::Actor, envelope::SessionSecret, person::TypedPassword},
    web::{
        edge::{
            context::RequestContext,
            error::{AppError, page, page_with_status, rate_limited},
            origin::destination,
            state::AppState,
        },
        paths,
        shell::{
            form::{Errors, FieldError},
            notice::Notice,
        },
    },
};

/// The form, for who has just given the right password.
pub async fn form(
    State(state): State<AppState>,
    visitor: Result<Visitor, AppError>,
    session: Session,
) -> Result<Response, AppError> {
    match find(&state, &session).await? {
        Some(_) => {
            page(&SignInCodePage { layout: state.anonymous_layout(None), typed: Vec::new(), errors: Errors::none() })
        }
        None => Ok(elsewhere(visitor.is_ok())),
    }
}

#[derive(Deserialize)]
pub struct CodeForm {
    #[serde(default)]
    code: TypedPassword,
}

/// Signs the person in if the code is right.
pub async fn submit(
    State(state): State<AppState>,
    visitor: Result<Visitor, AppError>,
    Extension(context): Extension<RequestContext>,
    (session, headers): (Session, HeaderMap),
    Carrying { form, typed }: Carrying<CodeForm>,
) -> Result<Response, AppError> {
    let Some(half) = find(&state, &session).await? else { return Ok(elsewhere(visitor.is_ok())) };
    let actor = Actor { user_id: Some(half.user_id), name: half.login.clone(), address: context.address.to_string() };
    match verification::judge(&state, &actor, half.user_id, form.code.expose()).await? {
        Verdict::Right => {
            open_session(&state, &session, (half.user_id, &half.password_hash), &actor, &headers).await?;
            let resumed = resume(&state, &session, half.return_to.as_deref(), typed).await?;
            Ok(resumed.unwrap_or_else(|| Redirect::to(&destination(half.return_to.as_deref())).into_response()))
        }
        Verdict::Wrong => {
            sessions::record_failure(&state.pool, &actor, "code de vérification").await?;
            let message =
                "Le code est incorrect ou a déjà servi. Saisissez le code que votre application affiche maintenant.";
            refuse(&state, message.into(), typed)
        }
        Verdict::Wait(seconds) => {
            Ok(rate_limited(refuse(&state, verification::too_many_attempts(seconds), typed)?, seconds))
        }
    }
}

async fn find(state: &AppState, session: &Session) -> Result<Option<HalfSignedIn>, AppError> {
    let Some(id) = session.id() else { return Ok(None) };
    Ok(sessions::find_half_signed_in(&state.pool, &SessionSecret::new(id.0)).await?)
}

/// Who is not half signed in is signed in already, or begins anew.
fn elsewhere(is_signed_in: bool) -> Response {
    let url = if is_signed_in { paths::HOME.to_owned() } else { Notice::SessionExpired.on(paths::SIGN_IN) };
    Redirect::to(&url).into_response()
}

fn refuse(state: &AppState, message: String, typed: KeptFields) -> Result<Response, AppError> {
    let errors = Errors(vec![FieldError { field: "code", message }]);
    let page = SignInCodePage { layout: state.anonymous_layout(None), typed, errors };
    page_with_status(StatusCode::UNPROCESSABLE_ENTITY, &page)
}
