//! « Connexion » and sign-out.

use axum::{
    extract::{Query, State},
    http::StatusCode,
    response::{IntoResponse, Redirect, Response},
};
use serde::Deserialize;

use super::{
    kept_form::{Carrying, KeptFields, resume},
    pages::{SignInCodePage, SignInPage, SignInRefusal},
    provider,
    session::{Begun, Browser},
    verification::{or_give_back, verify_counted},
    visitor::Visitor,
};
use crate::{
    db::{
        identity::{
            locks::{FirstFactor, VerifiedPassword},
            passwords, sessions,
            sign_in::{self, Attempt},
        },
        throttles::{Counted, Source},
    },
    domain::{
        audit::Actor,
        password::PasswordHash,
        person::{TypedPassword, normalized_login},
        random,
        technical_user::is_technical_login,
    },
    web::{
        edge::{
            error::{AppError, page, page_with_status, rate_limited},
            redirect_guard::destination,
            state::AppState,
        },
        paths,
        shell::{
            form::Errors,
            notice::{Notice, NoticeQuery},
        },
    },
    work_queue::QueueKey,
};

/// `/`: sends people to the first page that they may see.
pub async fn home(visitor: Visitor) -> Redirect {
    Redirect::to(if visitor.person.is_principal_manager { paths::ACTIVITIES } else { paths::MY_ACCOUNT })
}

#[derive(Deserialize)]
pub struct ReturnTo {
    suite: Option<String>,
}

/// The sign-in form. A visitor who is signed in already goes on to their page.
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
    page(&SignInPage::new(&state, layout, query.suite, Vec::new()))
}

#[derive(Deserialize)]
pub struct SignInForm {
    identifiant: String,
    #[serde(rename = "mot-de-passe")]
    password: TypedPassword,
    suite: Option<String>,
}

/// Signs a person in, or has them asked for a code. One answer for every failure, after the same
/// work; a technical login is refused as such without being looked up (rule 4).
///
/// Several calls of `db`, before and after the password is verified. An outdated hash is renewed,
/// and the new session's person is read, only where that is needed.
pub async fn submit(
    State(state): State<AppState>,
    browser: Browser,
    Carrying { form, typed, forms }: Carrying<SignInForm>,
) -> Result<Response, AppError> {
    let refuse = |refusal| refused(&state, &form, &typed, refusal);
    if !state.takes_passwords() {
        return refuse(SignInRefusal::PasswordsClosed);
    }
    if is_technical_login(&form.identifiant) {
        return refuse(SignInRefusal::TechnicalAccount);
    }
    let login = normalized_login(&form.identifiant);
    let turn = browser.turn_of(&state, &login).await?;
    let source = browser.source(&state, &login).await?;
    let stand_in = state.keys()?.stand_in_for_hash(&login);
    let (credentials, counted) = match sign_in::attempt(&state.strangers_pool, &login, &stand_in, &source).await? {
        Attempt::Wait(seconds) => return refuse(SignInRefusal::TooManyAttempts { seconds }),
        Attempt::Verify { credentials, counted } => (credentials, counted),
    };
    drop(turn);
    let address = browser.address.to_string();
    let actor = match &credentials {
        Some(credentials) => Actor { user_id: Some(credentials.user_id), name: login.clone(), address },
        None => Actor::unknown(address),
    };
    let known = credentials.and_then(|known| Some((known.user_id, known.password_hash?)));
    // A browser in which the person has signed in before is not kept out by a flood of strangers.
    let key = match (&source, &known) {
        (Source::KnownBrowser(_), Some((user_id, _))) => QueueKey::Person(*user_id),
        _ => QueueKey::portal(browser.address),
    };
    let Some(verified) = verify(&state, key, known, &form.password, counted).await? else {
        sign_in::record_wrong_password(&state.strangers_pool, &actor).await?;
        return refuse(SignInRefusal::WrongCredentials);
    };
    let (return_to, counted) = (form.suite.as_deref(), verified.counted.clone());
    let begun = begin(&state, &browser, &actor, verified, &form).await;
    match or_give_back(&state, &counted, begun).await? {
        Begun::SignedIn(session, epoch) => {
            let resumed = resume(&state, forms, &session, return_to, typed).await?;
            let answer = resumed.unwrap_or_else(|| Redirect::to(&destination(return_to)).into_response());
            Ok(browser.mark_known(&state, &login, epoch, answer))
        }
        Begun::CodeNeeded if typed.is_empty() => Ok(Redirect::to(paths::SIGN_IN_CODE).into_response()),
        Begun::CodeNeeded => {
            page(&SignInCodePage { layout: state.anonymous_layout(None), typed, errors: Errors::none() })
        }
    }
}

/// Signs in the person whose password was verified, or has them asked for a code.
async fn begin(
    state: &AppState,
    browser: &Browser,
    actor: &Actor,
    verified: VerifiedPassword,
    form: &SignInForm,
) -> Result<Begun, AppError> {
    let verified = renew_outdated_hash(state, verified, &form.password).await?;
    browser.begin(state, actor, &FirstFactor::Password(verified), form.suite.as_deref()).await
}

/// `known`: the person's number and hash. Takes as long where there is none.
async fn verify(
    state: &AppState,
    key: QueueKey,
    known: Option<(i64, PasswordHash)>,
    password: &TypedPassword,
    counted: Counted,
) -> Result<Option<VerifiedPassword>, AppError> {
    let hash = known.as_ref().map(|(_, hash)| hash.clone());
    let is_right = verify_counted(state, key, password.clone(), hash, &counted).await?;
    Ok(known.filter(|_| is_right).map(|(user_id, hash)| VerifiedPassword { user_id, hash, counted }))
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
    let empty = SignInPage::new(state, state.anonymous_layout(None), form.suite.clone(), typed.clone());
    let page = SignInPage { login: form.identifiant.clone(), refusal: Some(refusal), ..empty };
    let page = page_with_status(StatusCode::UNPROCESSABLE_ENTITY, &page)?;
    Ok(match seconds {
        Some(seconds) => rate_limited(page, seconds),
        None => page,
    })
}

/// Hashes the password again where its hash has parameters of another day.
async fn renew_outdated_hash(
    state: &AppState,
    verified: VerifiedPassword,
    password: &TypedPassword,
) -> Result<VerifiedPassword, AppError> {
    let user_id = verified.user_id;
    if !verified.hash.is_outdated() {
        return Ok(verified);
    }
    let hash = state.work_queue.hash(QueueKey::Person(user_id), password.clone(), &mut random::os_rng()).await?;
    passwords::renew_hash(&state.strangers_pool, &verified, &hash).await?;
    Ok(VerifiedPassword { hash, ..verified })
}

/// « Rester connecté », before the session has been idle for too long: the extractor has counted
/// this request as one.
pub async fn extend_session(_: Visitor) -> StatusCode {
    StatusCode::NO_CONTENT
}

/// Ends the session here and in the browser, and leads on to the identity provider where the
/// session began there.
pub async fn sign_out(
    State(state): State<AppState>,
    visitor: Result<Visitor, AppError>,
    browser: Browser,
) -> Result<Response, AppError> {
    let mut elsewhere = None;
    if let Ok(visitor) = visitor {
        let id_token = sessions::sign_out(&state.pool, &visitor.actor, &visitor.session).await?;
        elsewhere = id_token.map(|id_token| (visitor.person.user_id, id_token));
    } else if let Some(session) = browser.session() {
        sessions::discard(&state.pool, &session).await?;
    }
    browser.remove_cookie().await?;
    let page = match elsewhere {
        Some((user_id, id_token)) => provider::sign_out::lead_on(&state, &browser, user_id, &id_token).await?,
        None => None,
    };
    Ok(page.unwrap_or_else(|| Redirect::to(&Notice::SignedOut.on(paths::SIGN_IN)).into_response()))
}
