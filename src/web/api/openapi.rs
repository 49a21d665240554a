//! `/api/openapi.json`: the API's description (OpenAPI 3.1), generated from its request and
//! response types.

use std::sync::LazyLock;

use axum::{
    extract::State,
    http::header,
    response::{IntoResponse, Response},
};
use schemars::{
    JsonSchema, Schema, SchemaGenerator,
    generate::{Contract, SchemaSettings},
    transform::{Transform, transform_subschemas},
};
use serde_json::{Map, Value, json};

use super::{
    active_structures::{ActiveStructuresAnswer, ActiveStructuresRequest},
    error::Refusal,
    health_check::HealthAnswer,
    identifier_types::{IdentifierTypesAnswer, IdentifierTypesRequest},
    introspection::IntrospectionAnswer,
    memberships::{MembershipsAnswer, MembershipsRequest},
    metadata::{KeySet, Metadata},
    oauth::OauthRefusal,
    own_account::OwnAccountAnswer,
    recipients::{RecipientsAnswer, RecipientsRequest},
    revocation::Revoked,
    search::{SearchAnswer, SearchRequest},
    spaces::{SpacesAnswer, SpacesRequest},
    structure::{ConsultAnswer, ConsultRequest, ServicesAnswer, ServicesRequest, SiretAnswer, SiretRequest},
    structure_services::{ServiceRequest, StructureServicesAnswer, StructureServicesRequest},
    token::TokenAnswer,
};
use crate::web::{api::state::ApiState, paths};

/// Answers the description, with this portal's public URL.
pub async fn answer(State(state): State<ApiState>) -> Response {
    let written = state.description.get_or_init(|| {
        let mut description = DESCRIPTION.clone();
        description["servers"] = json!([{ "url": state.app.settings.public_url }]);
        description.to_string().into()
    });
    ([(header::CONTENT_TYPE, "application/json")], written.clone()).into_response()
}

/// Generated once: the same for every caller.
static DESCRIPTION: LazyLock<Value> = LazyLock::new(describe);

fn describe() -> Value {
    let mut schemas = Schemas::new();
    let refusal = schemas.answer::<Refusal>();
    let calls = paths_of(&mut schemas);
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "API de Raccord",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Les appels ouverts aux utilisateurs techniques. Leur mode d’emploi : /documentation-api.",
        },
        "paths": calls,
        "components": {
            "schemas": schemas.definitions(),
            "responses": responses(&refusal),
            "headers": {
                "Sunset": { "description": "Échéance du mot de passe, si elle survient dans les 31 jours (RFC 8594).", "schema": { "type": "string" } },
                "X-Raccord-Expiration": { "description": "La même date, au format RFC 3339.", "schema": { "type": "string", "format": "date-time" } },
            },
            "securitySchemes": {
                "jeton": {
                    "type": "oauth2",
                    "flows": { "clientCredentials": { "tokenUrl": paths::API_TOKEN, "scopes": { "openid": "Tous les appels" } } },
                },
                "jetonObtenu": {
                    "type": "http", "scheme": "bearer",
                    "description": "Un jeton obtenu par « /api/oauth/token », pour les outils qui ne le demandent pas eux-mêmes",
                },
                "motDePasse": {
                    "type": "http", "scheme": "basic",
                    "description": "L’identifiant et le mot de passe, pour les passerelles seulement",
                },
                "cproAccount": {
                    "type": "apiKey", "in": "header", "name": "cpro-account",
                    "description": "base64(identifiant:mot de passe), en UTF-8",
                },
            },
        },
    })
}

fn paths_of(schemas: &mut Schemas) -> Value {
    let mut calls = further_calls(schemas);
    if let (Value::Object(all), Value::Object(main)) = (&mut calls, main_calls(schemas)) {
        all.extend(main);
    }
    calls
}

fn main_calls(schemas: &mut Schemas) -> Value {
    json!({
        paths::API_TOKEN: { "post": token(schemas) },
        paths::API_INTROSPECTION: { "post": introspection(schemas) },
        paths::API_REVOCATION: { "post": revocation(schemas) },
        paths::API_METADATA: { "get": public(&schemas.answer::<Metadata>(), "metadonnees", "Lire les métadonnées (RFC 8414)", &[405]) },
        paths::API_SIGNING_KEYS: { "get": public(
            &schemas.answer::<KeySet>(), "clesPubliques", "Lire les clés publiques des jetons signés (RFC 7517)", &[405, 500, 503]) },
        paths::API_OWN_ACCOUNT: { "get": read(
            &schemas.answer::<OwnAccountAnswer>(), "moi", "Connaître son compte et l’échéance de son mot de passe") },
        paths::API_VERIFICATION: { "get": verification("verification", json!([])) },
        paths::API_SERVICE_VERIFICATION: { "get": verification("verificationPourUnService", json!([
            { "name": "service", "in": "path", "required": true, "schema": { "type": "string" },
              "description": "Le nom du service, celui de « raccord service add »" },
        ])) },
        paths::API_HEALTH_CHECK: { "get": read(
            &schemas.answer::<HealthAnswer>(), "healthCheck", "Vérifier que l’API répond et que le compte est accepté") },
        paths::API_MEMBERSHIPS: { "post": call::<MembershipsRequest, MembershipsAnswer>(
            schemas, "recupererRattachements", "Lister les rattachements du gestionnaire principal", &[]) },
        paths::API_SEARCH: { "post": call::<SearchRequest, SearchAnswer>(
            schemas, "rechercherStructure", "Rechercher des structures dans l’annuaire", &[]) },
        paths::API_CONSULT: { "post": call::<ConsultRequest, ConsultAnswer>(
            schemas, "consulterStructure", "Consulter une structure de l’annuaire", &[404]) },
        paths::API_SERVICES: { "post": call::<ServicesRequest, ServicesAnswer>(
            schemas, "listerRattachementsUtilisateur", "Lister les services d’un utilisateur dans une structure", &[403, 404]) },
        paths::API_DESCRIPTION: { "get": {
            "operationId": "openapi",
            "summary": "Obtenir cette description",
            "responses": {
                "200": { "description": "La description de l’API", "content": { "application/json": { "schema": { "type": "object" } } } },
                "405": reference("405"),
            },
        } },
    })
}

/// Further calls of Chorus Pro's clients.
fn further_calls(schemas: &mut Schemas) -> Value {
    json!({
        paths::API_STRUCTURE_SERVICES: { "post": call::<StructureServicesRequest, StructureServicesAnswer>(
            schemas, "rechercherServicesStructure", "Lister les services d’une structure de l’annuaire", &[404]) },
        paths::API_STRUCTURE_SERVICE: { "post": never_found::<ServiceRequest>(
            schemas, "consulterService", "Consulter un service : Raccord n’en connaît pas, la réponse est toujours 404") },
        paths::API_SPACES: { "post": call::<SpacesRequest, SpacesAnswer>(
            schemas, "rechercherEspaces", "Lister les espaces d’un utilisateur", &[]) },
        paths::API_SUPPLIERS: { "post": call::<ActiveStructuresRequest, ActiveStructuresAnswer>(
            schemas, "recupererStructuresActivesPourFournisseur", "Lister les structures actives du gestionnaire principal", &[]) },
        paths::API_RECIPIENTS: { "post": call::<ActiveStructuresRequest, ActiveStructuresAnswer>(
            schemas, "recupererStructuresActivesPourDestinataire", "Lister les structures actives du gestionnaire principal", &[]) },
        paths::API_IDENTIFIER_TYPES: { "post": call::<IdentifierTypesRequest, IdentifierTypesAnswer>(
            schemas, "recupererTypeIdentifiantStructure", "Lister les types d’identifiant", &[]) },
        paths::API_RECIPIENTS_FILE: { "post": call::<RecipientsRequest, RecipientsAnswer>(
            schemas, "telechargerAnnuaireDestinataire",
            "Télécharger l’annuaire des destinataires : Raccord n’en connaît pas, l’archive est vide", &[]) },
        paths::API_SIRET: { "post": call::<SiretRequest, SiretAnswer>(
            schemas, "consulterInformationSIRET", "Consulter ce que l’annuaire dit d’un SIRET", &[404]) },
    })
}

/// A call with a JSON body.
fn call<Request: JsonSchema, Answer: JsonSchema>(
    schemas: &mut Schemas,
    name: &str,
    summary: &str,
    others: &[u16],
) -> Value {
    let statuses = [&[400, 401, 405, 413, 415, 429, 500, 503], others].concat();
    json!({
        "operationId": name,
        "summary": summary,
        "security": security(),
        "requestBody": { "content": { "application/json": { "schema": schemas.request::<Request>() } } },
        "responses": answered(&schemas.answer::<Answer>(), &statuses),
    })
}

/// A call that finds nothing.
fn never_found<Request: JsonSchema>(schemas: &mut Schemas, name: &str, summary: &str) -> Value {
    let statuses = [400, 401, 404, 405, 413, 415, 429, 500, 503];
    let refused = statuses.map(|status| (status.to_string(), reference(&status.to_string())));
    json!({
        "operationId": name,
        "summary": summary,
        "security": security(),
        "requestBody": { "content": { "application/json": { "schema": schemas.request::<Request>() } } },
        "responses": Value::Object(refused.into_iter().collect()),
    })
}

/// A call without a body, for technical users.
fn read(answer: &Value, name: &str, summary: &str) -> Value {
    json!({
        "operationId": name,
        "summary": summary,
        "security": security(),
        "responses": answered(answer, &[400, 401, 405, 429, 500, 503]),
    })
}

/// A check of a gateway. It answers to every method alike.
fn verification(name: &str, parameters: Value) -> Value {
    let Value::Array(mut parameters) = parameters else { return Value::Null };
    let structure = "La structure concernée par l’appel, comme SIRET:21570004800014 ; hors des droits : 403";
    parameters
        .push(json!({ "name": "structure", "in": "query", "schema": { "type": "string" }, "description": structure }));
    parameters.push(json!({ "name": "reponses", "in": "query", "schema": { "const": "nginx" },
        "description": "« nginx » : 403 avec X-Raccord-Status à la place de 429 et de 503" }));
    parameters.push(json!({ "name": "X-Raccord-For-Structure", "in": "header", "schema": { "type": "string" },
        "description": "Comme « structure », pour une passerelle qui ne choisit pas la requête ; sans effet à côté d’elle" }));
    let told = [
        ("X-Raccord-Login", "L’identifiant de connexion de l’utilisateur technique"),
        ("X-Raccord-Structure", "Sa structure, comme SIRET:21570004800014"),
        ("X-Raccord-Scope", "openid"),
        ("X-Raccord-Expiration", "L’échéance du mot de passe (RFC 3339)"),
        ("X-Raccord-For-Structure", "La structure demandée, sinon vide"),
        ("X-Raccord-Structure-Authorized", "« true » si une structure est demandée, sinon vide"),
    ];
    let header = |(name, says): (&str, &str)| {
        (name.to_owned(), json!({ "description": says, "required": true, "schema": { "type": "string" } }))
    };
    let headers: Map<String, Value> = told.into_iter().map(header).collect();
    let refused =
        [400, 401, 403, 404, 429, 500, 503].map(|status| (status.to_string(), reference(&status.to_string())));
    let passes = json!({ "description": "L’appel peut passer ; le corps est vide", "headers": headers });
    let responses: Map<String, Value> = [("200".to_owned(), passes)].into_iter().chain(refused).collect();
    json!({
        "operationId": name,
        "summary": "Savoir si un appel à une API de l’exploitant peut passer ; pour sa passerelle",
        "description": "Toutes les méthodes HTTP et tous les chemins au-dessous reçoivent la même réponse ; le corps n’est pas lu. \
                        Au-dessous, la requête (« ? ») est sans effet.",
        "security": [{ "jetonObtenu": [] }, { "cproAccount": [] }, { "motDePasse": [] }],
        "parameters": parameters,
        "responses": responses,
    })
}

/// A call that needs no credential.
fn public(answer: &Value, name: &str, summary: &str, refusals: &[u16]) -> Value {
    let done = json!({ "description": "Appel réussi", "content": { "application/json": { "schema": answer } } });
    let refused = refusals.iter().map(|status| (status.to_string(), reference(&status.to_string())));
    let responses: Map<String, Value> = [("200".to_owned(), done)].into_iter().chain(refused).collect();
    json!({ "operationId": name, "summary": summary, "security": [], "responses": responses })
}

/// A form of OAuth. `properties` come beside those of the client's credential.
struct OauthCall<'a> {
    name: &'a str,
    summary: &'a str,
    description: &'a str,
    properties: Value,
    required: &'a [&'a str],
    done: Value,
}

impl OauthCall<'_> {
    fn described(mut self, schemas: &mut Schemas) -> Value {
        let refusal = schemas.answer::<OauthRefusal>();
        let refused =
            |why| json!({ "description": why, "content": { "application/json": { "schema": refusal.clone() } } });
        self.properties["client_id"] = json!({ "type": "string", "description": "L’identifiant de connexion" });
        self.properties["client_secret"] =
            json!({ "type": "string", "format": "password", "description": "Le mot de passe" });
        let mut unauthorized = refused("Identifiant ou mot de passe incorrect");
        unauthorized["headers"] = json!({ "WWW-Authenticate": { "schema": { "type": "string" } } });
        json!({
            "operationId": self.name,
            "summary": self.summary,
            "description": self.description,
            "security": [],
            "requestBody": { "required": true, "content": { "application/x-www-form-urlencoded": { "schema": {
                "type": "object", "properties": self.properties, "required": self.required,
            } } } },
            "responses": {
                "200": self.done,
                "400": refused("La demande est mal formée"),
                "401": unauthorized,
                "405": reference("405"), "413": reference("413"), "429": reference("429"), "500": reference("500"), "503": reference("503"),
            },
        })
    }
}

fn token(schemas: &mut Schemas) -> Value {
    let answer = schemas.answer::<TokenAnswer>();
    let call = OauthCall {
        name: "jeton",
        summary: "Obtenir un jeton (RFC 6749, section 4.4)",
        description: "L’identifiant et le mot de passe vont dans le corps, ou dans l’en-tête Authorization (Basic).",
        properties: json!({
            "grant_type": { "const": "client_credentials" },
            "scope": { "type": "string" },
            "resource": {
                "type": "array", "items": { "type": "string", "format": "uri" },
                "description": "Les adresses des services que le jeton ouvre, et aucun autre (RFC 8707) ; absent : tous ceux qui n’exigent pas d’être nommés",
            },
        }),
        required: &["grant_type"],
        done: json!({ "description": "Le jeton", "content": { "application/json": { "schema": answer } } }),
    };
    call.described(schemas)
}

fn introspection(schemas: &mut Schemas) -> Value {
    let answer = schemas.answer::<IntrospectionAnswer>();
    let call = OauthCall {
        name: "introspection",
        summary: "Savoir ce qu’ouvre un jeton (RFC 7662) ; pour les services de l’exploitant",
        description: "L’identifiant et le secret sont ceux du service, dans le corps ou dans l’en-tête Authorization (Basic).",
        properties: json!({
            "token": { "type": "string", "description": "Le jeton, ou la valeur de l’en-tête « cpro-account »" },
            "token_type_hint": { "type": "string", "description": "« cpro-account » pour la valeur de cet en-tête ; le reste est sans effet" },
            "address": { "type": "string", "description": "L’adresse IPv4 ou IPv6 du client, telle que le service la voit. Sans elle, un cpro-account limité à des réseaux est inactif et un jeton compte" },
            "structure": { "type": "string", "pattern": "^(SIRET:[0-9]{14}|HORS_UE:[A-Z]{2}[A-ZÀ-Ö0-9 &.'-]{1,78}|(UE_HORS_FRANCE|RIDET|TAHITI):[A-Z0-9]{1,80}|(AUTRE|PARTICULIER):[A-Za-z0-9_-]{1,80})$", "description": "La structure concernée par l’appel, comme SIRET:21570004800014" },
        }),
        required: &["token"],
        done: json!({ "description": "Ce que le jeton ouvre ; inactif : « active » seul", "content": { "application/json": { "schema": answer } } }),
    };
    call.described(schemas)
}

fn revocation(schemas: &mut Schemas) -> Value {
    let answer = schemas.answer::<Revoked>();
    let call = OauthCall {
        name: "revocation",
        summary: "Mettre fin à un de ses jetons (RFC 7009)",
        description: "La réponse est la même pour un jeton inconnu. Un jeton signé (JWT) reste accepté jusqu’à sa fin par un service qui le vérifie seul.",
        properties: json!({
            "token": { "type": "string", "description": "Le jeton" },
            "token_type_hint": { "type": "string" },
        }),
        required: &["token"],
        done: json!({ "description": "Le jeton n’est plus accepté", "content": { "application/json": { "schema": answer } } }),
    };
    call.described(schemas)
}

fn answered(schema: &Value, refusals: &[u16]) -> Value {
    let headers = json!({
        "Sunset": { "$ref": "#/components/headers/Sunset" },
        "X-Raccord-Expiration": { "$ref": "#/components/headers/X-Raccord-Expiration" },
    });
    let done = json!({ "description": "Appel réussi", "headers": headers, "content": { "application/json": { "schema": schema } } });
    let refused = refusals.iter().map(|status| (status.to_string(), reference(&status.to_string())));
    Value::Object([("200".to_owned(), done)].into_iter().chain(refused).collect())
}

fn reference(status: &str) -> Value {
    json!({ "$ref": format!("#/components/responses/{status}") })
}

/// A Bearer, a `cpro-account`, or both.
fn security() -> Value {
    json!([{ "jeton": ["openid"] }, { "jetonObtenu": [] }, { "cproAccount": [] }, { "jeton": ["openid"], "cproAccount": [] }])
}

fn responses(refusal: &Value) -> Value {
    let refused = |why: &str, header: Option<&str>| {
        let mut response = json!({ "description": why, "content": { "application/json": { "schema": refusal } } });
        if let Some(name) = header {
            response["headers"] = json!({ name: { "schema": { "type": "string" } } });
        }
        response
    };
    json!({
        "400": refused("Un membre de la requête ne peut pas être lu : le libellé dit lequel", None),
        "401": refused("Identifiant, mot de passe ou jeton refusé", Some("WWW-Authenticate")),
        "403": refused("La structure n’entre pas dans les droits de l’utilisateur technique", None),
        "404": refused("La structure n’existe pas", None),
        "405": refused("Cette méthode HTTP n’est pas acceptée", None),
        "413": refused("Le corps dépasse 64 kilooctets", None),
        "415": refused("Le corps n’est pas de type application/json", None),
        "429": refused("Trop de tentatives : attendre le délai indiqué", Some("Retry-After")),
        "500": refused("Erreur interne", None),
        "503": refused("Service momentanément indisponible", Some("Retry-After")),
    })
}

/// The schemas of the request and response types, by name.
struct Schemas {
    requests: SchemaGenerator,
    answers: SchemaGenerator,
}

impl Schemas {
    fn new() -> Self {
        let settings = |contract| {
            SchemaSettings::draft2020_12().with(|settings| {
                settings.definitions_path = "/components/schemas".into();
                settings.contract = contract;
            })
        };
        Self {
            requests: settings(Contract::Deserialize).into_generator(),
            answers: settings(Contract::Serialize).into_generator(),
        }
    }

    fn request<T: JsonSchema>(&mut self) -> Value {
        self.requests.subschema_for::<T>().to_value()
    }

    fn answer<T: JsonSchema>(&mut self) -> Value {
        self.answers.subschema_for::<T>().to_value()
    }

    fn definitions(mut self) -> Value {
        let (requests, answers) = (self.requests.take_definitions(false), self.answers.take_definitions(false));
        let mut all: Map<String, Value> = requests.into_iter().chain(answers).collect();
        for schema in all.values_mut() {
            let Ok(mut described) = Schema::try_from(schema.take()) else { continue };
            TitlesForComments.transform(&mut described);
            *schema = described.to_value();
        }
        Value::Object(all)
    }
}

/// Descriptions for integrators, in French, are written as schema titles; doc comments, which
/// schemars takes for descriptions, are in English and removed.
#[derive(Clone)]
struct TitlesForComments;

impl Transform for TitlesForComments {
    fn transform(&mut self, schema: &mut Schema) {
        schema.remove("description");
        if let Some(title) = schema.remove("title") {
            schema.insert("description".into(), title);
        }
        transform_subschemas(self, schema);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::web::api;

    #[test]
    fn every_call_is_described_and_nothing_else() {
        let described: Vec<String> = DESCRIPTION["paths"]
            .as_object()
            .unwrap()
            .iter()
            .flat_map(|(path, methods)| {
                let methods = methods.as_object().unwrap().keys();
                methods.map(move |method| format!("{} {path}", method.to_uppercase()))
            })
            .collect();
        let mut routed: Vec<String> =
            api::routes().iter().map(|route| format!("{} {}", route.method, route.path)).collect();
        routed.sort_by_key(|route| route.split(' ').nth(1).map(str::to_owned));
        let mut described = described;
        described.sort_by_key(|route| route.split(' ').nth(1).map(str::to_owned));
        assert_eq!(described, routed);
    }

    #[test]
    fn the_description_is_reviewed_when_it_changes() {
        insta::assert_snapshot!(serde_json::to_string_pretty(&*DESCRIPTION).unwrap());
    }

    #[test]
    fn every_reference_leads_somewhere_and_no_comment_is_shown() {
        let text = DESCRIPTION.to_string();
        for reference in text.split("\"$ref\":\"#").skip(1) {
            let pointer = reference.split('"').next().unwrap();
            assert!(DESCRIPTION.pointer(pointer).is_some(), "{pointer}");
        }
        assert!(!text.contains("Raccord knows"), "{text}");
        for schema in DESCRIPTION["components"]["schemas"].as_object().unwrap().values() {
            assert_eq!(schema["type"], "object", "{schema}");
        }
    }
}
