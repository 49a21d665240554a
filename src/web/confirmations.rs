//! What must be confirmed, on a page of its own: the dialogs' content for browsers without scripts.

use axum::{extract::State, response::Response};

use super::{
    error::{AppError, page},
    layout::StructureName,
    pages::technical_users::{Account, AccountAct, ConfirmationPage},
    state::AppState,
    visitor::ManagedAccount,
};
use crate::domain::random;

type Answer = Result<Response, AppError>;

pub async fn reset_password(State(state): State<AppState>, managed: ManagedAccount) -> Answer {
    confirmation(&state, &managed, AccountAct::ResetPassword)
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
        account: Account::new(&managed.account, &managed.visitor.person, false),
        act,
        idempotency_token: random::token(&mut random::os_rng()),
    })
}
