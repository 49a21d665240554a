//! What every page shares: the frame around it, and the small values that several pages show.

use serde::{Deserialize, de::IntoDeserializer};
use time::OffsetDateTime;

use crate::db::{history::PastEvent, structures::ManagedStructure, technical_users::TechnicalUser};

/// How rows are named in URLs.
pub type Id = i64;

/// The frame of a page: header, navigation, notice, footer.
pub struct Layout {
    pub user: Option<SignedInUser>,
    pub current: Tab,
    pub notice: Option<Notice>,
    pub assets: Assets,
    pub theme: Theme,
}

/// Who is signed in, as the header shows it.
#[derive(Clone, Debug)]
pub struct SignedInUser {
    pub display_name: String,
    pub is_principal_manager: bool,
    /// Seconds until the session ends, whatever is done.
    pub seconds_left: i32,
}

/// The entry of the main navigation that the page belongs to.
#[derive(PartialEq, Eq, Clone, Copy)]
pub enum Tab {
    None,
    Activities,
    MyAccount,
}

/// What has just been done; the words are in `_notice.html`. Travels as a code in the URL of the page that tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Notice {
    SignedOut,
    SessionExpired,
    PasswordLinkAsked,
    PasswordChosen,
    StructureSaved,
    ManagerDesignated,
    MemberInvited,
    MemberRoleChanged,
    MemberRemoved,
    MembershipRequested,
    RequestAccepted,
    RequestRefused,
    RequestWithdrawn,
    LabelSaved,
    FormerPasswordEnded,
    Suspended,
    Reactivated,
    Deleted,
    ContactAddressSaved,
    AccountsContactAddressSaved,
    OwnPasswordChanged,
    SessionClosed,
    SecondFactorDisabled,
}

impl Notice {
    /// The code that stands in the URL.
    fn code(self) -> &'static str {
        match self {
            Self::SignedOut => "signed-out",
            Self::SessionExpired => "session-expired",
            Self::PasswordLinkAsked => "password-link-asked",
            Self::PasswordChosen => "password-chosen",
            Self::StructureSaved => "structure-saved",
            Self::ManagerDesignated => "manager-designated",
            Self::MemberInvited => "member-invited",
            Self::MemberRoleChanged => "member-role-changed",
            Self::MemberRemoved => "member-removed",
            Self::MembershipRequested => "membership-requested",
            Self::RequestAccepted => "request-accepted",
            Self::RequestRefused => "request-refused",
            Self::RequestWithdrawn => "request-withdrawn",
            Self::LabelSaved => "label-saved",
            Self::FormerPasswordEnded => "former-password-ended",
            Self::Suspended => "suspended",
            Self::Reactivated => "reactivated",
            Self::Deleted => "deleted",
            Self::ContactAddressSaved => "contact-address-saved",
            Self::AccountsContactAddressSaved => "accounts-contact-address-saved",
            Self::OwnPasswordChanged => "own-password-changed",
            Self::SessionClosed => "session-closed",
            Self::SecondFactorDisabled => "second-factor-disabled",
        }
    }

    /// Style and icon: most tell what is done, some only what is.
    #[must_use]
    pub fn look(self) -> (&'static str, &'static str) {
        match self {
            Self::SignedOut | Self::SessionExpired | Self::PasswordLinkAsked => ("notice-info", "icon-info"),
            _ => ("notice-done", "icon-done"),
        }
    }

    /// The URL of `page` that tells this.
    #[must_use]
    pub fn on(self, page: &str) -> String {
        format!("{page}?avis={}", self.code())
    }
}

/// The `?avis=` of a page; an unknown code is no notice.
#[derive(Debug, Default, Deserialize)]
pub struct NoticeQuery {
    #[serde(default)]
    avis: Option<String>,
}

impl NoticeQuery {
    pub fn notice(&self) -> Option<Notice> {
        Notice::deserialize(self.avis.as_deref()?.into_deserializer()).map_err(|_: serde::de::value::Error| ()).ok()
    }
}

/// URLs of the static files, with their content's hash.
#[derive(Clone)]
pub struct Assets {
    pub stylesheet: String,
    pub script: String,
    pub favicon: String,
}

/// What an operator lays over the neutral look (`RACCORD_THEME_DIR`).
#[derive(Clone, Default)]
pub struct Theme {
    pub stylesheet: Option<String>,
    /// URL of a logo; decorative, the operator's name stands beside it.
    pub logo: Option<String>,
    /// Whose service this is, above the service name and in the footer.
    pub operator: Option<String>,
}

/// What must be mended in a form, in the order of its fields.
#[derive(Default)]
pub struct Errors(pub Vec<FieldError>);

/// One field's error: the field's `name`, which is also its `id`, and a French sentence.
pub struct FieldError {
    pub field: &'static str,
    pub message: String,
}

impl Errors {
    /// For a form that answers with one sentence and no field errors.
    pub const fn none() -> Self {
        Self(Vec::new())
    }

    pub fn on(&self, field: &str) -> Option<&str> {
        self.0.iter().find(|error| error.field == field).map(|error| error.message.as_str())
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn count(&self) -> usize {
        self.0.len()
    }
}

/// A structure, as headings and lists name it.
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
            kind: structure.identifier_type().to_owned(),
            identifier: structure.identifier().to_owned(),
            active: structure.card().active,
        }
    }
}

/// When a password dies, and how soon that is.
pub struct Expiry {
    pub at: OffsetDateTime,
    pub days_left: i64,
}

impl From<&TechnicalUser> for Expiry {
    fn from(account: &TechnicalUser) -> Self {
        Self { at: account.expires_at, days_left: account.days_left.into() }
    }
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
