//! The command line, as `--help` explains it.

// These comments are what `--help` prints: words for the terminal, without backticks.
#![allow(clippy::doc_markdown)]

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use super::{
    operator::UnnamedOperator, output::SheetForm, structures::arguments::Structure,
    technical_users::arguments::TechnicalUser, users::arguments::User,
};
use crate::{
    domain::audit_chain::{Cursor, Head},
    settings,
};

const EXIT_CODES: &str = "\
Exit codes: 0 all done, 1 failed, 2 wrong usage or setting, 3 done but some lines were bad.";

/// Raccord, the portal on which the principal manager of a structure creates its technical users.
///
/// Without a command it serves the portal.
#[derive(Debug, Parser)]
#[command(name = "raccord", version, after_help = settings::HELP, args_conflicts_with_subcommands = true)]
pub struct Arguments {
    #[command(subcommand)]
    pub command: Option<Command>,
    #[command(flatten)]
    pub serve: Serve,
}

impl Arguments {
    /// The command that was given, or the default one.
    #[must_use]
    pub fn command(self) -> Command {
        self.command.unwrap_or(Command::Serve(self.serve))
    }
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Serve the portal and its API until SIGTERM or Ctrl-C (the default command)
    ///
    /// Brings the database's schema up to date first. Settings come from the environment: see
    /// `raccord --help`.
    Serve(Serve),
    /// Bring the database's schema up to date, and stop
    ///
    /// `serve` does this by itself; run this command to do it before an upgrade. It may be run at
    /// any time.
    Migrate,
    /// Load structures or their managers from a file
    #[command(subcommand)]
    Import(Import),
    /// List, invite and disable people
    #[command(subcommand)]
    User(User),
    /// List, suspend and expire technical users, the accounts of programs
    #[command(subcommand)]
    TechnicalUser(TechnicalUser),
    /// Show structures, and appoint a principal manager where none is left
    #[command(subcommand)]
    Structure(Structure),
    /// Register the APIs of yours that ask Raccord who calls them
    ///
    /// A service is one of your APIs: it receives the token or the `cpro-account` of a technical
    /// user, and asks Raccord what that opens (POST /api/oauth/introspect), or verifies a signed
    /// token by itself. docs/operations.md shows it from beginning to end.
    #[command(subcommand)]
    Service(Service),
    /// Rotate the keys that sign tokens for services
    #[command(subcommand)]
    SigningKey(SigningKey),
    /// Look for leaked passwords
    #[command(subcommand)]
    Secret(Secret),
    /// Verify the history of acts, or export it
    #[command(subcommand)]
    Audit(Audit),
    /// Count people, structures, technical users, calls and mails
    Stats {
        #[command(flatten)]
        form: SheetForm,
    },
    /// Look at all that serving needs; say what is wrong, and how to mend it
    ///
    /// Settings, database and its schema, roles, key file, mail server and outbox, clock, TLS and
    /// disk. It changes nothing, and sends nothing but a greeting to the mail server. Run it as the
    /// service's user, with the service's settings.
    #[command(
        after_help = "Exit codes: 0 nothing is wrong (there may be warnings), 1 failed, 2 wrong usage, 3 something is wrong.",
        verbatim_doc_comment
    )]
    Doctor {
        /// As JSON, one array
        #[arg(long)]
        json: bool,
    },
    /// Fill an empty database with a demonstration, and stop
    ///
    /// Structures of a real directory extract, managers with many and with one structure. The
    /// sign-in data are generated and written to demo-credentials.json in the data directory,
    /// readable by its owner alone. A database that holds something else is refused; one that is a
    /// demonstration already is kept as it is.
    Demo,
}

#[derive(Args, Debug)]
pub struct Serve {
    /// Fill an empty database with a demonstration first (as `raccord demo`)
    #[arg(long)]
    pub demo: bool,
    /// Start although RACCORD_SECRET_KEY_FILE has none of the keys that this database was used
    /// with: once, after the key file was lost for good
    #[arg(long)]
    pub accept_new_keys: bool,
}

#[derive(Debug, Subcommand)]
pub enum Import {
    /// Load the public directory of structures
    ///
    /// FILE is a CSV separated by `;`, in UTF-8, Windows-1252 or UTF-16, whose first line names the
    /// columns. Tabs and commas separate, too, where the first line shows it, and so does what a
    /// line `sep=` before it names.
    ///
    /// TypeIdentifiant;Identifiant;RaisonSociale;EmetteurEdi;RecepteurEdi;GestionStatutMiseEnPaiement;GestionEngagement;
    /// GestionService;GestionServiceEngagement;EstMOA;EstMOAUniquement;StructureActive;Adresse;ComplementAdresse1;
    /// ComplementAdresse2;CodePostal;Ville;NumTelephone;Courriel;CodePays;LibellePays
    ///
    /// Only the first three are required, in any order. TypeIdentifiant is a number (1 = SIRET, 2 =
    /// UE_HORS_FRANCE, 3 = HORS_UE, 4 = RIDET, 5 = TAHITI, 6 = AUTRE, 7 = PARTICULIER) or such a
    /// name; booleans are true/false, 1/0, O/N or Oui/Non. CodePostal is taken as it comes, even
    /// where it is not the five digits that the portal asks people for.
    ///
    /// Each bad line is reported with its number and why, the others are loaded. A cell of
    /// address, mail, telephone or flag that is wrong is mended or emptied, and reported too,
    /// unless --strict is given. Running it again updates and never duplicates. A structure that
    /// has a principal manager keeps its name, address and status, which are the manager's to edit:
    /// only its flags follow the file.
    #[command(after_help = EXIT_CODES, verbatim_doc_comment)]
    Structures(StructuresFile),
    /// Load people, and what they are in which structures
    ///
    /// FILE is a CSV as for structures, whose first line names the columns:
    ///
    /// Identifiant;Nom;Prenom;AdresseContact;TypeIdentifiantStructure;IdentifiantStructure;Role
    ///
    /// Role is GESTIONNAIRE_PRINCIPAL, GESTIONNAIRE_SECONDAIRE or UTILISATEUR. The structures must
    /// be there already.
    ///
    /// A new person is invited by mail to choose a password; `raccord serve` sends the mails. A
    /// known person keeps name and address, and is mailed the role: 10 a day at most. A line that
    /// names another principal manager replaces the present one, who becomes secondary manager; a
    /// mail goes to both. One who can sign in is replaced only with --by. Where several lines name
    /// one for the same structure, the last one holds. A line that would give a role back to a
    /// person who was removed since is refused, unless --restore-removed is given. Each bad line is
    /// reported with its number and why. Running it again changes nothing.
    #[command(after_help = EXIT_CODES, verbatim_doc_comment)]
    Managers(ManagersFile),
}

#[derive(Args, Debug)]
pub struct StructuresFile {
    pub file: PathBuf,
    /// Refuse a line where a cell would have to be mended or emptied
    #[arg(long)]
    pub strict: bool,
    /// Write the refused lines to this file, each with the reason
    ///
    /// A CSV with the columns of FILE after Ligne and Motif. Mend the lines there and import that
    /// file. What it held is replaced.
    #[arg(long, value_name = "FILE.csv", verbatim_doc_comment)]
    pub report: Option<PathBuf>,
    /// Try every line, say what would change, and change nothing
    ///
    /// Each line is tried by itself, without those before it.
    #[arg(long, verbatim_doc_comment)]
    pub dry_run: bool,
    #[command(flatten)]
    pub operator: UnnamedOperator,
}

#[derive(Args, Debug)]
pub struct ManagersFile {
    pub file: PathBuf,
    /// Write the refused lines to this file, each with the reason
    ///
    /// A CSV with the columns of FILE after Ligne and Motif. Mend the lines there and import that
    /// file. What it held is replaced.
    #[arg(long, value_name = "FILE.csv", verbatim_doc_comment)]
    pub report: Option<PathBuf>,
    /// Try every line, say what would change, and change nothing
    ///
    /// Each line is tried by itself, without those before it.
    #[arg(long, verbatim_doc_comment)]
    pub dry_run: bool,
    /// Give roles back to people who were removed from a structure, or left it, since
    ///
    /// Without it such a line is refused: the file may be older than the removal.
    #[arg(long, verbatim_doc_comment)]
    pub restore_removed: bool,
    #[command(flatten)]
    pub operator: UnnamedOperator,
}

#[derive(Debug, Subcommand)]
pub enum Service {
    /// Add a service, and print its id and its secret
    ///
    /// Both go to standard output, one line each: `id: svc_…` and `secret: rcs_…`. The secret is
    /// shown this once; Raccord keeps its hash alone. Store it where the API reads its settings. A
    /// lost one is replaced by `raccord service rotate`.
    #[command(after_help = EXIT_CODES, verbatim_doc_comment)]
    Add(AddService),
    /// List the services
    List {
        /// As JSON, one array
        #[arg(long)]
        json: bool,
    },
    /// Replace a service's secret, and print the new one
    ///
    /// The old one ends at once, or works beside the new one for as long as --keep says. One that a
    /// rotation before let work ends now.
    #[command(after_help = EXIT_CODES, verbatim_doc_comment)]
    Rotate {
        /// The service's name
        name: String,
        /// How long the old secret works on: a number with m, h or d, e.g. 24h; 30d at most
        #[arg(long, value_name = "DURATION")]
        keep: Option<String>,
        #[command(flatten)]
        operator: UnnamedOperator,
    },
    /// Refuse a service, until it is enabled again
    ///
    /// Its secret is refused from its next question on, and no token is made for it. Signed tokens
    /// (--jwt) that were made already live on until their end, 5 minutes at most.
    #[command(verbatim_doc_comment)]
    Disable {
        /// The service's name
        name: String,
        #[command(flatten)]
        operator: UnnamedOperator,
    },
    /// Take a disabled service back, with the secret that it had
    Enable {
        /// The service's name
        name: String,
        #[command(flatten)]
        operator: UnnamedOperator,
    },
    /// Remove a service and its secrets for good
    ///
    /// Tokens that were made for it open nothing any more. Name and audience are free again.
    #[command(verbatim_doc_comment)]
    Remove {
        /// The service's name
        name: String,
        #[command(flatten)]
        operator: UnnamedOperator,
    },
}

#[derive(Args, Debug)]
pub struct AddService {
    /// What you call it, in metrics and in the history: a-z, 0-9, '-', '_', '.'
    pub name: String,
    /// The API's URL: what clients name as `resource`, and tokens as `aud`. It is not fetched
    #[arg(long, value_name = "URL")]
    pub audience: String,
    /// Make the tokens that name it JWTs (RFC 9068), which it can verify without asking Raccord
    ///
    /// No revocation, reset or suspension reaches such a token before its end: 300 s at most.
    #[arg(long, verbatim_doc_comment)]
    pub jwt: bool,
    /// The lifetime of tokens that name it, 30 to 3600 [default: 900; with --jwt 300, the most]
    #[arg(long, value_name = "SECONDS")]
    pub token_seconds: Option<String>,
    /// Open it only to tokens that name it
    ///
    /// A token that names nothing, and a `cpro-account`, are then inactive there: what another
    /// service was shown cannot be used here.
    #[arg(long, verbatim_doc_comment)]
    pub require_audience: bool,
    #[command(flatten)]
    pub operator: UnnamedOperator,
}

/// One of the two keys that are in use.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum WhichKey {
    Current,
    Next,
}

#[derive(Debug, Subcommand)]
pub enum SigningKey {
    /// List the keys: the one that signs, the next one, and former ones that are still published
    List {
        /// As JSON, one array
        #[arg(long)]
        json: bool,
    },
    /// Print a public key as PEM, for gateways that read keys from files (HAProxy)
    ///
    /// Write both keys into such files, and both again after each rotation, five minutes later:
    /// until then, tokens of the former key live.
    #[command(after_help = EXIT_CODES, verbatim_doc_comment)]
    Pem {
        /// The key that signs, or the one that signs after the next rotation
        #[arg(value_enum)]
        key: WhichKey,
    },
    /// Let the next key sign, and make a new next one
    ///
    /// The next key has been published all along at /.well-known/jwks.json, so no API meets a key
    /// that it does not know. The former one stays published for an hour, and its private half is
    /// deleted. Run it twice after replacing the key of RACCORD_SECRET_KEY_FILE.
    #[command(after_help = EXIT_CODES, verbatim_doc_comment)]
    Rotate(UnnamedOperator),
    /// Replace all keys at once: after a leak, or the loss of RACCORD_SECRET_KEY_FILE
    ///
    /// Signed tokens that live now are refused by each API as soon as it reads the published keys
    /// again. Until then an API that keeps them may refuse new tokens, or accept old ones.
    #[command(after_help = EXIT_CODES, verbatim_doc_comment)]
    Replace(UnnamedOperator),
}

#[derive(Debug, Subcommand)]
pub enum Secret {
    /// Tell whether a text holds technical passwords, or secrets of services, that are still good
    ///
    /// Reads a file, or standard input, e.g. `git log -p | raccord secret check`, and prints the
    /// login of each account whose password stands in it and has neither expired nor been replaced,
    /// for one that is suspended too; and `service NAME` for the secret of a service. It prints
    /// nothing else, and never the secret. Reset or rotate what it names.
    #[command(
        after_help = "Exit codes: 0 none found, 1 failed, 2 wrong usage or setting, 3 found some.",
        verbatim_doc_comment
    )]
    Check {
        /// What to read instead of standard input
        file: Option<PathBuf>,
    },
}

#[derive(Debug, Subcommand)]
pub enum Audit {
    /// Tell whether the history of acts is what was written
    ///
    /// Each event has a link in a chain: a hash of the event, of its place and of the link before.
    /// This reads both from the first on, makes each hash again, and prints how many events there
    /// are and the head of the chain, POSITION:HASH. Or it prints the first thing that does not
    /// fit: an event that was changed, that is missing, or that is in no link; a link that is
    /// missing, was changed or was moved. Acts may go on meanwhile.
    ///
    /// Note the head where the database's owner cannot change it: on paper, in a signed mail, in
    /// another system's log. Given back with --head it proves that the chain up to there is the
    /// same as then.
    ///
    /// What it cannot prove: that the owner of the database did not rebuild the whole chain, or cut
    /// off its end with the events there, since the last head that was noted elsewhere; nor that
    /// what was written at the time was true. A restored backup looks like an end cut off.
    #[command(
        after_help = "Exit codes: 0 the history is whole, 1 failed, 2 wrong usage or setting, 3 it is not.",
        verbatim_doc_comment
    )]
    Verify {
        /// A head that was noted earlier, and must still be in the chain
        #[arg(long, value_name = "POSITION:HASH")]
        head: Option<Head>,
    },
    /// Print the history of acts as JSON lines, for syslog or a SIEM
    ///
    /// One line for each event, in the order of the chain: `position` and `hash` of its link, then
    /// the event: `event` (its id), `at` (UTC), `action`, `actor_id`, `actor`, `address`,
    /// `structure_id`, `technical_user_id`, `subject`, `detail`. Positions count from 1 without a
    /// gap, so a receiver notices what it did not get.
    ///
    /// Each link is verified before its line is printed. Where one does not fit, or the chain no
    /// longer has the link to begin after (a restored backup), the command says why and ends with
    /// exit code 3.
    ///
    /// raccord audit export --follow --state FILE | logger --tag raccord-audit --size 64KiB
    #[command(
        after_help = "Exit codes: 0 done, 1 failed, 2 wrong usage or setting, 3 the history is not whole.",
        verbatim_doc_comment
    )]
    Export(ExportAudit),
}

#[derive(Args, Debug)]
pub struct ExportAudit {
    /// Begin after this position; with a hash, only where the chain still has that link
    #[arg(long, value_name = "POSITION[:HASH]", default_value = "0")]
    pub since: Cursor,
    /// Go on with every event that is written, until SIGTERM or Ctrl-C
    ///
    /// While the database is away it waits.
    #[arg(long, verbatim_doc_comment)]
    pub follow: bool,
    /// Note in this file what was printed, and begin after it the next time
    ///
    /// Where the file exists, it replaces --since. It holds POSITION:HASH; a position without a
    /// hash may be written into it. After a crash the last lines may be printed twice.
    #[arg(long, value_name = "FILE", verbatim_doc_comment)]
    pub state: Option<PathBuf>,
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory, error::ErrorKind};

    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        <Arguments as CommandFactory>::command().debug_assert();
    }

    #[test]
    fn serve_is_the_default_and_takes_its_option_without_being_named() {
        for line in [&["raccord", "--demo"][..], &["raccord", "serve", "--demo"]] {
            let Command::Serve(serve) = Arguments::parse_from(line).command() else { panic!("{line:?}") };
            assert!(serve.demo);
        }
        assert!(matches!(Arguments::parse_from(["raccord"]).command(), Command::Serve(Serve { demo: false, .. })));
    }

    #[test]
    fn the_help_ends_with_the_settings() {
        let help = <Arguments as CommandFactory>::command().render_long_help().to_string();
        assert!(help.trim_end().ends_with(settings::HELP.lines().last().unwrap()), "{help}");
    }

    #[test]
    fn a_structure_needs_a_role() {
        let line =
            ["raccord", "user", "invite", "--login", "a", "--last-name", "b", "--first-name", "c", "--contact", "d"];
        let with = |more: &[&str]| Arguments::try_parse_from(line.iter().chain(more).copied());
        assert!(with(&[]).is_ok());
        let error = with(&["--structure", "SIRET:1"]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::MissingRequiredArgument);
    }
}
