//! « Désigner un nouveau gestionnaire principal ».

use axum::{
    Form,
    extract::{Query, State},
    http::StatusCode,
    response::{IntoResponse, Redirect, Response},
};
use serde::Deserialize;

use super::pages::{Candidate, DesignateManagerPage};
use crate::{
    db::{
        identity::sessions,
        members::succession::{self, DesignateError},
        structures,
    },
    web::{
        edge::{
            error::{AppError, page, page_with_status},
            state::AppState,
        },
        identity::authority::Managed,
        paths,
        shell::{
            form::{Errors, FieldError},
            notice::Notice,
            values::StructureName,
        },
    },
};

#[derive(Default, Deserialize)]
pub struct MemberForm {
    #[serde(default)]
    membre: String,
}

/// The confirmation page, for browsers without scripts.
pub async fn confirmation(
    State(state): State<AppState>,
    managed: Managed,
    Query(form): Query<MemberForm>,
) -> Result<Response, AppError> {
    page(&confirmation_page(&state, &managed, form.membre.parse().ok(), Errors::none()).await?)
}

/// Designates. The former manager loses the structure's page, so goes where the person still may.
pub async fn designate(
    State(state): State<AppState>,
    managed: Managed,
    Form(form): Form<MemberForm>,
) -> Result<Response, AppError> {
    let chosen = form.membre.parse().unwrap_or(0);
    match succession::designate(&state.pool, &managed.visitor.actor, &managed.structure, chosen).await {
        Ok(()) => {}
        Err(DesignateError::NotManager(_)) => return Err(AppError::NotFound),
        Err(DesignateError::NotAnotherMember) => {
            let message = "Choisissez une autre personne rattachée à la structure.".to_owned();
            let errors = Errors(vec![FieldError { field: "membre", message }]);
            let page = confirmation_page(&state, &managed, None, errors).await?;
            return page_with_status(StatusCode::UNPROCESSABLE_ENTITY, &page);
        }
        Err(DesignateError::Database(error)) => return Err(error.into()),
    }
    let person = sessions::find_signed_in(&state.pool, &managed.visitor.session).await?;
    let still_manager = person.is_some_and(|person| person.is_principal_manager);
    let next = if still_manager { paths::ACTIVITIES } else { paths::MY_ACCOUNT };
    Ok(Redirect::to(&Notice::ManagerDesignated.on(next)).into_response())
}

async fn confirmation_page(
    state: &AppState,
    managed: &Managed,
    selected: Option<i64>,
    errors: Errors,
) -> Result<DesignateManagerPage, AppError> {
    let members = structures::members(&state.pool, &managed.structure).await?;
    Ok(DesignateManagerPage {
        layout: managed.layout(state, None),
        structure: StructureName::from(&managed.structure),
        candidates: Candidate::among(&members, &managed.structure, selected),
        errors,
    })
}
