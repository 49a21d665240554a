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
    /// Wraps what was typed, unchanged.
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
        "Ce mot de passe est trop facile à deviner\u{a0}: mot de passe courant, suite de touches, répétition ou information connue sur vous. Choisissez, par exemple, une phrase que vous seul connaissez."
    )]
    Guessable,
}

/// What is guessed first at this service and on a French keyboard; `zxcvbn` knows the leaked lists
/// and the other keyboards.
const OUR_WORDS: [&str; 12] = [
    "raccord",
    "motdepasse",
    "mot de passe",
    "portail",
    "gestionnaire",
    "chorus",
    "azertyuiop",
    "azerty",
    "qsdfghjklm",
    "wxcvbn",
    "&é\"'(-è_çà",
    "bienvenue",
];

/// Checks a password that a person chooses (ASVS 6.2.4, 6.2.5, 6.2.9): 15 to 128 characters of any
/// kind and no composition rule, but nothing that a guesser tries first: the common passwords
/// alone, repeated or with little around them, runs of the keyboard, and `known`, what others know
/// of the person (login, names, address, structures).
///
/// # Errors
/// A [`ChosenPasswordError`] that says what is wrong.
pub fn check_chosen_password(password: &TypedPassword, known: &[String]) -> Result<(), ChosenPasswordError> {
    let length = password.expose().chars().count();
    if length < 15 {
        return Err(ChosenPasswordError::TooShort);
    }
    if length > 128 {
        return Err(ChosenPasswordError::TooLong);
    }
    let known: Vec<String> = known.iter().flat_map(|text| guesses_from(text)).collect();
    let words: Vec<&str> = OUR_WORDS.into_iter().chain(known.iter().map(String::as_str)).collect();
    // Four is the best of zxcvbn's marks: more than 10^10 guesses.
    match zxcvbn::zxcvbn(password.expose(), &words).score() {
        zxcvbn::Score::Four => Ok(()),
        _ => Err(ChosenPasswordError::Guessable),
    }
}

/// A known text as people make passwords of it: whole, run together, and each of its words.
fn guesses_from(text: &str) -> Vec<String> {
    let text = text.to_lowercase();
    let words = text.split(|c: char| !c.is_alphanumeric()).filter(|word| word.chars().count() > 2);
    let joined = text.chars().filter(|c| c.is_alphanumeric()).collect();
    [text.clone(), joined].into_iter().chain(words.map(str::to_owned)).collect()
}

/// A person's login as it is stored and compared: trimmed, lower case.
#[must_use]
pub fn normalized_login(text: &str) -> String {
    text.trim().to_lowercase()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(text: &str) -> Result<(), ChosenPasswordError> {
        let known = ["anne.leroy@mairie.fr", "Anne", "Leroy", "Commune de Saint-Malo"].map(String::from);
        check_chosen_password(&TypedPassword::new(text.into()), &known)
    }

    #[test]
    fn length_is_counted_in_characters() {
        assert_eq!(check("éàùçèêîôûäëïöü"), Err(ChosenPasswordError::TooShort));
        assert_eq!(check("éàùçèêîôûäëïöü!"), Ok(()));
        let sentence = "le chat dort sur le radiateur, et la pluie tombe ";
        assert_eq!(check(&sentence.repeat(3)[..128]), Ok(()));
        assert_eq!(check(&sentence.repeat(3)[..129]), Err(ChosenPasswordError::TooLong));
    }

    #[test]
    fn what_is_guessed_first_is_refused() {
        for text in [
            "aaaaaaaaaaaaaaaaaaaa",
            "anne.leroy@mairie.fr12",
            "motdepasse123456789",
            "MotDePassePassword!",
            "abcdefghabcdefghabcdefgh",
            "azertyuiopqsdfghjklm",
            "qwertyuiopasdfghjkl",
            "123456789012345678",
            "passwordpassword",
            "P@ssw0rdP@ssw0rd",
            "communedesaintmalo",
            "RaccordRaccord2026",
            "Bienvenue123456789",
            "iloveyouiloveyou",
            "                    ",
        ] {
            assert_eq!(check(text), Err(ChosenPasswordError::Guessable), "{text}");
        }
    }

    #[test]
    fn a_known_text_is_guessed_whole_run_together_and_by_its_words_of_three_letters_and_more() {
        let guesses = ["commune du val-d’oise", "communeduvaldoise", "commune", "val", "oise"];
        assert_eq!(guesses_from("Commune du Val-d’Oise"), guesses);
    }

    #[test]
    fn no_composition_is_asked_for() {
        for text in [
            "le chat dort sur le radiateur",
            "kvqzjwxhfbtmgyu",
            "密码足够长并且没有人能够猜到它的内容",
            "7093 1846 2275 9631",
        ] {
            assert_eq!(check(text), Ok(()), "{text}");
        }
    }

    #[test]
    fn debug_tells_nothing() {
        assert_eq!(format!("{:?}", TypedPassword::new("x".into())), "TypedPassword(…)");
    }

    proptest! {
        // zxcvbn takes some milliseconds for a long password.
        #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]

        #[test]
        fn no_password_makes_it_panic_and_length_is_what_people_see(text in prop_oneof![any::<String>(), "\\PC{10,140}"]) {
            let length = text.chars().count();
            let answer = check(&text);
            prop_assert_eq!(answer == Err(ChosenPasswordError::TooShort), length < 15);
            prop_assert_eq!(answer == Err(ChosenPasswordError::TooLong), length > 128);
        }

        #[test]
        fn what_is_known_of_a_person_is_no_password(known in "[a-z]{15,30}", at in 0_usize..15) {
            let known_texts = [known.clone()];
            let typed = format!("{}{}", known[..at].to_uppercase(), &known[at..]);
            let answer = check_chosen_password(&TypedPassword::new(typed), &known_texts);
            prop_assert_eq!(answer, Err(ChosenPasswordError::Guessable));
        }
    }
}
