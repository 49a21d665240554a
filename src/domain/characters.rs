//! Characters that show nothing, or that change how the text around them reads.

use icu_properties::{
    CodePointMapData, CodePointSetData,
    props::{DefaultIgnorableCodePoint, GeneralCategory},
};

/// A control character or a line end, Unicode's line and paragraph separators included.
#[must_use]
pub fn is_control_or_line_end(c: char) -> bool {
    c.is_control() || matches!(c, '\u{2028}' | '\u{2029}')
}

/// A character without a visible shape, other than a space.
///
/// Control characters and line ends; what Unicode calls default-ignorable (variation selectors,
/// fillers, tags, direction marks) or format characters (zero-width marks); and the blank Braille
/// pattern.
#[must_use]
pub fn is_invisible(c: char) -> bool {
    const BLANK_BRAILLE: char = '\u{2800}';
    is_control_or_line_end(c)
        || c == BLANK_BRAILLE
        || CodePointSetData::new::<DefaultIgnorableCodePoint>().contains(c)
        || CodePointMapData::<GeneralCategory>::new().get(c) == GeneralCategory::Format
}

/// A text without what would move a terminal's cursor, or show nothing.
#[must_use]
pub fn printable(text: &str) -> String {
    text.chars().map(|c| if is_invisible(c) { '\u{fffd}' } else { c }).collect()
}

/// An invisible character that a name may not contain, since two names could then look alike.
///
/// The soft hyphen is allowed: the public directory's names contain it.
#[must_use]
pub fn is_unprintable(c: char) -> bool {
    const SOFT_HYPHEN: char = '\u{ad}';
    is_invisible(c) && c != SOFT_HYPHEN
}

/// A character without a meaning that all computers share: unassigned, for private use, in place of
/// an object, or a sign that shows nothing by itself. Each program shows it in its own way.
#[must_use]
pub fn is_undefined(c: char) -> bool {
    const OBJECT_REPLACEMENT: char = '\u{fffc}';
    const NULL_NOTEHEAD: char = '\u{1d159}';
    const HIEROGLYPH_MIRRORED: char = '\u{13440}';
    let category = CodePointMapData::<GeneralCategory>::new().get(c);
    matches!(category, GeneralCategory::Unassigned | GeneralCategory::PrivateUse)
        || matches!(c, OBJECT_REPLACEMENT | NULL_NOTEHEAD | HIEROGLYPH_MIRRORED)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hidden_and_reversing_characters_are_unprintable() {
        for c in [
            '\0', '\u{7f}', '\u{85}', '\u{2028}', '\u{2029}', '\u{200b}', '\u{200f}', '\u{202a}', '\u{202e}',
            '\u{2060}', '\u{206f}', '\u{feff}',
        ] {
            assert!(is_unprintable(c), "{c:?}");
        }
        for c in ['a', ' ', 'é', '\u{a0}', '\u{202f}', '’', '–', '€'] {
            assert!(!is_unprintable(c), "{c:?}");
        }
    }

    #[test]
    fn what_has_no_shared_meaning_is_undefined() {
        for c in ['\u{378}', '\u{fdd0}', '\u{1ffff}', '\u{e000}', '\u{10fffd}', '\u{fffc}', '\u{1d159}', '\u{13440}'] {
            assert!(is_undefined(c), "{c:?}");
        }
        for c in ['a', ' ', 'é', '\u{fffd}', '\u{ad}', '中', '🚀', '€', '\u{301}'] {
            assert!(!is_undefined(c), "{c:?}");
        }
    }

    #[test]
    fn fillers_selectors_and_format_characters_are_unprintable() {
        for c in [
            '\u{34f}',
            '\u{61c}',
            '\u{115f}',
            '\u{1160}',
            '\u{17b4}',
            '\u{17b5}',
            '\u{180b}',
            '\u{180e}',
            '\u{2800}',
            '\u{3164}',
            '\u{fe00}',
            '\u{fe0f}',
            '\u{ffa0}',
            '\u{fff9}',
            '\u{fffb}',
            '\u{1d173}',
            '\u{e0041}',
            '\u{e0100}',
        ] {
            assert!(is_unprintable(c), "{c:?}");
        }
        assert!(is_invisible('\u{ad}') && !is_unprintable('\u{ad}'));
        for c in ['\u{301}', '\u{2801}', '中', '🚀', '\u{fffd}', 'ש'] {
            assert!(!is_invisible(c), "{c:?}");
        }
    }
}
