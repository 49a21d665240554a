//! The choice of what becomes of a new password: displayed, or handed over without a display.

use serde::Deserialize;

use crate::web::paths;

/// What becomes of a new password.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub enum Delivery {
    /// The récapitulatif displays it.
    #[default]
    #[serde(rename = "afficher")]
    Display,
    /// It goes to an integrator by a link, and is not displayed.
    #[serde(rename = "remettre")]
    HandOver,
}

impl Delivery {
    /// In the order of the choice.
    pub const ALL: [Self; 2] = [Self::Display, Self::HandOver];

    /// The word in the form.
    pub fn code(self) -> &'static str {
        match self {
            Self::Display => "afficher",
            Self::HandOver => "remettre",
        }
    }

    pub fn parse(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|delivery| delivery.code() == code)
    }

    pub fn label(self) -> &'static str {
        match self {
            Self::Display => "Afficher le mot de passe",
            Self::HandOver => "Le remettre à un intégrateur, sans l’afficher",
        }
    }

    /// The page that follows the creation or reset.
    pub fn next(self, account_id: i64) -> String {
        match self {
            Self::Display => paths::summary(account_id),
            Self::HandOver => paths::handover(account_id),
        }
    }
}
