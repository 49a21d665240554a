//! Sign-in with an identity provider: the journeys of people.

use serde_json::{Value, json};

use crate::{
    common::{
        Browser, PASSWORD, Page, Person, TestPortal,
        provider::{CALLBACK, LEAVE, Provider, Signed, arrive, client_key, departure, private_file, query},
    },
    identity::{CODE, code, enrol},
};

const CONFIRM: &str = "/confirmation-identite/fournisseur";
const LINK: &str = "/mon-compte/fournisseur";

/// A provider that vouches for Alix, and a portal that knows them.
async fn with_alix(settings: &[(&str, &str)]) -> (Provider, TestPortal, Person) {
    let provider = Provider::start("alix.martin@exemple.fr").await;
    let portal = provider.portal(settings).await;
    let alix = portal.person("Alix").await;
    (provider, portal, alix)
}

async fn is_signed_in(browser: &Browser) -> bool {
    browser.get("/mon-compte").await.status == 200
}

#[tokio::test]
async fn the_provider_is_asked_for_what_proconnect_knows_and_for_nothing_else() {
    let (provider, portal, _) = with_alix(&[]).await;
    let browser = portal.browser();
    let page = browser.open("/connexion").await;
    assert_eq!(page.buttons()[..2], ["S’identifier avec ProConnect", "Se connecter"]);
    assert_eq!(page.link("Qu’est-ce que ProConnect\u{202f}? (nouvel onglet)"), "https://www.proconnect.gouv.fr/");
    let left = browser.submit(&page, LEAVE, &[]).await;
    let url = departure(&left);
    assert!(left.body_text().contains("http-equiv=\"refresh\" content=\"0;url=http://"), "without a script, too");
    let asked = query(&url);
    let names: Vec<&str> = asked.keys().map(String::as_str).collect();
    let known =
        "acr_values claims client_id code_challenge code_challenge_method nonce redirect_uri response_type scope state";
    assert_eq!(names.join(" "), known);
    assert_eq!(asked["scope"], "openid given_name usual_name email uid siret");
    assert_eq!((&*asked["response_type"], &*asked["code_challenge_method"]), ("code", "S256"));
    assert_eq!(asked["acr_values"], "eidas1-mfa eidas2 eidas3");
    let claims: Value = serde_json::from_str(&asked["claims"]).expect("JSON");
    let acr = json!({ "essential": true, "values": ["eidas1-mfa", "eidas2", "eidas3"] });
    assert_eq!(claims, json!({ "id_token": { "acr": acr, "auth_time": null } }));
    assert!(asked["state"].len() >= 32 && asked["nonce"].len() >= 32);
    assert_eq!(asked["redirect_uri"], format!("http://127.0.0.1:8080{CALLBACK}"));
    drop(provider);
}

#[tokio::test]
async fn the_first_sign_in_links_the_person_once_and_the_next_ones_need_no_address() {
    let (provider, portal, alix) = with_alix(&[]).await;
    let browser = portal.browser();
    let back = provider.leave(&browser, LEAVE, &[("suite", "/mon-compte?page=1")]).await;
    assert_eq!(arrive(&browser, &back).await.location(), "/mon-compte?page=1");
    assert!(is_signed_in(&browser).await);
    assert_eq!(portal.events_of("IDENTITY_LINKED").await, 1);
    let mails = portal.send_mails().await;
    assert!(
        mails.iter().any(|mail| mail.contains("contact-alix@exemple.fr") && mail.contains("ProConnect")),
        "{mails:?}"
    );
    provider.says().email = "une.autre@exemple.fr".into();
    let again = portal.browser();
    assert_eq!(provider.sign_in(&again).await.location(), "/");
    assert!(again.open("/mon-compte").await.text().contains(&alix.login));
    assert_eq!(portal.events_of("IDENTITY_LINKED").await, 1);
    assert_eq!(portal.events_of("SIGNED_IN").await, 2);
    // The password still opens.
    portal.signed_in(&alix).await;
}

#[tokio::test]
async fn answers_are_taken_signed_by_either_algorithm_and_as_json() {
    for (signed, user_info) in
        [(Signed::Rs256, Some(Signed::Rs256)), (Signed::Es256, None), (Signed::Rs256, Some(Signed::Es256))]
    {
        let (provider, portal, _) = with_alix(&[]).await;
        (provider.says().signed, provider.says().user_info) = (signed, user_info);
        assert_eq!(provider.sign_in(&portal.browser()).await.location(), "/", "{signed:?} {user_info:?}");
    }
}

#[tokio::test]
async fn the_portal_may_prove_itself_by_a_key() {
    let (pem, public) = client_key();
    let file = private_file("oidc-key", pem.as_bytes());
    let settings =
        [("RACCORD_OIDC_CLIENT_SECRET_FILE", ""), ("RACCORD_OIDC_PRIVATE_KEY_FILE", file.to_str().expect("a path"))];
    let (provider, portal, _) = with_alix(&settings).await;
    provider.says().client_key = Some(public);
    assert_eq!(provider.sign_in(&portal.browser()).await.location(), "/");
    provider.says().client_key = Some(client_key().1);
    provider.sign_in(&portal.browser()).await.refusal(403).assert_says("n’a pas pu être vérifiée");
}

#[tokio::test]
async fn a_confirmed_contact_address_names_a_person_and_one_to_be_confirmed_does_not() {
    let (provider, portal, alix) = with_alix(&[]).await;
    provider.says().email = alix.contact_address.to_uppercase().into();
    portal.execute("UPDATE users SET contact_address_confirmed_at = NULL").await;
    let refused = provider.sign_in(&portal.browser()).await.refusal(403);
    refused.assert_says("Aucun compte Raccord ouvert ne correspond à votre compte ProConnect.");
    portal.execute("UPDATE users SET contact_address_confirmed_at = portal_now()").await;
    assert_eq!(provider.sign_in(&portal.browser()).await.location(), "/");
    let other = portal.person("Noa").await;
    portal.execute("UPDATE users SET contact_address = 'commune@exemple.fr'").await;
    (provider.says().email, provider.says().subject) = ("commune@exemple.fr".into(), "other".into());
    let refused = provider.sign_in(&portal.browser()).await.refusal(403);
    refused.assert_says("Plusieurs comptes Raccord ont cette adresse de contact");
    assert_eq!(portal.count("provider_identities").await, 1, "{}", other.login);
}

#[tokio::test]
async fn an_address_that_the_provider_gives_to_another_person_does_not_open_the_account() {
    let (provider, portal, _) = with_alix(&[]).await;
    assert_eq!(provider.sign_in(&portal.browser()).await.location(), "/");
    provider.says().subject = "the next person with this address".into();
    let refused = provider.sign_in(&portal.browser()).await.refusal(403);
    refused.assert_says("Votre compte Raccord est associé, ou l’a été, à un autre compte ProConnect.");
    assert_eq!(portal.count("provider_identities").await, 1);
    assert_eq!(portal.events_of("SIGN_IN_FAILED").await, 1);
}

#[tokio::test]
async fn a_person_whose_access_was_ended_and_a_stranger_do_not_get_in() {
    let (provider, portal, _) = with_alix(&[]).await;
    assert_eq!(provider.sign_in(&portal.browser()).await.location(), "/");
    portal.execute("UPDATE users SET disabled_at = portal_now()").await;
    provider.sign_in(&portal.browser()).await.refusal(403).assert_says("Aucun compte Raccord ouvert");
    (provider.says().email, provider.says().subject) = ("inconnue@exemple.fr".into(), "unknown".into());
    let page = provider.sign_in(&portal.browser()).await.refusal(403);
    page.assert_says("Aucun compte Raccord ouvert");
    page.assert_says("inconnue@exemple.fr");
    assert_eq!(portal.count("sessions").await, 1);
}

#[tokio::test]
async fn a_technical_user_does_not_sign_in_whatever_the_provider_says() {
    let (provider, portal, _) = with_alix(&[]).await;
    let (manager, structure) = portal.manager().await;
    let account = portal.technical_user(&structure, &manager).await;
    provider.says().email = portal.login_of(account).await.into();
    let refused = provider.sign_in(&portal.browser()).await.refusal(403);
    refused.assert_says("Un compte technique ne permet pas de se connecter au portail.");
    assert_eq!((portal.count("provider_identities").await, portal.count("sessions").await), (0, 0));
}

#[tokio::test]
async fn a_second_factor_that_was_not_proved_there_is_asked_for_here_or_nothing_opens() {
    for acr in [Value::Null, json!("eidas1"), json!("EIDAS2"), json!("eidas2 eidas3")] {
        let (provider, portal, alix) = with_alix(&[]).await;
        provider.says().acr = acr;
        let refused = provider.sign_in(&portal.browser()).await.refusal(403);
        refused.assert_says("ProConnect n’a pas confirmé de double authentification, que Raccord exige.");
        assert_eq!(portal.count("provider_identities").await, 0, "nothing is linked");
        let (key, _) = enrol(&portal, &portal.signed_in(&alix).await).await;
        let browser = portal.browser();
        assert_eq!(provider.sign_in(&browser).await.location(), CODE);
        assert!(!is_signed_in(&browser).await);
        browser.post(CODE, &[("code", "000000")]).await.refusal(422);
        assert_eq!(browser.post(CODE, &[("code", &code(&portal, &key, 1).await)]).await.location(), "/");
        assert!(is_signed_in(&browser).await);
    }
}

#[tokio::test]
async fn a_second_factor_that_was_proved_there_needs_none_here() {
    let (provider, portal, alix) = with_alix(&[]).await;
    enrol(&portal, &portal.signed_in(&alix).await).await;
    let browser = portal.browser();
    assert_eq!(provider.sign_in(&browser).await.location(), "/");
    assert!(is_signed_in(&browser).await);
}

#[tokio::test]
async fn managers_who_must_have_a_second_factor_have_it_there_or_set_one_up() {
    let provider = Provider::start("").await;
    let portal = provider.portal(&[("RACCORD_REQUIRE_MFA", "managers")]).await;
    let (manager, _) = portal.manager().await;
    provider.says().email = manager.login.clone().into();
    provider.says().acr = json!("eidas1");
    let browser = portal.browser();
    provider.sign_in(&browser).await.location();
    assert_eq!(browser.get("/activites").await.location(), "/mon-compte/double-authentification");
    provider.says().acr = json!("eidas2");
    let browser = portal.browser();
    provider.sign_in(&browser).await.location();
    assert_eq!(browser.get("/activites").await.status, 200);
    // From then on, whoever has the first factor alone sets none up in the manager's place.
    provider.says().acr = json!("eidas1");
    provider.sign_in(&portal.browser()).await.refusal(403).assert_says("double authentification");
}

#[tokio::test]
async fn where_no_second_factor_is_asked_there_people_sign_in_as_with_a_password() {
    let (provider, portal, alix) = with_alix(&[("RACCORD_OIDC_ACR_VALUES", "none")]).await;
    provider.says().acr = Value::Null;
    let browser = portal.browser();
    let asked = query(&departure(&browser.post(LEAVE, &[]).await));
    assert!(!asked["claims"].contains("acr") && !asked.contains_key("acr_values"));
    assert_eq!(provider.sign_in(&browser).await.location(), "/");
    enrol(&portal, &portal.signed_in(&alix).await).await;
    assert_eq!(provider.sign_in(&portal.browser()).await.location(), CODE);
}

#[tokio::test]
async fn a_form_that_asks_for_a_fresh_authentication_survives_the_way_there_and_back() {
    let provider = Provider::start("").await;
    let mut portal = provider.portal(&[]).await;
    let (manager, structure) = portal.manager().await;
    provider.says().email = manager.login.clone().into();
    let browser = portal.browser();
    provider.sign_in(&browser).await.location();
    let action = format!("/structures/{}/utilisateurs-techniques", structure.id);
    let form = browser.open(&format!("{action}/nouveau")).await;
    portal.move_clock("16 minutes").await;
    provider.says().skew = 16 * 60;
    let asked = browser.submit(&form, &action, &[("libelle", "Cantine & « école »")]).await.refusal(403);
    assert_eq!(asked.heading(), "Confirmez votre identité");
    let url = departure(&browser.submit(&asked, CONFIRM, &[]).await);
    let sent = query(&url);
    assert_eq!(sent["prompt"], "login");
    assert!(sent["claims"].contains("auth_time") && !sent.contains_key("max_age"), "{}", sent["claims"]);
    assert!(!portal.all_contents().await.join(" ").contains("Cantine"), "the database cannot read what was typed");
    let before = browser.cookies();
    let page = arrive(&browser, &provider.authenticate(&url)).await;
    assert_eq!(page.status, 200, "{}", page.body_text());
    let page = page.page();
    assert_eq!(page.heading(), "Identité confirmée");
    page.assert_says("Cantine & « école »");
    let summary = browser.submit(&page, &action, &[]).await.location();
    assert!(browser.open(&summary).await.password().is_some());
    assert_eq!(portal.labels().await, ["Cantine & « école »"]);
    assert_eq!(portal.events_of("IDENTITY_CONFIRMED").await, 1);
    browser.set_cookies(before);
    assert!(!is_signed_in(&browser).await, "the session has a new id");
}

#[tokio::test]
async fn an_old_authentication_and_that_of_another_person_confirm_nothing() {
    let provider = Provider::start("").await;
    let mut portal = provider.portal(&[]).await;
    let (manager, structure) = portal.manager().await;
    let other = portal.person("Noa").await;
    provider.says().email = manager.login.clone().into();
    let browser = portal.browser();
    provider.sign_in(&browser).await.location();
    portal.move_clock("16 minutes").await;
    provider.says().skew = 16 * 60;
    let fields = [
        ("confirmation-suite", &*format!("/structures/{}/utilisateurs-techniques", structure.id)),
        ("libelle", "Paie"),
    ];
    provider.says().edit = Box::new(|claims| {
        let issued = claims["iat"].as_i64().expect("a number");
        claims.insert("auth_time".into(), json!(issued - 600));
    });
    let back = provider.leave(&browser, CONFIRM, &fields).await;
    arrive(&browser, &back).await.refusal(403).assert_says("ne vous a pas demandé de vous identifier de nouveau");
    provider.says().edit = Box::new(|_| {});
    provider.says().acr = json!("eidas1");
    let back = provider.leave(&browser, CONFIRM, &fields).await;
    arrive(&browser, &back).await.refusal(403).assert_says("n’a pas confirmé de double authentification");
    provider.says().acr = json!("eidas2");
    (provider.says().email, provider.says().subject) = (other.login.clone().into(), "noa".into());
    let back = provider.leave(&browser, CONFIRM, &fields).await;
    arrive(&browser, &back).await.refusal(403).assert_says("n’est pas associé à votre compte Raccord");
    assert_eq!(portal.events_of("IDENTITY_NOT_CONFIRMED").await, 3);
    browser.post("/mon-compte/adresse-de-contact", &[("adresse-de-contact", "a@exemple.fr")]).await.refusal(403);
}

#[tokio::test]
async fn a_session_that_the_provider_has_had_for_long_is_not_a_fresh_authentication() {
    let (provider, portal, _) = with_alix(&[]).await;
    for (age, status) in [(14 * 60, 303), (16 * 60, 403)] {
        provider.says().edit = Box::new(move |claims| {
            let issued = claims["iat"].as_i64().expect("a number");
            claims.insert("auth_time".into(), json!(issued - age));
        });
        let browser = portal.browser();
        provider.sign_in(&browser).await.location();
        let changed = browser.post("/mon-compte/adresse-de-contact", &[("adresse-de-contact", "a@exemple.fr")]).await;
        assert_eq!(changed.status.as_u16(), status, "{age} s");
    }
}

#[tokio::test]
async fn a_form_sent_after_the_session_survives_a_sign_in_there() {
    let provider = Provider::start("").await;
    let portal = provider.portal(&[]).await;
    let (manager, structure) = portal.manager().await;
    provider.says().email = manager.login.clone().into();
    let action = format!("/structures/{}/utilisateurs-techniques", structure.id);
    let form = portal.signed_in(&manager).await.open(&format!("{action}/nouveau")).await;
    let browser = portal.browser();
    let page = browser.submit(&form, &action, &[("libelle", "Paie")]).await.refusal(403);
    let back = provider.authenticate(&departure(&browser.submit(&page, LEAVE, &[]).await));
    let resumed = arrive(&browser, &back).await.page();
    assert_eq!(resumed.heading(), "Reprenez votre saisie");
    browser.submit(&resumed, &action, &[]).await.location();
    assert_eq!(portal.labels().await, ["Paie"]);
}

#[tokio::test]
async fn an_invitation_is_accepted_there_and_opens_without_a_password() {
    let (provider, portal, alix) = with_alix(&[]).await;
    provider.says().email = "quelqu-un@ailleurs.example".into();
    portal.execute("UPDATE users SET password_hash = NULL, invited = true").await;
    let link = portal.invitation(&alix).await;
    let browser = portal.browser();
    let page = browser.open(&link).await;
    let action = format!("{link}/fournisseur");
    let back = provider.authenticate(&departure(&browser.submit(&page, &action, &[]).await));
    assert_eq!(arrive(&browser, &back).await.location(), "/");
    let account = browser.open("/mon-compte").await;
    account.assert_says("quelqu-un@ailleurs.example");
    assert!(!account.has_form("/mon-compte/mot-de-passe"));
    assert_eq!(provider.sign_in(&portal.browser()).await.location(), "/", "linked for good");
    assert_eq!(browser.get(&link).await.status, 404, "the link is used up");
    let state = "SELECT person_state(disabled_at, way_in(id, password_hash), invited) FROM users";
    assert_eq!(portal.text(state, &[]).await, "active");
    let id = portal.number("SELECT id FROM provider_identities", &[]).await;
    let end = format!("/mon-compte/fournisseur/{id}/dissociation");
    browser.post(&end, &[]).await.refusal(422).assert_says("Sans ce compte, vous ne pourriez plus vous connecter.");
}

#[tokio::test]
async fn accounts_are_linked_and_unlinked_on_ones_own_page() {
    let (provider, portal, alix) = with_alix(&[]).await;
    provider.says().email = "alix@ailleurs.example".into();
    let browser = portal.signed_in(&alix).await;
    let page = browser.open("/mon-compte").await;
    let url = departure(&browser.submit(&page, LINK, &[]).await);
    assert_eq!(query(&url)["prompt"], "login");
    let back = provider.authenticate(&url);
    assert_eq!(arrive(&browser, &back).await.location(), "/mon-compte?avis=identity-linked");
    let elsewhere = portal.browser();
    assert_eq!(provider.sign_in(&elsewhere).await.location(), "/");
    // Several are possible, and none of them twice.
    provider.says().subject = "another".into();
    let back = provider.leave(&browser, LINK, &[]).await;
    assert_eq!(arrive(&browser, &back).await.location(), "/mon-compte?avis=identity-linked");
    let back = provider.leave(&browser, LINK, &[]).await;
    arrive(&browser, &back).await.refusal(403).assert_says("déjà associé à votre compte Raccord");
    let noa = portal.person("Noa").await;
    (provider.says().subject, provider.says().email) = ("noa".into(), noa.login.clone().into());
    let back = provider.leave(&browser, LINK, &[]).await;
    arrive(&browser, &back).await.refusal(403).assert_says("Sa prochaine connexion ouvrirait votre compte.");
    (provider.says().subject, provider.says().email) = ("another".into(), "alix@ailleurs.example".into());
    let stranger = portal.signed_in(&noa).await;
    let back = provider.leave(&stranger, LINK, &[]).await;
    arrive(&stranger, &back).await.refusal(403).assert_says("déjà associé à un autre compte Raccord");
    let id = portal.number("SELECT min(id) FROM provider_identities", &[]).await;
    let end = format!("/mon-compte/fournisseur/{id}/dissociation");
    assert_eq!(stranger.post(&end, &[]).await.status, 404);
    assert_eq!(browser.post(&end, &[]).await.location(), "/mon-compte?avis=identity-unlinked");
    assert!(!is_signed_in(&elsewhere).await, "the session that began with it is over");
    provider.says().subject = "a1b2c3".into();
    provider.sign_in(&portal.browser()).await.refusal(403).assert_says("a été dissocié de votre compte Raccord");
    assert_eq!((portal.events_of("IDENTITY_LINKED").await, portal.events_of("IDENTITY_UNLINKED").await), (2, 1));
}

#[tokio::test]
async fn an_identity_that_another_session_linked_ends_with_the_other_sessions_and_with_a_new_password() {
    let new = [("mot-de-passe-actuel", PASSWORD), ("nouveau-mot-de-passe", "neuf moulins à vent de Hollande")];
    for (act, fields) in [("/mon-compte/mot-de-passe", &new[..]), ("/mon-compte/sessions/fermeture", &[])] {
        let (provider, portal, alix) = with_alix(&[]).await;
        provider.says().email = "voleur@ailleurs.example".into();
        let thief = portal.signed_in(&alix).await;
        let back = provider.leave(&thief, LINK, &[]).await;
        arrive(&thief, &back).await.location();
        portal.signed_in(&alix).await.post(act, fields).await.location();
        provider.sign_in(&portal.browser()).await.refusal(403);
    }
    // The identity with which the session began stays.
    let (provider, portal, _) = with_alix(&[]).await;
    let owner = portal.browser();
    provider.sign_in(&owner).await.location();
    owner.post("/mon-compte/sessions/fermeture", &[]).await.location();
    assert_eq!(provider.sign_in(&portal.browser()).await.location(), "/");
}

#[tokio::test]
async fn a_mailed_link_gives_the_account_back_to_its_owner_alone() {
    let (provider, portal, alix) = with_alix(&[]).await;
    provider.says().email = "voleur@ailleurs.example".into();
    let thief = portal.signed_in(&alix).await;
    let back = provider.leave(&thief, LINK, &[]).await;
    arrive(&thief, &back).await.location();
    let link = portal.invitation(&alix).await;
    let owner = portal.browser();
    let page = owner.open(&link).await;
    owner.submit(&page, &link, &[("nouveau-mot-de-passe", "neuf moulins à vent de Hollande")]).await.location();
    assert_eq!(portal.count("provider_identities").await, 0);
    provider.sign_in(&portal.browser()).await.refusal(403).assert_says("Aucun compte Raccord ouvert");
}

#[tokio::test]
async fn a_sign_out_ends_both_sessions_and_says_so() {
    let (provider, portal, alix) = with_alix(&[]).await;
    let browser = portal.browser();
    provider.sign_in(&browser).await.location();
    assert!(!portal.all_contents().await.join(" ").contains("eyJ"), "the database cannot read the token");
    let left = browser.post("/deconnexion", &[]).await;
    assert!(!is_signed_in(&browser).await);
    let url = left.page().link("Fermer la session ProConnect");
    assert!(url.starts_with(&format!("{}/end?", provider.url)));
    let sent = query(&url);
    assert_eq!(sent["post_logout_redirect_uri"], "http://127.0.0.1:8080/deconnexion/fournisseur");
    assert_eq!(sent["id_token_hint"].split('.').count(), 3);
    assert_eq!(sent["client_id"], "raccord-essais");
    assert!(sent["state"].len() >= 32);
    let back = format!("/deconnexion/fournisseur?state={}", sent["state"]);
    assert_eq!(arrive(&portal.browser(), &back).await.location(), "/connexion", "another browser's");
    assert_eq!(arrive(&browser, &back).await.location(), "/connexion?avis=signed-out-everywhere");
    assert_eq!(arrive(&browser, &back).await.location(), "/connexion", "once");
    // A session that began with a password ends here alone.
    let browser = portal.signed_in(&alix).await;
    assert_eq!(browser.post("/deconnexion", &[]).await.location(), "/connexion?avis=signed-out");
}

#[tokio::test]
async fn a_provider_that_is_away_is_said_in_words_and_passwords_still_open() {
    let (provider, portal, alix) = with_alix(&[]).await;
    provider.says().is_away = true;
    let browser = portal.browser();
    let away = browser.post(LEAVE, &[]).await.refusal(503);
    away.assert_says("ProConnect ne répond pas pour le moment. Réessayez dans quelques minutes.");
    away.assert_says("Si vous avez un mot de passe Raccord, vous pouvez aussi l’utiliser.");
    portal.signed_in(&alix).await;
    assert_eq!(provider.says().requests.len(), 1);
    browser.post(LEAVE, &[]).await.refusal(503);
    assert_eq!(provider.says().requests.len(), 1, "a provider that is away is not asked each time");
}

#[tokio::test]
async fn a_provider_that_goes_away_in_the_middle_is_said_in_words() {
    let (provider, portal, _) = with_alix(&[]).await;
    let browser = portal.browser();
    let back = provider.leave(&browser, LEAVE, &[]).await;
    provider.says().is_away = true;
    arrive(&browser, &back).await.refusal(503).assert_says("ProConnect ne répond pas");
    provider.says().is_away = false;
    provider.sign_in(&browser).await.location();
    provider.says().is_away = true;
    // Its addresses are known: what is away is for the browser to find out.
    assert_eq!(browser.post("/deconnexion", &[]).await.status, 200);
    assert!(!is_signed_in(&browser).await);
}

#[tokio::test]
async fn a_sign_out_says_where_the_provider_cannot_be_told() {
    let (provider, portal, _) = with_alix(&[]).await;
    let browser = portal.browser();
    provider.sign_in(&browser).await.location();
    provider.says().is_away = true;
    // An instance that has not asked the provider before.
    let browser = browser.at(&portal.second_instance());
    let page = browser.post("/deconnexion", &[]).await.page();
    page.assert_says("votre session ProConnect est peut-être encore ouverte");
    assert!(!is_signed_in(&browser).await);
}

#[tokio::test]
async fn a_key_that_the_provider_has_replaced_is_looked_up() {
    let (provider, portal, _) = with_alix(&[]).await;
    provider.sign_in(&portal.browser()).await.location();
    provider.rotate_key("2");
    // Not within ten seconds of the last look.
    tokio::time::sleep(std::time::Duration::from_millis(10_100)).await;
    provider.sign_in(&portal.browser()).await.location();
    let looks = |path: &str| provider.says().requests.iter().filter(|request| *request == path).count();
    assert_eq!(looks("/jwks"), 2);
}

#[tokio::test]
async fn a_clock_that_is_ninety_seconds_off_stops_no_one_and_one_of_ten_minutes_does() {
    let (provider, portal, _) = with_alix(&[]).await;
    for skew in [90, -90] {
        provider.says().skew = skew;
        assert_eq!(provider.sign_in(&portal.browser()).await.location(), "/", "{skew}");
    }
    for skew in [600, -600] {
        provider.says().skew = skew;
        provider.sign_in(&portal.browser()).await.refusal(403).assert_says("n’a pas pu être vérifiée");
    }
}

#[tokio::test]
async fn who_cannot_confirm_there_is_told_how_to_go_on() {
    let only = [("RACCORD_OIDC_ACR_VALUES", "none"), ("RACCORD_OIDC_ONLY", "true")];
    for settings in [&only[..1], &only] {
        let (provider, mut portal, _) = with_alix(settings).await;
        let browser = portal.browser();
        provider.sign_in(&browser).await.location();
        enrol(&portal, &browser).await;
        portal.execute("UPDATE users SET password_hash = NULL").await;
        portal.move_clock("16 minutes").await;
        let change = [("adresse-de-contact", "a@exemple.fr")];
        let asked = browser.post("/mon-compte/adresse-de-contact", &change).await.refusal(403);
        asked.assert_says("déconnectez-vous, puis connectez-vous de nouveau");
        assert!(!asked.has_form(CONFIRM) && !asked.has_form("/confirmation-identite"));
    }
}

#[tokio::test]
async fn a_portal_without_passwords_takes_none() {
    let (provider, portal, alix) = with_alix(&[("RACCORD_OIDC_ONLY", "true")]).await;
    let browser = portal.browser();
    let page = browser.open("/connexion").await;
    assert!(page.has_form(LEAVE) && !page.has_form("/connexion"));
    let refused = browser.post("/connexion", &[("identifiant", &alix.login), ("mot-de-passe", PASSWORD)]).await;
    refused.refusal(422).assert_says("Ce portail n’accepte plus de mot de passe");
    let link = portal.invitation(&alix).await;
    assert!(!browser.open(&link).await.has_form(&link));
    assert_eq!(browser.post(&link, &[("nouveau-mot-de-passe", "neuf moulins à vent de Hollande")]).await.status, 403);
    assert_eq!(provider.sign_in(&browser).await.location(), "/");
    let page = browser.open("/mon-compte").await;
    assert!(!page.has_form("/mon-compte/mot-de-passe"));
    let change = [("mot-de-passe-actuel", PASSWORD), ("nouveau-mot-de-passe", "neuf moulins à vent de Hollande")];
    assert_eq!(browser.post("/mon-compte/mot-de-passe", &change).await.status, 403);
    let confirm = [("confirmation-suite", "/mon-compte"), ("confirmation-mot-de-passe", PASSWORD)];
    assert_eq!(browser.post("/confirmation-identite", &confirm).await.status, 403);
}

/// What a page says of passwords, apart from those of technical users.
#[track_caller]
fn assert_no_password(page: &Page) {
    let text = page.text();
    let others = [
        "Le mot de passe d’un utilisateur technique\u{202f}?",
        "Remises de mots de passe",
        "Les mots de passe et les codes de secours ne sont jamais conservés en clair",
        "tant que le mot de passe fonctionne",
    ];
    let text = others.iter().fold(text, |text, other| text.replace(other, ""));
    assert!(!text.contains("ot de passe") && !text.contains("ots de passe"), "{text}");
}

#[tokio::test]
async fn a_portal_without_passwords_speaks_of_none() {
    let provider = Provider::start("").await;
    let mut portal = provider.portal(&[("RACCORD_OIDC_ONLY", "true")]).await;
    let (manager, structure) = portal.manager().await;
    provider.says().email = manager.login.clone().into();
    let stranger = portal.browser();
    let link = portal.invitation(&manager).await;
    for path in ["/connexion", "/mot-de-passe-oublie", &link, "/plan-du-site", "/cookies", "/donnees-personnelles"] {
        assert_no_password(&stranger.open(path).await);
    }
    assert_eq!(stranger.open("/connexion").await.link("Demander un lien"), "/mot-de-passe-oublie");
    let asked = stranger.post("/mot-de-passe-oublie", &[("identifiant", &manager.login)]).await;
    assert_no_password(&stranger.open(&asked.location()).await);
    let over = stranger.get("/invitation/perime").await;
    assert_no_password(&over.page());

    let browser = portal.browser();
    provider.sign_in(&browser).await.location();
    let pages = [
        "/mon-compte",
        "/mon-compte/double-authentification",
        &format!("/structures/{}/membres/invitation", structure.id),
    ];
    for path in pages {
        assert_no_password(&browser.open(path).await);
    }
    let id = portal.number("SELECT id FROM provider_identities", &[]).await;
    let end = format!("/mon-compte/fournisseur/{id}/dissociation");
    assert_no_password(&browser.post(&end, &[]).await.refusal(422));
    browser.post("/mon-compte/adresse-de-contact", &[("adresse-de-contact", "nouvelle@exemple.fr")]).await.location();
    assert_no_password(&browser.open("/mon-compte").await);
    portal.move_clock("16 minutes").await;
    assert_no_password(&browser.post(&end, &[]).await.refusal(403));
    // A session that began with a password, before passwords were closed.
    portal.execute("DELETE FROM provider_identities").await;
    let page = browser.post(&end, &[]).await.refusal(403);
    assert_no_password(&page);
    page.assert_says("déconnectez-vous, puis connectez-vous de nouveau");
}

#[tokio::test]
async fn without_a_provider_nothing_of_it_is_there() {
    let portal = TestPortal::start().await;
    let browser = portal.browser();
    assert!(!browser.open("/connexion").await.has_form(LEAVE));
    assert_eq!(browser.post(LEAVE, &[]).await.status, 404);
    assert_eq!(browser.get(CALLBACK).await.status, 404);
    let alix = portal.person("Alix").await;
    let browser = portal.signed_in(&alix).await;
    assert!(!browser.open("/mon-compte").await.has_form(LINK));
    assert_eq!(browser.post(LINK, &[]).await.status, 404);
}
