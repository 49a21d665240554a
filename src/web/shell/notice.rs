//! The notice at the top of a page, which says what was just done.

use std::fmt;

use serde::{
    Deserialize, Serialize,
    de::{IntoDeserializer, value::Error},
};

/// What was just done; the French text is in `shell/_notice.html`. The URL of the page carries it
/// as a code in kebab case, such as `?avis=label-saved`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Notice {
    SignedOut,
    SignedOutEverywhere,
    SessionExpired,
    PasswordLinkAsked,
    PasswordChosen,
    StructureSaved,
    StructureDeactivated,
    StructureReactivated,
    SuccessionOffered,
    SuccessionWithdrawn,
    SuccessionAccepted,
    SuccessionDeclined,
    MemberInvited,
    InvitationSentAgain,
    MemberBecameSecondaryManager,
    MemberBecameUser,
    MemberRoleUnchanged,
    MemberRemoved,
    MemberRemovedFromSeveral,
    MembershipRequested,
    RequestAccepted,
    RequestRefused,
    RequestWithdrawn,
    LabelSaved,
    FormerPasswordEnded,
    HandoverRevoked,
    Suspended,
    Reactivated,
    Deleted,
    RestrictionsSaved,
    ContactAddressSaved,
    AccountsContactAddressSaved,
    ContactAddressConfirmed,
    ConfirmationSentAgain,
    OwnPasswordChanged,
    StructureLeft,
    SessionClosed,
    OtherSessionsClosed,
    CalendarLinkRevoked,
    SecondFactorDisabled,
    BatchUnderWay,
    IdentityLinked,
    IdentityUnlinked,
}

impl Notice {
    /// CSS class and icon, for something that was done or for plain information.
    #[must_use]
    pub fn look(self) -> (&'static str, &'static str) {
        match self {
            Self::SignedOut
            | Self::SignedOutEverywhere
            | Self::SessionExpired
            | Self::PasswordLinkAsked
            | Self::MemberRoleUnchanged
            | Self::BatchUnderWay => ("notice-info", "icon-info"),
            _ => ("notice-done", "icon-done"),
        }
    }

    /// The URL of `page` with this notice.
    #[must_use]
    pub fn on(self, page: &str) -> String {
        format!("{page}?avis={self}")
    }
}

impl fmt::Display for Notice {
    /// Writes the code.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serialize(f)
    }
}

/// The `?avis=` of a URL.
#[derive(Debug, Default, Deserialize)]
pub struct NoticeQuery {
    #[serde(default)]
    avis: Option<String>,
}

impl NoticeQuery {
    /// `None` for an unknown code.
    pub fn notice(&self) -> Option<Notice> {
        let code = IntoDeserializer::<Error>::into_deserializer(self.avis.as_deref()?);
        Notice::deserialize(code).ok()
    }
}
