//! `raccord technical-user`: the accounts of programs.

use sqlx::PgPool;

use self::arguments::TechnicalUser;
use super::error::{CliError, Outcome};

mod acts;
pub mod arguments;
pub(super) mod list;
mod show;

/// Runs one of the commands.
///
/// # Errors
/// Where an argument is wrong, or names no account.
pub async fn run(pool: &PgPool, act: TechnicalUser, strict_siret: bool) -> Result<Outcome, CliError> {
    match act {
        TechnicalUser::List(arguments) => list::run(pool, &arguments, strict_siret).await,
        TechnicalUser::Show { login, form } => show::run(pool, login.trim(), form).await,
        TechnicalUser::Suspend(act) => acts::suspend(pool, &act).await,
        TechnicalUser::Reactivate(act) => acts::reactivate(pool, &act).await,
        TechnicalUser::Expire(act) => acts::expire(pool, &act).await,
    }
}
