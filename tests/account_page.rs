//! « Utilisateur technique »: what the banner says first, and what the page says of calls.

use raccord::domain::{role::Role, technical_user::TechnicalUserStatus};

use crate::common::{HEALTH, Page, TestPortal, cpro_account};

const RESET: &str = "Réinitialiser le mot de passe (utilisateur technique)";

fn banner(page: &Page) -> String {
    page.by_id("h2", "a-traiter").unwrap_or_default().replace('\u{202f}', " ")
}

/// How many buttons with this name open an act.
fn openers(page: &Page, name: &str) -> usize {
    page.buttons().iter().filter(|button| *button == name).count()
}

#[tokio::test]
async fn the_gravest_reason_comes_first_with_the_one_button_that_mends_it() {
    let portal = TestPortal::start().await;
    let (manager, structure) = portal.manager().await;
    let browser = portal.signed_in(&manager).await;
    let (id, ..) = portal.create_and_show(&browser, structure.id, "ERP").await;
    let here = format!("/utilisateurs-techniques/{id}");
    let page = browser.open(&here).await;
    assert_eq!((banner(&page).as_str(), openers(&page, RESET)), ("", 1), "nothing is wrong");
    portal.expire_in(id, "20 days").await;
    let page = browser.open(&here).await;
    assert_eq!((banner(&page).as_str(), openers(&page, RESET)), ("Le mot de passe expire dans 20 jours", 1));
    let noor = portal.person("Noor").await;
    portal.attach(&noor, &structure, Role::SecondaryManager).await;
    let browser = portal.hand_over(&structure, &noor).await;
    let page = browser.open(&here).await;
    assert_eq!((banner(&page).as_str(), openers(&page, RESET)), ("Un ancien gestionnaire connaît le mot de passe", 1));
    page.assert_says("À savoir aussi");
    page.assert_says("Le mot de passe expire dans 20 jours.");
    portal.refuse_calls(id, "1 hour").await;
    assert_eq!(banner(&browser.open(&here).await), "Des appels sont refusés");
    portal.expire_in(id, "-1 hour").await;
    let page = browser.open(&here).await;
    assert_eq!((banner(&page).as_str(), openers(&page, RESET)), ("Le mot de passe a expiré", 1));
    portal.set_status(id, TechnicalUserStatus::Suspended).await;
    let page = browser.open(&here).await;
    assert_eq!(banner(&page), "L’utilisateur technique est suspendu");
    assert_eq!((openers(&page, "Réactiver"), openers(&page, RESET)), (1, 1));
    portal.set_active(structure.id, false).await;
    let page = browser.open(&here).await;
    assert_eq!((banner(&page).as_str(), openers(&page, "Réactiver")), ("La structure est inactive", 1));
    let card = page.link("Modifier le statut de la structure");
    assert_eq!(card, format!("/structures/{}/informations-generales", structure.id));
    page.assert_says("L’utilisateur technique est suspendu.");
}

#[tokio::test]
async fn a_suspension_names_who_decided_it_and_when() {
    let portal = TestPortal::start().await;
    let (manager, structure) = portal.manager().await;
    let browser = portal.signed_in(&manager).await;
    let (id, ..) = portal.create_and_show(&browser, structure.id, "ERP").await;
    let here = format!("/utilisateurs-techniques/{id}");
    browser.post(&format!("{here}/suspension"), &[]).await.location();
    let page = browser.open(&here).await;
    page.assert_says(&format!(" par {}. L’API refuse tous ses appels.", manager.login));
    page.assert_says("Suspendu le ");
}

#[tokio::test]
async fn a_password_that_waits_or_was_never_shown_is_what_is_due() {
    let portal = TestPortal::start().await;
    let (manager, structure) = portal.manager().await;
    let browser = portal.signed_in(&manager).await;
    let id = portal.create_account(&browser, structure.id, "ERP").await;
    let here = format!("/utilisateurs-techniques/{id}");
    let page = browser.open(&here).await;
    assert_eq!(banner(&page), "Le mot de passe est prêt à être affiché");
    assert_eq!(page.link("Afficher le mot de passe"), format!("{here}/recapitulatif"));
    let page = portal.signed_in(&manager).await.open(&here).await;
    assert_eq!((banner(&page).as_str(), openers(&page, RESET)), ("Le mot de passe n’a jamais été affiché", 1));
}

/// Whoever knows a login can cause a refused call: the account is not its author.
#[tokio::test]
async fn refused_calls_say_address_software_and_reason_and_no_account_as_their_author() {
    let mut portal = TestPortal::start().await;
    let (manager, structure) = portal.manager().await;
    let browser = portal.signed_in(&manager).await;
    let (id, _, password) = portal.create_and_show(&browser, structure.id, "ERP").await;
    let (login, here) = (portal.login_of(id).await, format!("/utilisateurs-techniques/{id}"));
    let call = async |portal: &TestPortal, password: &str| {
        let header = cpro_account(&login, password);
        let headers = [("cpro-account", header.as_str()), ("user-agent", "Odoo/17.0 appelez le 01 99")];
        portal.program().with_address("203.0.113.7").call(HEALTH, &headers, "").await.status.as_u16()
    };
    assert_eq!(call(&portal, "rcd_faux").await, 401);
    portal.flush_calls().await;
    let page = browser.open(&here).await;
    assert_eq!(banner(&page), "Des appels sont refusés");
    for told in ["mot de passe incorrect", "203.0.113.7", "Odoo/17.0", "En échec"] {
        page.assert_says(told);
    }
    let history = format!("/structures/{}/historique?operation=CALLS_REFUSED", structure.id);
    let row = browser.open(&history).await.rows().remove(0);
    assert!(row[1].contains("mot de passe incorrect, par le logiciel «\u{202f}Odoo/17.0\u{202f}»"), "{row:?}");
    assert_eq!(row[3..], ["appelant non identifié", "203.0.113.7"]);
    // An event of the version before is shown in the same way.
    portal.execute("INSERT INTO audit_events (actor, address, action, structure_id, technical_user_id, subject, detail)
                    SELECT login, '203.0.113.8', 'CALLS_REFUSED', structure_id, id, login, '1 appel' FROM technical_users").await;
    let old = browser.open(&history).await.rows().remove(0);
    assert_eq!(old[3..], ["appelant non identifié", "203.0.113.8"]);
    let csv = browser.get(&history.replace('?', ".csv?")).await.body_text();
    assert_eq!(csv.matches("appelant non identifié").count(), 2, "{csv}");
    // The first refusal stays the beginning, until a call succeeds.
    let since =
        "SELECT to_char(refused_since, 'YYYY-MM-DD HH24') FROM technical_users WHERE last_refused_at > refused_since";
    portal.move_clock("2 hours").await;
    assert_eq!(call(&portal, "rcd_faux").await, 401);
    portal.flush_calls().await;
    assert_eq!(portal.texts(since, &[]).await.len(), 1);
    assert_eq!(call(&portal, &password).await, 200);
    portal.flush_calls().await;
    assert_eq!(banner(&portal.signed_in(&manager).await.open(&here).await), "");
}

#[tokio::test]
async fn what_is_refused_for_the_network_alone_leads_to_the_restrictions() {
    let portal = TestPortal::start().await;
    let (manager, structure) = portal.manager().await;
    let browser = portal.signed_in(&manager).await;
    let (id, _, password) = portal.create_and_show(&browser, structure.id, "ERP").await;
    portal.execute("UPDATE technical_users SET network_rule = 'LIST', networks = '{192.0.2.0/24}'").await;
    let outside = portal.program().with_address("203.0.113.7");
    assert_eq!(outside.health_check(&portal.login_of(id).await, &password).await, 401);
    portal.flush_calls().await;
    let page = browser.open(&format!("/utilisateurs-techniques/{id}")).await;
    assert_eq!(banner(&page), "Des appels sont refusés");
    page.assert_says("ajoutez-la aux réseaux autorisés");
    let restrictions = format!("/utilisateurs-techniques/{id}/restrictions");
    assert_eq!(page.html().matches(&format!("class=\"button\" href=\"{restrictions}\"")).count(), 1);
}

/// Days are those of Paris: a call at 23:30 UTC in winter is one of the next day.
#[tokio::test]
async fn calls_and_refusals_are_counted_by_day_for_fourteen_months() {
    let mut portal = TestPortal::start().await;
    let (manager, structure) = portal.manager().await;
    let browser = portal.signed_in(&manager).await;
    let (id, _, password) = portal.create_and_show(&browser, structure.id, "ERP").await;
    let login = portal.login_of(id).await;
    let to_days = "SELECT extract(epoch FROM timestamptz '2029-01-10 22:30Z' - now())::bigint || ' seconds'";
    let offset = portal.text(to_days, &[]).await;
    portal.execute("UPDATE technical_users SET expires_at = '2031-01-01'").await;
    let call = async |portal: &TestPortal, password: &str| portal.program().health_check(&login, password).await;
    portal.move_clock(&offset).await;
    for _ in 0..3 {
        assert_eq!(call(&portal, &password).await, 200);
    }
    assert_eq!(call(&portal, "rcd_faux").await, 401);
    let counted = "SELECT day || ' ' || accepted || ' ' || refused FROM daily_calls ORDER BY day";
    assert!(portal.texts(counted, &[]).await.is_empty(), "no call costs a write");
    portal.flush_calls().await;
    portal.flush_all_calls().await;
    assert_eq!(portal.texts(counted, &[]).await, ["2029-01-10 3 1"]);
    portal.move_clock(&format!("{offset} 1 hour")).await;
    assert_eq!(call(&portal, &password).await, 200);
    portal.flush_calls().await;
    assert_eq!(call(&portal, &password).await, 200);
    portal.flush_calls().await;
    assert_eq!(portal.texts(counted, &[]).await, ["2029-01-10 3 1", "2029-01-11 1 0"], "five minutes are one writing");
    portal.flush_all_calls().await;
    assert_eq!(portal.texts(counted, &[]).await, ["2029-01-10 3 1", "2029-01-11 2 0"]);
    let page = portal.signed_in(&manager).await.open(&format!("/utilisateurs-techniques/{id}")).await;
    let rows = page.rows();
    assert_eq!(rows[0], ["11 janvier 2029", "2", "0"]);
    assert_eq!((rows[1].as_slice(), rows[2][1].as_str()), (&["10 janvier 2029", "3", "1"].map(String::from)[..], "0"));
    assert_eq!(rows[30], ["janvier 2029", "5", "1"]);
    assert_eq!((rows[29][0].as_str(), rows[43][0].as_str()), ("13 décembre 2028", "décembre 2027"));
    page.assert_says("5\u{a0}acceptés, 1\u{a0}refusé");
    // Thirteen months later, January is the oldest month that is kept.
    for (later, kept) in [("410 days", 2), ("420 days", 0)] {
        portal.move_clock(&format!("{offset} {later}")).await;
        raccord::db::upkeep::sweep(&portal.pool).await.expect("it is swept");
        assert_eq!(portal.count("daily_calls").await, kept, "{later}");
    }
}

#[tokio::test]
async fn counts_that_could_not_be_written_are_written_later_and_once() {
    let portal = TestPortal::start().await;
    portal.anne_and_bruno().await;
    let account = portal.account(1).await;
    let program = portal.program();
    assert_eq!(program.health_check(&account.login, account.password.expose()).await, 200);
    assert_eq!(program.health_check(&account.login, "rcd_faux").await, 401);
    portal.execute("ALTER TABLE daily_calls RENAME TO gone").await;
    assert!(portal.api().call_log.flush(&portal.pool).await.is_err());
    assert_eq!(program.health_check(&account.login, account.password.expose()).await, 200);
    assert!(portal.api().call_log.flush(&portal.pool).await.is_err());
    portal.execute("ALTER TABLE gone RENAME TO daily_calls").await;
    portal.flush_calls().await;
    let counted = "SELECT sum(accepted) || ' ' || sum(refused) FROM daily_calls";
    assert_eq!(portal.text(counted, &[]).await, "2 1");
}

#[tokio::test]
async fn an_account_of_another_structure_has_its_own_counts() {
    let portal = TestPortal::start().await;
    let (manager, structures) = portal.manager_with_structures("Camille", 2).await;
    let browser = portal.signed_in(&manager).await;
    let (id, ..) = portal.create_and_show(&browser, structures[0].id, "ERP").await;
    let (other, ..) = portal.create_and_show(&browser, structures[1].id, "ERP").await;
    portal.execute("INSERT INTO daily_calls SELECT min(id), portal_now(), 7, 0 FROM technical_users").await;
    let page = async |id: i64| browser.open(&format!("/utilisateurs-techniques/{id}")).await;
    page(id).await.assert_says("7\u{a0}acceptés");
    page(other).await.assert_says("Aucun appel accepté");
    let noor = portal.person("Noor").await;
    portal.attach(&noor, &structures[0], Role::SecondaryManager).await;
    portal.signed_in(&noor).await.get(&format!("/utilisateurs-techniques/{id}")).await.refusal(404);
}
