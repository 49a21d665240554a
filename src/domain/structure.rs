//! A structure's card, as people edit it.

use thiserror::Error;
use unicode_normalization::UnicodeNormalization;

use super::{characters::is_unprintable, contact_address::ContactAddress};

/// What a principal manager may change on the « Fiche structure »: everything but the identifier
/// and its type.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StructureCard {
    pub designation: String,
    pub address_line: String,
    pub address_extra_1: String,
    pub address_extra_2: String,
    pub postal_code: String,
    pub city: String,
    pub country: String,
    pub email: String,
    pub phone: String,
    /// Whether its technical users can call the API.
    pub active: bool,
}

/// The longest text of a card, in characters.
pub const MOST_CHARACTERS: usize = 250;

/// The text fields of a card, in the order of the form.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum CardField {
    Designation,
    AddressLine,
    AddressExtra1,
    AddressExtra2,
    PostalCode,
    City,
    Country,
    Email,
    Phone,
}

/// Why a field of the card is refused.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum StructureCardError {
    #[error("Saisissez la désignation de la structure.")]
    DesignationMissing,
    #[error("Ce champ ne peut pas dépasser 250 caractères.")]
    TooLong,
    #[error("Ce champ contient un caractère qui ne peut pas être affiché.")]
    Unprintable,
    #[error("L’adresse électronique doit avoir la forme nom@domaine.fr.")]
    Email,
    #[error(
        "Le code postal d’une adresse en France compte 5\u{a0}chiffres, par exemple 35000. Corrigez-le, laissez-le vide ou, si l’adresse n’est pas en France, indiquez son pays."
    )]
    PostalCode,
    #[error("Le numéro de téléphone ne peut contenir que des chiffres, des espaces, des points et le signe +.")]
    Phone,
}

impl StructureCard {
    /// Checks a card that a person typed: like [`Self::checked`], and the postal code of an address
    /// in France must be a French one. Spaces inside such a code are removed.
    ///
    /// # Errors
    /// Every refused field, in the order of [`Self::checked`].
    pub fn checked_as_typed(mut self) -> Result<Self, Vec<(CardField, StructureCardError)>> {
        let is_in_france = is_in_france(&self.country);
        if is_in_france {
            self.postal_code.retain(|c| !c.is_whitespace());
        }
        let is_wrong = is_in_france && !self.postal_code.is_empty() && !is_french_postal_code(&self.postal_code);
        match self.checked() {
            Ok(card) if !is_wrong => Ok(card),
            Ok(_) => Err(vec![(CardField::PostalCode, StructureCardError::PostalCode)]),
            Err(mut errors) => {
                if is_wrong && errors.iter().all(|(field, _)| *field != CardField::PostalCode) {
                    let place = errors.iter().take_while(|(field, _)| *field < CardField::PostalCode).count();
                    errors.insert(place, (CardField::PostalCode, StructureCardError::PostalCode));
                }
                Err(errors)
            }
        }
    }

    /// Checks a card, trims its fields and composes their letters (NFC). Any postal code is
    /// accepted: a wrong code in the directory is no reason to leave the structure out.
    ///
    /// # Errors
    /// Every refused field, in the order of the form; what only e-mail and phone can have wrong
    /// comes last.
    pub fn checked(mut self) -> Result<Self, Vec<(CardField, StructureCardError)>> {
        let mut errors = Vec::new();
        for (field, text) in self.texts() {
            *text = text.trim().nfc().collect();
            if text.chars().count() > MOST_CHARACTERS {
                errors.push((field, StructureCardError::TooLong));
            } else if text.chars().any(is_unprintable) {
                errors.push((field, StructureCardError::Unprintable));
            }
        }
        if self.designation.is_empty() {
            errors.insert(0, (CardField::Designation, StructureCardError::DesignationMissing));
        }
        if !self.email.is_empty() && ContactAddress::parse(&self.email).is_err() {
            errors.push((CardField::Email, StructureCardError::Email));
        }
        if !self.phone.chars().all(is_of_phone_number) {
            errors.push((CardField::Phone, StructureCardError::Phone));
        }
        if errors.is_empty() { Ok(self) } else { Err(errors) }
    }

    fn texts(&mut self) -> [(CardField, &mut String); 9] {
        [
            (CardField::Designation, &mut self.designation),
            (CardField::AddressLine, &mut self.address_line),
            (CardField::AddressExtra1, &mut self.address_extra_1),
            (CardField::AddressExtra2, &mut self.address_extra_2),
            (CardField::PostalCode, &mut self.postal_code),
            (CardField::City, &mut self.city),
            (CardField::Country, &mut self.country),
            (CardField::Email, &mut self.email),
            (CardField::Phone, &mut self.phone),
        ]
    }
}

/// Whether a phone number may hold this character.
#[must_use]
pub fn is_of_phone_number(c: char) -> bool {
    c.is_ascii_digit() || " .+()-\u{a0}\u{202f}".contains(c)
}

/// Whether this is the country of an address in France. An empty country means France.
fn is_in_france(country: &str) -> bool {
    let country = country.trim();
    country.is_empty() || ["FRANCE", "FR"].iter().any(|name| country.eq_ignore_ascii_case(name))
}

/// Five digits that begin with the number of a département (20 for Corsica), with 97 or 98
/// (overseas) or with 00 (army). A stricter check would need La Poste's list, which changes.
fn is_french_postal_code(text: &str) -> bool {
    let is_number = text.len() == 5 && text.bytes().all(|byte| byte.is_ascii_digit());
    is_number && text != "00000" && (&text[..2] <= "95" || ["97", "98"].contains(&&text[..2]))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_card_is_trimmed() {
        let card =
            StructureCard { designation: " Mairie ".into(), phone: "+33 1 02.03".into(), ..StructureCard::default() };
        assert_eq!(card.checked().unwrap().designation, "Mairie");
    }

    #[test]
    fn a_name_is_kept_in_composed_form() {
        let card = StructureCard { designation: "COLLE\u{300}GE".into(), ..StructureCard::default() };
        assert_eq!(card.checked().unwrap().designation, "COLLÈGE");
    }

    fn address(postal_code: &str, country: &str) -> StructureCard {
        let designation = "Mairie".to_owned();
        StructureCard { designation, postal_code: postal_code.into(), country: country.into(), ..Default::default() }
    }

    #[test]
    fn a_postal_code_in_france_has_five_digits_and_may_be_left_out() {
        for country in ["", "FRANCE", " France ", "fr"] {
            for code in ["", "01000", "20000", "20260", "35000", "75700", "95880", "97400", "97150", "98800", "00100"] {
                assert_eq!(address(code, country).checked_as_typed().unwrap().postal_code, code);
            }
            for wrong in ["9", "3500", "350000", "2A004", "35OOO", "96000", "99000", "00000", "٣٥٠٠٠", "35-00"] {
                let errors = address(wrong, country).checked_as_typed().unwrap_err();
                assert_eq!(errors, [(CardField::PostalCode, StructureCardError::PostalCode)], "{wrong}");
            }
        }
        assert_eq!(address(" 35\u{a0}000 ", "FRANCE").checked_as_typed().unwrap().postal_code, "35000");
    }

    #[test]
    fn a_postal_code_abroad_and_one_of_the_directory_are_taken_as_they_come() {
        for (code, country) in [("9", "Islande"), ("SW1A 1AA", "Royaume-Uni"), ("1000", "BELGIQUE")] {
            assert_eq!(address(code, country).checked_as_typed().unwrap().postal_code, code);
        }
        assert_eq!(address("9", "FRANCE").checked().unwrap().postal_code, "9");
    }

    #[test]
    fn a_wrong_postal_code_stands_among_the_other_errors_in_the_order_of_the_form() {
        let mut card = address("9", "a\u{7}");
        card.country = "France".into();
        (card.address_line, card.city, card.email) = ("x".repeat(251), "a\u{7}".into(), "non".into());
        let fields: Vec<_> = card.checked_as_typed().unwrap_err().into_iter().map(|(field, _)| field).collect();
        assert_eq!(fields, [CardField::AddressLine, CardField::PostalCode, CardField::City, CardField::Email]);
    }

    #[test]
    fn each_wrong_field_is_named() {
        let card = StructureCard {
            designation: " ".into(),
            city: "x".repeat(251),
            country: "a\u{7}".into(),
            email: "pas une adresse".into(),
            phone: "<script>".into(),
            ..StructureCard::default()
        };
        let fields: Vec<_> = card.checked().unwrap_err().into_iter().map(|(field, _)| field).collect();
        let wrong = [CardField::Designation, CardField::City, CardField::Country, CardField::Email, CardField::Phone];
        assert_eq!(fields, wrong);
    }

    proptest! {
        #[test]
        fn what_is_kept_is_kept_as_it_is(texts in prop::array::uniform9("[ -~é\u{0}\u{202e}]{0,20}")) {
            let mut card = StructureCard::default();
            for ((_, field), text) in card.texts().into_iter().zip(texts) {
                *field = text;
            }
            match card.checked() {
                Ok(kept) => {
                    prop_assert!(!kept.designation.is_empty());
                    prop_assert_eq!(kept.clone().checked(), Ok(kept));
                }
                Err(errors) => prop_assert!(!errors.is_empty()),
            }
        }
    }

    proptest! {
        #[test]
        fn a_typed_postal_code_is_kept_without_its_spaces_or_refused(code in "[0-9 ]{0,7}|\\PC{0,6}", abroad in any::<bool>()) {
            let country = if abroad { "Suisse" } else { "France" };
            match address(&code, country).checked_as_typed() {
                Ok(kept) => {
                    let digits = kept.postal_code.bytes().filter(u8::is_ascii_digit).count();
                    prop_assert!(abroad || kept.postal_code.is_empty() || (digits, kept.postal_code.len()) == (5, 5));
                    prop_assert_eq!(kept.clone().checked_as_typed(), Ok(kept));
                }
                Err(errors) => prop_assert!(errors.iter().all(|(field, _)| *field == CardField::PostalCode)),
            }
        }

        #[test]
        fn every_number_of_a_departement_is_one(departement in 1_u32..=95, office in 0_u32..1000) {
            let card = address(&format!("{departement:02}{office:03}"), "FRANCE");
            prop_assert!(card.checked_as_typed().is_ok());
        }
    }

    #[test]
    fn a_field_may_have_250_characters_and_a_telephone_its_signs() {
        let card =
            |designation: String, phone: &str| StructureCard { designation, phone: phone.into(), ..Default::default() };
        assert!(card("é".repeat(250), "").checked().is_ok());
        let too_long = card("é".repeat(251), "").checked().unwrap_err();
        assert_eq!(too_long, [(CardField::Designation, StructureCardError::TooLong)]);
        assert!(card("x".into(), "+33 (0)1.02-03\u{a0}04\u{202f}05").checked().is_ok());
        assert_eq!(card("x".into(), "01 a").checked().unwrap_err(), [(CardField::Phone, StructureCardError::Phone)]);
    }
}
