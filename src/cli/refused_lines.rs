//! `--report FILE.csv`: the refused lines of an import, with the reasons, to be mended and sent
//! again.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use super::{error::CliError, table::Row};
use crate::web::portal::export::safe_cell;

/// The columns before those of the imported file. An import leaves out what it does not know, and
/// a report of a report does not repeat them.
const OWN_COLUMNS: [&str; 2] = ["Ligne", "Motif"];

/// The file of refused lines. It has the columns of the imported file, and takes only what that
/// file holds.
pub struct RefusedLines {
    path: PathBuf,
    csv: csv::Writer<File>,
    /// The columns of the imported file that are those of a report.
    left_out: Vec<usize>,
}

impl RefusedLines {
    /// Creates the file, or empties it, before anything is loaded.
    ///
    /// # Errors
    /// Where it cannot be written, or is the imported file.
    pub fn create(path: &Path, imported: &Path, header: &[String]) -> Result<Self, CliError> {
        let refused = |error| CliError::Report { path: path.to_owned(), error };
        let identity = |path| fs::metadata(path).map(|file: fs::Metadata| (file.dev(), file.ino())).ok();
        if identity(path).is_some_and(|report| identity(imported) == Some(report)) {
            return Err(refused(io::Error::other("it is the file to import")));
        }
        let mut file = replace(path).map_err(refused)?;
        // Without it, French spreadsheets do not read the file as UTF-8.
        file.write_all("\u{feff}".as_bytes()).map_err(refused)?;
        let is_own = |name: &String| OWN_COLUMNS.iter().any(|own| own.eq_ignore_ascii_case(name));
        let left_out = (0..header.len()).filter(|place| is_own(&header[*place])).collect();
        let csv = csv::WriterBuilder::new().delimiter(b';').flexible(true).from_writer(file);
        let mut report = Self { path: path.to_owned(), csv, left_out };
        report.write(OWN_COLUMNS.map(str::to_owned), header)?;
        Ok(report)
    }

    /// Adds a line.
    ///
    /// # Errors
    /// Where the file cannot be written.
    pub fn add(&mut self, number: u64, why: &str, row: &Row<'_>) -> Result<(), CliError> {
        self.write([number.to_string(), safe_cell(why.to_owned())], row.fields())
    }

    fn write(&mut self, own: [String; 2], fields: &[String]) -> Result<(), CliError> {
        let kept = fields.iter().enumerate().filter(|(place, _)| !self.left_out.contains(place));
        let written = self.csv.write_record(own.into_iter().chain(kept.map(|(_, field)| safe_cell(field.clone()))));
        written.map_err(|error| CliError::Report { path: self.path.clone(), error: error.into() })
    }

    /// Writes what is left.
    ///
    /// # Errors
    /// Where the file cannot be written.
    pub fn end(mut self) -> Result<PathBuf, CliError> {
        match self.csv.flush() {
            Ok(()) => Ok(self.path),
            Err(error) => Err(CliError::Report { path: self.path, error }),
        }
    }
}

/// Replaces the file by a new one for its owner alone, since the lines of managers name people. It
/// follows no link, and no reader of the old file reads it.
fn replace(path: &Path) -> io::Result<File> {
    match fs::symlink_metadata(path) {
        Ok(found) if !found.is_file() => return Err(io::Error::other("it is a link, or no file")),
        Ok(_) => fs::remove_file(path)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)
}
