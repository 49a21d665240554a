//! The typed identifier of a structure (rule 1).

use thiserror::Error;

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

/// A checked identifier: type and value, without spaces.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct StructureIdentifier {
    kind: IdentifierType,
    value: String,
}

impl StructureIdentifier {
    /// Reads an identifier and removes its spaces. `strict_siret` also checks the SIRET's control
    /// digit, which the pseudo-SIRETs of qualification platforms do not have.
    ///
    /// # Errors
    /// An [`IdentifierError`].
    pub fn parse(kind: IdentifierType, text: &str, strict_siret: bool) -> Result<Self, IdentifierError> {
        let value: String = text.chars().filter(|c| !c.is_whitespace()).collect();
        match value.len() {
            0 => return Err(IdentifierError::Empty),
            1..=80 => {}
            _ => return Err(IdentifierError::TooLong),
        }
        // The identifier becomes part of a login, which stands in headers, URLs and mails: only
        // characters that need no escaping there.
        if !value.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_') {
            return Err(IdentifierError::Character);
        }
        if kind == IdentifierType::Siret {
            check_siret(&value, strict_siret)?;
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

    #[test]
    fn other_types_are_free_within_safe_characters() {
        assert!(StructureIdentifier::parse(IdentifierType::UeHorsFrance, "BE 0403 170 701", true).is_ok());
        for text in ["a@b", "a:b", "a\r\nb", "é", "a<b"] {
            let parsed = StructureIdentifier::parse(IdentifierType::Autre, text, true);
            assert!(parsed.is_err() || parsed.unwrap().value() == "ab", "{text}");
        }
        assert_eq!(
            StructureIdentifier::parse(IdentifierType::Autre, &"x".repeat(81), true),
            Err(IdentifierError::TooLong)
        );
    }

    #[test]
    fn both_kinds_of_dash_are_safe() {
        let parsed = StructureIdentifier::parse(IdentifierType::Autre, "a-b_c 1", true);
        assert_eq!(parsed.map(|identifier| identifier.value().to_owned()).as_deref(), Ok("a-b_c1"));
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
        fn what_passes_is_safe_in_a_login_and_reads_back(text in "[ -~é\\s]{0,90}") {
            for kind in IdentifierType::ALL {
                let Ok(identifier) = StructureIdentifier::parse(kind, &text, true) else { continue };
                prop_assert!((1..=80).contains(&identifier.value().len()));
                prop_assert!(identifier.value().bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte)));
                prop_assert_eq!(StructureIdentifier::parse(kind, identifier.value(), true), Ok(identifier));
            }
        }
    }
}
