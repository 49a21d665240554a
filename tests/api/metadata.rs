//! The metadata (RFC 8414), and what is near its path.

use super::portal_with_account;

#[tokio::test]
async fn the_metadata_names_every_endpoint_that_there_is() {
    let (portal, _) = portal_with_account().await;
    let program = portal.program();
    let answer = program.get("/.well-known/oauth-authorization-server").await;
    assert_eq!((answer.status.as_u16(), answer.header("content-type")), (200, Some("application/json; charset=utf-8")));
    let metadata = answer.json();
    let issuer = metadata["issuer"].as_str().unwrap();
    assert_eq!(issuer, portal.state().settings.public_url);
    for (member, status) in [
        ("token_endpoint", 405),
        ("introspection_endpoint", 405),
        ("revocation_endpoint", 405),
        ("jwks_uri", 200),
        ("service_documentation", 200),
    ] {
        let path = metadata[member].as_str().unwrap().strip_prefix(issuer).unwrap();
        assert_eq!(program.get(path).await.status, status, "{member}");
    }
    assert_eq!(metadata["grant_types_supported"], serde_json::json!(["client_credentials"]));
    assert_eq!(metadata["response_types_supported"], serde_json::json!([]));
}

#[tokio::test]
async fn what_is_not_there_is_answered_as_an_api() {
    let (portal, _) = portal_with_account().await;
    for path in ["/.well-known/openid-configuration", "/.well-known/x/y", "/api/oauth/authorize", "/api/moi/x"] {
        let answer = portal.program().get(path).await;
        assert_eq!((answer.status.as_u16(), &answer.json()["codeRetour"]), (404, &404.into()), "{path}");
    }
}
