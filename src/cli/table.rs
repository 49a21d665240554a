//! A CSV file with a header, whose fields are read by column name.

use std::{
    fs::File,
    io::{self, BufRead, BufReader},
    path::Path,
};

use thiserror::Error;

use super::csv_lines::{CsvLines, LineError};

/// Why a file as a whole cannot be read.
#[derive(Debug, Error)]
pub enum TableError {
    #[error("cannot be read: {0}")]
    Io(#[from] io::Error),
    #[error("is empty: the first line must name the columns")]
    Empty,
    #[error("line {0}: {1}")]
    Header(u64, LineError),
    #[error("the first line names no column {0} (columns are separated by `;`)")]
    MissingColumn(&'static str),
    #[error("the first line names column {0:?} twice")]
    DuplicateColumn(String),
}

/// A file whose header has been read.
pub struct Table<R> {
    columns: Vec<String>,
    lines: CsvLines<R>,
}

impl Table<BufReader<File>> {
    /// Opens a file that must have the `required` columns, and may have others.
    ///
    /// # Errors
    /// [`TableError`].
    pub fn open(path: &Path, required: &[&'static str]) -> Result<Self, TableError> {
        Self::read(BufReader::with_capacity(1 << 16, File::open(path)?), required)
    }
}

impl<R: BufRead> Table<R> {
    /// Reads the header of `input`.
    ///
    /// # Errors
    /// [`TableError`].
    pub fn read(input: R, required: &[&'static str]) -> Result<Self, TableError> {
        let mut lines = CsvLines::new(input);
        let (number, header) = lines.next_line()?.ok_or(TableError::Empty)?;
        let header = header.map_err(|error| TableError::Header(number, error))?;
        let columns: Vec<String> = header.iter().map(|name| name.trim().to_owned()).collect();
        if let Some(missing) = required.iter().find(|name| !columns.iter().any(|column| column == *name)) {
            return Err(TableError::MissingColumn(missing));
        }
        let is_duplicate = |(at, name): &(usize, &String)| !name.is_empty() && columns[..*at].contains(name);
        match columns.iter().enumerate().find(is_duplicate) {
            Some((_, name)) => Err(TableError::DuplicateColumn(name.clone())),
            None => Ok(Self { columns, lines }),
        }
    }

    /// The next row and its line number; `None` at the end.
    ///
    /// # Errors
    /// Where the file cannot be read.
    pub fn next_row(&mut self) -> io::Result<Option<(u64, Result<Row<'_>, LineError>)>> {
        while let Some((number, fields)) = self.lines.next_line()? {
            // Spreadsheets write the separators of empty rows.
            let is_blank = |fields: &Vec<String>| fields.iter().all(|field| field.trim().is_empty());
            if !fields.as_ref().is_ok_and(is_blank) {
                let columns = self.columns.as_slice();
                return Ok(Some((number, fields.and_then(|fields| Row::new(columns, fields)))));
            }
        }
        Ok(None)
    }
}

/// One line's fields.
#[derive(Debug)]
pub struct Row<'a> {
    columns: &'a [String],
    fields: Vec<String>,
}

impl<'a> Row<'a> {
    /// Refuses a line with too few or too many fields, since they would be under the wrong columns.
    /// Extra empty fields at the end, which spreadsheets add, are dropped.
    fn new(columns: &'a [String], mut fields: Vec<String>) -> Result<Self, LineError> {
        while fields.len() > columns.len() && fields.last().is_some_and(|field| field.trim().is_empty()) {
            fields.pop();
        }
        let (found, expected) = (fields.len(), columns.len());
        if found == expected { Ok(Self { columns, fields }) } else { Err(LineError::FieldCount { found, expected }) }
    }

    /// The trimmed field of this column; empty where the file has no such column.
    #[must_use]
    pub fn get(&self, column: &str) -> &str {
        let index = self.columns.iter().position(|name| name == column);
        index.map_or("", |index| self.fields[index].trim())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_found_by_name_whatever_their_order() {
        let mut table = Table::read(" B ;A;C\n;;\n1;2;3;;\n; ;;;;\n".as_bytes(), &["A", "B"]).unwrap();
        let (number, row) = table.next_row().unwrap().unwrap();
        let row = row.unwrap();
        assert_eq!((number, row.get("A"), row.get("B"), row.get("Z")), (3, "2", "1", ""));
        assert!(table.next_row().unwrap().is_none());
    }

    #[test]
    fn an_unusable_header_is_refused_with_the_reason() {
        let error = |text: &str| Table::read(text.as_bytes(), &["A", "B"]).err().unwrap().to_string();
        assert!(error("").contains("empty"));
        assert!(error("A;C\n").contains("no column B"));
        assert!(error("A,B\n").contains("no column A"));
        assert!(error("A;B;A\n").contains("column \"A\" twice"));
    }

    #[test]
    fn a_line_with_other_fields_than_the_header_is_refused() {
        let mut table = Table::read("A;B\n1\n1;2;3\n".as_bytes(), &["A"]).unwrap();
        for found in [1, 3] {
            let (_, row) = table.next_row().unwrap().unwrap();
            assert_eq!(row.unwrap_err(), LineError::FieldCount { found, expected: 2 });
        }
    }
}
