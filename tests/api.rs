//! The API: how programs authenticate with a technical user, and what their calls answer.

mod calls;
mod connections;
mod documentation;
mod introspection;
mod jwt;
mod metadata;
mod names;
mod own_account;
mod revocation;
mod rotation;
mod services;
mod traces;
mod verification;
mod verifiers;

use axum::{body::Body, http::Request};
use raccord::{domain::technical_user::TechnicalUserStatus, web::api};

use crate::common::{Account, BRUNO, HEALTH, MEMBERSHIPS, Program, SEARCH, TOKEN, TestPortal, cpro_account};

const CHALLENGE: &str = r#"Bearer realm="PISTE",error="Unauthorized",error_description="login or password incorrects""#;

/// The calls that need a credential: all but to obtain a token and to read the description.
fn authenticated_paths() -> impl Iterator<Item = &'static str> {
    api::routes().into_iter().map(|route| route.path).filter(|path| path.starts_with("/cpro/"))
}

/// A portal with [`TestPortal::anne_and_bruno`], and a technical user of the first structure.
async fn portal_with_account() -> (TestPortal, Account) {
    let portal = TestPortal::start().await;
    portal.anne_and_bruno().await;
    let account = portal.account(1).await;
    (portal, account)
}

#[tokio::test]
async fn a_technical_user_is_let_in_by_header_by_token_and_by_both() {
    let (portal, account) = portal_with_account().await;
    let header = account.cpro_account();
    let bearer = format!("Bearer {}", portal.program().token(&account).await);
    for headers in [
        vec![("cpro-account", header.as_str())],
        vec![("authorization", bearer.as_str())],
        vec![("cpro-account", header.trim_end_matches('=')), ("authorization", bearer.as_str())],
    ] {
        let answer = portal.program().call(HEALTH, &headers, "null").await;
        assert_eq!(answer.status, 200, "{}", answer.body_text());
        assert_eq!(
            answer.json(),
            serde_json::json!({"statusCodeValue": 200, "statusCode": "OK", "body": "L'API CPRO est actuellement disponible et fonctionnel."})
        );
        assert_eq!(answer.header("sunset"), None);
    }
}

#[tokio::test]
async fn every_refusal_is_the_same() {
    let (portal, account) = portal_with_account().await;
    let other = portal.account(2).await;
    let bearer = format!("Bearer {}", portal.program().token(&account).await);
    let good = account.cpro_account();
    let refused = [
        vec![],
        vec![("cpro-account", cpro_account(&account.login, "wrong"))],
        vec![("cpro-account", cpro_account("TECH_9_X@cpro.fr", account.password.expose()))],
        vec![("cpro-account", cpro_account("anne@mairie.fr", "whatever it is"))],
        vec![("cpro-account", "no base64".to_owned())],
        vec![("authorization", "Bearer unknown".to_owned())],
        vec![("authorization", "Basic dGVzdDp0ZXN0".to_owned())],
        // Both must be valid, and name the same account.
        vec![("authorization", bearer.clone()), ("cpro-account", cpro_account(&account.login, "wrong"))],
        vec![("authorization", "Bearer unknown".to_owned()), ("cpro-account", good.clone())],
        vec![("authorization", bearer.clone()), ("cpro-account", other.cpro_account())],
        vec![("cpro-account", good.clone()), ("cpro-account", good.clone())],
    ];
    for headers in refused {
        let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        for (network, path) in authenticated_paths().enumerate() {
            // Each from another network, so that no delay applies.
            let program = portal.program().with_address(&format!("10.{network}.0.1"));
            let answer = program.call(path, &headers, "{}").await;
            assert_eq!(answer.status, 401, "{path} {headers:?}");
            assert_eq!(answer.header("www-authenticate"), Some(CHALLENGE));
            assert_eq!(answer.json()["codeRetour"], 401);
            assert_eq!(answer.json()["libelle"], "Identifiant ou mot de passe incorrect.");
        }
    }
}

#[tokio::test]
async fn the_rights_are_the_managers_and_live() {
    let (portal, account) = portal_with_account().await;
    let header = account.cpro_account();
    let headers = [("cpro-account", header.as_str())];
    let names = async |program: &Program| {
        let answer = program.call(MEMBERSHIPS, &headers, "{}").await;
        assert_eq!(answer.status, 200, "{}", answer.body_text());
        let json = answer.json();
        let list = json["listeStructureRattachement"].as_array().unwrap().clone();
        list.iter().map(|row| row["designationStructure"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let other_instance = Program::new(portal.second_instance());
    assert_eq!(names(&other_instance).await, ["Mairie de Lyon", "Ville de Paris", "La Poste"]);
    portal.close_structure(2).await;
    assert_eq!(names(&other_instance).await, ["Mairie de Lyon", "La Poste"]);
    portal.replace_manager(1, BRUNO).await;
    assert_eq!(names(&other_instance).await, ["Mairie de Lyon"]);
}

#[tokio::test]
async fn memberships_have_the_form_of_chorus_pro() {
    let (portal, account) = portal_with_account().await;
    let header = account.cpro_account();
    let body = r#"{"parametresRecherche":{"nbResultatsParPage":"2","pageResultatDemandee":1,"triColonne":"DesignationStructure","triSens":"Descendant"},"autre":1}"#;
    let answer = portal.program().call(MEMBERSHIPS, &[("cpro-account", &header)], body).await;
    let row = |id, membership, identifier, name| {
        serde_json::json!({"idStructure": id, "idRattachementStructure": membership, "identifiantStructure": identifier,
            "typeIdentifiantStructure": "SIRET", "designationStructure": name, "roleUtilisateur": "GESTIONNAIRE_PRINCIPAL",
            "statutUtilisateur": "ACTIF", "statutRattachementStructure": "ACTIF", "listeServicesRattache": []})
    };
    assert_eq!(
        answer.json(),
        serde_json::json!({
            "codeRetour": 0, "libelle": "TRA_MSG_00.000",
            "listeStructureRattachement": [row(2, 2, "21750001600019", "Ville de Paris"), row(1, 1, "21690123100011", "Mairie de Lyon")],
            "parametresRetour": {"nbResultatsParPage": 2, "pageCourante": 1, "pages": 2, "total": 3}
        })
    );
    let beyond = portal
        .program()
        .call(
            MEMBERSHIPS,
            &[("cpro-account", &header)],
            r#"{"parametresRecherche":{"pageResultatDemandee":2147483647,"nbResultatsParPage":10000}}"#,
        )
        .await;
    assert_eq!((beyond.status.as_u16(), beyond.json()["parametresRetour"]["total"].clone()), (200, 3.into()));
}

#[tokio::test]
async fn reset_suspension_and_expiry_act_on_the_next_call_of_every_instance() {
    for change in ["reset", "suspension", "expiry", "inactive structure"] {
        let (portal, account) = portal_with_account().await;
        let id = account.id;
        let other_instance = Program::new(portal.second_instance());
        let (header, bearer) = (account.cpro_account(), format!("Bearer {}", portal.program().token(&account).await));
        let (account, token) = (("cpro-account", header.as_str()), ("authorization", bearer.as_str()));
        // Each kind of credential is verified by a database function of its own.
        let shown = [vec![account], vec![token], vec![account, token]];
        for path in [HEALTH, MEMBERSHIPS, SEARCH] {
            for headers in &shown {
                assert_eq!(other_instance.call(path, headers, "{}").await.status, 200, "{path} {headers:?}");
            }
        }
        match change {
            "reset" => portal.replace_password(id).await,
            "suspension" => portal.set_status(id, TechnicalUserStatus::Suspended).await,
            "expiry" => portal.expire_in(id, "-1 second").await,
            _ => portal.set_active(1, false).await,
        }
        for (number, path) in [HEALTH, MEMBERSHIPS, SEARCH].into_iter().enumerate() {
            // Another network each time, so that no delay applies.
            let elsewhere = other_instance.with_address(&format!("198.51.{number}.1"));
            for headers in &shown {
                let status = elsewhere.call(path, headers, "{}").await.status;
                assert_eq!(status, 401, "{change} {path} {headers:?}");
            }
        }
    }
}

#[tokio::test]
async fn a_flood_from_one_network_delays_that_network_alone() {
    let (portal, account) = portal_with_account().await;
    let (good, bad) = (account.cpro_account(), cpro_account(&account.login, "wrong"));
    for _ in 0..5 {
        assert_eq!(portal.program().call(HEALTH, &[("cpro-account", &bad)], "").await.status, 401);
    }
    let answer = portal.program().call(HEALTH, &[("cpro-account", &bad)], "").await;
    assert_eq!((answer.status.as_u16(), answer.json()["codeRetour"].clone()), (429, 429.into()));
    assert_eq!(answer.header("retry-after"), Some("2"));
    let elsewhere = portal.program().with_address("198.51.100.1");
    assert_eq!(elsewhere.call(HEALTH, &[("cpro-account", &bad)], "").await.status, 401);
    // The right password is never delayed, on whatever network.
    assert_eq!(portal.program().call(HEALTH, &[("cpro-account", &good)], "").await.status, 200);
    assert_eq!(elsewhere.call(HEALTH, &[("cpro-account", &good)], "").await.status, 200);
    let still = portal.program().call(HEALTH, &[("cpro-account", &bad)], "").await;
    assert_eq!(still.status, 429, "nor does it end the delay");
}

#[tokio::test]
async fn no_call_waits_for_hashing_however_many_come_at_once() {
    let (portal, account) = portal_with_account().await;
    let header = account.cpro_account();
    let headers = [("cpro-account", header.as_str())];
    let program = portal.program();
    let calls = (0..200).map(|_| program.call(HEALTH, &headers, ""));
    // More than the hashing queue holds.
    for answer in futures_util::future::join_all(calls).await {
        assert_eq!(answer.status, 200);
    }
}

#[tokio::test]
async fn expiry_is_announced_a_month_before() {
    let (mut portal, account) = portal_with_account().await;
    let end: jiff::Timestamp = "2300-01-01T00:00:00.5Z".parse().expect("an instant");
    portal.set_expiry(account.id, &end.to_string()).await;
    let days = end.duration_since(jiff::Timestamp::now()).as_hours() / 24 - 20;
    portal.move_clock(&format!("{days} days")).await;
    let answer = portal.program().call(HEALTH, &[("cpro-account", &account.cpro_account())], "").await;
    assert_eq!(answer.status, 200, "{}", answer.body_text());
    assert_eq!(answer.header("sunset"), Some("Mon, 01 Jan 2300 00:00:00 GMT"));
    assert_eq!(answer.header("x-raccord-expiration"), Some("2300-01-01T00:00:00Z"));
    let refused = portal.program().call(MEMBERSHIPS, &[("cpro-account", &account.cpro_account())], "[]").await;
    assert_eq!((refused.status.as_u16(), refused.header("sunset").is_some()), (400, true));
}

#[tokio::test]
async fn a_token_is_given_as_oauth_says() {
    let (portal, account) = portal_with_account().await;
    let form = ("content-type", "application/x-www-form-urlencoded");
    let basic = format!("Basic {}", account.cpro_account());
    let answer =
        portal.program().call(TOKEN, &[form, ("authorization", &basic)], "grant_type=client_credentials").await;
    let json = answer.json();
    assert_eq!(answer.status, 200, "{}", answer.body_text());
    assert_eq!(
        (json["token_type"].as_str(), json["expires_in"].as_i64(), json["scope"].as_str()),
        (Some("Bearer"), Some(900), Some("openid"))
    );
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    let wrong = format!("Basic {}", cpro_account(&account.login, "wrong"));
    let refused =
        portal.program().call(TOKEN, &[form, ("authorization", &wrong)], "grant_type=client_credentials").await;
    assert_eq!((refused.status.as_u16(), refused.json()["error"].as_str()), (401, Some("invalid_client")));
    assert!(refused.header("www-authenticate").unwrap().starts_with("Basic "));
    let unsupported = portal.program().call(TOKEN, &[form], "grant_type=password").await;
    assert_eq!(
        (unsupported.status.as_u16(), unsupported.json()["error"].as_str()),
        (400, Some("unsupported_grant_type"))
    );
    let other = portal.program().call(TOKEN, &[], "{}").await;
    assert_eq!((other.status.as_u16(), other.json()["error"].as_str()), (400, Some("invalid_request")));
}

#[tokio::test]
async fn a_token_dies_after_a_quarter_of_an_hour() {
    let (mut portal, account) = portal_with_account().await;
    let bearer = format!("Bearer {}", portal.program().token(&account).await);
    let headers = [("authorization", bearer.as_str())];
    for (later, status) in [("14 minutes 30 seconds", 200), ("15 minutes", 401)] {
        portal.move_clock(later).await;
        assert_eq!(portal.program().call(HEALTH, &headers, "").await.status, status, "{later}");
    }
}

#[tokio::test]
async fn every_mistake_is_reported_in_json() {
    let (portal, account) = portal_with_account().await;
    let header = account.cpro_account();
    let headers = [("cpro-account", header.as_str())];
    let told = async |path: &str, headers: &[(&str, &str)], body: String| {
        let answer = portal.program().call(path, headers, body).await;
        assert_eq!(answer.header("content-type"), Some("application/json; charset=utf-8"));
        assert_eq!(answer.json()["codeRetour"], answer.status.as_u16());
        (answer.status.as_u16(), answer.json()["libelle"].as_str().unwrap().to_owned())
    };
    for body in [
        "[1",
        "{\"a\":\"\\u0000",
        "[]",
        "3",
        "{\"parametresRecherche\":{\"nbResultatsParPage\":\"\\u0000\"}}",
        "{\"parametresRecherche\":{\"triColonne\":\"x\"}}",
    ] {
        assert_eq!(told(MEMBERSHIPS, &headers, body.into()).await.0, 400, "{body}");
    }
    assert!(
        told(MEMBERSHIPS, &headers, r#"{"parametresRecherche":{"triSens":"x"}}"#.into())
            .await
            .1
            .contains("parametresRecherche.triSens")
    );
    let text = [headers[0], ("content-type", "text/plain")];
    assert_eq!(told(MEMBERSHIPS, &text, "{}".into()).await.0, 415);
    assert_eq!(told(MEMBERSHIPS, &headers, " ".repeat(70_000)).await.0, 413);
    for path in ["/api", "/api/", "/api/v2", "/cpro/autre", "/cpro"] {
        assert_eq!(told(path, &[], String::new()).await.0, 404, "{path}");
    }
    // Checks of gateways answer to every method.
    for route in api::routes().into_iter().filter(|route| !route.path.ends_with("/verification")) {
        let (other, allowed) = if route.method == "POST" { ("GET", "POST") } else { ("POST", "GET,HEAD") };
        let request = axum::http::Request::builder().method(other).uri(route.path).body(axum::body::Body::empty());
        let answer = portal.program().send(request.unwrap()).await;
        assert_eq!(
            (answer.status.as_u16(), answer.header("allow"), answer.json()["codeRetour"].clone()),
            (405, Some(allowed), 405.into()),
            "{}",
            route.path
        );
    }
}

#[tokio::test]
async fn of_an_account_s_tokens_the_newest_hundred_are_kept() {
    let (portal, account) = portal_with_account().await;
    let other = portal.account(2).await;
    let program = portal.program();
    let of_other = program.token(&other).await;
    let mut tokens = Vec::new();
    // One issue in 32, drawn at random, ends the oldest.
    while tokens.len() < 150 || portal.count("access_tokens").await > 101 {
        tokens.push(program.token(&account).await);
        assert!(tokens.len() < 1_000, "the oldest tokens never end");
    }
    let newest = tokens.split_off(tokens.len() - 100);
    assert_eq!(portal.count("access_tokens").await, 101);
    let status = async |token: &String| {
        let bearer = format!("Bearer {token}");
        program.call(HEALTH, &[("authorization", &bearer)], "").await.status.as_u16()
    };
    for token in newest.iter().chain([&of_other]) {
        assert_eq!(status(token).await, 200);
    }
    for token in &tokens {
        assert_eq!(status(token).await, 401);
    }
}

/// Clients join addresses as they like; whatever is near the API's is answered as an API.
#[tokio::test]
async fn what_misses_the_api_is_answered_as_an_api() {
    let portal = TestPortal::start().await;
    let program = portal.program();
    for (method, path, status) in [
        ("POST", "//cpro/structures/v1/rechercher", 404),
        ("POST", "/CPRO/structures/v1/rechercher", 404),
        ("POST", "/cpro//structures/v1/rechercher", 404),
        ("POST", "/Api/oauth/token", 404),
        ("POST", "/api/oauth/token/", 404),
        ("GET", "/oauth/token", 404),
        ("POST", "/raccord/api/oauth/token", 404),
        ("GET", "/.well-known/openid-configuration", 404),
        ("GET", "/.WELL-KNOWN/", 404),
        ("DELETE", "/cpro/structures/v1/rechercher", 405),
        ("GET", "/api/oauth/token", 405),
    ] {
        let request = Request::builder().method(method).uri(path).header("content-type", "application/json");
        let answer = program.send(request.body(Body::from("{}")).expect("a request")).await;
        assert_eq!(answer.status, status, "{method} {path}");
        assert_eq!(answer.header("content-type"), Some("application/json; charset=utf-8"), "{method} {path}");
        assert_eq!(answer.json()["codeRetour"], status, "{method} {path}");
        assert_eq!(answer.header("allow").is_some(), status == 405, "{method} {path}");
    }
    // A program that asks for nothing near is one all the same; a person is not.
    let asked =
        |accept: &str| Request::get("/nulle-part").header("accept", accept).body(Body::empty()).expect("a request");
    assert_eq!(program.send(asked("application/json")).await.json()["codeRetour"], 404);
    let page = program.send(asked("text/html,*/*;q=0.8")).await;
    assert!(page.status == 404 && page.body_text().contains("<title>"), "{}", page.body_text());
}
