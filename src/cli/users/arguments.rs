//! The arguments of `raccord user`, as `--help` explains them.

// These comments are what `--help` prints: words for the terminal, without backticks.
#![allow(clippy::doc_markdown)]

use clap::{Args, Subcommand, ValueEnum};

use crate::{
    cli::{
        operator::{Operator, UnnamedOperator},
        output::{ListForm, SheetForm},
    },
    db::identity::people::PersonState,
    domain::operator::Reason,
};

const EXIT_CODES: &str = "Exit codes: 0 done, 1 failed, 2 wrong usage or no such person.";

#[derive(Debug, Subcommand)]
pub enum User {
    /// List the people who can sign in to the portal, or could
    ///
    /// A state is `invited` (has not signed in yet), `active` or `disabled`. Technical users are no
    /// people: see `raccord technical-user list`.
    #[command(after_help = EXIT_CODES, verbatim_doc_comment)]
    List(ListPeople),
    /// Show a person: state, sessions, structures
    #[command(after_help = EXIT_CODES)]
    Show {
        /// What the person signs in with
        login: String,
        #[command(flatten)]
        form: SheetForm,
    },
    /// Register a person and send a link to choose a password
    ///
    /// `raccord serve` sends the mail. The link serves once. It lives for seven days, or, of a
    /// person who has had a password before, for an hour. Where the login is known already, name
    /// and address stay as they are and a new link goes to that address, and to those that it
    /// replaced in the last 14 days: so a forgotten password is mended. With --resend, the login is
    /// all that is needed.
    #[command(after_help = EXIT_CODES, verbatim_doc_comment)]
    Invite(Invite),
    /// End a person's access to the portal: when they leave, or their account was stolen
    ///
    /// Sign-in is refused as if the password were wrong, their sessions, links, calendar and linked
    /// identities (ProConnect) end at once, and no mail gives the access back; `raccord user
    /// enable` does. What they are in structures stays. Technical users of structures that they
    /// manage go on: `raccord structure appoint` gives these another principal manager.
    #[command(after_help = EXIT_CODES, verbatim_doc_comment)]
    Disable {
        /// What the person signs in with
        login: String,
        /// Why, for the history
        #[arg(long, value_name = "TEXT")]
        reason: Option<Reason>,
        #[command(flatten)]
        operator: Operator,
    },
    /// Give a person the access back that `raccord user disable` ended
    #[command(after_help = EXIT_CODES)]
    Enable {
        /// What the person signs in with
        login: String,
        #[command(flatten)]
        operator: Operator,
    },
    /// End all sessions of a person
    ///
    /// Their linked identities (ProConnect) end too, since a stranger at an open session may have
    /// linked one; a person who has no password keeps them. Their password stays: they can sign in
    /// again. Where another person may know it, disable the account, or have a new password chosen
    /// (`raccord user invite --resend`), which ends every identity.
    #[command(after_help = EXIT_CODES, verbatim_doc_comment)]
    SignOut {
        /// What the person signs in with
        login: String,
        #[command(flatten)]
        operator: Operator,
    },
    /// Take away the second factor of a person who has lost it
    ///
    /// The password alone then signs the person in, their open sessions and linked identities end,
    /// and a mail tells them. A person who has no password keeps their identities.
    /// Verify who asks: a thief of the password would ask for the same.
    ResetMfa {
        /// What the person signs in with
        login: String,
        #[command(flatten)]
        operator: UnnamedOperator,
    },
}

#[derive(Args, Debug)]
pub struct ListPeople {
    /// Part of a login, a name or an address
    #[arg(long, value_name = "TEXT")]
    pub search: Option<String>,
    /// Only people in this state
    #[arg(long, value_enum)]
    pub state: Option<State>,
    #[command(flatten)]
    pub form: ListForm,
}

/// A [`PersonState`] on the command line.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum State {
    Invited,
    Active,
    Disabled,
}

impl From<State> for PersonState {
    fn from(state: State) -> Self {
        match state {
            State::Invited => Self::Invited,
            State::Active => Self::Active,
            State::Disabled => Self::Disabled,
        }
    }
}

#[derive(Args, Debug)]
pub struct Invite {
    /// What the person signs in with, e.g. claire.fontaine@mairie.example
    #[arg(long)]
    pub login: String,
    /// Send a person who is known already another link, to the addresses that the portal has
    #[arg(long, conflicts_with_all = ["last_name", "first_name", "contact", "replace_address", "structure", "role"])]
    pub resend: bool,
    #[arg(long, required_unless_present = "resend")]
    pub last_name: Option<String>,
    #[arg(long, required_unless_present = "resend")]
    pub first_name: Option<String>,
    /// The address that mails go to
    #[arg(long, value_name = "ADDRESS", required_unless_present = "resend")]
    pub contact: Option<String>,
    /// Give a person who is known already this address, which then counts as confirmed
    ///
    /// Addresses of before are no way back any more. Verify who asks: whoever reads mail at this
    /// address can choose the password.
    #[arg(long)]
    pub replace_address: bool,
    /// Also attach the person to this structure, e.g. SIRET:21750001600019
    #[arg(long, value_name = "TYPE:IDENTIFIER", requires = "role")]
    pub structure: Option<String>,
    /// The role in that structure: GESTIONNAIRE_PRINCIPAL, GESTIONNAIRE_SECONDAIRE or UTILISATEUR
    #[arg(long, requires = "structure")]
    pub role: Option<String>,
    #[command(flatten)]
    pub operator: UnnamedOperator,
}
