//! `raccord user disable`, `enable` and `sign-out`.

use sqlx::PgPool;

use crate::{
    cli::{
        error::{CliError, Outcome},
        output::counted,
    },
    db::identity::{access, provider_identities::EndedIdentities},
    domain::{audit::Actor, operator::Reason},
};

/// Ends a person's access, and names what goes on without them.
///
/// # Errors
/// Where no person has this login.
pub async fn disable(pool: &PgPool, actor: &Actor, login: &str, reason: Option<&Reason>) -> Result<Outcome, CliError> {
    let reason = reason.map_or("", Reason::as_str);
    let disabled = access::disable(pool, actor, login, reason).await?.ok_or_else(|| CliError::no_such_person(login))?;
    let done = if disabled.is_changed { "is disabled, and signed out everywhere" } else { "was disabled already" };
    eprintln!("{login} {done}");
    report_identities(login, EndedIdentities { ended: disabled.identities, kept: 0 });
    if disabled.managed > 0 {
        eprintln!(
            "{login} is still principal manager of {}, whose technical users go on: see `raccord user show {login}` \
             and `raccord structure appoint`",
            counted(disabled.managed, "structure")
        );
    }
    Ok(Outcome::Done)
}

/// Gives a person the access back.
///
/// # Errors
/// Where no person has this login.
pub async fn enable(pool: &PgPool, actor: &Actor, login: &str) -> Result<Outcome, CliError> {
    let is_changed = access::enable(pool, actor, login).await?.ok_or_else(|| CliError::no_such_person(login))?;
    eprintln!("{login} {}", if is_changed { "can sign in again" } else { "was not disabled" });
    Ok(Outcome::Done)
}

/// Ends a person's sessions.
///
/// # Errors
/// Where no person has this login.
pub async fn sign_out(pool: &PgPool, actor: &Actor, login: &str) -> Result<Outcome, CliError> {
    let done = access::sign_out(pool, actor, login).await?.ok_or_else(|| CliError::no_such_person(login))?;
    eprintln!("{login} is signed out; {} had been open", counted(done.sessions, "session"));
    report_identities(login, done.identities);
    Ok(Outcome::Done)
}

/// Says what became of the identities at the identity provider, where there are any.
pub fn report_identities(login: &str, EndedIdentities { ended, kept }: EndedIdentities) {
    let named = |count| format!("{count} linked {}", if count == 1 { "identity" } else { "identities" });
    if ended > 0 {
        eprintln!("{} ended: the person links theirs again", named(ended));
    }
    if kept > 0 {
        eprintln!(
            "{login} has no password, and {} stay: where one may be a stranger's, `raccord user invite --resend \
             --login {login}` mails a link whose use ends them",
            named(kept)
        );
    }
}
