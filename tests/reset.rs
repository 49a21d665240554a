//! « Réinitialiser le mot de passe (utilisateur technique) », and the other acts on an account.

use raccord::domain::technical_user::TechnicalUserStatus;

use crate::common::{TestPortal, together};

#[tokio::test]
async fn the_new_password_works_and_the_old_one_is_dead_with_its_tokens() {
    let portal = TestPortal::start().await;
    let (manager, structure) = portal.manager().await;
    let browser = portal.signed_in(&manager).await;
    let (id, _, old) = portal.create_and_show(&browser, structure.id, "ERP").await;
    portal.grant_token(id, "1 hour").await;
    let reset = format!("/utilisateurs-techniques/{id}/mot-de-passe");
    let confirmation = browser.open(&reset).await;
    assert!(
        confirmation
            .text()
            .contains("Les logiciels qui utilisent l’ancien mot de passe ne pourront plus se connecter.")
    );
    let location = browser.submit(&confirmation, &reset, &[]).await.location();
    let new = browser.open(&location).await.password().expect("the new password is shown");
    assert!(portal.works(id, &new).await && !portal.works(id, &old).await);
    assert_eq!(portal.count("access_tokens").await, 0);
    assert_eq!(portal.events_of("PASSWORD_RESET").await, 1);
    assert_eq!(portal.mails().await.len(), 2);
}

#[tokio::test]
async fn of_two_resets_from_the_same_page_one_holds_and_the_other_is_refused() {
    let portal = TestPortal::start().await;
    let (manager, structure) = portal.manager().await;
    let browser = portal.signed_in(&manager).await;
    let id = portal.create_account(&browser, structure.id, "ERP").await;
    let reset = format!("/utilisateurs-techniques/{id}/mot-de-passe");
    let (one, other) = (browser.open(&reset).await, browser.open(&reset).await);
    browser.submit(&one, &reset, &[]).await.location();
    browser.submit(&other, &reset, &[]).await.refusal(409);
    browser.submit(&one, &reset, &[]).await.location();
    assert_eq!(portal.events_of("PASSWORD_RESET").await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_many_resets_at_once_one_holds() {
    let portal = TestPortal::start().await;
    let (manager, structure) = portal.manager().await;
    let browser = portal.signed_in(&manager).await;
    let id = portal.create_account(&browser, structure.id, "ERP").await;
    let reset = format!("/utilisateurs-techniques/{id}/mot-de-passe");
    let mut forms = Vec::new();
    for _ in 0..8 {
        forms.push(browser.open(&reset).await);
    }
    let answers = together(8, |number| {
        let (browser, form, reset) = (browser.clone(), forms[number].clone(), reset.clone());
        async move { browser.submit(&form, &reset, &[]).await.status.as_u16() }
    })
    .await;
    assert_eq!(answers.iter().filter(|status| **status == 303).count(), 1, "{answers:?}");
    assert!(answers.iter().all(|status| [303, 409, 503].contains(status)), "{answers:?}");
    assert_eq!(portal.events_of("PASSWORD_RESET").await, 1);
    assert_eq!(portal.version_of(id).await, 2);
    assert_eq!(portal.mails().await.len(), 2, "one of the creation, one of the reset");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn fifty_posts_of_one_form_make_one_account_one_password_one_mail() {
    let portal = TestPortal::start().await;
    let (manager, structure) = portal.manager().await;
    let browser = portal.signed_in(&manager).await;
    let form = browser.open(&format!("/structures/{}/utilisateurs-techniques/nouveau", structure.id)).await;
    let action = format!("/structures/{}/utilisateurs-techniques", structure.id);
    let answers = together(50, |_| {
        let (browser, form, action) = (browser.clone(), form.clone(), action.clone());
        async move { browser.submit(&form, &action, &[("libelle", "ERP")]).await }
    })
    .await;
    // The hashing queue may refuse some for a moment. All others lead to the same account.
    let mut locations: Vec<_> =
        answers.iter().filter(|answer| answer.status == 303).map(|answer| answer.location()).collect();
    assert!(answers.iter().all(|answer| answer.status == 303 || answer.status == 503));
    assert!(!locations.is_empty());
    locations.dedup();
    assert_eq!(locations.len(), 1);
    assert_eq!(portal.count("technical_users").await, 1);
    assert_eq!(portal.count("envelopes").await, 1);
    assert_eq!(portal.mails().await.len(), 1);
    assert_eq!(portal.events_of("TECHNICAL_USER_CREATED").await, 1);
    let reused = browser.submit(&form, &action, &[("libelle", "Autre")]).await.refusal(422);
    assert!(reused.text().contains("Ce formulaire a déjà servi à créer le compte TECH_1_"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn numbers_are_never_given_twice_and_five_accounts_are_the_limit() {
    let portal = TestPortal::start().await;
    let (manager, structure) = portal.manager().await;
    let browser = portal.signed_in(&manager).await;
    let action = format!("/structures/{}/utilisateurs-techniques", structure.id);
    let answers = together(12, |number| {
        let (browser, action) = (browser.clone(), action.clone());
        async move {
            browser.post(&action, &[("jeton", &format!("jeton-de-seize-caracteres-{number}")), ("libelle", "")]).await
        }
    })
    .await;
    assert_eq!(answers.iter().filter(|answer| answer.status == 303).count(), 5);
    assert_eq!(answers.iter().filter(|answer| answer.status == 422).count(), 7);
    let id = portal.account_ids().await[4];
    browser.post(&format!("/utilisateurs-techniques/{id}/suppression"), &[]).await.location();
    let next = portal.create_account(&browser, structure.id, "").await;
    assert_eq!(portal.technical_number_of(next).await, 6);
}

#[tokio::test]
async fn a_suspended_account_comes_back_and_a_deleted_one_does_not() {
    let portal = TestPortal::start().await;
    let (manager, structure) = portal.manager().await;
    let browser = portal.signed_in(&manager).await;
    let id = portal.create_account(&browser, structure.id, "ERP").await;
    let account = format!("/utilisateurs-techniques/{id}");
    for (act, sentence) in
        [("suspension", "L’utilisateur technique est suspendu"), ("reactivation", "Le compte est réactivé")]
    {
        let told = browser.post(&format!("{account}/{act}"), &[]).await.location();
        assert!(browser.open(&told).await.text().contains(sentence));
    }
    browser.post(&format!("{account}/suppression"), &[]).await.location();
    browser.get(&account).await.refusal(404);
    assert_eq!(
        portal.events().await[2..],
        ["TECHNICAL_USER_SUSPENDED", "TECHNICAL_USER_REACTIVATED", "TECHNICAL_USER_DELETED"]
    );
}

#[tokio::test]
async fn without_its_event_an_act_does_not_happen() {
    let portal = TestPortal::start().await;
    let (manager, structure) = portal.manager().await;
    let browser = portal.signed_in(&manager).await;
    let id = portal.create_account(&browser, structure.id, "ERP").await;
    portal.refuse_events().await;
    let reset = format!("/utilisateurs-techniques/{id}/mot-de-passe");
    let form = browser.open(&reset).await;
    let refused = browser.submit(&form, &reset, &[]).await.refusal(500);
    // The cause stands in the log alone.
    for cause in ["append-only", "refuse", "audit", "trigger", "sqlx", "database", "INSERT"] {
        assert!(!refused.html().contains(cause), "{cause}: {}", refused.whole_text());
    }
    browser.post(&format!("/utilisateurs-techniques/{id}/suspension"), &[]).await.refusal(500);
    assert_eq!((portal.version_of(id).await, portal.status_of(id).await), (1, TechnicalUserStatus::Active));
    assert!(sqlx::query("DELETE FROM audit_events").execute(&portal.pool).await.is_err());
}
