//! A technical user's password: its format, generation and Argon2id hash (rule 7).

use std::fmt;

use argon2::{
    Algorithm, Argon2, Block, Params, Version,
    password_hash::phc::{Output, ParamsString, PasswordHash as Phc, Salt},
};
use icu_properties::{CodePointMapData, props::GeneralCategory};
use rand::{CryptoRng, seq::IndexedRandom};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use unicode_normalization::UnicodeNormalization;
use zeroize::Zeroizing;

use super::wiped::wiped;

/// The start of every password, by which secret scanners recognise one.
const PREFIX: &str = "rcd_";
/// Random characters after the prefix: 28 × log₂ 56 = 162 bits. The checksum is stored, to find
/// the account of a leaked password; an attacker who reads it still has 130 bits to guess.
const RANDOM_LENGTH: usize = 28;
/// Checksum characters at the end.
pub(crate) const CHECKSUM_LENGTH: usize = 6;
/// Characters of a password.
pub(crate) const LENGTH: usize = PREFIX.len() + RANDOM_LENGTH + CHECKSUM_LENGTH;
/// The format as a regular expression, for secret scanners; [`is_well_formed`] also checks the
/// checksum.
pub const PATTERN: &str = "rcd_[2-9A-HJ-NP-Za-km-np-z]{34}";
/// Without the characters that people misread (0 O o, 1 l I) or that a URL, a shell or a CSV file
/// would need to escape.
pub const ALPHABET: &str = "23456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnpqrstuvwxyz";

/// Memory of one Argon2id computation, in KiB (OWASP's first choice: m = 19 MiB, t = 2, p = 1).
const MEMORY_KIB: u32 = 19 * 1024;
const ITERATIONS: u32 = 2;
const HASH_LENGTH: usize = 32;

/// How people should keep a password, on screen and in the PDF.
#[derive(Clone, Copy)]
pub struct Keeping {
    pub title: &'static str,
    pub advice: &'static [&'static str],
}

/// For the manager, who also hands it over.
pub const KEEPING: Keeping = Keeping {
    title: "Conserver et transmettre le mot de passe",
    advice: &[
        "Rangez-le dans un coffre-fort de mots de passe, puis supprimez le document exporté.",
        "Remettez-le en main propre ou, à distance, par un lien de remise, avec un code dit par téléphone.",
        "Ne l’envoyez jamais en clair par courriel, et ne l’écrivez pas dans un programme.",
        "Au premier doute, réinitialisez-le sans garder l’ancien, qui cesse aussitôt de fonctionner.",
    ],
};

/// For a person to whom it is handed over.
pub const KEEPING_RECEIVED: Keeping = Keeping {
    title: "Conserver le mot de passe",
    advice: &[
        "Rangez-le dans un coffre-fort de mots de passe, puis supprimez le document exporté.",
        "Ne l’envoyez jamais en clair par courriel, et ne l’écrivez pas dans un programme.",
        "Au premier doute, prévenez la personne qui vous l’a remis\u{a0}: elle le remplacera.",
    ],
};

/// The groups in which pages and the PDF show a password: `rcd_`, then five characters each.
pub fn groups(password: &str) -> impl Iterator<Item = &str> {
    let mut rest = password;
    let mut size = PREFIX.len();
    std::iter::from_fn(move || {
        let (group, after) = rest.split_at_checked(size).unwrap_or((rest, ""));
        (rest, size) = (after, 5);
        (!group.is_empty()).then_some(group)
    })
}

/// A technical user's password in clear text. Wiped when dropped; `Debug` is redacted, and there is
/// no `Display` or `Serialize`.
#[derive(Clone)]
pub struct Password(Zeroizing<String>);

impl Password {
    /// Generates a password: `rcd_`, 28 random characters, 6 characters of checksum.
    #[must_use]
    pub fn generate(rng: &mut impl CryptoRng) -> Self {
        Self(generate_with(PREFIX, rng))
    }

    /// Wraps the text that an envelope held.
    #[must_use]
    pub(super) fn from_envelope(text: Zeroizing<String>) -> Self {
        Self(text)
    }

    /// The text itself. Only the récapitulatif, the PDF, the hash and the envelope use it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// The checksum, by which the account of a leaked password is found.
    #[must_use]
    pub fn checksum(&self) -> &str {
        checksum_part(&self.0)
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(…)")
    }
}

/// Whether a text has the format of a generated password, checksum included. Finds typing errors
/// without a look at the database.
#[must_use]
pub fn is_well_formed(text: &str) -> bool {
    has_form(PREFIX, text)
}

/// All well-formed passwords within a text; one that occurs twice is returned twice.
pub fn find_in(text: &str) -> impl Iterator<Item = &str> {
    find_with(PREFIX, text)
}

/// A new secret with this prefix, of four characters.
pub(super) fn generate_with(prefix: &str, rng: &mut impl CryptoRng) -> Zeroizing<String> {
    let mut text = Zeroizing::new(String::with_capacity(LENGTH));
    text.push_str(prefix);
    for _ in 0..RANDOM_LENGTH {
        text.push(char::from(*ALPHABET.as_bytes().choose(rng).expect("the alphabet is not empty")));
    }
    let check = checksum(&text);
    text.push_str(&check);
    text
}

/// Whether a text has the format of a generated secret with this prefix.
pub(super) fn has_form(prefix: &str, text: &str) -> bool {
    text.len() == LENGTH
        && text.starts_with(prefix)
        && text.bytes().skip(prefix.len()).all(|byte| ALPHABET.as_bytes().contains(&byte))
        && text.ends_with(&checksum(&text[..LENGTH - CHECKSUM_LENGTH]))
}

/// All well-formed secrets with this prefix within a text.
pub(super) fn find_with<'a>(prefix: &'static str, text: &'a str) -> impl Iterator<Item = &'a str> {
    text.match_indices(prefix)
        .filter_map(|(start, _)| text.get(start..start + LENGTH))
        .filter(move |found| has_form(prefix, found))
}

/// The last six characters of a well-formed password.
#[must_use]
pub fn checksum_part(password: &str) -> &str {
    &password[password.len() - CHECKSUM_LENGTH..]
}

/// The first 32 bits of SHA-256 in base 56, most significant digit first (56⁶ > 2³²).
fn checksum(text: &str) -> String {
    let digest = wiped(|| Sha256::digest(text.as_bytes()));
    let mut value = u32::from_be_bytes([digest[0], digest[1], digest[2], digest[3]]) as usize;
    let mut characters = [0_u8; CHECKSUM_LENGTH];
    for place in characters.iter_mut().rev() {
        *place = ALPHABET.as_bytes()[value % ALPHABET.len()];
        value /= ALPHABET.len();
    }
    characters.iter().copied().map(char::from).collect()
}

/// An Argon2id hash as a PHC string, of a technical user's or a person's password.
#[derive(Clone, PartialEq, Eq)]
pub struct PasswordHash(String);

impl PasswordHash {
    /// Wraps a PHC string read from the database.
    #[must_use]
    pub fn from_stored(phc: String) -> Self {
        Self(phc)
    }

    /// The PHC string to store.
    #[must_use]
    pub fn as_phc(&self) -> &str {
        &self.0
    }

    /// Whether the hash has weaker parameters than today's and must be replaced at the next
    /// successful verification (ASVS 11.4.2).
    #[must_use]
    pub fn is_outdated(&self) -> bool {
        Phc::new(&self.0)
            .ok()
            .and_then(|phc| Params::try_from(&phc).ok())
            .is_none_or(|params| params.m_cost() < MEMORY_KIB || params.t_cost() < ITERATIONS)
    }
}

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PasswordHash(…)")
    }
}

/// The password as it is judged and hashed (`OpaqueString`, RFC 8265 §4.2.2): other spaces become
/// plain ones, accents are composed with their letters. Some systems send them apart, and some
/// keyboards give a no-break space.
pub(super) fn prepared(password: &str) -> Zeroizing<String> {
    let is_space = |c| CodePointMapData::<GeneralCategory>::new().get(c) == GeneralCategory::SpaceSeparator;
    Zeroizing::new(password.chars().map(|c| if is_space(c) { ' ' } else { c }).nfc().collect())
}

/// The password with composed accents and the spaces that were typed, as earlier versions hashed
/// it.
fn composed(password: &str) -> Zeroizing<String> {
    Zeroizing::new(password.nfc().collect())
}

/// Computes Argon2id in a buffer that it reuses: 19 MiB are allocated once per hashing thread, not
/// once per request.
#[derive(Default)]
pub struct Argon2id {
    /// Empty until the first computation.
    blocks: Vec<Block>,
}

/// The capacity of a new buffer, in blocks of 1 KiB. glibc gives memory back to the system at once
/// where an allocation has more than 32 MiB; smaller ones it keeps after the first. The unused part
/// is never touched, and so takes no memory.
const CAPACITY: usize = 33 * 1024;

impl Argon2id {
    /// Hashes a password, [`prepared`], with the given salt.
    #[must_use]
    pub fn hash(&mut self, password: &str, salt: [u8; 16]) -> PasswordHash {
        let password = &*prepared(password);
        let params =
            Params::new(MEMORY_KIB, ITERATIONS, 1, Some(HASH_LENGTH)).expect("parameters are within Argon2's limits");
        let output = self.compute(&params, password, &salt);
        let phc = Phc {
            algorithm: Algorithm::Argon2id.ident(),
            version: Some(Version::V0x13.into()),
            params: ParamsString::try_from(&params).expect("parameters have a PHC form"),
            salt: Some(Salt::new(&salt).expect("16 bytes are a salt")),
            hash: Some(Output::new(&output[..]).expect("32 bytes are an output")),
        };
        PasswordHash(phc.to_string())
    }

    /// Whether `hash` is a hash of `password`. Without a hash it computes one anyway and returns
    /// false, so that an unknown login takes as long as a wrong password. Hashes that earlier
    /// versions made are of the password as it was typed, or with its accents composed.
    #[must_use]
    pub fn verify(&mut self, password: &str, hash: Option<&PasswordHash>) -> bool {
        let forms = [prepared(password), composed(password), Zeroizing::new(password.to_owned())];
        let mut distinct = (0..forms.len()).filter(|&at| !forms[..at].contains(&forms[at]));
        distinct.any(|at| self.verify_exactly(&forms[at], hash))
    }

    fn verify_exactly(&mut self, password: &str, hash: Option<&PasswordHash>) -> bool {
        let parsed = hash.and_then(|hash| Phc::new(&hash.0).ok());
        let stored = parsed.as_ref().and_then(|phc| {
            Some((Params::try_from(phc).ok()?, phc.salt.as_ref()?.to_vec(), phc.hash.as_ref()?.as_bytes().to_vec()))
        });
        let Some((params, salt, expected)) = stored else {
            let _ = self.hash(password, [0; 16]);
            return false;
        };
        let actual = self.compute(&params, password, &salt);
        bool::from(actual.ct_eq(&expected))
    }

    /// Gives the buffer back; the next computation allocates it again.
    pub fn free_memory(&mut self) {
        self.blocks = Vec::new();
    }

    fn compute(&mut self, params: &Params, password: &str, salt: &[u8]) -> Zeroizing<Vec<u8>> {
        if self.blocks.is_empty() {
            self.blocks.reserve_exact(CAPACITY);
        }
        if self.blocks.len() < params.block_count() {
            self.blocks.resize(params.block_count(), Block::default());
        }
        let mut output = Zeroizing::new(vec![0; params.output_len().unwrap_or(HASH_LENGTH)]);
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params.clone());
        wiped(|| argon2.hash_password_into_with_memory(password.as_bytes(), salt, &mut output, &mut self.blocks))
            .expect("password, salt and output are within Argon2's limits");
        output
    }
}

#[cfg(test)]
mod tests {
    use data_encoding::BASE64_NOPAD;
    use proptest::prelude::*;
    use regex::Regex;

    use super::*;
    use crate::domain::random::os_rng;

    #[test]
    fn a_generated_password_holds_to_its_form() {
        for _ in 0..500 {
            let password = Password::generate(&mut os_rng());
            assert!(is_well_formed(password.expose()));
            assert_eq!(password.expose().len(), LENGTH);
            assert!(!password.expose().contains(|c: char| "0Oo1lI&+%=/\"'\\<>: ".contains(c) || !c.is_ascii()));
        }
    }

    #[test]
    fn two_passwords_differ() {
        let (one, other) = (Password::generate(&mut os_rng()), Password::generate(&mut os_rng()));
        assert_ne!(one.expose(), other.expose());
    }

    #[test]
    fn every_single_typo_is_noticed() {
        let password = Password::generate(&mut os_rng());
        for place in 0..password.expose().len() {
            for other in ALPHABET.bytes() {
                let mut bytes = password.expose().as_bytes().to_vec();
                if bytes[place] != other {
                    bytes[place] = other;
                    assert!(!is_well_formed(std::str::from_utf8(&bytes).unwrap()));
                }
            }
        }
    }

    #[test]
    fn a_password_is_found_in_any_text() {
        let (one, other) = (Password::generate(&mut os_rng()), Password::generate(&mut os_rng()));
        let text = format!("é rcd_rcd_{}\"x;password={}rcd_", &one.expose()[PREFIX.len()..], other.expose());
        assert_eq!(find_in(&text).collect::<Vec<_>>(), [one.expose(), other.expose()]);
        assert_eq!(format!("{}{}", &one.expose()[..LENGTH - CHECKSUM_LENGTH], one.checksum()), one.expose());
        assert_eq!(find_in("rcd_é").count() + find_in("").count() + find_in(&"rcd_".repeat(30)).count(), 0);
    }

    #[test]
    fn a_password_is_the_same_with_its_accents_apart() {
        let (typed, apart) = ("Mon été à Nîmes", "Mon e\u{301}te\u{301} a\u{300} Ni\u{302}mes");
        let mut argon2id = Argon2id::default();
        let hash = argon2id.hash(apart, [1; 16]);
        assert!(argon2id.verify(typed, Some(&hash)) && argon2id.verify(apart, Some(&hash)));
        assert!(!argon2id.verify("Mon ete a Nimes", Some(&hash)));
        // As an earlier version hashed what was typed.
        let params = Params::new(MEMORY_KIB, ITERATIONS, 1, Some(HASH_LENGTH)).unwrap();
        let exact = argon2id.compute(&params, apart, &[2; 16]);
        let stored = PasswordHash(hash.as_phc().replace(
            hash.as_phc().splitn(5, '$').nth(4).unwrap(),
            &format!("{}${}", BASE64_NOPAD.encode(&[2; 16]), BASE64_NOPAD.encode(&exact)),
        ));
        assert!(argon2id.verify(apart, Some(&stored)) && !argon2id.verify(typed, Some(&stored)));
    }

    #[test]
    fn a_password_is_the_same_with_whatever_spaces_it_was_typed() {
        let mut argon2id = Argon2id::default();
        let typed = "le\u{a0}chat\u{202f}dort e\u{301}tendu";
        let hash = argon2id.hash(typed, [7; 16]);
        assert!(argon2id.verify("le chat dort étendu", Some(&hash)) && argon2id.verify(typed, Some(&hash)));
        // Made by the versions that composed accents and kept spaces.
        let params = Params::new(MEMORY_KIB, ITERATIONS, 1, Some(HASH_LENGTH)).unwrap();
        let output = BASE64_NOPAD.encode(&argon2id.compute(&params, "le\u{a0}chat\u{202f}dort étendu", &[7; 16]));
        let stored = format!("$argon2id$v=19$m={MEMORY_KIB},t={ITERATIONS},p=1$BwcHBwcHBwcHBwcHBwcHBw${output}");
        let stored = PasswordHash::from_stored(stored);
        assert!(argon2id.verify(typed, Some(&stored)) && !argon2id.verify("un autre\u{a0}é", Some(&stored)));
    }

    #[test]
    fn the_checksum_stands_at_the_end() {
        // Computed by an independent program.
        let text = "rcd_23456789ABCDEFGHJKLMNPQRSTUV3vBGHh";
        assert!(is_well_formed(text));
        assert_eq!(checksum_part(text), "3vBGHh");
    }

    #[test]
    fn debug_tells_nothing() {
        let password = Password::generate(&mut os_rng());
        assert_eq!(format!("{password:?}"), "Password(…)");
        assert_eq!(format!("{:?}", Argon2id::default().hash("x", [1; 16])), "PasswordHash(…)");
    }

    #[test]
    fn a_hash_knows_its_password_and_is_argon2id_with_19_mib() {
        let mut argon2id = Argon2id::default();
        let hash = argon2id.hash("le mot de passe", [7; 16]);
        assert!(hash.as_phc().starts_with("$argon2id$v=19$m=19456,t=2,p=1$"));
        assert!(argon2id.verify("le mot de passe", Some(&hash)));
        assert!(!argon2id.verify("le mot de passf", Some(&hash)));
        assert!(!argon2id.verify("le mot de passe", None));
        assert!(!argon2id.verify("le mot de passe", Some(&PasswordHash::from_stored("no hash".into()))));
        assert!(!hash.is_outdated());
    }

    #[test]
    fn a_weaker_hash_still_verifies_and_is_reported_outdated() {
        let stored = "$argon2id$v=19$m=1024,t=1,p=1$BwcHBwcHBwcHBwcHBwcHBw$";
        assert!(
            PasswordHash::from_stored(format!("{stored}AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")).is_outdated()
        );
        assert!(PasswordHash::from_stored(String::new()).is_outdated());
        let hash = |params| {
            PasswordHash::from_stored(format!(
                "$argon2id$v=19${params}$BwcHBwcHBwcHBwcHBwcHBw$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
            ))
        };
        assert!(hash("m=19455,t=2,p=1").is_outdated() && hash("m=65536,t=1,p=1").is_outdated());
        assert!(!hash("m=19456,t=2,p=1").is_outdated() && !hash("m=65536,t=3,p=1").is_outdated());
    }

    #[test]
    fn a_hash_made_with_other_parameters_is_verified_with_its_own() {
        let mut argon2id = Argon2id { blocks: Vec::new() };
        for (memory, iterations, length) in [(8, 1, 32), (64, 3, 16)] {
            let params = Params::new(memory, iterations, 1, Some(length)).unwrap();
            let output = argon2id.compute(&params, "le mot de passe", &[7; 16]);
            let output = data_encoding::BASE64_NOPAD.encode(&output);
            let stored = format!("$argon2id$v=19$m={memory},t={iterations},p=1$BwcHBwcHBwcHBwcHBwcHBw${output}");
            let stored = PasswordHash::from_stored(stored);
            assert!(argon2id.verify("le mot de passe", Some(&stored)) && !argon2id.verify("un autre", Some(&stored)));
        }
    }

    /// Any characters, and often those of a password.
    fn any_text() -> impl Strategy<Value = String> {
        prop_oneof!["\\PC{0,60}", "(rcd_|[2-9A-HJ-NP-Za-km-np-z]{1,40}|[0Oo1lI é]){0,6}"]
    }

    proptest! {
        #[test]
        fn scanners_and_we_agree_on_the_form(text in any_text()) {
            let pattern = Regex::new(&format!("^{PATTERN}$")).unwrap();
            prop_assert!(pattern.is_match(Password::generate(&mut os_rng()).expose()));
            prop_assert!(!is_well_formed(&text) || pattern.is_match(&text));
        }

        #[test]
        fn of_what_has_the_form_the_checksum_alone_decides(body in "rcd_[2-9A-HJ-NP-Za-km-np-z]{28}", end in "[2-9A-HJ-NP-Za-km-np-z]{6}") {
            let right = format!("{body}{}", checksum(&body));
            prop_assert!(is_well_formed(&right));
            prop_assert_eq!(is_well_formed(&format!("{body}{end}")), right.ends_with(&end));
        }

        #[test]
        fn a_changed_a_moved_and_a_missing_character_are_noticed(place in 0..LENGTH, typed in any::<char>(), other in 0..LENGTH) {
            let password: Vec<char> = Password::generate(&mut os_rng()).expose().chars().collect();
            let (mut changed, mut swapped, mut shorter) = (password.clone(), password.clone(), password.clone());
            changed[place] = typed;
            swapped.swap(place, other);
            shorter.remove(place);
            for wrong in [changed, swapped, shorter].into_iter().filter(|wrong| *wrong != password) {
                prop_assert!(!is_well_formed(&wrong.into_iter().collect::<String>()));
            }
        }

        #[test]
        fn whatever_stands_around_it_a_password_is_found(before in any_text(), after in any_text()) {
            let password = Password::generate(&mut os_rng());
            let text = format!("{before}{}{after}", password.expose());
            let found: Vec<&str> = find_in(&text).collect();
            prop_assert!(found.contains(&password.expose()) && found.iter().all(|found| is_well_formed(found)));
        }
    }
}
