//! Views of the restrictions of an account.

use askama::Template;
use time::OffsetDateTime;

use super::{
    pages::Account,
    restrictions_form::{NetworkChoice, RestrictionsForm, StructuresChoice},
    restrictions_view::{RestrictionsView, name},
};
use crate::{
    db::technical_users::restrictions::{PastCaller, Structure},
    web::shell::{filters, form::Errors, layout::Layout, values::StructureName},
};

/// « Modifier les restrictions ».
#[derive(Template)]
#[template(path = "technical_users/restrictions.html")]
pub struct RestrictionsPage {
    pub layout: Layout,
    pub structure: StructureName,
    pub account: Account,
    pub errors: Errors,
    pub form: RestrictionsForm,
    pub callers: Vec<CallerRow>,
    pub choices: Vec<ChoiceRow>,
    /// The structures of all pages.
    pub total: u64,
    pub page: u32,
    pub last_page: u32,
    /// Chosen structures of which the manager is no member.
    pub beyond: i64,
}

impl RestrictionsPage {
    /// The structures of this page, for a hidden field.
    pub fn shown_ids(&self) -> String {
        self.choices.iter().map(|choice| choice.structure.id.to_string()).collect::<Vec<_>>().join(",")
    }
}

/// A structure that can be chosen.
pub struct ChoiceRow {
    pub structure: StructureName,
    pub is_chosen: bool,
}

impl ChoiceRow {
    pub fn new(structure: &Structure, form: &RestrictionsForm) -> Self {
        Self { is_chosen: form.chosen.contains(&structure.id), structure: name(structure) }
    }
}

/// An address from which the account called in the last 30 days.
pub struct CallerRow {
    pub address: String,
    pub last_call_at: OffsetDateTime,
}

impl From<PastCaller> for CallerRow {
    fn from(caller: PastCaller) -> Self {
        Self { address: caller.address, last_call_at: caller.last_call_at }
    }
}

/// « Vérifier les restrictions »: before, after, and which callers it would cut.
#[derive(Template)]
#[template(path = "technical_users/restrictions_check.html")]
pub struct RestrictionsCheckPage {
    pub layout: Layout,
    pub structure: StructureName,
    pub account: Account,
    pub form: RestrictionsForm,
    pub before: RestrictionsView,
    pub after: RestrictionsView,
    /// The callers that are served now and would not be any more.
    pub cut: Vec<CallerRow>,
    /// All callers of the last 30 days.
    pub callers: usize,
    /// Whether the networks change.
    pub networks_change: bool,
    pub structures_change: bool,
}
