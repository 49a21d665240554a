//! Tables to download for a spreadsheet.

use axum::{
    http::header,
    response::{IntoResponse, Response},
};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use super::error::AppError;

/// A CSV file as French spreadsheets open it: semicolons, and a mark that says UTF-8.
pub fn answer<const COLUMNS: usize>(
    name: &str,
    head: [&str; COLUMNS],
    rows: impl Iterator<Item = [String; COLUMNS]>,
) -> Result<Response, AppError> {
    let body = write(head, rows).map_err(|error| AppError::Internal(error.to_string()))?;
    let disposition = format!("attachment; filename=\"{name}\"");
    Ok(([(header::CONTENT_TYPE, "text/csv; charset=utf-8"), (header::CONTENT_DISPOSITION, &disposition)], body)
        .into_response())
}

fn write<const COLUMNS: usize>(
    head: [&str; COLUMNS],
    rows: impl Iterator<Item = [String; COLUMNS]>,
) -> csv::Result<Vec<u8>> {
    let mut csv = csv::WriterBuilder::new().delimiter(b';').from_writer("\u{feff}".as_bytes().to_vec());
    csv.write_record(head)?;
    for row in rows {
        csv.write_record(row.map(safe_cell))?;
    }
    csv.into_inner().map_err(|error| error.into_error().into())
}

/// An instant as spreadsheets and programs read it.
pub fn instant(at: OffsetDateTime) -> String {
    at.replace_nanosecond(0).unwrap_or(at).format(&Rfc3339).unwrap_or_default()
}

/// What a formula begins with, in some spreadsheet: the signs, also in their wide forms, and what may stand before them unseen.
const FORMULAS: [char; 11] = ['=', '+', '-', '@', '＝', '＋', '－', '＠', '\t', '\r', '\n'];

/// A spreadsheet takes a cell that begins like this for a formula: an apostrophe makes it a text.
fn safe_cell(text: String) -> String {
    if text.starts_with(FORMULAS) { format!("'{text}") } else { text }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_cell_is_never_a_formula() {
        for text in ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "＝1+1", "＋1", "－1", "＠SUM(A1)"] {
            assert!(safe_cell(text.into()).starts_with('\''));
        }
        assert_eq!(safe_cell("TECH_1".into()), "TECH_1");
    }

    proptest! {
        #[test]
        fn whatever_cells_hold_they_read_back_and_none_is_a_formula(cells in prop::collection::vec("[=+@;\"'\r\n\t＝é a-]{0,6}", 1..6)) {
            let rows = cells.iter().map(|cell| [cell.clone(), "x".to_owned()]);
            let written = write(["A", "B"], rows).unwrap();
            let written = written.strip_prefix("\u{feff}".as_bytes()).expect("the mark of UTF-8");
            let mut reader = csv::ReaderBuilder::new().delimiter(b';').from_reader(written);
            let read: Vec<String> = reader.records().map(|row| row.unwrap()[0].to_owned()).collect();
            prop_assert_eq!(read.len(), cells.len());
            for (read, cell) in read.iter().zip(&cells) {
                let disarmed = format!("'{cell}");
                prop_assert!(read == cell || *read == disarmed);
                prop_assert!(!read.starts_with(FORMULAS));
            }
        }
    }
}
