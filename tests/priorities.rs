//! What a manager is to do today: the first line of « Activités du gestionnaire », and the lists
//! that it leads to.

use raccord::domain::{role::Role, technical_user::TechnicalUserStatus};

use crate::common::TestPortal;

const LIST: &str = "/activites/utilisateurs-techniques";

#[tokio::test]
async fn what_is_due_is_counted_first_and_each_count_leads_to_its_list() {
    let portal = TestPortal::start().await;
    let (manager, structures) = portal.manager_with_structures("Camille", 2).await;
    let browser = portal.signed_in(&manager).await;
    browser.open("/activites").await.assert_says("Rien à faire aujourd’hui");
    let mut accounts = Vec::new();
    for number in 0..8 {
        let structure = &structures[number % 2];
        accounts.push(portal.create_account(&browser, structure.id, &format!("Compte {number}")).await);
    }
    browser.open("/activites").await.assert_says("Rien à faire aujourd’hui");
    portal.expire_in(accounts[0], "-1 hour").await;
    portal.expire_in(accounts[1], "20 days").await;
    portal.expire_in(accounts[2], "59 days").await;
    portal.expire_in(accounts[3], "70 days").await;
    // A suspended account is that, whatever its password.
    portal.set_status(accounts[4], TechnicalUserStatus::Suspended).await;
    portal.expire_in(accounts[4], "-1 hour").await;
    portal.set_status(accounts[5], TechnicalUserStatus::Deleted).await;
    portal.refuse_calls(accounts[6], "1 hour").await;
    let others = portal.manager_with_structures("Alix", 1).await;
    let elsewhere = portal.create_account(&portal.signed_in(&others.0).await, others.1[0].id, "Ailleurs").await;
    portal.expire_in(elsewhere, "-1 hour").await;
    let page = browser.open("/activites").await;
    for (words, etat, rows) in [
        ("1 expiré", "expire", 1),
        ("2 à renouveler sous 60 jours", "a-renouveler", 2),
        ("1 en échec", "echec", 1),
        ("1 suspendu", "suspendu", 1),
    ] {
        let link = page.link(words);
        assert_eq!(link, format!("{LIST}?etat={etat}"));
        let list = browser.open(&link).await;
        assert_eq!(list.rows().len(), rows, "{words}");
        assert_eq!(list.link(words), link, "the list has the line, too");
    }
    assert!(!page.text().contains("ancien gestionnaire") && !page.text().contains("Rien à faire"), "{}", page.text());
}

#[tokio::test]
async fn a_password_that_a_former_manager_knows_is_among_what_is_due() {
    let portal = TestPortal::start().await;
    let (manager, structure) = portal.manager().await;
    portal.create_and_show(&portal.signed_in(&manager).await, structure.id, "ERP").await;
    let noor = portal.person("Noor").await;
    portal.attach(&noor, &structure, Role::PrincipalManager).await;
    let browser = portal.signed_in(&noor).await;
    let list = browser.open(&browser.open("/activites").await.link("1 connu d’un ancien gestionnaire")).await;
    assert_eq!(list.rows().len(), 1);
}

/// The last refused call counts until a call succeeds or the password is reset, and for a week.
#[tokio::test]
async fn an_account_is_failing_from_a_refused_call_until_one_succeeds() {
    let mut portal = TestPortal::start().await;
    portal.anne_and_bruno().await;
    let account = portal.account(1).await;
    let failing = "SELECT is_failing(last_refused_at, last_call_at, password_set_at)::int::bigint FROM technical_users WHERE id = $1";
    let is_failing = async |portal: &TestPortal| portal.number(failing, &[account.id]).await == 1;
    let program = portal.program();
    assert!(!is_failing(&portal).await);
    assert_eq!(program.health_check(&account.login, "rcd_faux").await, 401);
    portal.flush_calls().await;
    assert!(is_failing(&portal).await);
    assert_eq!(portal.events_of("CALLS_REFUSED").await, 1);
    assert_eq!(program.health_check(&account.login, account.password.expose()).await, 200);
    portal.flush_calls().await;
    assert!(!is_failing(&portal).await);
    portal.refuse_calls(account.id, "1 second").await;
    assert!(is_failing(&portal).await);
    portal.move_clock("8 days").await;
    assert!(!is_failing(&portal).await);
}

/// Further refusals of a kind are written within the hour.
#[tokio::test]
async fn refusals_that_are_written_after_a_call_succeeded_are_over() {
    let portal = TestPortal::start().await;
    portal.anne_and_bruno().await;
    let account = portal.account(1).await;
    let program = portal.program();
    for _ in 0..2 {
        assert_eq!(program.health_check(&account.login, "rcd_faux").await, 401);
        portal.flush_calls().await;
    }
    assert_eq!(portal.events_of("CALLS_REFUSED").await, 1, "the second one waits");
    assert_eq!(program.health_check(&account.login, account.password.expose()).await, 200);
    portal.flush_all_calls().await;
    assert_eq!(portal.events_of("CALLS_REFUSED").await, 2);
    let failing = "SELECT is_failing(last_refused_at, last_call_at, password_set_at)::int::bigint FROM technical_users WHERE id = $1";
    assert_eq!(portal.number(failing, &[account.id]).await, 0);
}

#[tokio::test]
async fn a_manager_of_one_structure_sees_it_without_a_search() {
    let portal = TestPortal::start().await;
    let (manager, structure) = portal.manager().await;
    let browser = portal.signed_in(&manager).await;
    let page = browser.open("/activites").await;
    assert!(!page.html().contains("type=\"search\"") && page.rows().is_empty());
    let fiche = page.link(&format!("Modifier la fiche structure {}", structure.designation));
    assert_eq!(fiche, format!("/structures/{}", structure.id));
    assert_eq!(page.link("Créer un utilisateur technique"), format!("{fiche}/utilisateurs-techniques/nouveau"));
    // A search that finds one of several is a search all the same.
    let (manager, structures) = portal.manager_with_structures("Alix", 2).await;
    let browser = portal.signed_in(&manager).await;
    let page = browser.open(&format!("/activites?recherche={}", structures[0].identifier)).await;
    assert_eq!(page.rows().len(), 1);
    assert_eq!(page.field("recherche"), structures[0].identifier);
}

#[tokio::test]
async fn the_three_pages_are_tabs_of_one_another() {
    let portal = TestPortal::start().await;
    let (manager, _) = portal.manager_with_structures("Camille", 2).await;
    let browser = portal.signed_in(&manager).await;
    let tabs = [
        ("Mes structures", "/activites"),
        ("Utilisateurs techniques", LIST),
        ("Calendrier des échéances", "/activites/echeances"),
    ];
    for (_, here) in tabs {
        let page = browser.open(here).await;
        for (label, there) in tabs {
            let current = if here == there { " aria-current=\"page\"" } else { "" };
            let tab = format!("<a href=\"{there}\"{current}>{label}</a>");
            assert!(page.html().contains(&tab), "{here}: {tab}");
        }
    }
}
