//! The arguments of `raccord structure`, as `--help` explains them.

// These comments are what `--help` prints: words for the terminal, without backticks.
#![allow(clippy::doc_markdown)]

use clap::{Args, Subcommand};

use crate::{
    cli::{
        operator::Operator,
        output::{ListForm, SheetForm},
    },
    domain::operator::{OperatorName, Reason},
};

const EXIT_CODES: &str = "Exit codes: 0 done, 1 failed, 2 wrong usage, or no such structure or person.";

#[derive(Debug, Subcommand)]
pub enum Structure {
    /// List the structures that have, or had, a principal manager
    #[command(after_help = EXIT_CODES)]
    List {
        /// Only those whose principal manager is missing, is disabled, or has never signed in
        #[arg(long)]
        without_manager: bool,
        #[command(flatten)]
        form: ListForm,
    },
    /// Show a structure: its principal manager, members and technical users
    #[command(after_help = EXIT_CODES)]
    Show {
        /// Type and identifier, e.g. SIRET:21750001600019; 14 digits alone are a SIRET
        structure: String,
        #[command(flatten)]
        form: SheetForm,
    },
    /// Appoint a principal manager where none is left
    ///
    /// For a structure without one, or whose one is disabled or has never signed in; any other
    /// offers the structure in the portal. The technical users of the structure have the new one's
    /// rights from then on. Both managers are mailed, the former one becomes secondary manager. Two
    /// operators do it together; the history shows both names and the reason.
    #[command(after_help = EXIT_CODES, verbatim_doc_comment)]
    Appoint(Appoint),
}

#[derive(Args, Debug)]
pub struct Appoint {
    /// Type and identifier, e.g. SIRET:21750001600019; 14 digits alone are a SIRET
    pub structure: String,
    /// What the person signs in with who becomes principal manager
    pub login: String,
    /// The name of the second operator, who agrees
    #[arg(long, value_name = "NAME")]
    pub and_by: OperatorName,
    /// Why
    #[arg(long, value_name = "TEXT")]
    pub reason: Reason,
    #[command(flatten)]
    pub operator: Operator,
}
