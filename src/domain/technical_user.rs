//! Technical users, the accounts with which information systems connect to the API: logins, labels,
//! status. They cannot sign in to the portal.

use icu_properties::{
    CodePointMapData,
    props::{GeneralCategory, GeneralCategoryGroup},
};
use thiserror::Error;
use unicode_normalization::UnicodeNormalization;

use super::{
    characters::{is_invisible, is_undefined},
    scripts::may_read_as_another,
    structure_identifier::in_login,
};

/// Days before its expiry from which a password is to be renewed: lists, counts and the first
/// reminder agree on them. Calendar days in Paris, as the SQL function `end_of_days` counts them.
pub const NEAR_EXPIRY_DAYS: i32 = 60;

/// The settings about passwords and accounts.
#[derive(Clone, Copy, Debug)]
pub struct AccountRules {
    /// Lifetime of a password, in days.
    pub password_lifetime_days: i32,
    /// The most technical users that a structure may have, without deleted ones.
    pub max_per_structure: i64,
}

/// Whether a text has the form of a technical login, `TECH_…@cpro.fr`. The portal refuses such a
/// login at sign-in without looking it up (rule 4).
#[must_use]
pub fn is_technical_login(text: &str) -> bool {
    let text = text.trim().to_ascii_uppercase();
    text.starts_with("TECH_") && text.ends_with("@CPRO.FR")
}

/// The login of the `number`th technical user of the structure with this identifier (rule 3), in
/// ASCII: it stands in headers, URLs and mails.
#[must_use]
pub fn technical_login(number: i32, structure_identifier: &str) -> String {
    format!("TECH_{number}_{}@cpro.fr", in_login(structure_identifier))
}

/// Why a text is not a valid label.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum LabelError {
    #[error("Le libellé ne peut pas dépasser 100 caractères.")]
    TooLong,
    #[error("Le libellé contient un caractère qui ne peut pas être affiché.")]
    Unprintable,
    #[error(
        "Le libellé contient une lettre d’un autre alphabet, qui peut se confondre avec une lettre latine. Saisissez-le \
         de nouveau au clavier."
    )]
    Imitation,
}

/// « Libellé »: names the external system that uses the account; 1 to 100 characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Label(String);

impl Label {
    /// Reads what was typed, in Unicode's compatible composed form (NFKC: wide, raised or ornate
    /// letters become plain ones) and with runs of white space collapsed to one space; `None` if
    /// that leaves nothing.
    ///
    /// # Errors
    /// [`LabelError`].
    pub fn parse(text: &str) -> Result<Option<Self>, LabelError> {
        // So that labels that read the same are the same.
        let text: String = text.nfkc().collect();
        let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
        if text.chars().count() > 100 {
            return Err(LabelError::TooLong);
        }
        // An invisible character would make two labels look alike.
        if text.chars().any(|c| is_invisible(c) || is_undefined(c)) {
            return Err(LabelError::Unprintable);
        }
        if may_read_as_another(&text) {
            return Err(LabelError::Imitation);
        }
        Ok((!text.is_empty()).then_some(Self(text)))
    }

    /// The label, without line ends or runs of spaces.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Whether two labels look the same: without regard to case and marks, or in letters that fonts
/// draw alike, where case counts (« I » looks like « l », and « i » does not).
#[must_use]
pub fn look_alike(one: &str, other: &str) -> bool {
    let [one, other] = [one, other].map(shown);
    let drawn = |text: &str| text.replace(['I', '1', '|', 'ǀ'], "l").replace('0', "O");
    one.to_lowercase() == other.to_lowercase() || drawn(&one) == drawn(&other)
}

/// A label without marks and what shows nothing, with one sign for those that are one.
fn shown(label: &str) -> String {
    let is_mark = |c: &char| GeneralCategoryGroup::Mark.contains(CodePointMapData::<GeneralCategory>::new().get(*c));
    let same = |c| match c {
        'ı' => 'i',
        'ȷ' => 'j',
        '’' | '‘' | 'ʼ' | 'ʻ' | '`' => '\'',
        '\u{2010}'..='\u{2015}' | '\u{2212}' => '-',
        c => c,
    };
    let shown: String = label.nfkd().filter(|c| !is_mark(c) && !is_invisible(*c)).map(same).collect();
    shown.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The French detail of a label change in the history, such as `« ERP » remplacé par « Paie »`.
/// `None` stands for no label.
#[must_use]
pub fn label_change(before: Option<&str>, after: Option<&str>) -> String {
    let quoted = |label: &str| format!("«\u{202f}{label}\u{202f}»");
    match (before, after) {
        (Some(before), Some(after)) => format!("{} remplacé par {}", quoted(before), quoted(after)),
        (None, Some(after)) => format!("{} ajouté", quoted(after)),
        (Some(before), None) => format!("{} retiré", quoted(before)),
        (None, None) => String::new(),
    }
}

/// The status of an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TechnicalUserStatus {
    /// It can call the API while its password and its structure allow it.
    Active,
    /// Its manager has stopped it for now.
    Suspended,
    /// Stopped for good; the row stays, for the history.
    Deleted,
}

impl TechnicalUserStatus {
    /// Every status.
    pub const ALL: [Self; 3] = [Self::Active, Self::Suspended, Self::Deleted];

    /// The database's code.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::Active => "ACTIVE",
            Self::Suspended => "SUSPENDED",
            Self::Deleted => "DELETED",
        }
    }

    /// Reads the database's code.
    #[must_use]
    pub fn parse(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.code() == code)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::person::normalized_login;

    #[test]
    fn labels_that_look_the_same_are_the_same() {
        for (one, other) in [
            ("Logiciel", "Log\u{131}ciel"),
            ("Régie", "REGIE"),
            ("Paie 1", "Paie l"),
            ("Paie I", "Paie l"),
            ("Lot 10", "Lot lO"),
            ("i", "i\u{307}"),
            ("Noël", "Noe\u{308}l"),
            ("l’état", "l'état"),
            ("A\u{2011}B", "A-B"),
            ("soft\u{ad}hyphen", "softhyphen"),
        ] {
            assert!(look_alike(one, other), "{one}");
        }
        for (one, other) in
            [("Paie 1", "Paie 2"), ("C++", "C"), ("A+", "A"), ("Mail", "Mall"), ("PAIE", "Pale"), ("ERP", "ERP 2")]
        {
            assert!(!look_alike(one, other), "{one}");
        }
    }

    #[test]
    fn technical_logins_are_known_by_their_shape() {
        for text in ["TECH_1_21750001600019@cpro.fr", " tech_12_X@CPRO.FR ", "TECH_@cpro.fr"] {
            assert!(is_technical_login(text), "{text}");
        }
        for text in ["mairie@cpro.fr", "TECH_1_2@cpro.fr.example.org", "xTECH_1@cpro.fr", ""] {
            assert!(!is_technical_login(text), "{text}");
        }
        assert!(is_technical_login(&technical_login(3, "21750001600019")));
        assert_eq!(technical_login(3, "21750001600019"), "TECH_3_21750001600019@cpro.fr");
    }

    #[test]
    fn a_label_is_trimmed_and_may_be_absent() {
        assert_eq!(Label::parse("  ").unwrap(), None);
        assert_eq!(Label::parse("  ERP  de la\nmairie ").unwrap().unwrap().as_str(), "ERP de la mairie");
    }

    #[test]
    fn labels_that_read_the_same_are_the_same() {
        let label = |text: &str| Label::parse(text).unwrap().unwrap();
        assert_eq!(label("Paie e\u{301}te\u{301}"), label("Paie été"));
        assert_eq!(label("Paie e\u{301}te\u{301}").as_str(), "Paie été");
        assert!(Label::parse(&"e\u{301}".repeat(100)).is_ok(), "counted after normalization");
    }

    #[test]
    fn a_change_of_label_records_the_old_and_the_new_one() {
        let changes = [(Some("ERP"), Some("Paie")), (None, Some("Paie")), (Some("ERP"), None)];
        let told = changes.map(|(before, after)| label_change(before, after).replace('\u{202f}', " "));
        assert_eq!(told, ["« ERP » remplacé par « Paie »", "« Paie » ajouté", "« ERP » retiré"]);
    }

    #[test]
    fn a_label_that_could_deceive_is_refused() {
        assert_eq!(Label::parse(&"é".repeat(101)), Err(LabelError::TooLong));
        assert!(Label::parse(&"é".repeat(100)).is_ok());
        // Every direction mark of Unicode, controls, and characters without a visible shape.
        let marks = "\u{61c}\u{200e}\u{200f}\u{202a}\u{202b}\u{202c}\u{202d}\u{202e}\u{2066}\u{2067}\u{2068}\u{2069}";
        let invisible =
            "\u{0}\u{7f}\u{9b}\u{ad}\u{200b}\u{3164}\u{e0041}\u{feff}\u{34f}\u{fe0f}\u{2800}\u{17b5}\u{fff9}\u{1d173}";
        for c in marks.chars().chain(invisible.chars()) {
            assert_eq!(Label::parse(&format!("a{c}b")), Err(LabelError::Unprintable), "{c:?}");
        }
    }

    #[test]
    fn a_label_that_looks_like_another_is_refused_or_is_that_other() {
        let label = |text: &str| Label::parse(text).map(|label| label.unwrap().as_str().to_owned());
        // Fullwidth, mathematical, superscript, a dot leader, a ligature.
        for text in ["Ｐａｉｅ été", "𝐏𝐚𝐢𝐞 été", "Paie\u{a0}été", "Pa\u{2071}e été"] {
            assert_eq!(label(text), Ok("Paie été".into()), "{text}");
        }
        assert_eq!(label("Paie\u{2024}"), Ok("Paie.".into()));
        assert_eq!(label("A\u{fb00}aires"), Ok("Affaires".into()));
        // Unassigned, noncharacter, private use, object replacement, and shapes that show nothing.
        for c in ['\u{378}', '\u{fdd0}', '\u{ffff}', '\u{e000}', '\u{f0000}', '\u{fffc}', '\u{1d159}', '\u{13440}'] {
            assert_eq!(label(&format!("Pa{c}ie été")), Err(LabelError::Unprintable), "{c:?}");
        }
        // Cyrillic among Latin letters, words that Cyrillic or Greek letters imitate, and a
        // tatweel.
        for text in ["Pаie été", "Раіе été", "Paiе", "Paie\u{640} été", "ΡΑΙΕ", "Paie ѕ", "ᏢᎪᎥᎬ"]
        {
            assert_eq!(label(text), Err(LabelError::Imitation), "{text}");
        }
        for text in [
            "Paie",
            "Régie d’eau n° 2",
            "ERP – SIG/SIRH (v2.1) & co",
            "l’œuvre, Ÿ",
            "Логистика",
            "Paie Логистика",
            "Διαχείριση",
            "給与システム",
            "급여",
            "מערכת",
            "نظام الرواتب",
            "🚀 Paie",
            "Paie_2",
            "10 µm",
            "Ω-mètre",
        ] {
            assert!(label(text).is_ok(), "{text} {:?}", label(text));
        }
    }

    #[test]
    fn every_status_reads_back() {
        for status in TechnicalUserStatus::ALL {
            assert_eq!(TechnicalUserStatus::parse(status.code()), Some(status));
        }
        assert_eq!(TechnicalUserStatus::parse("?"), None);
    }

    proptest! {
        #[test]
        fn whatever_its_structure_a_login_of_ours_is_known_however_it_is_typed(
            number in 1..=i32::MAX, text in "[A-Za-z0-9_-]{1,80}", upper in any::<bool>(), spaces in "\\s{0,3}"
        ) {
            let login = technical_login(number, &text);
            let typed = if upper { login.to_uppercase() } else { login.to_lowercase() };
            let typed = format!("{spaces}{typed}{spaces}");
            prop_assert!(is_technical_login(&typed));
            prop_assert!(login.starts_with("TECH_") && login.bytes().all(|byte| byte.is_ascii_graphic()));
        }

        #[test]
        fn what_sign_in_looks_up_has_no_technical_form_that_it_did_not_see(text in prop_oneof![
            any::<String>(), "[tT][eEé][cCç][hH]_\\PC{0,9}@[cC][pP][rR][oO][.][fF][rR]"
        ]) {
            prop_assert_eq!(is_technical_login(&normalized_login(&text)), is_technical_login(&text));
            prop_assert_eq!(normalized_login(&normalized_login(&text)), normalized_login(&text));
        }

        #[test]
        fn a_label_is_one_short_line_and_reads_back(text in any::<String>()) {
            if let Ok(Some(label)) = Label::parse(&text) {
                prop_assert!((1..=100).contains(&label.as_str().chars().count()));
                prop_assert!(!label.as_str().chars().any(|c| c.is_control() || c != ' ' && c.is_whitespace()));
                prop_assert_eq!(Label::parse(label.as_str()), Ok(Some(label)));
            }
        }
    }
}
