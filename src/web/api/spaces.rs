//! `rechercher/espaces`: the spaces of Chorus Pro that a person may enter. Raccord has none.

use axum::Json;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    authentication::Call,
    error::ApiError,
    pagination::{PageAnswer, PageRequest},
    success::SUCCESS,
    tolerant::Object,
};

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase")]
pub struct SpacesRequest {
    #[serde(alias = "parametres")]
    parametres_recherche: Object<PageRequest>,
}

#[derive(JsonSchema, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SpacesAnswer {
    code_retour: u16,
    libelle: &'static str,
    #[schemars(title = "Toujours vide : Raccord ne connaît pas d’espaces")]
    liste_espaces: [(); 0],
    parametres_retour: PageAnswer,
}

/// Lists the spaces: none.
///
/// # Errors
/// [`ApiError`].
pub async fn search(Call { authentication, request }: Call<SpacesRequest>) -> Result<Json<SpacesAnswer>, ApiError> {
    authentication.authenticate().await?;
    let parametres_retour = PageAnswer::new(request.parametres_recherche.0.page(), 0);
    Ok(Json(SpacesAnswer { code_retour: 0, libelle: SUCCESS, liste_espaces: [], parametres_retour }))
}
