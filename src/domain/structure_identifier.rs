//! The typed identifier of a structure (rule 1).

use std::fmt;

use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use thiserror::Error;
use unicode_normalization::UnicodeNormalization;

use super::{
    characters::{is_control_or_line_end, is_invisible, is_undefined},
    search_key::search_key,
};

/// The kinds of identifier, in the order of the directory's numbers (1 = SIRET).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum IdentifierType {
    Siret,
    UeHorsFrance,
    HorsUe,
    Ridet,
    Tahiti,
    Autre,
    Particulier,
}

impl IdentifierType {
    /// Every kind, in the order of the directory's numbers.
    pub const ALL: [Self; 7] =
        [Self::Siret, Self::UeHorsFrance, Self::HorsUe, Self::Ridet, Self::Tahiti, Self::Autre, Self::Particulier];

    /// `TYPE:IDENTIFIER`, by which programs and operators name a structure.
    #[must_use]
    pub fn reference(self, identifier: &str) -> String {
        format!("{}:{identifier}", self.code())
    }

    /// The code in the database, in import files and in the API.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::Siret => "SIRET",
            Self::UeHorsFrance => "UE_HORS_FRANCE",
            Self::HorsUe => "HORS_UE",
            Self::Ridet => "RIDET",
            Self::Tahiti => "TAHITI",
            Self::Autre => "AUTRE",
            Self::Particulier => "PARTICULIER",
        }
    }

    /// The label on screens.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Siret => "SIRET",
            Self::UeHorsFrance => "Union européenne, hors de France",
            Self::HorsUe => "Hors de l’Union européenne",
            Self::Ridet => "RIDET (Nouvelle-Calédonie)",
            Self::Tahiti => "TAHITI (Polynésie française)",
            Self::Autre => "Autre",
            Self::Particulier => "Particulier",
        }
    }

    /// Reads a code, or the directory's number of the type (1 to 7).
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let by_number = text.parse::<usize>().ok().and_then(|number| Self::ALL.get(number.checked_sub(1)?).copied());
        by_number.or_else(|| Self::ALL.into_iter().find(|kind| kind.code() == text))
    }
}

/// Why a text is refused as an identifier.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum IdentifierError {
    #[error("l’identifiant est vide")]
    Empty,
    #[error("l’identifiant dépasse 80 caractères")]
    TooLong,
    #[error("l’identifiant contient un caractère qui n’est ni une lettre, ni un chiffre, ni un tiret")]
    Character,
    #[error("un SIRET a 14 chiffres")]
    SiretLength,
    #[error("la clé de contrôle du SIRET est fausse")]
    SiretChecksum,
}

/// A checked identifier: type and value, in the normal form of its type.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct StructureIdentifier {
    kind: IdentifierType,
    value: String,
}

/// The longest identifier, in characters.
const MOST_CHARACTERS: usize = 80;

impl fmt::Display for StructureIdentifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.kind.reference(&self.value))
    }
}

impl StructureIdentifier {
    /// Reads an identifier, and writes it in its [`normal_form`]. `strict_siret` also checks the
    /// SIRET's control digit, which the pseudo-SIRETs of qualification platforms do not have.
    ///
    /// # Errors
    /// An [`IdentifierError`].
    pub fn parse(kind: IdentifierType, text: &str, strict_siret: bool) -> Result<Self, IdentifierError> {
        let value = normal_form(kind, text);
        match value.chars().count() {
            0 => return Err(IdentifierError::Empty),
            1..=MOST_CHARACTERS => {}
            _ => return Err(IdentifierError::TooLong),
        }
        if kind == IdentifierType::Siret {
            check_siret(&value, strict_siret)?;
        }
        // Letters that combine with others in rare scripts may have no form that is their own.
        let is_settled = normal_form(kind, &value) == value;
        if !is_settled || !value.chars().all(|c| may_stand_in(kind, c)) {
            return Err(IdentifierError::Character);
        }
        Ok(Self { kind, value })
    }

    /// The kind of the identifier.
    #[must_use]
    pub fn kind(&self) -> IdentifierType {
        self.kind
    }

    /// The identifier without its kind.
    #[must_use]
    pub fn value(&self) -> &str {
        &self.value
    }
}

/// Whether an identifier may hold a character. Most have those that need no escaping in headers,
/// URLs and mails.
fn may_stand_in(kind: IdentifierType, c: char) -> bool {
    match kind {
        // The first letters of a name, whatever these are.
        IdentifierType::HorsUe => !is_invisible(c) && !is_undefined(c),
        // Ireland's numbers had the two signs.
        IdentifierType::UeHorsFrance => c.is_ascii_alphanumeric() || c == '+' || c == '*',
        _ => c.is_ascii_alphanumeric() || c == '-' || c == '_',
    }
}

/// The one form in which an identifier of this kind is stored and compared, whichever way it was
/// typed:
///
/// - SIRET, RIDET, TAHITI and the VAT number of a company of the Union: capitals, without spaces,
///   dots, dashes or slashes.
/// - `HORS_UE`, which the order of 2016 (LEGIARTI000033608376) makes of the country's code and the
///   first sixteen characters of the name: in capitals, with accents, signs and single spaces.
/// - Others: without spaces.
#[must_use]
pub fn normal_form(kind: IdentifierType, text: &str) -> String {
    // Letters of other widths become plain ones; what shows nothing comes from other programs.
    let plain = |text: &str| text.replace(['’', '‘', '´', '`', 'ʼ', 'ʻ'], "'");
    let text: String = plain(text).nfkc().filter(|c| !is_invisible(*c) || is_control_or_line_end(*c)).collect();
    let text = plain(&text);
    match kind {
        IdentifierType::Siret => without_separators(without_decimals(&text)),
        IdentifierType::UeHorsFrance | IdentifierType::Ridet | IdentifierType::Tahiti => {
            without_separators(&text).to_ascii_uppercase()
        }
        IdentifierType::HorsUe => {
            let text = text.replace(is_dash, "-");
            text.split_whitespace().collect::<Vec<_>>().join(" ").to_uppercase().nfkc().collect()
        }
        IdentifierType::Autre | IdentifierType::Particulier => {
            text.chars().filter(|c| !c.is_whitespace()).map(|c| if is_dash(c) { '-' } else { c }).collect()
        }
    }
}

/// A number that a spreadsheet wrote with decimals: `21750001600019.00`.
fn without_decimals(text: &str) -> &str {
    let text = text.trim();
    let whole = [".00", ",00", ".0", ",0"].iter().find_map(|decimals| text.strip_suffix(decimals));
    whole.filter(|whole| whole.bytes().filter(u8::is_ascii_digit).count() == 14).unwrap_or(text)
}

fn without_separators(text: &str) -> String {
    text.chars().filter(|c| !c.is_whitespace() && !is_dash(*c) && !"._/,'’·".contains(*c)).collect()
}

fn is_dash(c: char) -> bool {
    matches!(c, '-' | '\u{2010}'..='\u{2015}' | '\u{2212}')
}

/// The normal forms that a text has as an identifier of any kind, each once.
#[must_use]
pub fn normal_forms(text: &str) -> Vec<String> {
    let mut forms: Vec<String> = IdentifierType::ALL.into_iter().map(|kind| normal_form(kind, text)).collect();
    forms.sort_unstable();
    forms.dedup();
    forms
}

/// An identifier as people write it: a RIDET `0123456.001`, a TAHITI `E80208-001`. Others are in
/// one piece.
#[must_use]
pub fn as_written(kind: &str, identifier: &str) -> String {
    let separator = match (kind, identifier.len()) {
        ("RIDET", 9 | 10) => '.',
        ("TAHITI", 9) => '-',
        _ => return identifier.to_owned(),
    };
    match identifier.split_at_checked(identifier.len() - 3) {
        Some((entity, establishment)) if identifier.is_ascii() => format!("{entity}{separator}{establishment}"),
        _ => identifier.to_owned(),
    }
}

/// An identifier as a part of a login: ASCII letters, digits, `-` and `_`. Two identifiers may have
/// the same one.
#[must_use]
pub fn in_login(identifier: &str) -> String {
    let is_safe = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if identifier.chars().all(is_safe) {
        return identifier.to_owned();
    }
    let letters: String = search_key(identifier).chars().filter(|c| is_safe(*c)).collect();
    let letters = letters.to_ascii_uppercase();
    if letters.is_empty() { "X".to_owned() } else { letters }
}

/// What a header or an OAuth scope may not hold, with `%`, the sign of what stands for it.
const ESCAPED: &AsciiSet = &CONTROLS.add(b' ').add(b'"').add(b'\\').add(b'%');

/// `TYPE:IDENTIFIER` for headers and scopes, percent-encoded where the identifier has letters that
/// cannot stand there.
#[must_use]
pub fn in_ascii(reference: &str) -> String {
    utf8_percent_encode(reference, ESCAPED).to_string()
}

fn check_siret(value: &str, strict: bool) -> Result<(), IdentifierError> {
    if value.len() != 14 || !value.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(IdentifierError::SiretLength);
    }
    if strict && !luhn(value) && !is_la_poste(value) {
        return Err(IdentifierError::SiretChecksum);
    }
    Ok(())
}

fn digits(text: &str) -> impl DoubleEndedIterator<Item = u32> {
    text.bytes().map(|byte| u32::from(byte - b'0'))
}

/// The Luhn check: every second digit from the right is doubled, the digits of all products are
/// added, and the sum must be a multiple of 10.
fn luhn(value: &str) -> bool {
    let sum: u32 = digits(value)
        .rev()
        .enumerate()
        .map(|(place, digit)| if place % 2 == 0 { digit } else { digit * 2 / 10 + digit * 2 % 10 })
        .sum();
    sum.is_multiple_of(10)
}

/// La Poste has more establishments than control digits allow. INSEE also accepts its SIRETs when
/// the sum of the digits is a multiple of 5.
fn is_la_poste(value: &str) -> bool {
    value.starts_with("356000000") && digits(value).sum::<u32>().is_multiple_of(5)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn siret(text: &str) -> Result<StructureIdentifier, IdentifierError> {
        StructureIdentifier::parse(IdentifierType::Siret, text, true)
    }

    #[test]
    fn real_sirets_pass_with_the_spaces_people_type() {
        for text in ["21750001600019", " 216 901 231 00011", "35600000000048", "217\u{202f}500\u{a0}016 00019"] {
            assert!(siret(text).is_ok(), "{text}");
        }
    }

    #[test]
    fn la_poste_is_judged_by_its_digit_sum() {
        assert!(siret("35600000012345").is_err());
        assert!(siret("35600000000001").is_ok(), "3+5+6+0+…+1 = 15");
        assert_eq!(siret("35600000000002"), Err(IdentifierError::SiretChecksum));
    }

    #[test]
    fn a_wrong_siret_is_refused_with_the_reason() {
        assert_eq!(siret(""), Err(IdentifierError::Empty));
        assert_eq!(siret("2175000160001"), Err(IdentifierError::SiretLength));
        assert_eq!(siret("2175000160001A"), Err(IdentifierError::SiretLength));
        assert_eq!(siret("21750001600018"), Err(IdentifierError::SiretChecksum));
    }

    #[test]
    fn a_pseudo_siret_passes_where_the_check_is_off() {
        assert!(StructureIdentifier::parse(IdentifierType::Siret, "00000000013456", false).is_ok());
    }

    fn read(kind: IdentifierType, text: &str) -> Result<String, IdentifierError> {
        StructureIdentifier::parse(kind, text, true).map(|identifier| identifier.value().to_owned())
    }

    #[test]
    fn each_kind_has_one_form_however_it_is_written() {
        use IdentifierType::{Autre, HorsUe, Ridet, Siret, Tahiti, UeHorsFrance};
        for (kind, form, spellings) in [
            (
                Siret,
                "21750001600019",
                &[
                    "217.500.016.00019",
                    "217-500-016-00019",
                    "217500016/00019",
                    "21750001600019.00",
                    "21750001600019,0",
                    "\u{202a}21750001600019\u{202c}",
                    "２１７５０００１６０００１９",
                    "217\u{2011}500\u{2011}016\u{a0}00019",
                ][..],
            ),
            (
                Ridet,
                "0123456001",
                &["0123456.001", "0 123 456.001", "0123456-001", "0123456/001", "0123456\u{2013}001"],
            ),
            (Tahiti, "E80208001", &["E80208-001", "E80208 001", "e80208001", "E80208.001", "E 80208 – 001"]),
            (UeHorsFrance, "BE0403170701", &["be0403170701", "BE 0403.170.701", "BE-0403-170-701", "Be 0403 170 701"]),
            (UeHorsFrance, "IE1+34567L", &["ie 1+34567l"]),
            (
                HorsUe,
                "CHSOCIÉTÉ ROMANDE",
                &["chsociété  romande", " CHSOCIE\u{301}TE\u{301} ROMANDE", "CHSociété\u{a0}Romande"],
            ),
            (HorsUe, "GBMARKS & SPENCER", &["GBMarks & Spencer", "gbmarks &  spencer"]),
            (HorsUe, "USO'NEILL-SMITH, L", &["USO’Neill\u{2013}Smith, L", "usoʼneill\u{2010}smith, l"]),
            (Autre, "a-b_c1", &["a-b_c 1", "a\u{2011}b_c1"]),
        ] {
            for text in spellings.iter().chain([&form]) {
                assert_eq!(read(kind, text).as_deref(), Ok(form), "{text}");
            }
        }
    }

    #[test]
    fn people_read_an_identifier_as_they_write_it() {
        assert_eq!(as_written("RIDET", "0123456001"), "0123456.001");
        assert_eq!(as_written("TAHITI", "E80208001"), "E80208-001");
        for (kind, text) in [
            ("RIDET", "0123456"),
            ("TAHITI", "E80208"),
            ("SIRET", "21750001600019"),
            ("HORS_UE", "CHÉTÉ SA"),
            ("RIDET", "é001"),
        ] {
            assert_eq!(as_written(kind, text), text);
        }
    }

    #[test]
    fn logins_and_headers_hold_what_they_may() {
        assert_eq!(in_login("CHSOCIÉTÉ ROMANDE"), "CHSOCIETEROMANDE");
        assert_eq!(in_login("GBMARKS & SPENCER"), "GBMARKSSPENCER");
        assert_eq!(in_login("CHŒUVRES-O'X"), "CHOEUVRESOX");
        assert_eq!((in_login("a-b_C"), in_login("中")), ("a-b_C".to_owned(), "X".to_owned()));
        assert_eq!(in_ascii("SIRET:21750001600019"), "SIRET:21750001600019");
        assert_eq!(in_ascii("HORS_UE:CHÉTÉ \"50%\""), "HORS_UE:CH%C3%89T%C3%89%20%2250%25%22");
    }

    #[test]
    fn other_types_are_free_within_safe_characters() {
        for text in ["a@b", "a:b", "é", "a<b", "a\0b", "a.b"] {
            assert_eq!(read(IdentifierType::Autre, text), Err(IdentifierError::Character), "{text:?}");
        }
        assert_eq!(read(IdentifierType::Ridet, "012345é001"), Err(IdentifierError::Character));
        assert_eq!(read(IdentifierType::HorsUe, "CH\0X"), Err(IdentifierError::Character));
        assert_eq!(read(IdentifierType::Autre, &"x".repeat(81)), Err(IdentifierError::TooLong));
        assert!(read(IdentifierType::HorsUe, &"É".repeat(80)).is_ok());
    }

    #[test]
    fn people_read_which_country_or_territory_a_type_is_of() {
        let labels = [
            "SIRET",
            "Union européenne, hors de France",
            "Hors de l’Union européenne",
            "RIDET (Nouvelle-Calédonie)",
            "TAHITI (Polynésie française)",
            "Autre",
            "Particulier",
        ];
        assert_eq!(IdentifierType::ALL.map(IdentifierType::label), labels);
    }

    #[test]
    fn types_are_read_by_number_and_by_name() {
        for (index, kind) in IdentifierType::ALL.into_iter().enumerate() {
            assert_eq!(IdentifierType::parse(&(index + 1).to_string()), Some(kind));
            assert_eq!(IdentifierType::parse(kind.code()), Some(kind));
        }
        for text in ["0", "8", "-1", "siret", "", "99999999999999999999"] {
            assert_eq!(IdentifierType::parse(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn one_wrong_digit_is_always_noticed(base in "[0-9]{13}", place in 0_usize..14, step in 1_u8..10) {
            prop_assume!(!base.starts_with("356000000"));
            let valid = (0..10).map(|digit| format!("{base}{digit}")).find(|text| luhn(text)).unwrap();
            let mut bytes = valid.clone().into_bytes();
            bytes[place] = b'0' + (bytes[place] - b'0' + step) % 10;
            let wrong = String::from_utf8(bytes).unwrap();
            prop_assert!(siret(&valid).is_ok());
            prop_assert!(siret(&wrong).is_err() || wrong.starts_with("356000000"));
        }

        #[test]
        fn no_text_makes_it_panic(text in "\\PC{0,100}") {
            for kind in IdentifierType::ALL {
                let _ = StructureIdentifier::parse(kind, &text, true);
            }
        }
    }

    /// INSEE's rule, computed in another way: digits at even indexes from the left are doubled,
    /// less nine where the result is above nine.
    fn is_siret_to_insee(text: &str) -> bool {
        let digits: Vec<u32> = text.chars().map(|c| c.to_digit(10).unwrap()).collect();
        let doubled =
            digits.iter().step_by(2).map(|digit| digit * 2).map(|twice| if twice > 9 { twice - 9 } else { twice });
        let sum: u32 = doubled.chain(digits.iter().skip(1).step_by(2).copied()).sum();
        sum.is_multiple_of(10) || text.starts_with("356000000") && digits.iter().sum::<u32>().is_multiple_of(5)
    }

    proptest! {
        #[test]
        fn sirets_are_those_of_insee(text in prop_oneof!["[0-9]{14}", "356000000[0-9]{5}"], spaces in 0_usize..14) {
            prop_assert_eq!(siret(&text).is_ok(), is_siret_to_insee(&text));
            let typed = format!("{}\u{202f}{}", &text[..spaces], &text[spaces..]);
            prop_assert_eq!(siret(&typed), siret(&text));
            let loose = StructureIdentifier::parse(IdentifierType::Siret, &typed, false).unwrap();
            prop_assert_eq!(loose.value(), &text);
        }

        #[test]
        fn what_passes_is_safe_in_a_login_and_reads_back(text in "[ -~é\\s’\u{2013}\u{ad}中ß]{0,90}") {
            for kind in IdentifierType::ALL {
                let Ok(identifier) = StructureIdentifier::parse(kind, &text, true) else { continue };
                prop_assert!((1..=80).contains(&identifier.value().chars().count()));
                let login = in_login(identifier.value());
                prop_assert!(!login.is_empty());
                prop_assert!(login.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte)));
                let header = in_ascii(identifier.value());
                prop_assert!(header.bytes().all(|byte| byte.is_ascii_graphic() && !b"\"\\".contains(&byte)));
                let decoded = percent_encoding::percent_decode_str(&header).decode_utf8_lossy();
                prop_assert_eq!(decoded.as_ref(), identifier.value());
                let written = as_written(kind.code(), identifier.value());
                let read = StructureIdentifier::parse(kind, &written, true);
                prop_assert_eq!(read.as_ref(), Ok(&identifier));
                prop_assert_eq!(StructureIdentifier::parse(kind, identifier.value(), true), Ok(identifier));
            }
        }

        #[test]
        fn a_normal_form_is_its_own(text in "[ -~À-ſ’‘\u{2010}-\u{2015}\u{a0}\u{ad}]{0,60}") {
            for kind in IdentifierType::ALL {
                let form = normal_form(kind, &text);
                prop_assert_eq!(normal_form(kind, &form), form);
            }
        }
    }
}
