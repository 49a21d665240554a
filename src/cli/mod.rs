//! The operator's commands.

use sqlx::PgPool;

use crate::{
    server::{self, NewKeys},
    settings::Settings,
};
use arguments::{Audit, Command, ExportAudit, Import, Secret};
use demo::Filled;
use error::{CliError, Outcome};

pub mod arguments;
mod check_secrets;
pub(crate) mod csv_lines;
mod demo;
pub(crate) mod directory_line;
pub mod doctor;
pub mod error;
mod export_audit;
mod file_kind;
mod garbled;
mod import_managers;
mod import_structures;
pub(crate) mod manager_line;
mod operator;
mod output;
mod refused_lines;
mod report;
mod row_error;
mod services;
mod signing_keys;
mod source_file;
mod stats;
mod structure_name;
mod structures;
pub(crate) mod table;
mod technical_users;
mod users;
mod verify_audit;

/// Runs a command on a database whose schema is up to date.
///
/// # Errors
/// [`CliError`].
pub async fn run(command: Command, settings: Settings, pool: PgPool) -> Result<Outcome, CliError> {
    match command {
        Command::Serve(arguments) => {
            if arguments.demo {
                report_demo(&demo::fill(&pool, &settings).await?);
            }
            let keys = if arguments.accept_new_keys { NewKeys::Accepted } else { NewKeys::Refused };
            server::run(settings, keys, pool).await?;
            Ok(Outcome::Done)
        }
        other => {
            let follows = matches!(other, Command::Audit(Audit::Export(ExportAudit { follow: true, .. })));
            match interruptible(run_once(other, &settings, &pool)).await {
                // It has no other end.
                Err(CliError::Interrupted) if follows => Ok(Outcome::Done),
                result => result,
            }
        }
    }
}

/// Runs a command other than `serve`.
async fn run_once(command: Command, settings: &Settings, pool: &PgPool) -> Result<Outcome, CliError> {
    let strict = settings.strict_siret;
    match command {
        Command::Import(Import::Structures(file)) => import_structures::run(pool, &file, strict).await,
        Command::Import(Import::Managers(file)) => import_managers::run(pool, &file, strict).await,
        Command::Audit(Audit::Verify { head }) => verify_audit::run(pool, head).await,
        Command::Audit(Audit::Export(export)) => export_audit::run(pool, &export).await,
        Command::Secret(Secret::Check { file: None }) => check_secrets::run(pool, &mut std::io::stdin().lock()).await,
        Command::Secret(Secret::Check { file: Some(path) }) => check_secrets::run_file(pool, &path).await,
        Command::Service(act) => services::run(pool, settings, act).await,
        Command::SigningKey(act) => signing_keys::run(pool, settings, &act).await,
        Command::User(act) => users::run(pool, act, strict).await,
        Command::TechnicalUser(act) => technical_users::run(pool, act, strict).await,
        Command::Structure(act) => structures::run(pool, act, strict).await,
        Command::Demo => {
            report_demo(&demo::fill(pool, settings).await?);
            Ok(Outcome::Done)
        }
        Command::Stats { form } => stats::run(pool, form).await,
        // `main` has migrated the schema before any command, and runs `doctor` without that.
        Command::Migrate | Command::Serve(_) | Command::Doctor { .. } => Ok(Outcome::Done),
    }
}

/// Drops the command at Ctrl-C or SIGTERM instead of ending the process, so that the embedded
/// database is stopped properly.
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

fn report_demo(filled: &Filled) {
    match filled {
        Filled::Created(path) => {
            tracing::info!(credentials = %path.display(), "the database was filled with a demonstration");
        }
        Filled::Kept(path) => tracing::info!(credentials = %path.display(), "the demonstration is kept as it is"),
        Filled::CredentialsLost(path) => tracing::warn!(
            credentials = %path.display(),
            "the demonstration is kept as it is, but the file of its sign-in data is missing: the passwords cannot be \
             recovered; choose new ones with `raccord user invite`, or start again with an empty database"
        ),
    }
}
