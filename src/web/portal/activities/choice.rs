//! Acts on several structures or accounts: what was chosen in the lists, what follows, and the
//! confirmation that begins a batch.

use axum::{
    extract::{Query, State},
    http::StatusCode,
    response::{IntoResponse, Redirect, Response},
};
use serde::Deserialize;

use super::{
    SearchQuery,
    choice_pages::{BatchCheckPage, ChosenRow, FormState},
    manager_id,
    overview::OverviewQuery,
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
            form::{Errors, is_form_token},
            notice::Notice,
            pagination::url_of,
        },
    },
};

type Answer = Result<Response, AppError>;
/// Fields as they are sent: `compte-7` for a ticked box.
type Fields = Vec<(String, String)>;

/// What was ticked, by the beginning of the boxes' names.
fn ticked(fields: &Fields, prefix: &str) -> Vec<i64> {
    fields.iter().filter_map(|(name, _)| name.strip_prefix(prefix)?.parse().ok()).collect()
}

fn is_all(fields: &Fields) -> bool {
    fields.iter().any(|(name, value)| name == "portee" && value == "tous")
}

/// What an act on the chosen accounts would do.
///
/// Two calls of `db`: all that the filter finds is found first.
pub async fn accounts(
    State(state): State<AppState>,
    visitor: Visitor,
    Query(query): Query<OverviewQuery>,
    Query(fields): Query<Fields>,
) -> Answer {
    let manager_id = manager_id(&visitor)?;
    let wanted = fields.iter().find(|(name, _)| name == "acte").map_or("", |(_, value)| value.as_str());
    let Some(act) = BatchAct::parse(wanted).filter(|act| *act != BatchAct::Create) else {
        return Ok(Redirect::to(paths::OVERVIEW).into_response());
    };
    let chosen = if is_all(&fields) {
        overview::ids(&state.pool, manager_id, &query.filter()).await?
    } else {
        ticked(&fields, "compte-")
    };
    let back = url_of(paths::OVERVIEW, &query.choices());
    check_accounts(&state, &visitor, act, (&chosen, &back), FormState::new()).await
}

async fn check_accounts(
    state: &AppState,
    visitor: &Visitor,
    act: BatchAct,
    (chosen, back): (&[i64], &str),
    form: FormState,
) -> Answer {
    let first = &chosen[..chosen.len().min(MOST_ITEMS)];
    let rows = preview::accounts(&state.pool, manager_id(visitor)?, first).await?;
    let page = BatchCheckPage::of_accounts(state, visitor, act, rows, form);
    show(&BatchCheckPage { left_out: chosen.len().saturating_sub(MOST_ITEMS) as u64, back: back.to_owned(), ..page })
}

/// What creations in the chosen structures would do.
///
/// Two calls of `db`: all that the filter finds is found first.
pub async fn structures(
    State(state): State<AppState>,
    visitor: Visitor,
    Query(query): Query<SearchQuery>,
    Query(fields): Query<Fields>,
) -> Answer {
    let manager_id = manager_id(&visitor)?;
    let chosen = if is_all(&fields) {
        list::ids(&state.pool, manager_id, &query.filter(), i64::MAX).await?
    } else {
        ticked(&fields, "structure-")
    };
    let back = url_of(paths::ACTIVITIES, &query.choices());
    check_structures(&state, &visitor, (&chosen, &back), FormState::new()).await
}

async fn check_structures(
    state: &AppState,
    visitor: &Visitor,
    (chosen, back): (&[i64], &str),
    form: FormState,
) -> Answer {
    let first = &chosen[..chosen.len().min(MOST_ITEMS)];
    let (rows, reach) = preview::structures(&state.pool, manager_id(visitor)?, first).await?;
    let page = BatchCheckPage::of_structures(state, visitor, rows, reach.unsigned_abs(), form);
    show(&BatchCheckPage { left_out: chosen.len().saturating_sub(MOST_ITEMS) as u64, back: back.to_owned(), ..page })
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
    /// Where « Annuler » leads, for the page that shows the form again.
    #[serde(default)]
    retour: String,
}

/// « Confirmer »: begins the batch, or finds the one that the same form began, and goes to its
/// page.
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
    text.split_whitespace().map(|id| id.parse().map_err(|_| AppError::Unprocessable)).collect()
}

/// Reads `7.2 9.1`: accounts, each with the number of its password.
fn chosen_accounts(text: &str) -> Result<Vec<ChosenAccount>, AppError> {
    let read = |chosen: &str| {
        let (id, version) = chosen.split_once('.')?;
        Some(ChosenAccount { id: id.parse().ok()?, credential_version: version.parse().ok()? })
    };
    text.split_whitespace().map(|chosen| read(chosen).ok_or(AppError::Unprocessable)).collect()
}

/// Shows the form again, with what was typed.
async fn again(state: &AppState, visitor: &Visitor, act: BatchAct, form: ConfirmForm, errors: Errors) -> Answer {
    let back = if form.retour.starts_with(paths::ACTIVITIES) { form.retour.as_str() } else { paths::ACTIVITIES };
    let shown = FormState { token: form.jeton, label: form.libelle, errors };
    if act == BatchAct::Create {
        return check_structures(state, visitor, (&structure_ids(&form.choisis)?, back), shown).await;
    }
    let ids: Vec<i64> = chosen_accounts(&form.choisis)?.iter().map(|account| account.id).collect();
    check_accounts(state, visitor, act, (&ids, back), shown).await
}

impl FormState {
    /// A form that was not sent yet.
    fn new() -> Self {
        Self { token: random::token(&mut random::os_rng()), label: String::new(), errors: Errors::none() }
    }
}

impl BatchCheckPage {
    /// The value of the hidden field that carries what was chosen.
    pub fn carried(&self) -> String {
        self.doable.iter().map(ChosenRow::carried).collect::<Vec<_>>().join(" ")
    }
}
