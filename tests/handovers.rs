//! « Remettre à un intégrateur »: a link that shows a password once, to another person.

use axum::http::Method;
use raccord::{
    db::technical_users::handovers::creation::{self, HandoverError, NewHandover},
    domain::{
        audit::Actor,
        envelope::SessionSecret,
        handover::{LinkSecret, Recipient, Term},
        password::is_well_formed,
        random,
        role::Role,
        technical_user::TechnicalUserStatus,
    },
};
use tower_sessions::session::Id;

use crate::common::{
    Answer, Browser, Call, PASSWORD, Page, Person, Structure, TestPortal, pg_dump, text_of_pdf, together,
};

const SHOW: &str = "Afficher les informations de connexion";
const RECIPIENT: &str = "Zoé Petit, société Exemple";
const SHEET: &str = "/remise/export/pdf";
const CSV: &str = "/remise/export/csv";

fn account_page(id: i64) -> String {
    format!("/utilisateurs-techniques/{id}")
}

fn form_of(id: i64) -> String {
    format!("/utilisateurs-techniques/{id}/remise")
}

/// Creates an account whose password is not displayed; the page of the form to hand it over.
async fn create_to_hand_over(portal: &TestPortal, browser: &Browser, structure: i64, label: &str) -> (i64, Page) {
    let form = browser.open(&format!("/structures/{structure}/utilisateurs-techniques/nouveau")).await;
    let action = format!("/structures/{structure}/utilisateurs-techniques");
    let location = browser.submit(&form, &action, &[("libelle", label), ("affichage", "remettre")]).await.location();
    let id = portal.number("SELECT max(id) FROM technical_users", &[]).await;
    assert_eq!(location, form_of(id));
    (id, browser.open(&location).await)
}

/// The path of the link that a page shows to the manager.
fn link_on(page: &Page) -> String {
    let url = page.by_id("output", "lien").unwrap_or_else(|| panic!("no link: {}", page.text()));
    url[url.find("/remise/").expect("a link")..].to_owned()
}

/// A manager who has handed a new password over; the link.
async fn handed_over(portal: &TestPortal, more: &[(&str, &str)]) -> Scene {
    let (manager, structure) = portal.manager().await;
    let browser = portal.signed_in(&manager).await;
    let (account, form) = create_to_hand_over(portal, &browser, structure.id, "ERP").await;
    let made = browser.submit(&form, &form_of(account), &[&[("destinataire", RECIPIENT)], more].concat()).await.page();
    Scene { link: link_on(&made), code: made.by_id("output", "code"), manager, structure, browser, account }
}

struct Scene {
    manager: Person,
    structure: Structure,
    browser: Browser,
    account: i64,
    link: String,
    code: Option<String>,
}

impl Scene {
    async fn page(&self) -> Page {
        self.browser.open(&account_page(self.account)).await
    }

    fn secret(&self) -> &str {
        self.link.trim_start_matches("/remise/")
    }
}

async fn open(portal: &TestPortal, link: &str) -> Answer {
    portal.browser().with_address("203.0.113.5").post(link, &[]).await
}

/// The passwords that a page shows.
fn passwords(answer: &Answer) -> Vec<String> {
    let text = answer.page().html().replace("<wbr>", "").replace("<span class=\"group\">", "").replace("</span>", "");
    let starts = text.match_indices("rcd_").map(|(at, _)| text[at..].chars().take(38).collect::<String>());
    starts.filter(|password| is_well_formed(password)).collect()
}

/// The process ended between the last try and its judgement.
#[tokio::test]
async fn a_link_whose_tries_are_used_up_is_over_with_its_alarm_even_if_none_was_judged() {
    let portal = TestPortal::start().await;
    let scene = handed_over(&portal, &[("code", "oui")]).await;
    portal.execute("UPDATE handovers SET tries = 5").await;
    let code = scene.code.as_deref().unwrap();
    portal.browser().post(&scene.link, &[("code", code)]).await.refusal(410).assert_says("Cinq codes incorrects");
    assert_eq!(portal.mails_of("handover").await.len(), 1, "the page says that the manager was mailed");
    assert_eq!(portal.events_of("HANDOVER_REFUSED").await, 1);
}

#[tokio::test]
async fn an_expiry_is_told_by_the_clock_of_a_territory_too_on_the_page_of_the_link_and_in_its_pdf() {
    let portal = TestPortal::start().await;
    let scene = handed_over(&portal, &[]).await;
    portal.set_postal_code(scene.structure.id, "98714").await;
    portal.set_expiry(scene.account, "2028-01-24 09:00Z").await;
    let there = "oit le 23 janvier 2028 à 23";
    let visitor = portal.browser();
    let opened = visitor.post(&scene.link, &[]).await.page();
    assert!(opened.fact("Échéance du mot de passe").contains(there), "{}", opened.text());
    let pdf = visitor.submit(&opened, SHEET, &[]).await;
    assert!(text_of_pdf(&pdf.body).is_none_or(|text| text.contains("24 janvier 2028, soit le 23 janvier 2028 à 23")));
}

#[tokio::test]
async fn a_password_that_its_manager_never_saw_is_shown_once_to_whoever_has_the_link() {
    let portal = TestPortal::start().await;
    let scene = handed_over(&portal, &[]).await;
    assert_eq!(portal.count("envelopes").await, 0, "the session's envelope is destroyed");
    let waiting = scene.page().await;
    let fact = waiting.fact("Remise");
    assert!(fact.contains(RECIPIENT) && fact.contains("Pas encore ouvert, valable jusqu’au"), "{fact}");
    assert_eq!(waiting.fact("État"), "Remis sans être affiché");
    assert!(waiting.buttons().contains(&"Révoquer le lien".to_owned()));

    // The page says who sends what for which structure, and nothing else.
    let login = portal.login_of(scene.account).await;
    let visitor = portal.browser();
    let page = visitor.type_url(&scene.link).await;
    assert_eq!((page.status.as_u16(), page.header("cache-control")), (200, Some("no-store")));
    assert_eq!(page.header("referrer-policy"), Some("strict-origin"));
    let page = page.page();
    page.assert_says(&scene.manager.full_name);
    page.assert_says(&scene.structure.designation);
    page.assert_says("ERP");
    assert!(!page.html().contains(&login) && !page.html().contains("rcd_") && page.buttons().contains(&SHOW.into()));

    let opened = open(&portal, &scene.link).await;
    assert_eq!(opened.status, 200);
    let shown = passwords(&opened);
    assert!(portal.works(scene.account, &shown[0]).await && opened.page().text().contains(&login));
    assert!(opened.page().html().contains(&crate::common::cpro_account(&login, &shown[0])));
    let fact = scene.page().await.fact("Remise");
    assert!(fact.contains("ouvert le") && fact.contains("203.0.113.5"), "{fact}");
    assert!(scene.page().await.fact("Confidentialité").contains("Connu d’un intégrateur"));
    let mails = portal.mails_of("handover").await;
    assert_eq!((mails.len(), mails[0].recipient.as_str()), (1, scene.manager.contact_address.as_str()));
    assert_eq!(
        (mails[0].notice["event"].as_str(), mails[0].notice["address"].as_str()),
        (Some("opened"), Some("203.0.113.5"))
    );
    assert_eq!(portal.events_of("HANDOVER_MADE").await, 1);
    assert_eq!(portal.audit_events_of("HANDOVER_OPENED").await[0].actor, "porteur du lien de remise");
    assert_eq!(portal.events_of("PASSWORD_SHOWN").await, 0);
}

#[tokio::test]
async fn a_displayed_password_is_handed_over_by_the_page_that_displays_it() {
    let portal = TestPortal::start().await;
    let (manager, structure) = portal.manager().await;
    let browser = portal.signed_in(&manager).await;
    let (id, page, password) = portal.create_and_show(&browser, structure.id, "ERP").await;
    let (url, sheet) = (form_of(id), format!("{}/informations-de-connexion", account_page(id)));
    // Without its nonce, not at all; and nothing is lost by it.
    browser.submit(&page, &url, &[("destinataire", RECIPIENT), ("nonce", "un autre")]).await.refusal(409);
    portal.signed_in(&manager).await.submit(&page, &url, &[("destinataire", RECIPIENT)]).await.refusal(409);
    assert_eq!(browser.submit(&page, &sheet, &[]).await.status, 200);
    assert_eq!(browser.get(&url).await.location(), account_page(id), "not without a password that waits");

    // A mistake keeps the nonce.
    let again =
        browser.submit(&page, &url, &[("destinataire", " "), ("adresse", "x"), ("duree", "2")]).await.refusal(422);
    for field in ["destinataire", "adresse", "duree"] {
        assert!(again.html().contains(&format!("href=\"#{field}\"")), "{field}");
    }
    let fields = [("destinataire", RECIPIENT), ("adresse", "zoe@exemple.fr"), ("duree", "7"), ("code", "oui")];
    let made = browser.submit(&again, &url, &fields).await.page();
    assert!(made.html().contains("mailto:zoe@exemple.fr?"), "{}", made.html());
    let mailto = made.html().split("mailto:").nth(1).expect("a mail").split('"').next().unwrap();
    let link = link_on(&made);
    assert!(!mailto.contains(link.trim_start_matches("/remise/")), "the proposed mail does not hold the link");
    browser.submit(&page, &sheet, &[]).await.refusal(409);
    let code = made.by_id("output", "code").expect("a code");
    let opened = portal.browser().post(&link, &[("code", &code.to_uppercase().replace(' ', ", "))]).await;
    assert_eq!(passwords(&opened)[0], password);
}

#[tokio::test]
async fn a_reset_hands_over_too_and_the_guide_s_way_stays_the_default() {
    let portal = TestPortal::start().await;
    let (manager, structure) = portal.manager().await;
    let browser = portal.signed_in(&manager).await;
    let id = portal.create_account(&browser, structure.id, "ERP").await;
    let reset = format!("{}/mot-de-passe", account_page(id));
    let page = browser.open(&reset).await;
    assert_eq!(page.form(&reset).iter().find(|(name, _)| name == "affichage").unwrap().1, "afficher");
    let location = browser.submit(&page, &reset, &[("affichage", "remettre")]).await.location();
    assert_eq!(location, form_of(id));
    let form = browser.open(&location).await;
    // Whoever changes their mind displays it.
    let shown = browser.open(&form.link("afficher le mot de passe")).await;
    assert!(shown.password().is_some());
    let fields = [("jeton", "un-jeton-de-forme-correcte"), ("version", "2"), ("ancien", "0")];
    assert!(browser.post(&reset, &fields).await.location().ends_with("/recapitulatif"), "without a choice");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_fifty_at_once_one_is_shown_the_password() {
    let portal = TestPortal::start().await;
    let scene = handed_over(&portal, &[]).await;
    let answers = together(50, |number| {
        // Each from a network of its own.
        let (browser, link) = (portal.browser().with_address(&format!("10.{number}.0.1")), scene.link.clone());
        async move { browser.post(&link, &[]).await }
    })
    .await;
    let shown: Vec<_> = answers.iter().filter(|answer| answer.status == 200).collect();
    assert_eq!((shown.len(), passwords(shown[0]).len()), (1, 1));
    for answer in answers.iter().filter(|answer| answer.status != 200) {
        answer.refusal(410).assert_says("déjà été ouvert");
        assert!(!answer.body_text().contains("rcd_"));
    }
    assert_eq!(portal.events_of("HANDOVER_OPENED").await, 1);
    assert_eq!(portal.events_of("HANDOVER_REFUSED").await, 1, "one alarm, however many there are");
    assert_eq!(portal.number("SELECT refusals::bigint FROM handovers", &[]).await, 49);
}

#[tokio::test]
async fn what_opens_links_by_itself_opens_nothing_and_alarms_no_one() {
    let portal = TestPortal::start().await;
    let scene = handed_over(&portal, &[]).await;
    let visitor = portal.browser();
    let before = portal.contents(&["handovers", "handed_over_passwords", "audit_events", "mails"]).await;
    let calls = |link: &str| {
        vec![
            Call::get(link),
            Call::get(link).with("sec-fetch-site", "none"),
            Call::get(link).with("sec-purpose", "prefetch"),
            Call::get(link).method(Method::HEAD),
            Call::get(link).without_fetch_metadata(),
            Call::post_form(link, &[]).with("sec-fetch-site", "none"),
            Call::post_form(link, &[]).with("sec-fetch-mode", "cors").with("sec-fetch-dest", "empty"),
            Call::post_form(link, &[]).with("sec-purpose", "prefetch"),
            Call::post_form(link, &[]).with("sec-fetch-site", "cross-site"),
            Call::post_form(link, &[]).without_fetch_metadata().with("origin", "https://ailleurs.example"),
        ]
    };
    for call in calls(&scene.link) {
        let answer = visitor.send(call).await;
        assert!(answer.status == 200 || answer.status == 403, "{}", answer.status);
        assert!(!String::from_utf8_lossy(&answer.body).contains("rcd_"));
    }
    assert_eq!(portal.contents(&["handovers", "handed_over_passwords", "audit_events", "mails"]).await, before);
    // A browser without `Sec-Fetch-*` opens it.
    let old = Call::post_form(&scene.link, &[]).without_fetch_metadata();
    assert_eq!(passwords(&visitor.send(old).await).len(), 1);
    let before = portal.contents(&["handovers", "audit_events", "mails"]).await;
    for call in calls(&scene.link) {
        visitor.send(call).await;
    }
    assert_eq!(portal.contents(&["handovers", "audit_events", "mails"]).await, before, "nor once it was opened");
    visitor.get("/remise/inconnu").await.refusal(404);
    visitor.post("/remise/inconnu", &[]).await.refusal(404);
}

#[tokio::test]
async fn a_second_opening_is_an_alarm_with_the_reset_one_click_away() {
    let mut portal = TestPortal::start().await;
    let scene = handed_over(&portal, &[]).await;
    open(&portal, &scene.link).await;
    let over = portal.browser().get(&scene.link).await.refusal(410);
    over.assert_says("une autre personne les a lues");
    over.assert_says(&format!("Prévenez {}, pour que ce mot de passe soit remplacé.", scene.manager.full_name));
    assert!(!over.buttons().contains(&SHOW.into()));
    // The recipient who comes second tells the manager.
    let reported = portal.browser().submit(&over, &scene.link, &[]).await.refusal(410);
    reported.assert_says(&format!("Un courriel avertit {}", scene.manager.full_name));
    let page = scene.page().await;
    page.assert_says("Une personne a suivi de nouveau le lien de remise");
    assert!(page.buttons().contains(&"Réinitialiser le mot de passe (utilisateur technique)".to_owned()));
    let mails = portal.mails_of("handover").await;
    assert_eq!(
        mails.iter().map(|mail| mail.notice["event"].to_string()).collect::<Vec<_>>(),
        ["\"opened\"", "{\"refused\":\"again\"}"]
    );
    assert_eq!(portal.details_of("HANDOVER_REFUSED").await.len(), 1);
    // Five alarms, an hour apart, and no more.
    for hours in 1..9 {
        open(&portal, &scene.link).await;
        portal.move_clock(&format!("{hours} hours 1 minute")).await;
        open(&portal, &scene.link).await;
    }
    assert_eq!(portal.events_of("HANDOVER_REFUSED").await, 5);
    let browser = portal.signed_in(&scene.manager).await;
    let reset = format!("{}/mot-de-passe", account_page(scene.account));
    browser.submit(&browser.open(&reset).await, &reset, &[]).await.location();
    let page = browser.open(&account_page(scene.account)).await;
    assert!(
        !page.text().contains("seconde fois") && !page.text().contains("Connu d’un intégrateur"),
        "{}",
        page.text()
    );
    open(&portal, &scene.link).await.refusal(410);
    assert_eq!(portal.events_of("HANDOVER_REFUSED").await, 5, "the link is worth nothing");
}

#[tokio::test]
async fn a_revoked_link_opens_nothing_and_whoever_presents_it_is_reported() {
    let portal = TestPortal::start().await;
    let scene = handed_over(&portal, &[]).await;
    let url = format!("{}/revocation", form_of(scene.account));
    let confirmation = scene.browser.open(&url).await;
    confirmation.assert_says(&format!("est remis à {RECIPIENT}."));
    let location = scene.browser.submit(&confirmation, &url, &[]).await.location();
    scene.browser.open(&location).await.assert_says("Le lien est révoqué");
    assert_eq!(scene.browser.get(&url).await.location(), account_page(scene.account), "nothing is left to revoke");
    assert_eq!(portal.number("SELECT count(*) FROM handed_over_passwords WHERE sealed IS NOT NULL", &[]).await, 0);
    let page = scene.page().await;
    assert!(page.fact("Remise").contains("Lien révoqué, jamais ouvert"));
    page.assert_says("Le mot de passe n’a jamais été affiché");
    portal.browser().get(&scene.link).await.refusal(410).assert_says("a été révoqué");
    assert_eq!(portal.events_of("HANDOVER_REFUSED").await, 0);
    open(&portal, &scene.link).await.refusal(410);
    scene.page().await.assert_says("Une personne a suivi le lien de remise révoqué");
    assert_eq!((portal.events_of("HANDOVER_REFUSED").await, portal.events_of("HANDOVER_REVOKED").await), (1, 1));
    assert_eq!(portal.mails_of("handover").await[0].notice["event"]["refused"], "revoked");
    // Another manager's link is none of a person's business.
    let (other, _) = portal.manager_with_structures("Alix", 1).await;
    portal.signed_in(&other).await.post(&url, &[]).await.refusal(404);
}

/// Hands a new password over, which is not displayed; the account and the link.
async fn hand_over_new(portal: &TestPortal, browser: &Browser, structure: &Structure, label: &str) -> (i64, String) {
    let (account, form) = create_to_hand_over(portal, browser, structure.id, label).await;
    let made = browser.submit(&form, &form_of(account), &[("destinataire", RECIPIENT)]).await.page();
    (account, link_on(&made))
}

/// Whoever hands over may open their own links, from any network, and may have named another
/// person's address as their own.
#[tokio::test]
async fn links_that_are_opened_write_few_mails_to_an_address_that_another_person_confirmed() {
    let portal = TestPortal::start().await;
    let (manager, structures) = portal.manager_with_structures("Alix", 5).await;
    let noor = portal.person("Noor").await;
    let browser = portal.signed_in(&manager).await;
    browser.post("/mon-compte/adresse-de-contact", &[("adresse-de-contact", &noor.contact_address)]).await.location();
    portal.execute("DELETE FROM mails").await;
    for number in 0..22 {
        let (_, link) = hand_over_new(&portal, &browser, &structures[number / 5], &format!("Paie {number}")).await;
        portal.execute("DELETE FROM mails WHERE notice->>'kind' <> 'handover'").await;
        let opener = portal.browser().with_address(&format!("203.0.{number}.7"));
        opener.submit(&opener.open(&link).await, &link, &[]).await.page();
    }
    let sent = portal.mails_of("handover").await;
    assert!(sent.iter().all(|mail| mail.recipient == noor.contact_address));
    assert_eq!(sent.len(), 19);
}

/// Whoever knew the password may have made it, for themselves.
#[tokio::test]
async fn a_link_made_in_another_session_ends_with_a_new_password_and_with_the_other_sessions() {
    const NEW: &str = "trois moulins sur la colline";
    let changed = [("mot-de-passe-actuel", PASSWORD), ("nouveau-mot-de-passe", NEW)];
    for (act, fields) in
        [("/mon-compte/mot-de-passe", &changed[..]), ("/mon-compte/sessions/fermeture", &[]), ("link", &changed[1..])]
    {
        let portal = TestPortal::start().await;
        let (manager, structure) = portal.manager().await;
        let (thief, owner) = (portal.signed_in(&manager).await, portal.signed_in(&manager).await);
        let (stolen, theirs) = hand_over_new(&portal, &thief, &structure, "Paie").await;
        let (_, opened) = hand_over_new(&portal, &thief, &structure, "Achats").await;
        // Opened before, it is no link any more: its page stays.
        let page = open(&portal, &opened).await.page();
        let batch: Vec<i64> = vec![
            portal.create_account(&thief, structure.id, "Un").await,
            portal.create_account(&thief, structure.id, "Deux").await,
        ];
        let of_batch = hand_over_all(&portal, &manager, &thief, &batch, None).await.expect("a link");
        let (kept, own) = hand_over_new(&portal, &owner, &structure, "ERP").await;
        // The session gets another id, and stays the same.
        let confirm = [("confirmation-suite", "/mon-compte"), ("confirmation-mot-de-passe", PASSWORD)];
        assert_eq!(owner.post("/confirmation-identite", &confirm).await.status, 307);
        thief.post("/deconnexion", &[]).await.location();

        let stays = act != "link";
        let invitation = portal.invitation(&manager).await;
        owner.post(if stays { act } else { &invitation }, fields).await.location();
        for link in [&theirs, &of_batch] {
            portal.browser().get(link).await.refusal(410).assert_says("a été révoqué");
            open(&portal, link).await.refusal(410);
        }
        assert_eq!(open(&portal, &own).await.status, if stays { 200 } else { 410 }, "{act}");
        let sealed = "SELECT count(*) FROM handed_over_passwords WHERE sealed IS NOT NULL";
        assert_eq!(portal.number(sealed, &[]).await, if stays { 2 } else { 1 }, "{act}");
        assert_eq!(portal.browser().submit(&page, CSV, &[]).await.status, 200, "{act}");
        assert_eq!(portal.events_of("HANDOVER_REVOKED").await, if stays { 3 } else { 4 }, "{act}");

        let owner = if stays { owner } else { portal.browser() };
        if !stays {
            owner.post("/connexion", &[("identifiant", &manager.login), ("mot-de-passe", NEW)]).await.location();
        }
        let fact = async |account| owner.open(&account_page(account)).await.fact("Remise");
        assert!(fact(stolen).await.contains("Lien révoqué, jamais ouvert"), "{act}");
        assert_eq!(fact(kept).await.contains("Lien révoqué"), !stays, "{act}");
    }
}

#[tokio::test]
async fn an_expired_link_opens_nothing_and_the_manager_learns_that_it_was_wanted() {
    let mut portal = TestPortal::start().await;
    let scene = handed_over(&portal, &[("duree", "1")]).await;
    portal.move_clock("23 hours 59 minutes").await;
    assert_eq!(portal.browser().get(&scene.link).await.status, 200);
    portal.move_clock("24 hours 1 minute").await;
    portal.browser().get(&scene.link).await.refusal(410).assert_says("Ce lien a expiré");
    open(&portal, &scene.link).await.refusal(410);
    assert_eq!(portal.mails_of("handover").await[0].notice["event"]["refused"], "expired");
    assert_eq!(portal.events_of("HANDOVER_REFUSED").await, 1);
    let browser = portal.signed_in(&scene.manager).await;
    let page = browser.open(&account_page(scene.account)).await;
    assert!(page.fact("Remise").contains("Lien expiré"));
    page.assert_says("Le mot de passe n’a jamais été affiché");
    assert!(!page.text().contains("suivi de nouveau le lien"), "who comes too late is no alarm");
    raccord::db::upkeep::sweep(&portal.pool).await.unwrap();
    assert_eq!(portal.number("SELECT count(*) FROM handed_over_passwords WHERE sealed IS NOT NULL", &[]).await, 0);
}

#[tokio::test]
async fn what_ends_the_password_or_its_manager_ends_the_link() {
    for end in ["reset", "suspension", "deletion", "succession", "succession and back", "expiry", "disabled"] {
        let portal = TestPortal::start().await;
        let scene = handed_over(&portal, &[]).await;
        let act = async |path: &str| {
            let path = format!("{}/{path}", account_page(scene.account));
            scene.browser.submit(&scene.browser.open(&path).await, &path, &[]).await.location();
        };
        let noor = portal.person("Noor").await;
        match end {
            "reset" => act("mot-de-passe").await,
            "suspension" => {
                act("suspension").await;
                assert!(portal.details_of("TECHNICAL_USER_SUSPENDED").await[0].contains("Lien de remise"));
                act("reactivation").await;
            }
            "deletion" => act("suppression").await,
            "expiry" => portal.expire_in(scene.account, "-1 minute").await,
            "disabled" => {
                portal.execute("UPDATE users SET disabled_at = portal_now() WHERE login LIKE 'camille%'").await;
            }
            _ => {
                portal.attach(&noor, &scene.structure, Role::User).await;
                portal.hand_over(&scene.structure, &noor).await;
                if end == "succession and back" {
                    portal.hand_over(&scene.structure, &scene.manager).await;
                }
            }
        }
        portal.browser().get(&scene.link).await.refusal(410).assert_says("Ce lien n’ouvre plus rien");
        let refused = open(&portal, &scene.link).await;
        refused.refusal(410);
        assert!(!refused.body_text().contains("rcd_"), "{end}");
        assert_eq!(portal.events_of("HANDOVER_OPENED").await, 0, "{end}");
    }
}

#[tokio::test]
async fn a_new_manager_sees_whom_the_former_one_gave_the_password() {
    let portal = TestPortal::start().await;
    let scene = handed_over(&portal, &[]).await;
    open(&portal, &scene.link).await;
    let noor = portal.person("Noor").await;
    portal.attach(&noor, &scene.structure, Role::User).await;
    portal.hand_over(&scene.structure, &noor).await;
    let browser = portal.signed_in(&noor).await;
    let fact = browser.open(&account_page(scene.account)).await.fact("Remise");
    assert!(fact.contains(RECIPIENT) && fact.contains(&scene.manager.full_name), "{fact}");
    // The alarm is the new manager's.
    open(&portal, &scene.link).await.refusal(410);
    let mails = portal.mails_of("handover").await;
    assert_eq!(
        mails.iter().map(|mail| &mail.recipient).collect::<Vec<_>>(),
        [&scene.manager.contact_address, &noor.contact_address]
    );
    browser.open(&account_page(scene.account)).await.assert_says("suivi de nouveau le lien de remise");
}

#[tokio::test]
async fn who_knows_a_password_by_a_link_is_a_fact_and_a_filter_until_it_works_no_more() {
    let portal = TestPortal::start().await;
    let scene = handed_over(&portal, &[]).await;
    portal.create_and_show(&scene.browser, scene.structure.id, "Vu").await;
    let filtered = "/activites/utilisateurs-techniques?etat=connu-integrateur";
    assert!(scene.browser.open(filtered).await.rows().is_empty());
    open(&portal, &scene.link).await;
    let rows = scene.browser.open(filtered).await.rows();
    assert!(rows.len() == 1 && rows[0][0].contains("ERP"), "{rows:?}");
    let csv = scene.browser.get("/activites/utilisateurs-techniques.csv").await.body_text();
    assert!(csv.lines().next().unwrap().contains("Connu d’un intégrateur"), "{csv}");
    assert_eq!((csv.matches(";Oui\n").count(), csv.matches(";Non\n").count()), (1, 1), "{csv}");
    // One that still works for a while counts, too.
    let reset = format!("{}/mot-de-passe", account_page(scene.account));
    scene.browser.submit(&scene.browser.open(&reset).await, &reset, &[("ancien", "24")]).await.location();
    assert_eq!(scene.browser.open(filtered).await.rows().len(), 1);
    let page = scene.page().await;
    assert!(
        page.fact("Remise de l’ancien").contains(RECIPIENT) && page.fact("Confidentialité").contains("intégrateur")
    );
    portal.end_former_passwords().await;
    assert!(scene.browser.open(filtered).await.rows().is_empty());
}

#[tokio::test]
async fn links_that_wait_and_alarms_are_among_what_is_due() {
    let portal = TestPortal::start().await;
    let scene = handed_over(&portal, &[]).await;
    portal.create_and_show(&scene.browser, scene.structure.id, "Vu").await;
    let page = scene.browser.open("/activites").await;
    let list = scene.browser.open(&page.link("1 remise en attente")).await;
    assert!(list.rows().len() == 1 && list.rows()[0][0].contains("ERP"), "{:?}", list.rows());
    open(&portal, &scene.link).await;
    let page = scene.browser.open("/activites").await;
    assert!(!page.text().contains("en attente") && !page.text().contains("en vain"), "{}", page.text());
    open(&portal, &scene.link).await.refusal(410);
    let list = scene.browser.open(&scene.browser.open("/activites").await.link("1 remise à vérifier")).await;
    assert!(list.rows().len() == 1 && list.rows()[0][0].contains("ERP"), "{:?}", list.rows());
    let reset = format!("{}/mot-de-passe", account_page(scene.account));
    scene.browser.submit(&scene.browser.open(&reset).await, &reset, &[]).await.location();
    assert!(!scene.browser.open("/activites").await.text().contains("en vain"), "its password is worth nothing");
}

#[tokio::test]
async fn the_page_of_the_link_exports_for_ten_minutes() {
    let mut portal = TestPortal::start().await;
    let scene = handed_over(&portal, &[]).await;
    let visitor = portal.browser();
    let opened = visitor.post(&scene.link, &[]).await;
    let (page, password) = (opened.page(), passwords(&opened).remove(0));
    for _ in 0..2 {
        let pdf = visitor.submit(&page, SHEET, &[]).await;
        assert!(pdf.body.starts_with(b"%PDF-1.7") && pdf.header("cache-control") == Some("no-store"));
        if let Some(text) = text_of_pdf(&pdf.body) {
            assert!(text.split_whitespace().any(|word| word == password), "{text}");
            assert!(text.contains(&scene.manager.contact_address), "{text}");
        }
    }
    let csv = visitor.submit(&page, CSV, &[]).await;
    assert_eq!(csv.header("content-disposition"), Some("attachment; filename=\"informations-de-connexion.csv\""));
    let text = csv.body_text();
    let header = crate::common::cpro_account(&portal.login_of(scene.account).await, &password);
    let row = text.lines().nth(1).expect("a row");
    assert!(text.lines().next().unwrap().ends_with(";En-tête cpro-account"), "{text}");
    assert!(row.contains(&format!(";{password};")) && row.ends_with(&format!(";{header}")), "{text}");
    assert_eq!(portal.events_of("PASSWORD_EXPORTED").await, 1, "recorded once");
    // The link's own secret, or another nonce, exports nothing.
    for nonce in ["", "autre", scene.secret()] {
        visitor.post(SHEET, &[("nonce", nonce)]).await.refusal(409);
        visitor.post(CSV, &[("nonce", nonce)]).await.refusal(409);
    }
    for _ in 0..30 {
        visitor.submit(&page, CSV, &[]).await;
    }
    visitor.submit(&page, CSV, &[]).await.refusal(409);
    portal.execute("UPDATE handovers SET exports = 0").await;
    assert_eq!(visitor.submit(&page, CSV, &[]).await.status, 200);
    portal.move_clock("11 minutes").await;
    portal.browser().submit(&page, CSV, &[]).await.refusal(409);
    raccord::db::upkeep::sweep(&portal.pool).await.unwrap();
    assert_eq!(portal.number("SELECT count(*) FROM handed_over_passwords WHERE sealed IS NOT NULL", &[]).await, 0);
    assert_eq!(portal.count("handovers").await, 1, "who knows the password stays known");
}

#[tokio::test]
async fn a_reset_ends_the_exports_of_the_password_before_it() {
    let portal = TestPortal::start().await;
    let scene = handed_over(&portal, &[]).await;
    let page = open(&portal, &scene.link).await.page();
    let reset = format!("{}/mot-de-passe", account_page(scene.account));
    scene.browser.submit(&scene.browser.open(&reset).await, &reset, &[("ancien", "24")]).await.location();
    for file in [SHEET, CSV] {
        portal.browser().submit(&page, file, &[]).await.refusal(409);
    }
}

#[tokio::test]
async fn a_cell_of_the_file_is_never_a_formula() {
    let portal = TestPortal::start().await;
    let scene = handed_over(&portal, &[]).await;
    portal.set_label(scene.account, "=cmd|'/c calc'!A1").await;
    portal.set_designation(scene.structure.id, "@SUM(1)").await;
    let page = open(&portal, &scene.link).await.page();
    let text = portal.browser().submit(&page, CSV, &[]).await.body_text();
    let row = text.lines().nth(1).expect("a row");
    // The identifier is as it is: a program reads it.
    let beginning = format!("SIRET;{};'@SUM(1);'=cmd|", scene.structure.identifier);
    assert!(row.starts_with(&beginning), "{row}");
}

#[tokio::test]
async fn a_form_that_is_sent_twice_makes_one_link_and_shows_it_again_until_it_is_opened() {
    let portal = TestPortal::start().await;
    let (manager, structure) = portal.manager().await;
    let browser = portal.signed_in(&manager).await;
    let (account, form) = create_to_hand_over(&portal, &browser, structure.id, "ERP").await;
    let send = async |more: &[(&str, &str)]| {
        browser.submit(&form, &form_of(account), &[&[("destinataire", RECIPIENT)], more].concat()).await
    };
    let link = link_on(&send(&[]).await.page());
    assert_eq!(link_on(&send(&[]).await.page()), link, "a lost answer is no lost password");
    assert_eq!(portal.events_of("HANDOVER_MADE").await, 1);
    // For another recipient, or by another session of the same person, it is not shown.
    assert_eq!(send(&[("destinataire", "Un autre")]).await.location(), account_page(account));
    let elsewhere = portal.signed_in(&manager).await;
    elsewhere.submit(&form, &form_of(account), &[("destinataire", RECIPIENT)]).await.refusal(409);
    open(&portal, &link).await;
    assert_eq!(send(&[]).await.location(), account_page(account));
}

#[tokio::test]
async fn five_wrong_codes_end_the_link_and_alarm() {
    let portal = TestPortal::start().await;
    let scene = handed_over(&portal, &[("code", "oui")]).await;
    assert_eq!(scene.code.as_ref().map(|code| code.split(' ').count()), Some(4));
    let visitor = portal.browser();
    let page = visitor.get(&scene.link).await.page();
    assert!(page.html().contains("name=\"code\""));
    // What can be no code costs no try.
    for typed in ["", "abeille", "quatre mots pas connus"] {
        visitor.post(&scene.link, &[("code", typed)]).await.refusal(422).assert_says("n’a pas été compté");
    }
    let unknown = visitor.post(&scene.link, &[("code", "abeille boulon chamo zinc")]).await.refusal(422);
    unknown
        .assert_says("«\u{202f}chamo\u{202f}» ne figure pas parmi les mots possibles\u{a0}: vérifiez-le au téléphone.");
    let wrong = [("code", "abeille boulon chameau zinc")];
    for left in ["4 essais", "3 essais", "2 essais", "un essai"] {
        visitor.post(&scene.link, &wrong).await.refusal(422).assert_says(left);
    }
    assert_eq!(portal.events_of("HANDOVER_REFUSED").await, 0);
    let over = visitor.post(&scene.link, &wrong).await.refusal(410);
    over.assert_says(&format!("Un courriel en avertit {}", scene.manager.full_name));
    let right = visitor.post(&scene.link, &[("code", scene.code.as_deref().unwrap())]).await;
    assert!(right.status == 410 && !right.body_text().contains("rcd_"), "nor does the right one open it then");
    assert_eq!(portal.details_of("HANDOVER_REFUSED").await.len(), 1);
    assert_eq!(portal.mails_of("handover").await[0].notice["event"]["refused"], "wrong_codes");
    scene.page().await.assert_says("Cinq codes incorrects ont été essayés");
}

#[tokio::test]
async fn the_right_code_opens_the_link_also_as_the_last_try() {
    let portal = TestPortal::start().await;
    let scene = handed_over(&portal, &[("code", "oui")]).await;
    let visitor = portal.browser();
    for _ in 0..4 {
        visitor.post(&scene.link, &[("code", "abeille boulon chameau zinc")]).await.refusal(422);
    }
    let opened = visitor.post(&scene.link, &[("code", scene.code.as_deref().unwrap())]).await;
    assert!(portal.works(scene.account, &passwords(&opened)[0]).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_right_code_sent_twice_as_the_last_try_opens_the_link() {
    let portal = TestPortal::start().await;
    let scene = handed_over(&portal, &[("code", "oui")]).await;
    for _ in 0..4 {
        portal.browser().post(&scene.link, &[("code", "abeille boulon chameau zinc")]).await.refusal(422);
    }
    let answers = together(2, |_| {
        let (browser, link, code) = (portal.browser(), scene.link.clone(), scene.code.clone().expect("a code"));
        async move { browser.post(&link, &[("code", &code)]).await.status.as_u16() }
    })
    .await;
    assert!(answers.contains(&200), "{answers:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_fifty_codes_at_once_five_are_tried() {
    let portal = TestPortal::start().await;
    let scene = handed_over(&portal, &[("code", "oui")]).await;
    let answers = together(50, |number| {
        let (browser, link) = (portal.browser().with_address(&format!("10.{number}.0.1")), scene.link.clone());
        async move { browser.post(&link, &[("code", "abeille boulon chameau zinc")]).await }
    })
    .await;
    assert!(answers.iter().all(|answer| [410, 422, 503].contains(&answer.status.as_u16())));
    assert_eq!(portal.number("SELECT tries::bigint FROM handovers", &[]).await, 5);
    assert_eq!(portal.number("SELECT count(*) FROM handovers WHERE ended_by = 'WRONG_CODES'", &[]).await, 1);
    assert_eq!(portal.events_of("HANDOVER_REFUSED").await, 1);
}

#[tokio::test]
async fn neither_the_dump_nor_a_mail_holds_the_link_the_code_or_the_password() {
    let portal = TestPortal::start().await;
    let scene = handed_over(&portal, &[("code", "oui")]).await;
    let code = scene.code.clone().expect("a code");
    let waiting = String::from_utf8_lossy(&pg_dump(portal.database_url())).into_owned();
    let opened = portal.browser().post(&scene.link, &[("code", &code)]).await;
    let (password, nonce) = (passwords(&opened).remove(0), opened.page().field("nonce"));
    portal.browser().post(&scene.link, &[]).await.refusal(410);
    let shown = String::from_utf8_lossy(&pg_dump(portal.database_url())).into_owned();
    let mails = portal.send_mails().await.join("\n");
    assert!(mails.contains("lien de remise") && shown.contains("HANDOVER_OPENED"), "they are what they should be");
    let hex = |text: &str| data_encoding::HEXLOWER.encode(text.as_bytes());
    for secret in [scene.secret(), &code, &password, &nonce, "rcd_"] {
        for (what, text) in [("dump", &waiting), ("later dump", &shown), ("mails", &mails)] {
            assert!(!text.contains(secret) && !text.contains(&hex(secret)), "{secret} in the {what}");
        }
    }
}

#[tokio::test]
async fn sealed_bytes_of_another_hand_over_or_account_do_not_open() {
    let portal = TestPortal::start().await;
    let scene = handed_over(&portal, &[]).await;
    let (other, form) = create_to_hand_over(&portal, &scene.browser, scene.structure.id, "Paie").await;
    let made = scene.browser.submit(&form, &form_of(other), &[("destinataire", "Un autre")]).await.page();
    portal
        .execute(
            "UPDATE handed_over_passwords p SET sealed = q.sealed FROM handed_over_passwords q
              WHERE q.handover_id <> p.handover_id",
        )
        .await;
    for link in [&scene.link, &link_on(&made)] {
        let answer = open(&portal, link).await;
        assert!(!answer.body_text().contains("rcd_"));
    }
    assert_eq!(portal.events_of("HANDOVER_OPENED").await, 0);
}

/// The session of a browser that is signed in.
fn session_of(browser: &Browser) -> SessionSecret {
    let cookies = browser.cookies();
    let id: Id = cookies["raccord-session-sans-https"].parse().expect("a session's id");
    SessionSecret::new(id.0)
}

async fn hand_over_all(
    portal: &TestPortal,
    manager: &Person,
    browser: &Browser,
    accounts: &[i64],
    nonce: Option<&str>,
) -> Result<String, HandoverError> {
    let session = session_of(browser);
    let link = LinkSecret::of_form(&session, "un-jeton-de-forme-correcte");
    let nonce_hash = nonce.map(random::digest);
    let new = NewHandover {
        actor: &Actor { user_id: Some(manager.id), name: manager.login.clone(), address: "192.0.2.1".into() },
        manager_id: manager.id,
        session: &session,
        accounts,
        nonce_hash: nonce_hash.as_deref(),
        recipient: &Recipient::parse(RECIPIENT).unwrap(),
        address: None,
        term: Term::OneDay,
        link: &link,
        key: &link.key(None),
        code_salt: None,
    };
    creation::create(&portal.pool, new, &mut random::os_rng()).await?;
    Ok(format!("/remise/{}", link.expose()))
}

#[tokio::test]
async fn one_link_hands_many_accounts_over_all_or_none() {
    let portal = TestPortal::start().await;
    let (manager, structures) = portal.manager_with_structures("Camille", 3).await;
    let browser = portal.signed_in(&manager).await;
    let mut accounts = Vec::new();
    for structure in &structures {
        accounts.push(portal.create_account(&browser, structure.id, "ERP").await);
    }
    // One that was displayed, one of another session, and none.
    let (shown, page, _) = portal.create_and_show(&browser, structures[0].id, "Vu").await;
    let foreign = portal.create_account(&portal.signed_in(&manager).await, structures[0].id, "Ailleurs").await;
    for odd in [shown, foreign, 999_999] {
        let all = [accounts.as_slice(), &[odd]].concat();
        let refused = hand_over_all(&portal, &manager, &browser, &all, None).await;
        assert!(matches!(refused, Err(HandoverError::Lapsed)), "{odd}");
    }
    assert!(matches!(hand_over_all(&portal, &manager, &browser, &[], None).await, Err(HandoverError::TooMany)));
    assert_eq!((portal.count("handovers").await, portal.count("envelopes").await), (0, 5));
    accounts.extend([shown, accounts[0]]);
    let nonce = page.field("nonce");
    let link = hand_over_all(&portal, &manager, &browser, &accounts, Some(&nonce)).await.expect("a link");
    assert_eq!(portal.count("envelopes").await, 1);

    // One of them is reset meanwhile: the others stay.
    let reset = format!("{}/mot-de-passe", account_page(accounts[1]));
    browser.submit(&browser.open(&reset).await, &reset, &[]).await.location();
    let page = portal.browser().get(&link).await.page();
    assert!(page.text().contains(&structures[0].designation) && !page.text().contains(&structures[1].designation));
    let opened = open(&portal, &link).await;
    let mut shown = passwords(&opened);
    shown.dedup();
    assert_eq!(shown.len(), 3);
    let csv = portal.browser().submit(&opened.page(), CSV, &[]).await.body_text();
    assert_eq!(csv.lines().count(), 4, "{csv}");
    let mails = portal.mails_of("handover").await;
    assert_eq!((mails.len(), mails[0].notice["accounts"].as_array().map(Vec::len)), (1, Some(3)));
    assert_eq!(portal.events_of("HANDOVER_OPENED").await, 3);
    assert!(browser.open(&account_page(accounts[0])).await.fact("Remise").contains("3 autres comptes"));
}

#[tokio::test]
async fn an_account_that_is_suspended_when_the_form_is_sent_is_not_handed_over() {
    let portal = TestPortal::start().await;
    let (manager, structure) = portal.manager().await;
    let browser = portal.signed_in(&manager).await;
    let (account, form) = create_to_hand_over(&portal, &browser, structure.id, "ERP").await;
    portal.set_status(account, TechnicalUserStatus::Suspended).await;
    browser.submit(&form, &form_of(account), &[("destinataire", RECIPIENT)]).await.refusal(409);
    portal.set_status(account, TechnicalUserStatus::Active).await;
    portal.attach(&portal.person("Noor").await, &structure, Role::User).await;
    for recipient in ["", "AC\u{202e}ME", "Аcme", &"é".repeat(101)] {
        browser.submit(&form, &form_of(account), &[("destinataire", recipient)]).await.refusal(422);
    }
    let made = browser.submit(&form, &form_of(account), &[("destinataire", RECIPIENT)]).await;
    assert_eq!(made.status, 200);
}
