//! `raccord user reset-mfa`: for a person who has lost the second factor and the recovery codes.

use sqlx::PgPool;

use super::access::report_identities;
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
        ResetOutcome::Done(identities) => {
            eprintln!("{login} needs no second factor any more; their sessions are closed and a mail tells them");
            report_identities(login, identities);
            Ok(Outcome::Done)
        }
        ResetOutcome::NoSuchPerson => Err(CliError::no_such_person(login)),
        ResetOutcome::NoSecondFactor => Err(CliError::Usage(format!("{login}: has no second factor"))),
    }
}
