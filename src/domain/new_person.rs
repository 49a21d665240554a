//! A person to be registered, and the checks on their login, names and contact address.
//!
//! The texts of these errors are English, for the operator's command line; the portal has its own
//! French texts.

use std::fmt;

use thiserror::Error;
use unicode_normalization::UnicodeNormalization;

use super::{
    characters::{is_undefined, is_unprintable},
    contact_address::{ContactAddress, ContactAddressError},
    person::normalized_login,
    technical_user::is_technical_login,
};

/// Why a login is refused.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum LoginError {
    #[error("the login is missing")]
    Missing,
    #[error("the login has a space, an accent or another character than plain letters, digits and signs")]
    Character,
    #[error("the login has the form of a technical user's, TECH_…@cpro.fr, which never opens the portal")]
    Technical,
}

/// Why a first or last name is refused.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum NameError {
    #[error("is missing")]
    Missing,
    #[error("has more than 100 characters")]
    TooLong,
    #[error("holds a character that cannot be displayed")]
    Unprintable,
}

/// The refused fields of a new person, at least one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NewPersonErrors {
    pub login: Option<LoginError>,
    pub last_name: Option<NameError>,
    pub first_name: Option<NameError>,
    pub contact_address: Option<ContactAddressError>,
}

/// Says what is wrong with the first refused field.
impl fmt::Display for NewPersonErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self { login: Some(error), .. } => error.fmt(f),
            Self { last_name: Some(error), .. } => write!(f, "the last name {error}"),
            Self { first_name: Some(error), .. } => write!(f, "the first name {error}"),
            Self { .. } => f.write_str("the contact address is not of the form name@domain"),
        }
    }
}

impl std::error::Error for NewPersonErrors {}

/// A checked person to register.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewPerson {
    login: String,
    last_name: String,
    first_name: String,
    contact_address: ContactAddress,
}

impl NewPerson {
    /// Checks and normalizes all four fields.
    ///
    /// # Errors
    /// Every refused field.
    pub fn checked(login: &str, last_name: &str, first_name: &str, contact: &str) -> Result<Self, NewPersonErrors> {
        let login = checked_login(login);
        let last_name = checked_name(last_name);
        let first_name = checked_name(first_name);
        let contact_address = ContactAddress::parse(contact);
        match (login, last_name, first_name, contact_address) {
            (Ok(login), Ok(last_name), Ok(first_name), Ok(contact_address)) => {
                Ok(Self { login, last_name, first_name, contact_address })
            }
            (login, last_name, first_name, contact_address) => Err(NewPersonErrors {
                login: login.err(),
                last_name: last_name.err(),
                first_name: first_name.err(),
                contact_address: contact_address.err(),
            }),
        }
    }

    /// The normalized login.
    pub fn login(&self) -> &str {
        &self.login
    }

    /// As checked: 1 to 100 characters, trimmed and composed (NFC).
    pub fn last_name(&self) -> &str {
        &self.last_name
    }

    /// As checked: 1 to 100 characters, trimmed and composed (NFC).
    pub fn first_name(&self) -> &str {
        &self.first_name
    }

    /// The address that the person's mails go to.
    pub fn contact_address(&self) -> &ContactAddress {
        &self.contact_address
    }
}

fn checked_login(text: &str) -> Result<String, LoginError> {
    let login = normalized_login(text);
    if login.is_empty() {
        Err(LoginError::Missing)
    } else if login.len() > 254 || !login.bytes().all(|byte| byte.is_ascii_graphic()) {
        // ASCII only: Rust and PostgreSQL then agree on lower case, and no two logins look alike.
        Err(LoginError::Character)
    } else if is_technical_login(&login) {
        Err(LoginError::Technical)
    } else {
        Ok(login)
    }
}

fn checked_name(text: &str) -> Result<String, NameError> {
    let name: String = text.trim().nfc().collect();
    if name.is_empty() {
        Err(NameError::Missing)
    } else if name.chars().count() > 100 {
        Err(NameError::TooLong)
    } else if name.chars().any(|c| is_unprintable(c) || is_undefined(c)) {
        Err(NameError::Unprintable)
    } else {
        Ok(name)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(login: &str, name: &str, contact: &str) -> Result<NewPerson, NewPersonErrors> {
        NewPerson::checked(login, name, "Anne", contact)
    }

    fn wrong_login(error: LoginError) -> Result<NewPerson, NewPersonErrors> {
        Err(NewPersonErrors { login: Some(error), ..NewPersonErrors::default() })
    }

    fn wrong_last_name(error: NameError) -> Result<NewPerson, NewPersonErrors> {
        Err(NewPersonErrors { last_name: Some(error), ..NewPersonErrors::default() })
    }

    #[test]
    fn a_login_is_kept_in_lower_case() {
        let person = check(" Anne.Martin@Mairie.fr ", "Martin", "a@b.fr").unwrap();
        assert_eq!(person.login(), "anne.martin@mairie.fr");
        assert_eq!((person.last_name(), person.first_name()), ("Martin", "Anne"));
        assert_eq!(person.contact_address().as_str(), "a@b.fr");
    }

    #[test]
    fn logins_and_names_may_be_long_and_no_longer() {
        assert!(check(&"x".repeat(254), &"é".repeat(100), "a@b.fr").is_ok());
        assert_eq!(check(&"x".repeat(255), "Martin", "a@b.fr"), wrong_login(LoginError::Character));
    }

    #[test]
    fn a_name_is_composed_before_it_is_counted() {
        let person = check("a", &"e\u{301}".repeat(100), "a@b.fr").unwrap();
        assert_eq!(person.last_name(), "é".repeat(100));
    }

    #[test]
    fn what_cannot_be_registered_is_refused_with_the_reason() {
        assert_eq!(check("", "Martin", "a@b.fr"), wrong_login(LoginError::Missing));
        assert_eq!(check("TECH_1_2@cpro.fr", "Martin", "a@b.fr"), wrong_login(LoginError::Technical));
        assert_eq!(check("hélène", "Martin", "a@b.fr"), wrong_login(LoginError::Character));
        assert_eq!(check("a b", "Martin", "a@b.fr"), wrong_login(LoginError::Character));
        assert_eq!(check("a", " ", "a@b.fr"), wrong_last_name(NameError::Missing));
        assert_eq!(check("a", &"x".repeat(101), "a@b.fr"), wrong_last_name(NameError::TooLong));
        assert_eq!(check("a", "x\u{202e}y", "a@b.fr"), wrong_last_name(NameError::Unprintable));
        let contact_address = Some(ContactAddressError::Form);
        let wrong_address = NewPersonErrors { contact_address, ..NewPersonErrors::default() };
        assert_eq!(check("a", "x", "a@b"), Err(wrong_address));
    }

    #[test]
    fn every_refused_field_is_named_and_the_first_one_in_words() {
        let mut errors = NewPerson::checked("", " ", &"x".repeat(101), "a@b").unwrap_err();
        let all = NewPersonErrors {
            login: Some(LoginError::Missing),
            last_name: Some(NameError::Missing),
            first_name: Some(NameError::TooLong),
            contact_address: Some(ContactAddressError::Form),
        };
        assert_eq!(errors, all);
        assert_eq!(errors.to_string(), "the login is missing");
        errors.login = None;
        assert_eq!(errors.to_string(), "the last name is missing");
        errors.last_name = None;
        assert_eq!(errors.to_string(), "the first name has more than 100 characters");
        errors.first_name = None;
        assert_eq!(errors.to_string(), "the contact address is not of the form name@domain");
    }

    proptest! {
        #[test]
        fn whoever_is_registered_can_sign_in_and_is_no_technical_user(login in "\\s?(TECH_)?[A-Za-zé0-9.@_ -]{0,30}(@cpro[.]fr)?", name in any::<String>()) {
            let Ok(person) = NewPerson::checked(&login, &name, &name, "a@b.fr") else { return Ok(()) };
            prop_assert!(!is_technical_login(&login) && !is_technical_login(person.login()));
            prop_assert_eq!(normalized_login(&login), person.login());
            prop_assert!(person.login().bytes().all(|byte| byte.is_ascii_graphic() && !byte.is_ascii_uppercase()));
            prop_assert_eq!(NewPerson::checked(person.login(), person.last_name(), person.first_name(), "a@b.fr"), Ok(person));
        }
    }
}
