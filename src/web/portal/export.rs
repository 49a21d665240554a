//! CSV downloads for spreadsheets.

use axum::{
    body::{Body, Bytes},
    http::header,
    response::{IntoResponse, Response},
};
use futures_util::stream::{self, Stream, StreamExt, TryStreamExt};
use time::OffsetDateTime;

use crate::{
    domain::characters::is_invisible,
    french,
    web::edge::{error::AppError, shares::Share, state::Downloader},
};

/// Without it, French spreadsheets do not read the file as UTF-8.
pub const BYTE_ORDER_MARK: &str = "\u{feff}";

/// A CSV file for French spreadsheets, with semicolons and a byte order mark. The `batches` of rows
/// are read as they are sent. If one fails, the connection is aborted, so that the browser reports
/// an incomplete download. The person's share is held until the end.
pub fn stream<const COLUMNS: usize, E>(
    name: &str,
    share: Share<Downloader>,
    head: [&str; COLUMNS],
    batches: impl Stream<Item = Result<Vec<[String; COLUMNS]>, E>> + Send + 'static,
) -> Result<Response, AppError>
where
    E: std::error::Error + Send + Sync + 'static,
{
    let first = stream::iter([Ok(Bytes::from(first_line(head)?))]);
    let rest = batches.map(move |batch| {
        let _ = &share;
        Ok::<_, axum::BoxError>(Bytes::from(lines(batch?.into_iter(), cell)?))
    });
    let log = |error: &axum::BoxError| tracing::warn!(error = error.to_string(), "a download broke off");
    Ok(download(name, CSV, Body::from_stream(first.chain(rest.inspect_err(log)))))
}

/// A small CSV file for programs, in one piece: what a spreadsheet would only show otherwise stays
/// as it is.
pub fn for_programs<const COLUMNS: usize>(
    head: [&str; COLUMNS],
    rows: impl Iterator<Item = [String; COLUMNS]>,
) -> Result<Vec<u8>, AppError> {
    Ok([first_line(head)?, lines(rows, safe_cell)?].concat())
}

/// The media type of CSV files.
pub const CSV: &str = "text/csv; charset=utf-8";

/// A file in one piece.
pub struct File {
    pub name: String,
    pub media_type: &'static str,
    pub content: Vec<u8>,
}

impl File {
    /// The answer, which holds the share until it is handed to the kernel: its reader may be slow.
    pub fn held_with(self, share: Share<Downloader>) -> Response {
        download(&self.name, self.media_type, share.kept_by(self.content))
    }
}

/// A file to be saved as `name`.
fn download(name: &str, media_type: &str, body: impl Into<Body>) -> Response {
    let disposition = format!("attachment; filename=\"{name}\"");
    ([(header::CONTENT_TYPE, media_type), (header::CONTENT_DISPOSITION, &disposition)], body.into()).into_response()
}

fn first_line<const COLUMNS: usize>(head: [&str; COLUMNS]) -> Result<Vec<u8>, csv::Error> {
    let line = lines(std::iter::once(head.map(str::to_owned)), cell)?;
    Ok([BYTE_ORDER_MARK.as_bytes(), &line].concat())
}

fn lines<const COLUMNS: usize>(
    rows: impl Iterator<Item = [String; COLUMNS]>,
    cell: fn(String) -> String,
) -> Result<Vec<u8>, csv::Error> {
    let mut csv = csv::WriterBuilder::new().delimiter(b';').from_writer(Vec::new());
    for row in rows {
        csv.write_record(row.map(cell))?;
    }
    csv.into_inner().map_err(|error| error.into_error().into())
}

impl From<csv::Error> for AppError {
    fn from(error: csv::Error) -> Self {
        Self::Internal(error.to_string())
    }
}

/// An instant in Paris time, in the one form that spreadsheets read as a date in every language:
/// `2028-01-24 14:05:09`. The head of its column names the time zone.
pub fn instant(at: OffsetDateTime) -> String {
    french::in_paris(at).strftime("%Y-%m-%d %H:%M:%S").to_string()
}

/// The characters that begin a formula, also in the full-width form of East Asian keyboards.
const FORMULA: [char; 8] = ['=', '+', '-', '@', '\u{ff1d}', '\u{ff0b}', '\u{ff0d}', '\u{ff20}'];

/// A cell that a spreadsheet neither computes nor changes.
#[must_use]
pub fn cell(text: String) -> String {
    if would_be_changed(&text) { format!("\t{text}") } else { safe_cell(text) }
}

/// Whether a spreadsheet would make a number or a date of a text: of a SIRET 1,2E+13, of an
/// identifier without its zero at the beginning, of `12E5` a power, of `3-12` a day. A tab before
/// it makes it a text; it does not show, and programs that trim cells never see it.
fn would_be_changed(text: &str) -> bool {
    let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
    let looks_computed = text.bytes().all(|byte| byte.is_ascii_digit() || b"-/+eE".contains(&byte));
    let has_zero_before = text.len() > 1 && text.starts_with('0');
    text.starts_with(|first: char| first.is_ascii_digit())
        && if is_number { text.len() > LONGEST_NUMBER || has_zero_before } else { looks_computed }
}

/// Digits of a number that spreadsheets show as it is.
const LONGEST_NUMBER: usize = 11;

/// Puts an apostrophe before a cell that a spreadsheet could take for a formula, which makes it a
/// text. Some spreadsheets skip white space and invisible characters before the formula. A cell
/// that begins with a control character also gets an apostrophe.
#[must_use]
pub fn safe_cell(text: String) -> String {
    let first = text.trim_start_matches(is_blank).chars().next();
    let is_formula = first.is_some_and(|first| FORMULA.contains(&first)) || text.starts_with(char::is_control);
    if is_formula { format!("'{text}") } else { text }
}

fn is_blank(c: char) -> bool {
    c.is_whitespace() || is_invisible(c)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use time::format_description::well_known::Rfc3339;

    use super::*;
    use crate::web::edge::shares::Shares;

    #[tokio::test]
    async fn a_file_holds_its_share_until_its_bytes_are_gone() {
        let shares = Shares::of(1);
        let share = shares.take(Downloader::Person(1), 1).unwrap();
        let file = File { name: "a.csv".into(), media_type: CSV, content: b"a".to_vec() };
        let bytes = axum::body::to_bytes(file.held_with(share).into_body(), 9).await.unwrap();
        // Handed over by the answer, and not sent yet.
        assert!(bytes == "a" && shares.take(Downloader::Person(1), 1).is_err());
        drop(bytes);
        assert!(shares.take(Downloader::Person(1), 1).is_ok());
    }

    #[test]
    fn an_instant_is_a_date_of_spreadsheets_by_the_clock_of_paris() {
        let at = |text| instant(OffsetDateTime::parse(text, &Rfc3339).unwrap());
        assert_eq!(at("2028-01-24T13:05:09.9Z"), "2028-01-24 14:05:09");
        assert_eq!(at("2028-07-13T22:30:00Z"), "2028-07-14 00:30:00");
        // Half past two, twice in one night: their order in the file tells them apart.
        assert_eq!(at("2028-10-29T00:30:00Z"), at("2028-10-29T01:30:00Z"));
    }

    #[test]
    fn what_a_spreadsheet_would_make_a_number_or_a_date_of_stays_a_text() {
        for text in ["21590005100016", "0123456001", "007", "123456789012", "12E5", "3-12", "1/2/2026", "2026-11-19"] {
            assert_eq!(cell(text.into()), format!("\t{text}"));
        }
        for text in ["", "0", "42", "12345678901", "2026-11-19 10:48:53", "198.51.100.7", "2001:db8::1", "E5", "Paie 2"]
        {
            assert_eq!(cell(text.into()), text);
        }
        // What is computed is disarmed first.
        assert_eq!(cell("-12".into()), "'-12");
    }

    #[test]
    fn a_cell_is_never_a_formula() {
        for text in [
            "=1+1",
            "+1",
            "-1",
            "@SUM(A1)",
            "\t=1",
            "\r=1",
            "\n=1",
            "\tx",
            "\rx",
            "\nx",
            "\0=1",
            " =1",
            "\u{a0}=1",
            "\u{202f}+1",
            "\u{feff}=1",
            "\u{200b}@x",
            "\u{ad}-1",
            "\u{2028}=1",
            "＝1+1",
            "＋1",
            "－1",
            "＠x",
            "\u{3000}＝1",
            "\r\n \t=1",
        ] {
            assert_eq!(safe_cell(text.into()), format!("'{text}"));
        }
        for text in ["", " ", "TECH_1", "a=1", "Libellé", "« =1 »", "’=1", "１"] {
            assert_eq!(safe_cell(text.into()), text);
        }
    }

    proptest! {
        #[test]
        fn whatever_stands_in_a_cell_no_reader_finds_a_formula(
            text in "[ \t\r\n=+@;\"'\u{feff}\u{3000}＝－a-]{0,12}", for_program in any::<bool>()
        ) {
            let line = lines(std::iter::once(["x".into(), text.clone()]), if for_program { safe_cell } else { cell }).unwrap();
            let mut reader = csv::ReaderBuilder::new().delimiter(b';').has_headers(false).from_reader(&line[..]);
            let cells = reader.records().next().unwrap().unwrap();
            prop_assert_eq!(cells.len(), 2);
            let cell = &cells[1];
            prop_assert!(cell == text || cell.strip_prefix(['\'', '\t']) == Some(text.as_str()));
            let first = cell.chars().find(|c| !c.is_whitespace() && !c.is_control() && *c != '\u{feff}');
            prop_assert!(first.is_none_or(|first| !"=+-@＝＋－＠".contains(first)), "{:?}", cell);
        }
    }
}
