//! Reads the records of a CSV file one at a time, each with the number of its first line.
//!
//! A quoted field may contain `;`, line breaks, and `""` for a quote. An unclosed quote invalidates
//! its own line only: reading continues with the next line. Memory is bounded for any input.

use std::{
    collections::VecDeque,
    io::{self, BufRead, Read},
};

use encoding_rs::WINDOWS_1252;
use thiserror::Error;

/// The longest record in bytes. 21 fields of 250 characters fit.
const LONGEST_RECORD: usize = 32 * 1024;

/// Bytes that are read in vain for closing quotes. After so many, a quote that is open at the end
/// of its line is taken for a mistake at once: else a file of such lines would be read many times
/// over.
const MOST_READ_IN_VAIN: usize = 256 * LONGEST_RECORD;

/// Why a line is not a record.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum LineError {
    #[error("the line is longer than {LONGEST_RECORD} bytes")]
    TooLong,
    #[error("a quote is opened and never closed")]
    QuoteNotClosed,
    #[error("the line has {found} fields where the header has {expected}")]
    FieldCount { found: usize, expected: usize },
}

/// The number of a record's first line, and the record or why it is invalid.
pub type NumberedLine = (u64, Result<Vec<String>, LineError>);

/// Reads records. Blank lines are skipped, and so is a first line such as `sep=;`.
pub struct CsvLines<R> {
    input: R,
    /// The byte between two fields. Until the header is read, nothing has said which one it is.
    separator: Option<u8>,
    /// The record that was read last, as it stands in the file, where it could not be split.
    unreadable: Vec<u8>,
    /// Lines already read while looking for a closing quote, to be read again.
    ahead: VecDeque<Vec<u8>>,
    read_in_vain: usize,
    number: u64,
}

impl<R: BufRead> CsvLines<R> {
    pub fn new(input: R) -> Self {
        Self { input, separator: None, unreadable: Vec::new(), ahead: VecDeque::new(), read_in_vain: 0, number: 0 }
    }

    /// The header: the first record. It shows the separator, unless a line before it names one.
    /// `fits` says whether fields are those of a header.
    ///
    /// # Errors
    /// Where the file cannot be read.
    pub fn header(&mut self, fits: impl Fn(&[String]) -> bool) -> io::Result<Option<NumberedLine>> {
        let Some(line) = self.filled_line()? else { return Ok(None) };
        let split = |separator| {
            let mut splitter = Splitter::new(separator);
            splitter.push_line(&line);
            decode(splitter.fields)
        };
        let separator = *self.separator.get_or_insert_with(|| {
            SEPARATORS.into_iter().find(|separator| fits(&split(*separator))).unwrap_or(SEPARATORS[0])
        });
        Ok(Some((self.number, self.record(&line, separator)?)))
    }

    /// What the record that was read last is in the file, if it was invalid.
    #[must_use]
    pub fn unreadable(&self) -> String {
        decode(vec![self.unreadable.clone()]).concat()
    }

    /// The next record, `None` at the end of the file.
    ///
    /// # Errors
    /// Where the file cannot be read.
    pub fn next_line(&mut self) -> io::Result<Option<NumberedLine>> {
        let Some(line) = self.filled_line()? else { return Ok(None) };
        let number = self.number;
        Ok(Some((number, self.record(&line, self.separator.unwrap_or(SEPARATORS[0]))?)))
    }

    /// The next line that is neither blank nor names the separator.
    fn filled_line(&mut self) -> io::Result<Option<Vec<u8>>> {
        while let Some(mut line) = self.physical_line()? {
            if self.number == 1 && line.starts_with("\u{feff}".as_bytes()) {
                line.drain(..3);
            }
            match named_separator(&line) {
                Some(separator) if self.number == 1 => self.separator = Some(separator),
                _ if line.iter().all(u8::is_ascii_whitespace) => {}
                _ => return Ok(Some(line)),
            }
        }
        Ok(None)
    }

    /// The record that starts with `line`, including the following lines within its quotes.
    fn record(&mut self, line: &[u8], separator: u8) -> io::Result<Result<Vec<String>, LineError>> {
        if line.len() > LONGEST_RECORD {
            return Ok(Err(self.refuse(line, LineError::TooLong)));
        }
        let (mut splitter, mut length) = (Splitter::new(separator), line.len());
        splitter.push_line(line);
        let mut more = Vec::new();
        while splitter.is_open() {
            let goes_on = length <= LONGEST_RECORD && self.read_in_vain <= MOST_READ_IN_VAIN;
            let next = if goes_on { self.physical_line()? } else { None };
            let Some(next) = next else {
                self.read_in_vain += length;
                self.put_back(more);
                return Ok(Err(self.refuse(line, LineError::QuoteNotClosed)));
            };
            length += next.len();
            splitter.push_line(&next);
            more.push(next);
        }
        Ok(Ok(decode(splitter.fields)))
    }

    fn refuse(&mut self, line: &[u8], error: LineError) -> LineError {
        self.unreadable = line.trim_ascii_end().to_vec();
        error
    }

    fn put_back(&mut self, lines: Vec<Vec<u8>>) {
        self.number -= lines.len() as u64;
        for line in lines.into_iter().rev() {
            self.ahead.push_front(line);
        }
    }

    /// One line with its line break. A line that is too long is cut to one byte above the limit.
    fn physical_line(&mut self) -> io::Result<Option<Vec<u8>>> {
        let line = if let Some(line) = self.ahead.pop_front() {
            line
        } else {
            let mut line = Vec::new();
            self.input.by_ref().take(LONGEST_RECORD as u64 + 1).read_until(b'\n', &mut line)?;
            if line.len() > LONGEST_RECORD && !line.ends_with(b"\n") {
                self.input.skip_until(b'\n')?;
            }
            line
        };
        self.number += u64::from(!line.is_empty());
        Ok((!line.is_empty()).then_some(line))
    }
}

/// Detects the encoding of each record: Windows-1252 with an accent is practically never valid
/// UTF-8. So no first pass over the file is needed, and concatenated files of both encodings work.
fn decode(fields: Vec<Vec<u8>>) -> Vec<String> {
    let utf8 = fields.iter().all(|field| std::str::from_utf8(field).is_ok());
    let decode = |field: Vec<u8>| {
        if utf8 {
            String::from_utf8_lossy(&field).into_owned()
        } else {
            WINDOWS_1252.decode_without_bom_handling(&field).0.into_owned()
        }
    };
    fields.into_iter().map(decode).collect()
}

/// What may stand between fields, `;` before all. Excel separates its Unicode text by tabs.
const SEPARATORS: [u8; 3] = [b';', b'\t', b','];

/// The separator that a line `sep=;` names, by which Excel knows how to split a file.
fn named_separator(line: &[u8]) -> Option<u8> {
    // Only the line's end is trimmed: the separator may be a tab.
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let line = line.strip_prefix(b"\"").and_then(|line| line.strip_suffix(b"\"")).unwrap_or(line);
    let (name, separator) = line.split_at_checked(4)?;
    match separator {
        [separator] if name.eq_ignore_ascii_case(b"sep=") => Some(*separator),
        _ => None,
    }
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum State {
    #[default]
    FieldStart,
    Plain,
    Quoted,
    /// After a quote within a quoted field: the first half of `""`, or the end of the field.
    QuoteInQuoted,
}

/// Splits a record into fields (RFC 4180, with another separator).
struct Splitter {
    separator: u8,
    fields: Vec<Vec<u8>>,
    state: State,
}

impl Splitter {
    fn new(separator: u8) -> Self {
        Self { separator, fields: vec![Vec::new()], state: State::default() }
    }

    /// Whether a quote is still open at the end of the line.
    fn is_open(&self) -> bool {
        self.state == State::Quoted
    }

    fn push_line(&mut self, line: &[u8]) {
        let content = line.strip_suffix(b"\n").unwrap_or(line);
        let content = content.strip_suffix(b"\r").unwrap_or(content);
        for byte in content {
            self.push(*byte);
        }
        if self.is_open() {
            // The line break belongs to the field.
            for byte in &line[content.len()..] {
                self.push(*byte);
            }
        }
    }

    fn push(&mut self, byte: u8) {
        self.state = match (self.state, byte) {
            (State::FieldStart, b'"') => State::Quoted,
            (State::Quoted, b'"') => State::QuoteInQuoted,
            (State::Quoted, _) | (State::QuoteInQuoted, b'"') => self.keep(byte, State::Quoted),
            (_, byte) if byte == self.separator => {
                self.fields.push(Vec::new());
                State::FieldStart
            }
            _ => self.keep(byte, State::Plain),
        };
    }

    fn keep(&mut self, byte: u8, next: State) -> State {
        if let Some(field) = self.fields.last_mut() {
            field.push(byte);
        }
        next
    }
}

#[cfg(test)]
#[path = "csv_lines_tests.rs"]
mod tests;
