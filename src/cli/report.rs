//! Progress, bad lines and summary of an import, on standard error; the refused lines in a file,
//! where one is asked for.

use std::{fmt::Display, path::Path, time::Instant};

use super::{
    error::{CliError, Outcome},
    refused_lines::RefusedLines,
    table::Row,
};
use crate::domain::import_mode::Mode;

/// Lines between two progress messages.
const PROGRESS_EVERY: u64 = 10_000;

/// Counts an import's lines and prints the bad ones. Dropped before [`Report::end`], it says how
/// far the import came.
pub struct Report {
    mode: Mode,
    read: u64,
    bad: u64,
    /// The line up to which all good ones are loaded.
    loaded_to: u64,
    is_over: bool,
    began: Instant,
    refused: Option<RefusedLines>,
}

impl Report {
    /// `file` is where the refused lines go, besides standard error.
    ///
    /// # Errors
    /// Where that file cannot be written.
    pub fn begin(mode: Mode, file: Option<&Path>, imported: &Path, header: &[String]) -> Result<Self, CliError> {
        let refused = file.map(|file| RefusedLines::create(file, imported, header)).transpose()?;
        Ok(Self { mode, read: 0, bad: 0, loaded_to: 0, is_over: false, began: Instant::now(), refused })
    }

    /// Notes that all good lines up to this one are loaded.
    pub fn loaded_to(&mut self, line: u64) {
        self.loaded_to = line;
    }

    /// Counts a line.
    pub fn line(&mut self) {
        self.read += 1;
        if self.read.is_multiple_of(PROGRESS_EVERY) {
            let loaded = match self.mode {
                Mode::Load => format!(", loaded up to line {}", self.loaded_to),
                Mode::DryRun => String::new(),
            };
            eprintln!("{} lines read{loaded} ({:.1} s)", self.read, self.began.elapsed().as_secs_f64());
        }
    }

    /// Reports a line that was not loaded.
    ///
    /// # Errors
    /// Where the file of refused lines cannot be written.
    pub fn bad(&mut self, number: u64, row: &Row<'_>, why: impl Display) -> Result<(), CliError> {
        self.bad += 1;
        eprintln!("line {number}: {why}");
        self.refused.as_mut().map_or(Ok(()), |file| file.add(number, &why.to_string(), row))
    }

    /// Prints a remark on a line that was loaded.
    pub fn remark(number: u64, what: impl Display) {
        eprintln!("line {number}: {what}");
    }

    /// Prints the summary. `done` describes what the valid lines changed.
    ///
    /// # Errors
    /// Where the file of refused lines cannot be written.
    pub fn end(&mut self, done: impl Display) -> Result<(), CliError> {
        self.is_over = true;
        let dry = if self.mode == Mode::DryRun { "dry run, nothing is changed; it would be: " } else { "" };
        let took = self.began.elapsed().as_secs_f64();
        eprintln!("{dry}{} lines read: {done}, {} bad ({took:.1} s)", self.read, self.bad);
        if let Some(refused) = self.refused.take() {
            let path = refused.end()?;
            if self.bad > 0 {
                eprintln!("the bad lines are in {}: mend them there, and import that file", path.display());
            }
        }
        Ok(())
    }

    /// Whether the file had no lines but its header.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.read == 0
    }

    /// How the import succeeded.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        if self.bad > 0 { Outcome::SomeLinesBad } else { Outcome::Done }
    }
}

impl Drop for Report {
    fn drop(&mut self) {
        if self.is_over || self.read == 0 {
            return;
        }
        let Self { read, bad, loaded_to, .. } = self;
        match self.mode {
            Mode::Load => eprintln!(
                "the import stopped after {read} lines: the good ones up to line {loaded_to} of the file are loaded, {bad} \
                 were bad; run it again: lines that are loaded stay as they are"
            ),
            Mode::DryRun => eprintln!("the dry run stopped after {read} lines, {bad} of them bad; nothing was changed"),
        }
    }
}
