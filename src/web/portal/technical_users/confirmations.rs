//! Confirmation pages, with the content of the dialogs, for browsers without scripts.

use axum::{
    extract::State,
    response::{IntoResponse, Redirect, Response},
};

use super::pages::{Account, AccountAct, ConfirmationPage};
use crate::{
    domain::random,
    web::{
        edge::{
            error::{AppError, page},
            state::AppState,
        },
        identity::authority::ManagedAccount,
        paths,
        shell::values::StructureName,
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
    page(&ConfirmationPage {
        layout: managed.layout(state, None),
        structure: StructureName::from(managed.account.structure()),
        account: Account::from(managed),
        act,
        idempotency_token: random::token(&mut random::os_rng()),
    })
}
