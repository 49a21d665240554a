//! `/api/moi`: what an integrator's monitoring asks about its own account.

use axum::{extract::State, response::Response};
use schemars::JsonSchema;
use serde::Serialize;
use time::format_description::well_known::Rfc3339;

use super::{
    authentication::Authentication, error::ApiError, introspection::StructureAnswer, state::ApiState, success::SUCCESS,
};
use crate::db::api::authority;

#[derive(JsonSchema, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct OwnAccountAnswer {
    code_retour: u16,
    libelle: &'static str,
    #[schemars(title = "L’identifiant de connexion")]
    login: String,
    structure: StructureAnswer,
    #[schemars(title = "Comme dans la réponse à une introspection")]
    scope: String,
    #[schemars(title = "L’échéance du mot de passe présenté, ou de celui qui a obtenu le jeton (RFC 3339)")]
    date_expiration_mot_passe: String,
    #[schemars(title = "Les jours entiers qui restent jusqu’à cette échéance")]
    jours_restants: i64,
    #[schemars(title = "Les réseaux autorisés, en notation CIDR ; vide : toute adresse")]
    reseaux: Vec<String>,
    #[schemars(
        title = "Vrai : le compte n’ouvre que des structures choisies parmi celles du gestionnaire principal, que recuperer/rattachements énumère"
    )]
    structures_choisies: bool,
}

/// Answers what the caller's account is.
///
/// # Errors
/// [`ApiError`].
pub async fn answer(State(state): State<ApiState>, authentication: Authentication) -> Result<Response, ApiError> {
    let statement = || async {
        let judged = authority::over_own_api(state.database(), &authentication.presented).await?;
        Ok(judged.map(|(caller, authority)| (caller, (caller.at, authority))))
    };
    let (at, (authority, networks)) = authentication.authenticate_with(statement).await?;
    let ends = authority.password_ends.replace_nanosecond(0).unwrap_or(authority.password_ends);
    authentication.answer(&OwnAccountAnswer {
        code_retour: 0,
        libelle: SUCCESS,
        scope: authority.scope(),
        structures_choisies: authority.chosen.is_some(),
        login: authority.login,
        structure: authority.structure.into(),
        date_expiration_mot_passe: ends.format(&Rfc3339).map_err(|_| ApiError::Internal)?,
        jours_restants: (authority.password_ends - at).whole_days(),
        reseaux: networks,
    })
}
