//! The view of the page that confirms a batch.

use std::collections::BTreeMap;

use askama::Template;

use crate::{
    db::technical_users::batches::preview::{AccountPreview, StructurePreview},
    domain::{
        batch::{BatchAct, ItemRefusal},
        technical_user::TechnicalUserStatus,
    },
    web::{
        edge::state::AppState,
        identity::visitor::Visitor,
        shell::{
            filters,
            form::Errors,
            layout::{Layout, Tab},
            values::{Id, StructureName},
        },
    },
};

/// Rows that the page lists; it counts the others.
const LISTED: usize = 50;
/// Programs that the page names.
const NAMED_PROGRAMS: usize = 5;

/// What the form holds.
pub struct FormState {
    /// Its idempotency token.
    pub token: String,
    /// « Libellé », as typed.
    pub label: String,
    pub errors: Errors,
}

/// The confirmation of a batch.
#[derive(Template)]
#[template(path = "activities/batch_check.html")]
pub struct BatchCheckPage {
    pub layout: Layout,
    pub act: BatchAct,
    /// What will be done, and what cannot be.
    pub doable: Vec<ChosenRow>,
    pub refused: Vec<ChosenRow>,
    /// How many were chosen beyond the most that a batch takes.
    pub left_out: u64,
    /// Accounts that called within a day.
    pub in_use: u64,
    /// The programs that did, those of most accounts first.
    pub programs: Vec<String>,
    /// Whether an old password could be kept.
    pub can_be_kept: bool,
    /// How many structures each new account will open.
    pub reach: u64,
    pub label: String,
    pub errors: Errors,
    pub idempotency_token: String,
    /// The page of the list from which it was chosen, and that page with what was chosen in it.
    pub list: String,
    pub back: String,
}

/// A structure or an account that was chosen.
pub struct ChosenRow {
    pub structure: StructureName,
    pub account: Option<ChosenLogin>,
    /// Why it cannot be done.
    pub refusal: Option<ItemRefusal>,
}

/// The account of a row.
pub struct ChosenLogin {
    pub id: Id,
    pub credential_version: i32,
    pub login: String,
    pub label: Option<String>,
}

impl ChosenRow {
    /// As the form carries it.
    pub fn carried(&self) -> String {
        match &self.account {
            Some(account) => format!("{}.{}", account.id, account.credential_version),
            None => self.structure.id.to_string(),
        }
    }
}

impl BatchCheckPage {
    pub fn of_accounts(
        state: &AppState,
        visitor: &Visitor,
        act: BatchAct,
        rows: Vec<AccountPreview>,
        form: FormState,
    ) -> Self {
        let called: Vec<&AccountPreview> = rows.iter().filter(|row| works(row) && row.called_within_a_day).collect();
        let (in_use, programs) = (called.len() as u64, programs(&called));
        let can_be_kept = act == BatchAct::ResetPassword && rows.iter().any(works);
        let chosen = rows.into_iter().map(|row| chosen_account(act, row)).collect();
        Self { in_use, programs, can_be_kept, ..Self::new(state, visitor, (act, chosen), form) }
    }

    pub fn of_structures(
        state: &AppState,
        visitor: &Visitor,
        rows: Vec<StructurePreview>,
        reach: u64,
        form: FormState,
    ) -> Self {
        let most = state.settings.account_rules.max_per_structure;
        let chosen = rows.into_iter().map(|row| chosen_structure(row, most)).collect();
        Self { reach, ..Self::new(state, visitor, (BatchAct::Create, chosen), form) }
    }

    fn new(state: &AppState, visitor: &Visitor, (act, chosen): (BatchAct, Vec<ChosenRow>), form: FormState) -> Self {
        let (doable, refused) = chosen.into_iter().partition(|row: &ChosenRow| row.refusal.is_none());
        Self {
            layout: state.layout(&visitor.person, Tab::Activities, None),
            act,
            doable,
            refused,
            left_out: 0,
            in_use: 0,
            programs: Vec::new(),
            can_be_kept: false,
            reach: 0,
            label: form.label,
            errors: form.errors,
            idempotency_token: form.token,
            list: String::new(),
            back: String::new(),
        }
    }

    pub fn count(&self) -> u64 {
        self.doable.len() as u64
    }

    /// The rows that the page lists.
    pub fn listed(&self) -> impl Iterator<Item = &ChosenRow> {
        self.doable.iter().take(LISTED)
    }

    /// Those that it only counts.
    pub fn unlisted(&self) -> u64 {
        self.count().saturating_sub(LISTED as u64)
    }

    /// The reasons why some cannot be done, with those that each concerns.
    pub fn reasons(&self) -> Vec<(&'static str, Vec<&ChosenRow>)> {
        let reasons = ItemRefusal::ALL.into_iter().map(|refusal| {
            (refusal.words(), self.refused.iter().filter(|row| row.refusal == Some(refusal)).collect::<Vec<_>>())
        });
        reasons.filter(|(_, rows)| !rows.is_empty()).collect()
    }

    /// What the button does.
    pub fn button(&self) -> String {
        match (self.act, self.count()) {
            (BatchAct::Create, 1) => "Créer un utilisateur technique".to_owned(),
            (BatchAct::Create, count) => format!("Créer {} utilisateurs techniques", filters::in_french(count)),
            _ => self.title(),
        }
    }

    /// « Réinitialiser 12 mots de passe ».
    pub fn title(&self) -> String {
        let (count, plural) = (filters::in_french(self.count()), if self.count() > 1 { "s" } else { "" });
        match self.act {
            BatchAct::Create if self.count() == 1 => "Créer un utilisateur technique dans une structure".to_owned(),
            BatchAct::Create => format!("Créer un utilisateur technique dans {count} structures"),
            BatchAct::ResetPassword => format!("Réinitialiser {count} mot{plural} de passe"),
            BatchAct::Suspend => format!("Suspendre {count} utilisateur{plural} technique{plural}"),
            BatchAct::Reactivate => format!("Réactiver {count} utilisateur{plural} technique{plural}"),
        }
    }
}

/// Whether the account's password works now.
fn works(row: &AccountPreview) -> bool {
    row.status == TechnicalUserStatus::Active && row.days_left >= 0
}

fn programs(called: &[&AccountPreview]) -> Vec<String> {
    let mut counts = BTreeMap::<&str, u64>::new();
    for name in called.iter().filter_map(|row| row.last_call_software.as_deref()).filter(|name| !name.is_empty()) {
        *counts.entry(name).or_default() += 1;
    }
    let mut programs: Vec<(&str, u64)> = counts.into_iter().collect();
    programs.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    programs.into_iter().take(NAMED_PROGRAMS).map(|(name, _)| name.to_owned()).collect()
}

fn chosen_account(act: BatchAct, row: AccountPreview) -> ChosenRow {
    let has_status = match act {
        BatchAct::Suspend => row.status == TechnicalUserStatus::Suspended,
        BatchAct::Reactivate => row.status == TechnicalUserStatus::Active,
        BatchAct::Create | BatchAct::ResetPassword => false,
    };
    ChosenRow {
        structure: StructureName {
            id: row.structure_id,
            designation: row.designation,
            kind: row.identifier_type.code().to_owned(),
            identifier: row.identifier,
            active: row.structure_active,
        },
        account: Some(ChosenLogin {
            id: row.id,
            credential_version: row.credential_version,
            login: row.login,
            label: row.label,
        }),
        refusal: has_status.then_some(ItemRefusal::Unchanged),
    }
}

fn chosen_structure(row: StructurePreview, most: i64) -> ChosenRow {
    let refusal = if !row.active {
        Some(ItemRefusal::StructureInactive)
    } else if row.technical_users >= most {
        Some(ItemRefusal::LimitReached)
    } else {
        None
    };
    ChosenRow {
        structure: StructureName {
            id: row.id,
            designation: row.designation,
            kind: row.identifier_type.code().to_owned(),
            identifier: row.identifier,
            active: row.active,
        },
        account: None,
        refusal,
    }
}
