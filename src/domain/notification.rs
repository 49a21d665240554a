//! What a mail announces (rule 12): facts, kept in the outbox until the mail room makes a text of
//! them. Never a password.

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

/// One thing to announce to a contact address.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Notification {
    /// A technical user was created.
    TechnicalUserCreated(AccountNotification),
    /// A technical user's password was reset.
    PasswordReset(AccountNotification),
    /// A technical user's password will expire.
    PasswordExpiring(ExpiryNotice),
    /// The recipient became, or is no longer, the principal manager of a structure.
    ManagerChanged {
        structure: String,
        identifier: String,
        new_manager: String,
        is_recipient: bool,
        /// Accounts of the structure whose password somebody knows who no longer manages it; told
        /// to the new one.
        #[serde(default)]
        known_accounts: Vec<String>,
    },
    /// The recipient has a role in a structure now, or, with none, is no longer a member.
    MembershipChanged { structure: String, identifier: String, role: Option<String>, actor: String },
    /// Somebody asks to be attached to a structure that the recipient is principal manager of.
    MembershipRequested { structure: String, identifier: String, person: String, login: String },
    /// The recipient asked to be attached to a structure, and will not be.
    MembershipRefused { structure: String, identifier: String },
    /// The recipient's contact address changed; `new_address` tells the old one where mail goes
    /// now.
    ContactAddressChanged { new_address: String },
    /// The recipient is invited to choose a password. The link is made when the mail is, so that no
    /// secret waits here.
    Invitation { user_id: i64 },
    /// The recipient, or somebody in her name, said that she forgot her password. The link is made
    /// as for an invitation.
    PasswordForgotten { user_id: i64 },
    /// The recipient's own password was chosen anew.
    PasswordChosen {
        login: String,
        #[serde(with = "time::serde::timestamp")]
        at: OffsetDateTime,
    },
    /// The recipient's second factor, or its recovery codes, changed.
    SecondFactorChanged {
        login: String,
        change: SecondFactorChange,
        #[serde(with = "time::serde::timestamp")]
        at: OffsetDateTime,
    },
    /// The recipient signed in from where, or with what, she had not before.
    NewSignIn {
        login: String,
        address: String,
        software: String,
        #[serde(with = "time::serde::timestamp")]
        at: OffsetDateTime,
    },
}

/// What became of a second factor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SecondFactorChange {
    Enabled,
    Disabled,
    /// Taken away by the operator.
    Reset,
    CodesRenewed,
}

impl SecondFactorChange {
    /// « La double authentification de votre compte … ».
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::Enabled => "double authentification activée",
            Self::Disabled => "double authentification désactivée",
            Self::Reset => "double authentification réinitialisée",
            Self::CodesRenewed => "nouveaux codes de secours",
        }
    }
}

/// The facts about a technical user that a mail tells.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountNotification {
    pub technical_user_id: i64,
    pub login: String,
    pub label: Option<String>,
    pub structure: String,
    pub identifier: String,
    /// Who did it.
    pub actor: String,
    #[serde(with = "time::serde::timestamp")]
    pub at: OffsetDateTime,
    #[serde(with = "time::serde::timestamp")]
    pub expires_at: OffsetDateTime,
    /// Until when the password that a reset replaced still works, if it does.
    #[serde(default, with = "time::serde::timestamp::option")]
    pub former_until: Option<OffsetDateTime>,
}

/// The facts about a password that a reminder tells.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExpiryNotice {
    pub technical_user_id: i64,
    pub login: String,
    pub label: Option<String>,
    pub structure: String,
    pub identifier: String,
    #[serde(with = "time::serde::timestamp")]
    pub expires_at: OffsetDateTime,
    /// Days until then, on the calendar in Paris.
    pub days_left: i32,
}

impl ExpiryNotice {
    /// « aujourd’hui », « demain », « dans 7 jours ».
    #[must_use]
    pub fn delay(&self) -> String {
        match self.days_left {
            ..=0 => "aujourd’hui".into(),
            1 => "demain".into(),
            days => format!("dans {days} jours"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expiry(days_left: i32) -> ExpiryNotice {
        ExpiryNotice {
            technical_user_id: 1,
            login: "TECH_1_X@cpro.fr".into(),
            label: None,
            structure: "Mairie".into(),
            identifier: "21750001600019".into(),
            expires_at: OffsetDateTime::UNIX_EPOCH,
            days_left,
        }
    }

    #[test]
    fn a_delay_is_told_as_people_say_it() {
        let delays = [-1, 0, 1, 2, 60].map(|days| expiry(days).delay());
        assert_eq!(delays, ["aujourd’hui", "aujourd’hui", "demain", "dans 2 jours", "dans 60 jours"]);
    }

    #[test]
    fn each_change_of_a_second_factor_has_words_of_its_own() {
        use SecondFactorChange::{CodesRenewed, Disabled, Enabled, Reset};
        let mut words = [Enabled, Disabled, Reset, CodesRenewed].map(SecondFactorChange::words).to_vec();
        assert_eq!(words[3], "nouveaux codes de secours");
        assert!(words[..3].iter().all(|words| words.starts_with("double authentification ")));
        words.sort_unstable();
        words.dedup();
        assert_eq!(words.len(), 4);
    }

    #[test]
    fn what_waited_before_an_upgrade_is_still_read() {
        let old =
            r#"{"kind":"manager_changed","structure":"a","identifier":"b","new_manager":"c","is_recipient":true}"#;
        let Ok(Notification::ManagerChanged { known_accounts, is_recipient, .. }) = serde_json::from_str(old) else {
            panic!("it is read")
        };
        assert!(is_recipient && known_accounts.is_empty());
    }
}
