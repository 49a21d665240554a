//! Technical users: the page of one, and its creation, label, reset, suspension and deletion.

pub mod activity_view;
pub mod batches;
pub mod concerns;
pub mod confirmations;
pub mod creation;
pub mod delivery;
pub mod handover;
pub mod handover_link;
pub mod handover_pages;
pub mod handover_view;
pub mod label;
pub mod pages;
mod program_file;
pub mod restrictions;
pub mod restrictions_form;
pub mod restrictions_pages;
pub mod restrictions_view;
mod sheet;
pub mod summary;

use axum::{
    extract::{Query, State},
    response::{IntoResponse, Redirect, Response},
};
use serde::Deserialize;

use crate::{
    db::technical_users::{ChangeError, changes, details, former_passwords, idempotency::Once, reset::Reset},
    domain::{envelope::IssuedPassword, random, rotation::Grace, technical_user::TechnicalUserStatus},
    web::{
        edge::{
            error::{AppError, page as render},
            state::AppState,
        },
        identity::{
            authority::ManagedAccount,
            fresh_form::{FreshForm, Nothing},
            visitor::Visitor,
        },
        paths,
        shell::{
            form::{Errors, is_form_token},
            notice::{Notice, NoticeQuery},
            values::StructureName,
        },
    },
    work_queue::QueueKey,
};
use activity_view::ActivityView;
use concerns::{Concern, Remedy, SecretState};
use delivery::Delivery;
use handover_view::HandoverView;
use pages::{Account, Outgoing, TechnicalUserPage};
use restrictions_view::RestrictionsView;

const EVENTS_ON_PAGE: u32 = 10;
const LABEL_TAKEN: &str =
    "Un autre utilisateur technique de la structure porte déjà ce libellé. Choisissez-en un autre.";

/// Generates and hashes a password for the visitor.
async fn issue(state: &AppState, visitor: &Visitor) -> Result<IssuedPassword, AppError> {
    state.issue_password(QueueKey::Person(visitor.person.user_id)).await
}

/// Refuses what cannot be an idempotency token of a form.
fn check_token(token: &str) -> Result<(), AppError> {
    if is_form_token(token) { Ok(()) } else { Err(AppError::Unprocessable) }
}

/// Shows the account.
pub async fn page(
    State(state): State<AppState>,
    managed: ManagedAccount,
    Query(notice): Query<NoticeQuery>,
) -> Result<Response, AppError> {
    let label = managed.account.account().label.clone().unwrap_or_default();
    render(&account_page(&state, &managed, label, Errors::none(), notice.notice()).await?)
}

async fn account_page(
    state: &AppState,
    managed: &ManagedAccount,
    label: String,
    errors: Errors,
    notice: Option<Notice>,
) -> Result<TechnicalUserPage, AppError> {
    let account = &managed.account;
    let details = details::read(&state.pool, account, &managed.visitor.session, EVENTS_ON_PAGE).await?;
    let handovers = details.handovers;
    let secret = SecretState::new(account.account(), details.is_waiting, handovers.present.as_ref());
    let concerns = Concern::of(account, &secret, details.suspension, handovers.present.as_ref());
    Ok(TechnicalUserPage {
        layout: managed.layout(state, notice),
        structure: StructureName::from(account.structure()),
        account: Account::from(managed),
        remedy: concerns.first().map_or(Remedy::Nothing, Concern::remedy),
        concerns,
        secret,
        handover: handovers.present.map(HandoverView::from),
        former_handover: handovers.former.map(HandoverView::from),
        restrictions: RestrictionsView::from(&details.restrictions),
        activity: ActivityView::from(details.activity),
        label,
        errors,
        events: details.events.into_iter().map(Into::into).collect(),
        idempotency_token: random::token(&mut random::os_rng()),
    })
}

#[derive(Debug, Deserialize)]
pub struct ResetForm {
    jeton: String,
    version: i32,
    /// How long the old password keeps working, in hours.
    #[serde(default)]
    ancien: Option<String>,
    /// What becomes of the new one.
    #[serde(default)]
    affichage: Delivery,
}

/// « Réinitialiser le mot de passe (utilisateur technique) », confirmed: resets the password and
/// goes to its récapitulatif, or to its hand-over. The same form posted again resets nothing. Where
/// programs use the password at present, the form must say what becomes of it.
///
/// Two calls of `db`, since the costly hash of the password comes between them.
pub async fn reset_password(
    State(state): State<AppState>,
    managed: ManagedAccount,
    FreshForm(form): FreshForm<ResetForm>,
) -> Result<Response, AppError> {
    check_token(&form.jeton)?;
    let account = &managed.account;
    let grace = match form.ancien.as_deref() {
        Some(hours) => Grace::parse(hours).ok_or(AppError::Unprocessable)?,
        None if Outgoing::of(account.account()).must_be_judged() => {
            return confirmations::reset_without_choice(&state, &managed, form.jeton, form.version, form.affichage);
        }
        None => Grace::None,
    };
    let actor = &managed.visitor.actor;
    let session = &managed.visitor.session;
    let reset = Reset { actor, account, credential_version: form.version, grace, session, token: &form.jeton };
    if let Once::Open(open) = reset.find(&state.pool).await? {
        let issued = issue(&state, &managed.visitor).await?;
        open.complete(&state.pool, &issued, state.settings.account_rules, &mut random::os_rng()).await?;
    }
    Ok(Redirect::to(&form.affichage.next(account.id())).into_response())
}

impl From<ChangeError> for AppError {
    fn from(error: ChangeError) -> Self {
        match error {
            ChangeError::NotManager(_) | ChangeError::Deleted => Self::NotFound,
            ChangeError::ResetMeanwhile | ChangeError::RestrictedMeanwhile | ChangeError::FormReused(_) => {
                Self::Conflict
            }
            ChangeError::OutsideRights => Self::Unprocessable,
            ChangeError::Database(error) => error.into(),
        }
    }
}

/// « Supprimer l’ancien mot de passe maintenant », confirmed.
pub async fn end_former_password(
    State(state): State<AppState>,
    managed: ManagedAccount,
    FreshForm(Nothing {}): FreshForm<Nothing>,
) -> Result<Redirect, AppError> {
    former_passwords::end_now(&state.pool, &managed.visitor.actor, &managed.account).await?;
    Ok(Redirect::to(&Notice::FormerPasswordEnded.on(&paths::technical_user(managed.account.id()))))
}

/// « Suspendre », confirmed.
pub async fn suspend(
    State(state): State<AppState>,
    managed: ManagedAccount,
    FreshForm(Nothing {}): FreshForm<Nothing>,
) -> Result<Redirect, AppError> {
    change_status(&state, &managed, TechnicalUserStatus::Suspended).await?;
    Ok(Redirect::to(&Notice::Suspended.on(&paths::technical_user(managed.account.id()))))
}

/// « Réactiver », confirmed.
pub async fn reactivate(
    State(state): State<AppState>,
    managed: ManagedAccount,
    FreshForm(Nothing {}): FreshForm<Nothing>,
) -> Result<Redirect, AppError> {
    change_status(&state, &managed, TechnicalUserStatus::Active).await?;
    Ok(Redirect::to(&Notice::Reactivated.on(&paths::technical_user(managed.account.id()))))
}

/// « Supprimer », confirmed.
pub async fn delete(
    State(state): State<AppState>,
    managed: ManagedAccount,
    FreshForm(Nothing {}): FreshForm<Nothing>,
) -> Result<Redirect, AppError> {
    change_status(&state, &managed, TechnicalUserStatus::Deleted).await?;
    Ok(Redirect::to(&Notice::Deleted.on(&paths::structure(managed.account.structure().id()))))
}

async fn change_status(
    state: &AppState,
    managed: &ManagedAccount,
    status: TechnicalUserStatus,
) -> Result<(), AppError> {
    Ok(changes::change_status(&state.pool, &managed.visitor.actor, &managed.account, status).await?)
}
