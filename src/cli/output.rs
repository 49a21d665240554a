//! What commands print on standard output: lists as a table, as JSON or as CSV, and one thing with
//! its facts.

// These comments are what `--help` prints: words for the terminal, without backticks.
#![allow(clippy::doc_markdown)]

use std::{
    fmt::Write as _,
    io::{self, Write as _},
};

use clap::Args;
use serde::{Serialize, Serializer, ser::SerializeMap};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use super::error::CliError;
use crate::{domain::characters::printable, web::portal::export};

/// How a list is printed.
#[derive(Args, Clone, Copy, Debug)]
pub struct ListForm {
    /// As JSON, one array
    #[arg(long)]
    json: bool,
    /// As CSV for a spreadsheet, as the portal exports it: UTF-8, `;`, instants in Paris time
    #[arg(long, conflicts_with = "json")]
    csv: bool,
}

/// How one thing is printed.
#[derive(Args, Clone, Copy, Debug)]
pub struct SheetForm {
    /// As JSON, one object
    #[arg(long)]
    json: bool,
}

/// A value of a list or a sheet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cell {
    /// Not there: `null`, an empty cell, a hyphen.
    Nothing,
    Text(String),
    Number(i64),
    Flag(bool),
    Instant(OffsetDateTime),
    Texts(Vec<String>),
}

impl Cell {
    /// As the table shows it.
    fn shown(&self) -> String {
        match self {
            Self::Nothing => "-".into(),
            Self::Text(text) if text.is_empty() => "-".into(),
            Self::Text(text) => printable(text),
            Self::Number(number) => number.to_string(),
            Self::Flag(flag) => if *flag { "yes" } else { "no" }.into(),
            Self::Instant(at) => date(*at),
            Self::Texts(texts) if texts.is_empty() => "-".into(),
            Self::Texts(texts) => printable(&texts.join(", ")),
        }
    }

    /// As a spreadsheet takes it.
    fn exported(&self) -> String {
        match self {
            Self::Nothing => String::new(),
            Self::Instant(at) => export::instant(*at),
            Self::Text(text) => export::cell(text.clone()),
            Self::Texts(texts) => export::cell(texts.join(", ")),
            other => other.shown(),
        }
    }
}

impl Serialize for Cell {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Nothing => serializer.serialize_none(),
            Self::Text(text) => serializer.serialize_str(text),
            Self::Number(number) => serializer.serialize_i64(*number),
            Self::Flag(flag) => serializer.serialize_bool(*flag),
            Self::Instant(at) => serializer.serialize_str(&date(*at)),
            Self::Texts(texts) => texts.serialize(serializer),
        }
    }
}

macro_rules! cell_from {
    ($($from:ty => $make:expr;)+) => {$(
        impl From<$from> for Cell {
            fn from(value: $from) -> Self {
                ($make)(value)
            }
        }
    )+};
}

cell_from! {
    &str => |text: &str| Self::Text(text.to_owned());
    String => Self::Text;
    &String => |text: &String| Self::Text(text.clone());
    i64 => Self::Number;
    i32 => |number: i32| Self::Number(number.into());
    bool => Self::Flag;
    OffsetDateTime => Self::Instant;
    Vec<String> => Self::Texts;
}

impl<T: Into<Self>> From<Option<T>> for Cell {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Nothing, Into::into)
    }
}

/// What a list can be made of.
pub trait Listed<const N: usize> {
    /// The names of the values, which are those of the members in JSON. One that ends in `_at` is
    /// that of an instant.
    const NAMES: [&'static str; N];

    /// The values, in the order of [`Self::NAMES`].
    fn values(&self) -> [Cell; N];
}

/// Named values: an object in JSON, in the order of the names.
struct Object<'a> {
    names: &'a [&'static str],
    values: &'a [Cell],
}

impl Serialize for Object<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.names.len()))?;
        for (name, value) in self.names.iter().zip(self.values) {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

/// A list: rows of values under one row of names.
#[derive(Clone, Debug)]
pub struct Rows {
    names: Vec<&'static str>,
    rows: Vec<Vec<Cell>>,
}

impl Rows {
    /// The list of these.
    pub fn of<T: Listed<N>, const N: usize>(items: &[T]) -> Self {
        Self { names: T::NAMES.to_vec(), rows: items.iter().map(|item| item.values().to_vec()).collect() }
    }

    /// Prints the list.
    ///
    /// # Errors
    /// Where standard output cannot be written.
    pub fn print(&self, form: ListForm) -> Result<(), CliError> {
        if form.json {
            return self.print_json();
        }
        if self.rows.is_empty() && !form.csv {
            eprintln!("there are none");
        }
        print(&if form.csv { self.csv()? } else { self.table() })
    }

    /// Prints the list as JSON.
    ///
    /// # Errors
    /// Where standard output cannot be written.
    pub fn print_json(&self) -> Result<(), CliError> {
        print(&json(self)?)
    }

    /// Columns of equal width, below their names in capitals. Nothing where there are no rows.
    fn table(&self) -> String {
        if self.rows.is_empty() {
            return String::new();
        }
        let head = self.names.iter().map(|name| name.replace('_', " ").to_uppercase()).collect();
        let lines: Vec<Vec<String>> =
            std::iter::once(head).chain(self.rows.iter().map(|row| row.iter().map(Cell::shown).collect())).collect();
        let width = |column: usize| lines.iter().map(|line| line[column].chars().count()).max().unwrap_or(0);
        let widths: Vec<usize> = (0..self.names.len()).map(width).collect();
        let mut table = String::new();
        for line in &lines {
            let cells: Vec<String> = line.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
            table.push_str(cells.join("  ").trim_end());
            table.push('\n');
        }
        table
    }

    fn csv(&self) -> Result<String, CliError> {
        let head = self.names.iter().map(|name| match name.strip_suffix("_at") {
            Some(_) => format!("{name} (Paris)"),
            None => (*name).to_owned(),
        });
        let rows = self.rows.iter().map(|row| row.iter().map(Cell::exported).collect());
        let mut csv = csv::WriterBuilder::new().delimiter(b';').from_writer(Vec::new());
        for line in std::iter::once(head.collect::<Vec<String>>()).chain(rows) {
            csv.write_record(line).map_err(|error| CliError::Output(error.into()))?;
        }
        let bytes = csv.into_inner().map_err(|error| CliError::Output(error.into_error()))?;
        Ok(format!("{}{}", export::BYTE_ORDER_MARK, String::from_utf8_lossy(&bytes)))
    }
}

impl Serialize for Rows {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.rows.iter().map(|values| Object { names: &self.names, values }))
    }
}

/// One thing: its facts, and lists of what belongs to it.
#[derive(Clone, Debug, Default)]
pub struct Sheet {
    facts: Vec<(&'static str, Cell)>,
    lists: Vec<(&'static str, Rows)>,
}

impl Sheet {
    /// With the values of a row of a list.
    pub fn of<T: Listed<N>, const N: usize>(item: &T) -> Self {
        Self { facts: T::NAMES.into_iter().zip(item.values()).collect(), lists: Vec::new() }
    }

    /// And with this fact.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl Into<Cell>) -> Self {
        self.facts.push((name, value.into()));
        self
    }

    /// And with this list.
    #[must_use]
    pub fn with_list(mut self, name: &'static str, rows: Rows) -> Self {
        self.lists.push((name, rows));
        self
    }

    /// Prints it: a line for each fact, then the lists that are not empty.
    ///
    /// # Errors
    /// Where standard output cannot be written.
    pub fn print(&self, form: SheetForm) -> Result<(), CliError> {
        print(&if form.json { json(self)? } else { self.text() })
    }

    fn text(&self) -> String {
        let spoken = |name: &str| name.replace('_', " ");
        let width = self.facts.iter().map(|(name, _)| name.len() + 1).max().unwrap_or(0);
        let mut text = String::new();
        for (name, value) in &self.facts {
            let _ = writeln!(text, "{:<width$} {}", format!("{}:", spoken(name)), value.shown());
        }
        for (name, rows) in self.lists.iter().filter(|(_, rows)| !rows.rows.is_empty()) {
            let _ = write!(text, "\n{}:\n{}", spoken(name), rows.table());
        }
        text
    }
}

impl Serialize for Sheet {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.facts.len() + self.lists.len()))?;
        for (name, value) in &self.facts {
            map.serialize_entry(name, value)?;
        }
        for (name, rows) in &self.lists {
            map.serialize_entry(name, rows)?;
        }
        map.end()
    }
}

fn json(value: &impl Serialize) -> Result<String, CliError> {
    let text = serde_json::to_string(value).map_err(|error| CliError::Output(error.into()))?;
    Ok(text + "\n")
}

/// Prints a text. That its reader has enough, as `head` does, is no error.
///
/// # Errors
/// Where standard output cannot be written.
pub fn print(text: &str) -> Result<(), CliError> {
    let mut output = io::stdout().lock();
    match output.write_all(text.as_bytes()).and_then(|()| output.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(CliError::Output(error)),
        _ => Ok(()),
    }
}

/// « 1 session », « 2 sessions ».
pub fn counted(count: i64, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}

/// RFC 3339, in whole seconds.
pub fn date(at: OffsetDateTime) -> String {
    at.replace_nanosecond(0).unwrap_or(at).format(&Rfc3339).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Account(&'static str, Option<&'static str>, i32);

    impl Listed<4> for Account {
        const NAMES: [&'static str; 4] = ["identifier", "label", "days_left", "expires_at"];

        fn values(&self) -> [Cell; 4] {
            [self.0.into(), self.1.into(), self.2.into(), OffsetDateTime::UNIX_EPOCH.into()]
        }
    }

    const ACCOUNTS: [Account; 2] = [Account("21750001600019", Some("Paie d’été"), -3), Account("7", None, 12)];

    #[test]
    fn columns_stand_below_their_names() {
        let expected = "\
IDENTIFIER      LABEL       DAYS LEFT  EXPIRES AT
21750001600019  Paie d’été  -3         1970-01-01T00:00:00Z
7               -           12         1970-01-01T00:00:00Z
";
        assert_eq!(Rows::of(&ACCOUNTS).table(), expected);
        assert_eq!(Rows::of::<Account, 4>(&[]).table(), "");
    }

    #[test]
    fn a_spreadsheet_keeps_identifiers_and_knows_dates() {
        let expected = "\u{feff}identifier;label;days_left;expires_at (Paris)\n\
                        \t21750001600019;Paie d’été;-3;1970-01-01 01:00:00\n7;;12;1970-01-01 01:00:00\n";
        assert_eq!(Rows::of(&ACCOUNTS).csv().unwrap(), expected);
    }

    #[test]
    fn a_list_and_a_sheet_are_json() {
        let list = json(&Rows::of(&ACCOUNTS[1..])).unwrap();
        assert_eq!(
            list,
            "[{\"identifier\":\"7\",\"label\":null,\"days_left\":12,\"expires_at\":\"1970-01-01T00:00:00Z\"}]\n"
        );
        let sheet = Sheet::of(&ACCOUNTS[1]).with("failing", true).with_list("others", Rows::of(&ACCOUNTS[..1]));
        let json: serde_json::Value = serde_json::from_str(&json(&sheet).unwrap()).unwrap();
        assert_eq!((&json["failing"], &json["others"][0]["days_left"]), (&true.into(), &(-3).into()));
        let text = sheet.text();
        assert!(text.starts_with("identifier: 7\nlabel:      -\ndays left:  12\n"), "{text}");
        assert!(text.contains("\nothers:\nIDENTIFIER"), "{text}");
    }

    #[test]
    fn a_name_does_not_move_the_cursor() {
        assert_eq!(Cell::from("a\u{1b}[2Jb\u{202e}c").shown(), "a\u{fffd}[2Jb\u{fffd}c");
    }
}
