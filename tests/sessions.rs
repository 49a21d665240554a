//! Sessions: begun by a sign-in, ended for good.

use std::collections::BTreeMap;

use crate::common::{Browser, Call, PASSWORD, TestPortal, calls_of_every_kind};

const CONFIRM: &str = "/confirmation-identite";

async fn is_in(browser: &Browser) -> bool {
    let answer = browser.get("/mon-compte").await;
    let is_in = answer.status == 200;
    assert!(is_in || answer.location().starts_with("/connexion"));
    is_in
}

/// Another browser with the same cookies, as if they had been stolen.
fn copy_of(portal: &TestPortal, cookies: BTreeMap<String, String>) -> Browser {
    let copy = portal.browser();
    copy.set_cookies(cookies);
    copy
}

#[tokio::test]
async fn a_session_that_was_left_or_closed_is_over() {
    let mut portal = TestPortal::start().await;
    let (manager, _) = portal.manager().await;
    let browser = portal.signed_in(&manager).await;
    let copy = copy_of(&portal, browser.cookies());
    assert!(is_in(&copy).await);
    browser.post("/deconnexion", &[]).await.location();
    assert!(!is_in(&copy).await, "a copied cookie is worth nothing after the sign-out");

    let (here, there) = (portal.signed_in(&manager).await, portal.signed_in(&manager).await);
    let stranger = portal.person("Sacha").await;
    let strange = portal.signed_in(&stranger).await;
    let other = portal.latest_session_of(&manager).await;
    let close = format!("/mon-compte/sessions/{other}/fermeture");
    strange.post(&close, &[]).await.location();
    assert!(is_in(&there).await, "a stranger cannot close a session");
    assert!(here.open("/mon-compte").await.has_form(&close));
    // Not at a screen that was left alone for a while.
    portal.move_clock("16 minutes").await;
    assert_eq!(here.post(&close, &[]).await.refusal(403).heading(), "Confirmez votre identité");
    assert!(is_in(&there).await);
    portal.move_clock("14 minutes").await;
    here.post(&close, &[]).await.location();
    assert!(is_in(&here).await && !is_in(&there).await);
}

#[tokio::test]
async fn a_sign_in_takes_no_session_that_was_chosen_before() {
    let portal = TestPortal::start().await;
    let (manager, _) = portal.manager().await;
    let first = portal.signed_in(&manager).await;
    let chosen = first.cookies();
    let (name, _) = chosen.first_key_value().expect("a session");
    let planted = BTreeMap::from([(name.clone(), "AAAAAAAAAAAAAAAAAAAAAA".to_owned())]);
    let victim = portal.sign_in(copy_of(&portal, planted.clone()), &manager).await;
    assert_ne!(victim.cookies(), planted);
    assert!(!is_in(&copy_of(&portal, planted)).await);
    // Another sign-in gives another session and ends the one before.
    let again = portal.sign_in(copy_of(&portal, chosen.clone()), &manager).await;
    assert_ne!(again.cookies(), chosen);
    assert!(is_in(&again).await && !is_in(&copy_of(&portal, chosen)).await);
}

#[tokio::test]
async fn a_password_change_keeps_this_session_and_ends_the_others() {
    let portal = TestPortal::start().await;
    let (manager, _) = portal.manager().await;
    let (here, there) = (portal.signed_in(&manager).await, portal.signed_in(&manager).await);
    let change = async |current: &str| {
        let fields = [("mot-de-passe-actuel", current), ("nouveau-mot-de-passe", "trois moulins sur la colline")];
        here.post("/mon-compte/mot-de-passe", &fields).await
    };
    change("pas le bon mot de passe").await.refusal(422);
    assert!(is_in(&there).await);
    change(PASSWORD).await.location();
    assert!(is_in(&here).await && !is_in(&there).await);
    assert_eq!(portal.mails().await, [format!("{} password_chosen", manager.contact_address)]);
}

#[tokio::test]
async fn a_confirmed_identity_prolongs_no_session_beyond_its_twelve_hours() {
    let mut portal = TestPortal::start().await;
    let sacha = portal.person("Sacha").await;
    let browser = portal.signed_in(&sacha).await;
    for half_hours in 1..=24 {
        portal.move_clock(&format!("{} minutes", half_hours * 29)).await;
        let before = browser.cookies();
        let typed = [("confirmation-suite", "/mon-compte"), ("confirmation-mot-de-passe", PASSWORD)];
        assert_eq!(browser.post(CONFIRM, &typed).await.status, 307, "{half_hours}");
        assert_ne!(browser.cookies(), before);
    }
    assert!(is_in(&browser).await);
    portal.move_clock("721 minutes").await;
    assert!(!is_in(&browser).await, "twelve hours after the sign-in");
}

#[tokio::test]
async fn a_session_that_is_closed_while_it_is_confirmed_stays_closed() {
    let portal = TestPortal::start().await;
    let sacha = portal.person("Sacha").await;
    let browser = portal.signed_in(&sacha).await;
    // The confirmation waits for the row which the closing holds.
    let closing = portal.begin_closing_sessions().await;
    let confirming = tokio::spawn({
        let browser = browser.clone();
        async move {
            let typed = [("confirmation-suite", "/mon-compte"), ("confirmation-mot-de-passe", PASSWORD)];
            browser.post(CONFIRM, &typed).await
        }
    });
    portal.until_locked(1).await;
    closing.commit().await.expect("closed for good");
    assert!(confirming.await.expect("no panic").location().starts_with("/connexion?avis=session-expired"));
    assert!(!is_in(&browser).await);
    assert_eq!(portal.count("sessions").await, 0);
}

#[tokio::test]
async fn a_sign_in_with_a_password_replaced_in_that_moment_gets_no_session() {
    let portal = TestPortal::start().await;
    let sacha = portal.person("Sacha").await;
    // The change of the password has begun, and the sign-in has already verified the old one.
    let change = portal.begin_password_change(&sacha).await;
    let browser = portal.browser();
    let signing_in = tokio::spawn({
        let (browser, login) = (browser.clone(), sacha.login.clone());
        async move { browser.post("/connexion", &[("identifiant", &login), ("mot-de-passe", PASSWORD)]).await }
    });
    portal.until_locked(1).await;
    change.commit().await.expect("the new password holds");
    assert!(signing_in.await.expect("no panic").location().starts_with("/connexion"));
    assert!(!is_in(&browser).await);
    assert_eq!(portal.events_of("SIGNED_IN").await, 0);
}

#[tokio::test]
async fn what_was_typed_when_the_session_had_ended_is_offered_after_signing_in() {
    let mut portal = TestPortal::start().await;
    let (manager, structure) = portal.manager().await;
    let browser = portal.signed_in(&manager).await;
    let action = format!("/structures/{}/utilisateurs-techniques", structure.id);
    let form = browser.open(&format!("{action}/nouveau")).await;
    let account = browser.open("/mon-compte").await;
    portal.move_clock("31 minutes").await;
    let asked = browser.submit(&form, &action, &[("libelle", "Cantine & « école »")]).await.refusal(403);
    assert_eq!(asked.heading(), "Connexion");
    asked.assert_says("Ce que vous aviez saisi est conservé");
    let credentials = [("identifiant", manager.login.as_str()), ("mot-de-passe", PASSWORD)];
    let wrong = [credentials[0], ("mot-de-passe", "pas le bon mot de passe")];
    let asked = browser.submit(&asked, "/connexion", &wrong).await.refusal(422);
    // By hand, a link cannot carry anything.
    let linked = portal.browser().open("/connexion?suite=/structures/1&saisie-libelle=piege").await;
    assert!(!linked.html().contains("piege"));
    let resumed = browser.submit(&asked, "/connexion", &credentials).await;
    assert_eq!(resumed.status, 200);
    let resumed = resumed.page();
    assert_eq!(resumed.heading(), "Reprenez votre saisie");
    assert!(!resumed.html().contains(PASSWORD));
    assert_eq!(resumed.fact("Libellé"), "Cantine & « école »", "one sees what is kept");
    assert_eq!(portal.count("technical_users").await, 0, "nothing is done by itself");
    let summary = browser.submit(&resumed, &action, &[]).await.location();
    assert!(browser.open(&summary).await.password().is_some());
    assert_eq!(portal.labels().await, ["Cantine & « école »"]);

    // Secrets, and forms without typed fields, are not carried.
    portal.move_clock("62 minutes").await;
    let secrets = [("mot-de-passe-actuel", PASSWORD), ("nouveau-mot-de-passe", "trois moulins sur la colline")];
    let refused = browser.submit(&account, "/mon-compte/mot-de-passe", &secrets).await;
    assert_eq!(refused.location(), "/connexion?avis=session-expired");
    let copy = portal.browser();
    copy.set_cookies(browser.cookies());
    assert!(copy.post("/session/prolongation", &[]).await.location().starts_with("/connexion"));
    // Where the session is known to be over already, as in another tab.
    let other_tab = portal.browser();
    let asked = other_tab.post("/mon-compte/adresse-de-contact", &[("adresse-de-contact", "a@exemple.fr")]).await;
    let asked = asked.refusal(403);
    // Another person may sign in there: the act needs that person's rights.
    let elsewhere = [("suite", "//ailleurs.example/"), credentials[0], credentials[1]];
    assert_eq!(portal.browser().submit(&asked, "/connexion", &elsewhere).await.location(), "/");
    let stranger = portal.person("Sacha").await;
    let theirs = [("identifiant", stranger.login.as_str()), ("mot-de-passe", PASSWORD)];
    let form = other_tab.post(&action, &[("jeton", &form.field("jeton")), ("libelle", "Paie")]).await.refusal(403);
    let resumed = other_tab.submit(&form, "/connexion", &theirs).await.page();
    other_tab.submit(&resumed, &action, &[]).await.refusal(404);
}

#[tokio::test]
async fn what_is_kept_is_listed_by_its_labels_and_nothing_hidden_or_secret_is() {
    let portal = TestPortal::start().await;
    let (manager, structure) = portal.manager().await;
    let credentials = [("identifiant", manager.login.as_str()), ("mot-de-passe", PASSWORD)];
    let browser = portal.browser();
    let card = [
        ("designation", "Mairie"),
        ("adresse", "1 rue Haute"),
        ("complement", ""),
        ("complement-2", ""),
        ("code-postal", "35000"),
        ("ville", "Rennes"),
        ("pays", ""),
        ("courriel", "a@b.fr"),
        ("telephone", "01"),
        ("statut", "INACTIVE"),
        ("confirmation", "oui"),
        ("inconnu", "n’importe quoi"),
    ];
    let asked = browser.post(&format!("/structures/{}", structure.id), &card).await.refusal(403);
    let resumed = browser.submit(&asked, "/connexion", &credentials).await.page();
    for (caption, value) in [
        ("Désignation", "Mairie"),
        ("Adresse", "1 rue Haute"),
        ("Code postal", "35000"),
        ("Pays", "Non renseigné"),
        ("Adresse électronique", "a@b.fr"),
        ("Statut", "Inactive"),
    ] {
        assert_eq!(resumed.fact(caption), value, "{caption}");
    }
    assert!(!resumed.text().contains("n’importe quoi"), "what no form of ours has is not shown");
    let invitation = [("adresse", "lou@exemple.fr"), ("prenom", "Lou"), ("nom", "Petit"), ("role", "UTILISATEUR")];
    let url = format!("/structures/{}/membres/invitation", structure.id);
    let asked = portal.browser().post(&url, &invitation).await.refusal(403);
    let resumed = portal.browser().submit(&asked, "/connexion", &credentials).await.page();
    assert_eq!(resumed.fact("Adresse électronique"), "lou@exemple.fr");
    assert_eq!(resumed.fact("Rôle"), "Utilisateur");
}

#[tokio::test]
async fn a_session_ends_after_30_idle_minutes_and_12_hours_in_all() {
    let mut portal = TestPortal::start().await;
    let (manager, _) = portal.manager().await;
    let browser = portal.signed_in(&manager).await;
    portal.move_clock("29 minutes").await;
    assert_eq!(browser.get("/activites").await.status, 200);
    portal.move_clock("58 minutes").await;
    assert_eq!(browser.get("/activites").await.status, 200);
    portal.move_clock("89 minutes").await;
    assert!(browser.get("/activites").await.location().starts_with("/connexion"));
    portal.move_clock("0").await;
    let busy = portal.signed_in(&manager).await;
    for half_hours in 1..=25 {
        portal.move_clock(&format!("{} minutes", half_hours * 29)).await;
        let answer = busy.get("/activites").await;
        if half_hours * 29 < 12 * 60 {
            assert_eq!(answer.status, 200, "after {half_hours} × 29 minutes");
        } else {
            assert!(answer.location().starts_with("/connexion"));
        }
    }
}

#[tokio::test]
async fn no_cookie_is_set_before_a_sign_in() {
    let portal = TestPortal::start().await;
    let (manager, structure) = portal.manager().await;
    let account = portal.technical_user(&structure, &manager).await;
    let link = portal.invitation(&manager).await;
    let wrong = [("identifiant", manager.login.as_str()), ("mot-de-passe", "pas celui-là, non")];
    let chosen = [("nouveau-mot-de-passe", "trois moulins sur la colline")];
    let mut calls = calls_of_every_kind(account, structure.id);
    calls.push(Call::post_form("/connexion", &wrong));
    calls.push(Call::post_form("/mot-de-passe-oublie", &wrong[..1]));
    // A link to choose a password does not sign in.
    calls.push(Call::get(&link));
    calls.push(Call::post_form(&link, &chosen));
    calls.push(Call::post_form("/deconnexion", &[]));
    for call in calls {
        let what = format!("{call:?}");
        assert_eq!(portal.browser().send(call).await.header("set-cookie"), None, "{what}");
    }
    assert_eq!(portal.events_of("PASSWORD_CHOSEN").await, 1);
    assert_eq!(portal.count("sessions").await, 0);
}

#[tokio::test]
async fn the_cookie_is_bound_to_the_host_over_https_and_named_otherwise_without() {
    for (url, name, secure) in
        [("https://raccord.example", "__Host-", true), ("http://127.0.0.1:8080", "raccord", false)]
    {
        let portal = TestPortal::with(&[("RACCORD_PUBLIC_URL", url)]).await;
        let (manager, _) = portal.manager().await;
        let fields = [("identifiant", manager.login.as_str()), ("mot-de-passe", PASSWORD)];
        let answer = portal.browser().post("/connexion", &fields).await;
        let cookies =
            answer.headers.get_all("set-cookie").iter().map(|cookie| cookie.to_str().expect("a readable cookie"));
        // That of the session, and the mark of the browser.
        let (marks, cookies): (Vec<_>, Vec<_>) = cookies.partition(|cookie| cookie.contains("-terminal"));
        let ([mark], [cookie]) = (marks.as_slice(), cookies.as_slice()) else { panic!("{marks:?} {cookies:?}") };
        assert!(cookie.starts_with(name) && mark.starts_with(name), "{cookie} {mark}");
        for attribute in ["HttpOnly", "SameSite=Strict", "Path=/", "Max-Age=15552000"] {
            assert!(mark.contains(attribute), "{mark}");
        }
        assert!(mark.contains("Secure") == secure && !mark.contains("Domain=") && mark.len() < 512, "{mark}");
        for attribute in ["HttpOnly", "SameSite=Lax", "Path=/"] {
            assert!(cookie.contains(attribute), "{cookie}");
        }
        assert_eq!(cookie.contains("Secure"), secure, "{cookie}");
        assert!(!cookie.contains("Domain=") && !cookie.contains("Max-Age") && !cookie.contains("Expires"), "{cookie}");
        assert_eq!(answer.header("strict-transport-security").is_some(), secure);
        // Its value stands in this header alone, and is short enough for every browser.
        let (pair, _) = cookie.split_once(';').expect("attributes");
        assert!(pair.len() < 4_096, "{cookie}");
        let (_, value) = pair.split_once('=').expect("a value");
        let browser = portal.browser();
        browser.post("/connexion", &fields).await.location();
        let own = browser.cookies().into_values().next().expect("a session");
        for path in
            ["/activites", "/mon-compte", "/mon-compte/double-authentification", "/aucune", "/documentation-api"]
        {
            let text = browser.get(path).await.body_text();
            assert!(own.len() == value.len() && !text.contains(&own), "{path}");
        }
    }
}

#[tokio::test]
async fn of_a_person_s_browsers_the_last_hundred_are_known() {
    let portal = TestPortal::start().await;
    let (manager, _) = portal.manager().await;
    let others = "INSERT INTO known_browsers (user_id, network, software, last_seen_at)
                  SELECT $1, '192.0.2.0/24', n::text, portal_now() - make_interval(mins => n)
                    FROM generate_series(1, 150) n";
    sqlx::query(others).bind(manager.id).execute(&portal.pool).await.expect("browsers");
    portal.signed_in(&manager).await;
    assert_eq!(portal.count("known_browsers").await, 100);
    assert_eq!(portal.count("known_browsers WHERE software IN ('99', '100')").await, 1);
}

#[tokio::test]
async fn a_person_has_a_hundred_sessions_and_another_one_ends_the_longest_unused() {
    let portal = TestPortal::start().await;
    let (manager, _) = portal.manager().await;
    let (unused, used) = (portal.signed_in(&manager).await, portal.signed_in(&manager).await);
    let others = "INSERT INTO sessions (id_hash, data, user_id, address, software, last_seen_at)
                  SELECT sha256(n::text::bytea), '{}', $1, '192.0.2.1', '', portal_now() - interval '1 minute'
                    FROM generate_series(1, 98) n";
    sqlx::query(others).bind(manager.id).execute(&portal.pool).await.expect("sessions");
    let idle = "UPDATE sessions SET last_seen_at = portal_now() - interval '2 minutes'
                 WHERE public_id = (SELECT min(public_id) FROM sessions)";
    sqlx::query(idle).execute(&portal.pool).await.expect("an update");
    let newest = portal.signed_in(&manager).await;
    assert!(is_in(&newest).await && is_in(&used).await && !is_in(&unused).await);
    let count: i64 =
        sqlx::query_scalar("SELECT count(*) FROM sessions").fetch_one(&portal.pool).await.expect("a count");
    assert_eq!(count, 100);
}

#[tokio::test]
async fn all_other_sessions_are_closed_at_once_and_no_browser_but_this_one_stays_known() {
    let mut portal = TestPortal::start().await;
    let (manager, _) = portal.manager().await;
    let (here, there) = (portal.signed_in(&manager).await, portal.signed_in(&manager).await);
    let stranger = portal.signed_in(&portal.person("Sacha").await).await;
    let close = "/mon-compte/sessions/fermeture";
    assert!(here.open("/mon-compte").await.has_form(close));
    portal.move_clock("16 minutes").await;
    assert_eq!(here.post(close, &[]).await.refusal(403).heading(), "Confirmez votre identité");
    portal.move_clock("14 minutes").await;
    let told = here.post(close, &[]).await.location();
    let page = here.open(&told).await;
    page.assert_says("Toutes vos autres sessions sont fermées.");
    // What others did in sessions that are over can still be ended.
    page.assert_says("Aucune autre session n’est ouverte.");
    assert!(page.has_form(close));
    assert!(is_in(&here).await && !is_in(&there).await && is_in(&stranger).await);
    assert_eq!(portal.details_of("SESSION_CLOSED").await, ["toutes les autres sessions"]);
}
