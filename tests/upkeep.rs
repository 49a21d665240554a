//! Rows that are kept for a time only are removed when it ends, and no others with them.

use raccord::{db::upkeep, domain::role::Role};

use crate::{common::TestPortal, identity::MFA};

/// How long the rows of each table are kept.
const KEPT: [(&str, &[&str]); 9] = [
    ("10 minutes", &["envelopes"]),
    ("15 minutes", &["access_tokens"]),
    ("30 minutes", &["sessions"]),
    ("1 hour", &["frequent_acts", "second_factors", "throttles"]),
    ("25 hours", &["invitations"]),
    ("7 days", &["idempotency_tokens"]),
    ("14 days", &["succession_offers"]),
    ("90 days", &["membership_requests"]),
    ("180 days", &["known_browsers"]),
];

#[tokio::test]
async fn what_is_worthless_goes_at_its_time_and_not_before() {
    let mut portal = TestPortal::start().await;
    let (manager, structure) = portal.manager().await;
    let browser = portal.signed_in(&manager).await;
    browser.submit(&browser.open(MFA).await, "/mon-compte/double-authentification/activation", &[]).await.location();
    let account = portal.create_account(&browser, structure.id, "ERP").await;
    portal.invitation(&manager).await;
    let member = portal.person("Noor").await;
    portal.attach(&member, &structure, Role::User).await;
    portal.offer(&structure, &member).await;
    portal.membership_request(&manager, &portal.structure("Une autre").await).await;
    portal.browser().post("/connexion", &[("identifiant", "personne"), ("mot-de-passe", "faux")]).await.refusal(422);
    portal.grant_token(account, "15 minutes").await;
    let for_good = portal.count("audit_events").await;
    for (number, (age, _)) in KEPT.iter().enumerate() {
        for (seconds, gone) in [("-30 seconds", 0), ("30 seconds", 1)] {
            let age = format!("{age} {seconds}");
            portal.move_clock(&age).await;
            upkeep::sweep(&portal.pool).await.unwrap();
            for (place, (_, tables)) in KEPT.iter().enumerate() {
                for table in *tables {
                    let is_kept = place >= number + gone;
                    assert_eq!(portal.count(table).await > 0, is_kept, "{table} after {age}");
                }
            }
        }
    }
    assert_eq!(portal.count("audit_events").await, for_good);
}
