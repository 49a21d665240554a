//! Passwords whose verifier the database did not find: those that have none yet under a key of the
//! key file, and wrong ones.

use super::{error::ApiError, state::ApiState};
use crate::{
    db::{
        api::{
            PresentedCredentials,
            call_log::RefusedPassword,
            verifiers::{self, UnverifiedPassword},
        },
        technical_users::restrictions,
        throttles::{self, Begun, Key},
    },
    domain::{credential::Credential, password, restrictions::CallerAddress, verifier::Verifier},
    web::edge::context::RequestContext,
    work_queue::QueueKey,
};

/// Locks the account of a right password on the address of this call, where its manager wants that
/// of the first one. False where the account takes calls already, or the password is wrong.
///
/// # Errors
/// Database errors.
pub async fn lock_network(
    state: &ApiState,
    credential: &Credential,
    presented: &PresentedCredentials,
) -> sqlx::Result<bool> {
    if checksum(credential).is_none() {
        return Ok(false);
    }
    restrictions::lock_on_first_call(state.api_pool(), presented).await
}

/// Verifies a password that has no verifier under a key of the key file (it is older than
/// verifiers, or its key was lost) with Argon2id, and writes its verifier. False where there is no
/// such password or it is another one.
///
/// A password with another checksum than the stored one is wrong without a computation, so that
/// wrong passwords cost no Argon2id, and their response times do not reveal which logins exist.
///
/// Two calls of `db`, before and after the password is verified.
///
/// # Errors
/// A temporary failure.
pub async fn write_missing_verifier(
    state: &ApiState,
    credential: &Credential,
    presented: &[Verifier],
    context: &RequestContext,
) -> Result<bool, ApiError> {
    let Some(checksum) = checksum(credential) else { return Ok(false) };
    let Some(verifier) = presented.first() else { return Ok(false) };
    let pool = state.api_pool();
    let key_ids: Vec<_> = presented.iter().map(|verifier| verifier.key_id.clone()).collect();
    for unverified in verifiers::find_missing(pool, &credential.login, checksum, &key_ids).await? {
        if matches(state, credential, &unverified, context).await? {
            verifiers::put_missing(pool, &unverified, verifier).await?;
            return Ok(true);
        }
    }
    Ok(false)
}

async fn matches(
    state: &ApiState,
    credential: &Credential,
    unverified: &UnverifiedPassword,
    context: &RequestContext,
) -> Result<bool, ApiError> {
    let queue_key = QueueKey::api(context.address);
    let (password, hash) = (credential.password.clone(), unverified.hash.clone());
    Ok(state.app.work_queue.verify(queue_key, password, Some(hash)).await?)
}

/// Counts a refused password, for the history and for the throttle, and returns how to answer it.
///
/// # Errors
/// A temporary failure.
pub async fn refuse(
    state: &ApiState,
    credential: &Credential,
    context: &RequestContext,
    software: &str,
) -> Result<ApiError, ApiError> {
    record_refused(state, credential, context, context.address.into(), software);
    count(state, throttles::api_keys(&credential.login, context.address)).await
}

/// Counts a refused secret of a service, and returns how to answer it.
///
/// # Errors
/// A temporary failure.
pub async fn refuse_service(state: &ApiState, client_id: &str, context: &RequestContext) -> Result<ApiError, ApiError> {
    count(state, throttles::service_keys(client_id, context.address)).await
}

/// Counts a refused password for the history. The entry is made later, so that the response takes
/// the same time for every login.
pub fn record_refused(
    state: &ApiState,
    credential: &Credential,
    context: &RequestContext,
    from: CallerAddress,
    software: &str,
) {
    let password = RefusedPassword {
        login: credential.login.clone(),
        checksum: checksum(credential).map(str::to_owned),
        address: from.known().unwrap_or(context.address),
        from,
    };
    state.call_log.record_refused(password, software);
}

async fn count(state: &ApiState, keys: Vec<Key>) -> Result<ApiError, ApiError> {
    Ok(match throttles::begin_alone(state.api_pool(), keys).await? {
        Begun::Counted(_) => ApiError::Unauthorized,
        Begun::Wait(seconds) => ApiError::TooManyRequests { seconds },
    })
}

/// The checksum of a well-formed password. Any other cannot be right.
fn checksum(credential: &Credential) -> Option<&str> {
    let password = credential.password.expose();
    password::is_well_formed(password).then(|| password::checksum_part(password))
}
