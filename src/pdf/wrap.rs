//! Breaking paragraphs into lines.

use super::style::{Column, Style};

/// The paragraphs in lines that fit the column; what is beyond its last line becomes « … ».
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

/// Breaks after spaces, and inside words that are longer than a line. Every line ends with a
/// space, unseen: a screen reader that joins lines must not join words.
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

/// What may not be broken: words with the space behind them, or single characters of long words.
fn pieces<'a>(text: &'a str, limit: f32, width: &impl Fn(&str) -> f32) -> Vec<&'a str> {
    let split = |word: &'a str| {
        if width(word.trim_end()) <= limit { vec![word] } else { word.split_inclusive(|_| true).collect() }
    };
    text.split_inclusive(' ').flat_map(split).collect()
}
