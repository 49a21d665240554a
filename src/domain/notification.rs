//! The notifications by mail (rule 12), as data: stored in the outbox, turned into text by `mail`.
//! They never contain a password.

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::{batch::BatchAct, handover::Refusal, territory::Territory};

/// A notification to a contact address.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Notification {
    /// A technical user was created.
    TechnicalUserCreated(AccountNotification),
    /// A technical user's password was reset.
    PasswordReset(AccountNotification),
    /// The restrictions of a technical user changed.
    RestrictionsChanged(RestrictionsNotice),
    /// A technical user was called with its right credential, from outside its networks.
    CallsOutsideNetworks(RefusedNetworkNotice),
    /// The operator suspended a technical user, took it back, or let its password expire.
    ChangedByOperator(OperatorNotice),
    /// Technical users of the recipient that nothing uses will be suspended.
    AccountsDormant(DormancyNotice),
    /// They were.
    DormantAccountsSuspended(DormancyNotice),
    /// A link by which passwords were handed over was opened, or presented in vain.
    Handover(HandoverNotice),
    /// A technical user's password will expire.
    PasswordExpiring(ExpiryNotice),
    /// The passwords of several will.
    PasswordsExpiring(ExpiriesNotice),
    /// A batch of the recipient's was carried out.
    BatchFinished(BatchNotice),
    /// The recipient became, or is no longer, the principal manager of a structure.
    ManagerChanged {
        /// The structure's name.
        structure: String,
        identifier: String,
        /// The new manager's full name.
        new_manager: String,
        /// Whether the recipient is the new manager.
        is_recipient: bool,
        /// For the new manager: the accounts of the structure whose password is known to a
        /// former manager.
        #[serde(default)]
        known_accounts: Vec<String>,
    },
    /// The recipient is offered a structure by its principal manager, `manager`.
    SuccessionOffered { structure: String, identifier: String, structure_id: i64, manager: String },
    /// The recipient has offered a structure to `successor`.
    SuccessionOfferMade { structure: String, identifier: String, structure_id: i64, successor: String },
    /// The recipient's role in a structure changed; `None`: no longer a member.
    MembershipChanged {
        structure: String,
        identifier: String,
        role: Option<String>,
        /// The role before; `None` for a new member.
        #[serde(default)]
        former_role: Option<String>,
        actor: String,
    },
    /// The recipient is no longer a member of several structures.
    MembershipsEnded {
        /// Each with its identifier.
        structures: Vec<String>,
        /// How many more there are.
        others: usize,
        actor: String,
    },
    /// A person requests a membership in a structure whose principal manager is the recipient.
    MembershipRequested { structure: String, identifier: String, person: String, login: String },
    /// A member has left a structure whose principal manager is the recipient. `member` is a name,
    /// or what the manager typed of a person who has not signed in since.
    MemberLeft { structure: String, identifier: String, member: String },
    /// The recipient's request for a membership was refused.
    MembershipRefused { structure: String, identifier: String },
    /// The recipient's contact address changed; sent to the one that was confirmed before.
    ContactAddressChanged {
        new_address: String,
        /// Whether a link that is followed in the recipient's mailbox gives the account back.
        #[serde(default)]
        is_way_back: bool,
    },
    /// The recipient is to confirm that this is their contact address. The link is made as for an
    /// invitation, unless the sessions of the time were ended meanwhile, which begins another epoch
    /// of known browsers: the recipient may delay the mail for days.
    ContactAddressToConfirm {
        user_id: i64,
        address: String,
        #[serde(default)]
        epoch: i64,
    },
    /// The recipient is invited to choose a password. The link is made with the mail's text, so
    /// that the outbox contains no secret.
    Invitation {
        user_id: i64,
        /// Into which structure; `None` where the operator invites.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        joins: Option<Joining>,
    },
    /// A link was requested for the recipient's forgotten password. It is made as for an
    /// invitation.
    PasswordForgotten { user_id: i64 },
    /// The recipient's own password was changed.
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
    /// A link by which calendar programs read the recipient's deadlines was made; never its secret.
    CalendarLinkMade {
        login: String,
        #[serde(with = "time::serde::timestamp")]
        at: OffsetDateTime,
    },
    /// An identity at the identity provider was linked to the recipient's account, or no longer is.
    ProviderIdentityChanged {
        login: String,
        /// The provider's name.
        provider: String,
        /// The address by which the provider knows the identity.
        identity: String,
        is_linked: bool,
        #[serde(with = "time::serde::timestamp")]
        at: OffsetDateTime,
    },
    /// The recipient signed in from a new network or browser.
    NewSignIn {
        login: String,
        address: String,
        software: String,
        #[serde(with = "time::serde::timestamp")]
        at: OffsetDateTime,
    },
    /// Several wrong codes were given after the recipient's right password.
    WrongCodes {
        login: String,
        /// The network address from which the last one came.
        address: String,
        #[serde(with = "time::serde::timestamp")]
        at: OffsetDateTime,
    },
    /// Other notifications to the recipient were left out, because one person caused very many.
    NoticesLeftOut,
}

impl Notification {
    /// Whether its mail has a link that gives access to something.
    #[must_use]
    pub fn has_link(&self) -> bool {
        matches!(self, Self::Invitation { .. } | Self::PasswordForgotten { .. } | Self::ContactAddressToConfirm { .. })
    }
}

impl Notification {
    /// Whether it announces an act on the recipient's own account or authority, or on a technical
    /// user of theirs: the recipient may have to act upon it at once.
    #[must_use]
    pub fn concerns_an_account(&self) -> bool {
        match self {
            Self::TechnicalUserCreated(_)
            | Self::PasswordReset(_)
            | Self::RestrictionsChanged(_)
            | Self::CallsOutsideNetworks(_)
            | Self::ChangedByOperator(_)
            | Self::AccountsDormant(_)
            | Self::DormantAccountsSuspended(_)
            | Self::Handover(_)
            | Self::PasswordExpiring(_)
            | Self::PasswordsExpiring(_)
            | Self::BatchFinished(_)
            | Self::ManagerChanged { .. }
            | Self::SuccessionOfferMade { .. }
            | Self::ContactAddressChanged { .. }
            | Self::PasswordChosen { .. }
            | Self::SecondFactorChanged { .. }
            | Self::CalendarLinkMade { .. }
            | Self::ProviderIdentityChanged { .. }
            | Self::NewSignIn { .. }
            | Self::WrongCodes { .. } => true,
            Self::MembershipChanged { .. }
            | Self::MembershipsEnded { .. }
            | Self::SuccessionOffered { .. }
            | Self::MembershipRequested { .. }
            | Self::MembershipRefused { .. }
            | Self::ContactAddressToConfirm { .. }
            | Self::Invitation { .. }
            | Self::PasswordForgotten { .. }
            | Self::MemberLeft { .. }
            | Self::NoticesLeftOut => false,
        }
    }
}

/// The structure that a person is invited to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Joining {
    /// The structure's name.
    pub structure: String,
    pub identifier: String,
    /// The label of the role.
    pub role: String,
    /// The full name of the person who invites.
    pub inviter: String,
}

/// How a second factor changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SecondFactorChange {
    Enabled,
    Disabled,
    /// Removed by the operator.
    Reset,
    CodesRenewed,
}

impl SecondFactorChange {
    /// As the mail words it.
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

/// A technical user, for a mail.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountNotification {
    pub technical_user_id: i64,
    pub login: String,
    pub label: Option<String>,
    /// The structure's name.
    pub structure: String,
    pub identifier: String,
    /// The login of the person who did it.
    pub actor: String,
    #[serde(with = "time::serde::timestamp")]
    pub at: OffsetDateTime,
    #[serde(with = "time::serde::timestamp")]
    pub expires_at: OffsetDateTime,
    /// Until when the password that a reset replaced still works; `None` where it does not.
    #[serde(default, with = "time::serde::timestamp::option")]
    pub former_until: Option<OffsetDateTime>,
    /// Where the structure is, if its clocks are not those of Paris.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub territory: Option<Territory>,
}

/// A change of a technical user's restrictions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RestrictionsNotice {
    pub technical_user_id: i64,
    pub login: String,
    pub label: Option<String>,
    /// The structure's name.
    pub structure: String,
    pub identifier: String,
    /// The login of the person who did it.
    pub actor: String,
    #[serde(with = "time::serde::timestamp")]
    pub at: OffsetDateTime,
    /// What changed, before and after, in French.
    pub changes: Vec<String>,
}

/// Calls from outside a technical user's networks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefusedNetworkNotice {
    pub technical_user_id: i64,
    pub login: String,
    pub label: Option<String>,
    /// The structure's name.
    pub structure: String,
    pub identifier: String,
    /// From where and how often, in French.
    pub calls: Vec<String>,
    #[serde(with = "time::serde::timestamp")]
    pub at: OffsetDateTime,
}

/// What an operator did to a technical user.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OperatorAct {
    Suspended,
    Reactivated,
    /// The password expires before its time.
    Expired,
}

/// An act of the operator on a technical user.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OperatorNotice {
    pub technical_user_id: i64,
    pub login: String,
    pub label: Option<String>,
    /// The structure's name.
    pub structure: String,
    pub identifier: String,
    #[serde(with = "time::serde::timestamp")]
    pub at: OffsetDateTime,
    pub act: OperatorAct,
    /// As the operator gave it.
    pub reason: Option<String>,
}

/// Technical users of one manager that nothing uses.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DormancyNotice {
    /// The first ones, each with its label.
    pub accounts: Vec<String>,
    /// How many more there are.
    pub others: usize,
    /// Since how many days, at least, nothing used them.
    pub idle_days: i32,
    #[serde(with = "time::serde::timestamp")]
    pub suspends_at: OffsetDateTime,
}

impl DormancyNotice {
    /// How many accounts there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.accounts.len() + self.others
    }
}

/// What happened to a link by which passwords were handed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LinkEvent {
    Opened,
    Refused(Refusal),
}

/// A link by which passwords were handed over, never its secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HandoverNotice {
    /// Where it is of one account.
    pub technical_user_id: Option<i64>,
    /// The first ones, each with its label.
    pub accounts: Vec<String>,
    /// How many more there are.
    pub others: usize,
    /// As the manager named them.
    pub recipient: String,
    #[serde(with = "time::serde::timestamp")]
    pub made_at: OffsetDateTime,
    #[serde(with = "time::serde::timestamp")]
    pub at: OffsetDateTime,
    /// The network address from which the link was presented, and the browser.
    pub address: String,
    pub software: String,
    pub event: LinkEvent,
}

impl HandoverNotice {
    /// Whether the link is of several accounts.
    #[must_use]
    pub fn is_of_several(&self) -> bool {
        self.accounts.len() + self.others > 1
    }
}

/// A password that will expire, for a reminder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExpiryNotice {
    pub technical_user_id: i64,
    pub login: String,
    pub label: Option<String>,
    /// The structure's name.
    pub structure: String,
    pub identifier: String,
    #[serde(with = "time::serde::timestamp")]
    pub expires_at: OffsetDateTime,
    /// Days until then, by the calendar in Paris.
    pub days_left: i32,
    /// Where the structure is, if its clocks are not those of Paris.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub territory: Option<Territory>,
}

/// Passwords of one manager that will expire, for a reminder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExpiriesNotice {
    /// The first ones to expire, each with its label.
    pub accounts: Vec<String>,
    /// How many more there are.
    pub others: usize,
    /// When the first of them expires.
    #[serde(with = "time::serde::timestamp")]
    pub first_at: OffsetDateTime,
    /// Where its structure is, if its clocks are not those of Paris.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub territory: Option<Territory>,
}

impl ExpiriesNotice {
    /// How many passwords there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.accounts.len() + self.others
    }
}

/// What became of a batch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BatchNotice {
    pub act: BatchAct,
    /// Structures or accounts for which it was done.
    pub done: u64,
    /// Those that stayed as they were.
    pub refused: u64,
    /// The login of the person who asked for it.
    pub actor: String,
    #[serde(with = "time::serde::timestamp")]
    pub at: OffsetDateTime,
    /// `None` in a notice of the version before.
    #[serde(default)]
    pub batch_id: Option<i64>,
    /// Until when its passwords can be exported; `None` where it has none.
    #[serde(default, with = "time::serde::timestamp::option")]
    pub exportable_until: Option<OffsetDateTime>,
}

impl BatchNotice {
    /// « 12 mots de passe réinitialisés ».
    #[must_use]
    pub fn words(&self) -> String {
        let plural = if self.done > 1 { "s" } else { "" };
        match self.act {
            BatchAct::Create => format!("{} utilisateur{plural} technique{plural} créé{plural}", self.done),
            BatchAct::ResetPassword => format!("{} mot{plural} de passe réinitialisé{plural}", self.done),
            BatchAct::Suspend => format!("{} utilisateur{plural} technique{plural} suspendu{plural}", self.done),
            BatchAct::Reactivate => format!("{} utilisateur{plural} technique{plural} réactivé{plural}", self.done),
        }
    }
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
            territory: None,
        }
    }

    #[test]
    fn a_delay_is_written_as_people_say_it() {
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
        let old = serde_json::from_str(r#"{"kind":"invitation","user_id":7}"#);
        assert!(matches!(old, Ok(Notification::Invitation { user_id: 7, joins: None })));
    }
}
