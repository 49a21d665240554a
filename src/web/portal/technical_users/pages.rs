//! Views of this journey's pages.

use askama::Template;
use time::OffsetDateTime;

use super::{
    activity_view::ActivityView,
    concerns::{Concern, Remedy, SecretState},
    delivery::Delivery,
    handover_view::HandoverView,
    restrictions_view::RestrictionsView,
};
use crate::{
    db::technical_users::{TechnicalUser, handovers::LinkState},
    domain::{audit::CallRefusal, handover::Refusal},
    web::{
        identity::authority::ManagedAccount,
        shell::{
            filters,
            form::Errors,
            layout::Layout,
            values::{AccountStatus, EventRow, Expiry, FormerPassword, Id, LastCall, StructureName},
        },
    },
};

/// « Saisie utilisateur technique ».
#[derive(Template)]
#[template(path = "technical_users/new.html")]
pub struct NewTechnicalUserPage {
    pub layout: Layout,
    pub structure: StructureName,
    /// The login that the account will have.
    pub login: String,
    pub manager_name: String,
    pub contact_address: String,
    pub expires_at: OffsetDateTime,
    /// The number of structures that the account will open.
    pub reach: u64,
    pub label: String,
    pub delivery: Delivery,
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
    /// What the banner says, the gravest first.
    pub concerns: Vec<Concern>,
    /// What mends the first one; its button stands in the banner alone.
    pub remedy: Remedy,
    pub secret: SecretState,
    /// To whom the present password was handed over.
    pub handover: Option<HandoverView>,
    /// The same of the one before, while it works.
    pub former_handover: Option<HandoverView>,
    pub restrictions: RestrictionsView,
    pub activity: ActivityView,
    /// « Libellé », as typed.
    pub label: String,
    pub errors: Errors,
    /// The last few audit events of the account.
    pub events: Vec<EventRow>,
    pub idempotency_token: String,
}

/// A confirmation page, with the content of the act's dialog.
#[derive(Template)]
#[template(path = "technical_users/confirmation.html")]
pub struct ConfirmationPage {
    pub layout: Layout,
    pub structure: StructureName,
    pub account: Account,
    pub act: AccountAct,
    /// What a reset does with the new password.
    pub delivery: Delivery,
    /// What a revocation ends.
    pub handover: Option<HandoverView>,
    pub errors: Errors,
    pub idempotency_token: String,
}

/// A technical user, without its password.
pub struct Account {
    pub id: Id,
    pub credential_version: i32,
    pub login: String,
    pub label: Option<String>,
    /// The structure's name.
    pub structure: String,
    pub manager_name: String,
    pub contact_address: String,
    pub created_at: OffsetDateTime,
    pub created_by: String,
    pub status: AccountStatus,
    /// Whether calls are refused at present.
    pub failing: bool,
    pub expiry: Expiry,
    /// Whether the password was shown to a former principal manager.
    pub known_to_another: bool,
    pub outgoing: Outgoing,
    pub former: Option<FormerPassword>,
    /// When the password was last exported.
    pub exported_at: Option<OffsetDateTime>,
    pub last_call: Option<LastCall>,
}

/// What a reset asks about the password that it replaces.
#[derive(PartialEq, Eq, Clone, Copy)]
pub enum Outgoing {
    /// Nothing: it works no more.
    Ended,
    /// Whether it works for a while; no is preselected.
    Unused,
    /// The same, and nothing is preselected: programs use it at present.
    InUse,
}

impl Outgoing {
    pub fn of(account: &TechnicalUser) -> Self {
        match AccountStatus::from(account) {
            AccountStatus::Active if account.called_within_a_day => Self::InUse,
            AccountStatus::Active => Self::Unused,
            _ => Self::Ended,
        }
    }

    /// Whether the reset can keep it for a while.
    pub fn can_be_kept(self) -> bool {
        self != Self::Ended
    }

    /// Whether the reset preselects nothing.
    pub fn must_be_judged(self) -> bool {
        self == Self::InUse
    }
}

/// What a confirmation page is about.
#[derive(PartialEq, Eq, Clone, Copy)]
pub enum AccountAct {
    ResetPassword,
    EndFormerPassword,
    RevokeHandover,
    Suspend,
    Reactivate,
    Delete,
}

impl From<&ManagedAccount> for Account {
    fn from(managed: &ManagedAccount) -> Self {
        let (account, person) = (managed.account.account(), &managed.visitor.person);
        Self {
            id: account.id,
            credential_version: account.credential_version,
            login: account.login.clone(),
            label: account.label.clone(),
            structure: managed.account.structure().designation().to_owned(),
            manager_name: format!("{} {}", person.first_name, person.last_name),
            contact_address: managed.account.structure().contact_address().to_owned(),
            created_at: account.created_at,
            created_by: account.created_by.clone(),
            status: AccountStatus::from(account),
            failing: account.failing,
            expiry: Expiry::from(account),
            known_to_another: account.known_to_another,
            outgoing: Outgoing::of(account),
            former: FormerPassword::of(account),
            exported_at: account.password_exported_at,
            last_call: LastCall::of(account),
        }
    }
}

impl TechnicalUserPage {
    /// Whether an integrator opened a link with a password that works.
    pub fn is_known_to_integrator(&self) -> bool {
        [&self.handover, &self.former_handover].into_iter().flatten().any(HandoverView::is_opened)
    }
}

impl Account {
    /// Whether the password is the account's first one.
    pub fn is_new(&self) -> bool {
        self.credential_version == 1
    }
}
