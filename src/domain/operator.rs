//! What operators say of themselves and of their acts at the command line. The history keeps it.
//!
//! The texts of these errors are English, for the command line.

use std::str::FromStr;

use thiserror::Error;
use unicode_normalization::UnicodeNormalization;

use super::characters::{is_undefined, is_unprintable};

/// Why a name or a reason is refused.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum WordsError {
    #[error("must not be empty")]
    Missing,
    #[error("must have at most {0} characters")]
    TooLong(usize),
    #[error("must not hold a character that cannot be displayed")]
    Unprintable,
}

/// An operator's name: 1 to 80 characters on one line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OperatorName(String);

/// Why an operator acts: 1 to 200 characters on one line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reason(String);

impl OperatorName {
    /// The name, with single spaces.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether both names read the same, whatever their case.
    #[must_use]
    pub fn is_same_as(&self, other: &Self) -> bool {
        self.0.to_lowercase() == other.0.to_lowercase()
    }
}

impl FromStr for OperatorName {
    type Err = WordsError;

    fn from_str(text: &str) -> Result<Self, WordsError> {
        words(text, 80).map(Self)
    }
}

impl Reason {
    /// The reason, with single spaces.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Reason {
    type Err = WordsError;

    fn from_str(text: &str) -> Result<Self, WordsError> {
        words(text, 200).map(Self)
    }
}

fn words(text: &str, most: usize) -> Result<String, WordsError> {
    let text: String = text.split_whitespace().collect::<Vec<_>>().join(" ").nfc().collect();
    match text.chars().count() {
        0 => Err(WordsError::Missing),
        count if count > most => Err(WordsError::TooLong(most)),
        _ if text.chars().any(|c| is_unprintable(c) || is_undefined(c)) => Err(WordsError::Unprintable),
        _ => Ok(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_one_line_that_can_be_displayed() {
        let name = |text: &str| text.parse::<OperatorName>();
        assert_eq!(name("  Zoé \n Petit ").unwrap().as_str(), "Zoé Petit");
        assert_eq!(name("Zoe\u{301} Petit").unwrap().as_str(), "Zoé Petit");
        assert!(name(&"e\u{301}".repeat(80)).is_ok(), "counted once composed");
        assert_eq!(name(" "), Err(WordsError::Missing));
        assert_eq!(name("Zoé\u{202e}"), Err(WordsError::Unprintable));
        assert_eq!(name("Zo\u{1b}[2Jé"), Err(WordsError::Unprintable));
        assert!(name(&"é".repeat(80)).is_ok());
        assert_eq!(name(&"é".repeat(81)), Err(WordsError::TooLong(80)));
        assert_eq!("é".repeat(201).parse::<Reason>(), Err(WordsError::TooLong(200)));
    }

    #[test]
    fn one_operator_is_not_two() {
        let name = |text: &str| text.parse::<OperatorName>().unwrap();
        assert!(name("Zoé Petit").is_same_as(&name("ZOÉ  petit")));
        assert!(!name("Zoé Petit").is_same_as(&name("Noa Petit")));
    }
}
