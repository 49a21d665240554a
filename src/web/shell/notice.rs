//! The one-line notice at the top of a page after an act.

use serde::{Deserialize, de::IntoDeserializer};

/// What has just been done; the words are in `_notice.html`. Travels as a code in the URL of the
/// page that tells it.
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
