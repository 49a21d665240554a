//! « Mon compte »: a person's own data, password, memberships and sessions.

pub mod departure;
pub mod identities;
pub mod offers;
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
    db::identity::{
        account::{self, PasswordChange, PasswordChanged, Slice},
        contact_addresses::{self, AddressChange, Resent},
        locks::VerifiedPassword,
        passwords, sessions,
    },
    domain::{
        contact_address::ContactAddress,
        person::{TypedPassword, check_chosen_password},
        random,
    },
    web::{
        edge::{
            error::{AppError, page as render, page_with_status, rate_limited},
            state::AppState,
        },
        identity::{
            fresh_form::{FreshForm, Nothing},
            session::{Browser, NextId},
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
    work_queue::QueueKey,
};
use pages::{MyAccountPage, SecondFactorPlace, Unconfirmed};

const MEMBERSHIPS_PER_PAGE: u32 = 20;

/// The page.
pub async fn page(
    State(state): State<AppState>,
    visitor: Visitor,
    Query(notice): Query<NoticeQuery>,
    Query(query): Query<PageQuery>,
) -> Result<Response, AppError> {
    let shown = Shown {
        contact_address: visitor.person.contact_address.clone(),
        errors: Errors::none(),
        notice: notice.notice(),
        page: query.number(),
    };
    render(&my_account_page(&state, &visitor, shown).await?)
}

/// What a page of the account shows beside what the database has.
struct Shown {
    /// As it was typed.
    contact_address: String,
    errors: Errors,
    notice: Option<Notice>,
    /// The page of the memberships, from 1.
    page: u32,
}

async fn my_account_page(state: &AppState, visitor: &Visitor, shown: Shown) -> Result<MyAccountPage, AppError> {
    let person = &visitor.person;
    let offset = i64::from((shown.page - 1) * MEMBERSHIPS_PER_PAGE);
    let slice = Slice { offset, limit: MEMBERSHIPS_PER_PAGE.into() };
    let account = account::find(&state.pool, person.user_id, &visitor.session, slice).await?;
    let total = account.memberships.first().map_or(0, |row| row.total.unsigned_abs());
    Ok(MyAccountPage {
        layout: state.layout(person, Tab::MyAccount, shown.notice),
        display_name: format!("{} {}", person.first_name, person.last_name),
        login: person.login.clone(),
        second_factor: SecondFactorPlace::of(person),
        uses_password: person.has_password && state.takes_passwords(),
        provider: state.provider_button(),
        identities: account.identities,
        last_sign_in: account.previous_sign_in,
        contact_address: shown.contact_address,
        unconfirmed: (!account.is_address_confirmed)
            .then(|| Unconfirmed { address: person.contact_address.clone(), former: account.confirmed_address }),
        refused_since: account.refused_since,
        former_addresses: account.former_addresses,
        technical_users: account.technical_users.unsigned_abs(),
        errors: shown.errors,
        memberships: account.memberships.into_iter().map(Into::into).collect(),
        offers: account.offers,
        memberships_total: total,
        pagination: Pagination::new(shown.page, total, MEMBERSHIPS_PER_PAGE, format!("{}?page=", paths::MY_ACCOUNT)),
        sessions: account.sessions.into_iter().map(Into::into).collect(),
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
    let page = my_account_page(state, visitor, Shown { contact_address, errors, notice: None, page: 1 }).await?;
    page_with_status(StatusCode::UNPROCESSABLE_ENTITY, &page)
}

#[derive(Deserialize)]
pub struct ContactAddressForm {
    #[serde(rename = "adresse-de-contact")]
    contact_address: String,
}

/// Replaces the contact address, which is at once that of the technical users (rule 6).
///
/// Two calls of `db` only after a refusal: the page is read after the transaction that refused.
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
    let Visitor { person, session, actor, .. } = &visitor;
    let notice = match contact_addresses::change(&state.pool, actor, session, person.user_id, &address).await? {
        AddressChange::Saved { technical_users: 0 } => Notice::ContactAddressSaved,
        AddressChange::Saved { .. } => Notice::AccountsContactAddressSaved,
        AddressChange::SessionEnded => return Err(AppError::SignInRequired { expired: true, return_to: None }),
        AddressChange::TooOften { seconds } => {
            let message =
                "Vous avez modifié cette adresse plusieurs fois en peu de temps. Réessayez dans une heure.".into();
            let page = refused(&state, &visitor, form.contact_address, "adresse-de-contact", message).await?;
            return Ok(rate_limited(page, seconds));
        }
    };
    Ok(Redirect::to(&notice.on(paths::MY_ACCOUNT)).into_response())
}

/// « Renvoyer le courriel de confirmation ».
///
/// Two calls of `db` only after a refusal: the page is read after the transaction that refused.
pub async fn send_confirmation_again(State(state): State<AppState>, visitor: Visitor) -> Result<Response, AppError> {
    match contact_addresses::send_again(&state.pool, &visitor.session, visitor.person.user_id).await? {
        Resent::Done => Ok(Redirect::to(&Notice::ConfirmationSentAgain.on(paths::MY_ACCOUNT)).into_response()),
        Resent::SessionEnded => Err(AppError::SignInRequired { expired: true, return_to: None }),
        Resent::TooOften => {
            let message = "Plusieurs courriels de confirmation sont déjà partis vers cette adresse aujourd’hui. Suivez le \
                lien du dernier, ou réessayez demain.";
            let address = visitor.person.contact_address.clone();
            refused(&state, &visitor, address, "adresse-de-contact", message.into()).await
        }
    }
}

#[derive(Deserialize)]
pub struct PasswordForm {
    #[serde(rename = "mot-de-passe-actuel")]
    current: TypedPassword,
    #[serde(rename = "nouveau-mot-de-passe")]
    new: TypedPassword,
}

/// Changes the person's own password, which ends their other sessions, and the marks of their other
/// browsers.
///
/// Several calls of `db`: the old password is verified, and then the new one judged and hashed,
/// between them. The last one checks again what was verified.
pub async fn change_password(
    State(state): State<AppState>,
    visitor: Visitor,
    browser: Browser,
    Form(form): Form<PasswordForm>,
) -> Result<Response, AppError> {
    if !state.takes_passwords() {
        return Err(AppError::Forbidden);
    }
    if let Some(seconds) = account::wait_for_password_change(&state.pool, visitor.person.user_id).await? {
        let page = refused_password(&state, &visitor, "nouveau-mot-de-passe", CHANGED_TOO_OFTEN).await?;
        return Ok(rate_limited(page, seconds));
    }
    let is_same = form.new.expose() == form.current.expose();
    let verified = match verification::verify_own_password(&state, &visitor, form.current).await? {
        Verdict::Right(verified) => verified,
        Verdict::Wait(seconds) => return Err(AppError::TooManyRequests { seconds }),
        Verdict::Wrong => {
            let message = "Le mot de passe actuel est incorrect.";
            return refused_password(&state, &visitor, "mot-de-passe-actuel", message).await;
        }
    };
    if is_same {
        let message = "Ce mot de passe est déjà le vôtre. Choisissez-en un autre.";
        return refused_password(&state, &visitor, "nouveau-mot-de-passe", message).await;
    }
    let changed = replace_password(&state, &visitor, &browser, &verified, form.new).await;
    verification::or_give_back(&state, &verified.counted, changed).await
}

async fn refused_password(
    state: &AppState,
    visitor: &Visitor,
    field: &'static str,
    message: &str,
) -> Result<Response, AppError> {
    refused(state, visitor, visitor.person.contact_address.clone(), field, message.to_owned()).await
}

/// Judges the new password of a person whose present one was verified, and replaces that one.
async fn replace_password(
    state: &AppState,
    visitor: &Visitor,
    browser: &Browser,
    verified: &VerifiedPassword,
    typed: TypedPassword,
) -> Result<Response, AppError> {
    let person = &visitor.person;
    let key = QueueKey::Person(person.user_id);
    let known = passwords::known_words(&state.pool, person.user_id).await?;
    let chosen = typed.clone();
    if let Err(error) = state.work_queue.run(key.clone(), move || check_chosen_password(&chosen, &known)).await? {
        return refused_password(state, visitor, "nouveau-mot-de-passe", &error.to_string()).await;
    }
    let new = state.work_queue.hash(key, typed, &mut random::os_rng()).await?;
    let next = NextId::generate();
    let change = PasswordChange { verified, new: &new, kept: next.of(visitor) };
    match account::change_password(&state.pool, &visitor.actor, change).await? {
        PasswordChanged::Changed(epoch) => {
            browser.adopt(next).await?;
            let answer = Redirect::to(&Notice::OwnPasswordChanged.on(paths::MY_ACCOUNT)).into_response();
            Ok(browser.mark_known(state, &person.login, epoch, answer))
        }
        PasswordChanged::SessionEnded => Err(AppError::SignInRequired { expired: true, return_to: None }),
        PasswordChanged::ReplacedMeanwhile => {
            let message = "Votre mot de passe a changé entre-temps. Saisissez votre mot de passe actuel.";
            refused_password(state, visitor, "mot-de-passe-actuel", message).await
        }
        PasswordChanged::TooOften { seconds } => {
            let page = refused_password(state, visitor, "nouveau-mot-de-passe", CHANGED_TOO_OFTEN).await?;
            Ok(rate_limited(page, seconds))
        }
    }
}

const CHANGED_TOO_OFTEN: &str =
    "Vous avez changé de mot de passe plusieurs fois en peu de temps. Réessayez dans une heure.";

/// « Fermer cette session ».
pub async fn close_session(
    State(state): State<AppState>,
    visitor: Visitor,
    browser: Browser,
    Path(id): Path<String>,
    FreshForm(Nothing {}): FreshForm<Nothing>,
) -> Result<Response, AppError> {
    let id = id.parse().map_err(|_| AppError::NotFound)?;
    let Visitor { person, session, actor, .. } = &visitor;
    let closed = sessions::close(&state.pool, actor, person.user_id, session, id).await?;
    let answer = Redirect::to(&Notice::SessionClosed.on(paths::MY_ACCOUNT)).into_response();
    Ok(match closed {
        Some(epoch) => browser.mark_again(&state, &person.login, epoch, answer),
        None => answer,
    })
}

/// « Fermer toutes les autres sessions ».
pub async fn close_other_sessions(
    State(state): State<AppState>,
    visitor: Visitor,
    browser: Browser,
    FreshForm(Nothing {}): FreshForm<Nothing>,
) -> Result<Response, AppError> {
    let person = &visitor.person;
    let next = NextId::generate();
    let closed = sessions::close_others(&state.pool, &visitor.actor, person.user_id, next.of(&visitor)).await?;
    let epoch = closed.ok_or(AppError::SignInRequired { expired: true, return_to: None })?;
    browser.adopt(next).await?;
    let answer = Redirect::to(&Notice::OtherSessionsClosed.on(paths::MY_ACCOUNT)).into_response();
    Ok(browser.mark_known(&state, &person.login, epoch, answer))
}
