//! Why a sheet could not be made.

/// Why a sheet could not be made. No variant contains the sheet's content.
#[derive(Debug, thiserror::Error)]
pub enum PdfError {
    #[error("the login or the password cannot be drawn exactly: too long, or a character without glyph")]
    Inexact,
    #[error("cutting a font down to the glyphs used failed")]
    Font(#[from] subsetter::Error),
    #[error("printpdf made a document that cannot be completed")]
    Document(#[from] lopdf::Error),
    #[error("the metadata could not be rendered")]
    Metadata(#[from] askama::Error),
    #[error("the document could not be written")]
    Write(#[from] std::io::Error),
}
