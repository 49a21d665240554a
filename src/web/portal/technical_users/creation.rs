//! « Saisie utilisateur technique »: the creation form.

use axum::{
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Redirect, Response},
};
use serde::Deserialize;

use super::{LABEL_TAKEN, check_token, issue, pages::NewTechnicalUserPage};
use crate::{
    db::technical_users::{
        self,
        creation::{self, CreateError},
        idempotency::{self, Form as IdempotentForm},
    },
    domain::{
        random,
        technical_user::{Label, technical_login},
    },
    web::{
        edge::{
            error::{AppError, page as render, page_with_status},
            state::AppState,
        },
        identity::{authority::Managed, fresh_form::FreshForm},
        paths,
        shell::{
            form::{Errors, FieldError},
            values::StructureName,
        },
    },
};

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
        expires_at: creation::expiry_of_new(&state.pool, state.settings.account_rules).await?,
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

/// Creates the account, or finds the one that this form has created already, and goes to its
/// récapitulatif.
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
    let done = idempotency::find_done(&state.pool, managed.structure.manager_id(), once.token).await?;
    let created = match done {
        Some(done) if done.request == once.request => Ok(done.technical_user_id),
        Some(done) => Err(CreateError::FormReused(done.login)),
        None => {
            let issued = issue(&state, &managed.visitor).await?;
            let (actor, rules) = (&managed.visitor.actor, state.settings.account_rules);
            creation::create(&state.pool, actor, &managed.structure, label.as_ref(), &once, &issued, rules).await
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
