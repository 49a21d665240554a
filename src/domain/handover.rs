//! Hand-overs: a link by which a manager gives passwords to an integrator. It opens once.
//!
//! The passwords are sealed under a key that only the link's secret gives, together with a code
//! where the manager wants one. The database has the secret's hash alone: neither a dump nor the
//! server, between two requests, can open them.

use std::time::Duration;

use rand::CryptoRng;
use serde::{Deserialize, Serialize};
use thiserror::Error;
use unicode_normalization::{UnicodeNormalization, char::is_combining_mark};
use zeroize::Zeroizing;

use super::{
    envelope::SessionSecret,
    password::{Argon2id, Password, PasswordHash},
    random, sealing,
    technical_user::{Label, LabelError},
};

/// The most accounts that one link hands over.
pub const MOST_ACCOUNTS: usize = 1_000;
/// Codes that may be tried at one link; the last wrong one ends it.
pub const MOST_TRIES: i32 = 5;
/// The most documents that the page of an opened link exports.
pub const MOST_EXPORTS: i32 = 20;
/// Alarms of one link, at least an hour apart. Each is an event that is kept for good and a mail,
/// and whoever has the link can cause one.
pub const MOST_ALARMS: i32 = 5;
/// How long a hand-over without effect stays on its link's page.
pub const KEPT: Duration = Duration::from_hours(30 * 24);

/// How long a link can be opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Term {
    OneDay,
    #[default]
    ThreeDays,
    SevenDays,
}

impl Term {
    /// Every term, the shortest first.
    pub const ALL: [Self; 3] = [Self::OneDay, Self::ThreeDays, Self::SevenDays];

    #[must_use]
    pub fn days(self) -> i32 {
        match self {
            Self::OneDay => 1,
            Self::ThreeDays => 3,
            Self::SevenDays => 7,
        }
    }

    /// « 3 jours ».
    #[must_use]
    pub fn label(self) -> String {
        format!("{}\u{a0}jour{}", self.days(), if self.days() > 1 { "s" } else { "" })
    }

    /// The term of so many days.
    #[must_use]
    pub fn parse(days: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|term| term.days().to_string() == days)
    }
}

/// Why a text is refused as the name of a recipient.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum RecipientError {
    #[error("Saisissez le nom de la personne ou de la société à qui vous remettez ces informations.")]
    Empty,
    #[error("Ce nom ne peut pas dépasser 100 caractères.")]
    TooLong,
    #[error("Ce nom contient un caractère qui ne peut pas être affiché.")]
    Unprintable,
    #[error(
        "Ce nom contient une lettre d’un autre alphabet, qui peut se confondre avec une lettre latine. Saisissez-le de \
         nouveau au clavier."
    )]
    Imitation,
}

/// Whom a link is for, as the manager names them: 1 to 100 characters, by the rules of labels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recipient(Label);

impl Recipient {
    /// Reads what was typed, as [`Label::parse`] does.
    ///
    /// # Errors
    /// [`RecipientError`].
    pub fn parse(text: &str) -> Result<Self, RecipientError> {
        match Label::parse(text) {
            Ok(Some(name)) => Ok(Self(name)),
            Ok(None) => Err(RecipientError::Empty),
            Err(LabelError::TooLong) => Err(RecipientError::TooLong),
            Err(LabelError::Unprintable) => Err(RecipientError::Unprintable),
            Err(LabelError::Imitation) => Err(RecipientError::Imitation),
        }
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

/// The secret of a link: 256 bits in base64url. It stands in the link alone.
#[derive(Clone)]
pub struct LinkSecret(Zeroizing<String>);

impl LinkSecret {
    /// The secret of the link that a form makes, from the secret of its session and its token. So
    /// the form that is sent twice, or whose answer was lost, gives the same link, and nothing that
    /// is stored gives it. It is worth the session's 128 random bits at least.
    #[must_use]
    pub fn of_form(session: &SessionSecret, form_token: &str) -> Self {
        let mut bytes = Zeroizing::new([0; 32]);
        session.derive(form_token.as_bytes(), b"raccord hand-over link", &mut *bytes);
        Self(Zeroizing::new(data_encoding::BASE64URL_NOPAD.encode(&*bytes)))
    }

    /// Wraps what stands in the path of a link.
    #[must_use]
    pub fn from_path(text: String) -> Self {
        Self(Zeroizing::new(text))
    }

    /// The secret, for the link that the manager is shown.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// SHA-256 of the secret, as stored.
    #[must_use]
    pub fn digest(&self) -> Vec<u8> {
        random::digest(self.0.as_bytes())
    }

    /// The key of the passwords behind the link; with the code's hash where the link has one.
    #[must_use]
    pub fn key(&self, code: Option<&PasswordHash>) -> HandoverKey {
        let code = code.map_or("", PasswordHash::as_phc);
        let secret = Zeroizing::new([self.0.as_bytes(), b"\n", code.as_bytes()].concat());
        HandoverKey { secret, purpose: b"raccord hand-over link key" }
    }
}

/// Four words of [`WORDS`]: 44 random bits, said by telephone.
///
/// Whoever has the link has [`MOST_TRIES`]. Whoever also has the database can try all codes, at the
/// cost of Argon2id: ten thousand years of a core.
#[derive(Clone, PartialEq, Eq)]
pub struct Code(Zeroizing<String>);

/// Why a text can be no code.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum CodeError {
    #[error("Saisissez les quatre mots du code, tels qu’ils vous ont été dits.")]
    OtherCount,
    /// With the first such word, as it was read.
    #[error("«\u{202f}{0}\u{202f}» ne figure pas parmi les mots possibles\u{a0}: vérifiez-le au téléphone.")]
    UnknownWord(String),
}

/// The most letters of an unknown word that are said again.
const MOST_ECHOED: usize = 30;

/// The words of codes: 2,048 of at most nine letters, without accents. No two begin with the same
/// four letters or differ by one, so that each is understood on the telephone.
const WORDS: &str = include_str!("code_words.txt");
const WORDS_OF_A_CODE: usize = 4;
/// 2,048 words.
const BITS_OF_A_WORD: u32 = 11;

impl Code {
    /// The code of the link that a form makes; see [`LinkSecret::of_form`].
    #[must_use]
    pub fn of_form(session: &SessionSecret, form_token: &str) -> Self {
        let mut bytes = Zeroizing::new([0; 8]);
        session.derive(form_token.as_bytes(), b"raccord hand-over code", &mut *bytes);
        let bits = u64::from_be_bytes(*bytes);
        let words = (0..WORDS_OF_A_CODE).map(|place| {
            let number =
                (bits >> (BITS_OF_A_WORD * u32::try_from(place).unwrap_or_default())) & ((1 << BITS_OF_A_WORD) - 1);
            usize::try_from(number).ok().and_then(|number| words().nth(number)).unwrap_or_default()
        });
        Self(Zeroizing::new(words.collect::<Vec<_>>().join(" ")))
    }

    /// Reads four words as typed, whatever their case, accents and separators.
    ///
    /// # Errors
    /// [`CodeError`], where they can be no code: a mistyped word costs no try.
    pub fn parse(text: &str) -> Result<Self, CodeError> {
        let plain: Zeroizing<String> =
            Zeroizing::new(text.nfkd().filter(|c| !is_combining_mark(*c)).flat_map(char::to_lowercase).collect());
        let typed: Vec<&str> = plain.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).collect();
        if typed.len() != WORDS_OF_A_CODE {
            return Err(CodeError::OtherCount);
        }
        match typed.iter().find(|word| words().all(|known| known != **word)) {
            Some(unknown) => Err(CodeError::UnknownWord(unknown.chars().take(MOST_ECHOED).collect())),
            None => Ok(Self(Zeroizing::new(typed.join(" ")))),
        }
    }

    /// The words with single spaces, to be said to the recipient.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Argon2id of the code, never stored: a part of the key. A version with other parameters opens
    /// no link with a code that this one made.
    #[must_use]
    pub fn hash(&self, argon2id: &mut Argon2id, salt: CodeSalt) -> PasswordHash {
        argon2id.hash(&self.0, salt)
    }
}

/// The salt of a code's hash, which is stored.
pub type CodeSalt = [u8; 16];

fn words() -> impl Iterator<Item = &'static str> {
    WORDS.split_ascii_whitespace()
}

/// What a sealed password is for: the associated data of its encryption. One that was copied to
/// another hand-over, account or version does not open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HandoverSubject {
    pub handover_id: i64,
    pub technical_user_id: i64,
    pub credential_version: i32,
}

impl HandoverSubject {
    fn associated_data(self) -> Vec<u8> {
        [
            b"raccord hand-over 1".as_slice(),
            &self.handover_id.to_be_bytes(),
            &self.technical_user_id.to_be_bytes(),
            &self.credential_version.to_be_bytes(),
        ]
        .concat()
    }
}

/// What seals and opens the passwords of one hand-over.
#[derive(Clone)]
pub struct HandoverKey {
    secret: Zeroizing<Vec<u8>>,
    purpose: &'static [u8],
}

impl HandoverKey {
    /// The key of the page that shows the passwords, from its nonce: once a link was opened, it
    /// opens nothing any more, and the page alone can export.
    #[must_use]
    pub fn of_page(nonce: &str) -> Self {
        Self { secret: Zeroizing::new(nonce.as_bytes().to_vec()), purpose: b"raccord hand-over page key" }
    }

    /// The bytes to store.
    #[must_use]
    pub fn seal(&self, password: &Password, subject: HandoverSubject, rng: &mut impl CryptoRng) -> Vec<u8> {
        let text = password.expose().as_bytes();
        sealing::seal(&self.secret, self.purpose, &subject.associated_data(), text, rng)
    }

    /// The password, or `None` if key, subject or bytes differ from those it was sealed with.
    #[must_use]
    pub fn open(&self, sealed: &[u8], subject: HandoverSubject) -> Option<Password> {
        let text = sealing::open(&self.secret, self.purpose, &subject.associated_data(), sealed)?;
        let text = str::from_utf8(&text).ok()?.to_owned();
        Some(Password::from_envelope(Zeroizing::new(text)))
    }
}

/// Why a link that was presented opened nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Refusal {
    /// It was opened before.
    Again,
    /// The manager revoked it.
    Revoked,
    /// Its term is over.
    Expired,
    /// The last code that could be tried was wrong.
    WrongCodes,
}

impl Refusal {
    /// Every reason.
    pub const ALL: [Self; 4] = [Self::Again, Self::Revoked, Self::Expired, Self::WrongCodes];

    /// The code in the database.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::Again => "AGAIN",
            Self::Revoked => "REVOKED",
            Self::Expired => "EXPIRED",
            Self::WrongCodes => "WRONG_CODES",
        }
    }

    /// The reason of a code in the database.
    #[must_use]
    pub fn parse(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|why| why.code() == code)
    }

    /// In the history.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::Again => "lien déjà ouvert",
            Self::Revoked => "lien révoqué",
            Self::Expired => "lien expiré",
            Self::WrongCodes => "cinq codes incorrects",
        }
    }

    /// Whether another person than the recipient may have the link. One who comes too late has
    /// seen nothing.
    #[must_use]
    pub fn is_alarming(self) -> bool {
        self != Self::Expired
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;
    use crate::domain::random::os_rng;

    const SUBJECT: HandoverSubject = HandoverSubject { handover_id: 3, technical_user_id: 5, credential_version: 1 };

    fn secret(session: i128, token: &str) -> LinkSecret {
        LinkSecret::of_form(&SessionSecret::new(session), token)
    }

    #[test]
    fn terms_are_those_of_the_form() {
        assert_eq!(Term::ALL.map(Term::days), [1, 3, 7]);
        assert_eq!(Term::ALL.map(Term::label), ["1\u{a0}jour", "3\u{a0}jours", "7\u{a0}jours"]);
        assert!(Term::ALL.into_iter().all(|term| Term::parse(&term.days().to_string()) == Some(term)));
        assert_eq!((Term::parse("2"), Term::parse("")), (None, None));
    }

    #[test]
    fn a_recipient_is_named_by_the_rules_of_labels() {
        assert_eq!(Recipient::parse("  ACME \n Éditions ").unwrap().as_str(), "ACME Éditions");
        assert_eq!(Recipient::parse(" "), Err(RecipientError::Empty));
        assert_eq!(Recipient::parse(&"é".repeat(101)), Err(RecipientError::TooLong));
        assert_eq!(Recipient::parse("AC\u{202e}ME"), Err(RecipientError::Unprintable));
        assert_eq!(Recipient::parse("Аcme"), Err(RecipientError::Imitation));
    }

    #[test]
    fn one_form_of_one_session_makes_one_link() {
        let one = secret(1, "jeton");
        assert_eq!(one.expose(), secret(1, "jeton").expose());
        assert!(one.expose().len() == 43 && one.digest().len() == 32);
        for other in [secret(2, "jeton"), secret(1, "autre"), secret(1, "")] {
            assert_ne!(one.expose(), other.expose());
        }
        // The code is not the link in other letters.
        let code = Code::of_form(&SessionSecret::new(1), "jeton");
        assert_eq!(code.expose(), Code::of_form(&SessionSecret::new(1), "jeton").expose());
        assert_ne!(code.expose(), Code::of_form(&SessionSecret::new(1), "autre").expose());
    }

    #[test]
    fn codes_are_of_2048_plain_words() {
        let all: Vec<&str> = words().collect();
        assert_eq!((all.len(), all.iter().collect::<HashSet<_>>().len()), (1 << BITS_OF_A_WORD, 1 << BITS_OF_A_WORD));
        assert!(
            all.iter().all(|word| (4..=9).contains(&word.len()) && word.bytes().all(|byte| byte.is_ascii_lowercase()))
        );
    }

    #[test]
    fn no_two_words_of_codes_are_alike() {
        let (mut beginnings, mut shortened, mut forms) = (HashSet::new(), HashSet::new(), HashSet::new());
        for word in words() {
            assert!(beginnings.insert(&word[..4]), "{word} begins as another does");
            for at in 0..word.len() {
                let form = [&word[..at], &word[at + 1..]].concat();
                assert!(shortened.insert((at, form.clone())), "{word} is another but for a letter");
                forms.insert(form);
            }
        }
        assert_eq!(words().find(|word| forms.contains(*word)), None, "it is another without a letter");
    }

    #[test]
    fn a_code_is_read_however_it_is_typed_and_nothing_else_is_one() {
        let code = Code::parse("abeille boulon chameau zinc").unwrap();
        for typed in
            ["  Abeille, BOULON\n chameau-zinc. ", "abéille boulôn chameau zinc", "abeille/boulon/chameau/zinc"]
        {
            assert_eq!(
                Code::parse(typed).map(|typed| typed.expose().to_owned()).as_deref(),
                Ok(code.expose()),
                "{typed}"
            );
        }
        for typed in ["", "abeille boulon chameau", "abeille boulon chameau zinc zinc"] {
            assert_eq!(Code::parse(typed).err(), Some(CodeError::OtherCount), "{typed}");
        }
        let unknown = Code::parse("abeille Boulôn chamo zinc").err();
        assert_eq!(unknown, Some(CodeError::UnknownWord("chamo".into())));
        let long = Code::parse(&format!("abeille boulon chameau {}", "é".repeat(5_000))).err();
        assert_eq!(long, Some(CodeError::UnknownWord("e".repeat(MOST_ECHOED))));
    }

    #[test]
    fn the_code_is_a_part_of_the_key() {
        let link = secret(1, "jeton");
        let hash = |text: &str, salt: u8| Code::parse(text).unwrap().hash(&mut Argon2id::default(), [salt; 16]);
        let right = hash("abeille boulon chameau zinc", 7);
        let password = Password::generate(&mut os_rng());
        let sealed = link.key(Some(&right)).seal(&password, SUBJECT, &mut os_rng());
        let opened = link.key(Some(&right)).open(&sealed, SUBJECT).unwrap();
        assert_eq!(opened.expose(), password.expose());
        for wrong in [None, Some(hash("abeille boulon chameau zone", 7)), Some(hash("abeille boulon chameau zinc", 8))]
        {
            assert!(link.key(wrong.as_ref()).open(&sealed, SUBJECT).is_none());
        }
    }

    #[test]
    fn every_refusal_reads_back() {
        assert!(Refusal::ALL.into_iter().all(|why| Refusal::parse(why.code()) == Some(why)));
        assert_eq!(Refusal::parse("?"), None);
        assert!(!Refusal::Expired.is_alarming() && Refusal::Again.is_alarming());
    }

    proptest! {
        #[test]
        fn every_code_of_a_form_reads_back(session in any::<i128>(), token in any::<String>()) {
            let code = Code::of_form(&SessionSecret::new(session), &token);
            prop_assert_eq!(code.expose().split(' ').count(), WORDS_OF_A_CODE);
            prop_assert!(Code::parse(&code.expose().to_uppercase()) == Ok(code));
        }

        #[test]
        fn its_own_key_and_subject_open_it_and_no_others(
            (session, other_session) in any::<(i128, i128)>(), token in "[a-z]{0,8}", of_page in any::<bool>(),
            (handover, account, version) in any::<(i64, i64, i32)>(),
            (other_handover, other_account, other_version) in any::<(i64, i64, i32)>(), swapped in any::<bool>()
        ) {
            let subject = HandoverSubject { handover_id: handover, technical_user_id: account, credential_version: version };
            let mut other = HandoverSubject {
                handover_id: other_handover, technical_user_id: other_account, credential_version: other_version
            };
            if swapped {
                other = HandoverSubject { handover_id: account, technical_user_id: handover, ..subject };
            }
            let link = secret(session, &token);
            // A page whose nonce is the link's secret is not the link.
            let keys = [link.key(None), HandoverKey::of_page(link.expose())];
            let [key, wrong] = if of_page { [&keys[1], &keys[0]] } else { [&keys[0], &keys[1]] };
            let password = Password::generate(&mut os_rng());
            let sealed = key.seal(&password, subject, &mut os_rng());
            let opened = key.open(&sealed, subject).map(|opened| opened.expose().to_owned());
            prop_assert_eq!(opened.as_deref(), Some(password.expose()));
            prop_assert!(wrong.open(&sealed, subject).is_none());
            prop_assert!(other == subject || key.open(&sealed, other).is_none());
            prop_assert!(session == other_session || secret(other_session, &token).key(None).open(&sealed, subject).is_none());
        }

        #[test]
        fn no_other_bytes_open(place in any::<prop::sample::Index>(), bit in 0_u32..8, noise in any::<Vec<u8>>()) {
            let key = secret(1, "jeton").key(None);
            let sealed = key.seal(&Password::generate(&mut os_rng()), SUBJECT, &mut os_rng());
            let mut flipped = sealed.clone();
            flipped[place.index(sealed.len())] ^= 1_u8 << bit;
            let shorter = sealed[..place.index(sealed.len())].to_vec();
            let longer = [sealed.as_slice(), noise.as_slice(), b"x"].concat();
            for wrong in [flipped, shorter, longer, noise] {
                prop_assert!(key.open(&wrong, SUBJECT).is_none());
            }
        }
    }
}
