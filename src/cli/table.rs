//! A CSV file with a header, whose fields are read by column name.

use std::{
    io::{self, BufRead},
    path::Path,
};

use thiserror::Error;

use super::{
    csv_lines::{CsvLines, LineError},
    row_error::Quoted,
    source_file::{self, SourceError},
};
use crate::{domain::search_key::search_key, web::portal::export::safe_cell};

/// Why a file as a whole cannot be read.
#[derive(Debug, Error)]
pub enum TableError {
    #[error("cannot be read: {0}")]
    Io(#[from] io::Error),
    #[error("is empty: the first line must name the columns")]
    Empty,
    #[error(transparent)]
    Source(#[from] SourceError),
    #[error("line {0}: {1}")]
    Header(u64, LineError),
    #[error("has no column {missing}: its first line names {}", listed(.named))]
    MissingColumn { missing: &'static str, named: Vec<String> },
    #[error("names column {0:?} twice in its first line")]
    DuplicateColumn(String),
    #[error("is {0}")]
    OtherKind(&'static str),
    #[error("has `{0}` between its columns: save it with `;`, or put a line sep={0} before the first one")]
    OtherSeparator(char),
    #[error("has no line below the one that names the columns")]
    NoRows,
}

/// The first names, escaped for a terminal: they show how the line was understood.
fn listed(names: &[String]) -> String {
    const SHOWN: usize = 6;
    let shown = names.iter().take(SHOWN).map(|name| Quoted::new(name).to_string()).collect::<Vec<_>>().join(" and ");
    let more = names.len().saturating_sub(SHOWN);
    if more > 0 {
        format!("{shown} and {more} more (columns are separated by `;`)")
    } else {
        format!("{shown} (columns are separated by `;`)")
    }
}

/// A file whose header has been read.
pub struct Table<R> {
    /// As the file names them.
    header: Vec<String>,
    /// The same without case, accents, spaces and signs.
    columns: Vec<String>,
    lines: CsvLines<R>,
}

impl Table<Box<dyn BufRead>> {
    /// Opens a file that must have the `required` columns, and may have others.
    ///
    /// # Errors
    /// [`TableError`].
    pub fn open(path: &Path, required: &[&'static str]) -> Result<Self, TableError> {
        Self::read(source_file::open(path)?, required)
    }
}

impl<R: BufRead> Table<R> {
    /// Reads the header of `input`.
    ///
    /// # Errors
    /// [`TableError`].
    pub fn read(input: R, required: &[&'static str]) -> Result<Self, TableError> {
        let mut lines = CsvLines::new(input);
        let (number, header) = lines.header(|header| has_columns(header, required))?.ok_or(TableError::Empty)?;
        let header = header.map_err(|error| TableError::Header(number, error))?;
        let header: Vec<String> = header.iter().map(|name| name.trim().to_owned()).collect();
        let columns = column_keys(&header);
        if let Some(missing) = required.iter().find(|name| is_missing(&columns, name)) {
            return Err(TableError::MissingColumn { missing, named: header });
        }
        let is_duplicate = |(at, name): &(usize, &String)| !name.is_empty() && columns[..*at].contains(name);
        match columns.iter().enumerate().find(is_duplicate) {
            Some((at, _)) => Err(TableError::DuplicateColumn(header[at].clone())),
            None => Ok(Self { header, columns, lines }),
        }
    }

    /// The columns, as the file names them.
    #[must_use]
    pub fn header(&self) -> &[String] {
        &self.header
    }

    /// The next row and its line number; `None` at the end.
    ///
    /// # Errors
    /// Where the file cannot be read.
    pub fn next_row(&mut self) -> io::Result<Option<(u64, Row<'_>)>> {
        while let Some((number, fields)) = self.lines.next_line()? {
            // Spreadsheets write the separators of empty rows.
            let is_blank = |fields: &Vec<String>| fields.iter().all(|field| field.trim().is_empty());
            if !fields.as_ref().is_ok_and(is_blank) {
                let row = match fields {
                    Ok(fields) => Row::new(&self.columns, fields),
                    Err(problem) => {
                        let fields = vec![self.lines.unreadable()];
                        Row { columns: &self.columns, fields, problem: Some(problem) }
                    }
                };
                return Ok(Some((number, row)));
            }
        }
        Ok(None)
    }
}

/// Whether a header names all these columns.
pub fn has_columns(header: &[String], required: &[&str]) -> bool {
    let columns = column_keys(header);
    required.iter().all(|name| !is_missing(&columns, name))
}

fn is_missing(columns: &[String], name: &str) -> bool {
    columns.iter().all(|column| !column.eq_ignore_ascii_case(name))
}

/// Names of columns without case, accents, spaces and signs: « Raison sociale » is `RaisonSociale`.
fn column_keys(names: &[String]) -> Vec<String> {
    names.iter().map(|name| search_key(name).replace(' ', "")).collect()
}

/// One line's fields.
#[derive(Debug)]
pub struct Row<'a> {
    columns: &'a [String],
    fields: Vec<String>,
    /// Why the fields are not those of the columns.
    problem: Option<LineError>,
}

impl<'a> Row<'a> {
    /// A line with too few or too many fields is refused, since they would be under the wrong
    /// columns. Extra empty fields at the end, which spreadsheets add, are dropped.
    fn new(columns: &'a [String], mut fields: Vec<String>) -> Self {
        while fields.len() > columns.len() && fields.last().is_some_and(|field| field.trim().is_empty()) {
            fields.pop();
        }
        let (found, expected) = (fields.len(), columns.len());
        let problem = (found != expected).then_some(LineError::FieldCount { found, expected });
        Self { columns, fields, problem }
    }

    /// The row, if it has a field for each column.
    ///
    /// # Errors
    /// Why it has not.
    pub fn checked(&self) -> Result<&Self, LineError> {
        self.problem.map_or(Ok(self), Err)
    }

    /// The fields as they were read; of a line that could not be split, the line.
    #[must_use]
    pub fn fields(&self) -> &[String] {
        &self.fields
    }

    /// The trimmed field of this column; empty where the file has no such column. What spreadsheets
    /// write around a text that they must not take for a number or a formula is left out.
    #[must_use]
    pub fn get(&self, column: &str) -> &str {
        let index = self.columns.iter().position(|name| name.eq_ignore_ascii_case(column));
        let field = index.and_then(|index| self.fields.get(index)).map_or("", |field| field.trim());
        let quoted = field.strip_prefix("=\"").and_then(|field| field.strip_suffix('"'));
        let is_guarded =
            |rest: &&str| rest.starts_with(|c: char| c.is_ascii_digit()) || safe_cell((*rest).into()) == field;
        let guarded = field.strip_prefix('\'').filter(is_guarded);
        quoted.or(guarded).unwrap_or(field).trim()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_found_by_name_whatever_their_order() {
        let mut table = Table::read(" B ;A;C\n;;\n1;2;3;;\n; ;;;;\n".as_bytes(), &["A", "B"]).unwrap();
        let (number, row) = table.next_row().unwrap().unwrap();
        let row = row.checked().unwrap();
        assert_eq!((number, row.get("A"), row.get("B"), row.get("Z")), (3, "2", "1", ""));
        assert!(table.next_row().unwrap().is_none());
    }

    #[test]
    fn names_of_columns_are_known_however_they_are_written() {
        for header in ["Prenom;CodePostal", "PRÉNOM;CODE POSTAL", "prénom;code_postal", "\u{a0}Prenom ;Code-postal"] {
            let text = format!("{header}\nAnne;35000");
            let mut table = Table::read(text.as_bytes(), &["Prenom", "CodePostal"]).unwrap();
            let (_, row) = table.next_row().unwrap().unwrap();
            assert_eq!((row.get("Prenom"), row.get("CodePostal")), ("Anne", "35000"), "{header}");
        }
    }

    #[test]
    fn what_spreadsheets_write_around_a_text_is_left_out() {
        let text = "A;B;C;D;E\n=\"0123\";'+33 1;'012;'Été;=\"\"1\"\"\n";
        let mut table = Table::read(text.as_bytes(), &["A"]).unwrap();
        let (_, row) = table.next_row().unwrap().unwrap();
        assert_eq!(["A", "B", "C", "D", "E"].map(|column| row.get(column)), ["0123", "+33 1", "012", "'Été", "\"1\""]);
    }

    #[test]
    fn an_unusable_header_is_refused_with_the_reason() {
        let error = |text: &str| Table::read(text.as_bytes(), &["A", "B"]).err().unwrap().to_string();
        assert!(error("").contains("empty"));
        assert!(error("A;C\n").contains("no column B: its first line names \"A\" and \"C\""));
        assert!(error("A|B\n").contains("no column A: its first line names \"A|B\" (columns are separated by `;`)"));
        assert!(error("A;B;a\n").contains("column \"a\" twice"));
    }

    #[test]
    fn a_line_with_other_fields_than_the_header_is_refused() {
        let mut table = Table::read("A;B\n1\n1;2;3\n".as_bytes(), &["A"]).unwrap();
        for found in [1, 3] {
            let (_, row) = table.next_row().unwrap().unwrap();
            assert_eq!(row.checked().unwrap_err(), LineError::FieldCount { found, expected: 2 });
            assert_eq!(row.fields().len(), found);
        }
    }
}
