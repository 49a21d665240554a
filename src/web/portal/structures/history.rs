//! « Historique »: the audit events of a structure and its accounts, searched and in pages.

use askama::Template;
use axum::{
    extract::{Query, State},
    http::StatusCode,
    response::{IntoResponse, Redirect, Response},
};
use futures_util::{StreamExt, TryStreamExt, stream};
use serde::Deserialize;

use crate::{
    db::structures::history::{self, Cursor, EventPage, EventSearch, Export, PastEvent},
    domain::{audit::Action, structure_identifier::in_login},
    french,
    web::{
        edge::{
            error::{AppError, page as render, page_with_status},
            state::{AppState, Downloader},
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

/// The query of the page's URL: the form, and where the page begins.
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
    /// The search, or the errors of the form. An unknown operation is ignored.
    fn search(&self) -> Result<EventSearch, Errors> {
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
        Ok(EventSearch {
            action: self.action(),
            from: from.and_then(french::beginning_of),
            until: until.and_then(|day| day.tomorrow().ok()).and_then(french::beginning_of),
            account: typed(&self.compte),
            person: typed(&self.personne),
        })
    }

    fn action(&self) -> Option<Action> {
        Action::OF_STRUCTURES.into_iter().find(|action| action.code() == self.operation)
    }

    fn cursor(&self) -> Cursor {
        match (self.avant.parse(), self.apres.parse()) {
            (Ok(id), _) => Cursor::Before(id),
            (_, Ok(id)) => Cursor::After(id),
            _ => Cursor::Newest,
        }
    }

    /// `base` with the form's values as query.
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

/// Reads an optional day. A text that is not a day is an error.
fn day(text: &str) -> Result<Option<jiff::civil::Date>, ()> {
    if text.trim().is_empty() { Ok(None) } else { french::parse_day(text).map(Some).ok_or(()) }
}

fn typed(text: &str) -> Option<String> {
    let text: String = text.trim().chars().filter(|c| !c.is_control()).take(200).collect();
    (!text.is_empty()).then_some(text)
}

/// One page of the history, with the search form.
pub async fn page(
    State(state): State<AppState>,
    managed: Managed,
    Query(query): Query<HistoryQuery>,
) -> Result<Response, AppError> {
    let here = paths::structure_history(managed.structure.id());
    let search = match query.search() {
        Ok(search) => search,
        Err(errors) => {
            let page = view(&state, &managed, &query, errors, None);
            return page_with_status(StatusCode::UNPROCESSABLE_ENTITY, &page);
        }
    };
    let cursor = query.cursor();
    let page = history::find(&state.pool, &managed.structure, &search, cursor, PER_PAGE).await?;
    if page.events.is_empty() && cursor != Cursor::Newest {
        return Err(AppError::NotFound);
    }
    if matches!(cursor, Cursor::After(_)) && !page.has_newer {
        // At the top: the URL of the first page, which is full and has newer events, too.
        return Ok(Redirect::to(&query.url(&here)).into_response());
    }
    let found = found(&query, &here, page, cursor);
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
        form: HistoryForm::from(query),
        errors,
        found,
    }
}

fn found(query: &HistoryQuery, here: &str, page: EventPage, cursor: Cursor) -> Found {
    let base = query.url(here);
    let link =
        |name: &str, event: Option<&PastEvent>| event.map(|event| before_value(&base, name) + &event.id.to_string());
    let newer = if page.has_newer { link("apres", page.events.first()) } else { None };
    let older = if page.has_older { link("avant", page.events.last()) } else { None };
    Found {
        csv_url: query.url(&format!("{here}.csv")),
        newest_url: (cursor != Cursor::Newest).then(|| base.clone()),
        newer,
        older,
        events: page.events.into_iter().map(Into::into).collect(),
    }
}

/// « Exporter (CSV) »: all events of the search, read while they are sent. An export is many short
/// statements on purpose, so that a slow reader holds no connection.
pub async fn csv(
    State(state): State<AppState>,
    managed: Managed,
    Query(query): Query<HistoryQuery>,
) -> Result<Response, AppError> {
    let search = query.search().map_err(|_| AppError::Unprocessable)?;
    let name = format!("historique-{}.csv", in_login(managed.structure.identifier()));
    let head = ["Date (heure de Paris)", "Opération", "Objet", "Précision", "Auteur", "Adresse IP"];
    let share = state.exports.take(Downloader::Person(managed.visitor.person.user_id), 1)?;
    let mut export = Export::begin(&state.pool, managed.structure, &search).await?;
    // The first rows are read before the answer begins: an error so far still gives an error page.
    let first = export.next_batch().await?;
    let rest =
        stream::try_unfold(
            export,
            |mut export| async move { Ok(export.next_batch().await?.map(|batch| (batch, export))) },
        );
    let batches = stream::iter(first.map(Ok::<_, sqlx::Error>)).chain(rest);
    export::stream(&name, share, head, batches.map_ok(|events| events.into_iter().map(row).collect()))
}

fn row(event: PastEvent) -> [String; 6] {
    let (at, label, author) = (export::instant(event.at), event.label().to_owned(), event.author().to_owned());
    [at, label, event.subject, event.detail, author, event.address]
}

/// « Historique ».
#[derive(Template)]
#[template(path = "structures/history.html")]
struct HistoryPage {
    layout: Layout,
    structure: StructureName,
    form: HistoryForm,
    errors: Errors,
    /// `None` if the form has errors.
    found: Option<Found>,
}

/// The search form, as typed.
struct HistoryForm {
    /// Value, label, and whether it is selected.
    operations: Vec<(&'static str, &'static str, bool)>,
    from: String,
    until: String,
    account: String,
    person: String,
    /// Whether a criterion is given.
    is_narrowed: bool,
}

impl From<&HistoryQuery> for HistoryForm {
    fn from(query: &HistoryQuery) -> Self {
        let HistoryQuery { du: from, au: until, compte: account, personne: person, .. } = query;
        let selected = query.action();
        let all = std::iter::once(("", "Toutes", selected.is_none()));
        let each =
            Action::OF_STRUCTURES.into_iter().map(|action| (action.code(), action.label(), selected == Some(action)));
        let is_typed = [from, until, account, person].iter().any(|text| !text.trim().is_empty());
        Self {
            operations: all.chain(each).collect(),
            from: from.clone(),
            until: until.clone(),
            account: account.clone(),
            person: person.clone(),
            is_narrowed: is_typed || selected.is_some(),
        }
    }
}

/// One page of the matching events.
struct Found {
    events: Vec<EventRow>,
    /// The first page's URL, on every other page.
    newest_url: Option<String>,
    newer: Option<String>,
    older: Option<String>,
    csv_url: String,
}
