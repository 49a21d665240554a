//! Font faces, text widths and font subsets.
//!
//! The font files are not in this repository: Cargo fetches them as crates pinned by Cargo.lock.
//! Noto Sans is under the Apache License 2.0, `DejaVu` Sans Mono under the Bitstream Vera licence;
//! both permit embedding. The embedded subsets keep both copyright notices.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::LazyLock,
};

use printpdf::ParsedFont;
use subsetter::GlyphRemapper;

use super::error::PdfError;
use crate::domain::characters::is_invisible;

/// Replaces a character without a glyph: Unicode's replacement character.
const MISSING: char = '\u{fffd}';

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Face {
    Regular,
    Bold,
    Mono,
}

/// Parsed once per process: parsing takes longer than drawing a page.
static PARSED: LazyLock<[ParsedFont; 3]> = LazyLock::new(|| {
    [ttf_noto_sans::REGULAR, ttf_noto_sans::BOLD, dejavu::sans_mono::regular()]
        .map(|bytes| ParsedFont::from_bytes(bytes, 0, &mut Vec::new()).expect("pinned fonts parse, tests say so"))
});

impl Face {
    fn parsed(self) -> &'static ParsedFont {
        &PARSED[self as usize]
    }

    /// Six capitals and « + » mark a subset (ISO 32000-1, 9.6.4); a fixed name keeps files
    /// reproducible.
    pub fn name(self) -> &'static str {
        match self {
            Self::Regular => "RACREG+NotoSans",
            Self::Bold => "RACBLD+NotoSans-Bold",
            Self::Mono => "RACMON+DejaVuSansMono",
        }
    }

    fn glyph(self, character: char) -> Option<u16> {
        self.parsed().lookup_glyph_index(character.into()).filter(|&glyph| glyph != 0)
    }

    /// Width of a text set in this face, in the unit of `size`.
    pub fn width(self, size: f32, text: &str) -> f32 {
        let font = self.parsed();
        let advance = |c| self.glyph(c).and_then(|glyph| font.get_glyph_width(glyph)).map_or(0.0, f32::from);
        text.chars().map(advance).sum::<f32>() * size / f32::from(font.units_per_em)
    }

    /// The text with invisible characters removed and missing ones replaced.
    pub fn clean(self, text: &str) -> String {
        text.chars().filter_map(|c| self.drawn(c)).collect()
    }

    pub fn draws_exactly(self, text: &str) -> bool {
        text.chars().all(|c| self.drawn(c) == Some(c))
    }

    fn drawn(self, character: char) -> Option<char> {
        match character {
            '\t' | '\n' | '\r' => Some(' '),
            c if is_invisible(c) => None,
            c => Some(self.glyph(c).map_or(MISSING, |_| c)),
        }
    }

    /// A subset of the face with the glyphs of `characters`.
    ///
    /// printpdf without `text_layout` embeds a font unchanged, so it gets the subset. The subset's
    /// map from characters to glyphs keeps text, widths and `ToUnicode` consistent.
    pub fn subset(self, characters: &BTreeSet<char>) -> Result<ParsedFont, PdfError> {
        let whole = self.parsed();
        let mut remapper = GlyphRemapper::new();
        let (mut glyphs, mut widths) = (BTreeMap::new(), BTreeMap::new());
        for &character in characters {
            if let Some(old) = self.glyph(character) {
                let new = remapper.remap(old);
                glyphs.insert(character.into(), new);
                widths.insert(new, whole.get_glyph_width(old).unwrap_or_default());
            }
        }
        let bytes = subsetter::subset(&whole.original_bytes, 0, &remapper)?;
        let mut font = ParsedFont::with_glyph_data(
            bytes,
            0,
            Some(self.name().into()),
            glyphs,
            widths,
            whole.units_per_em,
            whole.font_metrics.clone(),
        );
        font.pdf_font_metrics = whole.pdf_font_metrics.clone();
        Ok(font)
    }
}
