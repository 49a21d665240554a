//! What a person may do again and again: how often it is done, and how much of it the history
//! keeps.

use axum::http::StatusCode;
use raccord::db::upkeep;

use crate::{
    common::{Browser, PASSWORD, TestPortal},
    identity::{MFA, enrol},
};

const CONFIRM: &str = "/confirmation-identite";

/// How many of twelve posts are done before one is refused for an hour.
async fn done(browser: &Browser, path: &str) -> usize {
    for done in 0..12 {
        let answer = browser.post(path, &[]).await;
        if answer.status == StatusCode::TOO_MANY_REQUESTS {
            assert_eq!(answer.header("retry-after"), Some("3600"));
            return done;
        }
        assert!([200, 303].contains(&answer.status.as_u16()), "{}", answer.status);
    }
    12
}

#[tokio::test]
async fn codes_calendar_links_and_set_ups_are_made_ten_times_and_again_after_an_hour() {
    let mut portal = TestPortal::start().await;
    let (manager, _) = portal.manager().await;
    let browser = portal.signed_in(&manager).await;
    assert_eq!(done(&browser, "/activites/echeances").await, 10);
    assert_eq!(portal.events_of("CALENDAR_LINK_MADE").await, 10);
    assert_eq!(portal.mails_of("calendar_link_made").await.len(), 10);
    enrol(&portal, &browser).await;
    let codes = format!("{MFA}/codes-de-secours");
    assert_eq!(done(&browser, &codes).await, 10);
    assert_eq!(portal.events_of("RECOVERY_CODES_RENEWED").await, 10);
    browser.post(&format!("{MFA}/desactivation"), &[]).await.location();
    // The set-up above was the first.
    assert_eq!(done(&browser, &format!("{MFA}/activation")).await, 9);
    portal.move_clock("61 minutes").await;
    let browser = portal.signed_in(&manager).await;
    assert_eq!(done(&browser, "/activites/echeances").await, 10);
    enrol(&portal, &browser).await;
    assert_eq!(done(&browser, &codes).await, 10);
}

#[tokio::test]
async fn of_what_a_person_does_again_and_again_history_keeps_a_hundred_an_hour_and_the_number_of_the_rest() {
    let mut portal = TestPortal::start().await;
    let sacha = portal.person("Sacha").await;
    let browser = portal.signed_in(&sacha).await;
    for _ in 0..105 {
        let typed = [("confirmation-suite", "/mon-compte"), ("confirmation-mot-de-passe", PASSWORD)];
        assert_eq!(browser.post(CONFIRM, &typed).await.status, 307);
    }
    assert_eq!(portal.events_of("IDENTITY_CONFIRMED").await, 100);
    let elsewhere = portal.browser().with_address("203.0.113.9");
    for _ in 0..102 {
        elsewhere.post("/deconnexion", &[]).await.location();
        portal.sign_in(elsewhere.clone(), &sacha).await;
    }
    assert_eq!((portal.events_of("SIGNED_IN").await, portal.events_of("SIGNED_OUT").await), (100, 100));
    // Failures that a right password would have forgiven.
    for _ in 0..26 {
        let unknown = portal.browser().with_address("203.0.113.9");
        for _ in 0..4 {
            let wrong = [("identifiant", sacha.login.as_str()), ("mot-de-passe", "pas celui-là, non")];
            unknown.post("/connexion", &wrong).await.refusal(422);
        }
        portal.sign_in(unknown, &sacha).await;
    }
    assert_eq!(portal.events_of("SIGN_IN_FAILED").await, 100);
    portal.move_clock("61 minutes").await;
    upkeep::sweep(&portal.pool).await.expect("swept");
    for (action, address, rest) in [
        ("IDENTITY_CONFIRMED", "198.51.100.7", "5 autres fois"),
        ("SIGNED_IN", "203.0.113.9", "29 autres fois"),
        ("SIGNED_OUT", "203.0.113.9", "1 autre fois"),
        ("SIGN_IN_FAILED", "203.0.113.9", "4 autres fois"),
    ] {
        let events = portal.audit_events_of(action).await;
        let last = events.last().expect("events");
        assert_eq!((events.len(), last.address.as_str(), last.detail.as_str()), (101, address, rest), "{action}");
        assert_eq!(last.actor, sacha.login);
    }
    upkeep::sweep(&portal.pool).await.expect("swept");
    assert_eq!(portal.events_of("SIGNED_IN").await, 101);
    portal.signed_in(&sacha).await;
    assert_eq!(portal.events_of("SIGNED_IN").await, 102);
}

#[tokio::test]
async fn a_hundred_labels_and_a_hundred_cards_are_changed_in_a_row_and_more_after_an_hour() {
    let mut portal = TestPortal::start().await;
    let (manager, structure) = portal.manager().await;
    let browser = portal.signed_in(&manager).await;
    let id = portal.create_account(&browser, structure.id, "Libellé 0.").await;
    let account = format!("/utilisateurs-techniques/{id}");
    let relabel = async |browser: &Browser, number: usize| {
        let (before, after) = (format!("Libellé {}.", number - 1), format!("Libellé {number}."));
        browser.post(&format!("{account}/libelle"), &[("precedent", &before), ("libelle", &after)]).await
    };
    for number in 1..=100 {
        relabel(&browser, number).await.location();
    }
    let refused = relabel(&browser, 101).await;
    assert!(refused.header("retry-after").is_some_and(|wait| wait == "3600" || wait == "3599"));
    let refused = refused.refusal(429);
    refused
        .assert_says("Vous avez modifié beaucoup de libellés. Veuillez patienter 60\u{a0}minutes avant de continuer.");
    assert_eq!((refused.field("libelle").as_str(), refused.fact("Libellé").as_str()), ("Libellé 101.", "Libellé 100."));

    let url = format!("/structures/{}", structure.id);
    let card = browser.open(&format!("{url}/informations-generales")).await;
    for number in 0..100 {
        browser.submit(&card, &url, &[("telephone", &format!("01 23 45 67 {number:02}"))]).await.location();
    }
    let refused = browser.submit(&card, &url, &[("ville", "Ailleurs")]).await;
    assert!(refused.header("retry-after").is_some());
    refused.refusal(429).assert_says("Vous avez modifié beaucoup de fiches. Veuillez patienter 60\u{a0}minutes");
    // What changes nothing is not counted, and what stops credentials is never too often.
    browser.submit(&browser.open(&format!("{url}/informations-generales")).await, &url, &[]).await.location();
    let stop = [("statut", "INACTIVE"), ("confirmation", "oui")];
    browser.submit(&card, &url, &stop).await.location();
    assert!(!portal.structure_row(structure.id).await.active);
    browser.submit(&card, &url, &[("statut", "ACTIVE")]).await.refusal(429);
    assert_eq!(
        (portal.events_of("TECHNICAL_USER_LABEL_CHANGED").await, portal.events_of("STRUCTURE_EDITED").await),
        (100, 101)
    );

    portal.move_clock("61 minutes").await;
    let browser = portal.signed_in(&manager).await;
    relabel(&browser, 101).await.location();
    browser.submit(&card, &url, &[("statut", "ACTIVE")]).await.location();
    assert!(portal.structure_row(structure.id).await.active);
}
