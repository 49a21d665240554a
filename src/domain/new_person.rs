//! A person whom the operator registers. Only the operator's command line reads these errors: they
//! are in English.

use thiserror::Error;

use super::{
    characters::is_unprintable, contact_address::ContactAddress, person::normalized_login,
    technical_user::is_technical_login,
};

/// Why somebody cannot be registered.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum NewPersonError {
    #[error("the login is missing")]
    LoginMissing,
    #[error("the login has a space, an accent or another character than plain letters, digits and signs")]
    LoginCharacter,
    #[error("the login has the form of a technical user's, TECH_…@cpro.fr, which never opens the portal")]
    LoginTechnical,
    #[error("the {0} is missing")]
    NameMissing(&'static str),
    #[error("the {0} has more than 100 characters")]
    NameTooLong(&'static str),
    #[error("the {0} holds a character that cannot be displayed")]
    NameUnprintable(&'static str),
    #[error("the contact address is not of the form name@domain")]
    ContactAddress,
}

/// Somebody to register, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewPerson {
    login: String,
    last_name: String,
    first_name: String,
    contact_address: ContactAddress,
}

impl NewPerson {
    /// Checks what the operator gave.
    ///
    /// # Errors
    /// The first [`NewPersonError`].
    pub fn checked(login: &str, last_name: &str, first_name: &str, contact: &str) -> Result<Self, NewPersonError> {
        Ok(Self {
            login: checked_login(login)?,
            last_name: checked_name("last name", last_name)?,
            first_name: checked_name("first name", first_name)?,
            contact_address: ContactAddress::parse(contact).map_err(|_| NewPersonError::ContactAddress)?,
        })
    }

    /// Normalized.
    pub fn login(&self) -> &str {
        &self.login
    }

    pub fn last_name(&self) -> &str {
        &self.last_name
    }

    pub fn first_name(&self) -> &str {
        &self.first_name
    }

    pub fn contact_address(&self) -> &ContactAddress {
        &self.contact_address
    }
}

fn checked_login(text: &str) -> Result<String, NewPersonError> {
    let login = normalized_login(text);
    if login.is_empty() {
        Err(NewPersonError::LoginMissing)
    } else if login.len() > 254 || !login.bytes().all(|byte| byte.is_ascii_graphic()) {
        // ASCII alone: what Rust and the database call lower case is then the same, and no two
        // logins look alike.
        Err(NewPersonError::LoginCharacter)
    } else if is_technical_login(&login) {
        Err(NewPersonError::LoginTechnical)
    } else {
        Ok(login)
    }
}

fn checked_name(what: &'static str, text: &str) -> Result<String, NewPersonError> {
    let name = text.trim();
    if name.is_empty() {
        Err(NewPersonError::NameMissing(what))
    } else if name.chars().count() > 100 {
        Err(NewPersonError::NameTooLong(what))
    } else if name.chars().any(is_unprintable) {
        Err(NewPersonError::NameUnprintable(what))
    } else {
        Ok(name.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(login: &str, name: &str, contact: &str) -> Result<NewPerson, NewPersonError> {
        NewPerson::checked(login, name, "Anne", contact)
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
        assert_eq!(check(&"x".repeat(255), "Martin", "a@b.fr"), Err(NewPersonError::LoginCharacter));
    }

    #[test]
    fn what_cannot_be_registered_is_told_why() {
        assert_eq!(check("", "Martin", "a@b.fr"), Err(NewPersonError::LoginMissing));
        assert_eq!(check("TECH_1_2@cpro.fr", "Martin", "a@b.fr"), Err(NewPersonError::LoginTechnical));
        assert_eq!(check("hélène", "Martin", "a@b.fr"), Err(NewPersonError::LoginCharacter));
        assert_eq!(check("a b", "Martin", "a@b.fr"), Err(NewPersonError::LoginCharacter));
        assert_eq!(check("a", " ", "a@b.fr"), Err(NewPersonError::NameMissing("last name")));
        assert_eq!(check("a", &"x".repeat(101), "a@b.fr"), Err(NewPersonError::NameTooLong("last name")));
        assert_eq!(check("a", "x\u{202e}y", "a@b.fr"), Err(NewPersonError::NameUnprintable("last name")));
        assert_eq!(check("a", "x", "a@b"), Err(NewPersonError::ContactAddress));
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
