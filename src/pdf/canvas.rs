//! A page being laid out: decoration, and a tree of elements with positioned text.

use zeroize::Zeroizing;

use super::{
    error::PdfError,
    style::{Colour, Column, Style},
    wrap::wrap,
};

/// A4 in points, like every length here. `y` grows downwards from the top of the page.
pub const PAGE_WIDTH: f32 = 595.276;
pub const PAGE_HEIGHT: f32 = 841.89;
/// The smallest legible text size.
const SMALLEST_SIZE: f32 = 6.0;

/// One line of text with its baseline at `y`.
pub struct Run {
    pub style: Style,
    pub x: f32,
    pub y: f32,
    pub text: Zeroizing<String>,
}

/// A filled rectangle, for decoration.
pub struct Fill {
    pub x: f32,
    pub y: f32,
    pub width: f32,
    pub height: f32,
    pub colour: Colour,
}

impl Fill {
    pub fn new(x: f32, y: f32, width: f32, height: f32, colour: Colour) -> Self {
        Self { x, y, width, height, colour }
    }
}

/// A node of the structure tree: a text, or the parent of other elements.
pub struct Element {
    /// A tag of PDF; `TH-Column` is a `TH` at the head of a column.
    pub tag: &'static str,
    /// Index of the parent element; the root is its own parent.
    pub parent: usize,
    pub runs: Vec<Run>,
}

pub struct Canvas {
    /// The page's entry in the outline, if it has one.
    pub title: Option<String>,
    pub y: f32,
    pub fills: Vec<Fill>,
    /// In reading order, the root first.
    pub elements: Vec<Element>,
    open: usize,
}

impl Canvas {
    pub fn new() -> Self {
        let root = Element { tag: "Document", parent: 0, runs: Vec::new() };
        Self { title: None, y: 0.0, fills: Vec::new(), elements: vec![root], open: 0 }
    }

    /// Opens an element, until [`Self::end`].
    pub fn begin(&mut self, tag: &'static str) {
        self.elements.push(Element { tag, parent: self.open, runs: Vec::new() });
        self.open = self.elements.len() - 1;
    }

    pub fn end(&mut self) {
        self.open = self.elements[self.open].parent;
    }

    pub fn fill(&mut self, fill: Fill) {
        self.fills.push(fill);
    }

    /// Adds wrapped paragraphs, truncated with « … » after the column's last line. Moves `y` below
    /// them.
    pub fn text(&mut self, tag: &'static str, style: Style, column: Column, paragraphs: &[&str]) {
        self.begin(tag);
        for line in wrap(style, column, paragraphs) {
            self.line(style, column.x, line);
        }
        self.end();
    }

    /// Adds a text exactly as given, on one line, in a smaller size where needed.
    ///
    /// # Errors
    /// [`PdfError::Inexact`] where it does not fit or a character has no glyph.
    pub fn exact(&mut self, tag: &'static str, style: Style, column: Column, text: &str) -> Result<(), PdfError> {
        let width = style.face.width(style.size, text).max(column.width);
        let size = style.size * column.width / width;
        if size < SMALLEST_SIZE || !style.face.draws_exactly(text) {
            return Err(PdfError::Inexact);
        }
        self.begin(tag);
        self.line(Style { size, ..style }, column.x, text.to_owned());
        self.end();
        Ok(())
    }

    fn line(&mut self, style: Style, x: f32, text: String) {
        if !text.is_empty() {
            // Centres letters of usual height vertically in their line.
            let y = self.y + style.leading() * 0.74;
            self.elements[self.open].runs.push(Run { style, x, y, text: Zeroizing::new(text) });
        }
        self.y += style.leading();
    }

    /// The marked-content sequences in order: the number of each, and the index of its element.
    pub fn marked(&self) -> impl Iterator<Item = (u32, usize)> {
        (0..).zip((0..self.elements.len()).filter(|&index| !self.elements[index].runs.is_empty()))
    }
}
