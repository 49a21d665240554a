//! The calls about structures: what each accepts, answers and refuses.

use raccord::domain::technical_user::TechnicalUserStatus;
use serde_json::{Value, json};

use super::portal_with_account;
use crate::common::{Account, Answer, SEARCH, TestPortal, cpro_account};

const CONSULT: &str = "/cpro/structures/v1/consulter";
const SERVICES: &str = "/cpro/structures/v1/lister/rattachementsutilisateur";

async fn call(portal: &TestPortal, account: &Account, path: &str, body: &Value) -> Answer {
    portal.program().call(path, &[("cpro-account", &account.cpro_account())], body.to_string()).await
}

/// The names that a search finds, in its order.
async fn names(portal: &TestPortal, account: &Account, body: Value) -> Vec<String> {
    let answer = call(portal, account, SEARCH, &body).await;
    assert_eq!(answer.status, 200, "{body}: {}", answer.body_text());
    let list = answer.json()["listeStructures"].as_array().expect("a list").clone();
    list.iter().map(|row| row["designationStructure"].as_str().expect("a name").to_owned()).collect()
}

#[tokio::test]
async fn the_directory_is_searched_by_each_criterion() {
    let (portal, account) = portal_with_account().await;
    portal
        .execute(
            "UPDATE structures SET active = false, managed = false WHERE id = 5;
              UPDATE structures SET moa = true, moa_only = true, country_code = 'NC' WHERE id = 5;
              INSERT INTO structures (identifier_type, identifier, designation) VALUES ('PARTICULIER', 'X1', 'Jeanne Dupont')",
        )
        .await;
    let all =
        ["Mairie de Lyon", "Ville de Paris", "La Poste", "Mairie de Marseille", "Nouméa Énergie", "Jeanne Dupont"];
    assert_eq!(names(&portal, &account, json!({})).await, all);
    for (criteria, expected) in [
        (
            json!({"identifiantStructure": "21690123100011", "typeIdentifiantStructure": "SIRET"}),
            vec!["Mairie de Lyon"],
        ),
        (json!({"identifiantStructure": "216 901 231 00011"}), vec!["Mairie de Lyon"]),
        (json!({"identifiantStructure": 356_000_000}), vec!["La Poste"]),
        // Less than a whole identifier, a SIREN aside, names nothing.
        (json!({"identifiantStructure": "2169012310001"}), vec![]),
        (json!({"identifiantStructure": "012345678"}), vec![]),
        (json!({"identifiantStructure": "%"}), vec![]),
        (json!({"identifiantStructure": "_1"}), vec![]),
        (json!({"typeIdentifiantStructure": "RIDET"}), vec!["Nouméa Énergie"]),
        (json!({"raisonSocialeStructure": "mairie"}), vec!["Mairie de Lyon", "Mairie de Marseille"]),
        (json!({"libelleStructure": "NOUMEA energie"}), vec!["Nouméa Énergie"]),
        (json!({"raisonSocialeStructure": "100%"}), vec![]),
        (json!({"raisonSocialeStructure": "_mairie_"}), vec!["Mairie de Lyon", "Mairie de Marseille"]),
        (json!({"raisonSocialeStructure": "mairie\\"}), vec!["Mairie de Lyon", "Mairie de Marseille"]),
        (json!({"adresseVille": "lyon%"}), vec!["Mairie de Lyon"]),
        (json!({"adresseVille": "l%n"}), vec![]),
        // The identifier is no part of the name.
        (json!({"raisonSocialeStructure": "2169"}), vec![]),
        (json!({"raisonSocialeStructure": "lyon 2169"}), vec![]),
        (json!({"raisonSocialeStructure": "21"}), vec![]),
        (json!({"statutStructure": "INACTIF"}), vec!["Nouméa Énergie"]),
        (
            json!({"statutStructure": "ACTIF", "raisonSocialeStructure": "e"}),
            vec!["Mairie de Lyon", "Ville de Paris", "La Poste", "Mairie de Marseille", "Jeanne Dupont"],
        ),
        (json!({"typeStructure": "PRIVEE"}), vec!["Jeanne Dupont"]),
        (json!({"nomStructure": "dupont", "prenomStructure": "jeanne"}), vec!["Jeanne Dupont"]),
        (json!({"adresseCodePostal": "75004"}), vec!["Ville de Paris"]),
        (json!({"adresseVille": "PAR"}), vec!["Ville de Paris", "La Poste"]),
        (json!({"adresseVille": "aris"}), vec![]),
        (json!({"adresseCodePays": "nc"}), vec!["Nouméa Énergie"]),
        (json!({"estMOA": true}), vec!["Nouméa Énergie"]),
        (json!({"estMOAUniquement": true}), vec!["Nouméa Énergie"]),
        (json!({"identifiantStructure": "' OR 1=1 --"}), vec![]),
    ] {
        assert_eq!(names(&portal, &account, json!({"structure": criteria})).await, expected, "{criteria}");
    }
    let mine = json!({"restreindreStructuresPrivees": true});
    assert_eq!(names(&portal, &account, mine).await, ["Mairie de Lyon", "Ville de Paris", "La Poste"]);
}

#[tokio::test]
async fn what_is_not_given_has_many_forms() {
    let (portal, account) = portal_with_account().await;
    let none = |value: Value| {
        json!({"identifiantStructure": value, "typeIdentifiantStructure": value, "raisonSocialeStructure": value,
               "statutStructure": value, "typeStructure": value, "estMOA": value, "adresseVille": value, "inconnu": [1]})
    };
    for body in [
        json!(null),
        json!({}),
        json!({"structure": null, "parametres": null, "restreindreStructuresPrivees": null}),
        json!({"structure": "", "parametres": ""}),
        json!({"structure": none(json!(null)), "restreindreStructuresPrivees": false}),
        json!({"structure": none(json!(""))}),
        json!({"structure": none(json!(false))}),
        json!({"autre": {"membre": 1}}),
    ] {
        assert_eq!(names(&portal, &account, body).await.len(), 5);
    }
}

#[tokio::test]
async fn a_search_is_sorted_and_paged() {
    let (portal, account) = portal_with_account().await;
    for (column, direction, expected) in [
        ("IdentifiantStructure", "Ascendant", ["Nouméa Énergie", "Mairie de Marseille"]),
        ("IdentifiantStructure", "Descendant", ["La Poste", "Ville de Paris"]),
        ("DesignationStructure", "Ascendant", ["La Poste", "Mairie de Lyon"]),
        ("DesignationStructure", "Descendant", ["Ville de Paris", "Nouméa Énergie"]),
        ("TypeIdentifiantStructure", "Ascendant", ["Nouméa Énergie", "Mairie de Marseille"]),
        ("Statut", "Ascendant", ["Mairie de Lyon", "Ville de Paris"]),
        ("Statut", "Descendant", ["Nouméa Énergie", "Mairie de Marseille"]),
    ] {
        let pages =
            json!({"nbResultatsParPage": 2, "pageResultatDemandee": 1, "triColonne": column, "triSens": direction});
        assert_eq!(names(&portal, &account, json!({"parametres": pages})).await, expected, "{column} {direction}");
    }
    let last = json!({"parametres": {"nbResultatsParPage": 2, "pageResultatDemandee": 3}});
    let answer = call(&portal, &account, SEARCH, &last).await.json();
    assert_eq!(
        answer,
        json!({
            "codeRetour": 0, "libelle": "TRA_MSG_00.000",
            "listeStructures": [{"idStructureCPP": 5, "identifiantStructure": "0123456", "typeIdentifiantStructure": "RIDET",
                                 "designationStructure": "Nouméa Énergie", "statut": "ACTIVE"}],
            "parametresRetour": {"nbResultatsParPage": 2, "pageCourante": 3, "pages": 3, "total": 5}
        })
    );
    let beyond = json!({"parametres": {"nbResultatsParPage": 10000, "pageResultatDemandee": i32::MAX}});
    let answer = call(&portal, &account, SEARCH, &beyond).await.json();
    assert_eq!((answer["listeStructures"].clone(), answer["parametresRetour"]["total"].clone()), (json!([]), json!(5)));
}

#[tokio::test]
async fn a_structure_is_consulted_and_its_privacies_only_within_the_rights() {
    let (portal, account) = portal_with_account().await;
    portal.execute("UPDATE structures SET requires_service = true, moa = true WHERE id = 1").await;
    let expiry = portal.expiry_of(account.id).await.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    let expected = json!({
        "codeRetour": 0, "libelle": "TRA_MSG_00.000",
        "adressePostaleDuSiege": {"adresse": "1 place de la Comédie", "complementAdresse1": "", "complementAdresse2": "",
                                  "codePostal": "69001", "ville": "Lyon", "pays": "FRANCE", "telephone": ""},
        "informationGenerales": {"idStructureCPP": 1, "typeIdentifiantStructure": "SIRET",
            "identifiantStructure": "21690123100011", "raisonSocialeStructure": "Mairie de Lyon",
            "libelleStructure": "Mairie de Lyon", "structurePriveePublique": "PUBLIQUE", "statutStructure": "ACTIVE",
            "emailStructure": "mairie@lyon.fr", "dateExpirationMotPasseCompteTech": expiry},
        "parametres": {"codeServiceDoitEtreRenseigne": true, "numeroEJDoitEtreRenseigne": false,
            "gestionNumeroEJOuCodeService": false, "statutMiseEnPaiementNestPasRemonte": true, "connexionEDI": false,
            "recevoirDonneesViaEDI": false, "aMoa": true, "getaMoa": true, "estMoaUniquement": false}
    });
    for body in [
        json!({"codeLangue": "fr", "idStructureCPP": 1}),
        json!({"codeLangue": "FR", "idStructure": "1"}),
        json!({"codeLangue": "", "idStructureCPP": "", "idStructure": 1}),
        json!({"idStructureCPP": 0, "idStructure": 1}),
    ] {
        assert_eq!(call(&portal, &account, CONSULT, &body).await.json(), expected, "{body}");
    }
    let stranger = call(&portal, &account, CONSULT, &json!({"idStructureCPP": 4})).await;
    assert_eq!(stranger.status, 200);
    let general = stranger.json()["informationGenerales"].clone();
    assert_eq!(general["raisonSocialeStructure"], "Mairie de Marseille");
    assert!(general.get("emailStructure").is_none() && general.get("dateExpirationMotPasseCompteTech").is_none());
    // A lost membership is seen by the next call.
    portal.close_structure(2).await;
    let lost = call(&portal, &account, CONSULT, &json!({"idStructureCPP": 2})).await.json();
    assert!(lost["informationGenerales"].get("emailStructure").is_none());
}

#[tokio::test]
async fn the_expiry_shown_is_the_callers_own_or_the_next_to_come() {
    let (portal, account) = portal_with_account().await;
    portal.set_expiry(account.id, "2200-01-02T00:00:00Z").await;
    for (structure, expiry) in [
        (1, "2100-01-01T00:00:00Z"),
        (2, "2020-01-01T00:00:00Z"),
        (2, "2100-01-01T00:00:00Z"),
        (2, "2200-01-06T00:00:00Z"),
        (2, "2200-01-07T00:00:00Z"),
    ] {
        let other = portal.account(structure).await;
        portal.set_expiry(other.id, expiry).await;
        if structure == 2 && expiry.starts_with("2100") {
            portal.set_status(other.id, TechnicalUserStatus::Suspended).await;
        }
    }
    let told = async |structure: i64| {
        let answer = call(&portal, &account, CONSULT, &json!({"idStructureCPP": structure})).await;
        answer.json()["informationGenerales"].get("dateExpirationMotPasseCompteTech").cloned()
    };
    // Its own in its structure, though another one's comes first; elsewhere the first that is still
    // to come; else none.
    assert_eq!(told(1).await, Some(json!("2200-01-02T00:00:00Z")));
    assert_eq!(told(2).await, Some(json!("2200-01-06T00:00:00Z")));
    assert_eq!((told(3).await, told(4).await), (None, None));
}

#[tokio::test]
async fn services_are_listed_within_the_rights_alone() {
    let (portal, account) = portal_with_account().await;
    let expected = json!({
        "codeRetour": 0, "libelle": "TRA_MSG_00.000", "idStructure": 2, "identifiantStructure": "21750001600019",
        "designationStructure": "Ville de Paris", "listeServices": [],
        "parametresRetour": {"nbResultatsParPage": 10, "pageCourante": 1, "pages": 0, "total": 0}
    });
    for structure in [
        json!({"idStructure": 2, "idUtilisateur": 1, "parametres": {"nbResultatsParPage": 10}}),
        // Clients in typed languages send every member, with 0 and "" for none.
        json!({"adresseEmailConnexionUtilisateur": "", "idStructure": 0, "idUtilisateur": 0, "typeIdentifiantStructure": "",
               "identifiantStructure": "21750001600019",
               "parametresListerRattachementsStructureUtilisateur": {"nbResultatsParPage": 10}}),
        json!({"identifiantStructure": "217 500 016 00019", "typeIdentifiantStructure": "SIRET", "parametres": {"nbResultatsParPage": 10},
               "adresseEmailConnexionUtilisateur": "anne@mairie.fr"}),
    ] {
        assert_eq!(call(&portal, &account, SERVICES, &structure).await.json(), expected, "{structure}");
    }
    let outside = call(&portal, &account, SERVICES, &json!({"idStructure": 4})).await;
    assert_eq!((outside.status.as_u16(), outside.json()["codeRetour"].clone()), (403, json!(403)));
    assert!(outside.json()["libelle"].as_str().unwrap().contains("droits"));
}

#[tokio::test]
async fn every_refusal_says_which_member_and_why() {
    let (portal, account) = portal_with_account().await;
    for (path, body, status, words) in [
        (CONSULT, json!({}), 400, "idStructureCPP"),
        (CONSULT, json!({"idStructureCPP": "douze"}), 400, "idStructureCPP"),
        (CONSULT, json!({"idStructureCPP": 1, "codeLangue": "de"}), 400, "codeLangue"),
        (CONSULT, json!({"idStructureCPP": 999}), 404, "n’existe pas"),
        (CONSULT, json!({"idStructureCPP": -1}), 404, "n’existe pas"),
        (CONSULT, json!([1]), 400, "objet"),
        (SERVICES, json!({}), 400, "idStructure"),
        (SERVICES, json!({"identifiantStructure": "123", "typeIdentifiantStructure": "RIDET"}), 404, "n’existe pas"),
        (SERVICES, json!({"idStructure": 1, "typeIdentifiantStructure": "SIREN"}), 400, "typeIdentifiantStructure"),
        (SEARCH, json!({"structure": 1}), 400, "structure"),
        (SEARCH, json!({"structure": {"statutStructure": "PEUT-ETRE"}}), 400, "structure.statutStructure"),
        (SEARCH, json!({"structure": {"raisonSocialeStructure": "x".repeat(201)}}), 400, "200 caractères"),
        (SEARCH, json!({"structure": {"raisonSocialeStructure": "a\u{0}b"}}), 400, "raisonSocialeStructure"),
        (SEARCH, json!({"parametres": {"nbResultatsParPage": 0}}), 400, "nbResultatsParPage"),
        (SEARCH, json!({"parametres": {"triColonne": "Couleur"}}), 400, "triColonne"),
    ] {
        let answer = call(&portal, &account, path, &body).await;
        assert_eq!(answer.status.as_u16(), status, "{path} {body}: {}", answer.body_text());
        assert_eq!(answer.json()["codeRetour"], status, "{}", answer.body_text());
        assert!(answer.json()["libelle"].as_str().unwrap().contains(words), "{words}: {}", answer.body_text());
    }
    let header = account.cpro_account();
    for path in [SEARCH, CONSULT, SERVICES] {
        let headers = [("cpro-account", header.as_str()), ("content-type", "text/plain")];
        assert_eq!(portal.program().call(path, &headers, "{\"a\":1}").await.status, 415);
        let large = format!("{{\"a\":\"{}\"}}", "x".repeat(70_000));
        assert_eq!(portal.program().call(path, &[("cpro-account", &header)], large).await.status, 413);
        // Without a valid credential, nothing is said about the body.
        let stranger = cpro_account(&account.login, "faux");
        assert_eq!(portal.program().call(path, &[("cpro-account", &stranger)], "[").await.status, 401);
        assert_eq!(portal.program().call(path, &[], "{}").await.status, 401);
    }
}

#[tokio::test]
async fn a_structure_is_found_by_its_identifier_however_it_is_written() {
    let (portal, account) = portal_with_account().await;
    portal
        .execute(
            "INSERT INTO structures (identifier_type, identifier, designation) VALUES
                ('RIDET', '0123456001', 'Nouméa un'), ('TAHITI', 'E80208001', 'Papeete'),
                ('UE_HORS_FRANCE', 'BE0403170701', 'Bruxelles'), ('HORS_UE', 'CHSOCIÉTÉ ROMANDE', 'Société Romande')",
        )
        .await;
    for (identifier, kind, name) in [
        ("0123456.001", "RIDET", "Nouméa un"),
        ("0123456.001", "", "Nouméa un"),
        ("e80208-001", "TAHITI", "Papeete"),
        ("be 0403.170.701", "", "Bruxelles"),
        ("CHSociété  Romande", "HORS_UE", "Société Romande"),
        ("217.500.016.00019", "", "Ville de Paris"),
    ] {
        let structure = json!({ "identifiantStructure": identifier, "typeIdentifiantStructure": kind });
        let answer = call(&portal, &account, SEARCH, &json!({ "structure": structure })).await.json();
        assert_eq!(answer["listeStructures"][0]["designationStructure"], name, "{identifier}: {answer}");
    }
}

/// What else public clients call: a right answer, empty where Raccord has nothing.
#[tokio::test]
async fn further_calls_of_public_clients_have_a_right_answer() {
    let (portal, account) = portal_with_account().await;
    let call = async |path: &str, body: Value| {
        let answer = call(&portal, &account, path, &body).await;
        (answer.status.as_u16(), answer.json())
    };
    let services = "/cpro/structures/v1/rechercher/services";
    let body = json!({ "idStructure": 1, "parametresRechercherServicesStructure": { "nbResultatsParPage": 10_000 } });
    let (status, answer) = call(services, body).await;
    assert_eq!((status, &answer["codeRetour"], &answer["listeServices"]), (200, &json!(0), &json!([])), "{answer}");
    assert_eq!(
        answer["parametresRetour"],
        json!({ "nbResultatsParPage": 10_000, "pageCourante": 1, "pages": 0, "total": 0 })
    );
    assert_eq!(call(services, json!({ "idStructure": 9_999 })).await.0, 404);
    assert_eq!(call(services, json!({})).await.0, 400);
    let service = "/cpro/structures/v1/consulter/service";
    let (status, answer) = call(service, json!({ "idStructure": 1, "idService": 7 })).await;
    assert_eq!((status, answer["libelle"].as_str()), (404, Some("Cette structure n’a pas de service de ce numéro.")));
    let (status, answer) = call("/cpro/utilisateurs/v1/rechercher/espaces", json!({})).await;
    assert_eq!((status, &answer["listeEspaces"]), (200, &json!([])));
    let (_, answer) = call("/cpro/transverses/v1/telecharger/annuaire/destinataire", json!({})).await;
    assert_eq!(answer["fichierResultat"], "UEsFBgAAAAAAAAAAAAAAAAAAAAAAAA==");
    let (_, answer) = call("/cpro/transverses/v1/recuperer/typeidentifiant/structure", json!({})).await;
    let kinds: Vec<_> = answer["listeTypeIdentifiant"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|row| row["typeIdentifiantStructure"].clone())
        .collect();
    assert_eq!(json!(kinds), json!(["SIRET", "UE_HORS_FRANCE", "HORS_UE", "RIDET", "TAHITI", "AUTRE", "PARTICULIER"]));
    let (status, answer) =
        call("/cpro/transverses/v1/consulter/information/siret", json!({ "siretStructure": "217 500 016 00019" }))
            .await;
    assert_eq!(
        (status, answer["siren"].as_str(), answer["raisonSociale"].as_str()),
        (200, Some("217500016"), Some("Ville de Paris"))
    );
    for space in ["fournisseur", "destinataire"] {
        let (_, answer) = call(&format!("/cpro/transverses/v1/recuperer/structures/actives/{space}"), json!({})).await;
        let names = |answer: &Value| -> Vec<String> {
            answer["listeStructures"]
                .as_array()
                .expect("a list")
                .iter()
                .map(|row| row["identifiant"].as_str().expect("text").to_owned())
                .collect()
        };
        assert_eq!(names(&answer), ["21690123100011", "21750001600019", "35600000000048"], "{answer}");
    }
}
