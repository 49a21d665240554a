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
    let failed = |error: String| AppError::Internal(error);
    let mut csv = csv::WriterBuilder::new().delimiter(b';').from_writer("\u{feff}".as_bytes().to_vec());
    csv.write_record(head).map_err(|error| failed(error.to_string()))?;
    for row in rows {
        csv.write_record(row.map(safe_cell)).map_err(|error| failed(error.to_string()))?;
    }
    let body = csv.into_inner().map_err(|error| failed(error.to_string()))?;
    let disposition = format!("attachment; filename=\"{name}\"");
    Ok(([(header::CONTENT_TYPE, "text/csv; charset=utf-8"), (header::CONTENT_DISPOSITION, &disposition)], body)
        .into_response())
}

/// An instant as spreadsheets and programs read it.
pub fn instant(at: OffsetDateTime) -> String {
    at.replace_nanosecond(0).unwrap_or(at).format(&Rfc3339).unwrap_or_default()
}

/// A spreadsheet takes a cell that begins like this for a formula, also in the wide forms of Asian keyboards: an apostrophe makes it
/// a text.
fn safe_cell(text: String) -> String {
    if text.starts_with(['=', '+', '-', '@', '\t', '\r', '\n', '＝', '＋', '－', '＠']) {
        format!("'{text}")
    } else {
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_is_never_a_formula() {
        for text in ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "＝1+1", "＠A1"] {
            assert!(safe_cell(text.into()).starts_with('\''));
        }
        assert_eq!(safe_cell("TECH_1".into()), "TECH_1");
    }
}
