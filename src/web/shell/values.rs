//! Values that several pages show: a structure's name, an expiry, a status, a last call, an event.

use time::OffsetDateTime;

use crate::{
    db::{
        structures::{ManagedStructure, history::PastEvent},
        technical_users::TechnicalUser,
    },
    domain::{
        role::Role,
        technical_user::{NEAR_EXPIRY_DAYS, TechnicalUserStatus},
        territory::Territory,
    },
    french,
};

/// The id of a row, as URLs contain it.
pub type Id = i64;

/// A structure, as headings and lists show it.
pub struct StructureName {
    pub id: Id,
    pub designation: String,
    /// `SIRET`, `RIDET`…
    pub kind: String,
    pub identifier: String,
    pub active: bool,
}

impl From<&ManagedStructure> for StructureName {
    fn from(structure: &ManagedStructure) -> Self {
        Self {
            id: structure.id(),
            designation: structure.designation().to_owned(),
            kind: structure.identifier_type().code().to_owned(),
            identifier: structure.identifier().to_owned(),
            active: structure.card().active,
        }
    }
}

/// When a password expires.
pub struct Expiry {
    pub at: OffsetDateTime,
    /// Calendar days until then in Paris; negative once it is past.
    pub days_left: i64,
    /// The hour where the structure is, if it is another day there. Lists of several accounts or
    /// structures leave it out: it is too long for a cell, and the account's page has it.
    pub there: Option<String>,
}

impl From<&TechnicalUser> for Expiry {
    fn from(account: &TechnicalUser) -> Self {
        let territory = Territory::of_structure(account.identifier_type, &account.postal_code);
        let there = french::other_day(account.expires_at, territory);
        Self { at: account.expires_at, days_left: account.days_left.into(), there }
    }
}

impl Expiry {
    pub fn is_past(&self) -> bool {
        self.days_left < 0
    }

    /// Whether the first reminder mail is due.
    pub fn is_near(&self) -> bool {
        (0..=i64::from(NEAR_EXPIRY_DAYS)).contains(&self.days_left)
    }
}

/// The password before the present one, while it still works.
pub struct FormerPassword {
    pub until: OffsetDateTime,
    /// The last call with it since the reset that replaced it.
    pub last_call_at: Option<OffsetDateTime>,
}

impl FormerPassword {
    pub fn of(account: &TechnicalUser) -> Option<Self> {
        Some(Self { until: account.former_until?, last_call_at: account.former_last_call_at })
    }
}

/// The last time an account called the API.
pub struct LastCall {
    pub at: OffsetDateTime,
    pub address: String,
    pub software: Option<String>,
}

impl LastCall {
    pub fn of(account: &TechnicalUser) -> Option<Self> {
        let at = account.last_call_at?;
        let software = account.last_call_software.clone().filter(|software| !software.is_empty());
        Some(Self { at, address: account.last_call_address.clone().unwrap_or_default(), software })
    }
}

/// An event of the history.
pub struct EventRow {
    pub at: OffsetDateTime,
    /// The action, in French.
    pub label: &'static str,
    /// The account or person that the action was on; empty for the structure itself.
    pub subject: String,
    pub detail: String,
    pub actor: String,
    pub address: String,
}

impl From<PastEvent> for EventRow {
    fn from(event: PastEvent) -> Self {
        let (label, actor) = (event.label(), event.author().to_owned());
        Self { at: event.at, label, subject: event.subject, detail: event.detail, actor, address: event.address }
    }
}

/// A member whom the principal manager may change or remove.
pub struct MemberView {
    pub membership_id: Id,
    pub name: String,
    pub login: String,
    pub role: Role,
}

/// The status of a technical user, as pages show it.
#[derive(PartialEq, Eq, Clone, Copy)]
pub enum AccountStatus {
    Active,
    Suspended,
    Expired,
}

impl AccountStatus {
    /// An active account is shown as expired if its password is (`days_left` is negative).
    pub fn new(status: TechnicalUserStatus, days_left: i32) -> Self {
        match status {
            TechnicalUserStatus::Active if days_left < 0 => Self::Expired,
            TechnicalUserStatus::Active => Self::Active,
            TechnicalUserStatus::Suspended | TechnicalUserStatus::Deleted => Self::Suspended,
        }
    }

    pub fn label(self) -> &'static str {
        match self {
            Self::Active => "Actif",
            Self::Suspended => "Suspendu",
            Self::Expired => "Expiré",
        }
    }
}

impl From<&TechnicalUser> for AccountStatus {
    fn from(account: &TechnicalUser) -> Self {
        Self::new(account.status, account.days_left)
    }
}
