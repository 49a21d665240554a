//! Acts on several structures or accounts: what was chosen in the lists, what follows, and the
//! confirmation that begins a batch.

use axum::{
    extract::{Query, State},
    http::StatusCode,
    response::{IntoResponse, Redirect, Response},
};
use serde::Deserialize;

use super::{
    BOX, SearchQuery,
    choice_pages::{BatchCheckPage, ChosenRow, FormState},
    choosing::{Chosen, Fields, page_of, row_id, with_ticked},
    manager_id,
    overview::{self as overview_list, OverviewQuery},
};
use crate::{
    db::{
        structures::list,
        technical_users::{
            batches::{self, BatchOrder, BeginError, ChosenAccount, NewBatch, preview},
            overview,
        },
    },
    domain::{
        batch::{BatchAct, MOST_ITEMS},
        random,
        rotation::Grace,
        technical_user::Label,
    },
    web::{
        edge::{
            error::{AppError, page as render, page_with_status},
            state::AppState,
        },
        identity::{fresh_form::FreshForm, visitor::Visitor},
        paths,
        shell::{
            form::{Errors, FieldError, is_form_token},
            notice::{Notice, NoticeQuery},
        },
    },
};

type Answer = Result<Response, AppError>;

/// What an act on the chosen accounts would do; the list again, if nothing or no act was chosen.
///
/// Two calls of `db`: all that the filter finds is found first.
pub async fn accounts(
    State(state): State<AppState>,
    visitor: Visitor,
    Query(query): Query<OverviewQuery>,
    Query(fields): Query<Fields>,
) -> Answer {
    let manager_id = manager_id(&visitor)?;
    let chosen = Chosen::of(&fields, overview_list::BOX);
    let ids =
        if chosen.is_all { overview::ids(&state.pool, manager_id, &query.filter()).await? } else { chosen.ids.clone() };
    let rows = preview::accounts(&state.pool, manager_id, first(&ids)).await?;
    let mut errors = nothing_of(rows.is_empty());
    let Some(act) = chosen.act.filter(|_| errors.is_empty()) else {
        if chosen.act.is_none() {
            errors.0.push(FieldError { field: "acte", message: "Choisissez une action.".into() });
        }
        return overview_list::list(&state, &visitor, query, chosen.corrected(errors)).await;
    };
    let list = page_of(paths::OVERVIEW, &query.choices(), &chosen);
    let page = BatchCheckPage::of_accounts(&state, &visitor, act, rows, FormState::new());
    show(&page.choosing_from(list, &ids))
}

/// What creations in the chosen structures would do; the list again, if nothing was chosen.
///
/// Two calls of `db`: all that the filter finds is found first.
pub async fn structures(
    State(state): State<AppState>,
    visitor: Visitor,
    Query(query): Query<SearchQuery>,
    Query(fields): Query<Fields>,
) -> Answer {
    let manager_id = manager_id(&visitor)?;
    let chosen = Chosen::of(&fields, BOX);
    let ids = if chosen.is_all {
        list::ids(&state.pool, manager_id, &query.filter(), i64::MAX).await?
    } else {
        chosen.ids.clone()
    };
    let (rows, reach) = preview::structures(&state.pool, manager_id, first(&ids)).await?;
    let errors = nothing_of(rows.is_empty());
    if !errors.is_empty() {
        return super::list(&state, &visitor, query, chosen.corrected(errors), NoticeQuery::default()).await;
    }
    let list = page_of(paths::ACTIVITIES, &query.choices(), &chosen);
    let page = BatchCheckPage::of_structures(&state, &visitor, rows, reach.unsigned_abs(), FormState::new());
    show(&page.choosing_from(list, &ids))
}

/// As many as a batch takes.
fn first(ids: &[i64]) -> &[i64] {
    &ids[..ids.len().min(MOST_ITEMS)]
}

fn nothing_of(is_nothing: bool) -> Errors {
    let message = "Cochez au moins une ligne, ou choisissez toute la liste.";
    if is_nothing { Errors::one("lignes", message.into()) } else { Errors::none() }
}

fn show(page: &BatchCheckPage) -> Answer {
    if page.errors.is_empty() { render(page) } else { page_with_status(StatusCode::UNPROCESSABLE_ENTITY, page) }
}

#[derive(Debug, Deserialize)]
pub struct ConfirmForm {
    acte: String,
    jeton: String,
    /// Structures, or accounts each with the number of its password, with spaces between them.
    choisis: String,
    #[serde(default)]
    libelle: String,
    /// How long old passwords keep working, in hours.
    #[serde(default)]
    ancien: Option<String>,
    /// The page of the list from which it was chosen.
    #[serde(default)]
    retour: String,
}

/// Begins the batch, or finds the one that the same form began, and goes to its page.
///
/// Several calls of `db` where the form is shown again.
pub async fn confirm(
    State(state): State<AppState>,
    visitor: Visitor,
    FreshForm(form): FreshForm<ConfirmForm>,
) -> Answer {
    let manager_id = manager_id(&visitor)?;
    let act = BatchAct::parse(&form.acte).ok_or(AppError::Unprocessable)?;
    let order = match order_of(act, &form)? {
        Ok(order) => order,
        Err(errors) => return again(&state, &visitor, act, form, errors).await,
    };
    let new =
        NewBatch { actor: &visitor.actor, manager_id, session: &visitor.session, token: &form.jeton, order: &order };
    let batch_id = match batches::begin(&state.pool, new).await {
        Ok(batch_id) => batch_id,
        Err(BeginError::UnderWay(other)) => {
            return Ok(Redirect::to(&Notice::BatchUnderWay.on(&paths::batch(other))).into_response());
        }
        Err(error) => return Err(error.into()),
    };
    state.batches.notify_one();
    Ok(Redirect::to(&paths::batch(batch_id)).into_response())
}

impl From<BeginError> for AppError {
    fn from(error: BeginError) -> Self {
        match error {
            BeginError::SessionEnded => Self::SignInRequired { expired: true, return_to: None },
            BeginError::UnderWay(_) | BeginError::FormReused => Self::Conflict,
            BeginError::Nothing => Self::NotFound,
            BeginError::Database(error) => error.into(),
        }
    }
}

/// Reads the form: the order, or what is to be corrected.
fn order_of(act: BatchAct, form: &ConfirmForm) -> Result<Result<BatchOrder, Errors>, AppError> {
    let count = form.choisis.split_whitespace().count();
    if !is_form_token(&form.jeton) || count == 0 || count > MOST_ITEMS {
        return Err(AppError::Unprocessable);
    }
    if act == BatchAct::Create {
        let structures = structure_ids(&form.choisis)?;
        return Ok(match Label::parse(&form.libelle) {
            Ok(label) => Ok(BatchOrder::Create { structures, label }),
            Err(error) => Err(Errors::one("libelle", error.to_string())),
        });
    }
    let accounts = chosen_accounts(&form.choisis)?;
    Ok(match act {
        BatchAct::Suspend => Ok(BatchOrder::Suspend { accounts }),
        BatchAct::Reactivate => Ok(BatchOrder::Reactivate { accounts }),
        BatchAct::Create | BatchAct::ResetPassword => match form.ancien.as_deref() {
            Some(hours) => {
                let grace = Grace::parse(hours).ok_or(AppError::Unprocessable)?;
                Ok(BatchOrder::ResetPassword { accounts, grace })
            }
            None => Err(Errors::one("ancien", "Choisissez ce que deviennent les anciens mots de passe.".into())),
        },
    })
}

fn structure_ids(text: &str) -> Result<Vec<i64>, AppError> {
    text.split_whitespace().map(|id| row_id(id).ok_or(AppError::Unprocessable)).collect()
}

/// Reads `7.2 9.1`: accounts, each with the number of its password.
fn chosen_accounts(text: &str) -> Result<Vec<ChosenAccount>, AppError> {
    let read = |chosen: &str| {
        let (id, version) = chosen.split_once('.')?;
        Some(ChosenAccount { id: row_id(id)?, credential_version: version.parse().ok()? })
    };
    text.split_whitespace().map(|chosen| read(chosen).ok_or(AppError::Unprocessable)).collect()
}

/// Shows the form again, with what was typed.
async fn again(state: &AppState, visitor: &Visitor, act: BatchAct, form: ConfirmForm, errors: Errors) -> Answer {
    let manager_id = manager_id(visitor)?;
    let list = if form.retour.starts_with(paths::ACTIVITIES) { form.retour } else { paths::ACTIVITIES.to_owned() };
    let shown = FormState { token: form.jeton, label: form.libelle, errors };
    if act == BatchAct::Create {
        let ids = structure_ids(&form.choisis)?;
        let (rows, reach) = preview::structures(&state.pool, manager_id, &ids).await?;
        let page = BatchCheckPage::of_structures(state, visitor, rows, reach.unsigned_abs(), shown);
        return show(&page.choosing_from(list, &ids));
    }
    let ids: Vec<i64> = chosen_accounts(&form.choisis)?.iter().map(|account| account.id).collect();
    let rows = preview::accounts(&state.pool, manager_id, &ids).await?;
    show(&BatchCheckPage::of_accounts(state, visitor, act, rows, shown).choosing_from(list, &ids))
}

impl FormState {
    /// A form that was not sent yet.
    fn new() -> Self {
        Self { token: random::token(&mut random::os_rng()), label: String::new(), errors: Errors::none() }
    }
}

impl BatchCheckPage {
    /// The page with its way back to `list`, where these rows are ticked again.
    fn choosing_from(self, list: String, ids: &[i64]) -> Self {
        let left_out = ids.len().saturating_sub(MOST_ITEMS) as u64;
        Self { left_out, back: with_ticked(&list, first(ids)), list, ..self }
    }

    /// The value of the hidden field that carries what was chosen.
    pub fn carried(&self) -> String {
        self.doable.iter().map(ChosenRow::carried).collect::<Vec<_>>().join(" ")
    }
}
