//! The key that searches compare, and the words of a search.

use std::mem;

use icu_properties::{
    CodePointMapData,
    props::{GeneralCategory, GeneralCategoryGroup},
};
use unicode_normalization::UnicodeNormalization;

/// The longest key, in characters: an index of the database cannot hold longer entries.
const MAX_KEY: usize = 500;

/// The most words of a search. A name of 250 characters has fewer, unless most of them begin
/// others.
const MAX_WORDS: usize = 60;

/// Letters without a decomposition, and what they are compared as.
const FOLDED: &str = "ÐðØøĐđĦħıŁłŊŋŦŧƏςΑΒΓΔΕΖΗΘΙΚΛΜΝΞΟΠΡΣΤΥΦΧΨΩЂЄЅІЈЉЊЋЏАБВГДЕЖЗИКЛМНОПРСТУФХЦЧШЩЪЫЬЭЮЯҐҒҖҚҢҮҰҲҺӘӨԱԲԳԴԵԶԷԸԹԺԻԼԽԾԿՀՁՂՃՄՅՆՇՈՉՊՋՌՍՎՏՐՑՒՓՔՕՖ";
const FOLDS: &str = "ddooddhhillnnttəσαβγδεζηθικλμνξοπρστυφχψωђєѕіјљњћџабвгдежзиклмнопрстуфхцчшщъыьэюяґғҗқңүұҳһәөաբգդեզէըթժիլխծկհձղճմյնշոչպջռսվտրցւփքօֆ";

/// After these an apostrophe ends the word; it is a part of others, as in « Taʻarapū ».
const ELISIONS: [&str; 18] = [
    "c", "d", "j", "l", "m", "n", "s", "t", "qu", "jusqu", "lorsqu", "presqu", "puisqu", "quoiqu", "aujourd", "entr",
    "grand", "prud",
];

/// What search compares: lower case, without marks, ligatures as their letters, punctuation as
/// spaces. A text in NFC and in NFD has the same key. An apostrophe is a space after an elision;
/// elsewhere it is left out, however it is written.
///
/// The database's function `search_key` computes the same.
#[must_use]
pub fn search_key(text: &str) -> String {
    let mut key = String::with_capacity(text.len());
    let mut after_apostrophe = 0;
    let unified = text.chars().map(|c| if is_apostrophe(c) { '`' } else { c });
    for c in unified.nfkd().filter(|c| !is_left_out(*c)) {
        let is_apostrophe = matches!(c, '\'' | '`');
        if !is_apostrophe && !is_separator(c) {
            push_folded(&mut key, c);
            continue;
        }
        if (!is_apostrophe || ends_with_elision(&key[after_apostrophe..])) && !key.is_empty() && !key.ends_with(' ') {
            key.push(' ');
        }
        after_apostrophe = if is_apostrophe { key.len() } else { after_apostrophe };
    }
    let end = key.char_indices().nth(MAX_KEY).map_or(key.len(), |(end, _)| end);
    key.truncate(end);
    key.truncate(key.trim_end_matches(' ').len());
    key
}

/// The words that a name must have for a search to find it; none where the text has neither
/// letters nor digits. A word that begins another one is left out, since that one implies it.
#[must_use]
pub fn search_words<'a>(texts: impl IntoIterator<Item = &'a str>) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    for text in texts {
        words.extend(search_key(text).split_whitespace().map(str::to_owned));
    }
    words.sort_unstable();
    words.dedup_by(|next, word| {
        let is_implied = next.starts_with(word.as_str());
        if is_implied {
            mem::swap(next, word);
        }
        is_implied
    });
    words.truncate(MAX_WORDS);
    words
}

/// Whether the key ends with an elision that is not the end of a longer word.
fn ends_with_elision(key: &str) -> bool {
    let word = key.rsplit(|c: char| !c.is_ascii_alphanumeric()).next().unwrap_or_default();
    ELISIONS.contains(&word)
}

fn push_folded(key: &mut String, c: char) {
    match c {
        'œ' | 'Œ' => key.push_str("oe"),
        'æ' | 'Æ' => key.push_str("ae"),
        'ß' | 'ẞ' => key.push_str("ss"),
        'þ' | 'Þ' => key.push_str("th"),
        c if c.is_ascii() => key.push(c.to_ascii_lowercase()),
        c => key.push(FOLDED.chars().zip(FOLDS.chars()).find(|(from, _)| *from == c).map_or(c, |(_, to)| to)),
    }
}

/// Marks, letters that only modify others, and invisible characters.
fn is_left_out(c: char) -> bool {
    const INVISIBLE: [char; 4] = ['\u{ad}', '\u{61c}', '\u{180e}', '\u{feff}'];
    match c {
        '\0'..='\u{7f}' => c == '\0',
        '\u{2b9}'..='\u{2cf}'
        | '‘'
        | '‛'
        | 'Ꞌ'
        | 'ꞌ'
        | '\u{200b}'..='\u{200f}'
        | '\u{202a}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' => true,
        c if INVISIBLE.contains(&c) => true,
        c => GeneralCategoryGroup::Mark.contains(CodePointMapData::<GeneralCategory>::new().get(c)),
    }
}

/// Spaces, signs and punctuation.
fn is_separator(c: char) -> bool {
    match c {
        c if c.is_ascii() => !c.is_ascii_alphanumeric(),
        '\u{80}'..='\u{bf}'
        | '×'
        | '÷'
        | '\u{1680}'
        | '\u{2010}'..='\u{205f}'
        | '\u{2212}'
        | '\u{2215}'
        | '\u{2e00}'..='\u{2e5d}'
        | '\u{3000}'..='\u{3003}'
        | '\u{3008}'..='\u{301f}' => true,
        _ => false,
    }
}

/// What is written in place of the ASCII apostrophe.
fn is_apostrophe(c: char) -> bool {
    matches!(c, '’' | '‘' | '‛' | '´' | 'ʹ' | 'ʻ' | 'ʼ' | 'ʽ' | 'ʾ' | 'ʿ' | 'ˈ' | 'Ꞌ' | 'ꞌ')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn case_marks_ligatures_and_punctuation_are_folded() {
        for (text, key) in [
            ("COMMUNE DE TAʻARAPŪ", "commune de taarapu"),
            ("Mairie de l’Haÿ-les-Roses (94)", "mairie de l hay les roses 94"),
            ("HŒNHEIM  &  Cie", "hoenheim cie"),
            ("Stra\u{df}e, STRA\u{1e9e}E", "strasse strasse"),
            ("Łódź Đà Nẵng Ørsted", "lodz da nang orsted"),
            ("ΑΘΉΝΑΣ", "αθηνασ"),
            ("Αθήνας", "αθηνασ"),
            ("МОСКВА", "москва"),
            ("ﬁn ２０２６ a\u{a0}b", "fin 2026 a b"),
            ("soft\u{ad}hyphen", "softhyphen"),
            (" *** ", ""),
        ] {
            assert_eq!(search_key(text), key, "{text}");
        }
    }

    #[test]
    fn an_apostrophe_ends_a_word_after_an_elision_only() {
        for text in ["TAʻARAPŪ", "Ta'arapu", "ta’arapu", "Ta`arapu", "Ta´arapu", "Ta‘arapu", "taarapu"] {
            assert_eq!(search_key(text), "taarapu", "{text}");
        }
        for text in ["L'Isle-d’Abeau", "L’ISLE D'ABEAU", "l´isle d`abeau"] {
            assert_eq!(search_key(text), "l isle d abeau", "{text}");
        }
        assert_eq!(
            search_key("O'Brien d'l'Eau jusqu’ici ‘Uturoa, entr'aide, Bel'air, x'l'y"),
            "obrien d l eau jusqu ici uturoa entr aide belair xl y"
        );
    }

    #[test]
    fn a_word_that_begins_another_is_left_out() {
        assert_eq!(search_words(["Ta'arapu", "d’Yeu"]), ["d", "taarapu", "yeu"]);
        assert_eq!(search_words(["saint sainte", "SA"]), ["sainte"]);
        assert_eq!(search_words(["a b ab", "b"]), ["ab", "b"]);
        assert_eq!(search_words(["&", ""]), [""; 0]);
    }

    proptest! {
        #[test]
        fn composed_and_decomposed_texts_have_one_key(text in "\\PC{0,60}") {
            // The oxia alone: composed, it is the acute accent, written for an apostrophe.
            let text = text.replace('\u{1ffd}', "");
            let (nfc, nfd): (String, String) = (text.nfc().collect(), text.nfd().collect());
            prop_assert_eq!(search_key(&nfc), search_key(&text));
            prop_assert_eq!(search_key(&nfd), search_key(&text));
        }

        #[test]
        fn a_name_is_found_without_its_marks(name in "[A-Za-zÀ-ſ '’-]{0,60}") {
            let bare: String = name.nfd().filter(|c| !is_left_out(*c)).collect();
            prop_assert_eq!(search_key(&bare), search_key(&name));
        }

        #[test]
        fn a_key_is_its_own_key(text in "\\PC{0,300}") {
            let key = search_key(&text);
            prop_assert_eq!(search_key(&key), key);
        }

        #[test]
        fn no_word_begins_another(texts in prop::collection::vec("[a-c ]{0,12}", 0..4)) {
            let words = search_words(texts.iter().map(String::as_str));
            for word in texts.iter().flat_map(|text| text.split_whitespace()) {
                prop_assert!(words.iter().any(|kept| kept.starts_with(word)), "{word} {words:?}");
            }
            for (place, word) in words.iter().enumerate() {
                prop_assert!(words.iter().enumerate().all(|(other, next)| place == other || !next.starts_with(word.as_str())));
            }
        }
    }
}
