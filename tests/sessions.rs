//! Sessions: begun by a sign-in, ended for good.

use std::collections::BTreeMap;

use crate::common::{Browser, PASSWORD, TestPortal};

async fn is_in(browser: &Browser) -> bool {
    let answer = browser.get("/mon-compte").await;
    let is_in = answer.status == 200;
    assert!(is_in || answer.location().starts_with("/connexion"));
    is_in
}

/// The browser's cookies in another browser: somebody has copied them.
fn copy_of(portal: &TestPortal, cookies: BTreeMap<String, String>) -> Browser {
    let copy = portal.browser();
    copy.set_cookies(cookies);
    copy
}

#[tokio::test]
async fn a_session_that_was_left_or_closed_is_over() {
    let portal = TestPortal::start().await;
    let (manager, _) = portal.manager().await;
    let browser = portal.signed_in(&manager).await;
    let copy = copy_of(&portal, browser.cookies());
    assert!(is_in(&copy).await);
    browser.post("/deconnexion", &[]).await.location();
    assert!(!is_in(&copy).await, "a copied cookie is worth nothing after the sign-out");

    let (here, there) = (portal.signed_in(&manager).await, portal.signed_in(&manager).await);
    let stranger = portal.person("Sacha").await;
    let strange = portal.signed_in(&stranger).await;
    let other = portal.number("SELECT max(public_id) FROM sessions WHERE user_id = $1", &[manager.id]).await;
    let close = format!("/mon-compte/sessions/{other}/fermeture");
    strange.post(&close, &[]).await.location();
    assert!(is_in(&there).await, "a stranger closes nobody's session");
    assert!(here.open("/mon-compte").await.has_form(&close));
    here.post(&close, &[]).await.location();
    assert!(is_in(&here).await && !is_in(&there).await);
}

#[tokio::test]
async fn a_sign_in_takes_no_session_that_somebody_chose() {
    let portal = TestPortal::start().await;
    let (manager, _) = portal.manager().await;
    let first = portal.signed_in(&manager).await;
    let chosen = first.cookies();
    let (name, _) = chosen.first_key_value().expect("a session");
    let planted = BTreeMap::from([(name.clone(), "AAAAAAAAAAAAAAAAAAAAAA".to_owned())]);
    let victim = portal.sign_in(copy_of(&portal, planted.clone()), &manager).await;
    assert_ne!(victim.cookies(), planted);
    assert!(!is_in(&copy_of(&portal, planted)).await);
    // Who signs in again gets another session, and the one before is over.
    let again = portal.sign_in(copy_of(&portal, chosen.clone()), &manager).await;
    assert_ne!(again.cookies(), chosen);
    assert!(is_in(&again).await && !is_in(&copy_of(&portal, chosen)).await);
}

#[tokio::test]
async fn who_changes_the_password_stays_and_others_must_sign_in_again() {
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
}
