//! What every page shares: the frame around it, and the small values that several pages show.

use super::{
    notice::Notice,
    values::{Expiry, StructureName},
};
use crate::db::{structures::ManagedStructure, technical_users::TechnicalUser};

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

impl From<&TechnicalUser> for Expiry {
    fn from(account: &TechnicalUser) -> Self {
        Self { at: account.expires_at, days_left: account.days_left.into() }
    }
}
