//! The operator's side: what each command does.

use sqlx::PgPool;

use crate::{server, settings::Settings};
use arguments::{Audit, Command, Import, Secret, User};
use demo::Filled;
use error::{CliError, Outcome};

pub mod arguments;
mod check_secrets;
pub(crate) mod csv_lines;
pub mod demo;
pub(crate) mod directory_line;
pub mod error;
pub(crate) mod import_managers;
mod import_structures;
mod invite;
mod report;
mod reset_mfa;
mod row_error;
pub(crate) mod table;
mod verify_audit;

/// Carries a command out on a database whose schema is up to date.
///
/// # Errors
/// [`CliError`].
pub async fn run(command: Command, settings: Settings, pool: PgPool) -> Result<Outcome, CliError> {
    match command {
        Command::Serve(arguments) => {
            if arguments.demo {
                tell(&demo::fill(&pool, &settings).await?);
            }
            server::run(settings, pool).await?;
            Ok(Outcome::Done)
        }
        other => interruptible(at_once(other, &settings, &pool)).await,
    }
}

/// The commands that do one thing and end.
async fn at_once(command: Command, settings: &Settings, pool: &PgPool) -> Result<Outcome, CliError> {
    let strict = settings.strict_siret;
    match command {
        Command::Import(Import::Structures { file }) => import_structures::run(pool, &file, strict).await,
        Command::Import(Import::Managers { file }) => import_managers::run(pool, &file, strict).await,
        Command::Audit(Audit::Verify { head }) => verify_audit::run(pool, head).await,
        Command::Secret(Secret::Check) => check_secrets::run(pool, &mut std::io::stdin().lock()).await,
        Command::User(User::Invite(person)) => invite::run(pool, &person, strict).await,
        Command::User(User::ResetMfa { login }) => reset_mfa::run(pool, &login).await,
        Command::Demo => {
            tell(&demo::fill(pool, settings).await?);
            Ok(Outcome::Done)
        }
        // The schema was brought up to date on the way here.
        Command::Migrate | Command::Serve(_) => Ok(Outcome::Done),
    }
}

/// Ctrl-C ends a command between two statements, so that the embedded database can be stopped
/// properly.
async fn interruptible(work: impl Future<Output = Result<Outcome, CliError>>) -> Result<Outcome, CliError> {
    let terminated = async {
        use tokio::signal::unix::{SignalKind, signal};
        match signal(SignalKind::terminate()) {
            Ok(mut terminate) => terminate.recv().await.unwrap_or(()),
            Err(_) => std::future::pending().await,
        }
    };
    tokio::select! {
        result = work => result,
        _ = tokio::signal::ctrl_c() => Err(CliError::Interrupted),
        () = terminated => Err(CliError::Interrupted),
    }
}

fn tell(filled: &Filled) {
    match filled {
        Filled::Now(path) => {
            tracing::info!(credentials = %path.display(), "the database was filled with a demonstration");
        }
        Filled::Before(path) => tracing::info!(credentials = %path.display(), "the demonstration is kept as it is"),
        Filled::CredentialsLost(path) => tracing::warn!(
            credentials = %path.display(),
            "the demonstration is kept as it is, but the file of its sign-in data is missing: the passwords cannot be \
             recovered; choose new ones with `raccord user invite`, or start again with an empty database"
        ),
    }
}
