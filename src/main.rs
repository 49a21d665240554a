//! Settings, then the database, then its schema, then the command.

use std::process::ExitCode;

use clap::Parser;
use raccord::{
    cli::{
        self,
        arguments::{Arguments, Command},
        error::CliError,
    },
    db,
    embedded_postgres::{Durability, EmbeddedPostgres, EmbeddedPostgresError},
    mail::MailRoom,
    settings::{SettingError, Settings},
};
use sqlx::{migrate::MigrateError, postgres::PgConnectOptions};
use thiserror::Error;
use tracing_subscriber::EnvFilter;

/// Why the program stops. Each is one line on standard error.
#[derive(Debug, Error)]
enum Failure {
    #[error(transparent)]
    Setting(#[from] SettingError),
    #[error(transparent)]
    Embedded(#[from] EmbeddedPostgresError),
    #[error("the database cannot be reached: {0}")]
    Unreachable(sqlx::Error),
    #[error("the database's schema: {0}")]
    Migrate(#[from] MigrateError),
    #[error(transparent)]
    Command(#[from] CliError),
}

impl Failure {
    fn exit_code(&self) -> u8 {
        match self {
            Self::Setting(_) => 2,
            Self::Command(error) => error.exit_code(),
            _ => 1,
        }
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    let command = Arguments::parse().command();
    // On the heap: serving holds all of the service's parts.
    match Box::pin(run(command)).await {
        Ok(code) => ExitCode::from(code),
        Err(failure) => {
            // One line whatever a cause holds: PostgreSQL's errors may have several.
            eprintln!("{}", failure.to_string().lines().map(str::trim).collect::<Vec<_>>().join(" "));
            ExitCode::from(failure.exit_code())
        }
    }
}

async fn run(command: Command) -> Result<u8, Failure> {
    let settings = Settings::read(|name| std::env::var(name).ok())?;
    start_log(&settings)?;
    // Read for its settings: better now than at the first mail.
    MailRoom::open(&settings)?;
    if let Some(options) = settings.database.clone() {
        return with_database(command, settings, options).await;
    }
    let postgres =
        EmbeddedPostgres::start(&settings.data_dir.join("postgres"), settings.pg_bin.as_deref(), Durability::Durable)
            .await?;
    let options = postgres.url("raccord").parse().map_err(Failure::Unreachable)?;
    let result = with_database(command, settings, options).await;
    postgres.stop().await?;
    result
}

async fn with_database(command: Command, settings: Settings, options: PgConnectOptions) -> Result<u8, Failure> {
    db::try_connection(&options).await.map_err(Failure::Unreachable)?;
    let pool = db::pool(options, settings.database_connections);
    db::migrate(&pool).await?;
    let outcome = cli::run(command, settings, pool.clone()).await;
    pool.close().await;
    Ok(outcome?.exit_code())
}

fn start_log(settings: &Settings) -> Result<(), SettingError> {
    // The first directive silences "relation already exists" at each start; the setting, coming later, may bring it back.
    let filter =
        EnvFilter::try_new(format!("sqlx::postgres::notice=warn,{}", settings.log)).map_err(|_| SettingError {
            name: "RACCORD_LOG",
            problem: format!("must be like info or raccord=debug, not {:?}", settings.log),
        })?;
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    if settings.log_json {
        log.json().init();
    } else {
        log.init();
    }
    Ok(())
}
