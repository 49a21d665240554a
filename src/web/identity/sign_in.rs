//! « Connexion », its end, and the invitation by which a person gets her first password.

use axum::{
    Extension,
    extract::{Query, State},
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Redirect, Response},
};
use serde::Deserialize;
use tower_sessions::Session;

use super::{
    kept_form::{Carrying, KeptFields, resume},
    pages::{SignInCodePage, SignInPage, SignInRefusal},
    session::{open_half, open_session},
    visitor::Visitor,
};
use crate::{
    db::{
        identity::{self, second_factors, sessions},
        throttles::{self, Scope},
    },
    domain::{
        audit::Actor,
        network::network_of,
        password::PasswordHash,
        person::{TypedPassword, normalized_login},
        random,
        technical_user::is_technical_login,
    },
    hashing::QueueKey,
    web::{
        edge::{
            context::RequestContext,
            error::{AppError, page, page_with_status, rate_limited},
            origin::destination,
            state::AppState,
        },
        paths,
        shell::{
            form::Errors,
            notice::{Notice, NoticeQuery},
        },
    },
};

/// `/`: sends people to the first page that they may see.
pub async fn home(visitor: Visitor) -> Redirect {
    Redirect::to(if visitor.person.is_principal_manager { paths::ACTIVITIES } else { paths::MY_ACCOUNT })
}

#[derive(Deserialize)]
pub struct ReturnTo {
    suite: Option<String>,
}

/// The sign-in form; who is signed in already goes on.
pub async fn form(
    State(state): State<AppState>,
    visitor: Result<Visitor, AppError>,
    Query(notice): Query<NoticeQuery>,
    Query(query): Query<ReturnTo>,
) -> Result<Response, AppError> {
    if visitor.is_ok() {
        return Ok(Redirect::to(&destination(query.suite.as_deref())).into_response());
    }
    let layout = state.anonymous_layout(notice.notice());
    page(&SignInPage { layout, login: String::new(), refusal: None, return_to: query.suite, typed: Vec::new() })
}

#[derive(Deserialize)]
pub struct SignInForm {
    identifiant: String,
    #[serde(rename = "mot-de-passe")]
    password: TypedPassword,
    suite: Option<String>,
}

/// Signs a person in, or halfway where she has a second factor. One answer for every failure, after
/// the same work; a technical login is told so without being looked up (rule 4).
pub async fn submit(
    State(state): State<AppState>,
    Extension(context): Extension<RequestContext>,
    (session, headers): (Session, HeaderMap),
    Carrying { form, typed }: Carrying<SignInForm>,
) -> Result<Response, AppError> {
    let refuse = |refusal| refused(&state, &form, &typed, refusal);
    if is_technical_login(&form.identifiant) {
        return refuse(SignInRefusal::TechnicalAccount);
    }
    let login = normalized_login(&form.identifiant);
    let network = network_of(context.address);
    if let Some(seconds) = throttles::wait(&state.pool, Scope::SignIn.key(&login, &network)).await? {
        return refuse(SignInRefusal::TooManyAttempts { seconds });
    }
    let credentials = identity::find_credentials(&state.pool, &login).await?;
    let hash = credentials.as_ref().and_then(|credentials| credentials.password_hash.clone());
    let verified = state.hasher.verify(QueueKey::Portal(network.clone()), form.password.clone(), hash).await?;
    let address = context.address.to_string();
    let actor = match &credentials {
        Some(credentials) => Actor { user_id: Some(credentials.user_id), name: login.clone(), address },
        None => Actor::unknown(address),
    };
    let known = credentials.filter(|_| verified);
    let Some((user_id, hash)) = known.and_then(|known| Some((known.user_id, known.password_hash?))) else {
        throttles::fail(&state.pool, Scope::SignIn.key(&login, &network)).await?;
        sessions::record_failure(&state.pool, &actor, "").await?;
        return refuse(SignInRefusal::WrongCredentials);
    };
    throttles::reset(&state.pool, Scope::SignIn.key(&login, &network)).await?;
    let hash = renew_outdated_hash(&state, user_id, hash, &form.password).await?;
    let factor = second_factors::find(&state.pool, user_id).await?;
    if factor.is_some_and(|factor| factor.confirmed_at.is_some()) {
        open_half(&session, (user_id, &hash), form.suite.as_deref()).await?;
        if !typed.is_empty() {
            return page(&SignInCodePage { layout: state.anonymous_layout(None), typed, errors: Errors::none() });
        }
        return Ok(Redirect::to(paths::SIGN_IN_CODE).into_response());
    }
    open_session(&state, &session, (user_id, &hash), &actor, &headers).await?;
    let resumed = resume(&state, &session, form.suite.as_deref(), typed).await?;
    Ok(resumed.unwrap_or_else(|| Redirect::to(&destination(form.suite.as_deref())).into_response()))
}

fn refused(
    state: &AppState,
    form: &SignInForm,
    typed: &KeptFields,
    refusal: SignInRefusal,
) -> Result<Response, AppError> {
    let seconds = match refusal {
        SignInRefusal::TooManyAttempts { seconds } => Some(seconds),
        _ => None,
    };
    let page = SignInPage {
        layout: state.anonymous_layout(None),
        login: form.identifiant.clone(),
        refusal: Some(refusal),
        return_to: form.suite.clone(),
        typed: typed.clone(),
    };
    let page = page_with_status(StatusCode::UNPROCESSABLE_ENTITY, &page)?;
    Ok(match seconds {
        Some(seconds) => rate_limited(page, seconds),
        None => page,
    })
}

/// The hash that stands for the password from now on.
async fn renew_outdated_hash(
    state: &AppState,
    user_id: i64,
    old: PasswordHash,
    password: &TypedPassword,
) -> Result<PasswordHash, AppError> {
    if !old.is_outdated() {
        return Ok(old);
    }
    let new = state.hasher.hash(QueueKey::Person(user_id), password.clone(), &mut random::os_rng()).await?;
    identity::renew_hash(&state.pool, user_id, &old, &new).await?;
    Ok(new)
}

/// « Rester connecté », before half an hour without a request is over: reading the session was all.
pub async fn extend_session(_: Visitor) -> StatusCode {
    StatusCode::NO_CONTENT
}

/// Ends the session here and in the browser.
pub async fn sign_out(
    State(state): State<AppState>,
    visitor: Result<Visitor, AppError>,
    session: Session,
) -> Result<Redirect, AppError> {
    if let Ok(visitor) = visitor {
        sessions::sign_out(&state.pool, &visitor.actor, &visitor.session).await?;
    }
    session.flush().await?;
    Ok(Redirect::to(&Notice::SignedOut.on(paths::SIGN_IN)))
}
