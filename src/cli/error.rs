//! Outcomes and errors of commands, with their exit codes.

use std::path::{Path, PathBuf};

use thiserror::Error;

use super::{demo::DemoError, table::TableError};
use crate::{
    db::members::import::AttachError, domain::new_person::NewPersonErrors, secret_keys::KeyFileError,
    server::ServeError,
};

/// How a command succeeded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Completely: exit code 0.
    Done,
    /// Except for some lines, which were reported: exit code 3.
    SomeLinesBad,
    /// Valid passwords were found: exit code 3.
    LiveSecrets,
    /// The audit history was tampered with: exit code 3.
    HistoryBroken,
    /// Something that serving needs is wrong: exit code 3.
    SomethingWrong,
}

impl Outcome {
    #[must_use]
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::SomeLinesBad | Self::LiveSecrets | Self::HistoryBroken | Self::SomethingWrong => 3,
        }
    }
}

/// Why a command failed: exit code 1, or 2 for wrong arguments.
#[derive(Debug, Error)]
pub enum CliError {
    #[error("{path}: {problem}", path = .path.display())]
    File { path: PathBuf, problem: TableError },
    #[error("--report: {path} cannot be written: {error}", path = .path.display())]
    Report { path: PathBuf, error: std::io::Error },
    #[error("cannot read standard input: {0}")]
    Input(std::io::Error),
    #[error("cannot write to standard output: {0}")]
    Output(std::io::Error),
    #[error("--state: {path} {problem}", path = .path.display())]
    State { path: PathBuf, problem: String },
    #[error("{0}")]
    Usage(String),
    #[error(transparent)]
    Person(#[from] NewPersonErrors),
    #[error(transparent)]
    Attach(#[from] AttachError),
    #[error(transparent)]
    Demo(#[from] DemoError),
    #[error("the database: {0}")]
    Database(#[from] sqlx::Error),
    #[error(transparent)]
    KeyFile(#[from] KeyFileError),
    #[error(transparent)]
    Serve(#[from] ServeError),
    #[error("interrupted; what was done so far is kept, and the command may be run again")]
    Interrupted,
}

impl CliError {
    pub(super) fn file(path: &Path, problem: impl Into<TableError>) -> Self {
        Self::File { path: path.to_owned(), problem: problem.into() }
    }

    pub(super) fn no_such_person(login: &str) -> Self {
        Self::Usage(format!("{login}: no person has this login"))
    }

    pub(super) fn no_such_account(login: &str) -> Self {
        Self::Usage(format!("{login}: no technical user has this login"))
    }

    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Usage(_) | Self::Person(_) => 2,
            _ => 1,
        }
    }
}
