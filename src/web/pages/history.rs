use askama::Template;

use crate::domain::audit::Action;
use crate::web::filters;
use crate::web::layout::{Errors, EventRow, Layout, StructureName};

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
