//! Progress, bad lines and summary of an import, on standard error.

use std::{fmt::Display, time::Instant};

/// Lines between two progress messages.
const PROGRESS_EVERY: u64 = 10_000;

/// Counts an import's lines and prints the bad ones.
pub struct Report {
    read: u64,
    bad: u64,
    began: Instant,
}

impl Default for Report {
    fn default() -> Self {
        Self { read: 0, bad: 0, began: Instant::now() }
    }
}

impl Report {
    /// Counts a line.
    pub fn line(&mut self) {
        self.read += 1;
        if self.read.is_multiple_of(PROGRESS_EVERY) {
            eprintln!("{} lines read ({:.1} s)", self.read, self.began.elapsed().as_secs_f64());
        }
    }

    /// Reports a line that could not be loaded.
    pub fn bad(&mut self, number: u64, why: impl Display) {
        self.bad += 1;
        eprintln!("line {number}: {why}");
    }

    /// Prints a remark on a line that was loaded.
    pub fn remark(number: u64, what: impl Display) {
        eprintln!("line {number}: {what}");
    }

    /// Prints the summary. `done` describes what the valid lines changed.
    pub fn end(&self, done: impl Display) {
        eprintln!("{} lines read: {done}, {} bad ({:.1} s)", self.read, self.bad, self.began.elapsed().as_secs_f64());
    }

    #[must_use]
    pub fn has_bad_lines(&self) -> bool {
        self.bad > 0
    }
}
