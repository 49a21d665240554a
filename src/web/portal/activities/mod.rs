//! « Activités du gestionnaire »: the structures that a person is principal manager of.

pub mod calendar;
pub mod choice;
mod choice_pages;
mod choosing;
pub mod overview;
mod pages;

use askama::Template;
use axum::{
    extract::{Query, State},
    http::StatusCode,
    response::Response,
};
use serde::Deserialize;
use time::OffsetDateTime;

use self::{
    choosing::{Choosing, Chosen, Fields},
    pages::{BatchLink, DueLink},
};
use crate::{
    db::{
        members::{offers::OwnOffer, requests::PendingRequest},
        page_data::{self as contents, ActivitiesContents, ActivitiesPart},
        refused_addresses::RefusedInvitation,
        structures::list::{StructureFilter, StructureOrder, StructureRow},
        technical_users::overview::StatusFilter,
    },
    web::{
        edge::{
            error::{AppError, page as render, page_with_status},
            state::AppState,
        },
        identity::visitor::Visitor,
        paths,
        shell::{
            filters,
            layout::{Layout, Tab},
            notice::NoticeQuery,
            pagination::{Pagination, pages_of},
            values::{Expiry, Id, StructureName},
        },
    },
};

const PER_PAGE: u32 = 20;
/// Begins the names of the boxes.
const BOX: &str = "structure-";
/// Requests on the page; answering some makes room for the next ones.
const MOST_REQUESTS: i64 = 20;
/// Refused invitations on the page.
const MOST_REFUSED: i64 = 5;

#[derive(Debug, Default, Deserialize)]
pub struct SearchQuery {
    #[serde(default)]
    recherche: String,
    #[serde(default)]
    echeance: String,
    #[serde(default)]
    tri: String,
    #[serde(default)]
    choix: String,
}

impl SearchQuery {
    fn choices(&self) -> [(&str, &String); 4] {
        [("recherche", &self.recherche), ("echeance", &self.echeance), ("tri", &self.tri), ("choix", &self.choix)]
    }

    /// Unknown values are ignored.
    fn filter(&self) -> StructureFilter {
        StructureFilter {
            search: self.recherche.trim().chars().filter(|c| !c.is_control()).take(200).collect(),
            due_soon: self.echeance == "60-jours",
            order: if self.tri == "echeance" { StructureOrder::Expiry } else { StructureOrder::Name },
        }
    }
}

/// The visitor's id, if they are a principal manager.
fn manager_id(visitor: &Visitor) -> Result<i64, AppError> {
    if visitor.person.is_principal_manager { Ok(visitor.person.user_id) } else { Err(AppError::Forbidden) }
}

/// The list, searched and paged. Only principal managers may open it.
pub async fn page(
    State(state): State<AppState>,
    visitor: Visitor,
    Query(query): Query<SearchQuery>,
    Query(fields): Query<Fields>,
    Query(notice): Query<NoticeQuery>,
) -> Result<Response, AppError> {
    list(&state, &visitor, query, Chosen::of(&fields, BOX), notice).await
}

/// The list with what is chosen in it.
async fn list(
    state: &AppState,
    visitor: &Visitor,
    query: SearchQuery,
    chosen: Chosen,
    notice: NoticeQuery,
) -> Result<Response, AppError> {
    let manager_id = manager_id(visitor)?;
    let filter = query.filter();
    let (current, per_page) = (chosen.page, chosen.per_page(PER_PAGE));
    let part = ActivitiesPart {
        filter: &filter,
        offset: chosen.offset(PER_PAGE),
        limit: per_page.into(),
        requests: MOST_REQUESTS,
        refused_invitations: MOST_REFUSED,
        contact_address: &visitor.person.contact_address,
        session: &visitor.session,
    };
    let contents = contents::activities(&state.pool, manager_id, part).await?;
    let ActivitiesContents { structures, requests, offers, due, is_address_refused, refused_invitations, batch } =
        contents;
    // Past the last page, after a change of search for example.
    if structures.is_empty() && current > 1 {
        return Err(AppError::NotFound);
    }
    let total = structures.first().map_or(0, |row| row.total.unsigned_abs());
    let StructureFilter { search, due_soon, order } = filter;
    let is_narrowed = due_soon || !search.is_empty();
    let by_expiry = order == StructureOrder::Expiry;
    let rows = (structures.iter().map(|row| row.id), total);
    let choosing = Choosing::new(chosen, paths::ACTIVITIES, &query.choices(), rows);
    answer(&ActivitiesPage {
        layout: state.layout(&visitor.person, Tab::Activities, notice.notice()),
        requests_total: requests.first().map_or(0, |request| request.total.unsigned_abs()),
        requests: requests.into_iter().map(RequestRow::from).collect(),
        offers,
        refused: RefusedAddresses { is_own: is_address_refused, invitations: refused_invitations },
        due: DueLink::of(due, StatusFilter::Any),
        is_narrowed,
        is_single: !is_narrowed && total == 1,
        max_technical_users: state.settings.account_rules.max_per_structure.unsigned_abs(),
        choosing,
        batch: batch.map(BatchLink::from),
        query: search,
        deadlines: [("", "Toutes", !due_soon), ("60-jours", "À renouveler sous 60 jours", due_soon)],
        order: [("", "Nom", !by_expiry), ("echeance", "Prochaine échéance", by_expiry)],
        rows: structures.into_iter().map(ManagedStructureRow::from).collect(),
        total,
        pagination: Pagination::new(current, total, per_page, pages_of(paths::ACTIVITIES, &query.choices())),
    })
}

fn answer(page: &ActivitiesPage) -> Result<Response, AppError> {
    if page.choosing.errors().is_empty() {
        render(page)
    } else {
        page_with_status(StatusCode::UNPROCESSABLE_ENTITY, page)
    }
}

impl From<StructureRow> for ManagedStructureRow {
    fn from(row: StructureRow) -> Self {
        let next_expiry = row.next_expiry.zip(row.next_expiry_days);
        Self {
            structure: StructureName {
                id: row.id,
                designation: row.designation,
                kind: row.identifier_type.code().to_owned(),
                identifier: row.identifier,
                active: row.active,
            },
            technical_users: row.technical_users.unsigned_abs(),
            next_expiry: next_expiry.map(|(at, days)| Expiry { at, days_left: days.into(), there: None }),
        }
    }
}

/// « Activités du gestionnaire ».
#[derive(Template)]
#[template(path = "activities/activities.html")]
struct ActivitiesPage {
    layout: Layout,
    /// The oldest pending requests.
    requests: Vec<RequestRow>,
    /// The number of pending requests, listed or not.
    requests_total: u64,
    /// Structures that the visitor is offered.
    offers: Vec<OwnOffer>,
    refused: RefusedAddresses,
    /// How rows are chosen for an act on several.
    choosing: Choosing,
    batch: Option<BatchLink>,
    /// The search text, or empty.
    query: String,
    /// What is to be done about technical users.
    due: Vec<DueLink>,
    /// Whether the visitor manages one structure, which needs no list.
    is_single: bool,
    max_technical_users: u64,
    /// Value, label, and whether it is selected.
    deadlines: [(&'static str, &'static str, bool); 2],
    order: [(&'static str, &'static str, bool); 2],
    /// Whether a filter is set.
    is_narrowed: bool,
    rows: Vec<ManagedStructureRow>,
    /// The number of matching structures.
    total: u64,
    pagination: Pagination,
}

/// Addresses that refuse mails, and that the visitor can correct.
struct RefusedAddresses {
    /// Whether the visitor's is one.
    is_own: bool,
    /// The first of people whom the visitor invited.
    invitations: Vec<RefusedInvitation>,
}

/// A structure that the visitor manages.
struct ManagedStructureRow {
    structure: StructureName,
    technical_users: u64,
    /// The expiry of the password that expires first.
    next_expiry: Option<Expiry>,
}

/// A request that the visitor may answer.
struct RequestRow {
    id: Id,
    name: String,
    login: String,
    structure_id: Id,
    designation: String,
    at: OffsetDateTime,
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
