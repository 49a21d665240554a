//! Judges what people prove themselves by once it is known who they say they are: the password of
//! their own, the code of their second factor.

use crate::{
    db::{
        identity::{self, second_factors, sessions::SignedIn},
        throttles::{self, Scope},
    },
    domain::{
        audit::Actor,
        person::TypedPassword,
        second_factor::{recovery_digest, six_digits},
    },
    french,
    hashing::QueueKey,
    web::edge::{error::AppError, state::AppState},
};

/// What a password or a code is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Right,
    Wrong,
    /// Too many were wrong: seconds to wait.
    Wait(u32),
}

/// What people read who must wait.
pub fn too_many_attempts(seconds: u32) -> String {
    format!("Trop de tentatives. Veuillez patienter {} avant de réessayer.", french::seconds(seconds))
}

/// Judges the code of a person whose password is known to be right, and uses it up: one of her
/// application or a recovery code. Guesses are counted per person and from everywhere, for six
/// digits are few; only who has the password can hold her up so.
pub async fn judge(state: &AppState, actor: &Actor, user_id: i64, typed: &str) -> Result<Verdict, AppError> {
    let subject = user_id.to_string();
    if let Some(seconds) = throttles::begin(&state.pool, Scope::SecondFactor.key(&subject, "")).await? {
        return Ok(Verdict::Wait(seconds));
    }
    if is_right(state, actor, user_id, typed).await? {
        throttles::reset(&state.pool, Scope::SecondFactor.key(&subject, "")).await?;
        return Ok(Verdict::Right);
    }
    Ok(Verdict::Wrong)
}

/// Judges the password of who is signed in. Failures are counted beside `network`; the caller says
/// when they are forgotten.
pub async fn judge_own_password(
    state: &AppState,
    person: &SignedIn,
    network: &str,
    typed: TypedPassword,
) -> Result<Verdict, AppError> {
    if let Some(seconds) = throttles::wait(&state.pool, Scope::SignIn.key(&person.login, network)).await? {
        return Ok(Verdict::Wait(seconds));
    }
    let hash = identity::find_credentials(&state.pool, &person.login).await?.and_then(|found| found.password_hash);
    if state.hasher.verify(QueueKey::Person(person.user_id), typed, hash).await? {
        return Ok(Verdict::Right);
    }
    throttles::fail(&state.pool, Scope::SignIn.key(&person.login, network)).await?;
    Ok(Verdict::Wrong)
}

async fn is_right(state: &AppState, actor: &Actor, user_id: i64, typed: &str) -> Result<bool, AppError> {
    let factor = second_factors::find(&state.pool, user_id).await?.filter(|factor| factor.confirmed_at.is_some());
    let Some(factor) = factor else { return Ok(false) };
    let Some(code) = six_digits(typed) else {
        let hash = recovery_digest(typed);
        return Ok(second_factors::use_recovery_code(&state.pool, actor, user_id, &hash).await?);
    };
    let Some(secret) = state.keys()?.open(&factor.secret, user_id) else {
        tracing::error!(
            user_id,
            key = factor.secret.key_id,
            "the key of a second factor is not in RACCORD_SECRET_KEY_FILE"
        );
        return Ok(false);
    };
    match secret.matching_step(&code, factor.now) {
        Some(step) => Ok(second_factors::use_step(&state.pool, user_id, step).await?),
        None => Ok(false),
    }
}

impl From<std::io::Error> for AppError {
    fn from(error: std::io::Error) -> Self {
        Self::Internal(format!("RACCORD_SECRET_KEY_FILE: {error}"))
    }
}
