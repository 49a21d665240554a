//! Accounts that nothing uses: announced to their manager, then suspended, with a way back.

use raccord::{
    db::technical_users::dormancy::{self, Dormant},
    domain::technical_user::TechnicalUserStatus,
};

use crate::common::TestPortal;

const NOTHING: Dormant = Dormant { announced: 0, suspended: 0 };

async fn look(portal: &TestPortal) -> Dormant {
    dormancy::look(&portal.pool, 180).await.unwrap()
}

#[tokio::test]
async fn an_account_that_nothing_uses_is_announced_then_suspended_and_taken_back() {
    let mut portal = TestPortal::start().await;
    let (manager, structure) = portal.manager().await;
    let account = portal.technical_user(&structure, &manager).await;
    portal.move_clock("179 days").await;
    assert_eq!(look(&portal).await, NOTHING);
    portal.move_clock("181 days").await;
    assert_eq!(look(&portal).await, Dormant { announced: 1, suspended: 0 });
    assert_eq!(look(&portal).await, NOTHING, "once");
    let mail = portal.mails_of("accounts_dormant").await.pop().expect("a mail");
    assert_eq!((mail.recipient, &mail.notice["idle_days"]), (manager.contact_address.clone(), &180.into()));
    portal.move_clock("210 days").await;
    assert_eq!(look(&portal).await, NOTHING);
    assert_eq!(portal.status_of(account).await, TechnicalUserStatus::Active);
    portal.move_clock("212 days").await;
    assert_eq!(look(&portal).await, Dormant { announced: 0, suspended: 1 });
    assert_eq!(portal.status_of(account).await, TechnicalUserStatus::Suspended);
    let events = portal.audit_events_of("TECHNICAL_USER_SUSPENDED").await;
    let events: Vec<_> = events.iter().map(|event| (event.actor.as_str(), event.detail.as_str())).collect();
    assert_eq!(events, [("Raccord", "aucun appel depuis plus de 180 jours")]);
    assert_eq!(portal.mails_of("dormant_accounts_suspended").await.len(), 1);
    // Taken back, it has as many days as at first.
    let browser = portal.signed_in(&manager).await;
    browser.post(&format!("/utilisateurs-techniques/{account}/reactivation"), &[]).await.location();
    portal.move_clock("391 days").await;
    assert_eq!(look(&portal).await, NOTHING);
    portal.move_clock("393 days").await;
    assert_eq!(look(&portal).await, Dormant { announced: 1, suspended: 0 });
}

#[tokio::test]
async fn a_call_or_another_password_ends_the_announcement() {
    let mut portal = TestPortal::start().await;
    let (manager, structure) = portal.manager().await;
    let called = portal.technical_user(&structure, &manager).await;
    let reset = portal.technical_user(&structure, &manager).await;
    let idle = portal.technical_user(&structure, &manager).await;
    portal.move_clock("181 days").await;
    assert_eq!(look(&portal).await, Dormant { announced: 3, suspended: 0 });
    assert_eq!(portal.mails_of("accounts_dormant").await.len(), 1, "one mail for all of a manager");
    portal.move_clock("200 days").await;
    portal.set_last_call(called, "0").await;
    let browser = portal.signed_in(&manager).await;
    let page = browser.open(&format!("/utilisateurs-techniques/{reset}")).await;
    browser.submit(&page, &format!("/utilisateurs-techniques/{reset}/mot-de-passe"), &[]).await.location();
    portal.move_clock("212 days").await;
    assert_eq!(look(&portal).await, Dormant { announced: 0, suspended: 1 });
    for (account, status) in [
        (called, TechnicalUserStatus::Active),
        (reset, TechnicalUserStatus::Active),
        (idle, TechnicalUserStatus::Suspended),
    ] {
        assert_eq!(portal.status_of(account).await, status);
    }
    assert_eq!(portal.count("dormancy_notices").await, 0);
}

#[tokio::test]
async fn what_opens_nothing_is_left_alone_and_an_old_announcement_is_made_again() {
    let mut portal = TestPortal::start().await;
    let (manager, structure) = portal.manager().await;
    let [expired, suspended, idle] = [(); 3].map(|()| portal.technical_user(&structure, &manager));
    let (expired, suspended, idle) = (expired.await, suspended.await, idle.await);
    portal.expire_in(expired, "100 days").await;
    portal.set_status(suspended, TechnicalUserStatus::Suspended).await;
    portal.move_clock("181 days").await;
    assert_eq!(look(&portal).await, Dormant { announced: 1, suspended: 0 });
    // Switched off meanwhile: no account is suspended without a recent mail.
    portal.move_clock("220 days").await;
    assert_eq!(look(&portal).await, Dormant { announced: 1, suspended: 0 });
    assert_eq!(portal.status_of(idle).await, TechnicalUserStatus::Active);
    assert_eq!(portal.mails_of("accounts_dormant").await.len(), 2);
}

/// Several instances look at the same time.
#[tokio::test(flavor = "multi_thread")]
async fn each_account_is_announced_and_suspended_once_however_many_look() {
    let mut portal = TestPortal::start().await;
    let (manager, structure) = portal.manager().await;
    portal.many_accounts(&structure, &manager, 30).await;
    portal.execute("UPDATE technical_users SET expires_at = portal_now() + interval '400 days'").await;
    for (clock, kind) in [("181 days", "accounts_dormant"), ("212 days", "dormant_accounts_suspended")] {
        portal.move_clock(clock).await;
        let pool = &portal.pool;
        let looked = crate::common::together(4, |_| {
            let pool = pool.clone();
            async move { dormancy::look(&pool, 180).await.unwrap() }
        });
        let counts: usize = looked.await.iter().map(|dormant| dormant.announced + dormant.suspended).sum();
        assert_eq!(counts, 30, "{clock}");
        let mails = portal.mails_of(kind).await;
        assert_eq!(mails.len(), 1);
        assert_eq!(
            (mails[0].notice["accounts"].as_array().map(Vec::len), &mails[0].notice["others"]),
            (Some(20), &10.into())
        );
    }
    assert_eq!(portal.events_of("TECHNICAL_USER_SUSPENDED").await, 30);
}
