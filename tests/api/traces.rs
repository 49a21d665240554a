//! What calls leave behind for the manager and the auditor.

use raccord::db::api::{Caller, PresentedCredentials};

use super::support::{Account, Portal, cpro_account};

const HEALTH: &str = "/cpro/transverses/v1/health-check";

async fn portal_with_account() -> (Portal, Account) {
    let portal = Portal::start().await;
    portal.people().await;
    let account = portal.account(1).await;
    (portal, account)
}

async fn last_call(portal: &Portal) -> Option<String> {
    sqlx::query_scalar("SELECT last_call_address || ' ' || last_call_software FROM technical_users WHERE id = 1")
        .fetch_one(&portal.pool)
        .await
        .unwrap()
}

async fn refusals(portal: &Portal) -> Vec<String> {
    let sql = "SELECT structure_id || ' ' || subject || ' ' || address || ' ' || detail FROM audit_events
                WHERE action = 'CALLS_REFUSED' ORDER BY id";
    sqlx::query_scalar(sql).fetch_all(&portal.pool).await.unwrap()
}

#[tokio::test]
async fn the_last_call_is_kept_with_its_caller_and_without_a_write_per_call() {
    let (portal, account) = portal_with_account().await;
    let header = account.cpro_account();
    for (from, software) in [("192.0.2.7", "Odoo 17"), ("192.0.2.8", "PHP/8.4")] {
        let headers = [("cpro-account", header.as_str()), ("user-agent", software)];
        assert_eq!(portal.call_from(from, HEALTH, &headers, "").await.status, 200);
        assert_eq!(last_call(&portal).await, None, "nothing is written by the call");
    }
    portal.api.call_log.flush(&portal.pool).await.unwrap();
    assert_eq!(last_call(&portal).await.as_deref(), Some("192.0.2.8 PHP/8.4"));
    // Another instance that has seen an earlier call does not move it back.
    let late = portal.other_instance();
    let before = time::OffsetDateTime::now_utc() - time::Duration::hours(1);
    let caller = Caller { technical_user_id: account.id, at: before, sunset: None };
    late.api.call_log.record_call(&caller, &PresentedCredentials::default(), "192.0.2.9".parse().unwrap(), "curl");
    late.api.call_log.flush(&portal.pool).await.unwrap();
    assert_eq!(last_call(&portal).await.as_deref(), Some("192.0.2.8 PHP/8.4"));
}

#[tokio::test]
async fn what_a_write_could_not_keep_is_kept_by_the_next() {
    let (portal, account) = portal_with_account().await;
    let header = account.cpro_account();
    assert_eq!(portal.call(HEALTH, &[("cpro-account", &header)], "").await.status, 200);
    let wrong = cpro_account(&account.login, "faux");
    assert_eq!(portal.call(HEALTH, &[("cpro-account", &wrong)], "").await.status, 401);
    let gone = sqlx::PgPool::connect_lazy_with(sqlx::postgres::PgConnectOptions::new().host("/nonexistent"));
    assert!(portal.api.call_log.flush(&gone).await.is_err());
    portal.api.call_log.flush(&portal.pool).await.unwrap();
    assert!(last_call(&portal).await.is_some());
    assert_eq!(refusals(&portal).await.len(), 1);
}

#[tokio::test]
async fn refused_calls_are_told_to_the_manager_in_groups_with_their_reason() {
    let (portal, account) = portal_with_account().await;
    let other = portal.account(2).await;
    portal.sql("UPDATE technical_users SET status = 'SUSPENDED' WHERE id = 2").await;
    let wrong = cpro_account(&account.login, "faux");
    for _ in 0..3 {
        assert_eq!(portal.call_from("192.0.2.7", HEALTH, &[("cpro-account", &wrong)], "").await.status, 401);
    }
    let suspended = other.cpro_account();
    assert_eq!(portal.call_from("192.0.2.8", HEALTH, &[("cpro-account", &suspended)], "").await.status, 401);
    let unknown = cpro_account("TECH_9_X@cpro.fr", "faux");
    assert_eq!(portal.call(HEALTH, &[("cpro-account", &unknown)], "").await.status, 401);
    portal.api.call_log.flush(&portal.pool).await.unwrap();
    let mut told = refusals(&portal).await;
    told.sort();
    assert_eq!(
        told,
        [
            format!("1 {} 192.0.2.7 3 appels\u{a0}: mot de passe incorrect", account.login),
            format!("2 {} 192.0.2.8 1 appel\u{a0}: compte suspendu", other.login),
        ]
    );
    // The next ones wait to be told as one.
    assert_eq!(portal.call_from("192.0.2.8", HEALTH, &[("cpro-account", &suspended)], "").await.status, 401);
    portal.api.call_log.flush(&portal.pool).await.unwrap();
    assert_eq!(refusals(&portal).await.len(), 2);
    portal.api.call_log.flush_all(&portal.pool).await.unwrap();
    assert_eq!(refusals(&portal).await.len(), 3);
}
