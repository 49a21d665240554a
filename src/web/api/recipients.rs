//! `telecharger/annuaire/destinataire`: Chorus Pro's archive of all recipients of invoices.
//! Raccord knows no recipients, so its archive has no file.

use axum::Json;
use data_encoding::BASE64;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{authentication::Call, error::ApiError, success::SUCCESS};

/// The call has no members.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct RecipientsRequest {}

#[derive(JsonSchema, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RecipientsAnswer {
    code_retour: u16,
    libelle: &'static str,
    #[schemars(title = "Une archive ZIP en base64, sans fichier")]
    fichier_resultat: String,
}

/// A ZIP archive without files: its end record alone (APPNOTE 4.3.16).
const EMPTY_ARCHIVE: [u8; 22] = *b"PK\x05\x06\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0";

/// Answers with the empty archive.
///
/// # Errors
/// [`ApiError`].
pub async fn download(
    Call { authentication, .. }: Call<RecipientsRequest>,
) -> Result<Json<RecipientsAnswer>, ApiError> {
    authentication.authenticate().await?;
    let fichier_resultat = BASE64.encode(&EMPTY_ARCHIVE);
    Ok(Json(RecipientsAnswer { code_retour: 0, libelle: SUCCESS, fichier_resultat }))
}
