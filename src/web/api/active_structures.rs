//! `recuperer/structures/actives/…`: the active structures within the caller's rights. Chorus Pro
//! has a list for each of its spaces; Raccord has no spaces, so these are the same.

use axum::{extract::State, response::Response};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{authentication::Call, error::ApiError, success::SUCCESS};
use crate::{
    db::api::memberships::{self, ApiMembership},
    web::api::state::ApiState,
};

/// The call has no members.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct ActiveStructuresRequest {}

#[derive(JsonSchema, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ActiveStructuresAnswer {
    code_retour: u16,
    libelle: &'static str,
    #[schemars(title = "Les 10 000 premières au plus")]
    liste_structures: Vec<ActiveStructure>,
}

#[derive(JsonSchema, Serialize)]
#[serde(rename_all = "camelCase")]
struct ActiveStructure {
    #[serde(rename = "idStructureCPP")]
    id_structure_cpp: i64,
    identifiant: String,
    type_identifiant_structure: &'static str,
    designation_structure: String,
}

impl From<ApiMembership> for ActiveStructure {
    fn from(row: ApiMembership) -> Self {
        Self {
            id_structure_cpp: row.structure_id,
            identifiant: row.identifier,
            type_identifiant_structure: row.identifier_type.code(),
            designation_structure: row.designation,
        }
    }
}

/// Lists the structures.
///
/// # Errors
/// [`ApiError`].
pub async fn list(
    State(state): State<ApiState>,
    Call { authentication, .. }: Call<ActiveStructuresRequest>,
) -> Result<Response, ApiError> {
    let found =
        authentication.authenticate_with(|| memberships::active(state.database(), &authentication.presented)).await?;
    authentication.answer(&ActiveStructuresAnswer {
        code_retour: 0,
        libelle: SUCCESS,
        liste_structures: found.into_iter().map(ActiveStructure::from).collect(),
    })
}
