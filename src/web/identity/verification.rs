//! Verifies a known person's password or code, throttled.

use crate::{
    db::{
        identity::{
            locks::VerifiedPassword,
            passwords::{self, OwnAttempt},
            second_factors::{self, CodeAttempt, CodePlace},
        },
        throttles::{self, Counted},
    },
    domain::{
        audit::Actor,
        password::PasswordHash,
        person::TypedPassword,
        second_factor::{recovery_digest, six_digits},
    },
    french,
    web::{
        edge::{error::AppError, state::AppState},
        identity::visitor::Visitor,
    },
    work_queue::QueueKey,
};

/// The outcome of a verification, with what a right answer proves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict<T = ()> {
    Right(T),
    Wrong,
    /// Too many were wrong: seconds to wait.
    Wait(u32),
}

/// The message where too many attempts failed.
pub fn too_many_attempts(seconds: u32) -> String {
    format!("Trop de tentatives. Veuillez patienter {} avant de réessayer.", french::seconds(seconds))
}

/// Verifies the code of a person whose password was right, and uses it up: one of their application
/// or a recovery code. Wrong ones are counted at this place, and recorded; giving one takes the
/// right password.
pub async fn verify_code(
    state: &AppState,
    actor: &Actor,
    user_id: i64,
    place: CodePlace<'_>,
    typed: &str,
) -> Result<Verdict, AppError> {
    let attempt = match second_factors::attempt(&state.pool, user_id, place).await? {
        second_factors::Attempt::Wait(seconds) => return Ok(Verdict::Wait(seconds)),
        second_factors::Attempt::Check(attempt) => attempt,
    };
    let is_right = match attempt {
        Some(attempt) => {
            let judged = use_up(state, actor, &attempt, typed).await;
            or_give_back(state, attempt.counted(), judged).await?
        }
        None => false,
    };
    if is_right {
        return Ok(Verdict::Right(()));
    }
    second_factors::record_wrong_code(&state.pool, actor, user_id, place).await?;
    Ok(Verdict::Wrong)
}

async fn use_up(state: &AppState, actor: &Actor, attempt: &CodeAttempt, typed: &str) -> Result<bool, AppError> {
    let Some(code) = six_digits(typed) else {
        let hash = recovery_digest(typed);
        return Ok(second_factors::use_recovery_code(&state.pool, actor, attempt, &hash).await?);
    };
    let (user_id, factor) = (attempt.user_id, &attempt.factor);
    let Some(secret) = state.keys()?.open(&factor.secret, user_id) else {
        tracing::error!(
            user_id,
            key = factor.secret.key_id,
            "the key of a second factor is not in RACCORD_SECRET_KEY_FILE"
        );
        return Ok(false);
    };
    match secret.matching_step(&code, factor.now) {
        Some(step) => Ok(second_factors::use_step(&state.pool, attempt, step).await?),
        None => Ok(false),
    }
}

/// Verifies the password of a signed-in person. The attempt counts as failed, for this session,
/// until the act that it was given for takes it back.
pub async fn verify_own_password(
    state: &AppState,
    visitor: &Visitor,
    typed: TypedPassword,
) -> Result<Verdict<VerifiedPassword>, AppError> {
    let user_id = visitor.person.user_id;
    let (hash, counted) = match passwords::attempt_own(&state.pool, user_id, &visitor.session).await? {
        OwnAttempt::Wait(seconds) => return Ok(Verdict::Wait(seconds)),
        OwnAttempt::Verify { hash, counted } => (hash, counted),
    };
    let is_right = verify_counted(state, QueueKey::Person(user_id), typed, hash.clone(), &counted).await?;
    let verified = hash.filter(|_| is_right).map(|hash| VerifiedPassword { user_id, hash, counted });
    Ok(verified.map_or(Verdict::Wrong, Verdict::Right))
}

/// Whether a password matches its hash. An attempt that finds the hashing queue full is no failure.
pub async fn verify_counted(
    state: &AppState,
    key: QueueKey,
    password: TypedPassword,
    hash: Option<PasswordHash>,
    counted: &Counted,
) -> Result<bool, AppError> {
    let pool = if matches!(key, QueueKey::Person(_)) { &state.pool } else { &state.strangers_pool };
    match state.work_queue.verify(key, password, hash).await {
        Ok(is_right) => Ok(is_right),
        Err(busy) => {
            throttles::give_back(pool, counted).await?;
            Err(busy.into())
        }
    }
}

/// The outcome of an attempt that is not found wrong. Where the portal failed, it is taken back.
pub async fn or_give_back<T>(state: &AppState, counted: &Counted, outcome: Result<T, AppError>) -> Result<T, AppError> {
    if outcome.as_ref().is_err_and(AppError::is_ours)
        && let Err(error) = throttles::give_back(&state.pool, counted).await
    {
        tracing::warn!(cause = error.to_string(), "a right password stays counted as a failed attempt");
    }
    outcome
}
