use askama::Template;

use crate::web::filters;
use crate::web::layout::{Expiry, Layout, StructureName};
use crate::web::pages::members::RequestRow;
use crate::web::pagination::Pagination;

/// « Activités du gestionnaire ».
#[derive(Template)]
#[template(path = "activities/activities.html")]
pub struct ActivitiesPage {
    pub layout: Layout,
    /// « Demandes de rattachement », the oldest ones.
    pub requests: Vec<RequestRow>,
    /// How many wait in all.
    pub requests_total: u64,
    /// What was searched; empty: everything.
    pub query: String,
    /// Value, words, and whether it is chosen.
    pub due: [(&'static str, &'static str, bool); 2],
    pub order: [(&'static str, &'static str, bool); 2],
    /// Whether anything is left out.
    pub is_narrowed: bool,
    pub rows: Vec<ManagedStructureRow>,
    /// How many structures match.
    pub total: u64,
    pub pagination: Pagination,
}

/// One structure that the person manages.
pub struct ManagedStructureRow {
    pub structure: StructureName,
    pub technical_users: u64,
    /// The first of its technical users' passwords to expire.
    pub next_expiry: Option<Expiry>,
}
