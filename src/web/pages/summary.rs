use askama::Template;
use time::OffsetDateTime;

use crate::db::technical_users::ManagedTechnicalUser;
use crate::domain::password::Password;
use crate::web::filters;
use crate::web::layout::{Expiry, FormerPassword, Id, LastCall, Layout, StructureName};
use crate::web::pages::technical_users::AccountStatus;

/// « Récapitulatif », after creation or reset.
#[derive(Template)]
#[template(path = "technical_users/summary.html")]
pub struct SummaryPage {
    pub layout: Layout,
    pub structure: StructureName,
    /// The structure's postal address, line by line.
    pub structure_address: Vec<String>,
    pub account: SummaryAccount,
    pub password: SummaryPassword,
    /// For the reset that the page offers once the password cannot be shown.
    pub idempotency_token: String,
}

/// The account, as its récapitulatif tells it; fields shared with `Account` have the same names.
pub struct SummaryAccount {
    pub id: Id,
    pub credential_version: i32,
    pub login: String,
    pub label: Option<String>,
    pub contact_address: String,
    pub created_at: OffsetDateTime,
    pub expiry: Expiry,
    pub last_call: Option<LastCall>,
    /// Whether the password is the account's first, hence the account has just been created.
    pub is_new: bool,
    /// When the password was last exported.
    pub exported_at: Option<OffsetDateTime>,
    pub can_keep: bool,
    pub former: Option<FormerPassword>,
}

/// What the page can do about the password.
pub enum SummaryPassword {
    /// The only time it is shown.
    Shown(ShownPassword),
    AlreadyShown,
    /// Sealed, not opened by this request (not a navigation of our own pages, or a prefetch).
    Ready,
    /// The ten minutes passed before anybody opened it, or another session asked for it.
    Lapsed,
}

/// The password and everything made from it.
pub struct ShownPassword {
    pub password: Password,
    /// base64(login:password), ready for the `cpro-account` header.
    pub cpro_account: String,
    pub api_url: String,
    /// Exists on this page alone; the export must carry it.
    pub nonce: String,
    /// When the export stops being possible.
    pub sealed_until: OffsetDateTime,
}

impl From<&ManagedTechnicalUser> for SummaryAccount {
    fn from(managed: &ManagedTechnicalUser) -> Self {
        let account = managed.account();
        Self {
            id: account.id,
            credential_version: account.credential_version,
            login: account.login.clone(),
            label: account.label.clone(),
            contact_address: managed.structure().contact_address().to_owned(),
            created_at: account.created_at,
            expiry: Expiry::from(account),
            last_call: LastCall::of(account),
            is_new: account.credential_version == 1,
            exported_at: account.password_exported_at,
            can_keep: AccountStatus::from(account) == AccountStatus::Active,
            former: FormerPassword::of(account),
        }
    }
}
