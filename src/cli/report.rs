//! What an import tells the operator while it runs, on standard error.

use std::{fmt::Display, time::Instant};

/// Lines between two signs of life.
const PROGRESS_EVERY: u64 = 10_000;

/// Counts the lines of an import, and tells of the bad ones.
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
    /// One more line was read.
    pub fn line(&mut self) {
        self.read += 1;
        if self.read.is_multiple_of(PROGRESS_EVERY) {
            eprintln!("{} lines read ({:.1} s)", self.read, self.began.elapsed().as_secs_f64());
        }
    }

    /// The line could not be loaded.
    pub fn bad(&mut self, number: u64, why: impl Display) {
        self.bad += 1;
        eprintln!("line {number}: {why}");
    }

    /// Something about a line that was loaded all the same.
    pub fn remark(number: u64, what: impl Display) {
        eprintln!("line {number}: {what}");
    }

    /// The summary. `done` says what became of the good lines.
    pub fn end(&self, done: impl Display) {
        eprintln!("{} lines read: {done}, {} bad ({:.1} s)", self.read, self.bad, self.began.elapsed().as_secs_f64());
    }

    /// Whether some lines were bad.
    #[must_use]
    pub fn has_bad_lines(&self) -> bool {
        self.bad > 0
    }
}
