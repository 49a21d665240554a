//! People: how they sign in and what password they may choose (ASVS 6.2).

use std::fmt;

use serde::Deserialize;
use thiserror::Error;
use zeroize::Zeroizing;

/// A password that a person typed. Wiped when dropped, and `Debug` says nothing.
#[derive(Clone, Default, Deserialize)]
#[serde(transparent)]
pub struct TypedPassword(Zeroizing<String>);

impl TypedPassword {
    #[must_use]
    pub fn new(text: String) -> Self {
        Self(Zeroizing::new(text))
    }

    /// The text itself, for hashing and comparing.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for TypedPassword {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TypedPassword(…)")
    }
}

/// Why a person may not choose this password.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum ChosenPasswordError {
    #[error("Le mot de passe doit contenir au moins 15 caractères.")]
    TooShort,
    #[error("Le mot de passe ne peut pas dépasser 128 caractères.")]
    TooLong,
    #[error(
        "Ce mot de passe est trop facile à deviner : choisissez, par exemple, une phrase que vous seul connaissez."
    )]
    Guessable,
}

/// Checks a password that a person chooses: 15 to 128 characters of any kind, no composition rule, not her login and not
/// a mere repetition.
///
/// # Errors
/// A [`ChosenPasswordError`] that says what is wrong.
pub fn check_chosen_password(password: &TypedPassword, login: &str) -> Result<(), ChosenPasswordError> {
    let length = password.expose().chars().count();
    if length < 15 {
        return Err(ChosenPasswordError::TooShort);
    }
    if length > 128 {
        return Err(ChosenPasswordError::TooLong);
    }
    let lower = password.expose().to_lowercase();
    let distinct = lower.chars().collect::<std::collections::HashSet<_>>().len();
    let common = ["motdepasse", "password", "azertyuiop", "qwertyuiop", "123456789"];
    let rest = common.iter().fold(lower.replace(&login.to_lowercase(), ""), |rest, word| rest.replace(word, ""));
    if distinct < 6 || rest.chars().count() < 6 {
        return Err(ChosenPasswordError::Guessable);
    }
    Ok(())
}

/// A person's login as it is stored and compared: trimmed, lower case.
#[must_use]
pub fn normalized_login(text: &str) -> String {
    text.trim().to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str) -> Result<(), ChosenPasswordError> {
        check_chosen_password(&TypedPassword::new(text.into()), "anne@mairie.fr")
    }

    #[test]
    fn length_is_counted_in_characters() {
        assert_eq!(check("éàùçèêîôûäëïöü"), Err(ChosenPasswordError::TooShort));
        assert_eq!(check("éàùçèêîôûäëïöü!"), Ok(()));
        assert_eq!(check(&"abcdefgh".repeat(16)), Ok(()));
        assert_eq!(check(&"abcdefgh".repeat(17)), Err(ChosenPasswordError::TooLong));
    }

    #[test]
    fn what_is_guessed_first_is_refused() {
        for text in ["aaaaaaaaaaaaaaaaaaaa", "anne@mairie.fr12", "motdepasse123456789", "MotDePassePassword!"] {
            assert_eq!(check(text), Err(ChosenPasswordError::Guessable), "{text}");
        }
    }

    #[test]
    fn a_sentence_with_spaces_passes() {
        assert_eq!(check("le chat dort sur le radiateur"), Ok(()));
    }

    #[test]
    fn debug_tells_nothing() {
        assert_eq!(format!("{:?}", TypedPassword::new("x".into())), "TypedPassword(…)");
    }
}
