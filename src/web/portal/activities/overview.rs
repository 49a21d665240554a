//! « Utilisateurs techniques »: those of all the manager's structures, in one list.

use axum::{
    extract::{Query, State},
    http::StatusCode,
    response::Response,
};
use futures_util::stream;
use serde::Deserialize;

use super::{
    choosing::{Choosing, Chosen, Fields},
    manager_id,
    pages::{AccountRow, BatchLink, DueLink, OverviewPage, Selection, acts, status_of_word},
};
use crate::{
    db::{
        page_data::{self as contents, OverviewContents, OverviewPart},
        technical_users::overview::{self, AccountFilter, Order, OverviewRow},
    },
    french,
    web::{
        edge::{
            error::{AppError, page as render, page_with_status},
            state::{AppState, Downloader},
        },
        identity::visitor::Visitor,
        paths,
        portal::export,
        shell::{
            layout::Tab,
            pagination::{Pagination, pages_of, url_of},
        },
    },
};

const PER_PAGE: u32 = 50;
/// Begins the names of the boxes.
pub(super) const BOX: &str = "compte-";
/// Accounts that an export reads, and holds in memory, at a time; of the others it holds the ids.
const PER_BATCH: usize = 200;

/// The form of the list, from the URL. Unknown values are ignored.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct OverviewQuery {
    recherche: String,
    etat: String,
    mois: String,
    tri: String,
    choix: String,
}

impl OverviewQuery {
    pub(crate) fn filter(&self) -> AccountFilter {
        AccountFilter {
            search: self.recherche.trim().chars().filter(|c| !c.is_control()).take(200).collect(),
            status: status_of_word(&self.etat),
            month: french::parse_month(&self.mois),
            order: match self.tri.as_str() {
                "structure" => Order::Structure,
                "appel" => Order::LastCall,
                _ => Order::Expiry,
            },
        }
    }

    pub(crate) fn choices(&self) -> [(&str, &String); 5] {
        [
            ("recherche", &self.recherche),
            ("etat", &self.etat),
            ("mois", &self.mois),
            ("tri", &self.tri),
            ("choix", &self.choix),
        ]
    }
}

/// The list, searched, filtered, sorted and paged.
pub async fn page(
    State(state): State<AppState>,
    visitor: Visitor,
    Query(query): Query<OverviewQuery>,
    Query(fields): Query<Fields>,
) -> Result<Response, AppError> {
    list(&state, &visitor, query, Chosen::of(&fields, BOX)).await
}

/// The list with what is chosen in it.
pub(super) async fn list(
    state: &AppState,
    visitor: &Visitor,
    query: OverviewQuery,
    chosen: Chosen,
) -> Result<Response, AppError> {
    let (filter, current, per_page) = (query.filter(), chosen.page, chosen.per_page(PER_PAGE));
    let offset = chosen.offset(PER_PAGE);
    let part = OverviewPart { filter: &filter, offset, limit: per_page.into(), session: &visitor.session };
    let OverviewContents { accounts, due, batch } = contents::overview(&state.pool, manager_id(visitor)?, part).await?;
    if accounts.is_empty() && current > 1 {
        return Err(AppError::NotFound);
    }
    let total = accounts.first().map_or(0, |row| row.total.unsigned_abs());
    let acts = acts(chosen.act, filter.status);
    let rows = (accounts.iter().map(|row| row.id), total);
    let choosing = Choosing::new(chosen, paths::OVERVIEW, &query.choices(), rows);
    answer(&OverviewPage {
        layout: state.layout(&visitor.person, Tab::Activities, None),
        due: DueLink::of(due, filter.status),
        rows: accounts.into_iter().map(AccountRow::from).collect(),
        total,
        pagination: Pagination::new(current, total, per_page, pages_of(paths::OVERVIEW, &query.choices())),
        csv_url: url_of(paths::OVERVIEW_CSV, &query.choices()),
        choosing,
        acts,
        batch: batch.map(BatchLink::from),
        selection: Selection::from(filter),
    })
}

fn answer(page: &OverviewPage) -> Result<Response, AppError> {
    if page.choosing.errors().is_empty() {
        render(page)
    } else {
        page_with_status(StatusCode::UNPROCESSABLE_ENTITY, page)
    }
}

/// « Exporter (CSV) »: the whole list, read while it is sent. The accounts and their order are read
/// once at the beginning, so none comes twice; each batch is a short statement of its own, so a
/// slow reader holds no connection.
pub async fn csv(
    State(state): State<AppState>,
    visitor: Visitor,
    Query(query): Query<OverviewQuery>,
) -> Result<Response, AppError> {
    let manager_id = manager_id(&visitor)?;
    let share = state.exports.take(Downloader::Person(visitor.person.user_id), 1)?;
    let ids = overview::ids(&state.pool, manager_id, &query.filter()).await?;
    let head = [
        "Libellé",
        "Identifiant de connexion",
        "Structure",
        "Type d’identifiant",
        "Identifiant",
        "Statut",
        "Adresse de contact",
        "Échéance du mot de passe (heure de Paris)",
        "Dernier appel (heure de Paris)",
        "En échec",
        "Connu d’un ancien gestionnaire",
        "Connu d’un intégrateur",
    ];
    let batches = stream::try_unfold((state.pool.clone(), ids, 0), move |(pool, ids, from)| async move {
        let batch = &ids[from..ids.len().min(from + PER_BATCH)];
        if batch.is_empty() {
            return Ok::<_, sqlx::Error>(None);
        }
        let (rows, next) = (overview::rows(&pool, manager_id, batch).await?, from + batch.len());
        Ok(Some((rows.into_iter().map(line).collect(), (pool, ids, next))))
    });
    export::stream("utilisateurs-techniques.csv", share, head, batches)
}

fn line(row: OverviewRow) -> [String; 12] {
    let status = AccountRow::status_of(&row).label().to_owned();
    let last_call = row.last_call_at.map(export::instant).unwrap_or_default();
    let expiry = export::instant(row.expires_at);
    let label = row.label.unwrap_or_default();
    let (kind, identifier) = (row.identifier_type.code().to_owned(), row.identifier);
    let yes = |holds: bool| if holds { "Oui" } else { "Non" }.to_owned();
    let (known, failing) = (yes(row.known_to_another), yes(row.failing));
    let known_to_integrator = yes(row.known_to_integrator);
    [
        label,
        row.login,
        row.designation,
        kind,
        identifier,
        status,
        row.contact_address,
        expiry,
        last_call,
        failing,
        known,
        known_to_integrator,
    ]
}
