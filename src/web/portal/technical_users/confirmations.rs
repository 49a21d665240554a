//! Confirmation pages, with the content of the dialogs, for browsers without scripts.

use axum::{
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Redirect, Response},
};

use super::{
    delivery::Delivery,
    handover_view::HandoverView,
    pages::{Account, AccountAct, ConfirmationPage},
};
use crate::{
    db::technical_users::handovers,
    domain::random,
    web::{
        edge::{
            error::{AppError, page, page_with_status},
            state::AppState,
        },
        identity::authority::ManagedAccount,
        paths,
        shell::{form::Errors, values::StructureName},
    },
};

type Answer = Result<Response, AppError>;

pub async fn reset_password(State(state): State<AppState>, managed: ManagedAccount) -> Answer {
    confirmation(&state, &managed, AccountAct::ResetPassword)
}

/// Goes to the account's page if the old password no longer works.
pub async fn end_former_password(State(state): State<AppState>, managed: ManagedAccount) -> Answer {
    if managed.account.account().former_until.is_none() {
        return Ok(Redirect::to(&paths::technical_user(managed.account.id())).into_response());
    }
    confirmation(&state, &managed, AccountAct::EndFormerPassword)
}

/// Goes to the account's page if no link waits.
pub async fn revoke_handover(State(state): State<AppState>, managed: ManagedAccount) -> Answer {
    let handover = handovers::of_account(&state.pool, &managed.account).await?.present.map(HandoverView::from);
    let Some(waiting) = handover.filter(HandoverView::is_waiting) else {
        return Ok(Redirect::to(&paths::technical_user(managed.account.id())).into_response());
    };
    let confirmation = confirmation_page(&state, &managed, AccountAct::RevokeHandover);
    page(&ConfirmationPage { handover: Some(waiting), ..confirmation })
}

pub async fn suspend(State(state): State<AppState>, managed: ManagedAccount) -> Answer {
    confirmation(&state, &managed, AccountAct::Suspend)
}

pub async fn reactivate(State(state): State<AppState>, managed: ManagedAccount) -> Answer {
    confirmation(&state, &managed, AccountAct::Reactivate)
}

pub async fn delete(State(state): State<AppState>, managed: ManagedAccount) -> Answer {
    confirmation(&state, &managed, AccountAct::Delete)
}

fn confirmation(state: &AppState, managed: &ManagedAccount, act: AccountAct) -> Answer {
    page(&confirmation_page(state, managed, act))
}

fn confirmation_page(state: &AppState, managed: &ManagedAccount, act: AccountAct) -> ConfirmationPage {
    ConfirmationPage {
        layout: managed.layout(state, None),
        structure: StructureName::from(managed.account.structure()),
        account: Account::from(managed),
        act,
        delivery: Delivery::default(),
        handover: None,
        errors: Errors::none(),
        idempotency_token: random::token(&mut random::os_rng()),
    }
}

/// The reset again, where what becomes of the old password was not chosen. It keeps the form's
/// token and the version that the form was made for.
pub fn reset_without_choice(
    state: &AppState,
    managed: &ManagedAccount,
    token: String,
    version: i32,
    delivery: Delivery,
) -> Answer {
    let mut page = confirmation_page(state, managed, AccountAct::ResetPassword);
    let message = "Choisissez ce que devient l’ancien mot de passe\u{a0}: ce compte a appelé l’API il y a moins de \
        24\u{a0}heures. Rien n’est encore changé.";
    page.errors = Errors::one("ancien", message.to_owned());
    page.account.credential_version = version;
    page.idempotency_token = token;
    page.delivery = delivery;
    page_with_status(StatusCode::UNPROCESSABLE_ENTITY, &page)
}
