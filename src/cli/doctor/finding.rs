//! What is found about one thing.

use sqlx::postgres::PgConnectOptions;

use crate::cli::output::{Cell, Listed};

/// How well something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Health {
    Good,
    /// It serves, and should be looked at.
    Warning,
    /// It does not serve, or not for long.
    Wrong,
}

impl Health {
    /// As it is printed.
    pub fn word(self) -> &'static str {
        match self {
            Self::Good => "ok",
            Self::Warning => "warning",
            Self::Wrong => "wrong",
        }
    }
}

/// What was found about one thing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    pub about: &'static str,
    pub health: Health,
    pub found: String,
    /// What to do; empty where nothing is to be done.
    pub mend: String,
}

impl Finding {
    /// All is well.
    pub fn good(about: &'static str, found: impl Into<String>) -> Self {
        Self { about, health: Health::Good, found: found.into(), mend: String::new() }
    }

    /// It should be looked at.
    pub fn warning(about: &'static str, found: impl Into<String>, mend: impl Into<String>) -> Self {
        Self { about, health: Health::Warning, found: found.into(), mend: mend.into() }
    }

    /// It must be mended.
    pub fn wrong(about: &'static str, found: impl Into<String>, mend: impl Into<String>) -> Self {
        Self { about, health: Health::Wrong, found: found.into(), mend: mend.into() }
    }
}

impl Listed<4> for Finding {
    const NAMES: [&'static str; 4] = ["about", "health", "found", "mend"];

    fn values(&self) -> [Cell; 4] {
        [self.about.into(), self.health.word().into(), (&self.found).into(), (&self.mend).into()]
    }
}

/// Where the database is.
pub enum Place {
    At(Box<PgConnectOptions>),
    /// The embedded one was not made yet.
    NotMade,
    /// The embedded one does not start: why.
    Broken(String),
}
