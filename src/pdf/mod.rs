//! The PDF « Informations de connexion »: one A4 page, accessible (PDF/UA-1), drawn by printpdf.
//!
//! `group` puts those of several accounts behind a cover that lists them.
//!
//! `sheet_layout` lays the content out with the elements of `page`; `canvas` positions text, and
//! `wrap` breaks it into lines; `draw` converts the canvas to printpdf operations, with fonts that
//! `font` subsets; `tags` and `about` add the structure tree and the metadata.

mod about;
mod canvas;
mod draw;
mod error;
mod font;
mod group;
mod page;
mod sheet_data;
mod sheet_layout;
mod style;
mod tags;
#[cfg(test)]
mod tests;
mod wrap;

use zeroize::Zeroizing;

pub use error::PdfError;
pub use group::{GroupName, SheetGroup};
pub use sheet_data::ConnectionSheet;

/// Draws the sheet: the bytes of a PDF 1.7 file, the same for the same sheet.
///
/// Texts that are too long for the page are wrapped, then set smaller, then truncated with « … ».
/// Characters without a glyph are drawn as U+FFFD; invisible ones are dropped.
///
/// The result and this module's copies of the password are zeroized. printpdf and lopdf copy it, as
/// glyph numbers, into operands and streams: the program's allocator wipes those when it frees
/// them.
///
/// # Errors
/// [`PdfError::Inexact`] when the login or the password cannot be drawn exactly. The other variants
/// mean a bug here or in a library.
pub fn render(sheet: &ConnectionSheet<'_>) -> Result<Zeroizing<Vec<u8>>, PdfError> {
    write(vec![sheet_layout::compose(sheet)?], &about::About::new(sheet))
}

/// Draws the sheets of several accounts: a cover that lists them, then one page an account, with an
/// outline.
///
/// # Errors
/// As [`render`].
pub fn render_group(group: &SheetGroup<'_>) -> Result<Zeroizing<Vec<u8>>, PdfError> {
    write(group::compose(group)?, &about::About::of_group(group))
}

fn write(pages: Vec<canvas::Canvas>, about: &about::About) -> Result<Zeroizing<Vec<u8>>, PdfError> {
    let mut document = draw::draw(&pages)?;
    tags::complete(&mut document, &pages, about)?;
    drop(pages);
    draw::write(document)
}
