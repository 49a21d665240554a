//! Contact addresses: confirmed by a link, they identify a person; until then they do not, and few
//! mails go there. Who is invited is named to the manager once they have signed in.

use raccord::{
    db::outbox::{self, Cause},
    domain::{
        notification::{AccountNotification, Notification, SecondFactorChange},
        role::Role,
    },
};
use time::OffsetDateTime;

use crate::common::{Answer, Browser, PASSWORD, Structure, TestPortal};

const ADDRESS: &str = "/mon-compte/adresse-de-contact";
const FORGOTTEN: &str = "/mot-de-passe-oublie";

async fn name_address(browser: &Browser, address: &str) -> Answer {
    browser.post(ADDRESS, &[("adresse-de-contact", address)]).await
}

async fn invite(browser: &Browser, structure: &Structure, address: &str) -> Answer {
    let fields = [("adresse", address), ("prenom", "Lou"), ("nom", "Petit"), ("role", "UTILISATEUR")];
    browser.post(&format!("/structures/{}/membres/invitation", structure.id), &fields).await
}

/// Sends the waiting mails; the links to confirm an address that are in them, oldest first.
async fn confirmations(portal: &TestPortal) -> Vec<String> {
    let mails = portal.send_mails().await;
    let tokens = mails.iter().filter_map(|mail| mail.split("/confirmation-adresse/").nth(1)?.get(..43));
    tokens.map(|token| format!("/confirmation-adresse/{token}")).collect()
}

async fn ask_link(portal: &TestPortal, named: &str) {
    portal.browser().post(FORGOTTEN, &[("identifiant", named)]).await.location();
}

#[tokio::test]
async fn naming_the_address_of_another_person_invites_no_one_in_their_place() {
    let portal = TestPortal::start().await;
    let (manager, structure) = portal.manager().await;
    let hugo = portal.person("Hugo").await;
    name_address(&portal.signed_in(&hugo).await, "Directrice@mairie.example").await.location();
    invite(&portal.signed_in(&manager).await, &structure, "directrice@mairie.example").await.location();
    assert_eq!(portal.full_names().await, ["Camille Martin", "Hugo Martin", "Lou Petit"]);
    assert!(portal.roles_of(&hugo).await.is_empty());
    assert!(portal.mails().await.contains(&"directrice@mairie.example invitation".to_owned()));
}

#[tokio::test]
async fn an_address_that_is_not_confirmed_gets_neither_links_nor_notices_about_its_person() {
    let portal = TestPortal::start().await;
    let hugo = portal.person("Hugo").await;
    let browser = portal.signed_in(&hugo).await;
    name_address(&browser, "tiers@autre.example").await.location();
    ask_link(&portal, "tiers@autre.example").await;
    assert!(portal.mails_of("password_forgotten").await.is_empty(), "it identifies no person");
    ask_link(&portal, &hugo.login).await;
    let fields = [("mot-de-passe-actuel", PASSWORD), ("nouveau-mot-de-passe", "neuf barques sur le lac")];
    browser.post("/mon-compte/mot-de-passe", &fields).await.location();
    for kind in ["password_forgotten", "password_chosen"] {
        let recipients: Vec<_> = portal.mails_of(kind).await.into_iter().map(|mail| mail.recipient).collect();
        assert_eq!(recipients, [hugo.contact_address.as_str()], "{kind}");
    }
}

#[tokio::test]
async fn a_stranger_whose_address_is_named_gets_few_mails() {
    let portal = TestPortal::start().await;
    let (manager, structure) = portal.manager().await;
    let hugo = portal.person("Hugo").await;
    portal.attach(&hugo, &structure, Role::User).await;
    name_address(&portal.signed_in(&hugo).await, "tiers@autre.example").await.location();
    let browser = portal.signed_in(&manager).await;
    let role = format!("/rattachements/{}/role", portal.membership_of(&hugo).await);
    for number in 0..30 {
        let wanted = ["GESTIONNAIRE_SECONDAIRE", "UTILISATEUR"][number % 2];
        browser.post(&role, &[("role", wanted)]).await.location();
    }
    let mails = portal.outbox().await;
    let count = mails.iter().filter(|mail| mail.recipient == "tiers@autre.example").count();
    assert!((2..=21).contains(&count), "{count} mails to a stranger");
}

/// It is theirs, but what a stranger who names it causes is no more than for any stranger's.
#[tokio::test]
async fn a_person_whose_confirmed_address_another_one_names_gets_few_of_their_mails() {
    let portal = TestPortal::start().await;
    let (manager, structure) = portal.manager().await;
    let nadia = portal.person("Nadia").await;
    let browser = portal.signed_in(&manager).await;
    name_address(&browser, &nadia.contact_address).await.location();
    for number in 0..15 {
        let account = portal.create_account(&browser, structure.id, &format!("Compte {number}")).await;
        browser.post(&format!("/utilisateurs-techniques/{account}/suppression"), &[]).await.location();
    }
    let mails =
        async || portal.outbox().await.into_iter().filter(|mail| mail.recipient == nadia.contact_address).count();
    let count = mails().await;
    assert!((2..=21).contains(&count), "{count} mails");
    // What Nadia causes is mailed all the same.
    let fields = [("mot-de-passe-actuel", PASSWORD), ("nouveau-mot-de-passe", "neuf barques sur le lac")];
    portal.signed_in(&nadia).await.post("/mon-compte/mot-de-passe", &fields).await.location();
    assert_eq!(mails().await, count + 1);
}

#[tokio::test]
async fn a_person_found_by_login_is_named_once_they_have_signed_in() {
    let portal = TestPortal::start().await;
    let (manager, structures) = portal.manager_with_structures("Camille", 2).await;
    let noor = portal.person("Noor").await;
    portal.signed_in(&noor).await;
    let browser = portal.signed_in(&manager).await;
    let membership = async || portal.find_membership(&noor).await.expect("a membership");
    for (structure, typed) in structures.iter().zip([&noor.login, &noor.contact_address]) {
        invite(&browser, structure, typed).await.location();
        let id = membership().await;
        let fiche = format!("/structures/{}", structure.id);
        let row =
            browser.open(&fiche).await.rows().into_iter().find(|row| row[0].starts_with("Invité")).expect("a row");
        assert_eq!((row[0].as_str(), &row[1]), ("Invité, en attente", typed));
        let pages = [
            fiche.clone(),
            format!("{fiche}/gestionnaire-principal"),
            format!("{fiche}/historique"),
            format!("/rattachements/{id}/role"),
            format!("/rattachements/{id}/retrait"),
        ];
        for page in &pages {
            let text = browser.open(page).await.text();
            let others = [&noor.full_name, &noor.login, &noor.contact_address];
            let told: Vec<_> = others.into_iter().filter(|known| *known != typed && text.contains(*known)).collect();
            assert!(told.is_empty(), "{page} tells {told:?}");
        }
    }
    portal.signed_in(&noor).await;
    for structure in &structures {
        let rows = browser.open(&format!("/structures/{}", structure.id)).await.rows();
        let row = rows.iter().find(|row| row[0] == noor.full_name).expect("the row of Noor Martin");
        assert_eq!((&row[1], &row[3]), (&noor.login, &noor.contact_address));
    }
}

#[tokio::test]
async fn an_address_counts_at_once_and_is_to_be_confirmed_until_its_link_is_followed() {
    let portal = TestPortal::start().await;
    let (manager, structure) = portal.manager().await;
    let browser = portal.signed_in(&manager).await;
    let fiche = format!("/structures/{}", structure.id);
    name_address(&browser, "nouvelle@exemple.fr").await.location();
    for page in ["/mon-compte", fiche.as_str()] {
        let text = browser.open(page).await.text();
        assert!(text.contains("À confirmer") && text.contains("nouvelle@exemple.fr"), "{page}");
    }
    assert_eq!(
        portal.mails().await,
        [
            format!("{} contact_address_changed", manager.contact_address),
            "nouvelle@exemple.fr contact_address_to_confirm".to_owned()
        ]
    );
    let links = confirmations(&portal).await;
    let [link] = links.as_slice() else { panic!("{links:?}") };
    for reader in [&browser, &portal.browser(), &portal.browser()] {
        reader.open(link).await.assert_says("Confirmez-la s’il s’agit du vôtre.");
    }
    assert!(browser.open("/mon-compte").await.text().contains("À confirmer"), "opening the link changes nothing");
    let anyone = portal.browser();
    let page = anyone.open(link).await;
    assert_eq!(anyone.submit(&page, link, &[]).await.location(), "/connexion?avis=contact-address-confirmed");
    anyone.post(link, &[]).await.refusal(404).assert_says("Ce lien n’est plus valable");
    for page in ["/mon-compte", fiche.as_str()] {
        assert!(!browser.open(page).await.text().contains("À confirmer"), "{page}");
    }
    ask_link(&portal, "Nouvelle@exemple.fr").await;
    assert_eq!(portal.mails_of("password_forgotten").await[0].recipient, "nouvelle@exemple.fr");
    assert_eq!(portal.details_of("CONTACT_ADDRESS_CONFIRMED").await, ["nouvelle@exemple.fr"]);
}

#[tokio::test]
async fn a_link_confirms_the_address_that_it_was_mailed_to_for_a_day() {
    let mut portal = TestPortal::start().await;
    let noor = portal.person("Noor").await;
    let browser = portal.signed_in(&noor).await;
    name_address(&browser, "une@exemple.fr").await.location();
    let first = confirmations(&portal).await.remove(0);
    name_address(&browser, "autre@exemple.fr").await.location();
    browser.post(&first, &[]).await.refusal(404);
    let second = confirmations(&portal).await.remove(0);
    let token = second.trim_start_matches("/confirmation-adresse/");
    let dump = String::from_utf8_lossy(&crate::common::pg_dump(portal.database_url())).into_owned();
    assert!(!dump.contains(token), "the database holds no link");
    browser.get(&format!("/invitation/{token}")).await.refusal(404);
    portal.move_clock("23 hours").await;
    portal.browser().open(&second).await;
    portal.move_clock("25 hours").await;
    portal.browser().get(&second).await.refusal(404);
    portal.browser().post(&second, &[]).await.refusal(404);
    // Who returns to the address that was confirmed has nothing to confirm.
    let browser = portal.signed_in(&noor).await;
    name_address(&browser, &noor.contact_address).await.location();
    assert!(!browser.open("/mon-compte").await.text().contains("À confirmer"));
}

#[tokio::test]
async fn a_message_of_confirmation_leaves_three_times_a_day() {
    let mut portal = TestPortal::start().await;
    let noor = portal.person("Noor").await;
    let browser = portal.signed_in(&noor).await;
    let again = "/mon-compte/adresse-de-contact/confirmation";
    let count = async |portal: &TestPortal| portal.mails_of("contact_address_to_confirm").await.len();
    browser.post(again, &[]).await.location();
    assert_eq!(count(&portal).await, 0, "nothing is to be confirmed");
    name_address(&browser, "une@exemple.fr").await.location();
    for _ in 0..2 {
        let page = browser.open("/mon-compte").await;
        let told = browser.submit(&page, again, &[]).await.location();
        browser.open(&told).await.assert_says("Un nouveau courriel de confirmation part");
    }
    browser.post(again, &[]).await.refusal(422).assert_says("réessayez demain");
    // Neither another spelling nor a way round by another address brings more.
    for address in ["Une@exemple.fr", "autre@exemple.fr", "une@exemple.fr"] {
        name_address(&browser, address).await.location();
    }
    assert_eq!(count(&portal).await, 4);
    let links = confirmations(&portal).await;
    let page = browser.open(&links[0]).await;
    assert_eq!(browser.submit(&page, &links[0], &[]).await.location(), "/mon-compte?avis=contact-address-confirmed");
    portal.move_clock("25 hours").await;
    name_address(&portal.signed_in(&noor).await, "deuxieme@exemple.fr").await.location();
    name_address(&portal.signed_in(&noor).await, "une@exemple.fr").await.location();
}

#[tokio::test]
async fn an_invited_person_confirms_the_address_by_choosing_a_password() {
    let portal = TestPortal::start().await;
    let (manager, structure) = portal.manager().await;
    let browser = portal.signed_in(&manager).await;
    invite(&browser, &structure, "lou@exemple.fr").await.location();
    let awaiting = "SELECT count(*) FROM users WHERE contact_address_confirmed_at IS NULL";
    assert_eq!(portal.number(awaiting, &[]).await, 1);
    let mails = portal.send_mails().await;
    let token = mails.iter().find_map(|mail| mail.split("/invitation/").nth(1)?.get(..43)).expect("a link");
    let password = [("nouveau-mot-de-passe", "neuf barques sur le lac")];
    portal.browser().post(&format!("/invitation/{token}"), &password).await.location();
    assert_eq!(portal.number(awaiting, &[]).await, 0);
}

/// Whoever it is and whatever they do: their mails are bounded, those of others are not.
#[tokio::test]
async fn one_cause_writes_three_hundred_mails_in_an_hour_and_then_none_twice() {
    let mut portal = TestPortal::start().await;
    let write = async |portal: &TestPortal, cause: Cause, recipient: &str| {
        let notice = Notification::MembershipRefused { structure: "Bourg".into(), identifier: "1".into() };
        let mut conn = portal.pool.acquire().await.expect("a connection");
        outbox::enqueue(&mut conn, cause, recipient, &notice).await.expect("a mail or none");
    };
    for _ in 0..310 {
        write(&portal, Cause::Person(7), "une@exemple.fr").await;
    }
    // One more says that others were left out.
    assert_eq!(portal.mails_of("notices_left_out").await.len(), 1);
    portal.execute("DELETE FROM mails WHERE notice->>'kind' = 'notices_left_out'").await;
    assert_eq!(portal.count("mails").await, 300);
    write(&portal, Cause::Person(7), "autre@exemple.fr").await;
    write(&portal, Cause::Person(8), "une@exemple.fr").await;
    write(&portal, Cause::Network("203.0.113.0/24".into()), "une@exemple.fr").await;
    write(&portal, Cause::Portal, "une@exemple.fr").await;
    assert_eq!(portal.count("mails").await, 304);
    portal.move_clock("61 minutes").await;
    write(&portal, Cause::Person(7), "une@exemple.fr").await;
    assert_eq!(portal.count("mails").await, 305);
}

/// An act on a technical user, or on the person's own account, is mailed whatever else the same
/// person has caused.
#[tokio::test]
async fn what_concerns_an_account_is_mailed_however_many_mails_its_cause_has_written() {
    let portal = TestPortal::start().await;
    let write = async |notice: Notification| {
        let mut conn = portal.pool.acquire().await.expect("a connection");
        outbox::enqueue(&mut conn, Cause::Person(7), "une@exemple.fr", &notice).await.expect("a mail or none");
    };
    let at = OffsetDateTime::UNIX_EPOCH;
    let reset = |technical_user_id| {
        Notification::PasswordReset(AccountNotification {
            technical_user_id,
            login: format!("TECH_{technical_user_id}_1@cpro.fr"),
            label: None,
            structure: "Bourg".into(),
            identifier: "1".into(),
            actor: "une".into(),
            at,
            expires_at: at,
            former_until: None,
            territory: None,
        })
    };
    let factor = |change| Notification::SecondFactorChanged { login: "une".into(), change, at };
    for _ in 0..300 {
        let role = Some("Utilisateur".to_owned());
        write(Notification::MembershipChanged {
            structure: "Bourg".into(),
            identifier: "1".into(),
            role,
            former_role: None,
            actor: "une".into(),
        })
        .await;
    }
    for change in [SecondFactorChange::Enabled, SecondFactorChange::CodesRenewed, SecondFactorChange::Disabled] {
        write(factor(change)).await;
    }
    for account in [1, 2, 3, 1] {
        write(reset(account)).await;
    }
    write(Notification::PasswordChosen { login: "une".into(), at }).await;
    let after = portal.mails().await.split_off(300);
    assert_eq!(after.len(), 8, "{after:?}");
    // Of one account's resets, ten are told one by one, then that there were more.
    for _ in 0..20 {
        write(reset(4)).await;
    }
    assert_eq!(portal.mails_of("password_reset").await.len(), 14);
    assert_eq!(portal.mails_of("notices_left_out").await.len(), 1);
    write(reset(5)).await;
    assert_eq!(portal.mails_of("password_reset").await.len(), 15);
}

#[tokio::test]
async fn a_link_waits_for_a_handful_of_mails_though_others_caused_hundreds() {
    let portal = TestPortal::start().await;
    let noor = portal.person("Noor").await;
    // Two people, hundreds of recipients; and an operator's import.
    portal
        .execute(
            "INSERT INTO mails (recipient, notice, caused_by)
             SELECT n || '@exemple.fr', '{\"kind\": \"membership_refused\", \"structure\": \"Bourg\", \"identifier\": \"1\"}',
                    (ARRAY['person:7', 'person:8', NULL])[n % 3 + 1] FROM generate_series(1, 600) n",
        )
        .await;
    // To the same mailbox, too.
    portal
        .execute(
            "INSERT INTO mails (recipient, notice, caused_by)
             SELECT 'contact-noor@exemple.fr', '{\"kind\": \"membership_refused\", \"structure\": \"Bourg\", \"identifier\": \"1\"}',
                    'person:7' FROM generate_series(1, 100) n",
        )
        .await;
    ask_link(&portal, &noor.login).await;
    let link = "SELECT count(*) FROM mails WHERE sent_at IS NULL AND notice->>'kind' = 'password_forgotten'";
    portal.send_mails_while(link).await;
    let sent = portal.count("mails WHERE sent_at IS NOT NULL").await;
    assert!(sent <= 20, "{sent} mails left before the link, or with it");
}
