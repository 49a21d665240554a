//! `recuperer/typeidentifiant/structure`: the kinds of identifier that a structure may have.

use axum::Json;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{authentication::Call, error::ApiError, success::SUCCESS};
use crate::domain::structure_identifier::IdentifierType;

/// The call has no members.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct IdentifierTypesRequest {}

#[derive(JsonSchema, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct IdentifierTypesAnswer {
    code_retour: u16,
    libelle: &'static str,
    liste_type_identifiant: [IdentifierTypeRow; 7],
}

#[derive(JsonSchema, Serialize)]
#[serde(rename_all = "camelCase")]
struct IdentifierTypeRow {
    type_identifiant_structure: &'static str,
}

/// Lists the kinds.
///
/// # Errors
/// [`ApiError`].
pub async fn list(
    Call { authentication, .. }: Call<IdentifierTypesRequest>,
) -> Result<Json<IdentifierTypesAnswer>, ApiError> {
    authentication.authenticate().await?;
    let row = |kind: IdentifierType| IdentifierTypeRow { type_identifiant_structure: kind.code() };
    let liste_type_identifiant = IdentifierType::ALL.map(row);
    Ok(Json(IdentifierTypesAnswer { code_retour: 0, libelle: SUCCESS, liste_type_identifiant }))
}
