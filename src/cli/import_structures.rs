//! `raccord import structures`: loads the public directory of structures.

use std::{collections::HashMap, fmt, mem};

use sqlx::PgPool;

use super::{
    arguments::StructuresFile,
    directory_line::{self, ParsedLine},
    error::{CliError, Outcome},
    file_kind::FileKind,
    report::Report,
    row_error::RowError,
    table::{Row, TableError},
};
use crate::{
    db::structures::directory::{self, DirectoryEntry},
    domain::{audit::Actor, import_mode::Mode},
};

/// Lines per statement.
const BATCH: usize = 2_000;

/// Loads the file. Each batch is committed on its own, so an interrupted import can be run again.
///
/// # Errors
/// Where the file as a whole, the file of refused lines or the database cannot be used.
pub async fn run(pool: &PgPool, file: &StructuresFile, strict_siret: bool) -> Result<Outcome, CliError> {
    let path = file.file.as_path();
    let mut table = FileKind::Structures.open(path)?;
    let mode = Mode::of(file.dry_run);
    let loader = Loader { pool, actor: file.operator.actor(), mode };
    let mut report = Report::begin(mode, file.report.as_deref(), path, table.header())?;
    let (mut batch, mut tally) = (Batch::default(), Tally::default());
    while let Some((number, row)) = table.next_row().map_err(|error| CliError::file(path, error))? {
        report.line();
        match parse(&row, file.strict, strict_siret) {
            Ok(line) => {
                line.mended.iter().for_each(|cell| Report::remark(number, cell));
                batch.push(line.entry, &mut tally);
            }
            Err(error) => report.bad(number, &row, error)?,
        }
        if batch.entries.len() == BATCH {
            tally.add(&loader.load(mem::take(&mut batch)).await?);
            report.loaded_to(number);
        }
    }
    if report.is_empty() {
        return Err(CliError::file(path, TableError::NoRows));
    }
    tally.add(&loader.load(batch).await?);
    report.end(&tally)?;
    Ok(report.outcome())
}

/// With `--strict`, nothing is mended.
fn parse(row: &Row<'_>, is_strict: bool, strict_siret: bool) -> Result<ParsedLine, RowError> {
    let line = directory_line::parse(row.checked()?, strict_siret)?;
    if is_strict && !line.mended.is_empty() { Err(RowError::Unmended(line.mended)) } else { Ok(line) }
}

/// What the valid lines changed.
#[derive(Debug, Default, PartialEq, Eq)]
struct Tally {
    created: i64,
    updated: i64,
    unchanged: i64,
}

impl Tally {
    fn add(&mut self, other: &Self) {
        self.created += other.created;
        self.updated += other.updated;
        self.unchanged += other.unchanged;
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} created, {} updated, {} unchanged", self.created, self.updated, self.unchanged)
    }
}

/// Entries to load in one statement, with each identifier once: a statement cannot write the same
/// structure twice.
#[derive(Default)]
struct Batch {
    entries: Vec<DirectoryEntry>,
    places: HashMap<(&'static str, String), usize>,
}

impl Batch {
    /// Adds an entry. It replaces an earlier one with the same identifier, as it would in a later
    /// batch.
    fn push(&mut self, entry: DirectoryEntry, tally: &mut Tally) {
        let key = (entry.identifier_type, entry.identifier.clone());
        if let Some(&place) = self.places.get(&key) {
            let changed = self.entries[place] != entry;
            tally.updated += i64::from(changed);
            tally.unchanged += i64::from(!changed);
            self.entries[place] = entry;
        } else {
            self.places.insert(key, self.entries.len());
            self.entries.push(entry);
        }
    }
}

/// Loads batches, or tries to.
struct Loader<'a> {
    pool: &'a PgPool,
    actor: Actor,
    mode: Mode,
}

impl Loader<'_> {
    async fn load(&self, batch: Batch) -> sqlx::Result<Tally> {
        let entries = batch.entries;
        if entries.is_empty() {
            return Ok(Tally::default());
        }
        let loaded = directory::import(self.pool, &self.actor, &entries, self.mode).await?;
        let all = i64::try_from(entries.len()).unwrap_or(i64::MAX);
        Ok(Tally { created: loaded.created, updated: loaded.updated, unchanged: all - loaded.created - loaded.updated })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_two_lines_with_one_identifier_the_later_holds() {
        let entry = |designation: &str| DirectoryEntry { designation: designation.into(), ..DirectoryEntry::default() };
        let (mut batch, mut tally) = (Batch::default(), Tally::default());
        for name in ["Paris", "Ville de Paris", "Ville de Paris"] {
            batch.push(entry(name), &mut tally);
        }
        assert_eq!(batch.entries, [entry("Ville de Paris")]);
        assert_eq!(tally, Tally { created: 0, updated: 1, unchanged: 1 });
    }
}
