//! How a password is found by its verifier, and what becomes of it when keys change.

use std::{
    fs::{self, OpenOptions},
    io::Write,
    os::unix::fs::OpenOptionsExt,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use raccord::{
    db::technical_users::{changes, former_passwords},
    domain::{
        audit::Actor,
        password::Password,
        person::TypedPassword,
        random::{bytes, os_rng},
        rotation::Grace,
        second_factor::Keyring,
        technical_user::TechnicalUserStatus,
    },
    work_queue::{Busy, QueueKey},
};

use super::{
    portal_with_account,
    rotation::{managed, reset},
};
use crate::common::{Account, HEALTH, Program, TestPortal, cpro_account};

async fn status(program: &Program, account: &Account) -> u16 {
    program.call(HEALTH, &[("cpro-account", &account.cpro_account())], "").await.status.as_u16()
}

/// The same account with a password that it never had.
fn with_wrong_password(account: &Account) -> Account {
    Account { password: Password::generate(&mut os_rng()), ..account.clone() }
}

/// A key file of its own, with these lines.
struct KeyFile(PathBuf);

impl KeyFile {
    fn new(lines: &[&str]) -> Self {
        let number = i64::from_ne_bytes(bytes(&mut os_rng()));
        let file = Self(std::env::temp_dir().join(format!("raccord-verifiers-{number:x}.key")));
        file.write(lines);
        file
    }

    fn write(&self, lines: &[&str]) {
        // The portal refuses a key file that others can read.
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&self.0).unwrap();
        file.write_all(lines.concat().as_bytes()).unwrap();
    }
}

impl Drop for KeyFile {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

async fn key_of_verifier(portal: &TestPortal) -> String {
    portal.text("SELECT key_id FROM password_verifiers", &[]).await
}

fn name_of(line: &str) -> &str {
    line.split(':').next().unwrap()
}

#[tokio::test]
async fn a_right_password_is_found_without_a_look_at_its_hash() {
    let (portal, account) = portal_with_account().await;
    portal.spoil_hashes().await;
    assert_eq!(status(&portal.program(), &account).await, 200);
    portal.program().token(&account).await;
    let later = reset(&portal, &account, Grace::Day).await;
    portal.spoil_hashes().await;
    for password in [&account, &later] {
        assert_eq!(status(&Program::new(portal.second_instance()), password).await, 200);
    }
    assert_eq!(status(&portal.program(), &with_wrong_password(&account)).await, 401);
}

#[tokio::test]
async fn whatever_ends_a_password_acts_on_the_next_call_of_another_instance() {
    let actor = Actor::operator();
    for end in ["reset", "suspension", "deletion", "former password", "expiry", "inactive structure", "no manager"] {
        let (portal, account) = portal_with_account().await;
        let other = Program::new(portal.second_instance());
        if end == "former password" {
            reset(&portal, &account, Grace::Day).await;
        }
        let bearer = format!("Bearer {}", other.token(&account).await);
        assert_eq!(status(&other, &account).await, 200, "{end}");
        let managed = managed(&portal, account.id).await;
        let change = async |status| changes::change_status(&portal.pool, &actor, &managed, status).await.unwrap();
        match end {
            "reset" => drop(reset(&portal, &account, Grace::None).await),
            "suspension" => change(TechnicalUserStatus::Suspended).await,
            "deletion" => change(TechnicalUserStatus::Deleted).await,
            "former password" => former_passwords::end_now(&portal.pool, &actor, &managed).await.unwrap(),
            "expiry" => portal.expire_in(account.id, "0 seconds").await,
            "inactive structure" => portal.set_active(1, false).await,
            _ => {
                let sql = "BEGIN; UPDATE structures SET active = false, principal_manager_id = NULL WHERE id = 1;
                           DELETE FROM memberships WHERE structure_id = 1; COMMIT";
                portal.execute(sql).await;
            }
        }
        assert_eq!(status(&other, &account).await, 401, "{end}");
        assert_eq!(other.call(HEALTH, &[("authorization", &bearer)], "").await.status, 401, "{end}");
    }
}

#[tokio::test]
async fn a_reset_by_an_instance_that_knows_no_verifiers_ends_the_old_one() {
    let (portal, account) = portal_with_account().await;
    let new = portal.account_without_verifier(2).await;
    portal
        .execute(
            "UPDATE technical_users t SET credential_version = 2, password_hash = n.password_hash, password_checksum = n.password_checksum
               FROM technical_users n WHERE t.id = 1 AND n.id = 2",
        )
        .await;
    assert_eq!(status(&portal.program(), &account).await, 401);
    assert_eq!(status(&portal.program(), &Account { password: new.password, ..account }).await, 200);
}

/// After a restore, the next reset gives a number that a password had before.
#[tokio::test]
async fn a_password_of_a_lost_future_opens_nothing_though_its_number_comes_again() {
    let (portal, account) = portal_with_account().await;
    portal.keep_accounts_as_they_are().await;
    let lost = reset(&portal, &account, Grace::None).await;
    assert_eq!(status(&portal.program(), &lost).await, 200);
    let other = portal.second_instance();
    assert_eq!(status(&Program::new(other.clone()), &lost).await, 200);
    portal.put_accounts_back().await;
    let present = reset(&portal, &account, Grace::None).await;
    for server in [portal.program(), Program::new(other)] {
        assert_eq!((status(&server, &lost).await, status(&server, &present).await), (401, 200));
    }
}

#[tokio::test]
async fn an_account_without_a_verifier_gets_one_at_its_first_good_call() {
    let portal = TestPortal::start().await;
    portal.anne_and_bruno().await;
    let account = portal.account_without_verifier(1).await;
    assert_eq!(status(&portal.program(), &with_wrong_password(&account)).await, 401);
    assert_eq!(portal.count("password_verifiers").await, 0);
    // Both passwords of an account, and several calls at once.
    let later = reset(&portal, &account, Grace::Day).await;
    portal.remove_verifiers().await;
    let program = portal.program();
    let calls = [&account, &later, &account, &later].map(|password| status(&program, password));
    assert_eq!(futures_util::future::join_all(calls).await, [200; 4]);
    assert_eq!(portal.count("password_verifiers").await, 2);
    portal.spoil_hashes().await;
    assert_eq!((status(&portal.program(), &account).await, status(&portal.program(), &later).await), (200, 200));
}

#[tokio::test]
async fn a_lost_key_file_costs_each_account_one_hash_and_nothing_else() {
    let (portal, account) = portal_with_account().await;
    let line = Keyring::new_line(&mut os_rng());
    let keys = KeyFile::new(&[&line]);
    let restored = Program::new(portal.instance_with_keys(&keys.0));
    assert_eq!(status(&restored, &with_wrong_password(&account)).await, 401);
    assert_eq!(status(&restored, &account).await, 200);
    assert_eq!(key_of_verifier(&portal).await, name_of(&line));
    portal.spoil_hashes().await;
    assert_eq!(status(&restored, &account).await, 200);
    assert_eq!(restored.token(&account).await.len(), 43);
}

#[tokio::test]
async fn a_rotated_key_refuses_no_call_and_the_first_key_makes_the_next_verifier() {
    let (portal, account) = portal_with_account().await;
    let [old, new] = [(); 2].map(|()| Keyring::new_line(&mut os_rng()));
    let keys = KeyFile::new(&[&old]);
    assert_eq!(status(&Program::new(portal.instance_with_keys(&keys.0)), &account).await, 200);
    portal.spoil_hashes().await;
    keys.write(&[&new, &old]);
    let server = portal.instance_with_keys(&keys.0);
    let both = Program::new(server.clone());
    assert_eq!(status(&both, &account).await, 200);
    server.api().call_log.flush(&portal.pool).await.unwrap();
    assert_eq!(key_of_verifier(&portal).await, name_of(&new));
    // An instance that knows both keys, whichever makes, and later one that knows the new key
    // alone.
    assert_eq!(status(&both, &account).await, 200);
    keys.write(&[&old, &new]);
    assert_eq!(status(&Program::new(portal.instance_with_keys(&keys.0)), &account).await, 200);
    keys.write(&[&new]);
    assert_eq!(status(&Program::new(portal.instance_with_keys(&keys.0)), &account).await, 200);
}

/// Keeps the API's part of the hashing queue full until it is dropped.
struct FullQueue(Arc<AtomicBool>);

impl FullQueue {
    async fn of(portal: &TestPortal) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let work_queue = &portal.state().work_queue;
        for number in 0..200 {
            let (work_queue, stop) = (work_queue.clone(), Arc::clone(&stop));
            tokio::spawn(async move {
                while !stop.load(Ordering::Relaxed) {
                    let _ = work_queue.verify(QueueKey::Api(number.to_string()), TypedPassword::default(), None).await;
                    tokio::time::sleep(Duration::from_micros(100)).await;
                }
            });
        }
        while work_queue.verify(QueueKey::Api("x".into()), TypedPassword::default(), None).await != Err(Busy) {}
        Self(stop)
    }
}

impl Drop for FullQueue {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_password_is_not_hashed() {
    let (portal, account) = portal_with_account().await;
    let old = portal.account_without_verifier(2).await;
    let others = [portal.account_without_verifier(2).await, portal.account_without_verifier(2).await];
    let suspended = portal.account(3).await;
    portal.set_status(suspended.id, TechnicalUserStatus::Suspended).await;
    let full = FullQueue::of(&portal).await;
    let unknown = Account { login: "TECH_9_X@cpro.fr".into(), ..account.clone() };
    for (number, wrong) in
        [&with_wrong_password(&account), &with_wrong_password(&old), &unknown, &suspended].into_iter().enumerate()
    {
        for call in 0..4 {
            let from = format!("10.{number}.{call}.1");
            let answer =
                portal.program().with_address(&from).call(HEALTH, &[("cpro-account", &wrong.cpro_account())], "").await;
            assert_eq!(answer.status, 401, "{}", wrong.login);
        }
    }
    assert_eq!(status(&portal.program(), &account).await, 200);
    // One may find the place of a hash that has just ended.
    let program = portal.program();
    let statuses =
        [status(&program, &old).await, status(&program, &others[0]).await, status(&program, &others[1]).await];
    assert!(statuses.contains(&429), "what must be hashed is told to come back: {statuses:?}");
    drop(full);
}

#[tokio::test]
async fn a_right_password_beside_a_dead_token_is_no_failure() {
    let (portal, account) = portal_with_account().await;
    let header = account.cpro_account();
    let headers = [("authorization", "Bearer expired"), ("cpro-account", header.as_str())];
    for _ in 0..10 {
        assert_eq!(
            portal.program().call(HEALTH, &headers, "").await.status,
            401,
            "never 429: clients ask for a new token"
        );
    }
    portal.api().call_log.flush(&portal.pool).await.unwrap();
    let noted = "SELECT (SELECT count(*) FROM throttles) + (SELECT count(*) FROM audit_events)";
    assert_eq!(portal.number(noted, &[]).await, 0);
    portal.remove_verifiers().await;
    assert_eq!(portal.program().call(HEALTH, &headers, "").await.status, 401);
    assert_eq!(portal.number(noted, &[]).await, 0);
}

#[tokio::test]
async fn wrong_passwords_from_ever_more_networks_leave_a_bounded_number_of_rows() {
    let (portal, account) = portal_with_account().await;
    let wrong = cpro_account(&account.login, "faux");
    for number in 0..50 {
        let from = format!("10.0.{number}.1");
        assert_eq!(
            portal.program().with_address(&from).call(HEALTH, &[("cpro-account", &wrong)], "").await.status,
            401
        );
    }
    // Sixteen bits: whatever is tried, from wherever, there are no more rows.
    assert_eq!(
        portal
            .number("SELECT max(octet_length(subject_hash) + octet_length(network))::bigint FROM throttles", &[])
            .await,
        32
    );
    let subjects: std::collections::HashSet<String> = (0..200_000)
        .map(|number| raccord::db::throttles::bucket("TECH_1_X@cpro.fr", &format!("network {number}")))
        .collect();
    assert!(subjects.len() <= 65_536 && subjects.len() > 60_000, "{}", subjects.len());
}
