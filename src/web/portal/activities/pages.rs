//! Views of this journey's pages.

use askama::Template;
use time::OffsetDateTime;

use crate::{
    db::technical_users::overview::{Order, OverviewRow, Wanted, WantedExpiry, WantedStatus},
    web::shell::{
        filters,
        layout::Layout,
        pagination::Pagination,
        values::{AccountStatus, Expiry, Id, StructureName},
    },
};

/// « Utilisateurs techniques » of all structures.
#[derive(Template)]
#[template(path = "activities/overview.html")]
pub struct OverviewPage {
    pub layout: Layout,
    pub selection: Selection,
    pub rows: Vec<AccountRow>,
    /// How many accounts match.
    pub total: u64,
    pub pagination: Pagination,
    pub csv_url: String,
}

/// What was searched, filtered and sorted by.
pub struct Selection {
    pub query: String,
    /// Value, words, and whether it is chosen.
    pub expiry: [(&'static str, &'static str, bool); 3],
    pub status: [(&'static str, &'static str, bool); 4],
    pub order: [(&'static str, &'static str, bool); 3],
    /// Whether anything is left out.
    pub is_narrowed: bool,
}

impl From<Wanted> for Selection {
    fn from(wanted: Wanted) -> Self {
        let Wanted { search, expiry, status, order } = wanted;
        Self {
            is_narrowed: !search.is_empty() || expiry != WantedExpiry::Any || status != WantedStatus::Any,
            query: search,
            expiry: [
                ("", "Toutes", expiry == WantedExpiry::Any),
                ("60-jours", "À renouveler sous 60 jours", expiry == WantedExpiry::Soon),
                ("expiree", "Expirées", expiry == WantedExpiry::Past),
            ],
            status: [
                ("", "Tous", status == WantedStatus::Any),
                ("actif", "Actifs", status == WantedStatus::Active),
                ("suspendu", "Suspendus", status == WantedStatus::Suspended),
                ("connu", "Connus d’un ancien gestionnaire", status == WantedStatus::KnownToAnother),
            ],
            order: [
                ("", "Échéance la plus proche", order == Order::Expiry),
                ("structure", "Nom de la structure", order == Order::Structure),
                ("appel", "Appel le plus récent", order == Order::LastCall),
            ],
        }
    }
}

/// One account.
pub struct AccountRow {
    pub id: Id,
    pub login: String,
    pub label: Option<String>,
    pub status: AccountStatus,
    pub structure: StructureName,
    pub expiry: Expiry,
    /// Whether the password was shown to a former principal manager.
    pub known_to_another: bool,
    pub last_call_at: Option<OffsetDateTime>,
}

impl AccountRow {
    pub fn status_of(row: &OverviewRow) -> AccountStatus {
        AccountStatus::new(row.status, row.days_left)
    }
}

impl From<OverviewRow> for AccountRow {
    fn from(row: OverviewRow) -> Self {
        Self {
            status: Self::status_of(&row),
            id: row.id,
            login: row.login,
            label: row.label,
            structure: StructureName {
                id: row.structure_id,
                designation: row.designation,
                kind: row.identifier_type,
                identifier: row.identifier,
                active: row.structure_active,
            },
            expiry: Expiry { at: row.expires_at, days_left: row.days_left.into() },
            known_to_another: row.known_to_another,
            last_call_at: row.last_call_at,
        }
    }
}
