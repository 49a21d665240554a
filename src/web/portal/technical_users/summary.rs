//! « Récapitulatif »: the one display of a password, and its PDF.

use askama::Template;
use axum::{
    Form,
    extract::State,
    http::{HeaderMap, HeaderValue, Method, StatusCode, header},
    response::{IntoResponse, Redirect, Response},
};
use data_encoding::BASE64;
use serde::Deserialize;
use time::OffsetDateTime;

use crate::{
    db::{
        self,
        structures::ManagedStructure,
        technical_users::{
            ManagedTechnicalUser,
            envelopes::{self, Display},
        },
    },
    domain::{password::Password, random},
    french,
    pdf::{self, ConnectionSheet},
    web::{
        edge::{
            error::{AppError, page as render, page_with_status},
            origin::is_own_navigation,
            state::AppState,
        },
        identity::authority::ManagedAccount,
        paths,
        shell::{
            filters,
            layout::Layout,
            values::{AccountStatus, Expiry, FormerPassword, Id, LastCall, StructureName},
        },
    },
};

/// Shows the password to the first navigation of ours that comes; later ones learn that it has been
/// shown. Any other request (a typed URL, a prefetch, another site) finds a link and changes
/// nothing.
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
        gone(was_shown(&managed))
    };
    render(&summary_page(&state, &managed, password))
}

async fn open(state: &AppState, managed: &ManagedAccount) -> Result<SummaryPassword, AppError> {
    let (account, session) = (&managed.account, &managed.visitor.session);
    let nonce = random::token(&mut random::os_rng());
    let nonce_hash = random::digest(&nonce);
    Ok(match envelopes::display(&state.pool, &managed.visitor.actor, account, session, &nonce_hash).await? {
        Display::Password(password, sealed_until) => SummaryPassword::Shown(ShownPassword {
            cpro_account: cpro_account(&account.account().login, &password),
            password,
            api_url: state.settings.public_url.clone(),
            nonce,
            sealed_until,
        }),
        Display::Gone { shown } => gone(shown),
    })
}

fn was_shown(managed: &ManagedAccount) -> bool {
    managed.account.account().password_shown_at.is_some()
}

fn gone(shown: bool) -> SummaryPassword {
    if shown { SummaryPassword::AlreadyShown } else { SummaryPassword::Lapsed }
}

fn cpro_account(login: &str, password: &Password) -> String {
    BASE64.encode(format!("{login}:{}", password.expose()).as_bytes())
}

fn summary_page(state: &AppState, managed: &ManagedAccount, password: SummaryPassword) -> SummaryPage {
    let account = &managed.account;
    SummaryPage {
        layout: managed.layout(state, None),
        structure: StructureName::from(account.structure()),
        structure_address: postal_address(account.structure()),
        account: SummaryAccount::from(account),
        password,
        idempotency_token: random::token(&mut random::os_rng()),
    }
}

/// The structure's postal address, line by line, without empty lines.
fn postal_address(structure: &ManagedStructure) -> Vec<String> {
    let card = structure.card();
    let city = format!("{} {}", card.postal_code, card.city).trim().to_owned();
    let lines = [
        card.address_line.clone(),
        card.address_extra_1.clone(),
        card.address_extra_2.clone(),
        city,
        card.country.clone(),
    ];
    lines.into_iter().filter(|line| !line.is_empty()).collect()
}

#[derive(Deserialize)]
pub struct ExportForm {
    nonce: String,
}

/// « Exporter les informations de connexion »: the PDF, for the page that displayed the password.
pub async fn export(
    State(state): State<AppState>,
    managed: ManagedAccount,
    Form(form): Form<ExportForm>,
) -> Result<Response, AppError> {
    let (account, session) = (&managed.account, &managed.visitor.session);
    let nonce_hash = random::digest(&form.nonce);
    let Some(password) = envelopes::export(&state.pool, &managed.visitor.actor, account, session, &nonce_hash).await?
    else {
        return page_with_status(StatusCode::CONFLICT, &summary_page(&state, &managed, gone(was_shown(&managed))));
    };
    let issued_at = db::now(&state.pool).await?;
    let pdf = connection_sheet(&state, &managed, &password, issued_at)?;
    let mut response = pdf.to_vec().into_response();
    let name = format!("attachment; filename=\"raccord-{}.pdf\"", account.account().login);
    let name = HeaderValue::from_str(&name).map_err(|error| AppError::Internal(error.to_string()))?;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/pdf"));
    response.headers_mut().insert(header::CONTENT_DISPOSITION, name);
    Ok(response)
}

fn connection_sheet(
    state: &AppState,
    managed: &ManagedAccount,
    password: &Password,
    issued_at: time::OffsetDateTime,
) -> Result<zeroize::Zeroizing<Vec<u8>>, AppError> {
    let (account, structure) = (managed.account.account(), managed.account.structure());
    let address = postal_address(structure);
    let identifier =
        format!("{} {}", structure.identifier_type().code(), filters::spaced_identifier(structure.identifier()));
    let sheet = ConnectionSheet {
        service_name: "Raccord",
        login: &account.login,
        label: account.label.as_deref(),
        password: password.expose(),
        contact_address: structure.contact_address(),
        structure_designation: structure.designation(),
        structure_identifier: &identifier,
        structure_address: &address.iter().map(String::as_str).collect::<Vec<_>>(),
        api_url: &state.settings.public_url,
        expires_on: &french::day(account.expires_at),
        issued_on: &french::moment(issued_at),
        issued_at,
    };
    pdf::render(&sheet).map_err(|error| AppError::Internal(error.to_string()))
}

/// « Retour sur la fiche structure »: the envelope ends here.
pub async fn close(State(state): State<AppState>, managed: ManagedAccount) -> Result<Redirect, AppError> {
    envelopes::destroy(&state.pool, &managed.account, &managed.visitor.session).await?;
    Ok(Redirect::to(&paths::structure(managed.account.structure().id())))
}

/// « Récapitulatif », after creation or reset.
#[derive(Template)]
#[template(path = "technical_users/summary.html")]
pub struct SummaryPage {
    pub layout: Layout,
    pub structure: StructureName,
    /// The structure's postal address, line by line.
    pub structure_address: Vec<String>,
    pub account: SummaryAccount,
    pub password: SummaryPassword,
    /// For the reset that the page offers once the password cannot be shown.
    pub idempotency_token: String,
}

/// The account, as its récapitulatif tells it; fields shared with `Account` have the same names.
pub struct SummaryAccount {
    pub id: Id,
    pub credential_version: i32,
    pub login: String,
    pub label: Option<String>,
    pub contact_address: String,
    pub created_at: OffsetDateTime,
    pub expiry: Expiry,
    pub last_call: Option<LastCall>,
    /// Whether the password is the account's first, hence the account has just been created.
    pub is_new: bool,
    /// When the password was last exported.
    pub exported_at: Option<OffsetDateTime>,
    pub can_keep: bool,
    pub former: Option<FormerPassword>,
}

/// What the page can do about the password.
pub enum SummaryPassword {
    /// The only time it is shown.
    Shown(ShownPassword),
    AlreadyShown,
    /// Sealed, not opened by this request (not a navigation of our own pages, or a prefetch).
    Ready,
    /// The ten minutes passed before anybody opened it, or another session asked for it.
    Lapsed,
}

/// The password and everything made from it.
pub struct ShownPassword {
    pub password: Password,
    /// base64(login:password), ready for the `cpro-account` header.
    pub cpro_account: String,
    pub api_url: String,
    /// Exists on this page alone; the export must carry it.
    pub nonce: String,
    /// When the export stops being possible.
    pub sealed_until: OffsetDateTime,
}

impl From<&ManagedTechnicalUser> for SummaryAccount {
    fn from(managed: &ManagedTechnicalUser) -> Self {
        let account = managed.account();
        Self {
            id: account.id,
            credential_version: account.credential_version,
            login: account.login.clone(),
            label: account.label.clone(),
            contact_address: managed.structure().contact_address().to_owned(),
            created_at: account.created_at,
            expiry: Expiry::from(account),
            last_call: LastCall::of(account),
            is_new: account.credential_version == 1,
            exported_at: account.password_exported_at,
            can_keep: AccountStatus::from(account) == AccountStatus::Active,
            former: FormerPassword::of(account),
        }
    }
}
