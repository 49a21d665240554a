//! Replacing a password without an interruption: how long the one that is replaced goes on working
//! (rule 10 is its default).

/// What becomes of the password that a reset replaces.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Grace {
    /// It dies with the reset.
    #[default]
    None,
    /// It works for 24 hours more.
    Day,
    /// It works for 72 hours more.
    ThreeDays,
}

impl Grace {
    pub const ALL: [Self; 3] = [Self::None, Self::Day, Self::ThreeDays];
    /// The longest one, in hours.
    pub const MOST_HOURS: i32 = 72;

    /// Hours that it lasts.
    #[must_use]
    pub fn hours(self) -> i32 {
        match self {
            Self::None => 0,
            Self::Day => 24,
            Self::ThreeDays => Self::MOST_HOURS,
        }
    }

    /// The one of so many hours, as a form names it.
    #[must_use]
    pub fn parse(hours: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|grace| grace.hours().to_string() == hours)
    }

    /// The choice, in the words of the form that offers it.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::None => "Supprimer immédiatement l’ancien mot de passe",
            Self::Day => "Garder l’ancien mot de passe pendant 24\u{a0}heures",
            Self::ThreeDays => "Garder l’ancien mot de passe pendant 72\u{a0}heures",
        }
    }

    /// What history adds to a reset.
    #[must_use]
    pub fn detail(self) -> &'static str {
        match self {
            Self::None => "",
            Self::Day => "Ancien mot de passe gardé 24\u{a0}heures au plus",
            Self::ThreeDays => "Ancien mot de passe gardé 72\u{a0}heures au plus",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_offer_three_choices_and_no_other() {
        assert_eq!(["0", "24", "72"].map(Grace::parse), Grace::ALL.map(Some));
        for text in ["", "-24", "24 ", "024", "720", "jamais"] {
            assert_eq!(Grace::parse(text), None, "{text}");
        }
    }

    #[test]
    fn form_and_history_tell_how_long_the_old_password_is_kept() {
        assert_eq!(Grace::None.detail(), "");
        assert!(Grace::None.label().starts_with("Supprimer immédiatement"));
        for grace in [Grace::Day, Grace::ThreeDays] {
            for words in [grace.detail(), grace.label()] {
                assert!(words.contains(&format!(" {}\u{a0}heures", grace.hours())), "{words}");
            }
        }
        assert_eq!(Grace::default().hours(), 0);
    }
}
