//! The layout of a page: header, navigation, notice, footer.

use super::notice::Notice;
use crate::domain::link_page;

/// What `shell/base.html` needs.
pub struct Layout {
    pub user: Option<SignedInUser>,
    pub current: Tab,
    pub notice: Option<Notice>,
    pub assets: Assets,
    pub theme: Theme,
    /// The identity provider's name, where people sign in with it only: no page then speaks of a
    /// password of theirs.
    pub only_provider: Option<String>,
}

impl Layout {
    /// Whether people may sign in with a password.
    pub fn takes_passwords(&self) -> bool {
        self.only_provider.is_none()
    }

    /// The name of the page on which people ask for a link by mail.
    pub fn link_page(&self) -> &'static str {
        link_page::name(self.takes_passwords())
    }
}

/// The signed-in person, as the header shows them.
#[derive(Clone, Debug)]
pub struct SignedInUser {
    pub display_name: String,
    pub is_principal_manager: bool,
    /// Seconds until the session's maximum age.
    pub seconds_left: i32,
}

/// The entry of the main navigation that the page belongs to.
#[derive(PartialEq, Eq, Clone, Copy)]
pub enum Tab {
    None,
    Activities,
    MyAccount,
}

/// URLs of the built-in static files, with a hash of their content.
#[derive(Clone)]
pub struct Assets {
    pub stylesheet: String,
    pub script: String,
    pub favicon: String,
}

/// The button that leads to the identity provider.
pub struct ProviderButton {
    /// The provider's name.
    pub label: String,
    /// Whether it is ProConnect, whose rules ask for a link that explains it.
    pub is_proconnect: bool,
    /// URL of the theme's picture of the button, with the provider's own logo.
    pub image: Option<String>,
}

/// The operator's theme (`RACCORD_THEME_DIR`).
#[derive(Clone, Default)]
pub struct Theme {
    /// URL of a style sheet, loaded after the built-in one.
    pub stylesheet: Option<String>,
    /// URL of a logo. It is decorative, since the operator's name is beside it.
    pub logo: Option<String>,
    /// The operator's name, above the service's name and in the footer.
    pub operator: Option<String>,
}
