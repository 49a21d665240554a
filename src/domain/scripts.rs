//! Letters of other alphabets that may be taken for Latin ones (Unicode's technical standard 39,
//! reduced to what labels need).

use icu_properties::{
    props::Script,
    script::{ScriptWithExtensions, ScriptWithExtensionsBorrowed},
};
use unicode_normalization::UnicodeNormalization;

/// Alphabets in everyday use, by Unicode's annex 31. Others, such as Cherokee and Lisu, have
/// letters that look like Latin capitals. Those of China, Japan and Korea are one, since their
/// words mix them.
const IN_USE: [Script; 26] = [
    Script::Latin,
    Script::Arabic,
    Script::Armenian,
    Script::Bengali,
    Script::Cyrillic,
    Script::Devanagari,
    Script::Ethiopic,
    Script::Georgian,
    Script::Greek,
    Script::Gujarati,
    Script::Gurmukhi,
    Script::Han,
    Script::Hebrew,
    Script::Kannada,
    Script::Khmer,
    Script::Lao,
    Script::Malayalam,
    Script::Myanmar,
    Script::Oriya,
    Script::Sinhala,
    Script::Tamil,
    Script::Telugu,
    Script::Thaana,
    Script::Thai,
    Script::Tibetan,
    Script::Mongolian,
];

/// Letters without accents that look like Latin ones: Cyrillic, Greek, Armenian.
const LOOK_LATIN: &str = "аеорсухіјѕһԛԝԁӏѵАВЕЅІЈКМНОРСТУХҮԚԜԌӀѴ\
    ΑΒΕΖΗΙΚΜΝΟΡΤΥΧϹϺοινκυαρϲϳօոսհցյՏՍՕԼ";

/// The micro sign in Unicode's compatible form. It stands beside Latin letters, as in µm.
const MICRO: char = 'μ';

/// Whether a word of the text mixes alphabets, is wholly made of letters that look like Latin ones,
/// or has letters of phonetics or of an alphabet out of use: then it may read as another word.
#[must_use]
pub fn may_read_as_another(text: &str) -> bool {
    let scripts = ScriptWithExtensions::new();
    text.split(|c: char| !c.is_alphabetic()).any(|word| {
        let letters: Vec<char> = word.chars().filter(|c| *c != MICRO).collect();
        !letters.is_empty() && (letters.iter().any(|c| is_phonetic(*c)) || imitates(scripts, &letters))
    })
}

/// Letters of phonetics: small capitals and other shapes of Latin letters.
fn is_phonetic(c: char) -> bool {
    matches!(c, '\u{250}'..='\u{2af}' | '\u{1d00}'..='\u{1d7f}')
}

fn imitates(scripts: ScriptWithExtensionsBorrowed<'_>, letters: &[char]) -> bool {
    let shared = IN_USE.into_iter().find(|script| letters.iter().all(|c| is_of(scripts, *c, *script)));
    match shared {
        None => true,
        Some(Script::Cyrillic | Script::Greek | Script::Armenian) => letters.iter().all(|c| looks_latin(*c)),
        Some(_) => false,
    }
}

/// Whether a letter belongs to an alphabet; one that all share belongs to each.
fn is_of(scripts: ScriptWithExtensionsBorrowed<'_>, letter: char, script: Script) -> bool {
    let of = scripts.get_script_extensions_val(letter);
    let east_asian = [Script::Han, Script::Hiragana, Script::Katakana, Script::Hangul, Script::Bopomofo];
    of.contains(&Script::Common)
        || of.contains(&Script::Inherited)
        || of.contains(&script)
        || script == Script::Han && east_asian.iter().any(|other| of.contains(other))
}

fn looks_latin(letter: char) -> bool {
    std::iter::once(letter).nfd().next().is_some_and(|base| LOOK_LATIN.contains(base))
}
