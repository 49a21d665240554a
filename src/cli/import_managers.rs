//! `raccord import managers`: people and their roles in structures.

use std::{collections::HashMap, fmt, path::Path};

use sqlx::PgPool;

use super::{
    arguments::ManagersFile,
    directory_line,
    error::{CliError, Outcome},
    garbled::is_garbled,
    report::Report,
    row_error::{Quoted, RowError},
    table::{Row, Table},
};
use crate::{
    db::members::import::{self, AttachError, Attached},
    domain::{audit::Actor, new_person::NewPerson, role::Role, structure_identifier::StructureIdentifier},
};

pub(crate) const REQUIRED: [&str; 7] =
    ["Identifiant", "Nom", "Prenom", "AdresseContact", "TypeIdentifiantStructure", "IdentifiantStructure", "Role"];

/// Loads the file, each line in its own transaction. Loading it again changes nothing and sends no
/// mail.
///
/// # Errors
/// Where the file as a whole, the file of refused lines or the database cannot be used.
pub async fn run(pool: &PgPool, file: &ManagersFile, strict_siret: bool) -> Result<Outcome, CliError> {
    let path = file.file.as_path();
    let last_principals = last_principals(path, strict_siret)?;
    let mut table = Table::open(path, &REQUIRED).map_err(|error| CliError::file(path, error))?;
    let (mut report, mut tally) = (Report::begin(file.report.as_deref(), path, table.header())?, Tally::default());
    while let Some((number, row)) = table.next_row().map_err(|error| CliError::file(path, error))? {
        report.line();
        let done = match Line::parse(&row, strict_siret) {
            Ok(line) => attach(pool, &line, line.superseded_by(number, &last_principals), number).await,
            Err(error) => Err(error),
        };
        match done {
            Ok(attached) => tally.add(attached),
            Err(RowError::Attach(AttachError::Database(error))) => return Err(error.into()),
            Err(error) => report.bad(number, &row, error)?,
        }
    }
    report.end(&tally)?;
    Ok(report.outcome())
}

/// The last line, of each structure, that names its principal manager, with that person's login.
/// Applying every such line in turn would appoint and replace managers, and mail them, at each run.
fn last_principals(path: &Path, strict_siret: bool) -> Result<HashMap<StructureIdentifier, (u64, String)>, CliError> {
    let mut table = Table::open(path, &REQUIRED).map_err(|error| CliError::file(path, error))?;
    let mut last = HashMap::new();
    while let Some((number, row)) = table.next_row().map_err(|error| CliError::file(path, error))? {
        if let Ok(line) = Line::parse(&row, strict_siret)
            && line.role == Role::PrincipalManager
        {
            last.insert(line.structure, (number, line.person.login().to_owned()));
        }
    }
    Ok(last)
}

/// Applies a line. A principal manager that a later line replaces becomes a secondary manager, as
/// after a replacement.
async fn attach(pool: &PgPool, line: &Line, superseded_by: Option<u64>, number: u64) -> Result<Attached, RowError> {
    let role = if superseded_by.is_some() { Role::SecondaryManager } else { line.role };
    let attached = import::attach(pool, &Actor::operator(), &line.person, &line.structure, role).await?;
    if let Some(later) = superseded_by {
        Report::remark(
            number,
            format_args!("line {later} names another principal manager: this one becomes secondary"),
        );
    }
    Ok(attached)
}

pub(crate) struct Line {
    person: NewPerson,
    structure: StructureIdentifier,
    role: Role,
}

impl Line {
    pub(crate) fn parse(row: &Row<'_>, strict_siret: bool) -> Result<Self, RowError> {
        let row = row.checked()?;
        if let Some(column) = ["Nom", "Prenom"].into_iter().find(|column| is_garbled(row.get(column))) {
            return Err(RowError::Garbled { column, value: Quoted::new(row.get(column)) });
        }
        Ok(Self {
            person: NewPerson::checked(
                row.get("Identifiant"),
                row.get("Nom"),
                row.get("Prenom"),
                row.get("AdresseContact"),
            )?,
            structure: directory_line::identifier(row, REQUIRED[4], REQUIRED[5], strict_siret)?,
            role: Role::parse(row.get("Role")).ok_or_else(|| RowError::NotOneOf {
                column: "Role",
                value: Quoted::new(row.get("Role")),
                allowed: "GESTIONNAIRE_PRINCIPAL, GESTIONNAIRE_SECONDAIRE, UTILISATEUR",
            })?,
        })
    }

    /// The later line that names another person as principal manager, if this line names one.
    fn superseded_by(&self, number: u64, last: &HashMap<StructureIdentifier, (u64, String)>) -> Option<u64> {
        let (later, login) = last.get(&self.structure)?;
        let replaced = self.role == Role::PrincipalManager && *later > number && login != self.person.login();
        replaced.then_some(*later)
    }
}

/// What the valid lines changed.
#[derive(Default)]
struct Tally {
    people: u64,
    changed: u64,
    unchanged: u64,
}

impl Tally {
    fn add(&mut self, attached: Attached) {
        self.people += u64::from(attached.is_new_person);
        self.changed += u64::from(attached.is_changed);
        self.unchanged += u64::from(!attached.is_changed);
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { people, changed, unchanged } = self;
        write!(f, "{people} people created, {changed} memberships created or changed, {unchanged} unchanged")
    }
}
