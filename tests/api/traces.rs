//! What is kept of calls: each account's last one, and those that were refused.

use raccord::{
    db::api::{Caller, PresentedCredentials},
    domain::{restrictions::CallerAddress, technical_user::TechnicalUserStatus},
};

use super::portal_with_account;
use crate::common::{EventRow, HEALTH, TestPortal, cpro_account};

/// Structure, account, address and reason of the refusals in the history, oldest first.
async fn refusals(portal: &TestPortal) -> Vec<String> {
    let text = |event: &EventRow| {
        let structure = event.structure_id.expect("a structure");
        format!("{structure} {} {} {}", event.subject, event.address, event.detail)
    };
    portal.audit_events_of("CALLS_REFUSED").await.iter().map(text).collect()
}

/// Writes what this instance has kept in memory.
async fn write_call_log(portal: &TestPortal) {
    portal.api().call_log.flush(&portal.pool).await.expect("it is written");
}

#[tokio::test]
async fn the_last_call_is_kept_with_its_caller_and_without_a_write_per_call() {
    let (portal, account) = portal_with_account().await;
    let header = account.cpro_account();
    for (from, software) in [("192.0.2.7", "Odoo 17"), ("192.0.2.8", "PHP/8.4")] {
        let headers = [("cpro-account", header.as_str()), ("user-agent", software)];
        assert_eq!(portal.program().with_address(from).call(HEALTH, &headers, "").await.status, 200);
        assert_eq!(portal.last_call_of(account.id).await, None, "nothing is written by the call");
    }
    write_call_log(&portal).await;
    assert_eq!(portal.last_call_of(account.id).await.as_deref(), Some("192.0.2.8 PHP/8.4"));
    // Another instance that has seen an earlier call does not move it back.
    let late = portal.second_instance().api();
    let before = time::OffsetDateTime::now_utc() - time::Duration::hours(1);
    let caller = Caller { technical_user_id: account.id, at: before, sunset: None };
    let address = "192.0.2.9".parse().unwrap();
    let presented = PresentedCredentials { token_hash: None, verifiers: None, from: CallerAddress::Known(address) };
    late.call_log.record_call(&caller, &presented, address, "curl");
    late.call_log.flush(&portal.pool).await.unwrap();
    assert_eq!(portal.last_call_of(account.id).await.as_deref(), Some("192.0.2.8 PHP/8.4"));
}

#[tokio::test]
async fn what_a_write_could_not_keep_is_kept_by_the_next() {
    let (portal, account) = portal_with_account().await;
    let header = account.cpro_account();
    assert_eq!(portal.program().call(HEALTH, &[("cpro-account", &header)], "").await.status, 200);
    let wrong = cpro_account(&account.login, "faux");
    assert_eq!(portal.program().call(HEALTH, &[("cpro-account", &wrong)], "").await.status, 401);
    let gone = sqlx::PgPool::connect_lazy_with(sqlx::postgres::PgConnectOptions::new().host("/nonexistent"));
    assert!(portal.api().call_log.flush(&gone).await.is_err());
    write_call_log(&portal).await;
    assert!(portal.last_call_of(account.id).await.is_some());
    assert_eq!(refusals(&portal).await.len(), 1);
}

#[tokio::test]
async fn refused_calls_are_shown_in_groups_with_their_reason() {
    let (portal, account) = portal_with_account().await;
    let other = portal.account(2).await;
    portal.set_status(other.id, TechnicalUserStatus::Suspended).await;
    let status = async |from: &str, credential: &str| {
        let program = portal.program().with_address(from);
        program.call(HEALTH, &[("cpro-account", credential)], "").await.status
    };
    let wrong = cpro_account(&account.login, "faux");
    for _ in 0..3 {
        assert_eq!(status("192.0.2.7", &wrong).await, 401);
    }
    let suspended = other.cpro_account();
    assert_eq!(status("192.0.2.8", &suspended).await, 401);
    let unknown = cpro_account("TECH_9_X@cpro.fr", "faux");
    assert_eq!(portal.program().call(HEALTH, &[("cpro-account", &unknown)], "").await.status, 401);
    write_call_log(&portal).await;
    let mut told = refusals(&portal).await;
    told.sort();
    assert_eq!(
        told,
        [
            format!("1 {} 192.0.2.7 3 appels\u{a0}: mot de passe incorrect", account.login),
            format!("2 {} 192.0.2.8 1 appel\u{a0}: compte suspendu", other.login),
        ]
    );
    let metrics = portal.metrics().await;
    for (reason, calls) in [("WRONG_PASSWORD", 3), ("SUSPENDED", 1), ("EXPIRED", 0)] {
        let line = format!(r#"raccord_calls_refused_total{{reason="{reason}"}} {calls}"#);
        assert!(metrics.contains(&line), "{line}\n{metrics}");
    }
    // The next ones are grouped, and written later.
    assert_eq!(status("192.0.2.8", &suspended).await, 401);
    write_call_log(&portal).await;
    assert_eq!(refusals(&portal).await.len(), 2);
    portal.api().call_log.flush_all(&portal.pool).await.unwrap();
    assert_eq!(refusals(&portal).await.len(), 3);
}

#[tokio::test]
async fn refused_calls_from_addresses_without_number_are_few_events() {
    let (portal, account) = portal_with_account().await;
    let wrong = cpro_account(&account.login, "faux");
    for host in 0..200 {
        let program = portal.program().with_address(&format!("2001:db8:{host:x}::1"));
        assert_eq!(program.call(HEALTH, &[("cpro-account", &wrong)], "").await.status, 401);
    }
    write_call_log(&portal).await;
    let told = refusals(&portal).await;
    assert_eq!(told.len(), 11, "{told:#?}");
    let of_others = format!("1 {} autres adresses ", account.login);
    assert_eq!(told.iter().filter(|event| event.starts_with(&of_others)).count(), 1, "{told:#?}");
}
