//! Views of this journey's pages.

use askama::Template;
use time::OffsetDateTime;

use crate::{
    db::{
        identity::sessions::SignedIn,
        technical_users::{ManagedTechnicalUser, TechnicalUser},
    },
    domain::technical_user::TechnicalUserStatus,
    web::shell::{
        filters,
        form::Errors,
        layout::Layout,
        values::{AccountStatus, EventRow, Expiry, FormerPassword, Id, LastCall, StructureName},
    },
};

/// « Saisie utilisateur technique ».
#[derive(Template)]
#[template(path = "technical_users/new.html")]
pub struct NewTechnicalUserPage {
    pub layout: Layout,
    pub structure: StructureName,
    /// The login the account will have.
    pub login: String,
    pub manager_name: String,
    pub contact_address: String,
    pub expires_at: OffsetDateTime,
    pub label: String,
    pub errors: Errors,
    pub idempotency_token: String,
}

/// « Utilisateur technique ».
#[derive(Template)]
#[template(path = "technical_users/technical_user.html")]
pub struct TechnicalUserPage {
    pub layout: Layout,
    pub structure: StructureName,
    pub account: Account,
    /// « Libellé », as typed.
    pub label: String,
    pub errors: Errors,
    /// The last few audit events of the account.
    pub events: Vec<EventRow>,
    pub idempotency_token: String,
}

/// An act that must be confirmed, on its own page: what the dialogs hold, without scripts or
/// dialogs.
#[derive(Template)]
#[template(path = "technical_users/confirmation.html")]
pub struct ConfirmationPage {
    pub layout: Layout,
    pub structure: StructureName,
    pub account: Account,
    pub act: AccountAct,
    pub idempotency_token: String,
}

/// A technical user, all but its password.
pub struct Account {
    pub id: Id,
    pub credential_version: i32,
    pub login: String,
    pub label: Option<String>,
    pub manager_name: String,
    pub contact_address: String,
    pub created_at: OffsetDateTime,
    pub created_by: String,
    pub status: AccountStatus,
    pub expiry: Expiry,
    /// Whether the password was shown to a former principal manager.
    pub known_to_another: bool,
    /// Whether the password works, so that a reset may keep it for a while.
    pub can_keep: bool,
    pub former: Option<FormerPassword>,
    pub secret: SecretState,
    pub last_call: Option<LastCall>,
}

/// What became of the password.
pub enum SecretState {
    NeverShown,
    /// Sealed and waiting for its one display.
    Ready,
    Shown {
        at: OffsetDateTime,
    },
    Exported {
        shown_at: OffsetDateTime,
        at: OffsetDateTime,
    },
}

/// What a confirmation page is about.
#[derive(PartialEq, Eq, Clone, Copy)]
pub enum AccountAct {
    ResetPassword,
    EndFormerPassword,
    Suspend,
    Reactivate,
    Delete,
}

impl Account {
    /// The account as its manager sees it; `is_waiting` where its password can still be displayed
    /// in this session.
    pub fn new(managed: &ManagedTechnicalUser, person: &SignedIn, is_waiting: bool) -> Self {
        let account = managed.account();
        Self {
            id: account.id,
            credential_version: account.credential_version,
            login: account.login.clone(),
            label: account.label.clone(),
            manager_name: format!("{} {}", person.first_name, person.last_name),
            contact_address: managed.structure().contact_address().to_owned(),
            created_at: account.created_at,
            created_by: account.created_by.clone(),
            status: AccountStatus::from(account),
            expiry: Expiry::from(account),
            known_to_another: account.known_to_another,
            can_keep: AccountStatus::from(account) == AccountStatus::Active,
            former: FormerPassword::of(account),
            secret: SecretState::new(account, is_waiting),
            last_call: LastCall::of(account),
        }
    }
}

impl From<&TechnicalUser> for AccountStatus {
    fn from(account: &TechnicalUser) -> Self {
        match account.status() {
            TechnicalUserStatus::Active if account.days_left < 0 => Self::Expired,
            TechnicalUserStatus::Active => Self::Active,
            TechnicalUserStatus::Suspended | TechnicalUserStatus::Deleted => Self::Suspended,
        }
    }
}

impl SecretState {
    fn new(account: &TechnicalUser, is_waiting: bool) -> Self {
        match (account.password_shown_at, account.password_exported_at) {
            (Some(shown_at), Some(at)) => Self::Exported { shown_at, at },
            (Some(at), None) => Self::Shown { at },
            _ if is_waiting => Self::Ready,
            _ => Self::NeverShown,
        }
    }
}
