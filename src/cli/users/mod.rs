//! `raccord user`: the people who sign in to the portal.

use sqlx::PgPool;

use self::arguments::User;
use super::error::{CliError, Outcome};
use crate::domain::person::normalized_login;

mod access;
pub mod arguments;
mod invite;
mod list;
mod reset_mfa;
mod show;

/// Runs one of the commands.
///
/// # Errors
/// Where an argument is wrong, or names no person.
pub async fn run(pool: &PgPool, act: User, strict_siret: bool) -> Result<Outcome, CliError> {
    match act {
        User::List(arguments) => list::run(pool, &arguments).await,
        User::Show { login, form } => show::run(pool, &normalized_login(&login), form).await,
        User::Invite(person) => invite::run(pool, &person, strict_siret).await,
        User::Disable { login, reason, operator } => {
            access::disable(pool, &operator.actor(), &normalized_login(&login), reason.as_ref()).await
        }
        User::Enable { login, operator } => access::enable(pool, &operator.actor(), &normalized_login(&login)).await,
        User::SignOut { login, operator } => access::sign_out(pool, &operator.actor(), &normalized_login(&login)).await,
        User::ResetMfa { login, operator } => reset_mfa::run(pool, &operator.actor(), &normalized_login(&login)).await,
    }
}
