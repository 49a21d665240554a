//! The PDF « Informations de connexion »: one A4 page, accessible (PDF/UA-1), drawn by printpdf.
//!
//! `sheet` says what is on the page, in the words of `page`; `canvas` places it, `wrap` breaks
//! its lines; `draw` turns it into printpdf operations with fonts that `font` cuts down to the
//! glyphs used; `tags` and `about` add what assistive technologies and readers need.

mod about;
mod canvas;
mod draw;
mod font;
mod page;
mod sheet;
mod tags;
#[cfg(test)]
mod tests;
mod wrap;

use time::OffsetDateTime;
use zeroize::Zeroizing;

/// What the sheet says. Dates and the identifier come already formatted for French readers.
///
/// It has no `Debug`, so that no log line can ever hold the password.
#[derive(Clone, Copy)]
pub struct ConnectionSheet<'a> {
    pub service_name: &'a str,
    /// Drawn exactly, on one line.
    pub login: &'a str,
    pub label: Option<&'a str>,
    /// Drawn exactly, on one line.
    pub password: &'a str,
    pub contact_address: &'a str,
    pub structure_designation: &'a str,
    /// With its type: "SIRET 213 500 014 00019".
    pub structure_identifier: &'a str,
    /// One item per line of the postal address; empty ones are left out.
    pub structure_address: &'a [&'a str],
    /// Where the platform's API answers, without `/api/oauth/token`.
    pub api_url: &'a str,
    pub expires_on: &'a str,
    pub issued_on: &'a str,
    /// Dates of the file itself.
    pub issued_at: OffsetDateTime,
}

/// Why a sheet could not be made. No variant carries anything that the sheet says.
#[derive(Debug, thiserror::Error)]
pub enum PdfError {
    #[error("the login or the password cannot be drawn exactly: too long, or a character without glyph")]
    Inexact,
    #[error("cutting a font down to the glyphs used failed")]
    Font(#[from] subsetter::Error),
    #[error("printpdf made a document that cannot be completed")]
    Document(#[from] lopdf::Error),
    #[error("the document could not be written")]
    Write(#[from] std::io::Error),
}

/// Draws the sheet: the bytes of a PDF 1.7 file, the same for the same sheet.
///
/// Texts that are too long for the page are wrapped, then set smaller, then cut with « … ».
/// Characters without a glyph show as U+FFFD; control and invisible ones are dropped.
///
/// The result and our own copies of the password are zeroized. printpdf and lopdf also copy it,
/// as glyph numbers, into operands and streams that they free unzeroized.
///
/// # Errors
/// [`PdfError::Inexact`] when the login or the password cannot be drawn as it is; the other
/// variants mean a bug here or in a library.
pub fn render(sheet: &ConnectionSheet<'_>) -> Result<Zeroizing<Vec<u8>>, PdfError> {
    let canvas = sheet::compose(sheet)?;
    let mut document = draw::draw(&canvas)?;
    let about = about::About::new(sheet);
    tags::complete(&mut document, &canvas, &about)?;
    draw::write(document)
}
