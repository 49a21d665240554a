//! « Activités du gestionnaire »: the structures that a person is principal manager of.

pub mod calendar;
pub mod overview;
pub mod pages;

use askama::Template;
use axum::{
    extract::{Query, State},
    response::Response,
};
use serde::Deserialize;
use time::OffsetDateTime;

use crate::{
    db::{
        members::requests::{self, PendingRequest},
        structures::{self, StructureRow, Wanted},
    },
    web::{
        edge::{
            error::{AppError, page as render},
            state::AppState,
        },
        identity::visitor::Visitor,
        paths,
        shell::{
            filters,
            layout::{Layout, Tab},
            notice::NoticeQuery,
            pagination::{PageQuery, Pagination, pages_of},
            values::{Expiry, Id, StructureName},
        },
    },
};

const PER_PAGE: u32 = 20;
/// Requests that are shown at a time; answering some shows the next ones.
const MOST_REQUESTS: i64 = 20;

#[derive(Debug, Default, Deserialize)]
pub struct SearchQuery {
    #[serde(default)]
    recherche: String,
    #[serde(default)]
    echeance: String,
    #[serde(default)]
    tri: String,
}

/// The list, searched and paged.
///
/// # Errors
/// Forbidden for who is principal manager of nothing; [`AppError`].
pub async fn page(
    State(state): State<AppState>,
    visitor: Visitor,
    Query(query): Query<SearchQuery>,
    Query(page): Query<PageQuery>,
    Query(notice): Query<NoticeQuery>,
) -> Result<Response, AppError> {
    if !visitor.person.is_principal_manager {
        return Err(AppError::Forbidden);
    }
    let wanted = Wanted {
        search: query.recherche.trim().chars().filter(|c| !c.is_control()).take(200).collect(),
        due_soon: query.echeance == "60-jours",
        by_expiry: query.tri == "echeance",
    };
    let current = page.number();
    let offset = i64::from((current - 1) * PER_PAGE);
    let rows =
        structures::page_of_managed(&state.pool, visitor.person.user_id, &wanted, offset, PER_PAGE.into()).await?;
    // A page past the end, after a change of search: nothing there, but the first page may have
    // something.
    if rows.is_empty() && current > 1 {
        return Err(AppError::NotFound);
    }
    let requests = requests::of_manager(&state.pool, visitor.person.user_id, MOST_REQUESTS).await?;
    let total = rows.first().map_or(0, |row| row.total.unsigned_abs());
    let Wanted { search, due_soon, by_expiry } = wanted;
    let due = [("", "Toutes", !due_soon), ("60-jours", "À renouveler sous 60 jours", due_soon)];
    let order = [("", "Nom", !by_expiry), ("echeance", "Prochaine échéance", by_expiry)];
    let chosen = [("recherche", &search), ("echeance", &query.echeance), ("tri", &query.tri)];
    let base = pages_of(paths::ACTIVITIES, &chosen);
    render(&ActivitiesPage {
        layout: state.layout(&visitor.person, Tab::Activities, notice.notice()),
        requests_total: requests.first().map_or(0, |request| request.total.unsigned_abs()),
        requests: requests.into_iter().map(RequestRow::from).collect(),
        is_narrowed: due_soon || !search.is_empty(),
        query: search,
        due,
        order,
        rows: rows.into_iter().map(ManagedStructureRow::from).collect(),
        total,
        pagination: Pagination::new(current, total, PER_PAGE, base),
    })
}

impl From<StructureRow> for ManagedStructureRow {
    fn from(row: StructureRow) -> Self {
        let next_expiry = row.next_expiry.zip(row.next_expiry_days);
        Self {
            structure: StructureName {
                id: row.id,
                designation: row.designation,
                kind: row.identifier_type,
                identifier: row.identifier,
                active: row.active,
            },
            technical_users: row.technical_users.unsigned_abs(),
            next_expiry: next_expiry.map(|(at, days)| Expiry { at, days_left: days.into() }),
        }
    }
}

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

/// A request that waits for the visitor's answer.
pub struct RequestRow {
    pub id: Id,
    pub name: String,
    pub login: String,
    pub structure_id: Id,
    pub designation: String,
    pub at: OffsetDateTime,
}

impl From<PendingRequest> for RequestRow {
    fn from(request: PendingRequest) -> Self {
        Self {
            id: request.id,
            name: request.full_name,
            login: request.login,
            structure_id: request.structure_id,
            designation: request.designation,
            at: request.created_at,
        }
    }
}
