//! « Saisie utilisateur technique »: the creation form.

use axum::{
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Redirect, Response},
};
use serde::Deserialize;

use super::{LABEL_TAKEN, check_token, delivery::Delivery, issue, pages::NewTechnicalUserPage};
use crate::{
    db::technical_users::{
        creation::{self, CreateError, Creation, Preview},
        idempotency::Once,
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
        shell::{form::Errors, values::StructureName},
    },
};

/// Shows the form, or the structure's page if it may have no more technical users.
pub async fn form(State(state): State<AppState>, managed: Managed) -> Result<Response, AppError> {
    let preview = creation::preview(&state.pool, &managed.structure, state.settings.account_rules).await?;
    if !preview.has_room {
        return Ok(Redirect::to(&paths::structure(managed.structure.id())).into_response());
    }
    render(&form_page(&state, &managed, &preview, CreateForm::default(), Errors::none()))
}

fn form_page(
    state: &AppState,
    managed: &Managed,
    preview: &Preview,
    form: CreateForm,
    errors: Errors,
) -> NewTechnicalUserPage {
    let structure = &managed.structure;
    let person = &managed.visitor.person;
    NewTechnicalUserPage {
        layout: managed.layout(state, None),
        structure: StructureName::from(structure),
        login: technical_login(structure.next_technical_number(), structure.identifier()),
        manager_name: format!("{} {}", person.first_name, person.last_name),
        contact_address: structure.contact_address().to_owned(),
        expires_at: preview.expires_at,
        reach: preview.reach,
        label: form.libelle,
        delivery: form.affichage,
        errors,
        idempotency_token: random::token(&mut random::os_rng()),
    }
}

#[derive(Debug, Default, Deserialize)]
pub struct CreateForm {
    jeton: String,
    #[serde(default)]
    libelle: String,
    #[serde(default)]
    affichage: Delivery,
}

/// Creates the account, or finds the one that the same form created before, and goes to its
/// récapitulatif, or to its hand-over.
///
/// Several calls of `db`: `create_once` hashes the password between two, and a refusal shows the
/// form again, for which its preview is read.
pub async fn create(
    State(state): State<AppState>,
    managed: Managed,
    FreshForm(form): FreshForm<CreateForm>,
) -> Result<Response, AppError> {
    check_token(&form.jeton)?;
    let label = match Label::parse(&form.libelle) {
        Ok(label) => label,
        Err(error) => return refused(&state, &managed, form, error.to_string()).await,
    };
    match create_once(&state, &managed, label.as_ref(), &form.jeton).await? {
        Ok(id) => Ok(Redirect::to(&form.affichage.next(id)).into_response()),
        Err(error) => {
            let message = advice(error, &state)?;
            refused(&state, &managed, form, message).await
        }
    }
}

/// Two calls of `db`, since the costly hash of the password comes between them, and only if the
/// form has not acted yet.
async fn create_once(
    state: &AppState,
    managed: &Managed,
    label: Option<&Label>,
    token: &str,
) -> Result<Result<i64, CreateError>, AppError> {
    let Managed { visitor, structure } = managed;
    let creation = Creation { actor: &visitor.actor, structure, label, session: &visitor.session, token };
    let open = match creation.find(&state.pool).await {
        Ok(Once::Done(id)) => return Ok(Ok(id)),
        Ok(Once::Open(open)) => open,
        Err(error) => return Ok(Err(error)),
    };
    let issued = issue(state, visitor).await?;
    Ok(open.complete(&state.pool, &issued, state.settings.account_rules, &mut random::os_rng()).await)
}

/// Shows the form again with an error of the label.
async fn refused(state: &AppState, managed: &Managed, form: CreateForm, message: String) -> Result<Response, AppError> {
    let preview = creation::preview(&state.pool, &managed.structure, state.settings.account_rules).await?;
    let errors = Errors::one("libelle", message);
    page_with_status(StatusCode::UNPROCESSABLE_ENTITY, &form_page(state, managed, &preview, form, errors))
}

/// What the person can do about a creation that was refused.
fn advice(error: CreateError, state: &AppState) -> Result<String, AppError> {
    Ok(match error {
        CreateError::LabelTaken(_) => LABEL_TAKEN.into(),
        CreateError::LimitReached => format!(
            "Cette structure a atteint le nombre maximal de {} utilisateurs techniques. Supprimez d’abord un compte qui ne sert plus.",
            state.settings.account_rules.max_per_structure
        ),
        CreateError::StructureInactive => {
            "Cette structure est inactive : réactivez-la avant de créer un utilisateur technique.".into()
        }
        CreateError::FormReused(reused) => format!(
            "Ce formulaire a déjà servi à créer le compte {}. Pour créer un autre compte, envoyez de nouveau le formulaire.",
            reused.login
        ),
        CreateError::NotManager(_) => return Err(AppError::NotFound),
        CreateError::Database(error) => return Err(error.into()),
    })
}
