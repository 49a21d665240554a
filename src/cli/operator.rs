//! `--by`: who acts, for the history.

// These comments are what `--help` prints: words for the terminal, without backticks.
#![allow(clippy::doc_markdown)]

use clap::Args;

use crate::domain::{audit::Actor, operator::OperatorName};

/// The operator who acts.
#[derive(Args, Debug)]
pub struct Operator {
    /// Your name, as the history shows it
    #[arg(long, value_name = "NAME")]
    pub by: OperatorName,
}

impl Operator {
    /// The author of the act.
    pub fn actor(&self) -> Actor {
        Actor::named_operator(&self.by)
    }
}

/// The operator, where an older command does not insist on a name.
#[derive(Args, Debug)]
pub struct UnnamedOperator {
    /// Your name, as the history shows it; without it the history says « opérateur »
    #[arg(long, value_name = "NAME")]
    pub by: Option<OperatorName>,
}

impl UnnamedOperator {
    /// The author of the act.
    pub fn actor(&self) -> Actor {
        self.by.as_ref().map_or_else(Actor::operator, Actor::named_operator)
    }
}
