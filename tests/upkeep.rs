//! What time makes worthless goes, at its time, and nothing else goes with it.

use std::collections::BTreeSet;

use raccord::db::upkeep;

use crate::{common::TestPortal, identity::MFA};

/// What is kept for a time, and until when it is, counted from its making.
const KEPT: [(&str, &[&str]); 8] = [
    ("10 minutes", &["envelopes"]),
    ("15 minutes", &["access_tokens"]),
    ("30 minutes", &["sessions"]),
    ("1 hour", &["second_factors", "throttles"]),
    ("25 hours", &["invitations"]),
    ("7 days", &["idempotency_tokens"]),
    ("90 days", &["membership_requests"]),
    ("180 days", &["known_browsers"]),
];

const FILLED: &str = "SELECT 'envelopes' FROM envelopes UNION SELECT 'access_tokens' FROM access_tokens
    UNION SELECT 'sessions' FROM sessions UNION SELECT 'throttles' FROM throttles
    UNION SELECT 'second_factors' FROM second_factors UNION SELECT 'invitations' FROM invitations
    UNION SELECT 'idempotency_tokens' FROM idempotency_tokens
    UNION SELECT 'membership_requests' FROM membership_requests
    UNION SELECT 'known_browsers' FROM known_browsers";

#[tokio::test]
async fn what_is_worthless_goes_at_its_time_and_not_before() {
    let mut portal = TestPortal::start().await;
    let (manager, structure) = portal.manager().await;
    let browser = portal.signed_in(&manager).await;
    browser.submit(&browser.open(MFA).await, "/mon-compte/double-authentification/activation", &[]).await.location();
    portal.create_account(&browser, structure.id, "ERP").await;
    portal.invitation(&manager).await;
    portal.membership_request(&manager, &portal.structure("Une autre").await).await;
    portal.browser().post("/connexion", &[("identifiant", "personne"), ("mot-de-passe", "faux")]).await.refusal(422);
    portal
        .execute("INSERT INTO access_tokens SELECT '\\x00', id, credential_version, portal_now() + interval '15 minutes' FROM technical_users")
        .await;
    let for_good = portal.number("SELECT count(*) FROM audit_events", &[]).await;
    for (number, (age, _)) in KEPT.iter().enumerate() {
        for (seconds, gone) in [("-30 seconds", 0), ("30 seconds", 1)] {
            let age = format!("{age} {seconds}");
            portal.move_clock(&age).await;
            upkeep::sweep(&portal.pool).await.unwrap();
            let there: BTreeSet<String> = portal.texts(FILLED, &[]).await.into_iter().collect();
            let due = KEPT[number + gone..].iter().flat_map(|(_, tables)| *tables);
            assert_eq!(there, due.map(|table| (*table).to_owned()).collect(), "after {age}");
        }
    }
    assert_eq!(portal.number("SELECT count(*) FROM audit_events", &[]).await, for_good);
}
