//! Reads the settings, opens and migrates the database, and runs the command.

use std::{process::ExitCode, time::Duration};

use clap::{Parser, error::ErrorKind};
use sqlx::{migrate::MigrateError, postgres::PgConnectOptions};
use thiserror::Error;
use tracing_subscriber::EnvFilter;

use crate::{
    cli::{
        self,
        arguments::{Arguments, Command},
        doctor::{self, Place},
        error::CliError,
    },
    db::{self, availability},
    domain::{characters::printable, wiped::wiped_after_polls},
    embedded_postgres::{Durability, EmbeddedPostgres, EmbeddedPostgresError, SERVING_USER},
    mail::MailSender,
    private_files, process,
    settings::{self, SettingError, Settings},
};

/// How long a database that is not there yet is waited for: by the service, which a machine starts,
/// and by commands, for which a person waits.
const LONGEST_WAIT_OF_SERVICE: Duration = Duration::from_mins(1);
const LONGEST_WAIT_OF_COMMAND: Duration = Duration::from_secs(5);

/// Why the program failed. Printed as one line on standard error.
#[derive(Debug, Error)]
enum Failure {
    #[error("cannot keep the memory private: {0}")]
    Memory(std::io::Error),
    #[error(transparent)]
    Setting(#[from] SettingError),
    #[error(transparent)]
    Embedded(#[from] EmbeddedPostgresError),
    #[error("the database cannot be reached: {0}")]
    Unreachable(sqlx::Error),
    #[error("the database's schema: {0}")]
    Migrate(#[from] MigrateError),
    #[error("RACCORD_MIGRATION_URL: the rights to serve cannot be given: {0}")]
    Rights(sqlx::Error),
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

/// Runs the command that the program's arguments name; its errors are one line on standard error.
///
/// Not generic and not async for the caller: all of it is compiled with the library, so that a
/// changed file costs the program's own crate only its linking.
#[tokio::main]
pub async fn main() -> ExitCode {
    let command = match Arguments::try_parse() {
        Ok(arguments) => arguments.command(),
        Err(error) => return refuse(&error),
    };
    // Boxed: the future is large for the stack.
    match Box::pin(run(command)).await {
        Ok(code) => ExitCode::from(code),
        Err(failure) => {
            // PostgreSQL's errors may span several lines: join them.
            eprintln!("{}", printable(&failure.to_string().lines().map(str::trim).collect::<Vec<_>>().join(" ")));
            ExitCode::from(failure.exit_code())
        }
    }
}

/// Prints help and version as they are, and what is wrong with arguments in one line.
fn refuse(error: &clap::Error) -> ExitCode {
    let is_help = !error.use_stderr() || error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand;
    if is_help {
        error.exit();
    }
    let text = error.to_string();
    let paragraphs = text.split("\n\n").map(|lines| lines.split_whitespace().collect::<Vec<_>>().join(" "));
    eprintln!("{}", paragraphs.filter(|paragraph| !paragraph.is_empty()).collect::<Vec<_>>().join(" | "));
    ExitCode::from(2)
}

async fn run(command: Command) -> Result<u8, Failure> {
    process::keep_memory_private().map_err(Failure::Memory)?;
    if let Command::Doctor { json } = command {
        return examine(json).await;
    }
    let settings = Settings::read(|name| std::env::var(name).ok())?;
    start_log(&settings)?;
    for setting in settings::unknown_names(std::env::vars_os().filter_map(|(name, _)| name.into_string().ok())) {
        tracing::warn!(setting, "there is no such setting: see raccord --help");
    }
    for setting in settings.unproven_databases() {
        tracing::warn!(setting, "the database's certificate is not checked: that wants sslmode=verify-full");
    }
    // Checks the settings about mails before the database is opened.
    MailSender::open(&settings)?;
    require_private_data_directory(&command, &settings)?;
    if let Some(options) = settings.database.clone() {
        let owner = settings.migration_database.clone();
        return with_database(command, settings, options, owner).await;
    }
    let postgres =
        EmbeddedPostgres::start(&settings.data_dir.join("postgres"), settings.pg_bin.as_deref(), Durability::Durable)
            .await?;
    let result = with_embedded(command, settings, &postgres).await;
    postgres.stop().await?;
    result
}

/// `raccord doctor`: looks at everything, and neither makes nor migrates anything. An embedded
/// database that exists is started for the look.
async fn examine(json: bool) -> Result<u8, Failure> {
    let settings = match doctor::read_settings() {
        Ok(settings) => settings,
        Err(finding) => return Ok(doctor::report_unreadable(finding, json)?.exit_code()),
    };
    if let Some(options) = settings.database.clone() {
        return Ok(doctor::run(&settings, Place::At(Box::new(options)), json).await?.exit_code());
    }
    let home = settings.data_dir.join("postgres");
    if !home.exists() {
        return Ok(doctor::run(&settings, Place::NotMade, json).await?.exit_code());
    }
    let postgres = match EmbeddedPostgres::start(&home, settings.pg_bin.as_deref(), Durability::Durable).await {
        Ok(postgres) => postgres,
        Err(error) => return Ok(doctor::run(&settings, Place::Broken(error.to_string()), json).await?.exit_code()),
    };
    let options = postgres.serving_url("raccord").parse().map_err(Failure::Unreachable)?;
    let outcome = doctor::run(&settings, Place::At(Box::new(options)), json).await;
    postgres.stop().await?;
    Ok(outcome?.exit_code())
}

/// Refuses a data directory that other users can read, for the commands that use it. Creates it for
/// an embedded database; otherwise it may not be needed at all.
///
/// Root's embedded database runs as another user, who must be able to enter the directory: mode
/// 0711 instead of 0700.
fn require_private_data_directory(command: &Command, settings: &Settings) -> Result<(), SettingError> {
    let is_embedded = settings.database.is_none();
    if !is_embedded && !matches!(command, Command::Serve(_) | Command::Demo) {
        return Ok(());
    }
    let mode = if is_embedded && process::runs_as_root() { 0o711 } else { 0o700 };
    let path = &settings.data_dir;
    let created = if is_embedded { private_files::create_directory(path, mode) } else { Ok(()) };
    created.and_then(|()| private_files::check_directory(path, mode)).map_err(|error| SettingError {
        name: "RACCORD_DATA_DIR",
        problem: format!("cannot use {}: {error}", path.display()),
    })
}

async fn with_embedded(command: Command, settings: Settings, postgres: &EmbeddedPostgres) -> Result<u8, Failure> {
    // Boxed: the future is large for the stack.
    let options = Box::pin(wiped_after_polls(prepare_embedded(postgres))).await?;
    with_database(command, settings, options, None).await
}

/// Migrates as the owner, whose password is not kept, and returns how to serve as another role. A
/// cluster that an older version created has only one role, which does both.
async fn prepare_embedded(postgres: &EmbeddedPostgres) -> Result<PgConnectOptions, Failure> {
    let owner: PgConnectOptions = postgres.url("raccord")?.parse().map_err(Failure::Unreachable)?;
    let pool = db::pool(owner.clone(), 1);
    let has_both = db::serving_role::exists(&pool, SERVING_USER).await.map_err(Failure::Unreachable)?;
    pool.close().await;
    if !has_both {
        return Ok(owner);
    }
    prepare(owner, SERVING_USER, Duration::ZERO).await?;
    postgres.serving_url("raccord").parse().map_err(Failure::Unreachable)
}

/// `owner` connects as the role that owns the schema, where it is not the role of `options`.
async fn with_database(
    command: Command,
    settings: Settings,
    options: PgConnectOptions,
    owner: Option<PgConnectOptions>,
) -> Result<u8, Failure> {
    let longest_wait = longest_wait(&command);
    if let Some(owner) = owner {
        prepare(owner, options.get_username(), longest_wait).await?;
    }
    availability::wait_until_reached(&options, longest_wait).await.map_err(Failure::Unreachable)?;
    let pool = db::pool(options, settings.database_connections);
    db::migrate(&pool).await?;
    // Boxed: the future is large for the stack.
    let outcome = Box::pin(cli::run(command, settings, pool.clone())).await;
    pool.close().await;
    Ok(outcome?.exit_code())
}

fn longest_wait(command: &Command) -> Duration {
    match command {
        Command::Serve(_) | Command::Migrate => LONGEST_WAIT_OF_SERVICE,
        _ => LONGEST_WAIT_OF_COMMAND,
    }
}

/// As the owner: migrates the schema and grants the serving role its rights.
async fn prepare(owner: PgConnectOptions, serving: &str, longest_wait: Duration) -> Result<(), Failure> {
    availability::wait_until_reached(&owner, longest_wait).await.map_err(Failure::Unreachable)?;
    let is_other = owner.get_username() != serving;
    let pool = db::pool(owner, 2);
    db::migrate(&pool).await?;
    if is_other {
        db::serving_role::grant_serving_rights(&pool, serving).await.map_err(Failure::Rights)?;
    }
    pool.close().await;
    Ok(())
}

fn start_log(settings: &Settings) -> Result<(), SettingError> {
    // The first directive silences "relation already exists" at each start; the setting comes later
    // and may override it.
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
    process::log_panics();
    Ok(())
}
