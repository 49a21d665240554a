//! Which errors of the database are answered with « indisponible », to be tried again later, and
//! which with an error 500.

use raccord::db::availability;
use sqlx::{AssertSqlSafe, Connection, PgConnection, error::DatabaseError, postgres::PgConnectOptions};

use crate::common::{PASSWORD, TestPortal};

/// The error that a statement of this SQLSTATE gives, as the driver reads it.
async fn raised(portal: &TestPortal, code: &str) -> sqlx::Error {
    let raise = format!("DO $$ BEGIN RAISE EXCEPTION 'x' USING ERRCODE = '{code}'; END $$");
    let answer = sqlx::raw_sql(AssertSqlSafe(raise)).execute(&portal.pool).await;
    let error = answer.expect_err("it raises");
    assert_eq!(error.as_database_error().and_then(DatabaseError::code).as_deref(), Some(code));
    error
}

#[tokio::test]
async fn a_temporary_failure_differs_from_a_wrong_statement() {
    let portal = TestPortal::start().await;
    for code in [
        "08000", "08003", "08006", "08P01", // the connection
        "25006", "25P03", // read-only, idle for too long
        "40001", "40P01", // two at once
        "53000", "53100", "53200", "53300", "53400", // disk, memory, connections, a limit of the configuration
        "55P03", // a lock that is not to be had
        "57000", "57014", "57P01", "57P02", "57P03", "57P04", "57P05", // the operator, a stop, a crash, a start
        "58000", "58030", // the system
    ] {
        assert!(availability::is_unavailable(&raised(&portal, code).await), "{code}");
    }
    for code in ["22012", "23505", "25001", "28000", "3D000", "42501", "42601", "42P01", "55000", "XX000"] {
        assert!(!availability::is_unavailable(&raised(&portal, code).await), "{code} by a statement is no outage");
    }
    // A proxy that has no server for the connection.
    assert!(availability::is_unavailable(&sqlx::Error::Protocol("unexpected response from SSLRequest: 0x00".into())));
    for error in [sqlx::Error::RowNotFound, sqlx::Error::ColumnNotFound("x".into()), sqlx::Error::WorkerCrashed] {
        assert!(!availability::is_unavailable(&error), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_accepts_no_connection_is_unavailable_and_recovers() {
    let portal = TestPortal::start().await;
    let (manager, _) = portal.manager().await;
    let browser = portal.signed_in(&manager).await;
    portal.alter_database("ALLOW_CONNECTIONS false").await;
    let refused = PgConnection::connect(portal.database_url()).await.expect_err("it lets nobody in");
    assert_eq!(refused.as_database_error().and_then(DatabaseError::code).as_deref(), Some("55000"));
    for answer in [
        browser.get("/activites").await,
        browser.post("/mon-compte/adresse-de-contact", &[("adresse-de-contact", "a@exemple.fr")]).await,
        portal.browser().post("/connexion", &[("identifiant", &manager.login), ("mot-de-passe", PASSWORD)]).await,
    ] {
        assert_eq!(answer.status, 503);
        assert!(answer.header("retry-after").is_some() && answer.page().heading().contains("indisponible"));
    }
    assert_eq!(portal.program().health_check("TECH_1_21350001400016@cpro.fr", "x").await, 503);
    assert_eq!((browser.get("/livez").await.status.as_u16(), browser.get("/readyz").await.status.as_u16()), (200, 503));
    portal.alter_database("ALLOW_CONNECTIONS true").await;
    assert_eq!(browser.get("/activites").await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_is_not_there_or_knows_us_no_longer_is_unavailable_too() {
    let portal = TestPortal::start().await;
    let ours: PgConnectOptions = portal.database_url().parse().expect("a URL");
    for (options, class) in [(ours.clone().database("nowhere"), "3D"), (ours.username("nobody-of-ours"), "28")] {
        let error = PgConnection::connect_with(&options).await.expect_err("no connection");
        let code = error.as_database_error().and_then(DatabaseError::code);
        assert!(code.is_some_and(|code| code.starts_with(class)), "{class}: {error}");
        assert!(availability::is_unavailable(&error), "{error}");
    }
}
