//! Technical users: their page, their creation, and each act on them. What an act needs confirmed is in `confirmations`,
//! what comes after a new password in `summary`.

use axum::{
    Form,
    extract::{Query, State},
    http::StatusCode,
    response::{IntoResponse, Redirect, Response},
};
use serde::Deserialize;

use super::{
    error::{AppError, page as render, page_with_status},
    fresh_form::FreshForm,
    layout::{Errors, FieldError, Notice, NoticeQuery, StructureName},
    pages::technical_users::{Account, NewTechnicalUserPage, TechnicalUserPage},
    paths,
    state::AppState,
    visitor::{Managed, ManagedAccount, Visitor},
};
use crate::{
    db::{
        envelopes, former_passwords,
        history::{self, Place, Wanted},
        technical_users::{self, ChangeError, CreateError, Form as IdempotentForm, RelabelError, Reset},
    },
    domain::{
        envelope::IssuedPassword,
        password::Password,
        person::TypedPassword,
        random,
        rotation::Grace,
        technical_user::{Label, TechnicalUserStatus, technical_login},
    },
    hashing::Asker,
};

const EVENTS_ON_PAGE: u32 = 10;
const LABEL_TAKEN: &str =
    "Un autre utilisateur technique de la structure porte déjà ce libellé. Choisissez-en un autre.";

/// « Saisie utilisateur technique ».
pub async fn form(State(state): State<AppState>, managed: Managed) -> Result<Response, AppError> {
    let structure = paths::structure(managed.structure.id());
    if !managed.structure.card().active {
        return Ok(Redirect::to(&structure).into_response());
    }
    let accounts = technical_users::of_structure(&state.pool, &managed.structure).await?;
    if accounts.len() as u64 >= state.settings.account_rules.max_per_structure.unsigned_abs() {
        return Ok(Redirect::to(&structure).into_response());
    }
    render(&form_page(&state, &managed, String::new(), Errors::none()).await?)
}

async fn form_page(
    state: &AppState,
    managed: &Managed,
    label: String,
    errors: Errors,
) -> Result<NewTechnicalUserPage, AppError> {
    let structure = &managed.structure;
    let person = &managed.visitor.person;
    Ok(NewTechnicalUserPage {
        layout: managed.layout(state, None),
        structure: StructureName::from(structure),
        login: technical_login(structure.next_technical_number(), structure.identifier()),
        manager_name: format!("{} {}", person.first_name, person.last_name),
        contact_address: structure.contact_address().to_owned(),
        expires_at: technical_users::expiry_of_new(&state.pool, state.settings.account_rules).await?,
        label,
        errors,
        idempotency_token: random::token(&mut random::os_rng()),
    })
}

#[derive(Debug, Deserialize)]
pub struct CreateForm {
    jeton: String,
    #[serde(default)]
    libelle: String,
}

/// Creates the account, or finds the one that this form has created already, and goes to its récapitulatif.
pub async fn create(
    State(state): State<AppState>,
    managed: Managed,
    FreshForm(form): FreshForm<CreateForm>,
) -> Result<Response, AppError> {
    check_token(&form.jeton)?;
    let label = match Label::parse(&form.libelle) {
        Ok(label) => label,
        Err(error) => return creation_refused(&state, &managed, form.libelle, error.to_string()).await,
    };
    let once = IdempotentForm::creation(&form.jeton, &managed.structure, label.as_ref());
    let done = technical_users::find_done(&state.pool, managed.structure.manager_id(), once.token).await?;
    let created = match done {
        Some(done) if done.request == once.request => Ok(done.technical_user_id),
        Some(done) => Err(CreateError::FormReused(done.login)),
        None => {
            let issued = issue(&state, &managed.visitor).await?;
            let (actor, rules) = (&managed.visitor.actor, state.settings.account_rules);
            technical_users::create(&state.pool, actor, &managed.structure, label.as_ref(), &once, &issued, rules).await
        }
    };
    match created {
        Ok(id) => Ok(Redirect::to(&paths::summary(id)).into_response()),
        Err(error) => {
            let message = creation_advice(error, &state)?;
            creation_refused(&state, &managed, form.libelle, message).await
        }
    }
}

async fn creation_refused(
    state: &AppState,
    managed: &Managed,
    label: String,
    message: String,
) -> Result<Response, AppError> {
    let errors = Errors(vec![FieldError { field: "libelle", message }]);
    page_with_status(StatusCode::UNPROCESSABLE_ENTITY, &form_page(state, managed, label, errors).await?)
}

/// What the person can do about a creation that was refused.
fn creation_advice(error: CreateError, state: &AppState) -> Result<String, AppError> {
    Ok(match error {
        CreateError::LabelTaken => LABEL_TAKEN.into(),
        CreateError::LimitReached => format!(
            "Cette structure a atteint le nombre maximal de {} utilisateurs techniques. Supprimez d’abord un compte qui ne sert plus.",
            state.settings.account_rules.max_per_structure
        ),
        CreateError::StructureInactive => {
            "Cette structure est inactive : réactivez-la avant de créer un utilisateur technique.".into()
        }
        CreateError::FormReused(login) => format!(
            "Ce formulaire a déjà servi à créer le compte {login}. Pour créer un autre compte, envoyez de nouveau le formulaire."
        ),
        CreateError::NotManager(_) => return Err(AppError::NotFound),
        CreateError::Database(error) => return Err(error.into()),
    })
}

/// A new password for this session, hashed.
async fn issue(state: &AppState, visitor: &Visitor) -> Result<IssuedPassword, AppError> {
    let password = Password::generate(&mut random::os_rng());
    let typed = TypedPassword::new(password.expose().to_owned());
    let hash = state.hasher.hash(Asker::Person(visitor.person.user_id), typed, &mut random::os_rng()).await?;
    Ok(IssuedPassword { password, hash, session: visitor.session.clone() })
}

/// A form's token is ours or it is nothing: 43 characters of base64url.
fn check_token(token: &str) -> Result<(), AppError> {
    let sound = (16..=64).contains(&token.len())
        && token.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
    if sound { Ok(()) } else { Err(AppError::Unprocessable) }
}

/// The account's page.
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
    let wanted = Wanted::of_account(account.id());
    let events = history::page(&state.pool, account.structure(), &wanted, Place::Newest, EVENTS_ON_PAGE).await?.events;
    let is_waiting = envelopes::is_waiting(&state.pool, account, &managed.visitor.session).await?;
    Ok(TechnicalUserPage {
        layout: managed.layout(state, notice),
        structure: StructureName::from(account.structure()),
        account: Account::new(account, &managed.visitor.person, is_waiting),
        label,
        errors,
        events: events.into_iter().map(Into::into).collect(),
        idempotency_token: random::token(&mut random::os_rng()),
    })
}

#[derive(Debug, Deserialize)]
pub struct LabelForm {
    #[serde(default)]
    libelle: String,
    /// The label that the form showed.
    #[serde(default)]
    precedent: String,
}

/// « Enregistrer le libellé »: keeps it, or shows the page again with what is to be mended.
pub async fn change_label(
    State(state): State<AppState>,
    managed: ManagedAccount,
    Form(form): Form<LabelForm>,
) -> Result<Response, AppError> {
    let account = &managed.account;
    let changed = match Label::parse(&form.libelle) {
        Ok(label) => {
            let (actor, seen) = (&managed.visitor.actor, form.precedent.as_str());
            technical_users::change_label(&state.pool, actor, account, seen, label.as_ref()).await
        }
        Err(error) => return label_refused(&state, managed, form.libelle, error.to_string()).await,
    };
    match changed {
        Ok(()) => Ok(Redirect::to(&Notice::LabelSaved.on(&paths::technical_user(account.id()))).into_response()),
        Err(error) => {
            let message = label_advice(error)?;
            label_refused(&state, managed, form.libelle, message).await
        }
    }
}

/// The page as it is now, with what was typed: sent again, the form knows what has changed meanwhile.
async fn label_refused(
    state: &AppState,
    managed: ManagedAccount,
    label: String,
    message: String,
) -> Result<Response, AppError> {
    let ManagedAccount { visitor, account } = managed;
    let account = technical_users::find_managed(&state.pool, visitor.person.user_id, account.id()).await?;
    let managed = ManagedAccount { visitor, account: account.ok_or(AppError::NotFound)? };
    let errors = Errors(vec![FieldError { field: "libelle", message }]);
    page_with_status(StatusCode::UNPROCESSABLE_ENTITY, &account_page(state, &managed, label, errors, None).await?)
}

/// What the person can do about a label that was refused.
fn label_advice(error: RelabelError) -> Result<String, AppError> {
    Ok(match error {
        RelabelError::LabelTaken => LABEL_TAKEN.into(),
        RelabelError::ChangedMeanwhile(now) => {
            let now = now.map_or("il est vide".into(), |label| format!("il est «\u{202f}{label}\u{202f}»"));
            format!(
                "Le libellé a changé depuis l’affichage de la page\u{a0}: {now}. Pour le remplacer, enregistrez de nouveau."
            )
        }
        RelabelError::NotManager(_) | RelabelError::Deleted => return Err(AppError::NotFound),
        RelabelError::Database(error) => return Err(error.into()),
    })
}

#[derive(Debug, Deserialize)]
pub struct ResetForm {
    jeton: String,
    version: i32,
    /// Hours that the old password goes on working.
    #[serde(default)]
    ancien: Option<String>,
}

/// « Réinitialiser le mot de passe (utilisateur technique) », confirmed: a new password, and to its récapitulatif.
pub async fn reset_password(
    State(state): State<AppState>,
    managed: ManagedAccount,
    FreshForm(form): FreshForm<ResetForm>,
) -> Result<Redirect, AppError> {
    check_token(&form.jeton)?;
    let account = &managed.account;
    let grace = form.ancien.as_deref().map_or(Some(Grace::None), Grace::parse).ok_or(AppError::Unprocessable)?;
    let reset = Reset { credential_version: form.version, grace };
    let once = IdempotentForm::reset(&form.jeton, account, reset);
    let done = technical_users::find_done(&state.pool, account.structure().manager_id(), once.token).await?;
    if done.is_none_or(|done| done.request != once.request) {
        let issued = issue(&state, &managed.visitor).await?;
        let (actor, rules) = (&managed.visitor.actor, state.settings.account_rules);
        technical_users::reset_password(&state.pool, actor, account, reset, &once, &issued, rules).await?;
    }
    Ok(Redirect::to(&paths::summary(account.id())))
}

impl From<ChangeError> for AppError {
    fn from(error: ChangeError) -> Self {
        match error {
            ChangeError::NotManager(_) | ChangeError::Deleted => Self::NotFound,
            ChangeError::ResetMeanwhile | ChangeError::FormReused => Self::Conflict,
            ChangeError::Database(error) => error.into(),
        }
    }
}

/// « Supprimer l’ancien mot de passe maintenant », confirmed.
pub async fn end_former_password(State(state): State<AppState>, managed: ManagedAccount) -> Result<Redirect, AppError> {
    former_passwords::end_now(&state.pool, &managed.visitor.actor, &managed.account).await?;
    Ok(Redirect::to(&Notice::FormerPasswordEnded.on(&paths::technical_user(managed.account.id()))))
}

/// « Suspendre », confirmed.
pub async fn suspend(State(state): State<AppState>, managed: ManagedAccount) -> Result<Redirect, AppError> {
    change_status(&state, &managed, TechnicalUserStatus::Suspended).await?;
    Ok(Redirect::to(&Notice::Suspended.on(&paths::technical_user(managed.account.id()))))
}

/// « Réactiver », confirmed.
pub async fn reactivate(State(state): State<AppState>, managed: ManagedAccount) -> Result<Redirect, AppError> {
    change_status(&state, &managed, TechnicalUserStatus::Active).await?;
    Ok(Redirect::to(&Notice::Reactivated.on(&paths::technical_user(managed.account.id()))))
}

/// « Supprimer », confirmed.
pub async fn delete(State(state): State<AppState>, managed: ManagedAccount) -> Result<Redirect, AppError> {
    change_status(&state, &managed, TechnicalUserStatus::Deleted).await?;
    Ok(Redirect::to(&Notice::Deleted.on(&paths::structure(managed.account.structure().id()))))
}

async fn change_status(
    state: &AppState,
    managed: &ManagedAccount,
    status: TechnicalUserStatus,
) -> Result<(), AppError> {
    Ok(technical_users::change_status(&state.pool, &managed.visitor.actor, &managed.account, status).await?)
}
