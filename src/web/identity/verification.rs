//! Verifies a known person's password or code, throttled.

use crate::{
    db::{
        identity::{
            second_factors::{self, SecondFactor},
            sessions::SignedIn,
            sign_in,
        },
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

/// The outcome of a verification.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Right,
    Wrong,
    /// Too many were wrong: seconds to wait.
    Wait(u32),
}

/// The message where too many attempts failed.
pub fn too_many_attempts(seconds: u32) -> String {
    format!("Trop de tentatives. Veuillez patienter {} avant de réessayer.", french::seconds(seconds))
}

/// Verifies the code of a person whose password was right, and uses it up: one of their application
/// or a recovery code. Wrong ones have this person wait, wherever they come from; giving
/// one takes the right password.
pub async fn verify_code(state: &AppState, actor: &Actor, user_id: i64, typed: &str) -> Result<Verdict, AppError> {
    let factor = match second_factors::attempt(&state.pool, user_id).await? {
        second_factors::Attempt::Wait(seconds) => return Ok(Verdict::Wait(seconds)),
        second_factors::Attempt::Check(factor) => factor,
    };
    let is_right = match factor {
        Some(factor) => use_up(state, actor, user_id, &factor, typed).await?,
        None => false,
    };
    Ok(if is_right { Verdict::Right } else { Verdict::Wrong })
}

async fn use_up(
    state: &AppState,
    actor: &Actor,
    user_id: i64,
    factor: &SecondFactor,
    typed: &str,
) -> Result<bool, AppError> {
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

/// Verifies the password of a signed-in person. Failures are counted with `network`; the caller
/// decides when they are forgotten.
pub async fn verify_own_password(
    state: &AppState,
    person: &SignedIn,
    network: &str,
    typed: TypedPassword,
) -> Result<Verdict, AppError> {
    let credentials = match sign_in::attempt(&state.pool, &person.login, network).await? {
        sign_in::Attempt::Wait(seconds) => return Ok(Verdict::Wait(seconds)),
        sign_in::Attempt::Verify(credentials) => credentials,
    };
    let hash = credentials.and_then(|found| found.password_hash);
    if state.hasher.verify(QueueKey::Person(person.user_id), typed, hash).await? {
        return Ok(Verdict::Right);
    }
    throttles::fail(&state.pool, Scope::SignIn.key(&person.login, network)).await?;
    Ok(Verdict::Wrong)
}
