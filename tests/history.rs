//! « Historique » of a structure: its pages, filters and export.

use raccord::{
    db::upkeep,
    domain::{role::Role, technical_user::TechnicalUserStatus},
};

use crate::common::{Browser, EventRow, Page, Person, Structure, TestPortal};

/// A portal with a structure, its manager, [`TestPortal::daily_history`], and the account's login.
async fn portal_with_history(days: i32) -> (TestPortal, Person, Structure, String) {
    let portal = TestPortal::start().await;
    let (manager, structures) = portal.manager_with_structures("Camille", 2).await;
    let account = portal.technical_user(&structures[0], &manager).await;
    let login = portal.login_of(account).await;
    portal.daily_history(&structures[0], &manager, account, days).await;
    let structure = structures.into_iter().next().expect("a structure");
    (portal, manager, structure, login)
}

/// An event of the structure that happens now.
fn event_of(structure: &Structure, action: &str) -> EventRow {
    let (actor, address) = ("x".to_owned(), "y".to_owned());
    EventRow { actor, address, action: action.into(), structure_id: Some(structure.id), ..EventRow::default() }
}

/// What the list shows: each act's words, and the detail on the line below them.
fn shown(page: &Page) -> Vec<String> {
    page.rows().into_iter().map(|row| row[1].clone()).collect()
}

async fn count(browser: &Browser, structure: &Structure, query: &str) -> usize {
    shown(&browser.open(&format!("/structures/{}/historique?{query}", structure.id)).await).len()
}

#[tokio::test]
async fn pages_lead_through_all_of_it_once_and_back() {
    let (portal, manager, structure, _) = portal_with_history(40).await;
    let browser = portal.signed_in(&manager).await;
    let first = browser.open(&format!("/structures/{}/historique", structure.id)).await;
    assert!(first.find_link("Plus récentes").is_none() && first.find_link("Début de la liste").is_none());
    let mut pages = vec![first];
    while let Some(older) = pages.last().and_then(|page| page.find_link("Plus anciennes")) {
        pages.push(browser.open(&older).await);
    }
    let all: Vec<String> = pages.iter().flat_map(shown).collect();
    let expected: Vec<String> = (0..40)
        .rev()
        .flat_map(|day| {
            ["Opération refusée", "Affichage du mot de passe", "Modification de la fiche structure"]
                .map(|act| format!("{act}jour {day}"))
        })
        .collect();
    // Signing in is no act on the structure.
    assert_eq!(all, expected);
    assert_eq!(pages.iter().map(|page| page.rows().len()).collect::<Vec<_>>(), [50, 50, 20]);
    assert!(pages[1].title() != pages[0].title());
    // And back, while a new event is added: no event is shown twice, and the first page has the
    // new one.
    let back = browser.open(&pages[2].link("Plus récentes")).await;
    assert_eq!(shown(&back), shown(&pages[1]));
    assert_eq!(back.link("Plus anciennes"), pages[1].link("Plus anciennes"));
    let event = EventRow { at: "2027-06-01".into(), detail: "neuf".into(), ..event_of(&structure, "MANAGER_CHANGED") };
    portal.write_event(&event).await;
    let newer = browser.open(&back.link("Plus récentes")).await;
    assert_eq!(shown(&newer), shown(&pages[0]));
    let top = browser.get(&newer.link("Plus récentes")).await.location();
    let top = browser.open(&top).await;
    assert_eq!(shown(&top)[..2], ["Changement de gestionnaire principalneuf", "Opération refuséejour 39"]);
    assert_eq!(top.rows().len(), 50);
}

#[tokio::test]
async fn events_of_one_instant_differ_by_their_number() {
    let (portal, manager, structure, _) = portal_with_history(0).await;
    for number in 1..=101 {
        let refused = event_of(&structure, "ACT_REFUSED");
        portal.write_event(&EventRow { at: "2027-01-01".into(), detail: number.to_string(), ..refused }).await;
    }
    let browser = portal.signed_in(&manager).await;
    let mut page = browser.open(&format!("/structures/{}/historique", structure.id)).await;
    let mut all = shown(&page);
    while let Some(older) = page.find_link("Plus anciennes") {
        page = browser.open(&older).await;
        all.extend(shown(&page));
    }
    assert_eq!(all, (1..=101).rev().map(|n| format!("Opération refusée{n}")).collect::<Vec<_>>());
}

#[tokio::test]
async fn it_is_narrowed_by_act_period_account_and_person() {
    let (portal, manager, structure, login) = portal_with_history(40).await;
    let browser = portal.signed_in(&manager).await;
    let small = login.to_lowercase();
    for (query, expected) in [
        ("operation=PASSWORD_SHOWN".to_owned(), 40),
        // An unknown operation, or one that is not a structure's, filters nothing.
        ("operation=quoi".to_owned(), 50),
        ("operation=SIGNED_IN".to_owned(), 50),
        ("du=24%2F12%2F2026&au=24%2F12%2F2026".to_owned(), 3),
        ("du=2026-12-24&au=26.12.2026".to_owned(), 9),
        ("au=22/12/2026".to_owned(), 9),
        ("du=27/01/2027".to_owned(), 6),
        ("du=01/01/2031".to_owned(), 0),
        (format!("compte={login}"), 40),
        (format!("compte=+{small}+"), 40),
        ("compte=TECH_9".to_owned(), 0),
        ("personne=Noa.Martin@exemple.fr".to_owned(), 40),
        (format!("compte={login}&personne=noa.martin@exemple.fr&operation=PASSWORD_SHOWN&du=1/1/2027&au=2/1/2027"), 2),
        (format!("compte={login}&operation=ACT_REFUSED"), 0),
    ] {
        assert_eq!(count(&browser, &structure, &query).await, expected, "{query}");
    }
    let nothing = browser.open(&format!("/structures/{}/historique?compte=TECH_9", structure.id)).await;
    nothing.assert_says("Aucune opération ne correspond à ces critères.");
    assert_eq!(nothing.field("compte"), "TECH_9");
    assert_eq!(nothing.link("Afficher tout l’historique"), format!("/structures/{}/historique", structure.id));
    // The links of a page keep its filters.
    let narrowed = browser
        .open(&format!("/structures/{}/historique?au=29/01/2027&personne=camille.martin@exemple.fr", structure.id))
        .await;
    let older = browser.open(&narrowed.link("Plus anciennes")).await;
    assert_eq!((older.field("au"), older.field("personne")), ("29/01/2027".into(), "camille.martin@exemple.fr".into()));
    assert_eq!(older.rows().len(), 30);
    // An account's page leads to the events of the account.
    let account = portal.account_ids().await[0];
    let page = browser.open(&format!("/utilisateurs-techniques/{account}")).await;
    assert_eq!(browser.open(&page.link("Voir tout l’historique de ce compte")).await.rows().len(), 40);
}

#[tokio::test]
async fn a_part_of_a_name_finds_and_a_whole_one_finds_no_other() {
    let (portal, manager, structure, login) = portal_with_history(5).await;
    let chloe = portal.person("Chloé").await;
    let other = portal.technical_user(&structure, &manager).await;
    portal.set_label(other, "Paie École").await;
    portal.set_status(other, TechnicalUserStatus::Deleted).await;
    let elsewhere = portal.structure("Commune d’ailleurs").await;
    for (actor, account, structure) in [
        // A login that ends as another one does.
        ("jo.noa.martin@exemple.fr", Some(other), &structure),
        // A person who is not a member.
        (chloe.login.as_str(), None, &structure),
        // The portal itself.
        ("raccord", None, &structure),
        ("zoe.durand@exemple.fr", None, &elsewhere),
    ] {
        let edited = event_of(structure, "STRUCTURE_EDITED");
        portal.write_event(&EventRow { actor: actor.into(), technical_user_id: account, ..edited }).await;
    }
    let browser = portal.signed_in(&manager).await;
    for (query, expected) in [
        (format!("compte={login}"), 5),
        ("compte=tech_".to_owned(), 6),
        (format!("compte={}", structure.identifier), 6),
        ("compte=paie+ecole".to_owned(), 1),
        ("compte=ÉCOLE".to_owned(), 1),
        ("compte=cantine".to_owned(), 0),
        ("personne=noa.martin@exemple.fr".to_owned(), 5),
        ("personne=noa".to_owned(), 6),
        ("personne=CHLOE".to_owned(), 1),
        ("personne=chloé+martin".to_owned(), 1),
        ("personne=Martin+Chloé".to_owned(), 1),
        ("personne=martin".to_owned(), 17),
        ("personne=raccord".to_owned(), 1),
        ("personne=zoe.durand@exemple.fr".to_owned(), 0),
        // No word at all is in no name.
        ("compte=%27+-".to_owned(), 0),
        ("personne=%27+-".to_owned(), 0),
        ("personne=%25".to_owned(), 0),
    ] {
        assert_eq!(count(&browser, &structure, &query).await, expected, "{query}");
    }
}

#[tokio::test]
async fn days_are_those_of_a_calendar_in_paris() {
    let (portal, manager, structure, _) = portal_with_history(0).await;
    for at in [
        "2027-01-01 22:59:59.999999Z",
        "2027-01-01 23:00Z",
        "2027-01-02 22:59:59.999999Z",
        "2027-01-02 23:00Z",
        "2027-07-01 21:59:59Z",
        "2027-07-01 22:00Z",
        "2027-07-02 21:59:59Z",
        "2027-07-02 22:00Z",
    ] {
        portal.write_event(&EventRow { at: at.into(), ..event_of(&structure, "ACT_REFUSED") }).await;
    }
    let browser = portal.signed_in(&manager).await;
    for day in ["02/01/2027", "02/07/2027"] {
        assert_eq!(count(&browser, &structure, &format!("du={day}&au={day}")).await, 2, "{day}");
    }
}

#[tokio::test]
async fn a_wrong_date_is_said_beside_its_field_and_nothing_typed_is_lost() {
    let (portal, manager, structure, login) = portal_with_history(1).await;
    let browser = portal.signed_in(&manager).await;
    let ask = async |query: &str| browser.get(&format!("/structures/{}/historique?{query}", structure.id)).await;
    let query = format!("operation=PASSWORD_SHOWN&du=31/02/2027&au=demain&compte={login}&personne=noa");
    let page = ask(&query).await.refusal(422);
    page.assert_says("Le formulaire comporte 2 erreurs");
    page.assert_says("«\u{202f}Du\u{202f}»\u{a0}: indiquez une date du calendrier, par exemple 24/01/2026.");
    for (field, value) in [("du", "31/02/2027"), ("au", "demain"), ("compte", &login), ("personne", "noa")] {
        assert_eq!(page.field(field), value);
    }
    assert!(page.html().contains("value=\"PASSWORD_SHOWN\" selected"));
    assert!(page.rows().is_empty() && page.find_link("Exporter (CSV)").is_none());
    let page = ask("du=02/01/2027&au=01/01/2027").await.refusal(422);
    page.assert_says("la date de fin doit être celle du début, ou venir après elle");
    let csv = browser.get(&format!("/structures/{}/historique.csv?du=hier", structure.id)).await;
    assert_eq!(csv.status, 422);
    // A cursor that is not an event of this structure gives 404; one that is not a number is
    // ignored.
    let signed_out = EventRow { structure_id: None, ..event_of(&structure, "SIGNED_OUT") };
    let elsewhere = portal.write_event(&signed_out).await;
    for place in [elsewhere.to_string(), "0".into(), "-1".into(), i64::MAX.to_string()] {
        assert_eq!(ask(&format!("avant={place}")).await.status, 404, "{place}");
        assert_eq!(ask(&format!("apres={place}")).await.status, 404, "{place}");
    }
    assert_eq!(ask("avant=x&apres=99999999999999999999").await.status, 200);
}

#[tokio::test]
async fn the_export_holds_all_that_is_narrowed_to_and_no_formula() {
    let (portal, manager, structure, login) = portal_with_history(900).await;
    let formulas = EventRow {
        at: "2026-01-01".into(),
        actor: "\n=1+1".into(),
        address: "＝1".into(),
        subject: " @x".into(),
        detail: "a;\"b\"\r\nc".into(),
        ..event_of(&structure, "STRUCTURE_EDITED")
    };
    portal.write_event(&formulas).await;
    let browser = portal.signed_in(&manager).await;
    let export = async |query: &str| {
        let page = browser.open(&format!("/structures/{}/historique?{query}", structure.id)).await;
        let answer = browser.get(&page.link("Exporter (CSV)")).await;
        assert_eq!(answer.header("content-type"), Some("text/csv; charset=utf-8"));
        assert_eq!(
            answer.header("content-disposition"),
            Some(&*format!("attachment; filename=\"historique-{}.csv\"", structure.identifier))
        );
        let text = answer.body_text();
        let text = text.strip_prefix('\u{feff}').expect("a mark that says UTF-8").to_owned();
        let mut reader = csv::ReaderBuilder::new().delimiter(b';').from_reader(text.as_bytes());
        reader
            .records()
            .map(|row| row.expect("whole rows").iter().map(str::to_owned).collect::<Vec<_>>())
            .collect::<Vec<_>>()
    };
    // More than are read at a time, in the order of the list.
    let all = export("").await;
    assert_eq!(all.len(), 2_701);
    assert_eq!(all[0][..4], ["2029-06-06 16:00:00", "Opération refusée", "", "jour 899"]);
    assert!(all.windows(2).all(|pair| pair[0][0] > pair[1][0]));
    assert_eq!(all[2_700][2..], ["' @x", "a;\"b\"\r\nc", "'\n=1+1", "'＝1"]);
    let narrowed = export(&format!("compte={login}&du=20/12/2026&au=22/12/2026")).await;
    assert_eq!(narrowed.iter().map(|row| row[3].clone()).collect::<Vec<_>>(), ["jour 2", "jour 1", "jour 0"]);
    // Nothing to export, no link; by its URL, the head alone.
    let empty = browser.get(&format!("/structures/{}/historique.csv?compte=TECH_9", structure.id)).await;
    assert_eq!(empty.body_text().lines().count(), 1);
}

#[tokio::test]
async fn a_page_costs_the_same_whatever_is_behind_it() {
    let (portal, manager, structure, login) = portal_with_history(4_000).await;
    portal.execute("ANALYZE audit_events").await;
    let account = portal.account_ids().await[0];
    // The deepest page by each criterion reads the rows that it shows and one more, by an index.
    let deepest = portal.first_event_with_detail("jour 60").await;
    for (criterion, index) in [
        (String::new(), "audit_events_of_structure"),
        (" AND action = 'PASSWORD_SHOWN'".to_owned(), "audit_events_of_action"),
        (" AND actor = 'noa.martin@exemple.fr'".to_owned(), "audit_events_of_actor"),
        (format!(" AND technical_user_id = {account}"), "audit_events_of_account"),
        (" AND at >= '2026-12-01' AND at < '2027-02-10'".to_owned(), "audit_events_of_structure"),
    ] {
        let explain = format!(
            "EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF) SELECT id FROM audit_events WHERE structure_id = {id}{criterion}
              AND (at, id) < ((SELECT at FROM audit_events WHERE structure_id = {id} AND id = {deepest}), {deepest}::bigint)
             ORDER BY at DESC, id DESC LIMIT 51",
            id = structure.id
        );
        let plan: Vec<String> =
            sqlx::query_scalar(sqlx::AssertSqlSafe(explain)).fetch_all(&portal.pool).await.expect("a plan");
        let plan = plan.join("\n");
        assert!(plan.contains(index) && !plan.contains("Sort") && !plan.contains("Seq Scan"), "{criterion}: {plan}");
        assert!(!plan.contains("Rows Removed"), "{criterion}: {plan}");
    }
    let browser = portal.signed_in(&manager).await;
    let page = browser.open(&format!("/structures/{}/historique?compte={login}&avant={deepest}", structure.id)).await;
    assert_eq!(page.rows().len(), 50);
}

#[tokio::test]
async fn refused_acts_are_one_event_at_once_and_one_an_hour_by_route() {
    let mut portal = TestPortal::start().await;
    let (manager, structure) = portal.manager().await;
    let account = portal.technical_user(&structure, &manager).await;
    let member = portal.person("Noor").await;
    portal.attach(&member, &structure, Role::User).await;
    let browser = portal.signed_in(&member).await;
    let long = format!("/structures/{}{}/utilisateurs-techniques", "%30".repeat(2_600), structure.id);
    let before = portal.count("audit_events").await;
    for _ in 0..500 {
        browser.post(&long, &[]).await.refusal(404);
    }
    let route = "/structures/{id}/utilisateurs-techniques";
    assert_eq!(portal.details_of("ACT_REFUSED").await, [route]);
    // Every other route and account: eight kinds, and one for all others.
    for act in [
        "libelle",
        "recapitulatif/fermeture",
        "informations-de-connexion",
        "mot-de-passe",
        "ancien-mot-de-passe",
        "suspension",
        "reactivation",
        "suppression",
    ] {
        for zeros in ["", "000"] {
            browser.post(&format!("/utilisateurs-techniques/{zeros}{account}/{act}"), &[]).await.refusal(404);
        }
    }
    for act in ["", "/gestionnaire-principal", "/membres/invitation"] {
        browser.post(&format!("/structures/{}{act}", structure.id), &[]).await.refusal(404);
    }
    let told = portal.details_of("ACT_REFUSED").await;
    assert_eq!(told.len(), 9, "{told:#?}");
    assert_eq!(told[8], "d’autres opérations");
    // When the hour is over, each kind that was tried again is one more event.
    portal.move_clock("61 minutes").await;
    upkeep::sweep(&portal.pool).await.unwrap();
    let told = portal.details_of("ACT_REFUSED").await;
    assert_eq!(told.len(), 18, "{told:#?}");
    assert_eq!(told[9], format!("499 autres tentatives\u{a0}: {route}"));
    assert!(told[10].starts_with("1 autre tentative\u{a0}: /utilisateurs-techniques/{id}/"), "{told:#?}");
    assert_eq!(portal.count("refused_acts").await, 0);
    assert_eq!(portal.count("audit_events").await, before + 18);
    let largest = "SELECT max(octet_length(e::text))::bigint FROM audit_events e WHERE action = 'ACT_REFUSED'";
    assert!(portal.number(largest, &[]).await < 300);
    // A new hour begins with an event at once, whether or not the old one was swept.
    let browser = portal.signed_in(&member).await;
    browser.post(&long, &[]).await.refusal(404);
    browser.post(&long, &[]).await.refusal(404);
    portal.move_clock("130 minutes").await;
    portal.signed_in(&member).await.post(&long, &[]).await.refusal(404);
    let told = portal.details_of("ACT_REFUSED").await;
    let again = format!("1 autre tentative\u{a0}: {route}");
    assert_eq!(told[18..], [route, &again, route], "{told:#?}");
}
