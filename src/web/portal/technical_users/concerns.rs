//! What is wrong with an account or due about it: the banner of its page.

use time::OffsetDateTime;

use crate::{
    db::{
        structures::history::PastEvent,
        technical_users::{
            ManagedTechnicalUser, TechnicalUser,
            handovers::{Handover, LinkState, Refused},
        },
    },
    domain::audit::CallRefusal,
    web::shell::values::{AccountStatus, Expiry},
};

/// Whether the password was displayed and exported.
pub enum SecretState {
    NeverShown,
    /// It can be displayed once.
    Ready,
    /// It was handed over by a link that waits or was opened, and not displayed here.
    HandedOver,
    Shown {
        at: OffsetDateTime,
    },
    Exported {
        shown_at: OffsetDateTime,
        at: OffsetDateTime,
    },
    /// Exported with others of its batch, and never on a screen.
    ExportedOnly {
        at: OffsetDateTime,
    },
}

/// One thing that is wrong or due.
pub enum Concern {
    InactiveStructure,
    Suspended(Option<Suspension>),
    Expired(Expiry),
    Refused(RefusedCalls),
    /// A link with the password was presented when it opened nothing any more.
    LinkAlarm(Refused),
    /// No one knows the password.
    NeverShown,
    /// The session can display the password, once.
    Ready,
    /// A former principal manager knows the password.
    Known,
    ExpiresSoon(Expiry),
}

/// Who suspended an account, and when.
pub struct Suspension {
    pub at: OffsetDateTime,
    pub by: String,
}

/// The calls that are refused at present.
pub struct RefusedCalls {
    pub since: OffsetDateTime,
    pub last: OffsetDateTime,
    /// Of the last ones; `None` where the version before saw them.
    pub why: Option<CallRefusal>,
    /// `None`: several, or not known.
    pub address: Option<String>,
    pub software: Option<String>,
}

/// What mends a concern: the button in the banner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Remedy {
    StructureCard,
    Reactivate,
    Reset,
    Restrictions,
    Display,
    /// Nothing is to be done in the portal.
    Nothing,
}

impl Concern {
    /// All of an account, the gravest first: what stops the service, then what endangers it, then
    /// what is due.
    pub fn of(
        account: &ManagedTechnicalUser,
        secret: &SecretState,
        suspension: Option<PastEvent>,
        handover: Option<&Handover>,
    ) -> Vec<Self> {
        let is_active = account.structure().card().active;
        let account = account.account();
        let (status, expiry) = (AccountStatus::from(account), || Expiry::from(account));
        let holds = [
            (!is_active).then_some(Self::InactiveStructure),
            (status == AccountStatus::Suspended).then(|| Self::Suspended(suspension.map(Suspension::from))),
            expiry().is_past().then(|| Self::Expired(expiry())),
            RefusedCalls::of(account).map(Self::Refused),
            handover.and_then(Handover::alarm).cloned().map(Self::LinkAlarm),
            matches!(secret, SecretState::NeverShown).then_some(Self::NeverShown),
            matches!(secret, SecretState::Ready).then_some(Self::Ready),
            account.known_to_another.then_some(Self::Known),
            expiry().is_near().then(|| Self::ExpiresSoon(expiry())),
        ];
        holds.into_iter().flatten().collect()
    }

    pub fn remedy(&self) -> Remedy {
        match self {
            Self::InactiveStructure => Remedy::StructureCard,
            Self::Suspended(_) => Remedy::Reactivate,
            Self::Expired(_) | Self::LinkAlarm(_) | Self::NeverShown | Self::Known | Self::ExpiresSoon(_) => {
                Remedy::Reset
            }
            Self::Ready => Remedy::Display,
            Self::Refused(refused) => match refused.why {
                Some(CallRefusal::WrongPassword | CallRefusal::Expired) => Remedy::Reset,
                Some(why) if why.is_about_networks() => Remedy::Restrictions,
                _ => Remedy::Nothing,
            },
        }
    }

    /// The style of the banner.
    pub fn tone(&self) -> &'static str {
        match self {
            Self::InactiveStructure | Self::Expired(_) | Self::Refused(_) | Self::LinkAlarm(_) => "bad",
            Self::NeverShown | Self::Known | Self::ExpiresSoon(_) => "warn",
            Self::Suspended(_) | Self::Ready => "info",
        }
    }
}

impl From<PastEvent> for Suspension {
    fn from(event: PastEvent) -> Self {
        Self { at: event.at, by: event.author().to_owned() }
    }
}

impl RefusedCalls {
    fn of(account: &TechnicalUser) -> Option<Self> {
        let last = account.last_refused_at.filter(|_| account.failing)?;
        // The version before leaves what was seen earlier as it is.
        let since = account.refused_since.filter(|since| account.last_call_at.is_none_or(|call| call < *since));
        let why = account.last_refusal_reason.as_deref().and_then(CallRefusal::parse);
        let software = account.last_refusal_software.clone().filter(|software| !software.is_empty());
        let address = account.last_refusal_address.clone();
        Some(Self { since: since.unwrap_or(last), last, why, address, software })
    }
}

impl SecretState {
    /// `is_waiting`: the session can still display the password.
    pub fn new(account: &TechnicalUser, is_waiting: bool, handover: Option<&Handover>) -> Self {
        let is_handed_over =
            handover.is_some_and(|made| matches!(made.state, LinkState::Waiting | LinkState::Opened { .. }));
        match (account.password_shown_at, account.password_exported_at) {
            // The export of a batch sets both at once; what is displayed is exported later.
            (Some(shown_at), Some(at)) if shown_at == at => Self::ExportedOnly { at },
            (Some(shown_at), Some(at)) => Self::Exported { shown_at, at },
            (Some(at), None) => Self::Shown { at },
            _ if is_waiting => Self::Ready,
            _ if is_handed_over => Self::HandedOver,
            _ => Self::NeverShown,
        }
    }
}
