//! « Retirer de plusieurs structures »: for a member who leaves, a list of the structures that the
//! manager shares with them, a check, and the act.

use axum::{
    Form,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Redirect},
};
use serde::Deserialize;

use super::{
    Answer,
    pages::{RemovalRow, RemovalsCheckPage, RemovalsPage},
};
use crate::{
    db::members::removals::{self, MOST, SharedMembership},
    web::{
        edge::{
            error::{AppError, page, page_with_status},
            state::AppState,
        },
        identity::{authority::ManagedMembership, fresh_form::FreshForm},
        paths,
        shell::{
            form::Errors,
            layout::Tab,
            notice::Notice,
            values::{MemberView, StructureName},
        },
    },
};

/// Fields as they are sent: `rattachement-7` for a ticked box.
type Fields = Vec<(String, String)>;

/// The list, with every structure ticked.
pub async fn form(State(state): State<AppState>, membership: ManagedMembership) -> Answer {
    let shared = removals::shared(&state.pool, &membership.managed).await?;
    page(&form_page(&state, &membership, shared, |_| true, Errors::none()))
}

/// What was ticked, before it is confirmed; or, from there, the list again. Changes nothing.
pub async fn check(State(state): State<AppState>, membership: ManagedMembership, Form(fields): Form<Fields>) -> Answer {
    let shared = removals::shared(&state.pool, &membership.managed).await?;
    if let Some((_, carried)) = fields.iter().find(|(name, _)| name == "choisis") {
        let chosen = ids(carried);
        return page(&form_page(&state, &membership, shared, |id| chosen.contains(&id), Errors::none()));
    }
    let ticked: Vec<i64> =
        fields.iter().filter_map(|(name, _)| name.strip_prefix("rattachement-")?.parse().ok()).collect();
    let chosen: Vec<RemovalRow> = shared
        .iter()
        .filter(|shared| ticked.contains(&shared.membership_id))
        .map(|shared| RemovalRow::new(shared, true))
        .collect();
    if chosen.is_empty() {
        let errors = Errors::one("rattachement", "Choisissez au moins une structure.".into());
        let page = form_page(&state, &membership, shared, |_| false, errors);
        return page_with_status(StatusCode::UNPROCESSABLE_ENTITY, &page);
    }
    page(&RemovalsCheckPage {
        layout: state.layout(&membership.visitor.person, Tab::Activities, None),
        structure: StructureName::from(membership.managed.structure()),
        member: MemberView::from(membership.managed.member()),
        count: chosen.len() as u64,
        rows: chosen,
    })
}

fn form_page(
    state: &AppState,
    membership: &ManagedMembership,
    mut shared: Vec<SharedMembership>,
    is_chosen: impl Fn(i64) -> bool,
    errors: Errors,
) -> RemovalsPage {
    let has_more = shared.len() > MOST;
    shared.truncate(MOST);
    RemovalsPage {
        layout: state.layout(&membership.visitor.person, Tab::Activities, None),
        structure: StructureName::from(membership.managed.structure()),
        member: MemberView::from(membership.managed.member()),
        rows: shared.iter().map(|shared| RemovalRow::new(shared, is_chosen(shared.membership_id))).collect(),
        count: shared.len() as u64,
        has_more,
        errors,
    }
}

#[derive(Deserialize)]
pub struct ConfirmedForm {
    /// The chosen memberships, with commas between them.
    choisis: String,
}

/// « Confirmer ».
pub async fn confirm(
    State(state): State<AppState>,
    membership: ManagedMembership,
    FreshForm(form): FreshForm<ConfirmedForm>,
) -> Result<impl IntoResponse, AppError> {
    let chosen = ids(&form.choisis);
    if chosen.is_empty() || chosen.len() > MOST {
        return Err(AppError::Unprocessable);
    }
    let removed = removals::remove(&state.pool, &membership.visitor.actor, &membership.managed, &chosen).await?;
    if removed == 0 {
        return Err(AppError::NotFound);
    }
    let structure = paths::structure(membership.managed.structure().id());
    Ok(Redirect::to(&Notice::MemberRemovedFromSeveral.on(&structure)))
}

/// Reads numbers with commas between them; what is no number is left out.
fn ids(text: &str) -> Vec<i64> {
    text.split(',').filter_map(|id| id.parse().ok()).collect()
}
