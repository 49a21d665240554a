//! A reset that keeps the old password for a while, as the API sees it: both passwords are
//! accepted, each until its own end.

use raccord::{
    db::{
        structures,
        technical_users::{self, changes},
    },
    domain::{
        audit::Actor,
        envelope::{IssuedPassword, SessionSecret},
        password::{Argon2id, Password},
        random::{bytes, os_rng, token},
        rotation::Grace,
        technical_user::{AccountRules, TechnicalUserStatus},
    },
};
use technical_users::{ManagedTechnicalUser, idempotency::Once, reset::Reset};

use super::portal_with_account;
use crate::common::{ANNE, Account, BRUNO, HEALTH, Program, TestPortal, cpro_account};

pub(super) async fn managed(portal: &TestPortal, id: i64) -> ManagedTechnicalUser {
    technical_users::find_managed(&portal.pool, ANNE, id).await.unwrap().expect("Anne manages it")
}

/// Resets as the form does.
pub(super) async fn reset(portal: &TestPortal, account: &Account, grace: Grace) -> Account {
    let managed = managed(portal, account.id).await;
    let password = Password::generate(&mut os_rng());
    let hash = Argon2id::default().hash(password.expose(), bytes(&mut os_rng()));
    let verifier_key = portal.state().keys().unwrap().verifier_key();
    let issued = IssuedPassword { password: password.clone(), hash, verifier_key };
    let (actor, token) = (Actor::operator(), token(&mut os_rng()));
    let credential_version = managed.account().credential_version;
    let session = &SessionSecret::new(1);
    let reset = Reset { actor: &actor, account: &managed, credential_version, grace, session, token: &token };
    let rules = AccountRules { password_lifetime_days: 424, max_per_structure: 5 };
    let Once::Open(open) = reset.find(&portal.pool).await.unwrap() else { panic!("a new token") };
    open.complete(&portal.pool, &issued, rules, &mut os_rng()).await.unwrap();
    Account { id: account.id, login: account.login.clone(), password }
}

/// The status of a health check with this header.
async fn status(program: &Program, name: &str, value: &str) -> u16 {
    // Each from a random network, so that no delay applies.
    let [third, fourth] = bytes(&mut os_rng());
    let program = program.with_address(&format!("198.51.{third}.{fourth}"));
    program.call(HEALTH, &[(name, value)], "").await.status.as_u16()
}

async fn by_password(program: &Program, account: &Account) -> u16 {
    status(program, "cpro-account", &account.cpro_account()).await
}

fn other_instance(portal: &TestPortal) -> Program {
    Program::new(portal.second_instance())
}

#[tokio::test]
async fn both_passwords_let_in_until_the_old_one_ends() {
    let (portal, old) = portal_with_account().await;
    let (first, second) = (portal.program(), other_instance(&portal));
    let old_token = format!("Bearer {}", first.token(&old).await);
    assert_eq!(by_password(&second, &old).await, 200);
    let new = reset(&portal, &old, Grace::Day).await;
    let fresh = other_instance(&portal);
    let old_token_after = format!("Bearer {}", fresh.token(&old).await);
    let new_token = format!("Bearer {}", fresh.token(&new).await);
    for instance in [&first, &second, &fresh] {
        assert_eq!((by_password(instance, &old).await, by_password(instance, &new).await), (200, 200));
        for bearer in [&old_token, &old_token_after, &new_token] {
            assert_eq!(status(instance, "authorization", bearer).await, 200);
        }
    }
    assert_eq!(by_password(&fresh, &Account { password: Password::generate(&mut os_rng()), ..old.clone() }).await, 401);
    // It ends on every instance at once.
    portal.end_former_passwords().await;
    for instance in [&first, &second, &fresh] {
        assert_eq!((by_password(instance, &old).await, by_password(instance, &new).await), (401, 200));
        assert_eq!(status(instance, "authorization", &old_token).await, 401);
        assert_eq!(status(instance, "authorization", &old_token_after).await, 401);
        assert_eq!(status(instance, "authorization", &new_token).await, 200);
    }
}

#[tokio::test]
async fn the_clock_that_counts_is_the_databases() {
    let (mut portal, old) = portal_with_account().await;
    let new = reset(&portal, &old, Grace::ThreeDays).await;
    let program = portal.program();
    portal.move_clock("71 hours 59 minutes").await;
    assert_eq!((by_password(&program, &old).await, by_password(&program, &new).await), (200, 200));
    portal.move_clock("72 hours 1 minute").await;
    assert_eq!((by_password(&program, &old).await, by_password(&program, &new).await), (401, 200));
}

#[tokio::test]
async fn the_old_password_never_outlives_its_own_end_and_its_callers_read_it() {
    let (portal, old) = portal_with_account().await;
    portal.expire_in(old.id, "5 hours").await;
    let own_end = portal.expiry_of(old.id).await;
    let new = reset(&portal, &old, Grace::Day).await;
    assert!(portal.former_password_end().await <= own_end);
    let told = async |account: &Account| {
        portal.program().call(HEALTH, &[("cpro-account", &account.cpro_account())], "").await.header("sunset").is_some()
    };
    assert_eq!((told(&old).await, told(&new).await), (true, false));
}

#[tokio::test]
async fn a_password_that_does_not_work_has_nothing_to_keep() {
    for broken in ["expired", "suspended"] {
        let (portal, old) = portal_with_account().await;
        match broken {
            "expired" => portal.expire_in(old.id, "0").await,
            _ => portal.set_status(old.id, TechnicalUserStatus::Suspended).await,
        }
        reset(&portal, &old, Grace::Day).await;
        assert_eq!(portal.count("former_passwords").await, 0, "{broken}");
        portal.set_status(old.id, TechnicalUserStatus::Active).await;
        assert_eq!(by_password(&portal.program(), &old).await, 401, "{broken}");
    }
}

#[tokio::test]
async fn a_further_reset_ends_the_oldest_at_once() {
    let (portal, first) = portal_with_account().await;
    let second = reset(&portal, &first, Grace::Day).await;
    let first_token = format!("Bearer {}", portal.program().token(&first).await);
    let third = reset(&portal, &second, Grace::ThreeDays).await;
    let all = async || {
        (
            by_password(&portal.program(), &first).await,
            by_password(&portal.program(), &second).await,
            by_password(&portal.program(), &third).await,
        )
    };
    assert_eq!(all().await, (401, 200, 200));
    assert_eq!(status(&portal.program(), "authorization", &first_token).await, 401);
    let fourth = reset(&portal, &third, Grace::None).await;
    assert_eq!(all().await, (401, 401, 401));
    assert_eq!(by_password(&portal.program(), &fourth).await, 200);
    assert_eq!(portal.count("former_passwords").await, 0, "no old hash stays");
}

#[tokio::test]
async fn suspension_and_deletion_end_the_old_password_for_good() {
    let (portal, old) = portal_with_account().await;
    let new = reset(&portal, &old, Grace::Day).await;
    for status in [TechnicalUserStatus::Suspended, TechnicalUserStatus::Active] {
        changes::change_status(&portal.pool, &Actor::operator(), &managed(&portal, old.id).await, status)
            .await
            .unwrap();
    }
    assert_eq!((by_password(&portal.program(), &old).await, by_password(&portal.program(), &new).await), (401, 200));
    let newest = reset(&portal, &new, Grace::Day).await;
    let deleted = TechnicalUserStatus::Deleted;
    changes::change_status(&portal.pool, &Actor::operator(), &managed(&portal, old.id).await, deleted).await.unwrap();
    assert_eq!((by_password(&portal.program(), &new).await, by_password(&portal.program(), &newest).await), (401, 401));
    assert_eq!(portal.count("former_passwords").await, 0);
}

#[tokio::test]
async fn a_token_and_a_password_of_the_two_versions_go_together_while_both_work() {
    let (portal, old) = portal_with_account().await;
    let old_token = format!("Bearer {}", portal.program().token(&old).await);
    let new = reset(&portal, &old, Grace::Day).await;
    let header = new.cpro_account();
    let both = [("authorization", old_token.as_str()), ("cpro-account", header.as_str())];
    assert_eq!(portal.program().call(HEALTH, &both, "").await.status, 200);
    portal.remove_former_passwords().await;
    assert_eq!(portal.program().call(HEALTH, &both, "").await.status, 401);
}

#[tokio::test]
async fn the_page_learns_whether_the_old_password_is_still_used() {
    let (portal, old) = portal_with_account().await;
    let new = reset(&portal, &old, Grace::Day).await;
    let seen = async || {
        portal.api().call_log.flush(&portal.pool).await.unwrap();
        portal.former_password_was_used().await
    };
    assert_eq!(by_password(&portal.program(), &new).await, 200);
    assert!(!seen().await, "the new one is not the old one");
    let bearer = format!("Bearer {}", other_instance(&portal).token(&old).await);
    assert!(!seen().await, "the other instance has not written yet");
    assert_eq!(status(&portal.program(), "authorization", &bearer).await, 200);
    assert!(seen().await, "a token counts as the password that obtained it");
    portal.set_former_password_use(false).await;
    assert_eq!(by_password(&portal.program(), &old).await, 200);
    assert!(seen().await);
}

#[tokio::test]
async fn a_leaked_old_password_finds_its_account_while_it_works() {
    let (portal, first) = portal_with_account().await;
    let old = reset(&portal, &first, Grace::None).await;
    reset(&portal, &old, Grace::Day).await;
    let found = async || {
        raccord::db::technical_users::leaks::suspects(&portal.pool, old.password.checksum()).await.unwrap().len()
    };
    assert_eq!(found().await, 1);
    portal.end_former_passwords().await;
    assert_eq!(found().await, 0);
}

#[tokio::test]
async fn a_former_manager_cannot_end_it() {
    let (portal, old) = portal_with_account().await;
    reset(&portal, &old, Grace::Day).await;
    let managed = managed(&portal, old.id).await;
    assert!(structures::find_managed(&portal.pool, BRUNO, 1).await.unwrap().is_none());
    portal.replace_manager(1, BRUNO).await;
    assert!(
        raccord::db::technical_users::former_passwords::end_now(&portal.pool, &Actor::operator(), &managed)
            .await
            .is_err()
    );
    assert_eq!(by_password(&portal.program(), &old).await, 200);
    assert_eq!(status(&portal.program(), "cpro-account", &cpro_account(&old.login, "wrong")).await, 401);
}
