//! How browser sessions begin: with a new id at each step, so that none from before is worth
//! anything.

use axum::http::HeaderMap;
use data_encoding::HEXLOWER;
use tower_sessions::Session;

use crate::{
    db::identity::sessions,
    domain::{audit::Actor, network::network_of, password::PasswordHash, random},
    web::edge::{context::software, error::AppError, state::AppState},
};

/// Signs a person in whose password was `verified` a moment ago, and writes so. Where it cannot be
/// written, or the password has been replaced in that moment, the session ends at once.
pub async fn open_session(
    state: &AppState,
    session: &Session,
    (user_id, verified): (i64, &PasswordHash),
    actor: &Actor,
    headers: &HeaderMap,
) -> Result<(), AppError> {
    let software = software(headers);
    session.cycle_id().await?;
    session.remove_value("half_user_id").await?;
    session.remove_value("half_password").await?;
    session.remove_value("return_to").await?;
    session.insert("user_id", user_id).await?;
    session.insert("address", &actor.address).await?;
    session.insert("software", &software).await?;
    session.save().await?;
    let network = actor.address.parse().map(network_of).unwrap_or_default();
    let written = sessions::record_sign_in(&state.pool, actor, (user_id, verified), &network, &software).await;
    if !matches!(written, Ok(true)) {
        session.flush().await?;
    }
    if written? { Ok(()) } else { Err(AppError::SignInRequired { expired: true, return_to: None }) }
}

/// Remembers that a person's password was right, and which one: such a session opens nothing but
/// the page that asks for the code, and that only while this password holds. Its change ends the
/// sessions that it sees, and may not see one that begins just then.
pub async fn open_half(
    session: &Session,
    (user_id, verified): (i64, &PasswordHash),
    return_to: Option<&str>,
) -> Result<(), AppError> {
    session.cycle_id().await?;
    session.remove_value("user_id").await?;
    session.insert("half_user_id", user_id).await?;
    session.insert("half_password", HEXLOWER.encode(&random::digest(verified.as_phc()))).await?;
    session.insert("return_to", return_to).await?;
    session.save().await?;
    Ok(())
}
