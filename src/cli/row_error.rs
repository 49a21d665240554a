//! Why a line of an import file cannot be loaded, in English for the operator.

use std::fmt;

use thiserror::Error;

use super::csv_lines::LineError;
use crate::{
    db::members::import::AttachError,
    domain::{new_person::NewPersonErrors, structure::StructureCardError, structure_identifier::IdentifierError},
};

/// Why a line cannot be loaded.
#[derive(Debug, Error)]
pub enum RowError {
    #[error(transparent)]
    Line(#[from] LineError),
    #[error("{column} is {value}, which is not one of {allowed}")]
    NotOneOf { column: &'static str, value: Quoted, allowed: &'static str },
    #[error("{column} is {value}: {}", identifier_problem(*.error))]
    Identifier { column: &'static str, value: Quoted, error: IdentifierError },
    #[error(
        "{column} is {value}: it was written in another encoding, MacRoman perhaps; save the file as « CSV UTF-8 »"
    )]
    Garbled { column: &'static str, value: Quoted },
    /// With `--strict`.
    #[error("{}", .0.iter().map(MendedCell::why_refused).collect::<Vec<_>>().join("; "))]
    Unmended(Vec<MendedCell>),
    #[error("{column} {}", card_problem(*.error))]
    Card { column: &'static str, error: StructureCardError },
    #[error(transparent)]
    Person(#[from] NewPersonErrors),
    #[error(transparent)]
    Attach(#[from] AttachError),
}

/// A cell of which only a part is kept, or nothing.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("{column} is {read}: {kept} is kept")]
pub struct MendedCell {
    pub column: &'static str,
    pub read: Quoted,
    pub kept: Quoted,
}

impl MendedCell {
    /// Why a line with this cell is refused where nothing may be mended.
    #[must_use]
    pub fn why_refused(&self) -> String {
        format!("{} is {}, of which {} could be kept", self.column, self.read, self.kept)
    }
}

/// A value from a file, escaped for a terminal and cut to a bounded length.
#[derive(Debug, PartialEq, Eq)]
pub struct Quoted(String);

impl Quoted {
    #[must_use]
    pub fn new(value: &str) -> Self {
        let cut: String = value.chars().take(60).collect();
        let more = if cut.len() < value.len() { "…" } else { "" };
        Self(format!("{cut:?}{more}"))
    }
}

impl fmt::Display for Quoted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The English text of a domain error, whose own text is French.
pub fn identifier_problem(error: IdentifierError) -> &'static str {
    match error {
        IdentifierError::Empty => "the identifier is missing",
        IdentifierError::TooLong => "an identifier has at most 80 characters",
        IdentifierError::Character => "an identifier has only letters, digits, `-` and `_`",
        IdentifierError::SiretLength => {
            "a SIRET has 14 digits (spreadsheets drop leading zeros, and write 2,175E+13 unless the column is a text)"
        }
        IdentifierError::SiretChecksum => "the SIRET's control digit is wrong",
    }
}

fn card_problem(error: StructureCardError) -> &'static str {
    match error {
        StructureCardError::DesignationMissing => "is missing",
        StructureCardError::TooLong => "has more than 250 characters",
        StructureCardError::Unprintable => "holds a character that cannot be displayed",
        StructureCardError::Email => "is not an address of the form name@domain",
        StructureCardError::PostalCode => "is not five digits",
        StructureCardError::Phone => "holds something else than digits, spaces, dots, hyphens, brackets and +",
    }
}
