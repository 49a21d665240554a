//! « Mot de passe oublié »: a link by mail for a known person, and the same answer for all.

use raccord::{db::identity::invitations, domain::random};

use crate::common::{PASSWORD, Person, TestPortal};

const FORGOTTEN: &str = "/mot-de-passe-oublie";
const ANSWER: &str = "/mot-de-passe-oublie?avis=password-link-asked";
const NEW: &str = "neuf barques sur le lac";

/// Sends the waiting mails as the mail sender does; the links in them.
async fn links_mailed(portal: &TestPortal) -> Vec<String> {
    let mails = portal.send_mails().await;
    let links = mails.iter().filter_map(|mail| mail.split("/invitation/").nth(1)?.get(..43));
    links.map(|token| format!("/invitation/{token}")).collect()
}

async fn ask(portal: &TestPortal, named: &str) -> String {
    let page = portal.browser().open(FORGOTTEN).await;
    portal.browser().submit(&page, FORGOTTEN, &[("identifiant", named)]).await.location()
}

async fn sign_in(portal: &TestPortal, person: &Person, password: &str) -> u16 {
    let fields = [("identifiant", person.login.as_str()), ("mot-de-passe", password)];
    portal.browser().post("/connexion", &fields).await.status.as_u16()
}

#[tokio::test]
async fn a_forgotten_password_is_replaced_by_a_link_that_serves_once() {
    let portal = TestPortal::start().await;
    let noor = portal.person("Noor").await;
    let open = portal.signed_in(&noor).await;
    let browser = portal.browser();
    let start = browser.open("/connexion").await;
    assert_eq!(start.link("Mot de passe oublié"), FORGOTTEN);
    assert_eq!(ask(&portal, " NOOR.martin@exemple.fr ").await, ANSWER);
    let links = links_mailed(&portal).await;
    let [link] = links.as_slice() else { panic!("{links:?}") };
    let page = browser.open(link).await;
    page.assert_says("choisissez un nouveau mot de passe");
    assert_eq!(sign_in(&portal, &noor, PASSWORD).await, 303, "the old one is good until then");
    let choose = async |password| browser.submit(&page, link, &[("nouveau-mot-de-passe", password)]).await;
    choose("trop court").await.refusal(422);
    assert_eq!(choose(NEW).await.location(), "/connexion?avis=password-chosen");
    choose("encore un autre mot de passe").await.refusal(404);
    assert_eq!(open.get("/mon-compte").await.location(), "/connexion?avis=session-expired&suite=%2Fmon-compte");
    assert_eq!((sign_in(&portal, &noor, PASSWORD).await, sign_in(&portal, &noor, NEW).await), (422, 303));
    let events = portal.events().await;
    assert!(events.contains(&"PASSWORD_LINK_ASKED".into()) && events.contains(&"PASSWORD_CHOSEN".into()), "{events:?}");
    let told: Vec<String> =
        ["password_forgotten", "password_chosen"].map(|kind| format!("{} {kind}", noor.contact_address)).into();
    assert_eq!(portal.mails().await, told);
}

#[tokio::test]
async fn the_answer_does_not_reveal_known_people() {
    let portal = TestPortal::start().await;
    let noor = portal.person("Noor").await;
    for named in
        [noor.login.as_str(), noor.contact_address.as_str(), "inconnue@exemple.fr", "TECH_1_X@cpro.fr", "'\"<%"]
    {
        assert_eq!(ask(&portal, named).await, ANSWER, "{named}");
    }
    assert_eq!(portal.events().await, ["PASSWORD_LINK_ASKED"; 5]);
    portal
        .browser()
        .post(FORGOTTEN, &[("identifiant", " ")])
        .await
        .refusal(422)
        .assert_says("Saisissez votre identifiant");
    assert_eq!(portal.mails().await.len(), 1, "one mail is on its way already");
    links_mailed(&portal).await;
    ask(&portal, &noor.login).await;
    assert_eq!(portal.mails().await.len(), 1, "and its link is fresh");
}

#[tokio::test]
async fn a_link_lives_its_hour_despite_other_requests_and_dies_with_the_first_use() {
    let mut portal = TestPortal::start().await;
    let noor = portal.person("Noor").await;
    ask(&portal, &noor.login).await;
    let first = links_mailed(&portal).await.remove(0);
    ask(&portal, &noor.login).await;
    assert_eq!(portal.unsent_mails().await, 0, "none within five minutes");
    portal.move_clock("6 minutes").await;
    ask(&portal, &noor.login).await;
    let second = links_mailed(&portal).await.remove(0);
    portal.browser().open(&first).await;
    portal.move_clock("59 minutes").await;
    portal.browser().open(&first).await;
    portal.move_clock("61 minutes").await;
    let over = portal.browser().get(&first).await.refusal(404);
    assert_eq!(over.link("Demander un nouveau lien"), FORGOTTEN);
    portal.browser().post(&first, &[("nouveau-mot-de-passe", NEW)]).await.refusal(404);
    portal.browser().open(&second).await;
    ask(&portal, &noor.login).await;
    let third = links_mailed(&portal).await.remove(0);
    portal.browser().post(&second, &[("nouveau-mot-de-passe", NEW)]).await.location();
    portal.browser().get(&third).await.refusal(404);
}

#[tokio::test]
async fn changing_the_password_kills_a_link_that_waits() {
    let portal = TestPortal::start().await;
    let noor = portal.person("Noor").await;
    ask(&portal, &noor.login).await;
    let link = links_mailed(&portal).await.remove(0);
    let fields = [("mot-de-passe-actuel", PASSWORD), ("nouveau-mot-de-passe", NEW)];
    portal.signed_in(&noor).await.post("/mon-compte/mot-de-passe", &fields).await.location();
    portal.browser().get(&link).await.refusal(404);
}

#[tokio::test]
async fn the_database_holds_no_link() {
    let portal = TestPortal::start().await;
    let noor = portal.person("Noor").await;
    ask(&portal, &noor.login).await;
    let link = links_mailed(&portal).await.remove(0);
    let token = link.trim_start_matches("/invitation/");
    let dump = String::from_utf8_lossy(&crate::common::pg_dump(portal.database_url())).into_owned();
    assert!(dump.contains("password_forgotten") && !dump.contains(token));
    assert!(invitations::find(&portal.pool, &random::digest(token)).await.unwrap().is_some());
}

#[tokio::test]
async fn requests_are_slowed_for_one_name_from_one_network() {
    let portal = TestPortal::start().await;
    for named in ["inconnue@exemple.fr", "noor.martin@exemple.fr"] {
        portal.person(named.split('.').next().unwrap()).await;
        let post = async |address: &str| {
            portal.browser().with_address(address).post(FORGOTTEN, &[("identifiant", named)]).await
        };
        for _ in 0..5 {
            assert_eq!(post("203.0.113.5").await.location(), ANSWER);
        }
        let slowed = post("203.0.113.9").await;
        slowed.refusal(429).assert_says("Trop de demandes. Veuillez patienter");
        assert_eq!(slowed.header("retry-after"), Some("2"));
        assert_eq!(post("192.0.2.5").await.location(), ANSWER);
    }
}

/// Each request is an event that stays for good: strangers must not fill the history.
#[tokio::test]
async fn a_hundred_requests_of_one_network_are_taken_and_the_next_writes_nothing() {
    let mut portal = TestPortal::start().await;
    let noor = portal.person("Noor").await;
    let post = async |portal: &TestPortal, address: &str, named: &str| {
        portal.browser().with_address(address).post(FORGOTTEN, &[("identifiant", named)]).await
    };
    for number in 0..100 {
        let named = format!("inconnue-{number}@exemple.fr");
        assert_eq!(post(&portal, &format!("203.0.113.{number}"), &named).await.location(), ANSWER);
    }
    let written = async |portal: &TestPortal| {
        [portal.count("audit_events").await, portal.count("throttles").await, portal.count("mails").await]
    };
    let before = written(&portal).await;
    for named in ["encore@exemple.fr", noor.login.as_str()] {
        let refused = post(&portal, "203.0.113.7", named).await;
        assert_eq!(refused.header("retry-after"), Some("600"));
        let page = refused.refusal(429);
        page.assert_says("Réessayez dans dix minutes.");
        assert_eq!(page.field("identifiant"), named, "what was typed is kept, and tells nothing");
    }
    assert_eq!(written(&portal).await, before);
    assert_eq!(post(&portal, "192.0.2.5", &noor.login).await.location(), ANSWER, "others are served");
    assert_eq!(portal.mails().await.len(), 1);
    portal.move_clock("11 minutes").await;
    assert_eq!(post(&portal, "203.0.113.7", "encore@exemple.fr").await.location(), ANSWER);
}

/// An address that is not confirmed may be a stranger's: no link that opens the account goes there.
#[tokio::test]
async fn a_link_that_waited_in_the_outbox_goes_to_a_mailbox_of_now() {
    let portal = TestPortal::start().await;
    let noor = portal.person("Noor").await;
    let browser = portal.signed_in(&noor).await;
    ask(&portal, &noor.login).await;
    browser.post("/mon-compte/adresse-de-contact", &[("adresse-de-contact", "nouvelle@exemple.fr")]).await.location();
    let mails = portal.send_mails().await;
    let links: Vec<_> = mails.iter().filter(|mail| mail.contains("/invitation/")).collect();
    assert!(links.len() == 1 && links[0].contains(&format!("To: {}", noor.contact_address)), "{mails:?}");
    let confirmation = mails.iter().find_map(|mail| mail.split("/confirmation-adresse/").nth(1)?.get(..43));
    // Written before the confirmation, sent after it: while the former mailbox is a way back, and
    // when it is none any more.
    let confirm = format!("/confirmation-adresse/{}", confirmation.expect("a link"));
    for (end, to) in [
        ("UPDATE recovery_addresses SET ends_at = ends_at", noor.contact_address.as_str()),
        ("DELETE FROM recovery_addresses", "nouvelle@exemple.fr"),
    ] {
        portal.execute("DELETE FROM invitations").await;
        ask(&portal, &noor.login).await;
        portal.browser().post(&confirm, &[]).await;
        portal.execute(end).await;
        let mails = portal.send_mails().await;
        let links: Vec<_> = mails.iter().filter(|mail| mail.contains("/invitation/")).collect();
        assert!(!links.is_empty() && links.iter().any(|mail| mail.contains(&format!("To: {to}"))), "{mails:?}");
        assert!(
            to == noor.contact_address || links.iter().all(|mail| mail.contains(&format!("To: {to}"))),
            "{mails:?}"
        );
    }
}

/// An address that was never confirmed may be a stranger's, whom others could have mailed for ever.
#[tokio::test]
async fn an_unconfirmed_address_gets_ten_links_a_day_whatever_is_asked() {
    let mut portal = TestPortal::start().await;
    let (manager, structure) = portal.manager().await;
    let form = [("adresse", "tiers@autre.example"), ("prenom", "Lou"), ("nom", "Petit"), ("role", "UTILISATEUR")];
    let invitation = format!("/structures/{}/membres/invitation", structure.id);
    portal.signed_in(&manager).await.post(&invitation, &form).await.location();
    let ask = async |portal: &TestPortal, number: usize, named: &str| {
        let browser = portal.browser().with_address(&format!("203.0.{number}.5"));
        browser.post(FORGOTTEN, &[("identifiant", named)]).await.location();
        // Each was sent, and long ago.
        portal.execute("UPDATE mails SET sent_at = portal_now() WHERE sent_at IS NULL; DELETE FROM invitations").await;
    };
    for number in 0..15 {
        ask(&portal, number, "tiers@autre.example").await;
        ask(&portal, number + 100, &manager.login).await;
    }
    let mails = portal.mails_of("password_forgotten").await;
    let to = |address: &str| mails.iter().filter(|mail| mail.recipient == address).count();
    assert_eq!((to("tiers@autre.example"), to(&manager.contact_address)), (10, 15));
    portal.move_clock("25 hours").await;
    ask(&portal, 50, "tiers@autre.example").await;
    assert_eq!(portal.mails_of("password_forgotten").await.len(), 26);
}

#[tokio::test]
async fn one_address_asks_forty_times_and_leaves_its_network_to_others() {
    let portal = TestPortal::start().await;
    let post = async |address: &str, number: usize| {
        let named = format!("inconnue-{number}@exemple.fr");
        portal.browser().with_address(address).post(FORGOTTEN, &[("identifiant", &named)]).await
    };
    for number in 0..40 {
        assert_eq!(post("203.0.113.7", number).await.location(), ANSWER);
    }
    let refused = post("203.0.113.7", 40).await;
    assert_eq!(refused.header("retry-after"), Some("600"));
    refused.refusal(429).assert_says("depuis un autre réseau");
    for number in 0..20 {
        assert_eq!(post("203.0.113.8", 100 + number).await.location(), ANSWER);
    }
}

#[tokio::test]
async fn a_known_browser_is_served_by_contact_address_too_whatever_neighbours_ask() {
    let portal = TestPortal::start().await;
    let noor = portal.person("Noor").await;
    let known = portal.signed_in(&noor).await;
    for number in 0..40 {
        let named = format!("inconnue-{number}@exemple.fr");
        portal.browser().post(FORGOTTEN, &[("identifiant", &named)]).await.location();
    }
    for named in [noor.login.as_str(), "CONTACT-noor@exemple.fr"] {
        portal.browser().post(FORGOTTEN, &[("identifiant", named)]).await.refusal(429);
        assert_eq!(known.post(FORGOTTEN, &[("identifiant", named)]).await.location(), ANSWER, "{named}");
    }
    // The mark is that of one person, whatever else is named.
    known.post(FORGOTTEN, &[("identifiant", "inconnue@exemple.fr")]).await.refusal(429);
}
