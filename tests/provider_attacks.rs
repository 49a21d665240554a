//! Attacks on the sign-in with an identity provider, and a provider that lies.

use std::time::{Duration, Instant};

use serde_json::{Map, Value, json};

use crate::common::{
    Answer, Browser, Call, TestPortal,
    provider::{CALLBACK, LEAVE, Provider, SLOW_CODE, Signed, arrive, departure, query},
    together,
};

const CONFIRM: &str = "/confirmation-identite/fournisseur";

async fn portal_and_provider() -> (Provider, TestPortal) {
    let provider = Provider::start("alix.martin@exemple.fr").await;
    let portal = provider.portal(&[]).await;
    portal.person("Alix").await;
    (provider, portal)
}

/// Nothing was opened, and nothing linked.
async fn assert_closed(portal: &TestPortal, why: &str) {
    let rows = (portal.count("sessions").await, portal.count("provider_identities").await);
    assert_eq!(rows, (0, 0), "{why}");
}

#[track_caller]
fn assert_not_verified(answer: &Answer, why: &str) {
    assert_eq!(answer.status, 403, "{why}: {}", answer.body_text());
    answer.page().assert_says("La réponse de ProConnect n’a pas pu être vérifiée.");
}

/// The callback with one pair of its query changed, or left out.
fn with_pair(back: &str, name: &str, value: Option<&str>) -> String {
    let mut pairs = query(back);
    match value {
        Some(value) => drop(pairs.insert(name.into(), value.into())),
        None => drop(pairs.remove(name)),
    }
    format!("{CALLBACK}?{}", form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish())
}

#[tokio::test]
async fn a_state_that_is_wrong_or_missing_or_was_used_opens_nothing() {
    let (provider, portal) = portal_and_provider().await;
    let browser = portal.browser();
    let back = provider.leave(&browser, LEAVE, &[]).await;
    for state in [None, Some(""), Some("faux"), Some("é\u{0}")] {
        let page = arrive(&browser, &with_pair(&back, "state", state)).await.refusal(400);
        page.assert_says("Cette identification a expiré, a déjà servi ou a commencé dans un autre navigateur.");
    }
    assert_closed(&portal, "a wrong state").await;
    assert_eq!(arrive(&browser, &back).await.location(), "/", "and the attempt is not spoilt");
    assert_eq!(arrive(&browser, &back).await.location(), "/", "a page that is loaded again");
    assert_eq!(portal.count("sessions").await, 1);
    browser.post("/deconnexion", &[]).await;
    arrive(&browser, &back).await.refusal(400);
    assert_eq!(portal.count("sessions").await, 0);
}

#[tokio::test]
async fn an_answer_opens_nothing_in_a_browser_that_did_not_leave() {
    let (provider, portal) = portal_and_provider().await;
    let (attacker, victim) = (portal.browser(), portal.browser());
    let back = provider.leave(&attacker, LEAVE, &[]).await;
    arrive(&victim, &back).await.refusal(400);
    // Nor where the victim has an attempt of their own under way.
    provider.leave(&victim, LEAVE, &[]).await;
    arrive(&victim, &back).await.refusal(400);
    assert_closed(&portal, "login CSRF").await;
    assert_eq!(arrive(&attacker, &back).await.location(), "/");
}

#[tokio::test]
async fn another_site_and_a_prefetch_begin_nothing() {
    let (_provider, portal) = portal_and_provider().await;
    let browser = portal.browser();
    let foreign = Call::post_form(LEAVE, &[]).with("sec-fetch-site", "cross-site");
    assert_eq!(browser.send(foreign).await.status, 403);
    assert_eq!(browser.get(LEAVE).await.status, 405);
    assert_eq!(portal.count("provider_attempts").await, 0);
    assert!(browser.cookies().is_empty());
}

#[tokio::test]
async fn a_code_opens_once_and_only_with_the_attempt_that_it_came_for() {
    let (provider, portal) = portal_and_provider().await;
    let browser = portal.browser();
    let first = provider.leave(&browser, LEAVE, &[]).await;
    let code = query(&first)["code"].clone();
    assert_eq!(arrive(&browser, &first).await.location(), "/");
    browser.post("/deconnexion", &[]).await;
    let second = provider.leave(&browser, LEAVE, &[]).await;
    assert_not_verified(&arrive(&browser, &with_pair(&second, "code", Some(&code))).await, "a used code");
    // A code that was stolen from another browser on its way: PKCE and the nonce tell.
    let stolen = query(&provider.leave(&portal.browser(), LEAVE, &[]).await)["code"].clone();
    let third = provider.leave(&browser, LEAVE, &[]).await;
    assert_not_verified(&arrive(&browser, &with_pair(&third, "code", Some(&stolen))).await, "an injected code");
    let fourth = provider.leave(&browser, LEAVE, &[]).await;
    assert_not_verified(&arrive(&browser, &with_pair(&fourth, "code", None)).await, "no code");
    assert_eq!(portal.count("sessions").await, 0);
}

#[tokio::test]
async fn many_arrivals_at_once_open_one_session() {
    let (provider, portal) = portal_and_provider().await;
    let browser = portal.browser();
    let back = provider.leave(&browser, LEAVE, &[]).await;
    let cookies = browser.cookies();
    let answers = together(8, |_| {
        let (browser, back) = (portal.browser(), back.clone());
        browser.set_cookies(cookies.clone());
        async move { arrive(&browser, &back).await }
    })
    .await;
    assert_eq!(answers.iter().filter(|answer| answer.status == 303).count(), 1);
    assert_eq!(portal.count("sessions").await, 1);
}

#[tokio::test]
async fn two_tabs_at_once_both_work() {
    let (provider, portal) = portal_and_provider().await;
    let browser = portal.browser();
    let one = provider.leave(&browser, LEAVE, &[("suite", "/mon-compte")]).await;
    let other = provider.leave(&browser, LEAVE, &[]).await;
    assert_eq!(arrive(&browser, &one).await.location(), "/mon-compte");
    assert_eq!(arrive(&browser, &other).await.location(), "/");
    assert_eq!(portal.count("sessions").await, 1, "the second one takes the place of the first");
}

#[tokio::test]
async fn an_attempt_comes_back_at_another_instance_and_not_after_ten_minutes() {
    let (provider, mut portal) = {
        let (provider, portal) = portal_and_provider().await;
        (provider, portal)
    };
    let browser = portal.browser();
    let back = provider.leave(&browser, LEAVE, &[]).await;
    let instance = portal.second_instance();
    assert_eq!(arrive(&browser.at(&instance), &back).await.location(), "/");
    let browser = portal.browser();
    let back = provider.leave(&browser, LEAVE, &[]).await;
    portal.move_clock("11 minutes").await;
    arrive(&browser, &back).await.refusal(400);
}

/// What becomes of a sign-in whose ID token has these claims.
async fn with_claims(edit: impl Fn(&mut Map<String, Value>) + Send + 'static) -> (TestPortal, Answer) {
    let (provider, portal) = portal_and_provider().await;
    provider.says().edit = Box::new(edit);
    let answer = provider.sign_in(&portal.browser()).await;
    (portal, answer)
}

#[tokio::test]
async fn tokens_with_wrong_claims_are_not_believed() {
    type Change = fn(&mut Map<String, Value>);
    let changes: [(&str, Change); 14] = [
        ("another client's", |claims| drop(claims.insert("aud".into(), json!("un autre")))),
        ("others' too", |claims| drop(claims.insert("aud".into(), json!(["raccord-essais", "un autre"])))),
        ("without an audience", |claims| drop(claims.remove("aud"))),
        ("made for another", |claims| drop(claims.insert("azp".into(), json!("un autre")))),
        ("another issuer's", |claims| drop(claims.insert("iss".into(), json!("https://ailleurs.example")))),
        ("a longer issuer's", |claims| {
            let issuer = format!("{}/", claims["iss"].as_str().expect("a text"));
            claims.insert("iss".into(), json!(issuer));
        }),
        ("without an issuer", |claims| drop(claims.remove("iss"))),
        ("another nonce", |claims| drop(claims.insert("nonce".into(), json!("0".repeat(43))))),
        ("without a nonce", |claims| drop(claims.remove("nonce"))),
        ("expired", |claims| {
            let issued = claims["iat"].as_i64().expect("a number");
            claims.insert("exp".into(), json!(issued - 121));
        }),
        ("without an end", |claims| drop(claims.remove("exp"))),
        ("of long ago", |claims| drop(claims.insert("iat".into(), json!(1_700_000_000)))),
        ("without a time", |claims| drop(claims.remove("iat"))),
        ("without a subject", |claims| drop(claims.remove("sub"))),
    ];
    for (why, change) in changes {
        let (portal, answer) = with_claims(change).await;
        assert_not_verified(&answer, why);
        assert_closed(&portal, why).await;
    }
}

#[tokio::test]
async fn tokens_that_the_provider_did_not_sign_are_not_believed() {
    for signed in [Signed::Not, Signed::Hs256, Signed::ByAnother] {
        let (provider, portal) = portal_and_provider().await;
        provider.says().signed = signed;
        assert_not_verified(&provider.sign_in(&portal.browser()).await, &format!("{signed:?}"));
        (provider.says().signed, provider.says().user_info) = (Signed::Es256, Some(signed));
        assert_not_verified(&provider.sign_in(&portal.browser()).await, &format!("user info: {signed:?}"));
        assert_closed(&portal, "unsigned").await;
    }
}

#[tokio::test]
async fn user_info_of_another_issuer_client_or_subject_is_not_believed() {
    type Change = fn(&mut Map<String, Value>);
    let changes: [(&str, Change); 5] = [
        ("iss", |claims| drop(claims.insert("iss".into(), json!("https://ailleurs.example")))),
        ("no iss", |claims| drop(claims.remove("iss"))),
        ("aud", |claims| drop(claims.insert("aud".into(), json!(["un autre"])))),
        ("no aud", |claims| drop(claims.remove("aud"))),
        ("sub", |claims| drop(claims.insert("sub".into(), json!("quelqu’un d’autre")))),
    ];
    for (why, change) in changes {
        let (provider, portal) = portal_and_provider().await;
        provider.says().edit_user_info = Box::new(change);
        assert_not_verified(&provider.sign_in(&portal.browser()).await, why);
        assert_closed(&portal, why).await;
    }
}

#[tokio::test]
async fn an_answer_of_another_provider_is_refused_before_its_code_is_used() {
    let (provider, portal) = portal_and_provider().await;
    let browser = portal.browser();
    let back = provider.leave(&browser, LEAVE, &[]).await;
    let mixed_up = with_pair(&back, "iss", Some("https://ailleurs.example"));
    assert_not_verified(&arrive(&browser, &mixed_up).await, "another issuer");
    let back = provider.leave(&browser, LEAVE, &[]).await;
    assert_not_verified(&arrive(&browser, &with_pair(&back, "iss", None)).await, "an issuer that must be named");
    assert!(!provider.says().requests.contains(&"/token".to_owned()));
    assert_closed(&portal, "mix-up").await;
}

#[tokio::test]
async fn a_provider_that_does_not_name_itself_is_taken_where_it_says_so() {
    let (provider, portal) = portal_and_provider().await;
    provider.says().names_issuer = false;
    assert_eq!(provider.sign_in(&portal.browser()).await.location(), "/");
}

#[tokio::test]
async fn an_address_that_is_not_verified_or_not_named_finds_no_person() {
    for verified in [json!(false), json!("false"), json!(0)] {
        let (provider, portal) = portal_and_provider().await;
        provider.says().edit_user_info =
            Box::new(move |claims| drop(claims.insert("email_verified".into(), verified.clone())));
        let refused = provider.sign_in(&portal.browser()).await.refusal(403);
        refused.assert_says("ProConnect n’a pas vérifié votre adresse électronique");
        assert_closed(&portal, "not verified").await;
    }
    let (provider, portal) = portal_and_provider().await;
    provider.says().email = Value::Null;
    let refused = provider.sign_in(&portal.browser()).await.refusal(403);
    refused.assert_says("ProConnect n’a pas transmis votre adresse électronique");
    assert_closed(&portal, "no address").await;
}

#[tokio::test]
async fn the_way_back_leads_nowhere_else() {
    let (provider, portal) = portal_and_provider().await;
    for elsewhere in ["https://ailleurs.example/", "//ailleurs.example", "/\\ailleurs.example", "/a\r\nb"] {
        let browser = portal.browser();
        let back = provider.leave(&browser, LEAVE, &[("suite", elsewhere)]).await;
        assert_eq!(arrive(&browser, &back).await.location(), "/", "{elsewhere}");
        let confirm = [("confirmation-suite", elsewhere)];
        browser.post("/confirmation-identite/fournisseur", &confirm).await.refusal(422);
    }
}

#[tokio::test]
async fn errors_of_the_provider_are_said_in_words_and_never_repeated() {
    let (provider, portal) = portal_and_provider().await;
    for (error, says) in [
        ("access_denied", "L’identification avec ProConnect n’est pas allée à son terme."),
        ("unmet_authentication_requirements", "ProConnect n’a pas confirmé de double authentification"),
        ("temporarily_unavailable", "ProConnect ne répond pas"),
        ("<b>Appelez le 0 899</b>", "La réponse de ProConnect n’a pas pu être vérifiée."),
    ] {
        let browser = portal.browser();
        let back = provider.leave(&browser, LEAVE, &[]).await;
        let back = with_pair(&with_pair(&back, "code", None), "error", Some(error));
        let back = format!("{back}&error_description=Appelez+le+0+899");
        let answer = arrive(&browser, &back).await;
        answer.page().assert_says(says);
        assert!(!answer.body_text().contains("0 899"), "{error}");
    }
    assert_closed(&portal, "errors").await;
}

#[tokio::test]
async fn attempts_are_bounded_by_browser_and_by_address() {
    let (provider, portal) = portal_and_provider().await;
    let noa = portal.person("Noa").await;
    let known = portal.signed_in(&noa).await;
    known.post("/deconnexion", &[]).await.location();
    // Also where they signed in at the provider, to which the mark does not go along.
    let known_there = portal.browser();
    arrive(&known_there, &provider.leave(&known_there, LEAVE, &[]).await).await.location();
    known_there.post("/deconnexion", &[]).await.page();
    let (browser, before) = (portal.browser(), portal.count("provider_attempts").await);
    let first = provider.leave(&browser, LEAVE, &[]).await;
    for _ in 0..8 {
        departure(&browser.post(LEAVE, &[]).await);
    }
    assert_eq!(portal.count("provider_attempts").await, before + 8);
    arrive(&browser, &first).await.refusal(400);
    let mut statuses = Vec::new();
    for _ in 0..400 {
        statuses.push(portal.browser().post(LEAVE, &[]).await.status.as_u16());
    }
    assert_eq!(statuses.iter().filter(|status| **status == 200).count(), 390);
    assert_eq!(statuses.last(), Some(&429));
    // A neighbour in the same network, and whoever has signed in from the same address before.
    let neighbour: Browser = portal.browser().with_address("198.51.100.9");
    departure(&neighbour.post(LEAVE, &[]).await);
    departure(&known.post(LEAVE, &[]).await);
    departure(&known_there.post(LEAVE, &[]).await);
    // Whoever is signed in is not held up by neighbours.
    let alix = portal.person_with_login("alix.martin@exemple.fr").await;
    departure(&portal.signed_in(&alix).await.post("/mon-compte/fournisseur", &[]).await);
}

/// It takes no password and no person to send one.
#[tokio::test(flavor = "multi_thread")]
async fn made_up_answers_of_one_network_keep_no_other_from_signing_in() {
    let (provider, portal) = portal_and_provider().await;
    let mut waiting = Vec::new();
    for number in 0..40 {
        let browser = portal.browser().with_address(&format!("198.51.100.{number}"));
        let back = with_pair(&provider.leave(&browser, LEAVE, &[]).await, "code", Some(SLOW_CODE));
        waiting.push(tokio::spawn(async move { arrive(&browser, &back).await.status.as_u16() }));
    }
    tokio::time::sleep(Duration::from_millis(500)).await;
    let browser = portal.browser().with_address("203.0.113.5");
    let start = Instant::now();
    arrive(&browser, &provider.leave(&browser, LEAVE, &[]).await).await.location();
    assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
    for answer in waiting {
        assert!(matches!(answer.await.expect("no panic"), 403 | 429 | 503));
    }
}

/// What is carried along is stored for ten minutes.
#[tokio::test]
async fn no_attempt_stores_more_than_a_form() {
    let (_provider, portal) = portal_and_provider().await;
    let long = format!("/{}", "a".repeat(9_000));
    let browser = portal.browser();
    departure(&browser.post(LEAVE, &[("suite", &long)]).await);
    assert_eq!(portal.number("SELECT count(*) FROM provider_attempts WHERE return_to IS NOT NULL", &[]).await, 0);
    let alix = portal.person_with_login("alix.martin@exemple.fr").await;
    let signed_in = portal.signed_in(&alix).await;
    let text = "a".repeat(20_000);
    signed_in.post(CONFIRM, &[("confirmation-suite", "/mon-compte"), ("x", &text)]).await.refusal(422);
    signed_in.post(CONFIRM, &[("confirmation-suite", &long)]).await.refusal(422);
    // A person is counted, whatever sessions they begin.
    for _ in 0..50 {
        departure(&signed_in.post(CONFIRM, &[("confirmation-suite", "/mon-compte")]).await);
    }
    let again = portal.signed_in(&alix).await;
    for _ in 0..50 {
        departure(&again.post(CONFIRM, &[("confirmation-suite", "/mon-compte")]).await);
    }
    assert_eq!(again.post(CONFIRM, &[("confirmation-suite", "/mon-compte")]).await.status, 429);
}

/// It takes no password and no person to cause one.
#[tokio::test]
async fn refusals_of_one_network_do_not_fill_the_history() {
    let (provider, portal) = portal_and_provider().await;
    let fail = async |address: &str| {
        let browser = portal.browser().with_address(address);
        let back = with_pair(&provider.leave(&browser, LEAVE, &[]).await, "code", Some("none"));
        arrive(&browser, &back).await.refusal(403);
    };
    for number in 0..30 {
        fail(&format!("203.0.113.{number}")).await;
    }
    assert_eq!(portal.events_of("SIGN_IN_FAILED").await, 20);
    fail("192.0.2.7").await;
    assert_eq!(portal.events_of("SIGN_IN_FAILED").await, 21);
}

#[tokio::test]
async fn an_answer_without_end_and_one_that_never_comes_are_given_up() {
    use tokio::{io::AsyncWriteExt, net::TcpListener};
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    let task = tokio::spawn(async move {
        // The first connection is never answered, the second one without end.
        let (_silent, _) = listener.accept().await.expect("a connection");
        let (mut endless, _) = listener.accept().await.expect("a connection");
        let head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n";
        endless.write_all(head).await.expect("it is written");
        while endless.write_all(b"400\r\n").await.is_ok()
            && endless.write_all(&[b' '; 1024]).await.is_ok()
            && endless.write_all(b"\r\n").await.is_ok()
        {}
    });
    let provider = Provider::start("").await;
    let portal = provider.portal(&[("RACCORD_OIDC_ISSUER", &url)]).await;
    let began = std::time::Instant::now();
    portal.browser().post(LEAVE, &[]).await.refusal(503);
    assert!(began.elapsed().as_secs() < 8, "{:?}", began.elapsed());
    let other = portal.second_instance();
    let began = std::time::Instant::now();
    portal.browser().at(&other).post(LEAVE, &[]).await.refusal(503);
    assert!(began.elapsed().as_secs() < 5, "{:?}", began.elapsed());
    task.abort();
}

#[tokio::test]
async fn an_authentication_whose_time_is_not_said_is_not_fresh() {
    let (provider, portal) = portal_and_provider().await;
    // Whoever sits before the browser takes `prompt` and `claims` away on the way to the provider.
    provider.says().edit = Box::new(|claims| drop(claims.remove("auth_time")));
    let browser = portal.browser();
    assert_eq!(provider.sign_in(&browser).await.location(), "/");
    let change = [("adresse-de-contact", "voleur@exemple.fr")];
    let asked = browser.post("/mon-compte/adresse-de-contact", &change).await.refusal(403);
    let back = provider.authenticate(&departure(&browser.submit(&asked, CONFIRM, &[]).await));
    arrive(&browser, &back).await.refusal(403).assert_says("ne vous a pas demandé de vous identifier de nouveau");
    provider.says().edit = Box::new(|_| {});
    let back = provider.authenticate(&departure(&browser.submit(&asked, CONFIRM, &[]).await));
    assert_eq!(arrive(&browser, &back).await.page().heading(), "Identité confirmée");
}

#[tokio::test]
async fn a_letter_that_only_looks_like_another_names_no_person() {
    let (provider, portal) = portal_and_provider().await;
    portal.person("Erik").await;
    // The Kelvin sign, whose lower case is k.
    provider.says().email = "eri\u{212a}.martin@exemple.fr".into();
    provider.sign_in(&portal.browser()).await.refusal(403).assert_says("Aucun compte Raccord ouvert");
    assert_closed(&portal, "another letter").await;
    provider.says().email = "Erik.Martin@Exemple.fr".into();
    assert_eq!(provider.sign_in(&portal.browser()).await.location(), "/");
}

#[tokio::test]
async fn names_that_cannot_be_kept_are_not_believed() {
    for subject in ["", "a\u{0}b", "a\nb", &"a".repeat(256)] {
        let (provider, portal) = portal_and_provider().await;
        provider.says().subject = subject.into();
        assert_not_verified(&provider.sign_in(&portal.browser()).await, subject);
        assert_closed(&portal, subject).await;
    }
    for user_info in [None, Some(Signed::Es256)] {
        let (provider, portal) = portal_and_provider().await;
        (provider.says().user_info, provider.says().email) = (user_info, "alix\u{0}@exemple.fr".into());
        assert_not_verified(&provider.sign_in(&portal.browser()).await, "an address");
        assert_closed(&portal, "an address").await;
    }
}

#[tokio::test]
async fn an_invitation_is_not_accepted_with_the_identity_of_another_person() {
    let (provider, portal) = portal_and_provider().await;
    assert_eq!(provider.sign_in(&portal.browser()).await.location(), "/");
    provider.says().email = "alix@ailleurs.example".into();
    let noa = portal.person("Noa").await;
    let link = portal.invitation(&noa).await;
    let browser = portal.browser();
    let back = provider.leave(&browser, &format!("{link}/fournisseur"), &[]).await;
    arrive(&browser, &back).await.refusal(403).assert_says("déjà associé à un autre compte Raccord");
    assert_eq!((portal.count("sessions").await, portal.count("provider_identities").await), (1, 1));
    // The link is not used up, and the password still opens.
    assert_eq!(browser.get(&link).await.status, 200);
    portal.signed_in(&noa).await;
}

#[tokio::test]
async fn a_link_that_a_stranger_passes_on_does_not_take_an_identity_away() {
    let (provider, portal) = portal_and_provider().await;
    let noa = portal.person("Noa").await;
    let link = portal.invitation(&noa).await;
    // Alix, who has never signed in there, follows Noa's link.
    let alix = portal.browser();
    let back = provider.leave(&alix, &format!("{link}/fournisseur"), &[]).await;
    let refused = arrive(&alix, &back).await.refusal(403);
    refused.assert_says("L’adresse de ce compte ProConnect est celle d’un autre compte Raccord.");
    assert_closed(&portal, "a link of another person").await;
    portal.signed_in(&noa).await;
    // Where Alix's account is closed, the address is free for the one that they were invited to.
    portal.execute("UPDATE users SET disabled_at = portal_now() WHERE login LIKE 'alix%'").await;
    let back = provider.leave(&alix, &format!("{link}/fournisseur"), &[]).await;
    assert_eq!(arrive(&alix, &back).await.location(), "/");
}

#[tokio::test]
async fn an_identity_of_a_former_provider_is_no_way_in() {
    let (provider, portal) = portal_and_provider().await;
    let browser = portal.browser();
    provider.sign_in(&browser).await.location();
    let id = portal.number("SELECT id FROM provider_identities", &[]).await;
    let former = "INSERT INTO provider_identities (user_id, issuer, subject, address)
        SELECT user_id, 'https://ancien.example', subject, address FROM provider_identities";
    portal.execute(former).await;
    portal.execute("UPDATE users SET password_hash = NULL").await;
    let end = format!("/mon-compte/fournisseur/{id}/dissociation");
    browser.post(&end, &[]).await.refusal(422).assert_says("Sans ce compte, vous ne pourriez plus vous connecter.");
}
