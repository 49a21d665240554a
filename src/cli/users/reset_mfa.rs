//! `raccord user reset-mfa`: for a person who has lost the second factor and the recovery codes.

use sqlx::PgPool;

use crate::{
    cli::error::{CliError, Outcome},
    db::identity::second_factors::{self, ResetOutcome},
    domain::audit::Actor,
};

/// Removes the person's second factor.
///
/// # Errors
/// Where the login is unknown, or the person has no second factor.
pub async fn run(pool: &PgPool, actor: &Actor, login: &str) -> Result<Outcome, CliError> {
    match second_factors::reset(pool, actor, login).await? {
        ResetOutcome::Done => {
            eprintln!("{login} signs in with the password alone; their sessions are closed and a mail tells them");
            Ok(Outcome::Done)
        }
        ResetOutcome::NoSuchPerson => Err(CliError::no_such_person(login)),
        ResetOutcome::NoSecondFactor => Err(CliError::Usage(format!("{login}: has no second factor"))),
    }
}
