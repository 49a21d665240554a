//! Texts that were read in another encoding than the one that they were written in.

use encoding_rs::WINDOWS_1252;

/// Whether a text looks as if it were read in the wrong encoding.
///
/// - A replacement character: some program lost a letter before.
/// - UTF-8 that was read as Windows-1252: « Ã© » for « é ».
/// - `MacRoman`, or the code pages of DOS, read as Windows-1252: `NŽrac`, `lÕŽcole`, `ƒglise`.
///   What such a reading makes of the common accents stands in no word.
///
/// A file in capitals may still pass: in `MacRoman`, « È » is the « é » of Windows-1252.
#[must_use]
pub fn is_garbled(text: &str) -> bool {
    if text.is_ascii() {
        return false;
    }
    text.contains('\u{fffd}') || is_utf_8_read_twice(text) || has_a_sign_within_a_word(text)
}

fn is_utf_8_read_twice(text: &str) -> bool {
    let (bytes, _, has_others) = WINDOWS_1252.encode(text);
    !has_others && std::str::from_utf8(&bytes).is_ok_and(|first| first.chars().all(is_of_french_texts))
}

/// « É’ » of « CAFÉ’S » is UTF-8 for a letter too, but for one that no such text holds.
fn is_of_french_texts(c: char) -> bool {
    matches!(c, '\0'..='\u{7f}' | '\u{a0}'..='\u{17f}' | '\u{1e00}'..='\u{1eff}' | '\u{2000}'..='\u{20af}')
}

fn has_a_sign_within_a_word(text: &str) -> bool {
    let letters: Vec<char> = text.chars().collect();
    let at = |place: Option<usize>| place.and_then(|place| letters.get(place)).copied().unwrap_or(' ');
    letters.iter().enumerate().any(|(place, &sign)| {
        let before_that = at(place.checked_sub(2));
        let (before, after) = (at(place.checked_sub(1)), at(Some(place + 1)));
        let is_between = before.is_alphabetic() && after.is_alphabetic();
        match sign {
            // é è ê ç ù in MacRoman: bytes without a letter.
            '\u{80}'..='\u{9f}' => true,
            // É, à of MacRoman; no word of French holds these.
            'ƒ' | 'ˆ' | '˜' => before.is_alphabetic() || after.is_alphabetic(),
            // é of DOS; where it is a quotation mark, a space precedes it.
            '‚' => before.is_alphabetic(),
            '†' | '‡' | '‰' | '•' | '™' | '“' | '”' | '„' | '…' | '¢' | '£' | '¥' | '§' | '©' | '®' => {
                is_between
            }
            // é and ü of MacRoman, è of DOS: capitals within a word in small letters.
            'Ž' | 'Š' | 'Ÿ' => before.is_lowercase() || before.is_alphabetic() && after.is_lowercase(),
            // The apostrophe of MacRoman.
            'Õ' => "ldnsjcmtLDNSJCMT".contains(before) && !before_that.is_alphabetic() && after.is_alphabetic(),
            _ => false,
        }
    })
}

#[cfg(test)]
mod tests {
    use encoding_rs::MACINTOSH;
    use proptest::prelude::*;

    use super::*;

    /// As a program reads it that takes `bytes` for Windows-1252.
    fn misread(bytes: &[u8]) -> String {
        WINDOWS_1252.decode_without_bom_handling(bytes).0.into_owned()
    }

    #[test]
    fn what_a_mac_or_dos_wrote_is_noticed() {
        for text in
            ["Collège de l’Été", "Mairie de Nérac", "l’école", "Communauté", "Église", "Hôpital", "Où ça", "Haïti"]
        {
            let (bytes, _, _) = MACINTOSH.encode(text);
            assert!(is_garbled(&misread(&bytes)), "{text}: {}", misread(&bytes));
        }
        // « Communauté », « École » and « Collège » in code page 850.
        for bytes in [&b"Communaut\x82"[..], b"\x90cole", b"Coll\x8age"] {
            assert!(is_garbled(&misread(bytes)), "{}", misread(bytes));
        }
    }

    #[test]
    fn utf_8_that_was_read_twice_and_what_was_lost_before_is_noticed() {
        for text in ["Collège", "Nîmes", "L’Isle", "ÉTÉ", "Œuvre"] {
            assert!(is_garbled(&misread(text.as_bytes())), "{}", misread(text.as_bytes()));
        }
        assert!(is_garbled("Coll\u{fffd}ge"));
    }

    #[test]
    fn what_people_write_is_not_garbled() {
        for text in [
            "Collège de l’Été",
            "COLLèGE",
            "COMMUNE DE TAʻARAPŪ",
            "Ta‘arapū",
            "ŠKODA et Škoda, MARŠAL, Žižkov",
            "L’HAŸ-LES-ROSES",
            "L'Haÿ",
            "CAFÉ’S BAR",
            "SÃO PAULO",
            "Association « L’œuvre » – n° 1",
            "“Les Amis„ de Łódź",
            "Café & Cie ®, etc…",
            "10 € • 5 £",
            "Straße, Øresund, Þór",
            "Communauté d’agglomération",
            "Trần Đăng",
            "Αθήνα, Москва",
            "",
        ] {
            assert!(!is_garbled(text), "{text}");
        }
    }

    proptest! {
        #[test]
        fn words_of_french_are_never_garbled(text in "[A-Za-zÀÂÇÉÈÊËÎÏÔÙÛÜàâçéèêëîïôùûüœŒæ '’–.,()-]{0,60}") {
            prop_assert!(!is_garbled(&text));
        }

        #[test]
        fn a_small_letter_with_an_accent_of_a_mac_is_noticed(word in "[a-z]{1,8}[éèêàçôùîûï][a-z]{1,8}") {
            let (bytes, _, _) = MACINTOSH.encode(&word);
            // û is ž there, a letter of other languages.
            prop_assert!(word.contains('û') || is_garbled(&misread(&bytes)), "{} {}", word, misread(&bytes));
        }
    }
}
