//! `raccord user`, `structure` and `technical-user`, as processes of their own.

use raccord::domain::role::Role;
use serde_json::Value;

use super::binary::{raccord, run};
use crate::common::{Browser, PASSWORD, Person, TestPortal};

/// A command on the portal's database: exit code, standard output, standard error.
fn on(portal: &TestPortal, arguments: &[&str]) -> (i32, String, String) {
    run(&mut raccord(arguments, &[("DATABASE_URL", portal.database_url())]))
}

/// A command that must succeed; its standard output as JSON.
#[track_caller]
fn json(portal: &TestPortal, arguments: &[&str]) -> Value {
    let (code, told, errors) = on(portal, &[arguments, &["--json"]].concat());
    assert_eq!(code, 0, "{arguments:?}: {errors}");
    serde_json::from_str(&told).expect("JSON")
}

/// Refused arguments: exit code 2, nothing on standard output, one line that says this.
#[track_caller]
fn refused(portal: &TestPortal, arguments: &[&str], says: &str) {
    let (code, told, errors) = on(portal, arguments);
    assert_eq!((code, told.as_str(), errors.lines().count()), (2, "", 1), "{arguments:?}: {errors}");
    assert!(errors.contains(says), "{arguments:?}: {errors}");
}

async fn sign_in_is_refused(portal: &TestPortal, person: &Person) -> bool {
    let fields = [("identifiant", person.login.as_str()), ("mot-de-passe", PASSWORD)];
    portal.browser().post("/connexion", &fields).await.status == 422
}

async fn is_signed_in(browser: &Browser) -> bool {
    browser.get("/mon-compte").await.status == 200
}

#[tokio::test(flavor = "multi_thread")]
async fn people_are_listed_and_shown_with_what_they_are() {
    let portal = TestPortal::start().await;
    let (manager, structure) = portal.manager().await;
    portal.signed_in(&manager).await;
    let invite = ["user", "invite", "--login", "lou@exemple.fr", "--last-name", "Petit", "--first-name", "Lou"];
    let (code, _, errors) = on(&portal, &[&invite[..], &["--contact", "lou@exemple.fr", "--by", "Zoé Petit"]].concat());
    assert_eq!(code, 0, "{errors}");
    let people = json(&portal, &["user", "list"]);
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    let seen: Vec<_> =
        people.as_array().expect("a list").iter().map(|one| (text(&one["login"]), text(&one["state"]))).collect();
    let expected = [(manager.login.as_str(), "active"), ("lou@exemple.fr", "invited")];
    assert_eq!(seen, expected.map(|(login, state)| (login.to_owned(), state.to_owned())));
    assert_eq!((&people[0]["manages"], &people[0]["open_sessions"]), (&1.into(), &1.into()));
    assert!(people[0]["signed_in_at"].is_string() && people[1]["signed_in_at"].is_null(), "{people}");
    assert_eq!(json(&portal, &["user", "list", "--state", "invited"]).as_array().map(Vec::len), Some(1));
    assert_eq!(json(&portal, &["user", "list", "--search", "CAMIL"])[0]["login"], manager.login.as_str());
    let shown = json(&portal, &["user", "show", &manager.login.to_uppercase()]);
    assert_eq!(shown["structures"][0]["structure"], format!("SIRET:{}", structure.identifier));
    assert_eq!(shown["structures"][0]["role"], "GESTIONNAIRE_PRINCIPAL");
    let (_, table, _) = on(&portal, &["user", "list"]);
    assert!(table.starts_with("LOGIN ") && table.lines().count() == 3, "{table}");
    let (_, csv, _) = on(&portal, &["user", "list", "--csv"]);
    assert!(csv.starts_with("\u{feff}login;last_name;") && csv.lines().count() == 3, "{csv}");
    let (_, text, _) = on(&portal, &["user", "show", &manager.login]);
    assert!(text.starts_with("login: ") && text.contains("\nstructures:\nSTRUCTURE "), "{text}");
    refused(&portal, &["user", "show", "noa@exemple.fr"], "noa@exemple.fr: no person has this login");
    refused(&portal, &["user", "list", "--state", "gone"], "'gone' for '--state <STATE>'");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disabled_person_opens_nothing_until_they_are_enabled() {
    let portal = TestPortal::start().await;
    let (manager, _) = portal.manager().await;
    let browser = portal.signed_in(&manager).await;
    let page = browser.open("/activites/echeances").await;
    let made = browser.submit(&page, "/activites/echeances", &[]).await.body_text();
    let token = made.split("/calendrier/").nth(1).expect("a link").split(['"', '<']).next().expect("its end");
    let calendar = format!("/calendrier/{token}");
    assert_eq!(portal.browser().get(&calendar).await.status, 200);
    let link = portal.invitation(&manager).await;
    let act = ["user", "disable", &manager.login, "--by", "Zoé Petit", "--reason", "départ"];
    let (code, told, errors) = on(&portal, &act);
    assert_eq!((code, told.as_str()), (0, ""), "{errors}");
    assert!(
        errors.contains("principal manager of 1 structure, whose") && errors.contains("structure appoint"),
        "{errors}"
    );
    assert!(!is_signed_in(&browser).await && sign_in_is_refused(&portal, &manager).await);
    assert_eq!(portal.browser().get(&calendar).await.status, 404);
    assert_ne!(portal.browser().get(&link).await.status, 200);
    let forgotten = [("identifiant", manager.login.as_str())];
    portal.browser().post("/mot-de-passe-oublie", &forgotten).await.location();
    assert_eq!(portal.mails_of("password_forgotten").await.len(), 0);
    refused(&portal, &["user", "invite", "--resend", "--login", &manager.login], "is disabled, and gets no link");
    assert!(on(&portal, &act).2.contains("was disabled already"));
    let (code, _, errors) = on(&portal, &["user", "enable", &manager.login, "--by", "Noa Martin"]);
    assert_eq!(code, 0, "{errors}");
    assert!(!is_signed_in(&browser).await, "sessions stay ended");
    assert!(is_signed_in(&portal.signed_in(&manager).await).await);
    let acts = portal
        .texts("SELECT action || ' ' || actor || ' ' || subject || ' ' || detail FROM audit_events WHERE action LIKE 'PERSON_%' ORDER BY id", &[])
        .await;
    let login = &manager.login;
    assert_eq!(
        acts,
        [
            format!("PERSON_DISABLED opérateur (Zoé Petit) {login} départ"),
            format!("PERSON_ENABLED opérateur (Noa Martin) {login} ")
        ]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_in_a_person_s_name_ends_with_their_sessions_or_their_access() {
    let portal = TestPortal::start().await;
    let (manager, structure) = portal.manager().await;
    let successor = portal.person("Dominique").await;
    portal.attach(&successor, &structure, Role::SecondaryManager).await;
    for act in [&["user", "sign-out"][..], &["user", "disable", "--reason", "vol"]] {
        portal.signed_in(&manager).await.post("/activites/echeances", &[]).await;
        portal.offer(&structure, &successor).await;
        assert_eq!((portal.calendar_links().await, portal.count("succession_offers").await), (1, 1));
        let (code, _, errors) = on(&portal, &[act, &[&manager.login, "--by", "Zoé Petit"]].concat());
        assert_eq!(code, 0, "{errors}");
        assert_eq!((portal.calendar_links().await, portal.count("succession_offers").await), (0, 0), "{act:?}");
    }
    for event in portal.audit_events_of("CALENDAR_LINK_REVOKED").await {
        assert_eq!((event.subject, event.actor.as_str()), (manager.login.clone(), "opérateur (Zoé Petit)"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_is_signed_out_and_gets_another_link() {
    let portal = TestPortal::start().await;
    let (manager, _) = portal.manager().await;
    let browser = portal.signed_in(&manager).await;
    let (code, _, errors) = on(&portal, &["user", "sign-out", &manager.login, "--by", "Zoé Petit"]);
    assert!(code == 0 && errors.contains("signed out; 1 session had been open"), "{errors}");
    assert!(!is_signed_in(&browser).await);
    assert!(is_signed_in(&portal.signed_in(&manager).await).await, "the password stays");
    let (code, _, errors) =
        on(&portal, &["user", "invite", "--resend", "--login", &manager.login, "--by", "Zoé Petit"]);
    assert!(code == 0 && errors.contains(&manager.contact_address), "{errors}");
    assert_eq!(portal.mails().await, [format!("{} invitation", manager.contact_address)]);
    let actors = portal
        .texts("SELECT DISTINCT actor FROM audit_events WHERE action IN ('SESSION_CLOSED', 'PERSON_INVITED')", &[])
        .await;
    assert_eq!(actors, ["opérateur (Zoé Petit)"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invitation_that_is_refused_changes_nothing_and_takes_no_structure_from_its_manager() {
    let portal = TestPortal::start().await;
    let (manager, structure) = portal.manager().await;
    let named = format!("SIRET:{}", structure.identifier);
    let (code, _, errors) = on(&portal, &["user", "disable", &manager.login, "--by", "Zoé Petit"]);
    assert_eq!(code, 0, "{errors}");
    let other = portal.structure("Ville de Fougères").await;
    let free = format!("SIRET:{}", other.identifier);
    let invite = |login: &str, structure: &str, role: &str| {
        let of = ["user", "invite", "--login", login, "--last-name", "Petit", "--first-name", "Lou"];
        let further =
            ["--contact", "nouvelle@exemple.fr", "--replace-address", "--structure", structure, "--role", role];
        [&of[..], &further].concat().into_iter().map(str::to_owned).collect::<Vec<_>>()
    };
    let before = portal.all_contents().await;
    for (arguments, says) in [
        (invite("lou@exemple.fr", &named, "GESTIONNAIRE_PRINCIPAL"), "raccord structure appoint"),
        (invite(&manager.login, &free, "GESTIONNAIRE_PRINCIPAL"), "this person is disabled"),
        (invite(&manager.login, &free, "UTILISATEUR"), "this person is disabled"),
        (invite(&manager.login, &free, "GESTIONAIRE"), "GESTIONAIRE: is unknown"),
        (invite(&manager.login, "SIRET:21750001600019", "UTILISATEUR"), "no structure has this identifier"),
    ] {
        let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
        let (code, _, errors) = on(&portal, &arguments);
        assert!(code != 0 && errors.contains(says), "{code}: {errors}");
        assert_eq!(portal.all_contents().await, before, "{says}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_with_a_command_is_said_in_one_line() {
    let portal = TestPortal::start().await;
    let (manager, _) = portal.manager().await;
    for (arguments, says) in [
        (&["user", "disable", "noa@exemple.fr", "--by", "Zoé"][..], "noa@exemple.fr: no person has this login"),
        (&["user", "disable", &manager.login], "required arguments were not provided: --by <NAME>"),
        (&["user", "disable", &manager.login, "--by", " "], "must not be empty"),
        (&["user", "enable", "noa@exemple.fr", "--by", "Zoé"], "no person has this login"),
        (&["user", "sign-out", "noa@exemple.fr", "--by", "Zoé"], "no person has this login"),
        (&["user", "invite", "--login", "noa@exemple.fr"], "--last-name <LAST_NAME>"),
        (&["user", "invite", "--login", "noa@exemple.fr", "--resend"], "no person has this login"),
        (&["technical-user", "list", "--expiring", "soon"], "'soon' for '--expiring <DAYS>'"),
        (&["technical-user", "list", "--structure", "Paris"], "--structure Paris: must be TYPE:IDENTIFIER"),
        (&["technical-user", "show", "TECH_9"], "TECH_9: no technical user has this login"),
        (&["technical-user", "suspend", "TECH_9", "--by", "Zoé"], "no technical user has this login"),
        (&["technical-user", "suspend", "TECH_9"], "--by <NAME>"),
        (&["technical-user", "expire", "TECH_9", "--by", "Zoé"], "no technical user has this login"),
        (&["structure", "show", "SIRET:1"], "SIRET:1: a SIRET has 14 digits"),
        (&["structure", "show", "21750001600019"], "SIRET:21750001600019: no structure has this identifier"),
        (&["structure", "appoint", "21750001600019", "x", "--by", "Zoé"], "--and-by <NAME>"),
        (&["user", "lst"], "a similar subcommand exists: 'list'"),
    ] {
        refused(&portal, arguments, says);
    }
    assert_eq!(portal.count("audit_events").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn technical_users_are_listed_by_what_is_to_be_done() {
    let portal = TestPortal::start().await;
    let (manager, structures) = portal.manager_with_structures("Camille", 2).await;
    let [soon, idle, failing, fine] = [0, 0, 1, 1].map(|place| portal.technical_user(&structures[place], &manager));
    let (soon, idle, failing, fine) = (soon.await, idle.await, failing.await, fine.await);
    portal.expire_in(soon, "20 days").await;
    portal.execute("UPDATE technical_users SET password_set_at = portal_now() - interval '300 days'").await;
    for account in [soon, failing, fine] {
        portal.set_last_call(account, "-3 days").await;
    }
    portal.refuse_calls(failing, "-1 hour").await;
    let logins = |further: &[&str]| -> Vec<String> {
        let list = json(&portal, &[&["technical-user", "list"], further].concat());
        list.as_array().expect("a list").iter().map(|one| one["login"].as_str().expect("a login").to_owned()).collect()
    };
    assert_eq!(logins(&[]).len(), 4);
    assert_eq!(logins(&["--expiring", "60"]), [portal.login_of(soon).await]);
    assert_eq!(logins(&["--failing"]), [portal.login_of(failing).await]);
    assert_eq!(logins(&["--dormant", "90"]), [portal.login_of(idle).await]);
    assert_eq!(logins(&["--structure", &structures[1].identifier]).len(), 2);
    let login = portal.login_of(fine).await;
    let shown = json(&portal, &["technical-user", "show", &login.to_lowercase()]);
    assert_eq!((&shown["login"], &shown["manager"]), (&login.into(), &manager.login.as_str().into()));
    assert_eq!((&shown["last_call_address"], &shown["networks"][0]), (&"192.0.2.7".into(), &"any".into()));
    let (_, csv, _) = on(&portal, &["technical-user", "list", "--expiring", "60", "--csv"]);
    assert!(csv.contains("expires_at (Paris)") && csv.lines().count() == 2, "{csv}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_operator_suspends_takes_back_and_expires_an_account_and_its_manager_is_mailed() {
    let portal = TestPortal::start().await;
    let (manager, structure) = portal.manager().await;
    let browser = portal.signed_in(&manager).await;
    let (id, _, password) = portal.create_and_show(&browser, structure.id, "ERP").await;
    let login = portal.login_of(id).await;
    let status = async || portal.program().health_check(&login, &password).await;
    assert_eq!(status().await, 200);
    let act =
        |act: &str| on(&portal, &["technical-user", act, &login, "--by", "Zoé Petit", "--reason", "fuite signalée"]);
    for (command, expected, says) in [
        ("suspend", 401, "is suspended"),
        ("suspend", 401, "was suspended already"),
        ("reactivate", 200, "is active again"),
        ("reactivate", 200, "was not suspended"),
        ("expire", 401, "its manager can reset it"),
        ("expire", 401, "had expired already"),
    ] {
        let (code, told, errors) = act(command);
        assert!(code == 0 && told.is_empty() && errors.contains(says), "{command}: {errors}");
        assert_eq!(status().await, expected, "{command}");
    }
    assert_eq!(json(&portal, &["technical-user", "show", &login])["state"], "expired");
    let acts = portal
        .texts(
            "SELECT action || ' ' || actor || ' ' || detail FROM audit_events
              WHERE structure_id IS NOT NULL AND technical_user_id IS NOT NULL AND actor LIKE 'opé%' ORDER BY id",
            &[],
        )
        .await;
    assert_eq!(
        acts,
        ["TECHNICAL_USER_SUSPENDED", "TECHNICAL_USER_REACTIVATED", "PASSWORD_EXPIRED_EARLY"]
            .map(|action| format!("{action} opérateur (Zoé Petit) fuite signalée"))
    );
    let mails = portal.mails_of("changed_by_operator").await;
    let told: Vec<_> = mails.iter().map(|mail| mail.notice["act"].as_str().expect("an act")).collect();
    assert_eq!(told, ["suspended", "reactivated", "expired"]);
    assert!(mails.iter().all(|mail| mail.recipient == manager.contact_address));
    raccord::db::technical_users::reminders::remind(&portal.pool).await.expect("reminders");
    assert_eq!(portal.mails_of("password_expiring").await.len(), 0, "the mail about the act is enough");
    // The manager sees it, and has a way on.
    let page = browser.open(&format!("/structures/{}/historique", structure.id)).await;
    page.assert_says("Expiration anticipée du mot de passe");
    page.assert_says("opérateur (Zoé Petit)");
    let page = browser.open(&format!("/utilisateurs-techniques/{id}")).await;
    browser.submit(&page, &format!("/utilisateurs-techniques/{id}/mot-de-passe"), &[]).await.location();
    browser.post(&format!("/utilisateurs-techniques/{id}/suppression"), &[]).await.location();
    refused(&portal, &["technical-user", "suspend", &login, "--by", "Zoé"], "is deleted, for good");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_operators_appoint_a_principal_manager_where_none_is_left() {
    let portal = TestPortal::start().await;
    let (manager, structure) = portal.manager().await;
    let browser = portal.signed_in(&manager).await;
    portal.create_and_show(&browser, structure.id, "ERP").await;
    let (heir, stranger) = (portal.person("Noor").await, portal.person("Lou").await);
    portal.attach(&heir, &structure, Role::User).await;
    let name = format!("SIRET:{}", structure.identifier);
    let appoint = |login: &str, other: &str| {
        let act = ["structure", "appoint", &name, login, "--by", "Zoé Petit", "--and-by", other, "--reason", "départ"];
        act.map(str::to_owned)
    };
    let refuse = |arguments: [String; 10], says: &str| {
        refused(&portal, &arguments.each_ref().map(String::as_str), says);
    };
    refuse(appoint(&heir.login, "zoé  petit"), "must be another operator");
    refuse(appoint(&heir.login, "Noa Martin"), "can sign in: they offer the structure themselves");
    refuse(appoint("x@exemple.fr", "Noa Martin"), "x@exemple.fr: no person has this login");
    assert_eq!(json(&portal, &["structure", "list", "--without-manager"]).as_array().map(Vec::len), Some(0));
    on(&portal, &["user", "disable", &manager.login, "--by", "Zoé Petit"]);
    let list = json(&portal, &["structure", "list", "--without-manager"]);
    assert_eq!((&list[0]["structure"], &list[0]["manager_state"]), (&name.as_str().into(), &"disabled".into()));
    refuse(appoint(&manager.login, "Noa Martin"), "is the principal manager already");
    let arguments = appoint(&heir.login, "Noa Martin");
    let (code, _, errors) = on(&portal, &arguments.each_ref().map(String::as_str));
    assert!(code == 0 && errors.contains(&format!("{} was it before", manager.login)), "{errors}");
    assert_eq!(portal.principal_managers().await, [heir.login.as_str()]);
    let mails = portal.mails_of("manager_changed").await;
    let told: Vec<_> = mails.iter().map(|mail| (mail.recipient.as_str(), &mail.notice["is_recipient"])).collect();
    assert_eq!(told, [(heir.contact_address.as_str(), &true.into()), (&manager.contact_address, &false.into())]);
    let events = portal.audit_events_of("MANAGER_CHANGED").await;
    let events: Vec<_> = events.iter().map(|event| (event.actor.as_str(), event.detail.as_str())).collect();
    assert_eq!(events, [("opérateurs (Zoé Petit et Noa Martin)", "départ")]);
    let shown = json(&portal, &["structure", "show", &structure.identifier]);
    assert_eq!((&shown["manager"], &shown["technical_users"]), (&heir.login.as_str().into(), &1.into()));
    assert_eq!(
        (&shown["people"][0]["login"], &shown["accounts"][0]["label"]),
        (&heir.login.as_str().into(), &"ERP".into())
    );
    // A person who is no member becomes one, also where there is no manager at all.
    portal.close_structure(structure.id).await;
    let arguments = appoint(&stranger.login, "Noa Martin");
    let (code, _, errors) = on(&portal, &arguments.each_ref().map(String::as_str));
    assert_eq!(code, 0, "{errors}");
    assert_eq!(portal.principal_managers().await, [stranger.login.as_str()]);
    assert_eq!(portal.mails_of("manager_changed").await.len(), 3);
    assert_eq!(on(&portal, &["audit", "verify"]).0, 0);
}

/// Whoever used a session that was left open may have linked an identity of theirs.
#[tokio::test(flavor = "multi_thread")]
async fn linked_identities_end_with_the_sessions_that_the_operator_ends() {
    let portal = TestPortal::start().await;
    let (manager, _) = portal.manager().await;
    let link = "INSERT INTO provider_identities (user_id, issuer, subject, address) \
                SELECT id, 'https://fournisseur.example', 'x', 'inconnu@exemple.fr' FROM users";
    for act in ["sign-out", "reset-mfa", "disable"] {
        let browser = portal.signed_in(&manager).await;
        if act == "reset-mfa" {
            crate::identity::enrol(&portal, &browser).await;
        }
        portal.execute(link).await;
        let (code, _, told) = on(&portal, &["user", act, &manager.login, "--by", "Zoé Petit"]);
        assert!(code == 0 && told.contains("1 linked identity ended"), "{act}: {told}");
        assert_eq!(portal.count("provider_identities").await, 0, "{act}");
    }
    // Without a password it is the only way in, unless the access itself ends.
    assert_eq!(on(&portal, &["user", "enable", &manager.login, "--by", "Zoé Petit"]).0, 0);
    portal.execute("UPDATE users SET password_hash = NULL").await;
    portal.execute(link).await;
    let (code, _, told) = on(&portal, &["user", "sign-out", &manager.login, "--by", "Zoé Petit"]);
    assert!(code == 0 && told.contains("has no password, and 1 linked identity stay"), "{told}");
    assert_eq!(portal.count("provider_identities").await, 1);
    assert_eq!(on(&portal, &["user", "disable", &manager.login, "--by", "Zoé Petit"]).0, 0);
    assert_eq!(portal.count("provider_identities").await, 0);
}

/// A mail that waits while its person is disabled brings no link, and a link that was made
/// meanwhile does not outlive it.
#[tokio::test(flavor = "multi_thread")]
async fn no_link_of_a_disabled_person_lives_once_they_are_enabled() {
    let portal = TestPortal::start().await;
    let (manager, _) = portal.manager().await;
    let act = |act| on(&portal, &["user", act, &manager.login, "--by", "Zoé Petit"]).0;
    assert_eq!(on(&portal, &["user", "invite", "--resend", "--login", &manager.login]).0, 0);
    assert_eq!(act("disable"), 0);
    assert_eq!((portal.send_mails().await.len(), portal.unsent_mails().await), (0, 0));
    assert_eq!(portal.count("invitations").await, 0);
    portal.invitation(&manager).await;
    assert_eq!((act("enable"), portal.count("invitations").await), (0, 0));
}
