//! `raccord user reset-mfa`: for a person who has lost the second factor and the recovery codes.

use sqlx::PgPool;

use super::error::{CliError, Outcome};
use crate::{
    db::identity::second_factors::{self, ResetOutcome},
    domain::{audit::Actor, person::normalized_login},
};

/// Removes the person's second factor.
///
/// # Errors
/// Where the login is unknown, or the person has no second factor.
pub async fn run(pool: &PgPool, login: &str) -> Result<Outcome, CliError> {
    let login = normalized_login(login);
    match second_factors::reset(pool, &Actor::operator(), &login).await? {
        ResetOutcome::Done => {
            eprintln!("{login} signs in with the password alone; her sessions are closed and a mail tells her");
            Ok(Outcome::Done)
        }
        ResetOutcome::NoSuchPerson => Err(CliError::Usage(format!("{login}: nobody has this login"))),
        ResetOutcome::NoSecondFactor => Err(CliError::Usage(format!("{login}: has no second factor"))),
    }
}
