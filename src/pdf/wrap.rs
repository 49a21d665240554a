//! Breaks paragraphs into lines.

use super::style::{Column, Style};

/// Breaks paragraphs into lines of the column's width, truncated with « … » after its last line.
pub fn wrap(style: Style, column: Column, paragraphs: &[&str]) -> Vec<String> {
    let width = |text: &str| style.face.width(style.size, text);
    let mut lines = Vec::new();
    for paragraph in paragraphs {
        break_lines(style.face.clean(paragraph).trim(), column.width, &width, &mut lines);
    }
    if lines.len() > column.lines {
        lines.truncate(column.lines);
        if let Some(last) = lines.last_mut() {
            while width(last.trim_end()) + width("…") > column.width && last.pop().is_some() {}
            last.truncate(last.trim_end().len());
            last.push('…');
        }
    }
    lines
}

/// Breaks after spaces, and within words that are longer than a line. Every line ends with a space,
/// so that a screen reader that joins lines does not join words.
fn break_lines(text: &str, limit: f32, width: &impl Fn(&str) -> f32, lines: &mut Vec<String>) {
    let mut line = String::new();
    let mut used = 0.0;
    for piece in pieces(text, limit, width) {
        if used + width(piece.trim_end()) > limit && !line.is_empty() {
            lines.push(std::mem::take(&mut line));
            used = 0.0;
        }
        line.push_str(piece);
        used += width(piece);
    }
    if !line.is_empty() {
        lines.push(line + " ");
    }
}

/// Unbreakable pieces: words with their trailing space, or single characters of long words.
fn pieces<'a>(text: &'a str, limit: f32, width: &impl Fn(&str) -> f32) -> Vec<&'a str> {
    let split = |word: &'a str| {
        if width(word.trim_end()) <= limit { vec![word] } else { word.split_inclusive(|_| true).collect() }
    };
    text.split_inclusive(' ').flat_map(split).collect()
}
