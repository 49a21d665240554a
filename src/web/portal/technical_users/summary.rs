//! « Récapitulatif »: displays a new password, once, and exports it as a PDF.

use askama::Template;
use axum::{
    Form,
    extract::State,
    http::{HeaderMap, Method, StatusCode},
    response::{Redirect, Response},
};
use data_encoding::BASE64;
use serde::Deserialize;
use time::OffsetDateTime;

use super::{
    handover_pages::HandoverFields,
    pages::Account,
    restrictions_view::RestrictionsView,
    sheet::{self, connection_sheet, postal_address},
};

use crate::{
    db::technical_users::{
        envelopes::{self, Display},
        restrictions,
    },
    domain::{password::Password, random},
    web::{
        edge::{
            error::{AppError, page as render, page_with_status},
            origin::is_own_navigation,
            state::{AppState, Downloader},
        },
        identity::authority::ManagedAccount,
        paths,
        shell::{filters, layout::Layout, values::StructureName},
    },
    work_queue::QueueKey,
};

/// Displays the password to the first navigation from one of our own pages. Any other request (a
/// typed URL, a prefetch, a link on another site) changes nothing and gets a link instead.
///
/// Two calls of `db`: the password's envelope, and the restrictions.
pub async fn page(
    State(state): State<AppState>,
    managed: ManagedAccount,
    (method, headers): (Method, HeaderMap),
) -> Result<Response, AppError> {
    let (account, session) = (&managed.account, &managed.visitor.session);
    let password = if is_own_navigation(&method, &headers, &state.settings.public_url) {
        open(&state, &managed).await?
    } else if envelopes::is_waiting(&state.pool, account, session).await? {
        SummaryPassword::Ready
    } else {
        not_displayable(&managed)
    };
    render(&summary_page(&state, &managed, password).await?)
}

async fn open(state: &AppState, managed: &ManagedAccount) -> Result<SummaryPassword, AppError> {
    let (account, session) = (&managed.account, &managed.visitor.session);
    let nonce = random::token(&mut random::os_rng());
    let nonce_hash = random::digest(&nonce);
    Ok(match envelopes::display(&state.pool, &managed.visitor.actor, account, session, &nonce_hash).await? {
        Display::Password { password, until } => SummaryPassword::Shown(ShownPassword {
            cpro_account: cpro_account(&account.account().login, &password),
            password,
            api_url: state.settings.public_url.clone(),
            nonce,
            sealed_until: until,
        }),
        Display::AlreadyShown => SummaryPassword::AlreadyShown,
        Display::Lapsed => SummaryPassword::Lapsed,
    })
}

/// A password that cannot be displayed, by what was read with the account.
pub(super) fn not_displayable(managed: &ManagedAccount) -> SummaryPassword {
    match managed.account.account().password_shown_at {
        Some(_) => SummaryPassword::AlreadyShown,
        None => SummaryPassword::Lapsed,
    }
}

pub(super) fn cpro_account(login: &str, password: &Password) -> String {
    BASE64.encode(format!("{login}:{}", password.expose()).as_bytes())
}

pub(super) async fn summary_page(
    state: &AppState,
    managed: &ManagedAccount,
    password: SummaryPassword,
) -> Result<SummaryPage, AppError> {
    let account = &managed.account;
    Ok(SummaryPage {
        restrictions: RestrictionsView::from(&restrictions::read(&state.pool, account).await?),
        layout: managed.layout(state, None),
        structure: StructureName::from(account.structure()),
        structure_address: postal_address(account.structure().card()),
        account: Account::from(managed),
        password,
        handover: HandoverFields::default(),
        idempotency_token: random::token(&mut random::os_rng()),
    })
}

#[derive(Deserialize)]
pub struct ExportForm {
    nonce: String,
}

/// « Exporter les informations de connexion »: the PDF, for the page that displayed the password.
/// It may be exported several times.
///
/// Two calls of `db`: the password's envelope, and the restrictions.
pub async fn export(
    State(state): State<AppState>,
    managed: ManagedAccount,
    Form(form): Form<ExportForm>,
) -> Result<Response, AppError> {
    let share = state.exports.take(Downloader::Person(managed.visitor.person.user_id), 1)?;
    let (account, session) = (&managed.account, &managed.visitor.session);
    let nonce_hash = random::digest(&form.nonce);
    let exported = envelopes::export(&state.pool, &managed.visitor.actor, account, session, &nonce_hash).await?;
    let Some(exported) = exported else {
        let page = summary_page(&state, &managed, not_displayable(&managed)).await?;
        return page_with_status(StatusCode::CONFLICT, &page);
    };
    let restrictions = RestrictionsView::from(&restrictions::read(&state.pool, account).await?);
    let (key, url) = (QueueKey::Person(managed.visitor.person.user_id), state.settings.public_url.clone());
    let draw = move || {
        let sheet = connection_sheet(&url, &managed.account, &exported.password, exported.at, &restrictions)?;
        Ok::<_, AppError>(sheet::file(&managed.account.account().login, &sheet))
    };
    Ok(state.work_queue.run(key, draw).await??.held_with(share))
}

/// « Retour sur la fiche structure », at the row of the account: destroys the envelope.
pub async fn close(State(state): State<AppState>, managed: ManagedAccount) -> Result<Redirect, AppError> {
    envelopes::destroy(&state.pool, &managed.account, &managed.visitor.session).await?;
    Ok(Redirect::to(&paths::structure_at_account(managed.account.structure().id(), managed.account.id())))
}

/// « Récapitulatif », after creation or reset.
#[derive(Template)]
#[template(path = "technical_users/summary.html")]
pub struct SummaryPage {
    pub layout: Layout,
    pub structure: StructureName,
    /// The structure's postal address, line by line.
    pub structure_address: Vec<String>,
    pub account: Account,
    pub restrictions: RestrictionsView,
    pub password: SummaryPassword,
    /// What the form « Remettre à un intégrateur » begins with.
    pub handover: HandoverFields,
    /// For the hand-over or, if the password cannot be displayed, the reset that the page offers.
    pub idempotency_token: String,
}

/// What the page shows of the password.
pub enum SummaryPassword {
    /// The password itself, this once.
    Shown(ShownPassword),
    AlreadyShown,
    /// It can be displayed, but this request was no navigation from one of our own pages.
    Ready,
    /// It was not displayed within ten minutes, or another session asked for it.
    Lapsed,
}

/// The password and what is made from it.
pub struct ShownPassword {
    pub password: Password,
    /// base64(login:password), the value of the `cpro-account` header.
    pub cpro_account: String,
    pub api_url: String,
    /// Proves to the export that it comes from this page.
    pub nonce: String,
    /// Until when the password can be exported.
    pub sealed_until: OffsetDateTime,
}
