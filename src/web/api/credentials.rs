//! Passwords that this process has verified: Argon2 runs once per credential and quarter of an
//! hour, however many calls carry it. What is remembered is a keyed digest, worthless outside this
//! process, and it opens nothing by itself: the statement that serves the call checks that the
//! version which was verified is still the account's.

use std::net::IpAddr;

use super::{
    error::ApiError,
    memory::{PendingVerification, Verdict},
};
use crate::{
    db::{
        api::{
            VerifiedAccount,
            accounts::{self, Standing},
        },
        throttles::{self, Scope},
    },
    domain::{audit::CallRefusal, credential::Credential, network::network_of},
    hashing::QueueKey,
    web::api::state::ApiState,
};

/// Verifies a credential that is not remembered: as slow, and as silent, whatever is wrong with it.
///
/// # Errors
/// [`ApiError::Unauthorized`], or what says to come back later.
pub async fn verify(state: &ApiState, credential: &Credential, address: IpAddr) -> Result<VerifiedAccount, ApiError> {
    let network = network_of(address);
    let login = &credential.login;
    if let Some(seconds) = throttles::wait(&state.app.pool, Scope::Api.key(login, &network)).await? {
        return Err(ApiError::TooManyRequests { seconds });
    }
    let verdict = judge(state, credential, QueueKey::Api(network.clone())).await?;
    if let Some(account) = &verdict.account
        && let Some(why) = refusal(account.standing, verdict.matches)
    {
        state.call_log.record_refusal(account.technical_user_id, why, address);
    }
    let Some(account) = verdict.account.filter(|account| verdict.matches && account.standing == Standing::Usable)
    else {
        throttles::fail(&state.app.pool, Scope::Api.key(login, &network)).await?;
        return Err(ApiError::Unauthorized);
    };
    throttles::reset(&state.app.pool, Scope::Api.key(login, &network)).await?;
    Ok(account.verified())
}

/// Why this account is not authenticated.
fn refusal(standing: Standing, password_matches: bool) -> Option<CallRefusal> {
    match standing {
        _ if !password_matches => Some(CallRefusal::WrongPassword),
        Standing::Usable => None,
        Standing::Suspended => Some(CallRefusal::Suspended),
        Standing::Deleted => Some(CallRefusal::Deleted),
        Standing::Expired => Some(CallRefusal::Expired),
        Standing::WithoutAuthority => Some(CallRefusal::WithoutAuthority),
    }
}

/// Computes the verdict, or waits for the call that is computing it.
async fn judge(state: &ApiState, credential: &Credential, asker: QueueKey) -> Result<Verdict, ApiError> {
    let credentials = &state.credentials;
    let digest = credentials.digest(credential);
    let pending = PendingVerification::take(&credentials.under_way, digest);
    let compute = async || {
        let account = accounts::find(&state.app.pool, &credential.login).await?;
        let account = account.map(|account| account.facing(credential.password.expose()));
        let hash = account.as_ref().map(|account| account.password_hash.clone());
        let matches = state.app.hasher.verify(asker.clone(), credential.password.clone(), hash).await?;
        let usable = account.as_ref().filter(|account| matches && account.standing == Standing::Usable);
        if let Some(account) = usable {
            credentials.remember(digest, account.verified());
        }
        Ok::<_, ApiError>(Verdict { account, matches })
    };
    pending.verdict.get_or_try_init(compute).await.cloned()
}
