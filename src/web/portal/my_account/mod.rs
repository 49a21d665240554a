//! « Mon compte »: a person's own data, password, memberships and sessions.

pub mod pages;
pub mod second_factor;

use axum::{
    Form,
    extract::{Path, Query, State},
    http::StatusCode,
    response::{IntoResponse, Redirect, Response},
};
use serde::Deserialize;

use crate::{
    db::identity::{self, sessions},
    domain::{
        contact_address::ContactAddress,
        person::{TypedPassword, check_chosen_password},
        random,
    },
    hashing::QueueKey,
    web::{
        edge::{
            error::{AppError, page as render, page_with_status, rate_limited},
            state::AppState,
        },
        identity::{
            fresh_form::{FreshForm, Nothing},
            verification::{self, Verdict},
            visitor::Visitor,
        },
        paths,
        shell::{
            form::{Errors, FieldError},
            layout::Tab,
            notice::{Notice, NoticeQuery},
            pagination::{PageQuery, Pagination},
        },
    },
};
use pages::MyAccountPage;

const MEMBERSHIPS_PER_PAGE: u32 = 20;

/// The page.
pub async fn page(
    State(state): State<AppState>,
    visitor: Visitor,
    Query(notice): Query<NoticeQuery>,
    Query(query): Query<PageQuery>,
) -> Result<Response, AppError> {
    let current = query.number();
    let contact_address = visitor.person.contact_address.clone();
    render(&my_account_page(&state, &visitor, contact_address, Errors::none(), (notice.notice(), current)).await?)
}

async fn my_account_page(
    state: &AppState,
    visitor: &Visitor,
    contact_address: String,
    errors: Errors,
    (notice, current): (Option<Notice>, u32),
) -> Result<MyAccountPage, AppError> {
    let person = &visitor.person;
    let facts = identity::account_facts(&state.pool, person.user_id).await?;
    let offset = i64::from((current - 1) * MEMBERSHIPS_PER_PAGE);
    let memberships = identity::memberships(&state.pool, person.user_id, offset, MEMBERSHIPS_PER_PAGE.into()).await?;
    let total = memberships.first().map_or(0, |row| row.total.unsigned_abs());
    let sessions = sessions::open_sessions(&state.pool, person.user_id, &visitor.session).await?;
    Ok(MyAccountPage {
        layout: state.layout(person, Tab::MyAccount, notice),
        display_name: format!("{} {}", person.first_name, person.last_name),
        login: person.login.clone(),
        has_second_factor: person.has_second_factor,
        last_sign_in: facts.previous_sign_in,
        contact_address,
        technical_users: facts.technical_users.unsigned_abs(),
        errors,
        memberships: memberships.into_iter().map(Into::into).collect(),
        memberships_total: total,
        pagination: Pagination::new(current, total, MEMBERSHIPS_PER_PAGE, format!("{}?page=", paths::MY_ACCOUNT)),
        sessions: sessions.into_iter().map(Into::into).collect(),
    })
}

async fn refused(
    state: &AppState,
    visitor: &Visitor,
    contact_address: String,
    field: &'static str,
    message: String,
) -> Result<Response, AppError> {
    let errors = Errors(vec![FieldError { field, message }]);
    let page = my_account_page(state, visitor, contact_address, errors, (None, 1)).await?;
    page_with_status(StatusCode::UNPROCESSABLE_ENTITY, &page)
}

#[derive(Deserialize)]
pub struct ContactAddressForm {
    #[serde(rename = "adresse-de-contact")]
    contact_address: String,
}

/// Keeps the new contact address, which the technical users follow at once (rule 6).
pub async fn change_contact_address(
    State(state): State<AppState>,
    visitor: Visitor,
    FreshForm(form): FreshForm<ContactAddressForm>,
) -> Result<Response, AppError> {
    let address = match ContactAddress::parse(&form.contact_address) {
        Ok(address) => address,
        Err(error) => {
            return refused(&state, &visitor, form.contact_address, "adresse-de-contact", error.to_string()).await;
        }
    };
    let wait = identity::change_contact_address(&state.pool, &visitor.actor, visitor.person.user_id, &address).await?;
    if let Some(seconds) = wait {
        let message =
            "Vous avez modifié cette adresse plusieurs fois en peu de temps. Réessayez dans une heure.".into();
        let page = refused(&state, &visitor, form.contact_address, "adresse-de-contact", message).await?;
        return Ok(rate_limited(page, seconds));
    }
    let has_accounts = identity::account_facts(&state.pool, visitor.person.user_id).await?.technical_users > 0;
    let notice = if has_accounts { Notice::AccountsContactAddressSaved } else { Notice::ContactAddressSaved };
    Ok(Redirect::to(&notice.on(paths::MY_ACCOUNT)).into_response())
}

#[derive(Deserialize)]
pub struct PasswordForm {
    #[serde(rename = "mot-de-passe-actuel")]
    current: TypedPassword,
    #[serde(rename = "nouveau-mot-de-passe")]
    new: TypedPassword,
}

/// Changes the person's own password, which ends her other sessions.
pub async fn change_password(
    State(state): State<AppState>,
    visitor: Visitor,
    Form(form): Form<PasswordForm>,
) -> Result<Response, AppError> {
    let person = &visitor.person;
    let refuse = |field, message: String| refused(&state, &visitor, person.contact_address.clone(), field, message);
    let known = identity::known_words(&state.pool, person.user_id).await?;
    if let Err(error) = check_chosen_password(&form.new, &known) {
        return refuse("nouveau-mot-de-passe", error.to_string()).await;
    }
    // Who holds a stolen session must not be able to guess here either.
    let network = format!("session:{}", person.user_id);
    match verification::judge_own_password(&state, person, &network, form.current).await? {
        Verdict::Right => {}
        Verdict::Wait(seconds) => return Err(AppError::TooManyRequests { seconds }),
        Verdict::Wrong => {
            return refuse("mot-de-passe-actuel", "Le mot de passe actuel est incorrect.".into()).await;
        }
    }
    let hash = state.hasher.hash(QueueKey::Person(person.user_id), form.new, &mut random::os_rng()).await?;
    identity::change_password(&state.pool, &visitor.actor, person.user_id, &hash, &visitor.session).await?;
    Ok(Redirect::to(&Notice::OwnPasswordChanged.on(paths::MY_ACCOUNT)).into_response())
}

/// « Fermer cette session ».
pub async fn close_session(
    State(state): State<AppState>,
    visitor: Visitor,
    Path(id): Path<String>,
    FreshForm(Nothing {}): FreshForm<Nothing>,
) -> Result<Redirect, AppError> {
    let id = id.parse().map_err(|_| AppError::NotFound)?;
    sessions::close(&state.pool, &visitor.actor, id).await?;
    Ok(Redirect::to(&Notice::SessionClosed.on(paths::MY_ACCOUNT)))
}
