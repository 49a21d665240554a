//! The view of a batch's page.

use askama::Template;
use serde::Deserialize;
use time::OffsetDateTime;

use crate::{
    db::technical_users::{
        batches::progress::{Batch, BatchRow},
        handovers::{BatchHandover, LinkState},
    },
    domain::batch::{BatchAct, ItemRefusal},
    web::{
        paths,
        portal::technical_users::handover_view::HandoverView,
        shell::{
            filters,
            form::Errors,
            layout::Layout,
            values::{Id, StructureName},
        },
    },
};

/// The most accounts that a link chooses.
pub const MOST_LINKED: usize = 100;

/// A batch under way, or « Récapitulatif groupé ».
#[derive(Template)]
#[template(path = "technical_users/batch.html")]
pub struct BatchPage {
    pub layout: Layout,
    pub id: Id,
    pub act: BatchAct,
    pub created_at: OffsetDateTime,
    pub finished_at: Option<OffsetDateTime>,
    pub exported_at: Option<OffsetDateTime>,
    pub total: u64,
    pub done: u64,
    pub refused: u64,
    /// Passwords that this session can still export, and until when.
    pub exportable: u64,
    pub exportable_until: Option<OffsetDateTime>,
    pub done_rows: Vec<ResultRow>,
    pub refused_rows: Vec<ResultRow>,
    pub handovers: Vec<BatchHandoverView>,
    /// What resets the passwords that are still the batch's.
    pub reset: Option<ResetLink>,
    pub key: KeyForm,
}

/// A link by which passwords of the batch were handed over.
pub struct BatchHandoverView {
    pub made: HandoverView,
    /// How many accounts it is of.
    pub accounts: u64,
    /// One of its accounts, where it can be revoked.
    pub revocable: Option<Id>,
}

impl From<BatchHandover> for BatchHandoverView {
    fn from(BatchHandover { handover, account_id }: BatchHandover) -> Self {
        let accounts = handover.accounts.unsigned_abs();
        let made = HandoverView::from(handover);
        Self { revocable: account_id.filter(|_| made.is_waiting()), made, accounts }
    }
}

/// A link to the reset of these accounts.
pub struct ResetLink {
    pub accounts: u64,
    pub url: String,
}

impl ResetLink {
    /// `None` for none, and for more than a URL names.
    fn of(accounts: &[i64]) -> Option<Self> {
        let named = !accounts.is_empty() && accounts.len() <= MOST_LINKED;
        named.then(|| {
            let chosen: Vec<String> = accounts.iter().map(|id| format!("compte-{id}=oui")).collect();
            let act = BatchAct::ResetPassword.code();
            let url = format!("{}?acte={act}&{}", paths::ACCOUNTS_CHOICE, chosen.join("&"));
            Self { accounts: accounts.len() as u64, url }
        })
    }
}

/// For whom the file for a program is encrypted.
#[derive(Default, Deserialize)]
pub struct KeyForm {
    /// As typed.
    #[serde(rename = "cle", default)]
    pub key: String,
    #[serde(skip)]
    pub errors: Errors,
}

impl KeyForm {
    /// The form again, with what is wrong with the key.
    pub fn refused(self) -> Self {
        let key = self.key.trim().to_lowercase();
        let is_private = key.starts_with("age-secret-key-");
        let message = if key.is_empty() {
            "Collez la clé publique de l’intégrateur."
        } else if is_private {
            "C’est une clé privée\u{a0}: elle ne doit pas quitter son propriétaire, qui doit maintenant en changer. Collez la clé publique, qui commence par «\u{202f}age1\u{202f}»."
        } else if key.starts_with("age1") {
            "Cette clé est incomplète ou mal recopiée. Collez-la de nouveau, en entier."
        } else {
            "Ce n’est pas une clé publique age. Elle commence par «\u{202f}age1\u{202f}»."
        };
        // A private key is not shown again.
        let key = if is_private { String::new() } else { self.key };
        Self { key, errors: Errors::one("cle", message.to_owned()) }
    }
}

/// What became of a structure or an account.
pub struct ResultRow {
    pub structure: StructureName,
    pub account: Option<ResultAccount>,
    pub refusal: Option<&'static str>,
}

/// The account of a row.
pub struct ResultAccount {
    pub id: Id,
    pub login: String,
    pub label: Option<String>,
}

impl BatchPage {
    pub fn new(layout: Layout, batch: &Batch, [done, refused]: [Vec<BatchRow>; 2], key: KeyForm) -> Self {
        Self {
            layout,
            id: batch.id,
            act: batch.act,
            created_at: batch.created_at,
            finished_at: batch.finished_at,
            exported_at: batch.exported_at,
            total: batch.total.unsigned_abs(),
            done: batch.done.unsigned_abs(),
            refused: batch.refused.unsigned_abs(),
            exportable: batch.exportable.unsigned_abs(),
            exportable_until: batch.exportable_until,
            done_rows: done.into_iter().map(ResultRow::from).collect(),
            refused_rows: refused.into_iter().map(ResultRow::from).collect(),
            handovers: Vec::new(),
            reset: None,
            key,
        }
    }

    /// With what became of its passwords: to whom they were handed over, and which accounts still
    /// have them.
    pub fn with_handovers(self, made: Vec<BatchHandover>, unchanged: &[i64]) -> Self {
        let handovers = made.into_iter().map(BatchHandoverView::from).collect();
        Self { handovers, reset: ResetLink::of(unchanged), ..self }
    }

    /// Whether passwords of the batch can be neither exported nor were handed over.
    pub fn has_lapsed(&self) -> bool {
        let handed_over: u64 = self.handovers.iter().map(|link| link.accounts).sum();
        self.exportable == 0 && handed_over < self.done
    }

    /// Items that are done or refused.
    pub fn treated(&self) -> u64 {
        self.done + self.refused
    }

    /// « Création de 80 utilisateurs techniques ».
    pub fn subject(&self) -> String {
        let (count, plural) = (filters::in_french(self.total), if self.total > 1 { "s" } else { "" });
        match self.act {
            BatchAct::Create => format!("Création de {count} utilisateur{plural} technique{plural}"),
            BatchAct::ResetPassword => format!("Réinitialisation de {count} mot{plural} de passe"),
            BatchAct::Suspend => format!("Suspension de {count} utilisateur{plural} technique{plural}"),
            BatchAct::Reactivate => format!("Réactivation de {count} utilisateur{plural} technique{plural}"),
        }
    }

    /// « 80 utilisateurs techniques créés », in whole sentences.
    pub fn result(&self) -> String {
        let (count, plural) = (filters::in_french(self.done), if self.done > 1 { "s" } else { "" });
        match self.act {
            BatchAct::Create => format!("{count} utilisateur{plural} technique{plural} créé{plural}."),
            BatchAct::ResetPassword => format!("{count} mot{plural} de passe réinitialisé{plural}."),
            BatchAct::Suspend => format!("{count} utilisateur{plural} technique{plural} suspendu{plural}."),
            BatchAct::Reactivate => format!("{count} utilisateur{plural} technique{plural} réactivé{plural}."),
        }
    }

    /// Rows that are done and that the page only counts.
    pub fn unlisted(&self) -> u64 {
        self.done.saturating_sub(self.done_rows.len() as u64)
    }
}

impl From<BatchRow> for ResultRow {
    fn from(row: BatchRow) -> Self {
        Self {
            structure: StructureName {
                id: row.structure_id,
                designation: row.designation,
                kind: row.identifier_type.code().to_owned(),
                identifier: row.identifier,
                active: row.structure_active,
            },
            account: row.account.map(|account| ResultAccount {
                id: account.id,
                login: account.login,
                label: account.label,
            }),
            refusal: row.refusal.map(ItemRefusal::words),
        }
    }
}
