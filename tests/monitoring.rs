//! The metrics that Prometheus reads, and the rules and the dashboard of `deploy/monitoring`.

use std::{collections::BTreeSet, fs, path::Path, time::Duration};

use raccord::{
    domain::technical_user::TechnicalUserStatus,
    web::edge::{
        metrics::{Introspected, Verified},
        probes::measure_database_waits,
    },
};
use regex::Regex;

use crate::common::{HEALTH, TestPortal};

fn read(file: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/monitoring").join(file);
    fs::read_to_string(path).expect("the file")
}

/// The names of metrics in a text.
fn names(pattern: &str, text: &str) -> BTreeSet<String> {
    let pattern = Regex::new(pattern).expect("a pattern");
    pattern.captures_iter(text).map(|found| found[1].to_owned()).collect()
}

#[tokio::test]
async fn alerts_and_dashboard_name_only_metrics_that_there_are() {
    let portal = TestPortal::start().await;
    portal.program().get(HEALTH).await;
    let state = portal.state();
    measure_database_waits(&state).await;
    // These have a service's name, and none before the first answer.
    state.metrics.count_introspection("factures", Introspected::Active);
    state.metrics.count_verification("factures", Verified::LetIn);
    let text = portal.metrics().await;
    let served = names(r"(?m)^(raccord_\w+)[{ ]", &text);
    for file in ["alerts.yml", "alerts_test.yml", "grafana-dashboard.json"] {
        let named = names(r"\b(raccord_[a-z_]+)", &read(file));
        assert!(named.len() > 5, "{file}");
        let unknown: Vec<_> = named.difference(&served).collect();
        assert!(unknown.is_empty(), "{file}: {unknown:?} are not in\n{text}");
    }
    let dashboard: serde_json::Value = serde_json::from_str(&read("grafana-dashboard.json")).expect("JSON");
    assert!(dashboard["panels"].as_array().is_some_and(|panels| panels.len() > 10));
}

#[tokio::test]
async fn each_alert_is_tested_where_it_should_fire() {
    let alerts = names(r"- alert: (\w+)", &read("alerts.yml"));
    let tests = read("alerts_test.yml");
    let pattern = r"alertname: (\w+)\n\s+exp_alerts:\n\s+- exp_labels";
    assert_eq!(names(pattern, &tests), alerts);
}

#[tokio::test]
async fn passwords_that_expire_within_thirty_days_are_counted() {
    let portal = TestPortal::start().await;
    portal.anne_and_bruno().await;
    let mut accounts = Vec::new();
    for expiry in ["29 days", "31 days", "-1 hour", "1 day"] {
        let account = portal.account(1).await;
        portal.expire_in(account.id, expiry).await;
        accounts.push(account.id);
    }
    portal.set_status(accounts[3], TechnicalUserStatus::Suspended).await;
    let text = portal.metrics().await;
    assert!(text.contains("raccord_passwords_expiring 1\n"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wait_for_a_connection_is_measured_in_its_pool() {
    let portal = TestPortal::with(&[("RACCORD_DATABASE_CONNECTIONS", "4")]).await;
    let state = portal.state();
    measure_database_waits(&state).await;
    let mut held = Vec::new();
    for _ in 0..state.api_pool.options().get_max_connections() {
        held.push(state.api_pool.acquire().await.expect("a connection"));
    }
    let release = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        held.clear();
    };
    tokio::join!(measure_database_waits(&state), release);
    let text = portal.metrics().await;
    let slow = r#"raccord_database_wait_seconds_bucket{le="0.25",pool="api"} 1"#;
    let all = r#"raccord_database_wait_seconds_count{pool="api"} 2"#;
    assert!(text.contains(slow) && text.contains(all), "{text}");
    assert!(text.contains("raccord_database_connections_max 4"), "{text}");
}
