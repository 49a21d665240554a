//! View types of this journey's pages.

use askama::Template;
use time::OffsetDateTime;

use crate::{
    db::technical_users::overview::{AccountFilter, ExpiryFilter, Order, OverviewRow, StatusFilter},
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
    /// The number of matching accounts.
    pub total: u64,
    pub pagination: Pagination,
    pub csv_url: String,
}

/// The search form: text, filters and order.
pub struct Selection {
    pub query: String,
    /// Value, label, and whether it is selected.
    pub expiry: [(&'static str, &'static str, bool); 3],
    pub status: [(&'static str, &'static str, bool); 4],
    pub order: [(&'static str, &'static str, bool); 3],
    /// Whether a filter is set.
    pub is_narrowed: bool,
}

impl From<AccountFilter> for Selection {
    fn from(filter: AccountFilter) -> Self {
        let AccountFilter { search, expiry, status, order } = filter;
        Self {
            is_narrowed: !search.is_empty() || expiry != ExpiryFilter::Any || status != StatusFilter::Any,
            query: search,
            expiry: [
                ("", "Toutes", expiry == ExpiryFilter::Any),
                ("60-jours", "À renouveler sous 60 jours", expiry == ExpiryFilter::Soon),
                ("expiree", "Expirées", expiry == ExpiryFilter::Past),
            ],
            status: [
                ("", "Tous", status == StatusFilter::Any),
                ("actif", "Actifs", status == StatusFilter::Active),
                ("suspendu", "Suspendus", status == StatusFilter::Suspended),
                ("connu", "Connus d’un ancien gestionnaire", status == StatusFilter::KnownToAnother),
            ],
            order: [
                ("", "Échéance la plus proche", order == Order::Expiry),
                ("structure", "Nom de la structure", order == Order::Structure),
                ("appel", "Appel le plus récent", order == Order::LastCall),
            ],
        }
    }
}

/// A row of the list.
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
                kind: row.identifier_type.code().to_owned(),
                identifier: row.identifier,
                active: row.structure_active,
            },
            expiry: Expiry { at: row.expires_at, days_left: row.days_left.into() },
            known_to_another: row.known_to_another,
            last_call_at: row.last_call_at,
        }
    }
}
