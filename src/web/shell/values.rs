//! Small values that several pages show: a structure’s name, an expiry, a last call.

use time::OffsetDateTime;

use crate::{
    db::{structures::history::PastEvent, technical_users::TechnicalUser},
    domain::role::Role,
};

/// How rows are named in URLs.
pub type Id = i64;

/// A structure, as headings and lists name it.
pub struct StructureName {
    pub id: Id,
    pub designation: String,
    /// `SIRET`, `RIDET`…
    pub kind: String,
    pub identifier: String,
    pub active: bool,
}

/// When a password dies, and how soon that is.
pub struct Expiry {
    pub at: OffsetDateTime,
    pub days_left: i64,
}

impl Expiry {
    pub fn is_past(&self) -> bool {
        self.days_left < 0
    }

    /// Near enough for the first reminder mail to have left.
    pub fn is_near(&self) -> bool {
        (0..=60).contains(&self.days_left)
    }
}

/// The password before the present one, while it still works.
pub struct FormerPassword {
    pub until: OffsetDateTime,
    /// The last call with it since the reset.
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

/// One act of the history.
pub struct EventRow {
    pub at: OffsetDateTime,
    /// What was done, in words.
    pub label: &'static str,
    /// The account or person acted upon; empty: the structure itself.
    pub subject: String,
    pub detail: String,
    pub actor: String,
    pub address: String,
}

impl From<PastEvent> for EventRow {
    fn from(event: PastEvent) -> Self {
        let label = event.label();
        Self {
            at: event.at,
            label,
            subject: event.subject,
            detail: event.detail,
            actor: event.actor,
            address: event.address,
        }
    }
}

/// A member whom the principal manager may change or remove.
pub struct MemberView {
    pub membership_id: Id,
    pub name: String,
    pub login: String,
    pub role: Role,
}

/// What an account may do now.
#[derive(PartialEq, Eq, Clone, Copy)]
pub enum AccountStatus {
    Active,
    Suspended,
    Expired,
}

impl AccountStatus {
    pub fn label(self) -> &'static str {
        match self {
            Self::Active => "Actif",
            Self::Suspended => "Suspendu",
            Self::Expired => "Expiré",
        }
    }
}
