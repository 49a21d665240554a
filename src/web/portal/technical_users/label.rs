//! Changes a technical user's label.

use axum::{
    Form,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Redirect, Response},
};
use serde::Deserialize;

use super::{LABEL_TAKEN, account_page};
use crate::{
    db::technical_users::{
        self,
        changes::{self, RelabelError},
    },
    domain::technical_user::Label,
    french,
    web::{
        edge::{
            error::{AppError, page_with_status, rate_limited},
            state::AppState,
        },
        identity::authority::ManagedAccount,
        paths,
        shell::{form::Errors, notice::Notice},
    },
};

#[derive(Debug, Deserialize)]
pub struct LabelForm {
    #[serde(default)]
    libelle: String,
    /// The label that the form showed.
    #[serde(default)]
    precedent: String,
}

/// « Enregistrer le libellé »: saves it, or shows the page again with an error.
///
/// Several calls of `db` only after a refusal: the page is read after the transaction that refused.
pub async fn change_label(
    State(state): State<AppState>,
    managed: ManagedAccount,
    Form(form): Form<LabelForm>,
) -> Result<Response, AppError> {
    let account = &managed.account;
    let changed = match Label::parse(&form.libelle) {
        Ok(label) => {
            let (actor, seen) = (&managed.visitor.actor, form.precedent.as_str());
            changes::change_label(&state.pool, actor, account, seen, label.as_ref()).await
        }
        Err(error) => return label_refused(&state, managed, form.libelle, error.to_string()).await,
    };
    match changed {
        Ok(()) => Ok(Redirect::to(&Notice::LabelSaved.on(&paths::technical_user(account.id()))).into_response()),
        Err(error) => {
            let wait = match error {
                RelabelError::TooOften { seconds } => Some(seconds),
                _ => None,
            };
            let message = label_advice(error)?;
            let page = label_refused(&state, managed, form.libelle, message).await?;
            Ok(match wait {
                Some(seconds) => rate_limited(page, seconds),
                None => page,
            })
        }
    }
}

/// Shows the page again with what was typed. The account is read again, so that the form that is
/// shown contains the present label.
async fn label_refused(
    state: &AppState,
    managed: ManagedAccount,
    label: String,
    message: String,
) -> Result<Response, AppError> {
    let ManagedAccount { visitor, account } = managed;
    let account = technical_users::find_managed(&state.pool, visitor.claimant(), account.id()).await?;
    let managed = ManagedAccount { visitor, account: account.ok_or(AppError::NotFound)? };
    let errors = Errors::one("libelle", message);
    page_with_status(StatusCode::UNPROCESSABLE_ENTITY, &account_page(state, &managed, label, errors, None).await?)
}

/// What the person can do about a label that was refused.
fn label_advice(error: RelabelError) -> Result<String, AppError> {
    Ok(match error {
        RelabelError::LabelTaken(_) => LABEL_TAKEN.into(),
        RelabelError::ChangedMeanwhile(now) => {
            let now = now.map_or("il est vide".into(), |label| format!("il est «\u{202f}{label}\u{202f}»"));
            format!(
                "Le libellé a changé depuis l’affichage de la page\u{a0}: {now}. Pour le remplacer, enregistrez de nouveau."
            )
        }
        RelabelError::NotManager(_) | RelabelError::Deleted => return Err(AppError::NotFound),
        RelabelError::TooOften { seconds } => {
            let wait = french::wait(seconds);
            format!("Vous avez modifié beaucoup de libellés. Veuillez patienter {wait} avant de continuer.")
        }
        RelabelError::Database(error) => return Err(error.into()),
    })
}
