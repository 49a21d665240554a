//! Passwords that will expire: who is told, when, and where a manager sees it coming.

use raccord::db::reminders;

use crate::common::TestPortal;

/// The days left that the reminders in the outbox tell, oldest first.
async fn reminders_of(portal: &TestPortal) -> Vec<String> {
    portal
        .texts("SELECT notice->>'days_left' FROM mails WHERE notice->>'kind' = 'password_expiring' ORDER BY id", &[])
        .await
}

#[tokio::test]
async fn each_reminder_is_sent_once_over_the_whole_life_of_a_password() {
    let mut portal = TestPortal::start().await;
    let (manager, structure) = portal.manager().await;
    portal.technical_user(&structure, &manager).await;
    // From the first day to the day after the last, across a winter, a summer and two changes of the clock.
    for day in 0..=425 {
        portal.move_clock(&format!("{day} days")).await;
        for _ in 0..2 {
            reminders::remind(&portal.pool).await.unwrap();
        }
    }
    let told = reminders_of(&portal).await;
    assert_eq!(told, ["60", "30", "7", "1", "0"]);
    assert!(portal.mails().await.iter().all(|mail| mail.starts_with(&manager.contact_address)));
}

#[tokio::test]
async fn after_a_pause_only_the_most_urgent_reminder_is_sent() {
    let mut portal = TestPortal::start().await;
    let (manager, structure) = portal.manager().await;
    portal.technical_user(&structure, &manager).await;
    portal.move_clock("419 days").await;
    reminders::remind(&portal.pool).await.unwrap();
    assert_eq!(reminders_of(&portal).await, ["5"]);
    reminders::remind(&portal.pool).await.unwrap();
    assert_eq!(reminders_of(&portal).await.len(), 1);
}

#[tokio::test]
async fn instances_that_remind_together_send_one_mail() {
    let mut portal = TestPortal::start().await;
    let (manager, structure) = portal.manager().await;
    for _ in 0..3 {
        portal.technical_user(&structure, &manager).await;
    }
    portal.move_clock("400 days").await;
    let together = (0..4).map(|_| reminders::remind(&portal.pool));
    let sent: usize = futures_util::future::join_all(together).await.into_iter().map(Result::unwrap).sum();
    assert_eq!(sent, 3);
    assert_eq!(reminders_of(&portal).await.len(), 3);
}

#[tokio::test]
async fn nobody_is_reminded_of_what_no_longer_counts() {
    let mut portal = TestPortal::start().await;
    let (manager, structure) = portal.manager().await;
    let renewed = portal.technical_user(&structure, &manager).await;
    portal.technical_user(&structure, &manager).await;
    portal.technical_user(&structure, &manager).await;
    portal.execute("UPDATE technical_users SET status = 'SUSPENDED' WHERE number = 2").await;
    portal.execute("UPDATE technical_users SET status = 'DELETED' WHERE number = 3").await;
    portal.move_clock("370 days").await;
    assert_eq!(reminders::remind(&portal.pool).await.unwrap(), 1);
    // The reset gives a new life, with reminders of its own.
    let browser = portal.signed_in(&manager).await;
    let page = browser.open(&format!("/utilisateurs-techniques/{renewed}")).await;
    browser.submit(&page, &format!("/utilisateurs-techniques/{renewed}/mot-de-passe"), &[]).await.location();
    assert_eq!(reminders::remind(&portal.pool).await.unwrap(), 0);
    portal.move_clock("740 days").await;
    assert_eq!(reminders::remind(&portal.pool).await.unwrap(), 1);
    assert_eq!(reminders_of(&portal).await, ["54", "54"]);
}

#[tokio::test]
async fn a_password_that_lives_shorter_than_a_notice_is_not_announced_at_its_birth() {
    let portal = TestPortal::with(&[("RACCORD_PASSWORD_LIFETIME_DAYS", "20")]).await;
    let (manager, structure) = portal.manager().await;
    let browser = portal.signed_in(&manager).await;
    portal.create_account(&browser, structure.id, "ERP").await;
    assert_eq!(reminders::remind(&portal.pool).await.unwrap(), 0);
}

#[tokio::test]
async fn a_manager_finds_what_is_to_be_renewed() {
    let portal = TestPortal::start().await;
    let (manager, structures) = portal.manager_with_structures("Camille", 3).await;
    let browser = portal.signed_in(&manager).await;
    for (structure, label) in structures.iter().zip(["Paie", "Régie", "=Formule"]) {
        portal.create_account(&browser, structure.id, label).await;
    }
    let (stranger, others) = portal.manager_with_structures("Alix", 1).await;
    let elsewhere = portal.signed_in(&stranger).await;
    portal.create_account(&elsewhere, others[0].id, "Ailleurs").await;
    portal
        .execute("UPDATE technical_users SET expires_at = portal_now() + interval '20 days' WHERE label = 'Régie'")
        .await;
    portal.execute("UPDATE technical_users SET expires_at = portal_now() - interval '1 hour', status = 'SUSPENDED' WHERE label = '=Formule'").await;

    let list = "/activites/utilisateurs-techniques";
    let labels = |rows: Vec<Vec<String>>| {
        rows.into_iter().map(|row| row[0].split(' ').next().unwrap_or_default().to_owned()).collect::<Vec<_>>()
    };
    for (query, expected) in [
        ("", vec!["=Formule", "Régie", "Paie"]),
        ("?tri=structure", vec!["Paie", "Régie", "=Formule"]),
        ("?echeance=60-jours", vec!["=Formule", "Régie"]),
        ("?echeance=expiree", vec!["=Formule"]),
        ("?etat=actif", vec!["Régie", "Paie"]),
        ("?etat=suspendu", vec!["=Formule"]),
        ("?recherche=regie", vec!["Régie"]),
        ("?recherche=numero+001", vec!["Paie"]),
        ("?recherche=ailleurs", vec![]),
        ("?echeance=n%27importe&etat=quoi&tri=%00", vec!["=Formule", "Régie", "Paie"]),
    ] {
        assert_eq!(labels(browser.open(&format!("{list}{query}")).await.rows()), expected, "{query}");
    }
    let names = |rows: Vec<Vec<String>>| rows.into_iter().map(|row| row[0].clone()).collect::<Vec<_>>();
    let due = browser.open("/activites?echeance=60-jours").await;
    assert_eq!(names(due.rows()), [structures[1].designation.clone(), structures[2].designation.clone()]);
    let sorted = browser.open("/activites?tri=echeance").await;
    assert_eq!(names(sorted.rows())[0], structures[2].designation);

    let csv = browser.get(&format!("{list}.csv?echeance=expiree")).await;
    assert_eq!(csv.header("content-type"), Some("text/csv; charset=utf-8"));
    let text = csv.body_text();
    assert!(text.starts_with('\u{feff}') && text.lines().count() == 2, "{text}");
    assert!(text.contains("\n'=Formule;TECH_1_") && text.contains(";Suspendu;"), "{text}");
}

#[tokio::test]
async fn a_calendar_follows_the_deadlines_by_a_link_that_can_be_replaced() {
    let portal = TestPortal::start().await;
    let (manager, structure) = portal.manager().await;
    let browser = portal.signed_in(&manager).await;
    portal.create_account(&browser, structure.id, "ERP").await;
    let file = browser.get("/activites/echeances.ics").await;
    assert_eq!(file.header("content-type"), Some("text/calendar; charset=utf-8"));
    let subscribe = async || {
        let page = browser.post("/activites/echeances", &[]).await.page();
        let link =
            page.html().split("value=\"").find(|value| value.contains("/calendrier/")).expect("a link").to_owned();
        link[link.find("/calendrier/").unwrap()..link.find('"').unwrap()].to_owned()
    };
    let anybody = portal.browser();
    let first = subscribe().await;
    assert_eq!(anybody.get(&first).await.body_text(), file.body_text());
    let second = subscribe().await;
    assert_eq!(anybody.get(&first).await.status, 404);
    let text = anybody.get(&second).await.body_text();
    assert_eq!(text.matches("BEGIN:VEVENT").count(), 1);
    assert!(text.replace("\r\n ", "").contains("SUMMARY:Mot de passe technique à renouveler\u{a0}: ERP ("), "{text}");
    assert_eq!(portal.events_of("CALENDAR_LINK_MADE").await, 2);
    let stored = portal.number("SELECT count(*) FROM users WHERE calendar_token_hash IS NOT NULL", &[]).await;
    assert_eq!(stored, 1);
}
