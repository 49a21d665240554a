//! A reset that keeps the old password for a while: both let in, and each ends in its own time.

use raccord::{
    db::{
        structures,
        technical_users::{self, changes, reset},
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
use technical_users::{ManagedTechnicalUser, idempotency::Form, reset::Reset};

use super::support::{Account, Portal, cpro_account};

const HEALTH: &str = "/cpro/transverses/v1/health-check";

pub(super) async fn managed(portal: &Portal, id: i64) -> ManagedTechnicalUser {
    technical_users::find_managed(&portal.pool, 1, id).await.unwrap().expect("Anne manages it")
}

/// Resets as the form does.
pub(super) async fn reset(portal: &Portal, account: &Account, grace: Grace) -> Account {
    let managed = managed(portal, account.id).await;
    let password = Password::generate(&mut os_rng());
    let hash = Argon2id::default().hash(password.expose(), bytes(&mut os_rng()));
    let verifier_key = portal.state.keys().unwrap().verifier_key();
    let issued = IssuedPassword { password: password.clone(), hash, verifier_key, session: SessionSecret::new(1) };
    let reset = Reset { credential_version: managed.account().credential_version, grace };
    let token = token(&mut os_rng());
    let form = Form::reset(&token, &managed, reset);
    let rules = AccountRules { password_lifetime_days: 424, max_per_structure: 5 };
    reset::reset_password(&portal.pool, &Actor::operator(), &managed, reset, &form, &issued, rules).await.unwrap();
    Account { id: account.id, login: account.login.clone(), password }
}

async fn portal_with_account() -> (Portal, Account) {
    let portal = Portal::start().await;
    portal.people().await;
    let account = portal.account(1).await;
    (portal, account)
}

async fn status(portal: &Portal, name: &str, value: &str) -> u16 {
    // A network for each try: what is refused on purpose here must not slow the next one.
    let from = format!("198.51.{}.{}", rand_byte(), rand_byte());
    portal.call_from(&from, HEALTH, &[(name, value)], "").await.status.as_u16()
}

fn rand_byte() -> u8 {
    bytes::<1>(&mut os_rng())[0]
}

async fn by_password(portal: &Portal, account: &Account) -> u16 {
    status(portal, "cpro-account", &account.cpro_account()).await
}

#[tokio::test]
async fn both_passwords_let_in_until_the_old_one_ends() {
    let (portal, old) = portal_with_account().await;
    let (other_instance, old_token) = (portal.other_instance(), format!("Bearer {}", portal.token(&old).await));
    assert_eq!(by_password(&other_instance, &old).await, 200);
    let new = reset(&portal, &old, Grace::Day).await;
    let fresh_instance = portal.other_instance();
    let old_token_after = format!("Bearer {}", fresh_instance.token(&old).await);
    let new_token = format!("Bearer {}", fresh_instance.token(&new).await);
    for instance in [&portal, &other_instance, &fresh_instance] {
        assert_eq!((by_password(instance, &old).await, by_password(instance, &new).await), (200, 200));
        for bearer in [&old_token, &old_token_after, &new_token] {
            assert_eq!(status(instance, "authorization", bearer).await, 200);
        }
    }
    assert_eq!(
        by_password(&fresh_instance, &Account { password: Password::generate(&mut os_rng()), ..old.clone() }).await,
        401
    );
    // It ends on every instance at once.
    portal.sql("UPDATE former_passwords SET ends_at = portal_now()").await;
    for instance in [&portal, &other_instance, &fresh_instance] {
        assert_eq!((by_password(instance, &old).await, by_password(instance, &new).await), (401, 200));
        assert_eq!(status(instance, "authorization", &old_token).await, 401);
        assert_eq!(status(instance, "authorization", &old_token_after).await, 401);
        assert_eq!(status(instance, "authorization", &new_token).await, 200);
    }
}

#[tokio::test]
async fn the_clock_that_counts_is_the_databases() {
    let (portal, old) = portal_with_account().await;
    let new = reset(&portal, &old, Grace::ThreeDays).await;
    portal.pool.close().await;
    let portal = portal.reopened("71\\ hours\\ 59\\ minutes");
    assert_eq!((by_password(&portal, &old).await, by_password(&portal, &new).await), (200, 200));
    portal.pool.close().await;
    let portal = portal.reopened("72\\ hours\\ 1\\ minute");
    assert_eq!((by_password(&portal, &old).await, by_password(&portal, &new).await), (401, 200));
}

#[tokio::test]
async fn the_old_password_never_outlives_its_own_end_and_its_callers_are_told() {
    let (portal, old) = portal_with_account().await;
    portal.sql("UPDATE technical_users SET expires_at = portal_now() + interval '5 hours'").await;
    let new = reset(&portal, &old, Grace::Day).await;
    assert_eq!(
        portal.scalar("SELECT (ends_at <= portal_now() + interval '5 hours')::int::bigint FROM former_passwords").await,
        1
    );
    let told = async |account: &Account| {
        portal.call(HEALTH, &[("cpro-account", &account.cpro_account())], "").await.header("sunset").is_some()
    };
    assert_eq!((told(&old).await, told(&new).await), (true, false));
}

#[tokio::test]
async fn a_password_that_does_not_work_has_nothing_to_keep() {
    for broken in ["expires_at = portal_now()", "status = 'SUSPENDED'"] {
        let (portal, old) = portal_with_account().await;
        portal.sql(&format!("UPDATE technical_users SET {broken}")).await;
        reset(&portal, &old, Grace::Day).await;
        assert_eq!(portal.scalar("SELECT count(*) FROM former_passwords").await, 0, "{broken}");
        portal.sql("UPDATE technical_users SET status = 'ACTIVE'").await;
        assert_eq!(by_password(&portal, &old).await, 401, "{broken}");
    }
}

#[tokio::test]
async fn a_further_reset_ends_the_oldest_at_once() {
    let (portal, first) = portal_with_account().await;
    let second = reset(&portal, &first, Grace::Day).await;
    let first_token = format!("Bearer {}", portal.token(&first).await);
    let third = reset(&portal, &second, Grace::ThreeDays).await;
    let all = async || {
        (by_password(&portal, &first).await, by_password(&portal, &second).await, by_password(&portal, &third).await)
    };
    assert_eq!(all().await, (401, 200, 200));
    assert_eq!(status(&portal, "authorization", &first_token).await, 401);
    let fourth = reset(&portal, &third, Grace::None).await;
    assert_eq!(all().await, (401, 401, 401));
    assert_eq!(by_password(&portal, &fourth).await, 200);
    assert_eq!(portal.scalar("SELECT count(*) FROM former_passwords").await, 0, "no old hash stays");
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
    assert_eq!((by_password(&portal, &old).await, by_password(&portal, &new).await), (401, 200));
    let newest = reset(&portal, &new, Grace::Day).await;
    let deleted = TechnicalUserStatus::Deleted;
    changes::change_status(&portal.pool, &Actor::operator(), &managed(&portal, old.id).await, deleted).await.unwrap();
    assert_eq!((by_password(&portal, &new).await, by_password(&portal, &newest).await), (401, 401));
    assert_eq!(portal.scalar("SELECT count(*) FROM former_passwords").await, 0);
}

#[tokio::test]
async fn a_token_and_a_password_of_the_two_versions_go_together_while_both_work() {
    let (portal, old) = portal_with_account().await;
    let old_token = format!("Bearer {}", portal.token(&old).await);
    let new = reset(&portal, &old, Grace::Day).await;
    let header = new.cpro_account();
    let both = [("authorization", old_token.as_str()), ("cpro-account", header.as_str())];
    assert_eq!(portal.call(HEALTH, &both, "").await.status, 200);
    portal.sql("DELETE FROM former_passwords").await;
    assert_eq!(portal.call(HEALTH, &both, "").await.status, 401);
}

#[tokio::test]
async fn the_page_learns_whether_the_old_password_is_still_used() {
    let (portal, old) = portal_with_account().await;
    let new = reset(&portal, &old, Grace::Day).await;
    let seen = async || {
        portal.api.call_log.flush(&portal.pool).await.unwrap();
        portal.scalar("SELECT count(last_call_at) FROM former_passwords").await
    };
    assert_eq!(by_password(&portal, &new).await, 200);
    assert_eq!(seen().await, 0, "the new one is not the old one");
    let bearer = format!("Bearer {}", portal.other_instance().token(&old).await);
    assert_eq!(seen().await, 0, "the other instance has not written yet");
    assert_eq!(status(&portal, "authorization", &bearer).await, 200);
    assert_eq!(seen().await, 1, "a token counts as the password that obtained it");
    portal.sql("UPDATE former_passwords SET last_call_at = NULL").await;
    assert_eq!(by_password(&portal, &old).await, 200);
    assert_eq!(seen().await, 1);
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
    portal.sql("UPDATE former_passwords SET ends_at = portal_now()").await;
    assert_eq!(found().await, 0);
}

#[tokio::test]
async fn who_is_not_the_manager_any_more_cannot_end_it() {
    let (portal, old) = portal_with_account().await;
    reset(&portal, &old, Grace::Day).await;
    let managed = managed(&portal, old.id).await;
    assert!(structures::find_managed(&portal.pool, 2, 1).await.unwrap().is_none());
    portal
        .sql(
            "BEGIN; UPDATE memberships SET role = 'USER' WHERE structure_id = 1 AND user_id = 1;
              UPDATE memberships SET role = 'PRINCIPAL_MANAGER' WHERE structure_id = 1 AND user_id = 2;
              UPDATE structures SET principal_manager_id = 2 WHERE id = 1; COMMIT",
        )
        .await;
    assert!(
        raccord::db::technical_users::former_passwords::end_now(&portal.pool, &Actor::operator(), &managed)
            .await
            .is_err()
    );
    assert_eq!(by_password(&portal, &old).await, 200);
    assert_eq!(status(&portal, "cpro-account", &cpro_account(&old.login, "wrong")).await, 401);
}
