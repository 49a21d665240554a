//! « Historique »: all that happened to a structure and its accounts, narrowed by what a reader
//! looks for.

use askama::Template;
use axum::{
    extract::{Query, State},
    http::StatusCode,
    response::{IntoResponse, Redirect, Response},
};
use futures_util::stream;
use serde::Deserialize;
use sqlx::PgPool;

use crate::{
    db::structures::{
        ManagedStructure,
        history::{self, EventPage, PastEvent, Place, Wanted},
    },
    domain::audit::Action,
    french,
    web::{
        edge::{
            error::{AppError, page as render, page_with_status},
            state::AppState,
        },
        identity::authority::Managed,
        paths,
        portal::export,
        shell::{
            filters,
            form::{Errors, FieldError},
            layout::Layout,
            pagination::{before_value, url_of},
            values::{EventRow, StructureName},
        },
    },
};

const PER_PAGE: u32 = 50;
/// Events that an export reads at a time: what it holds in memory, however long the history is.
const PER_BATCH: u32 = 1_000;

/// The form, as the page's URL carries it, and the place where the page begins.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct HistoryQuery {
    operation: String,
    du: String,
    au: String,
    compte: String,
    personne: String,
    avant: String,
    apres: String,
}

impl HistoryQuery {
    /// What is looked for, but for whose it is ([`Self::named`]); or what is to be mended in the
    /// form. An act that is none of ours chooses nothing.
    fn wanted(&self) -> Result<Wanted, Errors> {
        let (from, until) = (day(&self.du), day(&self.au));
        let mut errors = Vec::new();
        for (field, name, day) in [("du", "Du", &from), ("au", "Au", &until)] {
            if day.is_err() {
                let message =
                    format!("«\u{202f}{name}\u{202f}»\u{a0}: indiquez une date du calendrier, par exemple 24/01/2026.");
                errors.push(FieldError { field, message });
            }
        }
        let (Ok(from), Ok(until)) = (from, until) else { return Err(Errors(errors)) };
        if from.zip(until).is_some_and(|(from, until)| from > until) {
            let message = "Période\u{a0}: la date de fin doit être celle du début, ou venir après elle.".to_owned();
            return Err(Errors(vec![FieldError { field: "au", message }]));
        }
        Ok(Wanted {
            action: Action::OF_STRUCTURES.into_iter().find(|action| action.code() == self.operation),
            from: from.and_then(french::beginning_of),
            until: until.and_then(|day| day.tomorrow().ok()).and_then(french::beginning_of),
            ..Wanted::default()
        })
    }

    /// The same of the accounts and people that the form names, who are looked up once: an export
    /// reads many pages.
    async fn named(&self, wanted: Wanted, pool: &PgPool, structure: &ManagedStructure) -> sqlx::Result<Wanted> {
        let accounts = match typed(&self.compte) {
            Some(text) => Some(history::accounts(pool, structure, &text).await?),
            None => None,
        };
        let actors = match typed(&self.personne) {
            Some(text) => Some(history::actors(pool, structure, &text).await?),
            None => None,
        };
        Ok(Wanted { accounts, actors, ..wanted })
    }

    fn place(&self) -> Place {
        match (self.avant.parse(), self.apres.parse()) {
            (Ok(id), _) => Place::Before(id),
            (_, Ok(id)) => Place::After(id),
            _ => Place::Newest,
        }
    }

    /// The form alone, as a URL carries it after `base`.
    fn url(&self, base: &str) -> String {
        let pairs = [
            ("operation", &self.operation),
            ("du", &self.du),
            ("au", &self.au),
            ("compte", &self.compte),
            ("personne", &self.personne),
        ];
        url_of(base, &pairs)
    }
}

/// A day that may be left out; what is typed and is none is an error.
fn day(text: &str) -> Result<Option<jiff::civil::Date>, ()> {
    if text.trim().is_empty() { Ok(None) } else { french::parse_day(text).map(Some).ok_or(()) }
}

fn typed(text: &str) -> Option<String> {
    let text: String = text.trim().chars().filter(|c| !c.is_control()).take(200).collect();
    (!text.is_empty()).then_some(text)
}

/// One page of the history, and the form that narrows it.
pub async fn page(
    State(state): State<AppState>,
    managed: Managed,
    Query(query): Query<HistoryQuery>,
) -> Result<Response, AppError> {
    let here = paths::structure_history(managed.structure.id());
    let wanted = match query.wanted() {
        Ok(wanted) => wanted,
        Err(errors) => {
            let page = view(&state, &managed, &query, errors, None);
            return page_with_status(StatusCode::UNPROCESSABLE_ENTITY, &page);
        }
    };
    let wanted = query.named(wanted, &state.pool, &managed.structure).await?;
    let place = query.place();
    let page = history::page(&state.pool, &managed.structure, &wanted, place, PER_PAGE).await?;
    if page.events.is_empty() && place != Place::Newest {
        return Err(AppError::NotFound);
    }
    if matches!(place, Place::After(_)) && !page.has_newer {
        // At the top: the first page, whole, with what has been added meanwhile.
        return Ok(Redirect::to(&query.url(&here)).into_response());
    }
    let found = found(&query, &here, page, place);
    render(&view(&state, &managed, &query, Errors::none(), Some(found)))
}

fn view(
    state: &AppState,
    managed: &Managed,
    query: &HistoryQuery,
    errors: Errors,
    found: Option<Found>,
) -> HistoryPage {
    HistoryPage {
        layout: managed.layout(state, None),
        structure: StructureName::from(&managed.structure),
        form: HistoryForm::new(&query.operation, &query.du, &query.au, &query.compte, &query.personne),
        errors,
        found,
    }
}

fn found(query: &HistoryQuery, here: &str, page: EventPage, place: Place) -> Found {
    let base = query.url(here);
    let link =
        |name: &str, event: Option<&PastEvent>| event.map(|event| before_value(&base, name) + &event.id.to_string());
    let newer = if page.has_newer { link("apres", page.events.first()) } else { None };
    let older = if page.has_older { link("avant", page.events.last()) } else { None };
    Found {
        csv_url: query.url(&format!("{here}.csv")),
        newest_url: (place != Place::Newest).then(|| base.clone()),
        newer,
        older,
        events: page.events.into_iter().map(Into::into).collect(),
    }
}

/// « Exporter (CSV) »: all that the list shows, on all its pages, read as it is sent.
pub async fn csv(
    State(state): State<AppState>,
    managed: Managed,
    Query(query): Query<HistoryQuery>,
) -> Result<Response, AppError> {
    let wanted = query.wanted().map_err(|_| AppError::Unprocessable)?;
    let wanted = query.named(wanted, &state.pool, &managed.structure).await?;
    let name = format!("historique-{}.csv", managed.structure.identifier());
    let head = ["Date (heure de Paris)", "Opération", "Objet", "Précision", "Auteur", "Adresse IP"];
    let mut export =
        Export { pool: state.pool.clone(), structure: managed.structure, wanted, place: Some(Place::Newest) };
    // The first rows before the answer begins: where they cannot be had, a page says so.
    let first = export.next_batch().await?;
    let rest =
        stream::try_unfold(
            export,
            |mut export| async move { Ok(export.next_batch().await?.map(|batch| (batch, export))) },
        );
    let batches = stream::StreamExt::chain(stream::iter(first.map(Ok::<_, sqlx::Error>)), rest);
    export::stream(&name, head, batches)
}

/// An export under way. Each batch is a short statement of its own, so a reader who is slow holds
/// no connection.
struct Export {
    pool: PgPool,
    structure: ManagedStructure,
    wanted: Wanted,
    /// Where the next batch begins; `None` after the last one.
    place: Option<Place>,
}

impl Export {
    async fn next_batch(&mut self) -> sqlx::Result<Option<Vec<[String; 6]>>> {
        let Some(place) = self.place else { return Ok(None) };
        let page = history::page(&self.pool, &self.structure, &self.wanted, place, PER_BATCH).await?;
        self.place = page.events.last().filter(|_| page.has_older).map(|event| Place::Before(event.id));
        Ok(Some(page.events.into_iter().map(row).collect()))
    }
}

fn row(event: PastEvent) -> [String; 6] {
    let (at, label) = (export::instant(event.at), event.label().to_owned());
    [at, label, event.subject, event.detail, event.actor, event.address]
}

/// « Historique »: the structure's audit events, narrowed and in pages.
#[derive(Template)]
#[template(path = "structures/history.html")]
pub struct HistoryPage {
    pub layout: Layout,
    pub structure: StructureName,
    pub form: HistoryForm,
    pub errors: Errors,
    /// `None` where the form is to be mended first.
    pub found: Option<Found>,
}

/// What the history is narrowed by, as typed.
pub struct HistoryForm {
    /// Value, words, and whether it is chosen.
    pub operations: Vec<(&'static str, &'static str, bool)>,
    pub from: String,
    pub until: String,
    pub account: String,
    pub person: String,
    /// Whether anything is left out.
    pub is_narrowed: bool,
}

impl HistoryForm {
    pub fn new(operation: &str, from: &str, until: &str, account: &str, person: &str) -> Self {
        let chosen = Action::OF_STRUCTURES.into_iter().find(|action| action.code() == operation);
        let all = std::iter::once(("", "Toutes", chosen.is_none()));
        let each =
            Action::OF_STRUCTURES.into_iter().map(|action| (action.code(), action.label(), chosen == Some(action)));
        let is_typed = [from, until, account, person].iter().any(|text| !text.trim().is_empty());
        Self {
            operations: all.chain(each).collect(),
            from: from.to_owned(),
            until: until.to_owned(),
            account: account.to_owned(),
            person: person.to_owned(),
            is_narrowed: is_typed || chosen.is_some(),
        }
    }
}

/// One page of the events that match.
pub struct Found {
    pub events: Vec<EventRow>,
    /// The first page's URL, on every other page.
    pub newest_url: Option<String>,
    pub newer: Option<String>,
    pub older: Option<String>,
    pub csv_url: String,
}
