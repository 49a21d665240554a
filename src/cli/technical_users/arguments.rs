//! The arguments of `raccord technical-user`, as `--help` explains them.

// These comments are what `--help` prints: words for the terminal, without backticks.
#![allow(clippy::doc_markdown)]

use clap::{Args, Subcommand};

use crate::{
    cli::{
        operator::Operator,
        output::{ListForm, SheetForm},
    },
    domain::operator::Reason,
};

const EXIT_CODES: &str = "Exit codes: 0 done, 1 failed, 2 wrong usage or no such account.";

#[derive(Debug, Subcommand)]
pub enum TechnicalUser {
    /// List the technical users of all structures
    ///
    /// A state is `active`, `expired` (its password is) or `suspended`. An account is failing when
    /// calls were refused in the last 7 days and none succeeded since. Of several conditions, all
    /// must hold. Deleted accounts are not listed.
    #[command(after_help = EXIT_CODES, verbatim_doc_comment)]
    List(ListAccounts),
    /// Show a technical user: password, calls, refusals, restrictions; never the password itself
    #[command(after_help = EXIT_CODES)]
    Show {
        /// Its login, TECH_…@cpro.fr
        login: String,
        #[command(flatten)]
        form: SheetForm,
    },
    /// Suspend a technical user: its calls are refused from the next one on
    ///
    /// Its password stays, its tokens and the password before this one end. Its manager is mailed,
    /// and can take it back in the portal, as `raccord technical-user reactivate` does.
    #[command(after_help = EXIT_CODES, verbatim_doc_comment)]
    Suspend(Act),
    /// Take a suspended technical user back, with the password that it has
    #[command(after_help = EXIT_CODES)]
    Reactivate(Act),
    /// Let the password of a technical user expire now: after a leak, or a restore
    ///
    /// Its tokens and the password before this one end, too. Its manager is mailed; only a reset in
    /// the portal gives the account a password again.
    #[command(after_help = EXIT_CODES, verbatim_doc_comment)]
    Expire(Act),
}

#[derive(Args, Debug)]
pub struct ListAccounts {
    /// Only active accounts whose password expires within so many days
    #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(i32).range(0..=3650))]
    pub expiring: Option<i32>,
    /// Only active accounts that were not used for so many days: no call, no new password
    #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(i32).range(1..=3650))]
    pub dormant: Option<i32>,
    /// Only accounts whose calls are refused at present
    #[arg(long)]
    pub failing: bool,
    /// Only suspended accounts
    #[arg(long)]
    pub suspended: bool,
    /// Only those of this structure, e.g. SIRET:21750001600019
    #[arg(long, value_name = "TYPE:IDENTIFIER")]
    pub structure: Option<String>,
    #[command(flatten)]
    pub form: ListForm,
}

#[derive(Args, Debug)]
pub struct Act {
    /// Its login, TECH_…@cpro.fr
    pub login: String,
    /// Why, for the history and the manager's mail
    #[arg(long, value_name = "TEXT")]
    pub reason: Option<Reason>,
    #[command(flatten)]
    pub operator: Operator,
}
