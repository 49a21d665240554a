//! One structure: `consulter` answers its directory entry, `lister/rattachementsutilisateur` a
//! person's services in it.

use axum::{Json, extract::State};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::{
    authentication::{Authentication, Call},
    error::ApiError,
    pagination::{PageAnswer, PageRequest},
    success::SUCCESS,
    tolerant::{Choice, Number, Object, Text, Word},
};
use crate::{
    db::api::directory::{self, Consulted, StructureRef},
    domain::structure_identifier::{IdentifierType, normal_form},
    web::api::state::ApiState,
};

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase")]
pub struct ConsultRequest {
    #[serde(rename = "idStructureCPP")]
    #[schemars(extend("examples" = [1]))]
    id_structure_cpp: Number,
    /// Some clients' name of `idStructureCPP`.
    #[schemars(title = "Autre nom de « idStructureCPP », accepté à sa place")]
    id_structure: Number,
    /// Raccord answers in French.
    #[schemars(title = "Les réponses sont en français")]
    #[allow(dead_code, reason = "deserialised to be validated")]
    code_langue: Choice<Language>,
}

#[derive(Clone, Copy, Debug)]
pub struct Language;

impl Word for Language {
    const WORDS: &'static [(&'static str, Self)] = &[("fr", Self)];
}

#[derive(JsonSchema, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ConsultAnswer {
    code_retour: u16,
    libelle: &'static str,
    adresse_postale_du_siege: PostalAddress,
    information_generales: GeneralInformation,
    parametres: Parameters,
}

#[derive(JsonSchema, Serialize)]
#[serde(rename_all = "camelCase")]
struct PostalAddress {
    adresse: String,
    complement_adresse_1: String,
    complement_adresse_2: String,
    code_postal: String,
    ville: String,
    pays: String,
    telephone: String,
}

#[derive(JsonSchema, Serialize)]
#[serde(rename_all = "camelCase")]
struct GeneralInformation {
    #[serde(rename = "idStructureCPP")]
    id_structure_cpp: i64,
    type_identifiant_structure: String,
    identifiant_structure: String,
    raison_sociale_structure: String,
    libelle_structure: String,
    /// `PUBLIQUE`, or `PRIVEE` for a private person.
    #[schemars(title = "PUBLIQUE, ou PRIVEE pour un particulier")]
    structure_privee_publique: &'static str,
    statut_structure: &'static str,
    /// Only within the caller's rights.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(
        with = "String",
        title = "Seulement pour une structure qui entre dans les droits de l’utilisateur technique"
    )]
    email_structure: Option<String>,
    /// Only within the caller's rights: in the caller's own structure, when its own password
    /// expires; in others, the next expiry.
    #[serde(skip_serializing_if = "Option::is_none", with = "time::serde::rfc3339::option")]
    #[schemars(with = "String", extend("format" = "date-time"), title = "Seulement pour une structure qui entre dans les droits de l’utilisateur technique. Pour la structure de l’utilisateur technique, l’échéance de son mot de passe ; pour une autre, la prochaine échéance parmi ses utilisateurs techniques actifs")]
    date_expiration_mot_passe_compte_tech: Option<OffsetDateTime>,
}

/// What an invoice to the structure must contain.
#[derive(JsonSchema, Serialize)]
#[serde(rename_all = "camelCase")]
#[allow(clippy::struct_excessive_bools, reason = "the dialect's own")]
struct Parameters {
    #[schemars(title = "Les factures portent un code service")]
    code_service_doit_etre_renseigne: bool,
    #[serde(rename = "numeroEJDoitEtreRenseigne")]
    #[schemars(title = "Les factures portent un numéro d’engagement juridique")]
    numero_ej_doit_etre_renseigne: bool,
    #[serde(rename = "gestionNumeroEJOuCodeService")]
    #[schemars(title = "Les factures portent l’un ou l’autre")]
    gestion_numero_ej_ou_code_service: bool,
    statut_mise_en_paiement_nest_pas_remonte: bool,
    #[serde(rename = "connexionEDI")]
    connexion_edi: bool,
    #[serde(rename = "recevoirDonneesViaEDI")]
    recevoir_donnees_via_edi: bool,
    #[serde(rename = "aMoa")]
    a_moa: bool,
    /// Some clients' name of `aMoa`.
    #[serde(rename = "getaMoa")]
    #[schemars(title = "Autre nom de « aMoa »")]
    geta_moa: bool,
    est_moa_uniquement: bool,
}

impl From<Consulted> for ConsultAnswer {
    fn from(row: Consulted) -> Self {
        let is_private = row.identifier_type == IdentifierType::Particulier.code();
        Self {
            code_retour: 0,
            libelle: SUCCESS,
            adresse_postale_du_siege: PostalAddress {
                adresse: row.address_line,
                complement_adresse_1: row.address_extra_1,
                complement_adresse_2: row.address_extra_2,
                code_postal: row.postal_code,
                ville: row.city,
                pays: row.country,
                telephone: row.phone,
            },
            information_generales: GeneralInformation {
                id_structure_cpp: row.id,
                type_identifiant_structure: row.identifier_type,
                identifiant_structure: row.identifier,
                raison_sociale_structure: row.designation.clone(),
                libelle_structure: row.designation,
                structure_privee_publique: if is_private { "PRIVEE" } else { "PUBLIQUE" },
                statut_structure: if row.active { "ACTIVE" } else { "INACTIVE" },
                email_structure: row.email,
                date_expiration_mot_passe_compte_tech: row
                    .technical_expiry
                    .map(|at| at.replace_nanosecond(0).unwrap_or(at)),
            },
            parametres: Parameters {
                code_service_doit_etre_renseigne: row.requires_service,
                numero_ej_doit_etre_renseigne: row.requires_engagement,
                gestion_numero_ej_ou_code_service: row.requires_service_engagement,
                statut_mise_en_paiement_nest_pas_remonte: !row.requires_payment_status,
                connexion_edi: row.edi_sender,
                recevoir_donnees_via_edi: row.edi_receiver,
                a_moa: row.moa,
                geta_moa: row.moa,
                est_moa_uniquement: row.moa_only,
            },
        }
    }
}

/// Answers a structure's directory entry.
///
/// # Errors
/// [`ApiError`].
pub async fn consult(
    State(state): State<ApiState>,
    Call { authentication, request }: Call<ConsultRequest>,
) -> Result<Json<ConsultAnswer>, ApiError> {
    let structure_ref = first_id([&request.id_structure_cpp, &request.id_structure]);
    let found = find(&state, &authentication, structure_ref, "idStructureCPP").await?;
    Ok(Json(found.into()))
}

/// The first id that is given. 0 counts as absent: clients in typed languages send it.
pub(super) fn first_id(ids: [&Number; 2]) -> Option<StructureRef> {
    ids.into_iter().filter_map(|id| id.0).find(|id| *id != 0).map(StructureRef::Id)
}

/// Authenticates the caller and finds the structure. A missing member is reported only to
/// authenticated callers.
pub(super) async fn find(
    state: &ApiState,
    authentication: &Authentication,
    structure_ref: Option<StructureRef>,
    member: &'static str,
) -> Result<Consulted, ApiError> {
    let Some(structure_ref) = structure_ref else {
        authentication.authenticate().await?;
        return Err(ApiError::BadRequest(format!("Membre « {member} » : il est obligatoire.")));
    };
    authentication
        .authenticate_with(|| directory::consult(state.database(), &authentication.presented, &structure_ref))
        .await?
        .ok_or(ApiError::UnknownStructure)
}

/// What the directory has of a SIRET.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase")]
pub struct SiretRequest {
    siret_structure: Text,
}

/// What Raccord knows of what INSEE publishes.
#[derive(JsonSchema, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SiretAnswer {
    code_retour: u16,
    libelle: &'static str,
    siret: String,
    siren: String,
    raison_sociale: String,
    #[schemars(title = "L’adresse, le code postal et la commune, sur une ligne")]
    adresse: String,
    est_actif: bool,
}

impl From<Consulted> for SiretAnswer {
    fn from(row: Consulted) -> Self {
        let parts = [row.address_line, row.address_extra_1, row.address_extra_2, row.postal_code, row.city];
        let adresse = parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ");
        Self {
            code_retour: 0,
            libelle: SUCCESS,
            siren: row.identifier.chars().take(9).collect(),
            siret: row.identifier,
            raison_sociale: row.designation,
            adresse,
            est_actif: row.active,
        }
    }
}

/// Answers the directory's entry of a SIRET.
///
/// # Errors
/// [`ApiError`].
pub async fn siret(
    State(state): State<ApiState>,
    Call { authentication, request }: Call<SiretRequest>,
) -> Result<Json<SiretAnswer>, ApiError> {
    let kind = IdentifierType::Siret;
    let text = request.siret_structure.0.as_deref();
    let structure_ref = text.map(|text| StructureRef::Identifier(kind, normal_form(kind, text)));
    let found = find(&state, &authentication, structure_ref, "siretStructure").await?;
    Ok(Json(found.into()))
}

/// A person's services in a structure. Raccord has no services: the list is empty for every person.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase")]
pub struct ServicesRequest {
    #[schemars(extend("examples" = [1]))]
    id_structure: Number,
    #[serde(rename = "idStructureCPP")]
    #[schemars(title = "Autre nom de « idStructure », accepté à sa place")]
    id_structure_cpp: Number,
    #[schemars(title = "Avec « typeIdentifiantStructure », à la place de « idStructure »")]
    identifiant_structure: Text,
    #[schemars(title = "SIRET, s’il n’est pas donné")]
    type_identifiant_structure: Choice<IdentifierType>,
    #[allow(dead_code, reason = "deserialised to be validated")]
    adresse_email_connexion_utilisateur: Text,
    #[allow(dead_code, reason = "deserialised to be validated")]
    id_utilisateur: Number,
    #[serde(rename = "parametresListerRattachementsStructureUtilisateur", alias = "parametres")]
    parametres: Object<PageRequest>,
}

#[derive(JsonSchema, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ServicesAnswer {
    code_retour: u16,
    libelle: &'static str,
    id_structure: i64,
    identifiant_structure: String,
    designation_structure: String,
    /// Raccord has no services: always empty.
    #[schemars(title = "Toujours vide : Raccord ne connaît pas de services")]
    liste_services: [(); 0],
    parametres_retour: PageAnswer,
}

impl ServicesRequest {
    fn structure_ref(&self) -> Option<StructureRef> {
        let id = first_id([&self.id_structure, &self.id_structure_cpp]);
        let kind = self.type_identifiant_structure.0.unwrap_or(IdentifierType::Siret);
        let by_identifier = || self.identifiant_structure.0.as_deref().map(|text| (kind, normal_form(kind, text)));
        id.or_else(|| by_identifier().map(|(kind, text)| StructureRef::Identifier(kind, text)))
    }
}

/// Lists the services, in a structure within the caller's rights.
///
/// # Errors
/// [`ApiError`].
pub async fn services(
    State(state): State<ApiState>,
    Call { authentication, request }: Call<ServicesRequest>,
) -> Result<Json<ServicesAnswer>, ApiError> {
    let found = find(&state, &authentication, request.structure_ref(), "idStructure").await?;
    if !found.within_rights {
        return Err(ApiError::Forbidden);
    }
    Ok(Json(ServicesAnswer {
        code_retour: 0,
        libelle: SUCCESS,
        id_structure: found.id,
        identifiant_structure: found.identifier,
        designation_structure: found.designation,
        liste_services: [],
        parametres_retour: PageAnswer::new(request.parametres.0.page(), 0),
    }))
}
