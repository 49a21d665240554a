//! Elements of the sheet: measures, colours, sections, rows, list items.

use super::{
    canvas::{Canvas, Fill, PAGE_WIDTH},
    font::Face::{self, Bold, Regular},
    style::{Colour, Column, Style},
};

pub const MARGIN: f32 = 56.0;
pub const WIDTH: f32 = PAGE_WIDTH - 2.0 * MARGIN;
pub const LABELS: f32 = 150.0;
pub const BAND: f32 = 58.0;
pub const INDENT: f32 = 20.0;
pub const BULLETS: f32 = 12.0;
pub const FULL: Column = Column::new(MARGIN, WIDTH, 4);
pub const FRAMED: Column = Column::new(MARGIN + INDENT, WIDTH - 2.0 * INDENT, 2);

pub const WHITE: Colour = [255, 255, 255];
pub const INK: Colour = [27, 31, 38];
pub const GREY: Colour = [79, 88, 102];
/// The accent of the portal's pages.
pub const ACCENT: Colour = [20, 80, 122];
pub const RULE: Colour = [208, 215, 224];
pub const PALE: Colour = [243, 246, 250];
pub const GROUP: Colour = [216, 226, 238];

pub struct Page {
    pub canvas: Canvas,
    pub density: Density,
}

/// How tightly a page is set.
#[derive(Clone, Copy)]
pub struct Density {
    /// Text size of paragraphs and tables.
    pub size: f32,
    /// Factor of the usual vertical space.
    pub gap: f32,
    /// How many lines a value may take.
    pub lines: usize,
}

impl Page {
    /// Adds a heading, and opens the table or list below it.
    pub fn section(&mut self, title: &str, tag: &'static str) {
        self.skip(17.0);
        self.text("H2", Style::new(Bold, 12.0, ACCENT), FULL, &[title]);
        self.skip(3.0);
        self.canvas.fill(Fill::new(MARGIN, self.canvas.y, WIDTH, 0.75, RULE));
        self.skip(5.0);
        self.canvas.begin(tag);
    }

    /// Adds a label and its value side by side; nothing where the value is empty.
    pub fn row(&mut self, label: &str, values: &[&str]) {
        if values.iter().any(|value| !value.trim().is_empty()) {
            self.pair(["TR", "TH", "TD"], LABELS, (GREY, label), values);
        }
    }

    pub fn item(&mut self, text: &str) {
        self.pair(["LI", "Lbl", "LBody"], BULLETS, (INK, "•"), &[text]);
    }

    fn pair(&mut self, tags: [&'static str; 3], indent: f32, left: (Colour, &str), right: &[&str]) {
        let [whole, label, value] = tags;
        let (top, lines) = (self.canvas.y, self.density.lines);
        let column = Column::new(MARGIN + indent, WIDTH - indent, lines);
        self.canvas.begin(whole);
        self.text(label, self.body(left.0), Column::new(MARGIN, indent, 1), &[left.1]);
        let below = std::mem::replace(&mut self.canvas.y, top);
        self.text(value, self.body(INK), column, right);
        self.canvas.y = self.canvas.y.max(below);
        self.skip(2.5);
        self.canvas.end();
    }

    pub fn text(&mut self, tag: &'static str, style: Style, column: Column, paragraphs: &[&str]) {
        self.canvas.text(tag, style, column, paragraphs);
    }

    pub fn skip(&mut self, height: f32) {
        self.canvas.y += height * self.density.gap;
    }

    pub fn body(&self, colour: Colour) -> Style {
        Style::new(Regular, self.density.size, colour)
    }

    pub fn small(&self, face: Face, colour: Colour) -> Style {
        Style::new(face, self.density.size - 1.0, colour)
    }
}
