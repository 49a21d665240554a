//! Progress, bad lines and summary of an import, on standard error; the refused lines in a file,
//! where one is asked for.

use std::{fmt::Display, path::Path, time::Instant};

use super::{
    error::{CliError, Outcome},
    refused_lines::RefusedLines,
    table::Row,
};

/// Lines between two progress messages.
const PROGRESS_EVERY: u64 = 10_000;

/// Counts an import's lines and prints the bad ones.
pub struct Report {
    read: u64,
    bad: u64,
    began: Instant,
    refused: Option<RefusedLines>,
}

impl Report {
    /// `file` is where the refused lines go, besides standard error.
    ///
    /// # Errors
    /// Where that file cannot be written.
    pub fn begin(file: Option<&Path>, imported: &Path, header: &[String]) -> Result<Self, CliError> {
        let refused = file.map(|file| RefusedLines::create(file, imported, header)).transpose()?;
        Ok(Self { read: 0, bad: 0, began: Instant::now(), refused })
    }

    /// Counts a line.
    pub fn line(&mut self) {
        self.read += 1;
        if self.read.is_multiple_of(PROGRESS_EVERY) {
            eprintln!("{} lines read ({:.1} s)", self.read, self.began.elapsed().as_secs_f64());
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
        eprintln!("{} lines read: {done}, {} bad ({:.1} s)", self.read, self.bad, self.began.elapsed().as_secs_f64());
        if let Some(refused) = self.refused.take() {
            let path = refused.end()?;
            if self.bad > 0 {
                eprintln!("the bad lines are in {}: mend them there, and import that file", path.display());
            }
        }
        Ok(())
    }

    /// How the import succeeded.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        if self.bad > 0 { Outcome::SomeLinesBad } else { Outcome::Done }
    }
}
