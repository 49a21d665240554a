//! `rechercher/services` and `consulter/service`: the services of a structure. Raccord has none.

use axum::{Json, extract::State};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    authentication::Call,
    error::ApiError,
    pagination::{PageAnswer, PageRequest},
    structure::{find, first_id},
    success::SUCCESS,
    tolerant::{Number, Object},
};
use crate::web::api::state::ApiState;

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase")]
pub struct StructureServicesRequest {
    #[schemars(extend("examples" = [1]))]
    id_structure: Number,
    #[serde(rename = "idStructureCPP")]
    #[schemars(title = "Autre nom de « idStructure », accepté à sa place")]
    id_structure_cpp: Number,
    #[serde(alias = "parametres")]
    parametres_rechercher_services_structure: Object<PageRequest>,
}

#[derive(JsonSchema, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct StructureServicesAnswer {
    code_retour: u16,
    libelle: &'static str,
    #[schemars(title = "Toujours vide : Raccord ne connaît pas de services")]
    liste_services: [(); 0],
    parametres_retour: PageAnswer,
}

/// Lists the services of a structure of the directory: none.
///
/// # Errors
/// [`ApiError`].
pub async fn search(
    State(state): State<ApiState>,
    Call { authentication, request }: Call<StructureServicesRequest>,
) -> Result<Json<StructureServicesAnswer>, ApiError> {
    let structure_ref = first_id([&request.id_structure, &request.id_structure_cpp]);
    find(&state, &authentication, structure_ref, "idStructure").await?;
    Ok(Json(StructureServicesAnswer {
        code_retour: 0,
        libelle: SUCCESS,
        liste_services: [],
        parametres_retour: PageAnswer::new(request.parametres_rechercher_services_structure.0.page(), 0),
    }))
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase")]
#[allow(clippy::struct_field_names, reason = "the dialect's own")]
pub struct ServiceRequest {
    #[schemars(extend("examples" = [1]))]
    id_structure: Number,
    #[serde(rename = "idStructureCPP")]
    #[schemars(title = "Autre nom de « idStructure », accepté à sa place")]
    id_structure_cpp: Number,
    #[allow(dead_code, reason = "deserialised to be validated")]
    id_service: Number,
}

/// There is no service to answer: 404, as for any other that a structure does not have.
///
/// # Errors
/// [`ApiError`], always.
pub async fn consult(
    State(state): State<ApiState>,
    Call { authentication, request }: Call<ServiceRequest>,
) -> Result<(), ApiError> {
    let structure_ref = first_id([&request.id_structure, &request.id_structure_cpp]);
    find(&state, &authentication, structure_ref, "idStructure").await?;
    Err(ApiError::UnknownStructureService)
}
