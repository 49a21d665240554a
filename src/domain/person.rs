//! People: how they sign in and what password they may choose (ASVS 6.2).

use std::fmt;

use serde::Deserialize;
use thiserror::Error;
use zeroize::Zeroizing;

use super::password::prepared;

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

/// Checks a password that a person chooses (ASVS 6.2.4, 6.2.5, 6.2.9), in the form that is hashed:
/// 15 to 128 characters of any kind and no composition rule, but nothing that a guesser tries
/// first: the common passwords alone, repeated or with little around them, runs of the keyboard,
/// and `known`, what others know of the person (login, names, address, structures).
///
/// Takes up to some 20 ms of processor, so it runs in the queue of `hashing`.
///
/// # Errors
/// A [`ChosenPasswordError`] that says what is wrong.
pub fn check_chosen_password(password: &TypedPassword, known: &[String]) -> Result<(), ChosenPasswordError> {
    let password = prepared(password.expose());
    let length = password.chars().count();
    if length < 15 {
        return Err(ChosenPasswordError::TooShort);
    }
    if length > 128 {
        return Err(ChosenPasswordError::TooLong);
    }
    let known: Vec<String> = known.iter().flat_map(|text| guesses_from(text)).collect();
    let words: Vec<&str> = OUR_WORDS.into_iter().chain(known.iter().map(String::as_str)).collect();
    let judged = judged_part(&password, &words);
    // Four is the best of zxcvbn's marks: more than 10^10 guesses.
    match zxcvbn::zxcvbn(&judged, &words).score() {
        zxcvbn::Score::Four => Ok(()),
        _ => Err(ChosenPasswordError::Guessable),
    }
}

/// The most characters that `zxcvbn` judges: its cost grows faster than the square of their number.
const MOST_JUDGED: usize = 40;
/// The signs that `zxcvbn` reads as letters; digits aside, which people use as digits. It tries all
/// combinations of what they may stand for, so a few more of them cost many times more.
const LETTER_SIGNS: &str = "@({[<!|$+%";
/// The most different [`LETTER_SIGNS`] that `zxcvbn` judges at once.
const MOST_LETTER_SIGNS: usize = 3;
/// A known text with more characters than this is taken out of a password before it is cut.
const LONG_KNOWN: usize = 12;

/// What `zxcvbn` is given of a password. An ordinary one is given whole. Of one that is very long,
/// or has very many signs, repetitions and long known texts are taken out, and the longest part
/// within the limits is kept.
///
/// A password is at least as hard to guess as a part of it, so a guessable one does not pass by
/// being cut. Only a repetition or a known text could be cut beyond recognition, and these are
/// taken out before.
fn judged_part(password: &str, known: &[&str]) -> Zeroizing<String> {
    if can_be_judged(&password.chars().collect::<Vec<_>>()) {
        return Zeroizing::new(password.to_owned());
    }
    let mut text = Zeroizing::new(password.to_lowercase());
    for known in known.iter().filter(|known| known.chars().count() > LONG_KNOWN) {
        text = Zeroizing::new(text.replace(known, ""));
    }
    let characters = without_repetitions(&text);
    let (mut longest, mut start) = (0..0, 0);
    for end in 1..=characters.len() {
        while !can_be_judged(&characters[start..end]) {
            start += 1;
        }
        if end - start > longest.len() {
            longest = start..end;
        }
    }
    Zeroizing::new(characters[longest].iter().collect())
}

fn can_be_judged(characters: &[char]) -> bool {
    let signs = LETTER_SIGNS.chars().filter(|sign| characters.contains(sign)).count();
    characters.len() <= MOST_JUDGED && signs <= MOST_LETTER_SIGNS
}

/// The text without what repeats the characters just before it.
fn without_repetitions(text: &str) -> Vec<char> {
    let mut kept: Vec<char> = Vec::new();
    for character in text.chars() {
        kept.push(character);
        if let Some(period) = (1..=kept.len() / 2).find(|period| repeats_its_end(&kept, *period)) {
            kept.truncate(kept.len() - period);
        }
    }
    kept
}

/// Whether the last `period` characters stand there twice. Of three characters and fewer, words
/// have doubles: these must stand there three times.
fn repeats_its_end(characters: &[char], period: usize) -> bool {
    let copies = if period > 3 { 2 } else { 3 };
    let Some(start) = characters.len().checked_sub(copies * period) else { return false };
    let end = &characters[start..];
    end[period..] == end[..end.len() - period]
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
    fn what_is_judged_is_what_is_hashed() {
        assert_eq!(check(&"e\u{301}".repeat(8)), Err(ChosenPasswordError::TooShort));
        let accents = "e\u{301}a\u{300}u\u{300}c\u{327}e\u{302}i\u{302}o\u{302}u\u{302}a\u{308}e\u{308}i\u{308}o\u{308}u\u{308}y\u{308}n\u{303}";
        assert_eq!(check(accents), Ok(()));
        let spaced = "mot\u{a0}de\u{202f}passe mot\u{2003}de\u{3000}passe";
        assert_eq!(check(spaced), Err(ChosenPasswordError::Guessable));
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
            // Longer than what is judged at once, or with more signs.
            &"motdepasse1".repeat(6),
            &("motdepasse1".repeat(6) + "!"),
            &"azertyuiop".repeat(12),
            &"a".repeat(128),
            &"anne.leroy@mairie.fr".repeat(3),
            &"Commune de Saint-Malo, ".repeat(5),
            "$$$$((((@@@@!!!!%%%%",
        ] {
            assert_eq!(check(text), Err(ChosenPasswordError::Guessable), "{text}");
        }
    }

    #[test]
    fn however_long_a_password_is_and_whatever_signs_it_has_little_of_it_is_judged() {
        // What zxcvbn 3.1 takes 0.7 s for.
        let signs: String = "4@8({[<369&#!1/|0$5+7%2".chars().cycle().take(128).collect();
        let part = judged_part(&signs, &[]);
        assert!(can_be_judged(&part.chars().collect::<Vec<_>>()) && signs.contains(part.as_str()), "{part:?}");
        assert_eq!(*judged_part("Un mot de passe (sûr)\u{a0}!", &[]), "Un mot de passe (sûr)\u{a0}!");
    }

    #[test]
    fn a_password_with_a_strong_part_passes_whatever_stands_around_it() {
        let strong = "kvqzjwxhfbtmgyu";
        let around = "azertyuiop".repeat(5);
        for text in
            [format!("{around}{strong}{around}"), format!("{strong}@({{[<!|$+%"), "aB3@x(Z9q7k!wPt%5v{mL[d".repeat(5)]
        {
            assert_eq!(check(&text), Ok(()), "{text}");
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
            let length = prepared(&text).chars().count();
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
