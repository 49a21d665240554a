//! A page under construction: decoration, and the tree of elements that hold the placed text.

use zeroize::Zeroizing;

use super::{
    error::PdfError,
    style::{Colour, Column, Style},
    wrap::wrap,
};

/// A4 in points; like every length here. `y` grows downwards from the top of the page.
pub const PAGE: (f32, f32) = (595.276, 841.89);
const SMALLEST_SIZE: f32 = 6.0;

/// One line of text, its baseline at `y`.
pub struct Run {
    pub style: Style,
    pub x: f32,
    pub y: f32,
    pub text: Zeroizing<String>,
}

/// A filled rectangle, decoration only.
pub struct Fill {
    pub x: f32,
    pub y: f32,
    pub width: f32,
    pub height: f32,
    pub colour: Colour,
}

/// A node of the structure tree: a text, or a parent of others.
pub struct Element {
    pub tag: &'static str,
    /// Index of the element around this one; the root is its own.
    pub parent: usize,
    pub runs: Vec<Run>,
}

pub struct Canvas {
    pub y: f32,
    pub fills: Vec<Fill>,
    /// In reading order, the root first.
    pub elements: Vec<Element>,
    open: usize,
}

impl Canvas {
    pub fn new() -> Self {
        let root = Element { tag: "Document", parent: 0, runs: Vec::new() };
        Self { y: 0.0, fills: Vec::new(), elements: vec![root], open: 0 }
    }

    /// What follows belongs to a new element, until [`Self::end`].
    pub fn begin(&mut self, tag: &'static str) {
        self.elements.push(Element { tag, parent: self.open, runs: Vec::new() });
        self.open = self.elements.len() - 1;
    }

    pub fn end(&mut self) {
        self.open = self.elements[self.open].parent;
    }

    pub fn fill(&mut self, x: f32, y: f32, width: f32, height: f32, colour: Colour) {
        self.fills.push(Fill { x, y, width, height, colour });
    }

    /// Paragraphs, wrapped, cut with « … » beyond the column's lines; `y` ends below them.
    pub fn text(&mut self, tag: &'static str, style: Style, column: Column, paragraphs: &[&str]) {
        self.begin(tag);
        for line in wrap(style, column, paragraphs) {
            self.line(style, column.x, line);
        }
        self.end();
    }

    /// A text exactly as given, on one line, set smaller when it must be.
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
            // The baseline that centres letters of usual height in their line.
            let y = self.y + style.leading() * 0.74;
            self.elements[self.open].runs.push(Run { style, x, y, text: Zeroizing::new(text) });
        }
        self.y += style.leading();
    }

    /// Numbers the marked sequences: for each, in order, the index of the element whose text it is.
    pub fn marked(&self) -> impl Iterator<Item = (u32, usize)> {
        (0..).zip((0..self.elements.len()).filter(|&index| !self.elements[index].runs.is_empty()))
    }
}
