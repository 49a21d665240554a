//! `rechercher`: searches the directory of structures.

use axum::{extract::State, response::Response};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    authentication::Call,
    error::ApiError,
    pagination::{PageAnswer, PageRequest},
    success::SUCCESS,
    tolerant::{Choice, Flag, Object, Text, Word},
};
use crate::{
    db::api::directory::{self, Criteria, Listed},
    domain::structure_identifier::{IdentifierType, normal_form, normal_forms},
    web::api::state::ApiState,
};

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase")]
pub struct SearchRequest {
    structure: Object<SearchedStructure>,
    parametres: Object<PageRequest>,
    /// Only structures within the caller's rights.
    #[schemars(title = "Vrai : seulement les structures qui entrent dans les droits de l’utilisateur technique")]
    restreindre_structures_privees: Flag,
}

/// The criteria; those that are absent do not filter.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase")]
pub struct SearchedStructure {
    /// A whole identifier; a SIREN finds its establishments.
    #[schemars(title = "L’identifiant entier. Un SIREN trouve tous ses établissements")]
    identifiant_structure: Text,
    type_identifiant_structure: Choice<IdentifierType>,
    /// Words of the name, or their beginnings, ignoring case and accents.
    #[schemars(
        title = "Des mots de la désignation ou leurs débuts, sans égard aux majuscules, aux accents ni à la ponctuation ; aussi des parties de mots si moins de 100 structures répondent"
    )]
    raison_sociale_structure: Text,
    #[schemars(title = "Comme « raisonSocialeStructure »")]
    libelle_structure: Text,
    statut_structure: Choice<Status>,
    type_structure: Choice<Kind>,
    #[schemars(title = "Deux lettres : FR")]
    adresse_code_pays: Text,
    adresse_code_postal: Text,
    /// The beginning of the town's name.
    #[schemars(title = "Le début du nom de la commune, sans égard aux majuscules ni aux accents")]
    adresse_ville: Text,
    #[schemars(title = "Comme « raisonSocialeStructure »")]
    nom_structure: Text,
    #[schemars(title = "Comme « raisonSocialeStructure »")]
    prenom_structure: Text,
    #[serde(rename = "estMOA")]
    est_moa: Flag,
    #[serde(rename = "estMOAUniquement")]
    est_moa_uniquement: Flag,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    Active,
    Inactive,
}

impl Word for Status {
    const WORDS: &'static [(&'static str, Self)] =
        &[("ACTIF", Self::Active), ("INACTIF", Self::Inactive), ("ACTIVE", Self::Active), ("INACTIVE", Self::Inactive)];
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Public,
    Private,
}

impl Word for Kind {
    const WORDS: &'static [(&'static str, Self)] = &[("PUBLIQUE", Self::Public), ("PRIVEE", Self::Private)];
}

impl Word for IdentifierType {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("SIRET", Self::Siret),
        ("UE_HORS_FRANCE", Self::UeHorsFrance),
        ("HORS_UE", Self::HorsUe),
        ("RIDET", Self::Ridet),
        ("TAHITI", Self::Tahiti),
        ("AUTRE", Self::Autre),
        ("PARTICULIER", Self::Particulier),
    ];
}

impl SearchRequest {
    /// An identifier as it is stored; one whose type is not given may be of any.
    fn identifiers(&self, text: &str) -> Vec<String> {
        let kind = self.structure.0.type_identifiant_structure.0;
        kind.map_or_else(|| normal_forms(text), |kind| vec![normal_form(kind, text)])
    }

    fn criteria(&self) -> Criteria {
        let searched = &self.structure.0;
        let names = [
            &searched.raison_sociale_structure,
            &searched.libelle_structure,
            &searched.nom_structure,
            &searched.prenom_structure,
        ];
        Criteria {
            identifiers: searched.identifiant_structure.0.as_deref().map(|text| self.identifiers(text)),
            identifier_type: searched.type_identifiant_structure.0,
            names: names.into_iter().filter_map(|name| name.0.clone()).collect(),
            active: searched.statut_structure.0.map(|status| status == Status::Active),
            public: searched.type_structure.0.map(|kind| kind == Kind::Public),
            country_code: searched.adresse_code_pays.0.clone(),
            postal_code: searched.adresse_code_postal.0.clone(),
            city: searched.adresse_ville.0.clone(),
            moa: searched.est_moa.0.is_some(),
            moa_only: searched.est_moa_uniquement.0.is_some(),
            within_rights: self.restreindre_structures_privees.0.is_some(),
        }
    }
}

#[derive(JsonSchema, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SearchAnswer {
    code_retour: u16,
    libelle: &'static str,
    liste_structures: Vec<ListedStructure>,
    parametres_retour: PageAnswer,
}

#[derive(JsonSchema, Serialize)]
#[serde(rename_all = "camelCase")]
struct ListedStructure {
    #[serde(rename = "idStructureCPP")]
    id_structure_cpp: i64,
    identifiant_structure: String,
    type_identifiant_structure: String,
    designation_structure: String,
    statut: &'static str,
}

impl From<Listed> for ListedStructure {
    fn from(row: Listed) -> Self {
        Self {
            id_structure_cpp: row.id,
            identifiant_structure: row.identifier,
            type_identifiant_structure: row.identifier_type,
            designation_structure: row.designation,
            statut: if row.active { "ACTIVE" } else { "INACTIVE" },
        }
    }
}

/// Searches the directory.
///
/// # Errors
/// [`ApiError`].
pub async fn search(
    State(state): State<ApiState>,
    Call { authentication, request }: Call<SearchRequest>,
) -> Result<Response, ApiError> {
    let page = request.parametres.0.page();
    let criteria = request.criteria();
    let found = authentication
        .authenticate_with(|| directory::search(state.database(), &authentication.presented, &criteria, page))
        .await?;
    authentication.answer(&SearchAnswer {
        code_retour: 0,
        libelle: SUCCESS,
        liste_structures: found.rows.into_iter().map(ListedStructure::from).collect(),
        parametres_retour: PageAnswer::new(page, found.total),
    })
}
