//! Acts on several structures or accounts: one form, one result, and passwords that are exported
//! and never shown.

use raccord::domain::{
    age::Recipient, password::is_well_formed, random::os_rng, role::Role, technical_user::TechnicalUserStatus,
};

use crate::common::{AgeIdentity, Answer, Browser, Page, Person, Structure, TestPortal, text_of_pdf, together};

const ACCOUNTS: &str = "/activites/utilisateurs-techniques/choix";
const STRUCTURES: &str = "/activites/choix";

/// The page that confirms creations in these structures.
fn creations(structures: &[Structure]) -> String {
    let chosen: Vec<String> = structures.iter().map(|structure| format!("&structure-{}=oui", structure.id)).collect();
    format!("{STRUCTURES}?portee=coches{}", chosen.concat())
}

/// The page that confirms an act on these accounts.
fn acts(act: &str, accounts: &[i64]) -> String {
    let chosen: Vec<String> = accounts.iter().map(|account| format!("&compte-{account}=oui")).collect();
    format!("{ACCOUNTS}?acte={act}{}", chosen.concat())
}

/// Confirms what the page at `url` asks, and returns the path of the batch.
async fn confirm(browser: &Browser, url: &str, typed: &[(&str, &str)]) -> String {
    let page = browser.open(url).await;
    browser.submit(&page, "/lots", typed).await.location()
}

/// Creates an account in each structure by a batch that is carried out; the batch's path.
async fn created(portal: &TestPortal, browser: &Browser, structures: &[Structure]) -> String {
    let batch = confirm(browser, &creations(structures), &[("libelle", "ERP")]).await;
    portal.carry_out_batches().await;
    batch
}

async fn csv(browser: &Browser, batch: &str) -> Answer {
    browser.post(&format!("{batch}/logiciel"), &[]).await
}

/// Login and password of each line of the file.
fn credentials(csv: &Answer) -> Vec<(String, String)> {
    assert_eq!(csv.status, 200, "{}", csv.body_text());
    credentials_in(&csv.body)
}

fn credentials_in(csv: &[u8]) -> Vec<(String, String)> {
    let mut reader = csv::ReaderBuilder::new().delimiter(b';').from_reader(csv);
    reader.records().map(|line| line.expect("a line")).map(|line| (line[4].to_owned(), line[5].to_owned())).collect()
}

/// The rows that a list shows as chosen.
fn ticked(list: &Page, kind: &str) -> Vec<i64> {
    let name = format!("name=\"{kind}-");
    let boxes = list.html().split(&name).skip(1).filter_map(|rest| rest.split('>').next());
    let ticked = boxes.filter(|tag| tag.split_whitespace().any(|word| word == "checked"));
    ticked.map(|tag| tag.split('"').next().and_then(|id| id.parse().ok()).expect("a box's row")).collect()
}

fn ticked_boxes(list: &Page) -> usize {
    ticked(list, "compte").len()
}

/// What the form of a list sends from one page to another by this button, with these boxes ticked.
fn sent(list: &Page, kind: &str, ticked: &[i64], (button, value): (&str, &str)) -> String {
    let boxes: Vec<String> = ticked.iter().map(|id| format!("&{kind}-{id}=oui")).collect();
    let carried = if list.html().contains("name=\"choisis\"") { list.field("choisis") } else { String::new() };
    let from = list.field("depuis");
    format!("choix=oui&depuis={from}&choisis={carried}{}&{button}={value}", boxes.concat())
}

async fn managed(portal: &TestPortal, count: usize) -> (Person, Vec<Structure>, Browser) {
    let (manager, structures) = portal.manager_with_structures("Camille", count).await;
    let browser = portal.signed_in(&manager).await;
    (manager, structures, browser)
}

#[tokio::test]
async fn one_form_creates_an_account_in_each_structure_and_shows_no_password() {
    let portal = TestPortal::start().await;
    let (manager, structures, browser) = managed(&portal, 5).await;
    let check = browser.open(&creations(&structures)).await;
    assert_eq!(check.heading(), "Créer un utilisateur technique dans 5 structures");
    let batch = browser.submit(&check, "/lots", &[("libelle", "ERP")]).await.location();
    browser.open(&batch).await.assert_says("0 sur 5 traités.");
    portal.carry_out_batches().await;
    let page = browser.open(&batch).await;
    assert_eq!(page.heading(), "Récapitulatif groupé");
    page.assert_says("5 utilisateurs techniques créés.");
    assert!(!page.html().contains("rcd_"));
    let summary = format!("/utilisateurs-techniques/{}/recapitulatif", portal.account_ids().await[0]);
    assert!(browser.open(&summary).await.password().is_none(), "nor elsewhere");
    assert_eq!(portal.events_of("TECHNICAL_USER_CREATED").await, 5);
    assert_eq!(
        (portal.mails_of("technical_user_created").await.len(), portal.mails_of("batch_finished").await.len()),
        (0, 1)
    );
    assert_eq!(portal.mails_of("batch_finished").await[0].recipient, manager.contact_address);

    let file = csv(&browser, &batch).await;
    assert!(file.body.starts_with("\u{feff}".as_bytes()));
    assert_eq!(file.header("cache-control"), Some("no-store"));
    let program = portal.program();
    let credentials = credentials(&file);
    assert_eq!(credentials.len(), 5);
    for (login, password) in &credentials {
        assert!(is_well_formed(password));
        assert_eq!(program.health_check(login, password).await, 200, "{login}");
    }
    let state = async || {
        browser.open(&format!("/utilisateurs-techniques/{}", portal.account_ids().await[0])).await.fact("État")
    };
    let exported = state().await;
    assert!(exported.starts_with("Exporté le") && exported.ends_with("sans être affiché"), "{exported}");
    let pdf = browser.post(&format!("{batch}/fiches"), &[]).await;
    assert_eq!(state().await, exported, "nor by another export");
    assert!(pdf.body.starts_with(b"%PDF-1.7"));
    if let Some(text) = text_of_pdf(&pdf.body) {
        assert!(credentials.iter().all(|(_, password)| text.split_whitespace().any(|word| word == password)));
    }
    let exports = portal.audit_events_of("PASSWORD_EXPORTED").await;
    assert_eq!(exports.len(), 5 + 1, "one an account, then one for all");
    let said = |form: &str| exports.iter().filter(|event| event.detail.contains(form)).count();
    assert_eq!(
        (said(", fichier (CSV)"), said(", fiches (PDF)")),
        (5, 1),
        "the history says what they were exported to"
    );
}

#[tokio::test]
async fn nothing_stored_gives_a_password_of_a_batch() {
    let portal = TestPortal::start().await;
    let (_, structures, browser) = managed(&portal, 4).await;
    let batch = created(&portal, &browser, &structures).await;
    let before = portal.all_contents().await;
    let credentials = credentials(&csv(&browser, &batch).await);
    let cookies = browser.cookies();
    for stored in [before, portal.all_contents().await].concat() {
        for (_, password) in &credentials {
            assert!(!stored.contains(password.as_str()) && !stored.contains(&password[8..20]));
        }
        assert!(cookies.values().all(|cookie| cookie.len() < 10 || !stored.contains(cookie.as_str())));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_form_that_is_sent_fifty_times_is_one_batch() {
    let portal = TestPortal::start().await;
    let (_, structures, browser) = managed(&portal, 3).await;
    let check = browser.open(&creations(&structures)).await;
    let batches = together(50, |_| {
        let (browser, check) = (browser.clone(), check.html().to_owned());
        async move {
            let check = Page::new(check);
            browser.submit(&check, "/lots", &[("libelle", "ERP")]).await.location()
        }
    })
    .await;
    assert!(batches.iter().all(|batch| *batch == batches[0]), "{batches:?}");
    tokio::join!(portal.carry_out_batches(), portal.carry_out_batches(), portal.carry_out_batches());
    assert_eq!((portal.count("batches").await, portal.count("technical_users").await), (1, 3));
    assert_eq!(portal.events_of("TECHNICAL_USER_CREATED").await, 3);
    // After its end, too, and with another selection it is refused.
    assert_eq!(browser.submit(&check, "/lots", &[("libelle", "ERP")]).await.location(), batches[0]);
    browser.submit(&check, "/lots", &[("libelle", "Paie")]).await.refusal(409);
}

#[tokio::test]
async fn what_cannot_be_done_is_said_before_and_after() {
    let portal = TestPortal::start().await;
    let (manager, structures, browser) = managed(&portal, 4).await;
    portal.set_active(structures[0].id, false).await;
    portal.many_accounts(&structures[1], &manager, 5).await;
    let check = browser.open(&creations(&structures)).await;
    assert_eq!(check.heading(), "Créer un utilisateur technique dans 2 structures");
    check.assert_says("La structure est inactive.");
    check.assert_says("La structure a déjà le nombre maximal d’utilisateurs techniques.");
    // Meanwhile, the label is taken in one, and the other is no longer the manager's.
    portal.create_account(&browser, structures[2].id, "ERP").await;
    let successor = portal.person("Bruno").await;
    portal.attach(&successor, &structures[3], Role::PrincipalManager).await;
    let batch = browser.submit(&check, "/lots", &[("libelle", "erp")]).await.location();
    portal.carry_out_batches().await;
    let page = browser.open(&batch).await;
    page.assert_says("Un utilisateur technique de la structure porte déjà ce libellé.");
    assert_eq!(page.rows().len(), 1, "what is another person's was left out");
    assert_eq!(portal.count("technical_users").await, 6);
}

#[tokio::test]
async fn a_selection_of_nothing_or_of_strangers_accounts_leads_to_no_batch() {
    let portal = TestPortal::start().await;
    let (_, structures, browser) = managed(&portal, 2).await;
    browser
        .get(&creations(&[]))
        .await
        .refusal(422)
        .assert_says("Cochez au moins une ligne, ou choisissez toute la liste.");
    let (other, others) = portal.manager_with_structures("Dominique", 1).await;
    let foreign = portal.create_account(&portal.signed_in(&other).await, others[0].id, "ERP").await;
    let token = "jeton-du-formulaire-de-lot";
    let send = |act: &str, chosen: String| {
        let (browser, act) = (browser.clone(), act.to_owned());
        async move {
            browser.post("/lots", &[("acte", &act), ("jeton", token), ("choisis", &chosen), ("ancien", "0")]).await
        }
    };
    send("RESET", format!("{foreign}.1")).await.refusal(404);
    for (act, chosen) in [("RESET", "x"), ("RESET", ""), ("RESET", "1"), ("CREATE", "1.1"), ("DELETE", "1.1")] {
        send(act, chosen.to_owned()).await.refusal(422);
    }
    send("SUSPEND", "1.1 ".repeat(1_001)).await.refusal(422);
    let batch = created(&portal, &browser, &structures).await;
    for url in [acts("RESET", &[]), acts("SUSPEND", &[foreign])] {
        let list = browser.get(&url).await.refusal(422);
        assert_eq!(list.heading(), "Utilisateurs techniques");
        list.assert_says("Cochez au moins une ligne, ou choisissez toute la liste.");
        assert!(!list.html().contains("name=\"choisis\""), "another manager's account counts for nothing");
    }
    portal.signed_in(&other).await.get(&batch).await.refusal(404);
    portal.signed_in(&other).await.post(&format!("{batch}/fermeture"), &[]).await.refusal(404);
    csv(&portal.signed_in(&other).await, &batch).await.refusal(404);
    assert_eq!(portal.version_of(foreign).await, 1);
}

#[tokio::test]
async fn resets_keep_old_passwords_as_long_as_the_form_says() {
    let portal = TestPortal::start().await;
    let (_, structures, browser) = managed(&portal, 3).await;
    let batch = created(&portal, &browser, &structures).await;
    let old = credentials(&csv(&browser, &batch).await);
    let accounts = portal.account_ids().await;
    portal.set_last_call(accounts[0], "-3 hours").await;
    let check = browser.open(&acts("RESET", &accounts)).await;
    check.assert_says(
        "Un de ces utilisateurs techniques a servi ces dernières 24\u{a0}heures (logiciel «\u{202f}ERP\u{202f}»). \
         Ce logiciel devra recevoir le nouveau mot de passe.",
    );
    portal.set_last_call(accounts[1], "-2 hours").await;
    let check = browser.open(&acts("RESET", &accounts)).await;
    check.assert_says(
        "2 de ces utilisateurs techniques ont servi ces dernières 24\u{a0}heures (logiciel «\u{202f}ERP\u{202f}»).",
    );
    let refused = browser.submit(&check, "/lots", &[]).await.refusal(422);
    refused.assert_says("Choisissez ce que deviennent les anciens mots de passe.");
    // One is reset by hand meanwhile.
    let reset = format!("/utilisateurs-techniques/{}/mot-de-passe", accounts[2]);
    let form = browser.open(&reset).await;
    browser.submit(&form, &reset, &[("ancien", "0")]).await.location();
    let batch = browser.submit(&refused, "/lots", &[("ancien", "168")]).await.location();
    portal.carry_out_batches().await;
    let page = browser.open(&batch).await;
    page.assert_says("2 mots de passe réinitialisés. 1 ligne sans effet.");
    page.assert_says("Le mot de passe a été réinitialisé entre-temps.");
    let program = portal.program();
    for (login, password) in credentials(&csv(&browser, &batch).await).iter().chain(&old[..2]) {
        assert_eq!(program.health_check(login, password).await, 200, "{login}");
    }
    assert_eq!(portal.version_of(accounts[2]).await, 2);
}

#[tokio::test]
async fn accounts_are_suspended_and_taken_back_together() {
    let portal = TestPortal::start().await;
    let (_, structures, browser) = managed(&portal, 3).await;
    created(&portal, &browser, &structures).await;
    let accounts = portal.account_ids().await;
    portal.set_status(accounts[0], TechnicalUserStatus::Suspended).await;
    let check = browser.open(&acts("SUSPEND", &accounts)).await;
    assert_eq!(check.heading(), "Suspendre 2 utilisateurs techniques");
    browser.submit(&check, "/lots", &[]).await.location();
    portal.carry_out_batches().await;
    assert_eq!(portal.count_with_status(TechnicalUserStatus::Suspended).await, 3);
    let suspensions = portal.audit_events_of("TECHNICAL_USER_SUSPENDED").await;
    assert!(suspensions.len() == 2 && suspensions.iter().all(|event| event.detail == "lot n°\u{a0}2"));
    let all = format!("{ACCOUNTS}?acte=REACTIVATE&portee=tous&etat=suspendu");
    let batch = confirm(&browser, &all, &[]).await;
    portal.carry_out_batches().await;
    assert_eq!(browser.open(&batch).await.heading(), "Lot terminé");
    assert_eq!(portal.count_with_status(TechnicalUserStatus::Active).await, 3);
}

#[tokio::test]
async fn the_files_are_of_one_session_and_of_ten_minutes() {
    let mut portal = TestPortal::start().await;
    let (manager, structures, browser) = managed(&portal, 2).await;
    let batch = created(&portal, &browser, &structures).await;
    csv(&portal.signed_in(&manager).await, &batch).await.refusal(409);
    portal.move_clock("20 minutes").await;
    browser.open("/activites").await.assert_says("2 mots de passe d’un lot peuvent être exportés");
    // Whoever finds the session open cannot export them.
    let asked = csv(&browser, &batch).await.refusal(403);
    asked.assert_says("le fichier sera téléchargé aussitôt. Revenez ensuite à la page du lot.");
    assert_eq!(asked.link("Retour au lot"), batch);
    portal.age_authentications("1 minute").await;
    assert_eq!(credentials(&csv(&browser, &batch).await).len(), 2);
    portal.move_clock("28 minutes").await;
    portal.age_authentications("1 minute").await;
    assert_eq!(credentials(&csv(&browser, &batch).await).len(), 2);
    portal.move_clock("31 minutes").await;
    portal.age_authentications("1 minute").await;
    let over = csv(&browser, &batch).await.refusal(409);
    over.assert_says("Les mots de passe de ce lot ne peuvent plus être exportés");
    let reset = browser.open(&over.link("Réinitialiser ces 2 mots de passe")).await;
    assert_eq!(reset.heading(), "Réinitialiser 2 mots de passe");
}

#[tokio::test]
async fn the_file_for_an_integrator_s_key_is_opened_by_that_key_alone() {
    let portal = TestPortal::start().await;
    let (_, structures, browser) = managed(&portal, 3).await;
    let batch = created(&portal, &browser, &structures).await;
    let (integrator, stranger) = (AgeIdentity::generate(), AgeIdentity::generate());
    let encrypted = format!("{batch}/logiciel-chiffre");
    for (key, said) in [
        ("", "Collez la clé publique de l’intégrateur."),
        ("ssh-ed25519 AAAAC3Nz", "Ce n’est pas une clé publique age."),
        (&integrator.recipient[..50], "Cette clé est incomplète ou mal recopiée."),
    ] {
        let refused = browser.post(&encrypted, &[("cle", key)]).await.refusal(422);
        refused.assert_says(said);
        assert_eq!(refused.field("cle"), key);
    }
    let private = "AGE-SECRET-KEY-1GFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPQ4EGAEX";
    let refused = browser.post(&encrypted, &[("cle", private)]).await.refusal(422);
    refused.assert_says("C’est une clé privée");
    assert!(!refused.html().contains("GFPYY"));
    assert_eq!(portal.events_of("PASSWORD_EXPORTED").await, 0, "a wrong key opens nothing");

    let answer = browser.post(&encrypted, &[("cle", &format!(" {}\n", integrator.recipient))]).await;
    assert_eq!(answer.status, 200);
    assert!(answer.header("content-disposition").is_some_and(|name| name.ends_with(".csv.age\"")));
    let opened = credentials_in(&integrator.decrypt(&answer.body).unwrap());
    assert_eq!(opened, credentials(&csv(&browser, &batch).await));
    stranger.decrypt(&answer.body).unwrap_err();
    let events = portal.audit_events_of("PASSWORD_EXPORTED").await;
    let named = events
        .iter()
        .filter(|event| event.detail.contains(&format!(", fichier chiffré pour {}", integrator.recipient)));
    assert_eq!(named.count(), 3, "the history says for whom");
}

#[test]
fn age_opens_files_of_every_length_and_no_other_bytes() {
    let identity = AgeIdentity::generate();
    let recipient = Recipient::parse(&identity.recipient).unwrap();
    // A payload has parts of 65,536 bytes.
    for length in [0, 1, 65_535, 65_536, 65_537, 3 * 65_536, 3 * 65_536 + 7] {
        let text: Vec<u8> = (0_u8..251).cycle().take(length).collect();
        let mut file = recipient.encrypt(&text, &mut os_rng());
        assert_eq!(identity.decrypt(&file).as_deref(), Ok(text.as_slice()), "{length}");
        *file.last_mut().unwrap() ^= 1;
        identity.decrypt(&file).unwrap_err();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nobody_s_sign_in_waits_behind_documents_of_many_sheets() {
    let portal = TestPortal::start().await;
    let (_, structures, browser) = managed(&portal, 60).await;
    let batch = created(&portal, &browser, &structures).await;
    let other = portal.person("Dominique").await;
    let path = format!("{batch}/fiches");
    let exports = (0..2).map(|_| {
        let (browser, path) = (browser.clone(), path.clone());
        tokio::spawn(async move { browser.post(&path, &[]).await.status })
    });
    let mut exports: Vec<_> = exports.collect();
    tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    portal.signed_in(&other).await;
    assert!(exports.iter().all(|export| !export.is_finished()), "the sign-in was served at once");
    for export in exports.drain(..) {
        assert_eq!(export.await.unwrap(), 200);
    }
}

#[tokio::test]
async fn sign_out_and_the_end_of_the_page_destroy_the_envelopes() {
    let portal = TestPortal::start().await;
    let (manager, structures, browser) = managed(&portal, 2).await;
    let batch = created(&portal, &browser, &structures).await;
    browser.post(&format!("{batch}/fermeture"), &[]).await.location();
    assert_eq!(portal.count("envelopes").await, 0);
    let accounts = portal.account_ids().await;
    confirm(&browser, &acts("RESET", &accounts), &[("ancien", "0")]).await;
    portal.carry_out_batches().await;
    assert_eq!(portal.count("envelopes").await, 2);
    browser.post("/deconnexion", &[]).await.location();
    assert_eq!(portal.count("envelopes").await, 0);
    drop(manager);
}

#[tokio::test]
async fn a_session_that_ends_stops_its_batch_where_it_is() {
    let portal = TestPortal::start().await;
    let (_, structures, browser) = managed(&portal, 30).await;
    confirm(&browser, &creations(&structures), &[]).await;
    // Twenty items are one turn.
    raccord::server::batch_worker::take_a_turn(&portal.state()).await;
    assert_eq!(portal.count("technical_users").await, 20);
    browser.post("/deconnexion", &[]).await.location();
    portal.carry_out_batches().await;
    assert_eq!(portal.count("technical_users").await, 20, "no password is made that nobody can see");
    let refused = "SELECT count(*) FROM batch_items WHERE refusal = 'SESSION_ENDED'";
    assert_eq!(portal.number(refused, &[]).await, 10);
    assert_eq!(portal.mails_of("batch_finished").await.len(), 1);
}

/// Thirty accounts of which a form of this browser suspends all; twenty are, in one turn.
async fn suspended_in_part(portal: &TestPortal, browser: &Browser, structures: &[Structure]) {
    created(portal, browser, structures).await;
    confirm(browser, &format!("{ACCOUNTS}?acte=SUSPEND&portee=tous"), &[]).await;
    raccord::server::batch_worker::take_a_turn(&portal.state()).await;
    assert_eq!(portal.count_with_status(TechnicalUserStatus::Suspended).await, 20);
}

#[tokio::test]
async fn what_a_thief_began_stops_when_the_owner_closes_the_other_sessions() {
    let portal = TestPortal::start().await;
    let (manager, structures, thief) = managed(&portal, 30).await;
    suspended_in_part(&portal, &thief, &structures).await;
    portal.signed_in(&manager).await.post("/mon-compte/sessions/fermeture", &[]).await.location();
    portal.carry_out_batches().await;
    assert_eq!(portal.count_with_status(TechnicalUserStatus::Suspended).await, 20);
}

#[tokio::test]
async fn a_batch_stops_with_its_person_s_access_and_with_a_session_that_is_too_old() {
    for end in [
        "UPDATE users SET disabled_at = portal_now()",
        "UPDATE sessions SET created_at = created_at - interval '13 hours'",
        "UPDATE sessions SET last_seen_at = last_seen_at - interval '31 minutes'",
    ] {
        let portal = TestPortal::start().await;
        let (_, structures, browser) = managed(&portal, 30).await;
        suspended_in_part(&portal, &browser, &structures).await;
        portal.execute(end).await;
        portal.carry_out_batches().await;
        assert_eq!(portal.count_with_status(TechnicalUserStatus::Suspended).await, 20, "{end}");
    }
}

#[tokio::test]
async fn a_form_that_names_an_account_twice_begins_nothing() {
    let portal = TestPortal::start().await;
    let (_, structures, browser) = managed(&portal, 1).await;
    created(&portal, &browser, &structures).await;
    let account = portal.account_ids().await[0];
    let page = browser.open(&acts("SUSPEND", &[account])).await;
    let batches = portal.count("batches").await;
    browser.submit(&page, "/lots", &[("choisis", &format!("{account}.1 {account}.2"))]).await.refusal(404);
    assert_eq!(portal.count("batches").await, batches);
}

/// Otherwise whoever holds a session could use up the mails about batches first.
#[tokio::test]
async fn batches_of_nothing_are_not_mailed_and_hide_none_that_does_something() {
    let portal = TestPortal::start().await;
    let (_, structures, browser) = managed(&portal, 2).await;
    created(&portal, &browser, &structures).await;
    let accounts = portal.account_ids().await;
    portal.set_status(accounts[0], TechnicalUserStatus::Suspended).await;
    let page = browser.open(&acts("REACTIVATE", &accounts[..1])).await;
    browser.submit(&page, "/lots", &[]).await.location();
    portal.carry_out_batches().await;
    let before = portal.mails_of("batch_finished").await.len();
    for number in 0..12 {
        // An account that is active already.
        let token = format!("{number:02}{}", &page.field("jeton")[2..]);
        browser.submit(&page, "/lots", &[("jeton", &token)]).await.location();
        portal.carry_out_batches().await;
    }
    assert_eq!(portal.mails_of("batch_finished").await.len(), before);
    confirm(&browser, &acts("RESET", &accounts), &[("ancien", "0")]).await;
    portal.carry_out_batches().await;
    assert_eq!(portal.mails_of("batch_finished").await.len(), before + 1);
}

#[tokio::test]
async fn a_confirmed_identity_in_the_middle_loses_no_password() {
    let portal = TestPortal::start().await;
    let (manager, structures, browser) = managed(&portal, 30).await;
    let batch = confirm(&browser, &creations(&structures), &[]).await;
    raccord::server::batch_worker::take_a_turn(&portal.state()).await;
    portal.age_authentications("20 minutes").await;
    let calendar = browser.post("/activites/echeances", &[]).await.refusal(403);
    let confirmed = [("confirmation-mot-de-passe", crate::common::PASSWORD)];
    browser.submit(&calendar, "/confirmation-identite", &confirmed).await;
    portal.carry_out_batches().await;
    let credentials = credentials(&csv(&browser, &batch).await);
    assert_eq!(credentials.len(), 30, "those before and after the session's new id");
    for (login, password) in &credentials[18..22] {
        assert_eq!(portal.program().health_check(login, password).await, 200);
    }
    drop(manager);
}

#[tokio::test]
async fn one_batch_at_a_time_and_others_have_their_turn() {
    let portal = TestPortal::start().await;
    let (_, structures, browser) = managed(&portal, 25).await;
    let first = confirm(&browser, &creations(&structures), &[]).await;
    let second = confirm(&browser, &creations(&structures[..1]), &[("libelle", "Paie")]).await;
    assert!(second.starts_with(&first) && second.contains("avis=batch-under-way"), "{second}");
    let (other, others) = portal.manager_with_structures("Dominique", 1).await;
    confirm(&portal.signed_in(&other).await, &creations(&others), &[]).await;
    raccord::server::batch_worker::take_a_turn(&portal.state()).await;
    raccord::server::batch_worker::take_a_turn(&portal.state()).await;
    assert_eq!(portal.count("technical_users").await, 20 + 1, "the second manager does not wait for the first's end");
    portal.carry_out_batches().await;
    assert_eq!(portal.count("technical_users").await, 25 + 1);
}

#[tokio::test]
async fn a_list_chooses_its_page_or_all_that_it_finds() {
    let portal = TestPortal::start().await;
    let (manager, structures, browser) = managed(&portal, 1).await;
    portal.many_accounts(&structures[0], &manager, 110).await;
    let list = "/activites/utilisateurs-techniques";
    assert!(!browser.open(list).await.html().contains("name=\"compte-"), "no boxes where none are asked for");
    let page = browser.open(&browser.open(list).await.link("Agir sur plusieurs utilisateurs techniques")).await;
    assert_eq!(page.html().matches("name=\"compte-").count(), 100);
    assert_eq!(ticked_boxes(&page), 0);
    let all = browser.open(&format!("{ACCOUNTS}?acte=RESET&portee=tous")).await;
    assert_eq!(all.heading(), "Réinitialiser 110 mots de passe");
    assert!(all.text().contains("et 60 autres"));
    // Back from there, all are chosen again; a list of one page is narrowed by its boxes.
    let back = browser.open(&all.link("Sélection")).await;
    assert_eq!((ticked_boxes(&back), back.field("portee").as_str()), (100, "tous"));
    let found = browser.open(&format!("{list}?recherche=TECH_11&choix=tous")).await;
    assert_eq!(ticked_boxes(&found), 2);
    assert!(!found.html().contains("name=\"portee\""));
}

#[tokio::test]
async fn what_is_ticked_on_one_page_is_kept_on_the_others() {
    let portal = TestPortal::start().await;
    let (manager, structures, browser) = managed(&portal, 1).await;
    portal.many_accounts(&structures[0], &manager, 250).await;
    let list = "/activites/utilisateurs-techniques?tri=structure";
    let first = browser.open(&format!("{list}&choix=oui")).await;
    assert!(first.buttons().contains(&"Page suivante".to_owned()));
    let ids = ticked(&browser.open(&format!("{list}&choix=page")).await, "compte");
    let three = [ids[0], ids[7], ids[99]];
    let second = browser.open(&format!("{list}&{}", sent(&first, "compte", &three, ("page", "2")))).await;
    second.assert_says("3 utilisateurs techniques choisis ·");
    assert_eq!(ticked_boxes(&second), 0, "nothing that nobody ticked");
    let second = browser.open(&format!("{list}&{}", sent(&second, "compte", &[], ("cocher", "2")))).await;
    second.assert_says("103 utilisateurs techniques choisis ·");
    let ticked_there = ticked(&second, "compte");
    assert_eq!((ticked_there.len(), ticked_there.contains(&ids[0])), (100, false));
    let third = browser.open(&format!("{list}&{}", sent(&second, "compte", &ticked_there[1..], ("page", "3")))).await;
    third.assert_says("102 utilisateurs techniques choisis ·");
    let again = browser.open(&format!("{list}&{}", sent(&third, "compte", &[], ("page", "1")))).await;
    assert_eq!(ticked(&again, "compte"), three);
    assert!(again.field("choisis").len() < 300, "{}", again.field("choisis"));
    let none = browser.open(&again.link("Tout décocher")).await;
    assert!(ticked(&none, "compte").is_empty() && !none.html().contains("name=\"choisis\""));

    let chosen = sent(&again, "compte", &three[..2], ("acte", "SUSPEND"));
    let check = browser.open(&format!("{ACCOUNTS}?tri=structure&{chosen}")).await;
    assert_eq!(check.heading(), "Suspendre 101 utilisateurs techniques");
    browser.submit(&check, "/lots", &[]).await.location();
    portal.carry_out_batches().await;
    assert_eq!(portal.count_with_status(TechnicalUserStatus::Suspended).await, 101);
}

#[tokio::test]
async fn the_way_back_from_a_confirmation_leads_to_the_same_rows() {
    let portal = TestPortal::start().await;
    let (_, structures, browser) = managed(&portal, 4).await;
    let chosen = creations(&structures[1..3]).replace("portee=coches", "recherche=commune&choix=oui&depuis=1");
    let check = browser.open(&chosen).await;
    let refused = browser.submit(&check, "/lots", &[("libelle", &"x".repeat(200))]).await.refusal(422);
    for page in [&check, &refused] {
        assert_eq!(page.link("Sélection"), page.link("Annuler"));
        let list = browser.open(&page.link("Annuler")).await;
        assert_eq!(ticked(&list, "structure"), [structures[1].id, structures[2].id]);
        assert_eq!(list.field("recherche"), "commune");
        list.assert_says("2 structures choisies ·");
    }
    portal.set_active(structures[0].id, false).await;
    let nothing = browser.open(&creations(&structures[..1])).await;
    assert_eq!(nothing.heading(), "Rien à faire pour cette sélection");
    let list = browser.open(&nothing.link("Revenir à la sélection")).await;
    assert_eq!(ticked(&list, "structure"), [structures[0].id]);
}

#[tokio::test]
async fn the_act_is_asked_for_unless_the_filter_calls_for_one() {
    let portal = TestPortal::start().await;
    let (_, structures, browser) = managed(&portal, 2).await;
    created(&portal, &browser, &structures).await;
    let accounts = portal.account_ids().await;
    portal.set_status(accounts[0], TechnicalUserStatus::Suspended).await;
    portal.expire_in(accounts[1], "20 days").await;
    for (filter, act) in [("", ""), ("suspendu", "REACTIVATE"), ("a-renouveler", "RESET")] {
        let list = browser.open(&format!("/activites/utilisateurs-techniques?choix=oui&etat={filter}")).await;
        assert!(list.html().contains(&format!("<option value=\"{act}\" selected>")), "{filter}");
    }
    for act in ["", "DELETE", "CREATE"] {
        let list = browser.get(&acts(act, &accounts[..1])).await.refusal(422);
        list.assert_says("Choisissez une action.");
        assert_eq!(ticked(&list, "compte"), accounts[..1], "{act}");
    }
    let back = browser.open(&browser.open(&acts("SUSPEND", &accounts[1..])).await.link("Annuler")).await;
    assert!(back.html().contains("<option value=\"SUSPEND\" selected>"));
}

#[tokio::test]
async fn the_button_says_what_it_does() {
    let portal = TestPortal::start().await;
    let (_, structures, browser) = managed(&portal, 3).await;
    for (count, words) in [(1, "Créer un utilisateur technique"), (3, "Créer 3 utilisateurs techniques")] {
        let check = browser.open(&creations(&structures[..count])).await;
        assert!(check.buttons().contains(&words.to_owned()), "{:?}", check.buttons());
    }
    created(&portal, &browser, &structures).await;
    let accounts = portal.account_ids().await;
    let reset = browser.open(&acts("RESET", &accounts)).await;
    assert!(reset.buttons().contains(&"Réinitialiser 3 mots de passe".to_owned()), "{:?}", reset.buttons());
    let suspended = browser.open(&acts("SUSPEND", &accounts[..1])).await;
    assert!(suspended.buttons().contains(&"Suspendre 1 utilisateur technique".to_owned()), "{:?}", suspended.buttons());
}

#[tokio::test]
async fn one_reminder_of_many_passwords_leads_to_all_of_them_chosen() {
    let portal = TestPortal::start().await;
    let (_, structures, browser) = managed(&portal, 12).await;
    created(&portal, &browser, &structures).await;
    for account in portal.account_ids().await {
        portal.expire_in(account, "59 days").await;
    }
    portal.execute("UPDATE technical_users SET password_set_at = password_set_at - interval '1 year'").await;
    raccord::db::technical_users::reminders::remind(&portal.pool).await.expect("reminders");
    assert_eq!(portal.mails_of("passwords_expiring").await.len(), 1);
    let mails = portal.send_mails().await;
    let mail = mails.iter().find(|mail| mail.contains("12 mots de passe expirent")).expect("the reminder");
    assert!(mail.contains("etat=3Da-renouveler") || mail.contains("?etat=a-renouveler&choix=tous"), "{mail}");
    let list = browser.open("/activites/utilisateurs-techniques?etat=a-renouveler&choix=tous").await;
    assert_eq!(ticked_boxes(&list), 12);
}

#[tokio::test]
async fn one_link_hands_a_whole_batch_over() {
    let portal = TestPortal::start().await;
    let (_, structures, browser) = managed(&portal, 3).await;
    let batch = created(&portal, &browser, &structures).await;
    let head = csv(&browser, &batch).await.body_text().lines().next().map(ToOwned::to_owned);
    let action = format!("{batch}/remise");
    let form = browser.open(&action).await;
    browser.submit(&form, &action, &[]).await.refusal(422).assert_says("destinataire");
    let typed = [("destinataire", "Zoé Petit, société Exemple")];
    let made = browser.submit(&form, &action, &typed).await.page();
    let link = made.by_id("output", "lien").expect("the link");
    assert_eq!(browser.submit(&form, &action, &typed).await.page().by_id("output", "lien").as_ref(), Some(&link));
    assert_eq!(portal.count("envelopes").await, 0);
    csv(&browser, &batch).await.refusal(409);
    assert_eq!(portal.events_of("HANDOVER_MADE").await, 3);

    let told = browser.open(&batch).await;
    told.assert_says("à Zoé Petit, société Exemple\u{a0}: pas encore ouvert, valable jusqu’au");
    assert!(!told.text().contains("ne peuvent plus être exportés"), "{}", told.text());
    let revocation = browser.open(&told.link("Révoquer le lien")).await;
    revocation.assert_says("Le lien remis à Zoé Petit, société Exemple, n’ouvrira plus aucun de ses 3 comptes.");

    let integrator = portal.browser();
    let path = link[link.find("/remise/").expect("the path")..].to_owned();
    let opened = integrator.submit(&integrator.open(&path).await, &path, &[]).await.page();
    let file = integrator.submit(&opened, "/remise/export/csv", &[]).await;
    assert_eq!(file.body_text().lines().next(), head.as_deref(), "one format, by whichever way");
    let sheets = integrator.submit(&opened, "/remise/export/pdf", &[]).await;
    assert!(sheets.body.starts_with(b"%PDF-1.7"), "{}", sheets.status);
    if let Some(text) = text_of_pdf(&sheets.body) {
        assert!(structures.iter().all(|structure| text.contains(&structure.designation)));
    }
    for account in portal.account_ids().await {
        let page = browser.open(&format!("/utilisateurs-techniques/{account}")).await;
        assert!(page.text().contains("Zoé Petit"), "who knows the password");
    }
    let told = browser.open(&batch).await;
    told.assert_says("à Zoé Petit, société Exemple\u{a0}: ouvert le");
    assert!(!told.text().contains("Révoquer") && !told.text().contains("Suivi sans effet"), "{}", told.text());
    integrator.post(&path, &[]).await.refusal(410);
    browser.open(&batch).await.assert_says("Suivi sans effet une fois, le");
    // What to do then: those passwords, and no others.
    portal.create_account(&browser, structures[0].id, "Ailleurs").await;
    let check = browser.open(&browser.open(&batch).await.link("Réinitialiser ces 3 mots de passe")).await;
    assert_eq!(check.heading(), "Réinitialiser 3 mots de passe");
    browser.submit(&check, "/lots", &[("ancien", "0")]).await.location();
    portal.carry_out_batches().await;
    assert!(!browser.open(&batch).await.text().contains("Réinitialiser ces"), "they are others by now");
}

#[tokio::test]
async fn the_page_of_a_batch_says_what_became_of_its_link() {
    let mut portal = TestPortal::start().await;
    let (manager, structures, browser) = managed(&portal, 2).await;
    let typed = [("destinataire", "Karim, Éditeur Sud"), ("duree", "1")];
    let batch = created(&portal, &browser, &structures).await;
    let action = format!("{batch}/remise");
    browser.submit(&browser.open(&action).await, &action, &typed).await.page();
    let revocation = browser.open(&batch).await.link("Révoquer le lien");
    let confirmation = browser.open(&revocation).await;
    browser.submit(&confirmation, &revocation, &[]).await.location();
    browser.open(&batch).await.assert_says("à Karim, Éditeur Sud\u{a0}: lien révoqué, jamais ouvert.");

    confirm(&browser, &acts("RESET", &portal.account_ids().await), &[("ancien", "0")]).await;
    portal.carry_out_batches().await;
    let batch = format!("/lots/{}", portal.number("SELECT max(id) FROM batches", &[]).await);
    let action = format!("{batch}/remise");
    browser.submit(&browser.open(&action).await, &action, &typed).await.page();
    portal.move_clock("25 hours").await;
    let page = portal.signed_in(&manager).await.open(&batch).await;
    page.assert_says("à Karim, Éditeur Sud\u{a0}: lien expiré le");
    page.assert_says("Réinitialiser ces 2 mots de passe");
}
