//! `raccord technical-user suspend`, `reactivate` and `expire`.

use sqlx::PgPool;

use super::arguments::Act;
use crate::{
    cli::error::{CliError, Outcome},
    db::technical_users::operator_acts::{self, ActOutcome, Target},
    domain::operator::Reason,
};

/// Suspends an account.
///
/// # Errors
/// Where no account has this login.
pub async fn suspend(pool: &PgPool, act: &Act) -> Result<Outcome, CliError> {
    let outcome = operator_acts::suspend(pool, &act.operator.actor(), target(act)).await?;
    report(act, outcome, "is suspended: its calls are refused", "was suspended already")
}

/// Takes an account back.
///
/// # Errors
/// Where no account has this login.
pub async fn reactivate(pool: &PgPool, act: &Act) -> Result<Outcome, CliError> {
    let outcome = operator_acts::reactivate(pool, &act.operator.actor(), target(act)).await?;
    report(act, outcome, "is active again", "was not suspended")
}

/// Lets an account's password expire.
///
/// # Errors
/// Where no account has this login.
pub async fn expire(pool: &PgPool, act: &Act) -> Result<Outcome, CliError> {
    let outcome = operator_acts::expire(pool, &act.operator.actor(), target(act)).await?;
    report(act, outcome, "has no password that works: its manager can reset it", "had expired already")
}

fn target(act: &Act) -> Target<'_> {
    Target { login: act.login.trim(), reason: act.reason.as_ref().map_or("", Reason::as_str) }
}

fn report(act: &Act, outcome: ActOutcome, done: &str, unchanged: &str) -> Result<Outcome, CliError> {
    let login = act.login.trim();
    match outcome {
        ActOutcome::Done => eprintln!("{login} {done}"),
        ActOutcome::Unchanged => eprintln!("{login} {unchanged}"),
        ActOutcome::NoSuchAccount => return Err(CliError::no_such_account(login)),
        ActOutcome::Deleted => return Err(CliError::Usage(format!("{login}: is deleted, for good"))),
    }
    Ok(Outcome::Done)
}
