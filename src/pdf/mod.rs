//! The PDF « Informations de connexion »: one A4 page, accessible (PDF/UA-1), drawn by printpdf.
//!
//! `sheet` says what is on the page, in the words of `page`; `canvas` places it, `wrap` breaks
//! its lines; `draw` turns it into printpdf operations with fonts that `font` cuts down to the
//! glyphs used; `tags` and `about` add what assistive technologies and readers need.

mod about;
mod canvas;
mod content;
mod draw;
mod error;
mod font;
mod page;
mod sheet;
mod style;
mod tags;
#[cfg(test)]
mod tests;
mod wrap;

use zeroize::Zeroizing;

pub use content::ConnectionSheet;
pub use error::PdfError;

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
