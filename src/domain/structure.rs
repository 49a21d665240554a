//! A structure's card, as people edit it.

use thiserror::Error;

use super::{contact_address::ContactAddress, technical_user::is_unprintable};

/// What a principal manager may change on the « Fiche structure »; the identifier and its type are not among it.
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
    pub active: bool,
}

/// A field of the card that cannot be kept as it was typed.
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
    #[error("Le numéro de téléphone ne peut contenir que des chiffres, des espaces, des points et le signe +.")]
    Phone,
}

impl StructureCard {
    /// The card with the spaces around each field gone, or what is wrong, as (field's name, error).
    ///
    /// # Errors
    /// Every field that cannot be kept, in the order of the form.
    pub fn checked(mut self) -> Result<Self, Vec<(&'static str, StructureCardError)>> {
        let mut errors = Vec::new();
        for (name, field) in self.texts() {
            *field = field.trim().to_owned();
            if field.chars().count() > 250 {
                errors.push((name, StructureCardError::TooLong));
            } else if field.chars().any(is_unprintable) {
                errors.push((name, StructureCardError::Unprintable));
            }
        }
        if self.designation.is_empty() {
            errors.insert(0, ("designation", StructureCardError::DesignationMissing));
        }
        if !self.email.is_empty() && ContactAddress::parse(&self.email).is_err() {
            errors.push(("email", StructureCardError::Email));
        }
        if !self.phone.chars().all(|c| c.is_ascii_digit() || " .+()-".contains(c) || c == '\u{a0}' || c == '\u{202f}') {
            errors.push(("phone", StructureCardError::Phone));
        }
        if errors.is_empty() { Ok(self) } else { Err(errors) }
    }

    fn texts(&mut self) -> [(&'static str, &mut String); 9] {
        [
            ("designation", &mut self.designation),
            ("address_line", &mut self.address_line),
            ("address_extra_1", &mut self.address_extra_1),
            ("address_extra_2", &mut self.address_extra_2),
            ("postal_code", &mut self.postal_code),
            ("city", &mut self.city),
            ("country", &mut self.country),
            ("email", &mut self.email),
            ("phone", &mut self.phone),
        ]
    }
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
    fn each_wrong_field_is_named() {
        let card = StructureCard {
            designation: " ".into(),
            city: "x".repeat(251),
            country: "a\u{7}".into(),
            email: "pas une adresse".into(),
            phone: "<script>".into(),
            ..StructureCard::default()
        };
        let names: Vec<_> = card.checked().unwrap_err().into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["designation", "city", "country", "email", "phone"]);
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

    #[test]
    fn a_field_may_have_250_characters_and_a_telephone_its_signs() {
        let card =
            |designation: String, phone: &str| StructureCard { designation, phone: phone.into(), ..Default::default() };
        assert!(card("é".repeat(250), "").checked().is_ok());
        let too_long = card("é".repeat(251), "").checked().unwrap_err();
        assert_eq!(too_long, [("designation", StructureCardError::TooLong)]);
        assert!(card("x".into(), "+33 (0)1.02-03\u{a0}04\u{202f}05").checked().is_ok());
        assert_eq!(card("x".into(), "01 a").checked().unwrap_err(), [("phone", StructureCardError::Phone)]);
    }
}
