//! « Informations générales » of a structure: what the form refuses, and how nothing typed is lost.

use crate::common::TestPortal;

#[tokio::test]
async fn a_postal_code_that_is_none_is_said_beside_its_field_with_the_ways_out() {
    let portal = TestPortal::start().await;
    let (manager, structure) = portal.manager().await;
    let browser = portal.signed_in(&manager).await;
    let url = format!("/structures/{}", structure.id);
    let fiche = browser.open(&url).await;
    let refused = browser.submit(&fiche, &url, &[("code-postal", "9"), ("telephone", "01 23")]).await.refusal(422);
    refused.assert_says("Le code postal d’une adresse en France compte 5\u{a0}chiffres");
    assert!(refused.html().contains("href=\"#code-postal\""), "the summary leads to the field");
    assert_eq!((refused.field("code-postal").as_str(), refused.field("telephone").as_str()), ("9", "01 23"));
    // What the directory left there does not stop who edits something else for good: three ways out.
    portal.execute("UPDATE structures SET postal_code = '9'").await;
    let fiche = browser.open(&url).await;
    browser.submit(&fiche, &url, &[("telephone", "01 23")]).await.refusal(422).assert_says("laissez-le vide");
    for way in [
        [("code-postal", "35 000"), ("pays", "France")],
        [("code-postal", ""), ("pays", "")],
        [("code-postal", "9"), ("pays", "Islande")],
    ] {
        browser.submit(&fiche, &url, &way).await.location();
    }
    assert_eq!(portal.texts("SELECT postal_code FROM structures", &[]).await, ["9"]);
}
