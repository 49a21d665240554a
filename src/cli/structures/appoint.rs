//! `raccord structure appoint`.

use sqlx::PgPool;

use super::arguments::Appoint;
use crate::{
    cli::{
        error::{CliError, Outcome},
        structure_name,
    },
    db::members::appointment::{self, AppointError, Appointment},
    domain::{audit::Actor, person::normalized_login},
};

/// Appoints a principal manager, in the names of two operators.
///
/// # Errors
/// Where both names are one, or structure or person is not such that it may be.
pub async fn run(pool: &PgPool, arguments: &Appoint, strict_siret: bool) -> Result<Outcome, CliError> {
    let (one, other) = (&arguments.operator.by, &arguments.and_by);
    if one.is_same_as(other) {
        return Err(CliError::Usage(format!("--and-by {}: must be another operator than --by", other.as_str())));
    }
    let structure = structure_name::read("", &arguments.structure, strict_siret)?;
    let login = normalized_login(&arguments.login);
    let appointment = Appointment { structure: &structure, login: &login, reason: &arguments.reason };
    let appointed = match appointment::appoint(pool, &Actor::two_operators(one, other), appointment).await {
        Ok(appointed) => appointed,
        Err(AppointError::Database(error)) => return Err(error.into()),
        Err(error @ AppointError::UnknownPerson) => {
            let how = "`raccord user invite` registers a person";
            return Err(CliError::Usage(format!("{login}: {error}; {how}")));
        }
        Err(error @ (AppointError::Disabled | AppointError::AlreadyManager)) => {
            return Err(CliError::Usage(format!("{login}: {error}")));
        }
        Err(error) => return Err(CliError::Usage(format!("{}: {error}", arguments.structure))),
    };
    eprintln!("{login} is principal manager of {} now, and mailed", arguments.structure);
    if let Some(former) = appointed.former {
        eprintln!("{former} was it before, is secondary manager now, and mailed");
    }
    if !appointed.has_password {
        eprintln!("{login} has not chosen a password yet: `raccord user invite --resend --login {login}` sends a link");
    }
    Ok(Outcome::Done)
}
