//! The kinds of file that are imported, and what a file is that is none of the wanted kind.

use std::{io::BufRead, path::Path};

use super::{
    directory_line,
    error::CliError,
    manager_line,
    table::{Table, TableError, has_columns},
};

/// A kind of file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileKind {
    /// The public directory of structures.
    Structures,
    /// People and their roles.
    Managers,
}

/// What other programs put between fields, and an import does not take by itself.
const OTHER_SEPARATORS: [char; 4] = ['|', ':', '~', '^'];

impl FileKind {
    fn required(self) -> &'static [&'static str] {
        match self {
            Self::Structures => &directory_line::REQUIRED,
            Self::Managers => &manager_line::REQUIRED,
        }
    }

    fn other(self) -> Self {
        match self {
            Self::Structures => Self::Managers,
            Self::Managers => Self::Structures,
        }
    }

    /// What such a file is, and which command takes it.
    fn described(self) -> &'static str {
        match self {
            Self::Structures => "a file of structures: `raccord import structures` takes it",
            Self::Managers => "a file of people and their roles: `raccord import managers` takes it",
        }
    }

    /// Opens a file of this kind.
    ///
    /// # Errors
    /// What the file is instead, or what is wrong with it.
    pub fn open(self, path: &Path) -> Result<Table<Box<dyn BufRead>>, CliError> {
        let opened = Table::open(path, self.required());
        opened.map_err(|error| CliError::file(path, self.explained(error)))
    }

    /// A more precise error, where the columns are those of something that is known.
    fn explained(self, error: TableError) -> TableError {
        let TableError::MissingColumn { named, .. } = &error else { return error };
        if has_columns(named, self.other().required()) {
            return TableError::OtherKind(self.other().described());
        }
        let line = named.join("");
        let splits = |separator: &char| {
            let named: Vec<String> = line.split(*separator).map(str::to_owned).collect();
            has_columns(&named, self.required())
        };
        match OTHER_SEPARATORS.into_iter().find(splits) {
            Some(separator) => TableError::OtherSeparator(separator),
            None => error,
        }
    }
}
