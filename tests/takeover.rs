//! A person takes their account back from another who knows the password and has a session: what
//! was verified before the recovery takes no effect after it.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use raccord::domain::role::Role;
use tokio::task::JoinHandle;

use crate::{
    common::{Answer, Browser, PASSWORD, Person, TestPortal, together},
    identity::{CODE, MFA, code, enrol},
};

const CONFIRM: &str = "/confirmation-identite";
const CHANGE: &str = "/mon-compte/mot-de-passe";
const NEW: &str = "trois moulins sur la colline";
const THEIRS: &str = "quatre barques sur le fleuve";

async fn is_in(browser: &Browser) -> bool {
    browser.get("/mon-compte").await.status == 200
}

/// Posts a change of the password, as a task of its own.
fn changing(browser: &Browser, current: &'static str, new: &'static str) -> JoinHandle<Answer> {
    let browser = browser.clone();
    tokio::spawn(async move {
        browser.post(CHANGE, &[("mot-de-passe-actuel", current), ("nouveau-mot-de-passe", new)]).await
    })
}

fn signing_in(browser: &Browser, person: &Person) -> JoinHandle<Answer> {
    let (browser, login) = (browser.clone(), person.login.clone());
    tokio::spawn(
        async move { browser.post("/connexion", &[("identifiant", &login), ("mot-de-passe", PASSWORD)]).await },
    )
}

fn confirming(browser: &Browser) -> JoinHandle<Answer> {
    let browser = browser.clone();
    let typed = [("confirmation-suite", "/mon-compte"), ("confirmation-mot-de-passe", PASSWORD)];
    tokio::spawn(async move { browser.post(CONFIRM, &typed).await })
}

#[tokio::test]
async fn a_password_that_was_replaced_meanwhile_is_not_changed_with_the_old_one() {
    let portal = TestPortal::start().await;
    let sacha = portal.person("Sacha").await;
    let thief = portal.signed_in(&sacha).await;
    let link = portal.invitation(&sacha).await;
    // The old password was verified, then the owner's new one is written.
    let owner = portal.begin_password_change(&sacha).await;
    let change = changing(&thief, PASSWORD, THEIRS);
    portal.until_locked(1).await;
    owner.commit().await.expect("the new password holds");
    let page = change.await.expect("no panic").refusal(422);
    page.assert_says("Votre mot de passe a changé entre-temps.");
    assert_eq!(portal.password_hash_of_person(&sacha).await, "another");
    assert_eq!(portal.events_of("PASSWORD_CHOSEN").await, 0);
    portal.browser().open(&link).await;
}

#[tokio::test]
async fn a_session_that_ended_meanwhile_changes_no_password() {
    let portal = TestPortal::start().await;
    let sacha = portal.person("Sacha").await;
    let (thief, before) = (portal.signed_in(&sacha).await, portal.password_hash_of_person(&sacha).await);
    let link = portal.invitation(&sacha).await;
    let closing = portal.begin_closing_sessions().await;
    let change = changing(&thief, PASSWORD, THEIRS);
    portal.until_locked(1).await;
    closing.commit().await.expect("closed for good");
    assert_eq!(change.await.expect("no panic").location(), "/connexion?avis=session-expired");
    assert_eq!(portal.password_hash_of_person(&sacha).await, before);
    portal.browser().open(&link).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn whoever_follows_a_link_keeps_the_account_against_changes_from_three_sessions() {
    let portal = TestPortal::start().await;
    for round in 0..6 {
        let person = portal.person(["Sacha", "Noor", "Lou", "Ambre", "Marin", "Alix"][round]).await;
        let mut thieves = Vec::new();
        for _ in 0..3 {
            thieves.push(portal.signed_in(&person).await);
        }
        let link = portal.invitation(&person).await;
        let changes: Vec<_> = thieves.iter().map(|thief| changing(thief, PASSWORD, THEIRS)).collect();
        let chosen = portal.browser().post(&link, &[("nouveau-mot-de-passe", NEW)]).await;
        for change in changes {
            change.await.expect("no panic");
        }
        let try_with = async |password: &'static str| {
            let browser = portal.browser().with_address(&format!("203.0.{round}.9"));
            browser.post("/connexion", &[("identifiant", &person.login), ("mot-de-passe", password)]).await.status
        };
        // Before the link was followed, one change could win: the link was over then.
        if chosen.status == 303 {
            assert_eq!((try_with(NEW).await.as_u16(), try_with(THEIRS).await.as_u16()), (303, 422), "{round}");
            for thief in thieves {
                assert!(!is_in(&thief).await, "{round}");
            }
        } else {
            assert_eq!(try_with(THEIRS).await, 303, "{round}");
        }
    }
}

#[tokio::test]
async fn the_same_password_is_no_new_one_and_ends_neither_links_nor_sessions() {
    let portal = TestPortal::start().await;
    let sacha = portal.person("Sacha").await;
    let (thief, owner) = (portal.signed_in(&sacha).await, portal.signed_in(&sacha).await);
    let link = portal.invitation(&sacha).await;
    // It counts as an attempt, since it costs as much.
    for _ in 0..5 {
        let page = changing(&thief, PASSWORD, PASSWORD).await.expect("no panic").refusal(422);
        page.assert_says("Ce mot de passe est déjà le vôtre.");
    }
    changing(&thief, PASSWORD, PASSWORD).await.expect("no panic").refusal(429);
    assert!(is_in(&owner).await);
    assert!(portal.mails().await.is_empty());
    portal.browser().open(&link).await;
}

#[tokio::test]
async fn ten_passwords_are_chosen_in_a_row_and_another_after_an_hour() {
    let mut portal = TestPortal::start().await;
    let sacha = portal.person("Sacha").await;
    let browser = portal.signed_in(&sacha).await;
    let change = async |from: &'static str, to: &'static str| changing(&browser, from, to).await.expect("no panic");
    for round in 0..10 {
        let (from, to) = if round % 2 == 0 { (PASSWORD, NEW) } else { (NEW, PASSWORD) };
        change(from, to).await.location();
    }
    let mails = portal.mails().await.len();
    let refused = change(PASSWORD, NEW).await;
    assert_eq!(refused.header("retry-after"), Some("3600"));
    refused.refusal(429).assert_says("Vous avez changé de mot de passe plusieurs fois en peu de temps.");
    assert_eq!(portal.mails().await.len(), mails);
    // The way by a link stays open.
    let link = portal.invitation(&sacha).await;
    assert_eq!(portal.browser().post(&link, &[("nouveau-mot-de-passe", THEIRS)]).await.status, 303);
    portal.move_clock("61 minutes").await;
    let again = portal.browser();
    again.post("/connexion", &[("identifiant", &sacha.login), ("mot-de-passe", THEIRS)]).await.location();
    changing(&again, THEIRS, NEW).await.expect("no panic").location();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_sessions_that_are_confirmed_while_the_password_changes_none_survives() {
    let portal = TestPortal::start().await;
    let mut survivors = Vec::new();
    for round in 0..15 {
        let person = portal.person(&format!("Personne-{round}")).await;
        let owner = portal.signed_in(&person).await;
        let mut others = Vec::new();
        for _ in 0..6 {
            others.push(portal.signed_in(&person).await);
        }
        let stop = Arc::new(AtomicBool::new(false));
        let loops: Vec<_> = others
            .iter()
            .map(|other| {
                let (other, stop) = (other.clone(), Arc::clone(&stop));
                tokio::spawn(async move {
                    while !stop.load(Ordering::Relaxed) {
                        confirming(&other).await.expect("no panic");
                    }
                })
            })
            .collect();
        tokio::time::sleep(std::time::Duration::from_millis(60)).await;
        let changed = changing(&owner, PASSWORD, NEW).await.expect("no panic");
        stop.store(true, Ordering::Relaxed);
        for confirming in loops {
            confirming.await.expect("no panic");
        }
        assert_eq!(changed.location(), "/mon-compte?avis=own-password-changed");
        for other in &others {
            if is_in(other).await {
                survivors.push(round);
            }
        }
        assert!(is_in(&owner).await);
    }
    assert_eq!(survivors, Vec::<usize>::new());
}

#[tokio::test]
async fn a_session_that_is_confirmed_keeps_the_number_by_which_it_is_closed() {
    let mut portal = TestPortal::start().await;
    let sacha = portal.person("Sacha").await;
    let (here, there) = (portal.signed_in(&sacha).await, portal.signed_in(&sacha).await);
    let close = format!("/mon-compte/sessions/{}/fermeture", portal.latest_session_of(&sacha).await);
    portal.move_clock("16 minutes").await;
    let page = here.open("/mon-compte").await;
    assert_eq!(confirming(&there).await.expect("no panic").status, 307);
    assert_eq!(confirming(&here).await.expect("no panic").status, 307);
    here.submit(&page, &close, &[]).await.location();
    assert!(is_in(&here).await && !is_in(&there).await);
}

#[tokio::test]
async fn a_confirmation_under_a_password_that_was_replaced_meanwhile_renews_nothing() {
    let portal = TestPortal::start().await;
    let sacha = portal.person("Sacha").await;
    let browser = portal.signed_in(&sacha).await;
    let before = browser.cookies();
    let owner = portal.begin_password_change(&sacha).await;
    let confirmation = confirming(&browser);
    portal.until_locked(1).await;
    owner.commit().await.expect("the new password holds");
    assert_eq!(confirmation.await.expect("no panic").location(), "/connexion?avis=session-expired");
    assert_eq!(browser.cookies(), before);
    assert_eq!(portal.events_of("IDENTITY_CONFIRMED").await, 0);
}

#[tokio::test]
async fn a_sign_in_beside_the_set_up_of_a_second_factor_opens_no_session_without_a_code() {
    let portal = TestPortal::start().await;
    let sacha = portal.person("Sacha").await;
    let (here, there) = (portal.signed_in(&sacha).await, portal.browser());
    let page = here.open(MFA).await;
    here.submit(&page, &format!("{MFA}/activation"), &[]).await.location();
    let key = here.open(MFA).await.by_id("code", "cle").expect("the key is shown");
    let code_now = code(&portal, &key, 0).await;
    // The sign-in was let in without a code, and stands before its last statement.
    let held = portal.hold_known_browsers().await;
    let sign_in = signing_in(&there, &sacha);
    portal.until_locked(1).await;
    let confirm = tokio::spawn({
        let here = here.clone();
        async move { here.post(&format!("{MFA}/confirmation"), &[("code", &code_now)]).await }
    });
    // It waits for the sign-in, or is through.
    tokio::time::sleep(std::time::Duration::from_millis(500)).await;
    held.commit().await.expect("released");
    sign_in.await.expect("no panic");
    assert_eq!(confirm.await.expect("no panic").status, 200);
    assert!(is_in(&here).await && !is_in(&there).await);
}

#[tokio::test]
async fn a_sign_in_that_waits_for_the_set_up_of_a_second_factor_asks_for_the_code() {
    let portal = TestPortal::start().await;
    let sacha = portal.person("Sacha").await;
    let here = portal.signed_in(&sacha).await;
    let page = here.open(MFA).await;
    here.submit(&page, &format!("{MFA}/activation"), &[]).await.location();
    let setup = portal.begin_confirming_second_factor(&sacha).await;
    let there = portal.browser();
    let sign_in = signing_in(&there, &sacha);
    portal.until_locked(1).await;
    setup.commit().await.expect("in force");
    assert_eq!(sign_in.await.expect("no panic").location(), CODE);
    assert!(!is_in(&there).await);
}

#[tokio::test]
async fn a_session_that_ended_meanwhile_changes_no_second_factor() {
    let portal = TestPortal::start().await;
    let sacha = portal.person("Sacha").await;
    for (act, expected) in
        [("activation", "0 0"), ("confirmation", "1 0"), ("codes-de-secours", "1 1"), ("desactivation", "1 1")]
    {
        portal.forget_second_factors().await;
        let browser = portal.signed_in(&sacha).await;
        let mut typed = String::new();
        if act == "confirmation" {
            browser.submit(&browser.open(MFA).await, &format!("{MFA}/activation"), &[]).await.location();
            typed = code(&portal, &browser.open(MFA).await.by_id("code", "cle").expect("the key"), 0).await;
        } else if act != "activation" {
            enrol(&portal, &browser).await;
        }
        let codes = portal.recovery_codes().await;
        let closing = portal.begin_closing_sessions().await;
        let acting = tokio::spawn({
            let browser = browser.clone();
            async move { browser.post(&format!("{MFA}/{act}"), &[("code", &typed)]).await }
        });
        portal.until_locked(1).await;
        closing.commit().await.expect("closed for good");
        acting.await.expect("no panic");
        assert_eq!(portal.second_factors().await, expected, "{act}");
        assert_eq!(portal.recovery_codes().await, codes, "{act}");
    }
}

#[tokio::test]
async fn a_new_password_ends_a_second_factor_that_another_has_begun_to_set_up() {
    let portal = TestPortal::start().await;
    let sacha = portal.person("Sacha").await;
    let (thief, owner) = (portal.signed_in(&sacha).await, portal.signed_in(&sacha).await);
    thief.submit(&thief.open(MFA).await, &format!("{MFA}/activation"), &[]).await.location();
    changing(&owner, PASSWORD, NEW).await.expect("no panic").location();
    assert_eq!(owner.open(MFA).await.by_id("code", "cle"), None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn links_and_changes_of_one_person_never_wait_for_each_other_in_a_circle() {
    let portal = TestPortal::start().await;
    for round in 0..5 {
        let person = portal.person(&format!("Personne-{round}")).await;
        let (mut browsers, mut links) = (Vec::new(), Vec::new());
        for _ in 0..3 {
            browsers.push(portal.signed_in(&person).await);
            links.push(portal.invitation(&person).await);
        }
        let answers = together(6, |number| {
            let (browser, link) = (browsers[number / 2].clone(), links[number / 2].clone());
            async move {
                if number % 2 == 0 {
                    return browser.post(&link, &[("nouveau-mot-de-passe", NEW)]).await.status.as_u16();
                }
                changing(&browser, PASSWORD, THEIRS).await.expect("no panic").status.as_u16()
            }
        })
        .await;
        assert!(answers.iter().all(|status| *status < 500), "{answers:?}");
    }
}

const ADDRESS: &str = "/mon-compte/adresse-de-contact";
const THIEF: &str = "voleur@autre.example";

/// Sends the waiting mails; the link with this path that went to this address, if one did.
async fn mailed_link(portal: &TestPortal, recipient: &str, path: &str) -> Option<String> {
    let mails = portal.send_mails().await;
    let mut to = mails.iter().filter(|mail| mail.contains(&format!("To: {recipient}")));
    let token = to.find_map(|mail| mail.split(path).nth(1)?.get(..43))?;
    Some(format!("{path}{token}"))
}

/// Another person who knows the password names their own address; the link that confirms it.
async fn take_address(portal: &TestPortal, thief: &Browser, address: &str) -> String {
    thief.post(ADDRESS, &[("adresse-de-contact", address)]).await.location();
    mailed_link(portal, address, "/confirmation-adresse/").await.expect("a link to confirm")
}

async fn forgot(portal: &TestPortal, named: &str) {
    portal.browser().post("/mot-de-passe-oublie", &[("identifiant", named)]).await.location();
}

#[tokio::test]
async fn a_session_that_ended_meanwhile_changes_no_contact_address() {
    let portal = TestPortal::start().await;
    let sacha = portal.person("Sacha").await;
    let thief = portal.signed_in(&sacha).await;
    let closing = portal.begin_closing_sessions().await;
    let acting = tokio::spawn(async move { thief.post(ADDRESS, &[("adresse-de-contact", THIEF)]).await });
    portal.until_locked(1).await;
    closing.commit().await.expect("closed for good");
    assert_eq!(acting.await.expect("no panic").location(), "/connexion?avis=session-expired");
    assert_eq!(portal.contact_address_of(&sacha).await, sacha.contact_address);
    assert!(portal.mails().await.is_empty());
}

#[tokio::test]
async fn a_session_that_ended_meanwhile_makes_no_calendar_link_and_mails_no_confirmation() {
    let portal = TestPortal::start().await;
    let (manager, _) = portal.manager().await;
    let thief = portal.signed_in(&manager).await;
    thief.post(ADDRESS, &[("adresse-de-contact", THIEF)]).await.location();
    let mails = portal.mails().await.len();
    for act in ["/activites/echeances", "/mon-compte/adresse-de-contact/confirmation"] {
        let thief = portal.signed_in(&manager).await;
        let closing = portal.begin_closing_sessions().await;
        let acting = tokio::spawn(async move { thief.post(act, &[]).await });
        portal.until_locked(1).await;
        closing.commit().await.expect("closed for good");
        assert_eq!(acting.await.expect("no panic").location(), "/connexion?avis=session-expired", "{act}");
    }
    assert_eq!((portal.calendar_links().await, portal.mails().await.len()), (0, mails));
}

#[tokio::test]
async fn a_link_mailed_to_the_confirmed_address_outlives_every_change_of_the_address() {
    let portal = TestPortal::start().await;
    let sacha = portal.person("Sacha").await;
    let thief = portal.signed_in(&sacha).await;
    forgot(&portal, &sacha.login).await;
    let link = mailed_link(&portal, &sacha.contact_address, "/invitation/").await.expect("a link");
    let confirmation = take_address(&portal, &thief, THIEF).await;
    portal.browser().open(&link).await;
    portal.browser().post(&confirmation, &[]).await.location();
    let page = portal.browser().open(&link).await;
    page.assert_says(&format!("Votre adresse de contact redeviendra {}", sacha.contact_address));
    let answer = portal.browser().post(&link, &[("nouveau-mot-de-passe", NEW)]).await;
    assert_eq!(answer.location(), "/connexion?avis=password-chosen");
    assert_eq!(portal.contact_address_of(&sacha).await, sacha.contact_address);
    assert!(!is_in(&thief).await);
}

#[tokio::test]
async fn an_address_that_waits_to_be_confirmed_is_dropped_by_the_owners_link() {
    let portal = TestPortal::start().await;
    let (manager, structure) = portal.manager().await;
    let thief = portal.signed_in(&manager).await;
    let id = portal.create_account(&thief, structure.id, "ERP").await;
    let confirmation = take_address(&portal, &thief, THIEF).await;
    forgot(&portal, &manager.login).await;
    let link = mailed_link(&portal, &manager.contact_address, "/invitation/").await.expect("a link");
    portal.browser().post(&link, &[("nouveau-mot-de-passe", NEW)]).await.location();
    assert_eq!(portal.contact_address_of(&manager).await, manager.contact_address);
    portal.browser().post(&confirmation, &[]).await.refusal(404);
    let owner = portal.browser();
    owner.post("/connexion", &[("identifiant", &manager.login), ("mot-de-passe", NEW)]).await.location();
    let account = owner.open(&format!("/utilisateurs-techniques/{id}")).await;
    assert!(account.fact("Adresse de contact").starts_with(&manager.contact_address));
    let history = owner.open(&format!("/structures/{}/historique", structure.id)).await;
    assert_eq!(history.text().matches("Modification de l’adresse de contact").count(), 3, "two events and the filter");
    assert!(!owner.open("/mon-compte").await.text().contains("À confirmer"));
}

/// What waits in a person's name needs no session, and does not outlive the sessions that may have
/// begun it.
#[tokio::test]
async fn what_another_session_began_ends_with_a_new_password_and_with_the_other_sessions() {
    let new = [("mot-de-passe-actuel", PASSWORD), ("nouveau-mot-de-passe", NEW)];
    let others = "/mon-compte/sessions/fermeture";
    for (act, fields) in [(CHANGE, &new[..]), (others, &[]), ("this session", &[]), ("second factor", &[])] {
        let portal = TestPortal::start().await;
        let (manager, structure) = portal.manager().await;
        let noor = portal.person("Noor").await;
        portal.attach(&noor, &structure, Role::User).await;
        let (thief, heir) = (portal.signed_in(&manager).await, portal.signed_in(&noor).await);
        let offer = format!("/structures/{}/gestionnaire-principal", structure.id);
        thief.post(&offer, &[("membre", &noor.id.to_string())]).await.location();
        let made = thief.post("/activites/echeances", &[]).await.body_text();
        let calendar = made.split("/calendrier/").nth(1).and_then(|rest| rest.get(..43)).expect("a link");
        let calendar = format!("/calendrier/{calendar}");
        let confirmation = take_address(&portal, &thief, THIEF).await;
        assert_eq!(portal.browser().get(&calendar).await.status, 200);
        let session = portal.latest_session_of(&manager).await;
        let owner = portal.signed_in(&manager).await;
        match act {
            "this session" => {
                owner.post(&format!("/mon-compte/sessions/{session}/fermeture"), &[]).await.location();
            }
            "second factor" => {
                enrol(&portal, &owner).await;
            }
            _ => {
                owner.post(act, fields).await.location();
            }
        }
        portal.browser().get(&calendar).await.refusal(404);
        portal.browser().post(&confirmation, &[]).await.refusal(404);
        heir.get(&format!("/mon-compte/propositions/{}", structure.id)).await.refusal(404);
        assert_eq!(portal.events_of("SUCCESSION_WITHDRAWN").await, 1, "{act}");
    }
}

/// A copy of the cookie is no session of its own, which could be closed: it ends with the others.
#[tokio::test]
async fn a_copied_cookie_ends_where_the_other_sessions_end() {
    let new = [("mot-de-passe-actuel", PASSWORD), ("nouveau-mot-de-passe", NEW)];
    for act in ["password", "others", "second factor"] {
        let portal = TestPortal::start().await;
        let (manager, structure) = portal.manager().await;
        let noor = portal.person("Noor").await;
        portal.attach(&noor, &structure, Role::User).await;
        let owner = portal.signed_in(&manager).await;
        let thief = portal.browser();
        thief.set_cookies(owner.cookies());
        let offer = format!("/structures/{}/gestionnaire-principal", structure.id);
        thief.post(&offer, &[("membre", &noor.id.to_string())]).await.location();
        thief.post("/activites/echeances", &[]).await.page();
        match act {
            "password" => {
                thief.submit(&thief.open(MFA).await, &format!("{MFA}/activation"), &[]).await.location();
                owner.post(CHANGE, &new).await.location();
            }
            "others" => {
                owner.post("/mon-compte/sessions/fermeture", &[]).await.location();
            }
            _ => {
                enrol(&portal, &owner).await;
            }
        }
        assert!(is_in(&owner).await && !is_in(&thief).await, "{act}");
        assert_eq!((portal.calendar_links().await, portal.count("succession_offers").await), (0, 0), "{act}");
        assert_eq!(portal.number("SELECT count(*) FROM second_factors WHERE confirmed_at IS NULL", &[]).await, 0);
        if act == "second factor" {
            thief.set_cookies(owner.cookies());
            owner.post(&format!("{MFA}/desactivation"), &[]).await.location();
            assert!(is_in(&owner).await && !is_in(&thief).await);
        }
    }
}

/// What the owner's own session began stays, where another one is closed.
#[tokio::test]
async fn what_the_session_that_stays_began_stays() {
    let portal = TestPortal::start().await;
    let (manager, structure) = portal.manager().await;
    let noor = portal.person("Noor").await;
    portal.attach(&noor, &structure, Role::User).await;
    let thief = portal.signed_in(&manager).await;
    let session = portal.latest_session_of(&manager).await;
    let owner = portal.signed_in(&manager).await;
    let offer = format!("/structures/{}/gestionnaire-principal", structure.id);
    owner.post(&offer, &[("membre", &noor.id.to_string())]).await.location();
    owner.post("/activites/echeances", &[]).await;
    owner.submit(&owner.open(MFA).await, &format!("{MFA}/activation"), &[]).await.location();
    owner.post(&format!("/mon-compte/sessions/{session}/fermeture"), &[]).await.location();
    assert!(!is_in(&thief).await);
    assert_eq!((portal.calendar_links().await, portal.count("succession_offers").await), (1, 1));
    assert!(owner.open(MFA).await.by_id("code", "cle").is_some());
}

/// A second factor that is set up belongs to its session: its secret is shown, and its code is
/// taken, in no other one of the person.
#[tokio::test]
async fn a_set_up_is_shown_and_confirmed_in_its_session_alone() {
    let portal = TestPortal::start().await;
    let sacha = portal.person("Sacha").await;
    let (thief, owner) = (portal.signed_in(&sacha).await, portal.signed_in(&sacha).await);
    let begin = async |browser: &Browser| {
        browser.submit(&browser.open(MFA).await, &format!("{MFA}/activation"), &[]).await.location();
        browser.open(MFA).await.by_id("code", "cle").expect("the key is shown")
    };
    let confirm = async |browser: &Browser, key: &str| {
        browser.post(&format!("{MFA}/confirmation"), &[("code", &code(&portal, key, 0).await)]).await
    };
    let theirs = begin(&thief).await;
    assert_eq!(owner.open(MFA).await.by_id("code", "cle"), None);
    confirm(&owner, &theirs).await.location();
    // Another set-up takes its place, and its code is no longer taken.
    let own = begin(&owner).await;
    assert_eq!(thief.open(MFA).await.by_id("code", "cle"), None);
    for key in [&theirs, &own] {
        confirm(&thief, key).await.location();
    }
    assert_eq!(portal.confirmed_second_factors().await, 0);
    assert_eq!(confirm(&owner, &own).await.status, 200);
    assert_eq!(portal.confirmed_second_factors().await, 1);
}

#[tokio::test]
async fn whoever_takes_an_account_back_sets_a_second_factor_up_at_once() {
    let portal = TestPortal::start().await;
    let sacha = portal.person("Sacha").await;
    let thief = portal.signed_in(&sacha).await;
    let begin = format!("{MFA}/activation");
    for _ in 0..10 {
        thief.post(&begin, &[]).await.location();
    }
    assert_eq!(thief.post(&begin, &[]).await.status, 429);
    portal.browser().post(&portal.invitation(&sacha).await, &[("nouveau-mot-de-passe", NEW)]).await.location();
    let owner = portal.browser();
    owner.post("/connexion", &[("identifiant", &sacha.login), ("mot-de-passe", NEW)]).await.location();
    owner.post(&begin, &[]).await.location();
}

/// Whoever receives a mail can put it off: its link is made as it is sent.
#[tokio::test]
async fn a_mail_that_waits_brings_no_link_of_a_session_that_has_ended() {
    let portal = TestPortal::start().await;
    let sacha = portal.person("Sacha").await;
    let (thief, owner) = (portal.signed_in(&sacha).await, portal.signed_in(&sacha).await);
    thief.post(ADDRESS, &[("adresse-de-contact", THIEF)]).await.location();
    for _ in 0..2 {
        thief.post("/mon-compte/adresse-de-contact/confirmation", &[]).await.location();
    }
    owner.post("/mon-compte/sessions/fermeture", &[]).await.location();
    assert_eq!(mailed_link(&portal, THIEF, "/confirmation-adresse/").await, None);
    // The owner may ask for another, which those before do not use up.
    owner.post("/mon-compte/adresse-de-contact/confirmation", &[]).await.location();
    assert!(mailed_link(&portal, THIEF, "/confirmation-adresse/").await.is_some());
}

/// Acts of one person do not pass before what ends their sessions, which already waits.
#[tokio::test(flavor = "multi_thread")]
async fn no_act_overtakes_what_ends_its_session() {
    let portal = TestPortal::start().await;
    let (manager, structure) = portal.manager().await;
    let (thief, owner) = (portal.signed_in(&manager).await, portal.signed_in(&manager).await);
    let action = format!("/structures/{}/utilisateurs-techniques", structure.id);
    let form = thief.open(&format!("{action}/nouveau")).await;
    let held = portal.share_person(&manager).await;
    let ending = tokio::spawn(async move { owner.post("/mon-compte/sessions/fermeture", &[]).await });
    portal.until_locked_or(1, || ending.is_finished()).await;
    let creating = tokio::spawn(async move { thief.submit(&form, &action, &[("libelle", "Paie")]).await });
    portal.until_locked_or(2, || creating.is_finished()).await;
    held.commit().await.expect("the commit");
    ending.await.expect("no panic").location();
    creating.await.expect("no panic");
    assert_eq!(portal.count("technical_users").await, 0);
}

/// The whole takeover: the thief's address is confirmed, and still the old mailbox wins.
#[tokio::test]
async fn for_fourteen_days_the_former_mailbox_takes_an_account_back_from_a_confirmed_address() {
    let mut portal = TestPortal::start().await;
    let sacha = portal.person("Sacha").await;
    let thief = portal.signed_in(&sacha).await;
    for address in [THIEF, "autre-voleur@autre.example"] {
        let confirmation = take_address(&portal, &thief, address).await;
        portal.browser().post(&confirmation, &[]).await.location();
    }
    let told = portal.mails_of("contact_address_changed").await;
    assert!(told.iter().any(|mail| mail.recipient == sacha.contact_address));
    // What is done then is told to the former mailbox, too.
    changing(&thief, PASSWORD, THEIRS).await.expect("no panic").location();
    let told = portal.mails_of("password_chosen").await;
    assert!(told.iter().any(|mail| mail.recipient == sacha.contact_address), "{told:?}");
    portal.move_clock("13 days").await;
    // Each mailbox gets a link of its own; the thief's ends none of the owner's.
    forgot(&portal, &sacha.contact_address).await;
    let mails = portal.send_mails().await;
    let link = |recipient: &str| {
        let mut to = mails.iter().filter(|mail| mail.contains(&format!("To: {recipient}")));
        let token = to.find_map(|mail| mail.split("/invitation/").nth(1)?.get(..43)).expect("a link");
        format!("/invitation/{token}")
    };
    let (theirs, own) = (link("autre-voleur@autre.example"), link(&sacha.contact_address));
    portal.browser().post(&theirs, &[("nouveau-mot-de-passe", THEIRS)]).await.location();
    portal.browser().post(&own, &[("nouveau-mot-de-passe", NEW)]).await.location();
    assert_eq!(portal.contact_address_of(&sacha).await, sacha.contact_address);
    let sent = portal.mails_of("password_forgotten").await.len();
    for named in [THIEF, "autre-voleur@autre.example"] {
        forgot(&portal, named).await;
    }
    assert_eq!(portal.mails_of("password_forgotten").await.len(), sent, "they name no account any more");
    let owner = portal.browser();
    owner.post("/connexion", &[("identifiant", &sacha.login), ("mot-de-passe", NEW)]).await.location();
}

/// Without a link: the owner returns to their own address in the portal.
#[tokio::test]
async fn a_thiefs_confirmed_address_is_no_way_back_once_the_owner_has_returned_to_their_own() {
    let mut portal = TestPortal::start().await;
    let sacha = portal.person("Sacha").await;
    let (thief, owner) = (portal.signed_in(&sacha).await, portal.signed_in(&sacha).await);
    let confirmation = take_address(&portal, &thief, THIEF).await;
    portal.browser().post(&confirmation, &[]).await.location();
    let confirmation = take_address(&portal, &owner, &sacha.contact_address).await;
    portal.browser().post(&confirmation, &[]).await.location();
    assert!(!owner.open("/mon-compte").await.text().contains(THIEF));
    let sent = portal.mails_of("password_forgotten").await.len();
    forgot(&portal, &sacha.login).await;
    let links = portal.mails_of("password_forgotten").await;
    assert_eq!(links.len(), sent + 1, "{links:?}");
    assert!(links.iter().all(|mail| mail.recipient != THIEF), "{links:?}");
    portal.move_clock("15 days").await;
    forgot(&portal, THIEF).await;
    assert_eq!(portal.mails_of("password_forgotten").await.len(), sent + 1);
}

#[tokio::test]
async fn a_former_mailbox_counts_for_nothing_after_fourteen_days() {
    let mut portal = TestPortal::start().await;
    let sacha = portal.person("Sacha").await;
    let browser = portal.signed_in(&sacha).await;
    let confirmation = take_address(&portal, &browser, "nouvelle@exemple.fr").await;
    portal.browser().post(&confirmation, &[]).await.location();
    forgot(&portal, &sacha.login).await;
    let recipients = async |portal: &TestPortal| {
        let mut mails: Vec<_> =
            portal.mails_of("password_forgotten").await.into_iter().map(|mail| mail.recipient).collect();
        mails.sort();
        mails
    };
    assert_eq!(recipients(&portal).await, [sacha.contact_address.as_str(), "nouvelle@exemple.fr"]);
    portal.send_mails().await;
    portal.move_clock("15 days").await;
    forgot(&portal, &sacha.contact_address).await;
    assert_eq!(recipients(&portal).await.len(), 2, "it names no account any more");
    forgot(&portal, &sacha.login).await;
    assert_eq!(recipients(&portal).await.len(), 3);
}
