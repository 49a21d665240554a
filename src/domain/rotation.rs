//! How long a replaced password keeps working, so that programs can change over without an
//! interruption. By default it stops at once (rule 10).

/// How long the password that a reset replaces keeps working.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Grace {
    /// It stops with the reset.
    #[default]
    None,
    /// 24 hours.
    Day,
    /// 72 hours.
    ThreeDays,
    /// Seven days.
    Week,
}

impl Grace {
    /// Every choice, the shortest first.
    pub const ALL: [Self; 4] = [Self::None, Self::Day, Self::ThreeDays, Self::Week];
    /// The longest grace, in hours.
    pub const MOST_HOURS: i32 = 7 * 24;

    /// Its length, in hours.
    #[must_use]
    pub fn hours(self) -> i32 {
        match self {
            Self::None => 0,
            Self::Day => 24,
            Self::ThreeDays => 72,
            Self::Week => Self::MOST_HOURS,
        }
    }

    /// Reads the number of hours that a form sends; `None` for a number that is not offered.
    #[must_use]
    pub fn parse(hours: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|grace| grace.hours().to_string() == hours)
    }

    /// The French text of this choice in the reset form.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::None => "Supprimer immédiatement l’ancien mot de passe",
            Self::Day => "Garder l’ancien mot de passe pendant 24\u{a0}heures",
            Self::ThreeDays => "Garder l’ancien mot de passe pendant 72\u{a0}heures",
            Self::Week => "Garder l’ancien mot de passe pendant 7\u{a0}jours",
        }
    }

    /// The French detail of a reset in the history.
    #[must_use]
    pub fn detail(self) -> &'static str {
        match self {
            Self::None => "",
            Self::Day => "Ancien mot de passe gardé 24\u{a0}heures au plus",
            Self::ThreeDays => "Ancien mot de passe gardé 72\u{a0}heures au plus",
            Self::Week => "Ancien mot de passe gardé 7\u{a0}jours au plus",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_offer_four_choices_and_no_other() {
        assert_eq!(["0", "24", "72", "168"].map(Grace::parse), Grace::ALL.map(Some));
        for text in ["", "-24", "24 ", "024", "720", "1680", "jamais"] {
            assert_eq!(Grace::parse(text), None, "{text}");
        }
    }

    #[test]
    fn form_and_history_tell_how_long_the_old_password_is_kept() {
        assert_eq!(Grace::None.detail(), "");
        assert!(Grace::None.label().starts_with("Supprimer immédiatement"));
        for (grace, length) in
            [(Grace::Day, "24\u{a0}heures"), (Grace::ThreeDays, "72\u{a0}heures"), (Grace::Week, "7\u{a0}jours")]
        {
            for words in [grace.detail(), grace.label()] {
                assert!(words.contains(length), "{words}");
            }
        }
        assert_eq!(Grace::default().hours(), 0);
    }
}
