//! « Modifier les restrictions »: the form, its steps, the check before « Confirmer », and the act.

use axum::{
    Form,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Redirect, Response},
};

use super::{
    pages::Account,
    restrictions_form::{Asked, Fields, RestrictionsForm, Step},
    restrictions_pages::{CallerRow, ChoiceRow, RestrictionsCheckPage, RestrictionsPage},
    restrictions_view::RestrictionsView,
};
use crate::{
    db::technical_users::restrictions::{self, Change, ChosenStructures, Restrictions},
    domain::restrictions::StructureChoice,
    web::{
        edge::{
            error::{AppError, page as render, page_with_status},
            state::AppState,
        },
        identity::{authority::ManagedAccount, fresh_form::FreshForm},
        paths,
        shell::{form::Errors, notice::Notice, values::StructureName},
    },
};

const STRUCTURES_PER_PAGE: u32 = 20;

/// The form with the present restrictions.
///
/// Three calls of `db`, which read what the page shows: restrictions, callers, structures.
pub async fn form(State(state): State<AppState>, managed: ManagedAccount) -> Result<Response, AppError> {
    let present = restrictions::read(&state.pool, &managed.account).await?;
    let form = RestrictionsForm::of(&present);
    render(&form_page(&state, &managed, (form, 1), &present, Errors::none()).await?)
}

/// A step of the form, which changes nothing: the form again, or the check of what it asks for.
///
/// Several calls of `db`, which read what the page shows: the present restrictions decide which
/// one.
pub async fn step(
    State(state): State<AppState>,
    managed: ManagedAccount,
    Form(fields): Form<Fields>,
) -> Result<Response, AppError> {
    let (form, step) = RestrictionsForm::read(&fields).ok_or(AppError::Unprocessable)?;
    let present = restrictions::read(&state.pool, &managed.account).await?;
    let number = if let Step::Page(number) = step { number.clamp(1, 100_000) } else { 1 };
    if step != Step::Verify {
        return render(&form_page(&state, &managed, (form, number), &present, Errors::none()).await?);
    }
    let errors = match form.asked() {
        Ok(asked) => match check(&state, &managed, form.clone(), &present, asked).await? {
            Some(page) => return render(&page),
            None => Errors::one("reseaux", "Vous n’avez rien modifié.".into()),
        },
        Err(errors) => errors,
    };
    let page = form_page(&state, &managed, (form, 1), &present, errors).await?;
    page_with_status(StatusCode::UNPROCESSABLE_ENTITY, &page)
}

/// « Confirmer ».
pub async fn confirm(
    State(state): State<AppState>,
    managed: ManagedAccount,
    FreshForm(fields): FreshForm<Fields>,
) -> Result<Response, AppError> {
    let (form, _) = RestrictionsForm::read(&fields).ok_or(AppError::Unprocessable)?;
    let Ok(Asked { networks, structures }) = form.asked() else { return Err(AppError::Unprocessable) };
    let change = Change { networks: &networks, structures: &structures, version: form.version };
    restrictions::change(&state.pool, &managed.visitor.actor, &managed.account, &change).await?;
    let page = paths::technical_user(managed.account.id());
    Ok(Redirect::to(&Notice::RestrictionsSaved.on(&page)).into_response())
}

async fn form_page(
    state: &AppState,
    managed: &ManagedAccount,
    (form, page): (RestrictionsForm, u32),
    present: &Restrictions,
    errors: Errors,
) -> Result<RestrictionsPage, AppError> {
    let account = &managed.account;
    let offset = i64::from(STRUCTURES_PER_PAGE) * i64::from(page - 1);
    let limit = i64::from(STRUCTURES_PER_PAGE);
    let (rows, total) = restrictions::page(&state.pool, account, form.search.trim(), offset, limit).await?;
    let callers = restrictions::callers(&state.pool, account).await?;
    let total = u64::try_from(total).unwrap_or_default();
    Ok(RestrictionsPage {
        layout: managed.layout(state, None),
        structure: StructureName::from(account.structure()),
        account: Account::from(managed),
        errors,
        callers: callers.into_iter().map(CallerRow::from).collect(),
        choices: rows.iter().map(|structure| ChoiceRow::new(structure, &form)).collect(),
        total,
        page,
        last_page: u32::try_from(total.div_ceil(STRUCTURES_PER_PAGE.into())).unwrap_or(u32::MAX).max(1),
        beyond: present.structures.as_ref().map_or(0, |chosen| chosen.beyond),
        form,
    })
}

/// The page that shows what would change; `None` where nothing would.
async fn check(
    state: &AppState,
    managed: &ManagedAccount,
    form: RestrictionsForm,
    present: &Restrictions,
    asked: Asked,
) -> Result<Option<RestrictionsCheckPage>, AppError> {
    let account = &managed.account;
    let after = after(state, managed, present, &asked).await?;
    let networks_change = present.networks != after.networks;
    let structures_change = ids(present) != ids(&after);
    if !networks_change && !structures_change {
        return Ok(None);
    }
    let callers = restrictions::callers(&state.pool, account).await?;
    let count = callers.len();
    let is_cut = |address: &str| {
        address.parse().is_ok_and(|address| present.networks.admits(address) && !after.networks.admits(address))
    };
    Ok(Some(RestrictionsCheckPage {
        layout: managed.layout(state, None),
        structure: StructureName::from(account.structure()),
        account: Account::from(managed),
        form,
        before: RestrictionsView::from(present),
        after: RestrictionsView::from(&after),
        cut: callers.into_iter().filter(|caller| is_cut(&caller.address)).map(CallerRow::from).collect(),
        callers: count,
        networks_change,
        structures_change,
    }))
}

/// The restrictions as they would be.
async fn after(
    state: &AppState,
    managed: &ManagedAccount,
    present: &Restrictions,
    asked: &Asked,
) -> Result<Restrictions, AppError> {
    let structures = match &asked.structures {
        StructureChoice::All => None,
        choice @ StructureChoice::Chosen(_) => {
            let within = restrictions::choosable(&state.pool, &managed.account, choice.ids()).await?;
            let beyond = present.structures.as_ref().map_or(0, |chosen| chosen.beyond);
            Some(ChosenStructures { within, beyond })
        }
    };
    Ok(Restrictions { networks: asked.networks.clone(), structures, version: present.version })
}

fn ids(restrictions: &Restrictions) -> Option<Vec<i64>> {
    let chosen = restrictions.structures.as_ref()?;
    Some(chosen.within.iter().map(|structure| structure.id).collect())
}
