//! `recuperer/rattachements`: lists the principal manager's current memberships.

use axum::{extract::State, response::Response};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    authentication::Call,
    error::ApiError,
    pagination::{PageAnswer, PageRequest},
    success::SUCCESS,
    tolerant::Object,
};
use crate::{
    db::api::memberships::{self, ApiMembership},
    web::api::state::ApiState,
};

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase")]
pub struct MembershipsRequest {
    parametres_recherche: Object<PageRequest>,
}

#[derive(JsonSchema, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct MembershipsAnswer {
    code_retour: u16,
    libelle: &'static str,
    liste_structure_rattachement: Vec<Membership>,
    parametres_retour: PageAnswer,
}

#[derive(JsonSchema, Serialize)]
#[serde(rename_all = "camelCase")]
struct Membership {
    id_structure: i64,
    id_rattachement_structure: i64,
    identifiant_structure: String,
    type_identifiant_structure: &'static str,
    designation_structure: String,
    role_utilisateur: &'static str,
    statut_utilisateur: &'static str,
    statut_rattachement_structure: &'static str,
    /// Raccord has no services: always empty.
    #[schemars(title = "Toujours vide : Raccord ne connaît pas de services")]
    liste_services_rattache: [(); 0],
}

impl From<ApiMembership> for Membership {
    fn from(row: ApiMembership) -> Self {
        Self {
            id_structure: row.structure_id,
            id_rattachement_structure: row.id,
            identifiant_structure: row.identifier,
            type_identifiant_structure: row.identifier_type.code(),
            designation_structure: row.designation,
            role_utilisateur: row.role.external_code(),
            statut_utilisateur: "ACTIF",
            statut_rattachement_structure: "ACTIF",
            liste_services_rattache: [],
        }
    }
}

/// Lists the memberships.
///
/// # Errors
/// [`ApiError`].
pub async fn list(
    State(state): State<ApiState>,
    Call { authentication, request }: Call<MembershipsRequest>,
) -> Result<Response, ApiError> {
    let page = request.parametres_recherche.0.page();
    let found = authentication
        .authenticate_with(|| memberships::of_manager(state.database(), &authentication.presented, page))
        .await?;
    authentication.answer(&MembershipsAnswer {
        code_retour: 0,
        libelle: SUCCESS,
        liste_structure_rattachement: found.rows.into_iter().map(Membership::from).collect(),
        parametres_retour: PageAnswer::new(page, found.total),
    })
}
