//! Text styles of the sheet.

use super::font::Face;

pub type Colour = [u8; 3];

#[derive(Clone, Copy)]
pub struct Style {
    pub face: Face,
    pub size: f32,
    pub colour: Colour,
}

impl Style {
    pub fn new(face: Face, size: f32, colour: Colour) -> Self {
        Self { face, size, colour }
    }

    pub fn leading(self) -> f32 {
        self.size * 1.4
    }
}

/// A column for text.
#[derive(Clone, Copy)]
pub struct Column {
    pub x: f32,
    pub width: f32,
    /// The most lines of text.
    pub lines: usize,
}

impl Column {
    pub const fn new(x: f32, width: f32, lines: usize) -> Self {
        Self { x, width, lines }
    }
}
