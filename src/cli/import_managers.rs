//! `raccord import managers`: people and their roles in structures.

use std::{
    collections::{HashMap, HashSet},
    fmt,
    path::Path,
};

use sqlx::PgPool;

use super::{
    arguments::ManagersFile,
    error::{CliError, Outcome},
    file_kind::FileKind,
    manager_line::Line,
    report::Report,
    row_error::RowError,
    table::TableError,
};
use crate::{
    db::members::import::{self, Allowed, AttachError, Attached, Attachment, Mailed},
    domain::{audit::Actor, import_mode::Mode, role::Role, structure_identifier::StructureIdentifier},
};

/// Loads the file, each line in its own transaction. Loading it again changes nothing and sends no
/// mail.
///
/// # Errors
/// Where the file as a whole, the file of refused lines or the database cannot be used.
pub async fn run(pool: &PgPool, file: &ManagersFile, strict_siret: bool) -> Result<Outcome, CliError> {
    let path = file.file.as_path();
    let last_principals = last_principals(path, strict_siret)?;
    let mut table = FileKind::Managers.open(path)?;
    let mode = Mode::of(file.dry_run);
    let allowed = Allowed { replaces_active: file.operator.by.is_some(), restores_removed: file.restore_removed };
    let attaching = Attaching { pool, actor: file.operator.actor(), mode, allowed };
    let mut report = Report::begin(mode, file.report.as_deref(), path, table.header())?;
    let mut tally = Tally::default();
    while let Some((number, row)) = table.next_row().map_err(|error| CliError::file(path, error))? {
        report.line();
        let done = match Line::parse(&row, strict_siret) {
            Ok(line) => {
                let superseded_by = superseded_by(&line, number, &last_principals);
                attaching.attach(&line, superseded_by, number).await.map(|attached| (line, attached))
            }
            Err(error) => Err(error),
        };
        match done {
            Ok((line, attached)) => {
                tally.add(line.person.login(), &attached);
                report.loaded_to(number);
            }
            Err(RowError::Attach(AttachError::Database(error))) => return Err(error.into()),
            Err(error) => report.bad(number, &row, error)?,
        }
    }
    if report.is_empty() {
        return Err(CliError::file(path, TableError::NoRows));
    }
    report.end(&tally)?;
    Ok(report.outcome())
}

/// The last line, of each structure, that names its principal manager, with that person's login.
/// Applying every such line in turn would appoint and replace managers, and mail them, at each run.
fn last_principals(path: &Path, strict_siret: bool) -> Result<HashMap<StructureIdentifier, (u64, String)>, CliError> {
    let mut table = FileKind::Managers.open(path)?;
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

/// The later line that names another person as principal manager, if this line names one.
fn superseded_by(line: &Line, number: u64, last: &HashMap<StructureIdentifier, (u64, String)>) -> Option<u64> {
    let (later, login) = last.get(&line.structure)?;
    let is_replaced = line.role == Role::PrincipalManager && *later > number && login != line.person.login();
    is_replaced.then_some(*later)
}

/// Applies lines, or tries to.
struct Attaching<'a> {
    pool: &'a PgPool,
    actor: Actor,
    mode: Mode,
    allowed: Allowed,
}

impl Attaching<'_> {
    /// Applies a line. A principal manager that a later line replaces becomes a secondary manager,
    /// as after a replacement.
    async fn attach(&self, line: &Line, superseded_by: Option<u64>, number: u64) -> Result<Attached, RowError> {
        let role = if superseded_by.is_some() { Role::SecondaryManager } else { line.role };
        let Line { person, structure, .. } = line;
        let attachment = Attachment { person, structure, role, allowed: self.allowed };
        let attached = import::attach(self.pool, &self.actor, attachment, self.mode).await?;
        if let Some(later) = superseded_by {
            let remark = format_args!("line {later} names another principal manager: this one becomes secondary");
            Report::remark(number, remark);
        }
        if let Some(former) = &attached.replaced {
            let login = person.login();
            Report::remark(number, format_args!("{login} replaces {former} as principal manager of {structure}"));
        }
        if attached.mailed == Mailed::TooMany {
            let login = person.login();
            Report::remark(number, format_args!("{login} has been mailed enough new roles today, and not this one"));
        }
        Ok(attached)
    }
}

/// What the valid lines changed.
#[derive(Default)]
struct Tally {
    /// A dry run registers a person again at each of their lines.
    new_people: HashSet<String>,
    changed: u64,
    replaced: u64,
    unchanged: u64,
}

impl Tally {
    fn add(&mut self, login: &str, attached: &Attached) {
        if attached.is_new_person {
            self.new_people.insert(login.to_owned());
        }
        self.replaced += u64::from(attached.replaced.is_some());
        self.changed += u64::from(attached.is_changed);
        self.unchanged += u64::from(!attached.is_changed);
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { new_people, changed, replaced, unchanged } = self;
        write!(
            f,
            "{} people created, {changed} memberships created or changed, {replaced} principal managers replaced, \
             {unchanged} unchanged",
            new_people.len()
        )
    }
}
