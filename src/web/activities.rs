//! « Activités du gestionnaire »: the structures that a person is principal manager of.

use axum::{
    extract::{Query, State},
    response::Response,
};
use serde::Deserialize;

use super::{
    error::{AppError, page as render},
    layout::{Expiry, NoticeQuery, StructureName, Tab},
    pages::{
        activities::{ActivitiesPage, ManagedStructureRow},
        members::RequestRow,
    },
    pagination::{PageQuery, Pagination, pages_of},
    paths,
    state::AppState,
    visitor::Visitor,
};
use crate::db::{
    membership_requests,
    structures::{self, StructureRow, Wanted},
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
    // A page past the end, after a change of search: nothing there, but the first page may have something.
    if rows.is_empty() && current > 1 {
        return Err(AppError::NotFound);
    }
    let requests = membership_requests::of_manager(&state.pool, visitor.person.user_id, MOST_REQUESTS).await?;
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
