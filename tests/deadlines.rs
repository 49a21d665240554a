//! Passwords that will expire: the reminders, and where a manager sees the deadline.

use jiff::{
    Timestamp, ToSpan,
    civil::{Date, date},
    tz::TimeZone,
};
use raccord::{
    db::{
        self,
        technical_users::{
            operator_acts::{self, ActOutcome, Target},
            reminders,
        },
    },
    domain::{audit::Actor, technical_user::TechnicalUserStatus},
    web::edge::state::Downloader,
};
use sqlx::PgPool;

use crate::common::{HEALTH, TestPortal, cpro_account, text_of_pdf};

/// The days left according to each reminder in the outbox, oldest first.
async fn reminders_of(portal: &TestPortal) -> Vec<String> {
    let reminders = portal.mails_of("password_expiring").await;
    reminders.iter().map(|mail| mail.notice["days_left"].to_string()).collect()
}

/// How far an instant is from now, as the portal's clock takes it.
fn offset_to(instant: Timestamp) -> String {
    format!("{} microseconds", instant.as_microsecond() - Timestamp::now().as_microsecond())
}

/// The pool of an instance whose clock shows this instant.
fn instance_at(portal: &TestPortal, instant: Timestamp) -> PgPool {
    let offset = offset_to(instant).replace(' ', "\\ ");
    db::pool(portal.pool.connect_options().as_ref().clone().options([("raccord.clock_offset", offset.as_str())]), 1)
}

/// The instant at which clocks in Paris show this.
fn in_paris(day: Date, hour: i8, minute: i8) -> Timestamp {
    let paris = TimeZone::get("Europe/Paris").expect("the zone is known");
    paris.to_timestamp(day.at(hour, minute, 0, 0)).expect("an hour that exists")
}

/// Made at 23:30 in a Paris winter, it ends at half past midnight in a Paris summer, which is the
/// day before in UTC; its first reminder is due on 29 February.
#[tokio::test]
async fn a_password_is_watched_from_its_first_day_to_its_last_instant() {
    let mut portal = TestPortal::start().await;
    let (manager, structure) = portal.manager().await;
    portal.move_clock(&offset_to(in_paris(date(2027, 3, 1), 23, 30))).await;
    let browser = portal.signed_in(&manager).await;
    let (id, summary, password) = portal.create_and_show(&browser, structure.id, "ERP").await;
    let login = portal.login_of(id).await;
    // Screen, PDF and calendar say the same day.
    assert_eq!(summary.fact("Échéance du mot de passe"), "29 avril 2028");
    let sheet =
        browser.submit(&summary, &format!("/utilisateurs-techniques/{id}/informations-de-connexion"), &[]).await;
    assert!(text_of_pdf(&sheet.body).is_none_or(|text| text.contains("29 avril 2028")));
    let calendar = browser.get("/activites/echeances.ics").await.body_text();
    assert!(calendar.contains("DTSTART;VALUE=DATE:20280429"), "{calendar}");

    // Each day just after it has begun in Paris, and just before it ends, the job runs on two
    // instances at once: over 29 February 2028 and three changes of the clock.
    let mut day = date(2027, 3, 2);
    while day <= date(2028, 5, 1) {
        for (hour, minute) in [(0, 1), (23, 58)] {
            let instant = in_paris(day, hour, minute);
            let (one, other) = (instance_at(&portal, instant), instance_at(&portal, instant));
            let (one_sent, other_sent) = tokio::join!(reminders::remind(&one), reminders::remind(&other));
            assert!(one_sent.expect("it runs") + other_sent.expect("it runs") <= 1, "{day}");
            tokio::join!(one.close(), other.close());
        }
        day = day.tomorrow().expect("a day");
    }
    let reminders = portal.mails_of("password_expiring").await;
    let sent: Vec<_> =
        reminders.iter().map(|mail| format!("{} on {}", mail.notice["days_left"], mail.written_in_paris)).collect();
    assert_eq!(
        sent,
        [
            "60 on 2028-02-29 00:01",
            "30 on 2028-03-30 00:01",
            "7 on 2028-04-22 00:01",
            "1 on 2028-04-28 00:01",
            "0 on 2028-04-29 00:01",
        ]
    );
    assert!(portal.outbox().await.iter().all(|mail| mail.recipient == manager.contact_address));

    // The API announces the instant and keeps to it: a call that is answered before is let in, one
    // that is
    // asked after it is refused.
    portal.move_clock(&offset_to(in_paris(date(2028, 4, 20), 12, 0))).await;
    let (program, account) = (portal.program(), cpro_account(&login, &password));
    let call = async || program.call(HEALTH, &[("cpro-account", &account)], "").await;
    let announced = call().await.header("x-raccord-expiration").expect("an announcement").to_owned();
    let end: Timestamp = announced.parse().expect("an instant");
    let exact = portal.expiry_of(id).await;
    assert_eq!(exact.as_second(), end.as_second());
    portal.move_clock(&offset_to(end - 3.seconds())).await;
    let (mut let_in, mut refused) = (0, 0);
    while refused < 3 {
        let before = portal.clock().await;
        let status = call().await.status.as_u16();
        let after = portal.clock().await;
        assert!(after >= exact || status == 200, "refused {} before its end", exact - after);
        assert!(before < exact || status == 401, "let in {} after its end", before - exact);
        let_in += u32::from(status == 200);
        refused += u32::from(status == 401);
    }
    assert!(let_in > 0, "nothing was asked before the end");
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
    // Those that one instance found are one mail.
    let together = portal.mails_of("passwords_expiring").await;
    let named = together.iter().map(|mail| mail.notice["accounts"].as_array().map_or(0, Vec::len));
    assert_eq!(named.sum::<usize>() + reminders_of(&portal).await.len(), 3);
}

#[tokio::test]
async fn no_reminder_is_sent_of_what_no_longer_counts() {
    let mut portal = TestPortal::start().await;
    let (manager, structure) = portal.manager().await;
    let renewed = portal.technical_user(&structure, &manager).await;
    for status in [TechnicalUserStatus::Suspended, TechnicalUserStatus::Deleted] {
        let other = portal.technical_user(&structure, &manager).await;
        portal.set_status(other, status).await;
    }
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
    let mut accounts = Vec::new();
    for (structure, label) in structures.iter().zip(["Paie", "Régie", "=Formule"]) {
        accounts.push(portal.create_account(&browser, structure.id, label).await);
    }
    let (stranger, others) = portal.manager_with_structures("Alix", 1).await;
    let elsewhere = portal.signed_in(&stranger).await;
    portal.create_account(&elsewhere, others[0].id, "Ailleurs").await;
    portal.expire_in(accounts[1], "20 days").await;
    portal.expire_in(accounts[2], "-1 hour").await;
    portal.set_status(accounts[2], TechnicalUserStatus::Suspended).await;

    let list = "/activites/utilisateurs-techniques";
    let labels = |rows: Vec<Vec<String>>| {
        rows.into_iter().map(|row| row[0].split(' ').next().unwrap_or_default().to_owned()).collect::<Vec<_>>()
    };
    for (query, expected) in [
        ("", vec!["=Formule", "Régie", "Paie"]),
        ("?tri=structure", vec!["Paie", "Régie", "=Formule"]),
        ("?etat=a-renouveler", vec!["Régie"]),
        ("?etat=expire", vec![]),
        ("?etat=actif", vec!["Régie", "Paie"]),
        ("?etat=suspendu", vec!["=Formule"]),
        ("?recherche=regie", vec!["Régie"]),
        ("?recherche=numero+001", vec!["Paie"]),
        ("?recherche=ailleurs", vec![]),
        ("?etat=quoi&tri=%00", vec!["=Formule", "Régie", "Paie"]),
    ] {
        assert_eq!(labels(browser.open(&format!("{list}{query}")).await.rows()), expected, "{query}");
    }
    let names = |rows: Vec<Vec<String>>| rows.into_iter().map(|row| row[0].clone()).collect::<Vec<_>>();
    let due = browser.open("/activites?echeance=60-jours").await;
    assert_eq!(names(due.rows()), [structures[1].designation.clone(), structures[2].designation.clone()]);
    let sorted = browser.open("/activites?tri=echeance").await;
    assert_eq!(names(sorted.rows())[0], structures[2].designation);

    let csv = browser.get(&format!("{list}.csv?etat=suspendu")).await;
    assert_eq!(csv.header("content-type"), Some("text/csv; charset=utf-8"));
    let text = csv.body_text();
    assert!(text.starts_with('\u{feff}') && text.lines().count() == 2, "{text}");
    assert!(text.contains("\n'=Formule;TECH_1_") && text.contains(";Suspendu;"), "{text}");
    // A SIRET stays a text, and dates have the form that spreadsheets read.
    assert!(text.contains(";SIRET;\t"), "{text}");
    let is_date =
        |cell: &str| regex::Regex::new(r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d$").expect("a pattern").is_match(cell);
    assert!(is_date(text.lines().nth(1).and_then(|line| line.split(';').nth(7)).expect("its expiry")), "{text}");
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
    let visitor = portal.browser();
    let first = subscribe().await;
    // Each was made at its own moment.
    let undated =
        |text: String| text.lines().filter(|line| !line.starts_with("DTSTAMP:")).collect::<Vec<_>>().join("\n");
    assert_eq!(undated(visitor.get(&first).await.body_text()), undated(file.body_text()));
    let second = subscribe().await;
    assert_eq!(visitor.get(&first).await.status, 404);
    let text = visitor.get(&second).await.body_text();
    assert_eq!(text.matches("BEGIN:VEVENT").count(), 1);
    assert!(text.replace("\r\n ", "").contains("SUMMARY:Mot de passe technique à renouveler\u{a0}: ERP ("), "{text}");
    assert_eq!(portal.events_of("CALENDAR_LINK_MADE").await, 2);
    assert_eq!(portal.calendar_links().await, 1);
}

/// Whoever has the link reads the list.
#[tokio::test]
async fn a_new_calendar_link_is_mailed_to_its_owner_and_not_with_the_mail() {
    let portal = TestPortal::start().await;
    let (manager, _) = portal.manager().await;
    let thief = portal.signed_in(&manager).await;
    let typed = [("adresse-de-contact", "voleur@autre.example")];
    thief.post("/mon-compte/adresse-de-contact", &typed).await.location();
    let link = link_on(&thief.post("/activites/echeances", &[]).await.page());
    let mails = portal.mails_of("calendar_link_made").await;
    assert_eq!(mails.iter().map(|mail| &mail.recipient).collect::<Vec<_>>(), [&manager.contact_address]);
    let sent = portal.send_mails().await.join("\n");
    assert!(sent.contains("/activites/echeances") && !sent.contains(&link), "{sent}");
    // What takes it away gives nothing.
    thief.post("/activites/echeances/revocation", &[]).await.location();
    assert_eq!(portal.mails_of("calendar_link_made").await.len(), 1);
}

#[tokio::test]
async fn mails_write_an_identifier_as_people_do() {
    let mut portal = TestPortal::start().await;
    let (manager, structure) = portal.manager().await;
    portal.set_identifier(structure.id, "TAHITI", "E80208001").await;
    let browser = portal.signed_in(&manager).await;
    let account = portal.create_account(&browser, structure.id, "ERP").await;
    portal.move_clock("370 days").await;
    assert_eq!(reminders::remind(&portal.pool).await.unwrap(), 1);
    let login = portal.login_of(account).await;
    let target = Target { login: &login, reason: "" };
    operator_acts::suspend(&portal.pool, &Actor::operator(), target).await.expect("a suspension");
    for kind in ["technical_user_created", "password_expiring", "changed_by_operator"] {
        let mails = portal.mails_of(kind).await;
        assert_eq!(mails[0].notice["identifier"], "E80208-001", "{kind}");
    }
}

/// The revision of the one event in the manager's calendar.
async fn revision(browser: &crate::common::Browser) -> u32 {
    let text = browser.get("/activites/echeances.ics").await.body_text();
    let line = text.lines().find_map(|line| line.strip_prefix("SEQUENCE:")).expect("a revision");
    line.trim().parse().expect("a number")
}

#[tokio::test]
async fn whatever_of_an_event_changes_it_is_another_revision() {
    let mut portal = TestPortal::start().await;
    let (manager, structure) = portal.manager().await;
    let browser = portal.signed_in(&manager).await;
    let account = portal.create_account(&browser, structure.id, "ERP").await;
    let login = portal.login_of(account).await;
    let mut before = revision(&browser).await;
    assert_eq!(before, 0);
    let operator = Actor::operator();
    for (hour, change) in ["label", "name", "postal code", "expiry"].into_iter().enumerate() {
        portal.move_clock(&format!("{} minutes", hour + 1)).await;
        match change {
            "label" => portal.set_label(account, "Paie").await,
            "name" => portal.set_designation(structure.id, "Ville de Papeete").await,
            "postal code" => portal.set_postal_code(structure.id, "98714").await,
            _ => {
                let target = Target { login: &login, reason: "" };
                let outcome = operator_acts::expire(&portal.pool, &operator, target).await.expect("an end");
                assert_eq!(outcome, ActOutcome::Done);
            }
        }
        let after = revision(&browser).await;
        assert!(after > before, "{change}: {after}");
        before = after;
    }
    // The same again is no change.
    portal.move_clock("6 minutes").await;
    portal.set_label(account, "Paie").await;
    portal.set_designation(structure.id, "Ville de Papeete").await;
    portal.set_postal_code(structure.id, "98714").await;
    assert_eq!(revision(&browser).await, before);
}

#[tokio::test]
async fn an_export_of_any_length_holds_every_account_once_in_the_order_of_the_list() {
    let portal = TestPortal::start().await;
    let (manager, structure) = portal.manager().await;
    portal.many_accounts(&structure, &manager, 2_502).await;
    let browser = portal.signed_in(&manager).await;
    let export = async |query: &str| {
        let text = browser.get(&format!("/activites/utilisateurs-techniques.csv{query}")).await.body_text();
        let lines = text.lines().skip(1).map(|line| line.split(';').nth(1).expect("a login").to_owned());
        lines.collect::<Vec<_>>()
    };
    let by_expiry = portal.logins_by_expiry().await;
    assert_eq!(by_expiry.len(), 2_502, "more than are read at a time");
    assert_eq!(export("").await, by_expiry);
    assert_eq!(export("?recherche=tech_1234").await, ["TECH_1234_X@cpro.fr"]);
    assert!(export("?recherche=introuvable").await.is_empty());
    portal.delete_accounts_above(1_000).await;
    assert_eq!(export("?tri=structure").await.len(), 1_000, "a whole number of batches");
}

#[tokio::test]
async fn a_password_lives_424_days_to_the_second() {
    let mut portal = TestPortal::start().await;
    let (manager, structure) = portal.manager().await;
    let browser = portal.signed_in(&manager).await;
    let (id, _, password) = portal.create_and_show(&browser, structure.id, "ERP").await;
    let login = portal.login_of(id).await;
    assert_eq!(portal.lifetime_of(id).await, 424 * 86_400);
    let program = portal.program();
    portal.move_clock("424 days -30 seconds").await;
    assert_eq!(program.health_check(&login, &password).await, 200);
    portal.move_clock("424 days").await;
    assert_eq!(program.health_check(&login, &password).await, 401);
}

#[tokio::test]
async fn one_date_of_expiry_stands_on_every_screen_and_in_the_pdf() {
    let portal = TestPortal::with(&[("RACCORD_PASSWORD_LIFETIME_DAYS", "90")]).await;
    let (manager, structure) = portal.manager().await;
    let browser = portal.signed_in(&manager).await;
    let (id, summary, _) = portal.create_and_show(&browser, structure.id, "ERP").await;
    let date = summary.fact("Échéance du mot de passe");
    for page in [
        "/activites".to_owned(),
        "/activites/utilisateurs-techniques".to_owned(),
        format!("/structures/{}", structure.id),
        format!("/utilisateurs-techniques/{id}"),
    ] {
        assert!(browser.open(&page).await.text().contains(&date), "{date} is not on {page}");
    }
    let action = format!("/utilisateurs-techniques/{id}/informations-de-connexion");
    let pdf = browser.submit(&summary, &action, &[]).await;
    assert!(text_of_pdf(&pdf.body).is_none_or(|text| text.contains(&date)), "{date} is not in the PDF");
}

#[tokio::test]
async fn a_calendar_is_a_download_and_a_person_leaves_two_unread_at_most() {
    let portal = TestPortal::start().await;
    let (manager, _) = portal.manager().await;
    let browser = portal.signed_in(&manager).await;
    let page = browser.open("/activites/echeances").await;
    let made = browser.submit(&page, "/activites/echeances", &[]).await.body_text();
    let link = made.split("/calendrier/").nth(1).expect("a link").split(['"', '<']).next().expect("its end");
    let (own, linked) = ("/activites/echeances.ics".to_owned(), format!("/calendrier/{link}"));
    let readers = [Downloader::Person(manager.id), Downloader::CalendarLink(manager.id)];
    // Whoever has the link takes nothing away from the manager.
    for (reader, refused, served) in [(readers[0], &own, &linked), (readers[1], &linked, &own)] {
        let unread = portal.state().exports.take(reader, 2).expect("nothing is taken");
        browser.get(refused).await.refusal(429);
        assert!(browser.get(served).await.body_text().starts_with("BEGIN:VCALENDAR"), "{served}");
        drop(unread);
        assert!(browser.get(refused).await.body_text().starts_with("BEGIN:VCALENDAR"), "{refused}");
    }
}

#[tokio::test]
async fn the_months_of_the_calendar_have_the_numbers_of_their_lists() {
    let mut portal = TestPortal::start().await;
    let (manager, structures) = portal.manager_with_structures("Camille", 2).await;
    portal.move_clock(&offset_to(in_paris(date(2027, 3, 15), 12, 0))).await;
    let browser = portal.signed_in(&manager).await;
    let mut accounts = Vec::new();
    // The first and the last instants of months in Paris, one that is past, and one after the year.
    for (number, expiry) in [
        "2027-03-10 12:00Z",
        "2027-03-31 21:59:59Z",
        "2027-03-31 22:00:00Z",
        "2028-02-29 22:59:59Z",
        "2028-02-29 23:00:00Z",
        "2027-04-20 12:00Z",
    ]
    .into_iter()
    .enumerate()
    {
        let account = portal.create_account(&browser, structures[number % 2].id, &format!("ERP {number}")).await;
        portal.set_expiry(account, expiry).await;
        accounts.push(account);
    }
    let page = browser.open("/activites/echeances").await;
    for (words, month, count) in [
        ("mars 2027 2 échéances", "2027-03", 2),
        ("avril 2027 2 échéances", "2027-04", 2),
        ("février 2028 1 échéance", "2028-02", 1),
    ] {
        let link = page.link(words);
        assert_eq!(link, format!("/activites/utilisateurs-techniques?mois={month}"));
        let list = browser.open(&link).await;
        assert_eq!(list.rows().len(), count, "{words}");
        assert_eq!(list.field("mois"), month, "a search stays within the month");
        let csv = browser.get(&format!("/activites/utilisateurs-techniques.csv?mois={month}")).await.body_text();
        assert_eq!(csv.lines().count(), 1 + count);
    }
    page.assert_says("mai 2027 Aucune");
    page.assert_says("Ensuite\u{a0}: 1 échéance.");
    // A suspended account and one of an inactive structure have no deadline.
    portal.set_status(accounts[2], TechnicalUserStatus::Suspended).await;
    assert_eq!(
        browser.open(&browser.open("/activites/echeances").await.link("avril 2027 1 échéance")).await.rows().len(),
        1
    );
    portal.set_active(structures[1].id, false).await;
    browser.open("/activites/echeances").await.assert_says("avril 2027 Aucune");
    assert!(browser.open("/activites/utilisateurs-techniques?mois=2027-04").await.rows().is_empty());
    assert_eq!(
        browser.open("/activites/utilisateurs-techniques?mois=demain").await.rows().len(),
        6,
        "an unknown month is none"
    );
}

/// The link that a page about the calendar shows.
fn link_on(page: &crate::common::Page) -> String {
    let html = page.html();
    let from = html.find("/calendrier/").expect("a link");
    html[from..].split('"').next().expect("its end").to_owned()
}

#[tokio::test]
async fn the_calendar_shows_the_next_dates_and_its_link_can_be_revoked() {
    let mut portal = TestPortal::start().await;
    let (manager, structures) = portal.manager_with_structures("Camille", 12).await;
    let browser = portal.signed_in(&manager).await;
    let page = browser.open("/activites/echeances").await;
    page.assert_says("Aucun mot de passe n’a d’échéance");
    assert!(!page.has_form("/activites/echeances/revocation"));
    for (number, structure) in structures.iter().enumerate() {
        let account = portal.create_account(&browser, structure.id, &format!("ERP {number}")).await;
        portal.expire_in(account, &format!("{} days", 12 - number)).await;
    }
    let page = browser.open("/activites/echeances").await;
    let rows = page.rows();
    assert_eq!((rows.len(), &*rows[0][1], &*rows[9][1]), (10, "ERP 11", "ERP 2"), "{rows:?}");
    assert_eq!(page.link("Voir les 12 échéances"), "/activites/utilisateurs-techniques");
    let link = link_on(&browser.submit(&page, "/activites/echeances", &[]).await.page());
    assert_eq!(portal.browser().get(&link).await.status, 200);
    // It takes away what a link gives: no fresh authentication is needed.
    portal.move_clock("16 minutes").await;
    let page = browser.open("/activites/echeances").await;
    let told = browser.submit(&page, "/activites/echeances/revocation", &[]).await.location();
    browser.open(&told).await.assert_says("Le lien d’abonnement est révoqué");
    assert_eq!(portal.browser().get(&link).await.status, 404);
    browser.post("/activites/echeances/revocation", &[]).await.location();
    assert_eq!(portal.events_of("CALENDAR_LINK_REVOKED").await, 1, "what was not there is not revoked");
}
