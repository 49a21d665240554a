//! What the database holds, read by name.

use std::time::Duration;

use jiff::Timestamp;
use raccord::domain::{
    password::{Argon2id, PasswordHash},
    technical_user::TechnicalUserStatus,
};
use serde_json::Value;
use sqlx::AssertSqlSafe;

use super::{makers::Person, portal::TestPortal};

/// An event of the history.
#[derive(Clone, Debug, Default, sqlx::FromRow)]
pub struct EventRow {
    /// An instant in PostgreSQL's format.
    pub at: String,
    pub actor: String,
    pub address: String,
    pub action: String,
    pub structure_id: Option<i64>,
    pub technical_user_id: Option<i64>,
    pub subject: String,
    pub detail: String,
}

/// A mail of the outbox.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct MailRow {
    pub id: i64,
    pub recipient: String,
    pub notice: Value,
    /// When it was written, in PostgreSQL's format and in the time of Paris.
    pub written_in_paris: String,
}

/// A technical user.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct AccountRow {
    pub id: i64,
    pub status: String,
    pub credential_version: i32,
    pub created_by: i64,
}

/// A structure's data that its form changes.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct StructureRow {
    pub active: bool,
    pub designation: String,
    pub postal_code: String,
    pub city: String,
}

impl MailRow {
    pub fn kind(&self) -> &str {
        self.notice["kind"].as_str().expect("a kind")
    }
}

impl TestPortal {
    /// How many rows a table has.
    pub async fn count(&self, table: &str) -> i64 {
        let sql = format!("SELECT count(*) FROM {table}");
        sqlx::query_scalar(AssertSqlSafe(sql)).fetch_one(&self.pool).await.expect("a table")
    }

    /// The rows of these tables as text. `last_seen_at` is left out: every request may change it.
    pub async fn contents(&self, tables: &[&str]) -> Vec<String> {
        let mut contents = Vec::new();
        for table in tables {
            let sql = format!(
                "SELECT '{table}: ' || coalesce(string_agg((to_jsonb(t) - 'last_seen_at')::text, ' ' ORDER BY to_jsonb(t)::text), '')
                   FROM {table} t"
            );
            contents.push(sqlx::query_scalar(AssertSqlSafe(sql)).fetch_one(&self.pool).await.expect("a table"));
        }
        contents
    }

    /// The rows of all tables as text.
    pub async fn all_contents(&self) -> Vec<String> {
        let names = "SELECT relname::text FROM pg_class
                      WHERE relnamespace = current_schema()::regnamespace AND relkind = 'r' ORDER BY 1";
        let names = self.texts(names, &[]).await;
        assert!(names.len() > 15, "{}", names.len());
        self.contents(&names.iter().map(String::as_str).collect::<Vec<_>>()).await
    }

    /// The instant that the portal's clock shows.
    pub async fn clock(&self) -> Timestamp {
        let micros = "SELECT (extract(epoch FROM portal_now()) * 1000000)::bigint";
        Timestamp::from_microsecond(self.number(micros, &[]).await).expect("an instant")
    }

    // Technical users.

    #[track_caller]
    pub fn login_of(&self, account: i64) -> impl Future<Output = String> + use<> {
        self.text("SELECT login FROM technical_users WHERE id = $1", &[account])
    }

    pub async fn logins_by_expiry(&self) -> Vec<String> {
        self.texts("SELECT login FROM technical_users ORDER BY expires_at, id", &[]).await
    }

    /// Oldest account first; empty where it has none.
    pub async fn labels(&self) -> Vec<String> {
        self.texts("SELECT coalesce(label, '') FROM technical_users ORDER BY id", &[]).await
    }

    /// Oldest first.
    pub async fn account_ids(&self) -> Vec<i64> {
        sqlx::query_scalar("SELECT id FROM technical_users ORDER BY id").fetch_all(&self.pool).await.expect("a query")
    }

    /// The `n` of its login `TECH_n_…`.
    pub async fn technical_number_of(&self, account: i64) -> i64 {
        self.number("SELECT number::bigint FROM technical_users WHERE id = $1", &[account]).await
    }

    /// The account with this number in the structure.
    pub async fn account_row(&self, structure_id: i64, number: i32) -> AccountRow {
        let account = "SELECT id, status, credential_version, created_by FROM technical_users
                        WHERE structure_id = $1 AND number = $2";
        sqlx::query_as(account).bind(structure_id).bind(number).fetch_one(&self.pool).await.expect("an account")
    }

    pub async fn status_of(&self, account: i64) -> TechnicalUserStatus {
        let code = self.text("SELECT status FROM technical_users WHERE id = $1", &[account]).await;
        TechnicalUserStatus::parse(&code).expect("a status")
    }

    pub async fn version_of(&self, account: i64) -> i64 {
        self.number("SELECT credential_version::bigint FROM technical_users WHERE id = $1", &[account]).await
    }

    pub async fn password_hash_of(&self, account: i64) -> String {
        self.text("SELECT password_hash FROM technical_users WHERE id = $1", &[account]).await
    }

    /// Whether this password is the account's now.
    pub async fn works(&self, account: i64, password: &str) -> bool {
        let hash = PasswordHash::from_stored(self.password_hash_of(account).await);
        let password = password.to_owned();
        let verify = move || Argon2id::default().verify(&password, Some(&hash));
        tokio::task::spawn_blocking(verify).await.expect("verification does not panic")
    }

    /// When the account's password expires.
    pub async fn expiry_of(&self, account: i64) -> Timestamp {
        let micros = "SELECT (extract(epoch FROM expires_at) * 1000000)::bigint FROM technical_users WHERE id = $1";
        Timestamp::from_microsecond(self.number(micros, &[account]).await).expect("an instant")
    }

    /// How long the account's password lives in all, in seconds.
    pub async fn lifetime_of(&self, account: i64) -> i64 {
        let lifetime =
            "SELECT extract(epoch FROM expires_at - password_set_at)::bigint FROM technical_users WHERE id = $1";
        self.number(lifetime, &[account]).await
    }

    pub async fn count_with_status(&self, status: TechnicalUserStatus) -> i64 {
        let count = "SELECT count(*) FROM technical_users WHERE status = $1";
        sqlx::query_scalar(count).bind(status.code()).fetch_one(&self.pool).await.expect("a count")
    }

    /// Address and software of the account's last call.
    pub async fn last_call_of(&self, account: i64) -> Option<String> {
        let call = "SELECT last_call_address || ' ' || last_call_software FROM technical_users WHERE id = $1";
        sqlx::query_scalar(call).bind(account).fetch_one(&self.pool).await.expect("the account")
    }

    /// When the one former password ends.
    pub async fn former_password_end(&self) -> Timestamp {
        let micros = "SELECT (extract(epoch FROM ends_at) * 1000000)::bigint FROM former_passwords";
        Timestamp::from_microsecond(self.number(micros, &[]).await).expect("an instant")
    }

    /// Whether a call with a former password was noted.
    pub async fn former_password_was_used(&self) -> bool {
        self.number("SELECT count(last_call_at) FROM former_passwords", &[]).await > 0
    }

    /// How many envelopes hold a password that a reset made.
    pub async fn envelopes_of_resets(&self) -> i64 {
        self.number("SELECT count(*) FROM envelopes WHERE credential_version > 1", &[]).await
    }

    // Structures and people.

    pub async fn structure_row(&self, structure_id: i64) -> StructureRow {
        let structure = "SELECT active, designation, postal_code, city FROM structures WHERE id = $1";
        sqlx::query_as(structure).bind(structure_id).fetch_one(&self.pool).await.expect("a structure")
    }

    /// The number of the person's one membership.
    pub async fn membership_of(&self, person: &Person) -> i64 {
        self.number("SELECT id FROM memberships WHERE user_id = $1", &[person.id]).await
    }

    /// The number of the person's last membership, if there is one.
    pub async fn find_membership(&self, person: &Person) -> Option<i64> {
        let id = "SELECT id FROM memberships WHERE user_id = $1 ORDER BY id DESC LIMIT 1";
        sqlx::query_scalar(id).bind(person.id).fetch_optional(&self.pool).await.expect("a query")
    }

    /// The roles of the person, oldest membership first.
    pub async fn roles_of(&self, person: &Person) -> Vec<String> {
        self.texts("SELECT role FROM memberships WHERE user_id = $1 ORDER BY id", &[person.id]).await
    }

    pub async fn password_hash_of_person(&self, person: &Person) -> String {
        self.text("SELECT password_hash FROM users WHERE id = $1", &[person.id]).await
    }

    /// The number of the session of the person that began last.
    pub async fn latest_session_of(&self, person: &Person) -> i64 {
        self.number("SELECT max(public_id) FROM sessions WHERE user_id = $1", &[person.id]).await
    }

    /// How many second factors there are, and how many of them are in force.
    pub async fn second_factors(&self) -> String {
        self.text("SELECT count(*) || ' ' || count(confirmed_at) FROM second_factors", &[]).await
    }

    pub async fn recovery_codes(&self) -> String {
        self.text("SELECT coalesce(string_agg(code_hash::text, ' ' ORDER BY code_hash), '') FROM recovery_codes", &[])
            .await
    }

    pub async fn confirmed_second_factors(&self) -> i64 {
        self.number("SELECT count(*) FROM second_factors WHERE confirmed_at IS NOT NULL", &[]).await
    }

    /// How many people have a calendar link.
    pub async fn calendar_links(&self) -> i64 {
        self.number("SELECT count(*) FROM users WHERE calendar_token_hash IS NOT NULL", &[]).await
    }

    /// How many seconds the one delay of failed attempts still lasts.
    pub async fn delay(&self) -> i64 {
        self.number("SELECT ceil(extract(epoch FROM blocked_until - portal_now()))::bigint FROM throttles", &[]).await
    }

    /// First and last name of all people, oldest first.
    pub async fn full_names(&self) -> Vec<String> {
        self.texts("SELECT first_name || ' ' || last_name FROM users ORDER BY id", &[]).await
    }

    /// The roles of all memberships, by the number of the person.
    pub async fn roles(&self) -> Vec<String> {
        self.texts("SELECT role FROM memberships ORDER BY user_id, id", &[]).await
    }

    pub async fn designations(&self) -> Vec<String> {
        self.texts("SELECT designation FROM structures ORDER BY id", &[]).await
    }

    pub async fn contact_address_of(&self, person: &Person) -> String {
        self.text("SELECT contact_address FROM users WHERE id = $1", &[person.id]).await
    }

    /// The logins of the principal managers.
    pub async fn principal_managers(&self) -> Vec<String> {
        self.texts("SELECT u.login FROM structures s JOIN users u ON u.id = s.principal_manager_id", &[]).await
    }

    /// Oldest first.
    pub async fn membership_request_ids(&self) -> Vec<String> {
        self.texts("SELECT id::text FROM membership_requests ORDER BY id", &[]).await
    }

    // History and mails.

    /// The codes of all audit events, oldest first.
    pub async fn events(&self) -> Vec<String> {
        self.texts("SELECT action FROM audit_events ORDER BY id", &[]).await
    }

    /// How many events there are of this action.
    pub async fn events_of(&self, action: &str) -> usize {
        self.audit_events_of(action).await.len()
    }

    /// The events of this action, oldest first.
    pub async fn audit_events_of(&self, action: &str) -> Vec<EventRow> {
        let events = "SELECT at::text, actor, address, action, structure_id, technical_user_id, subject, detail
                        FROM audit_events WHERE action = $1 ORDER BY id";
        sqlx::query_as(events).bind(action).fetch_all(&self.pool).await.expect("the history")
    }

    /// The details of the events of this action, oldest first.
    pub async fn details_of(&self, action: &str) -> Vec<String> {
        self.audit_events_of(action).await.into_iter().map(|event| event.detail).collect()
    }

    /// The number of the oldest event with this detail.
    pub async fn first_event_with_detail(&self, detail: &str) -> i64 {
        let first = "SELECT min(id) FROM audit_events WHERE detail = $1";
        sqlx::query_scalar(first).bind(detail).fetch_one(&self.pool).await.expect("an event")
    }

    /// All mails of the outbox, oldest first.
    pub async fn outbox(&self) -> Vec<MailRow> {
        let mails = "SELECT id, recipient, notice,
                            to_char(created_at AT TIME ZONE 'Europe/Paris', 'YYYY-MM-DD HH24:MI') AS written_in_paris
                       FROM mails ORDER BY id";
        sqlx::query_as(mails).fetch_all(&self.pool).await.expect("the outbox")
    }

    /// The mails of this kind, oldest first.
    pub async fn mails_of(&self, kind: &str) -> Vec<MailRow> {
        self.outbox().await.into_iter().filter(|mail| mail.kind() == kind).collect()
    }

    /// Recipient and kind of all mails, oldest first.
    pub async fn mails(&self) -> Vec<String> {
        self.outbox().await.iter().map(|mail| format!("{} {}", mail.recipient, mail.kind())).collect()
    }

    pub async fn unsent_mails(&self) -> i64 {
        self.number("SELECT count(*) FROM mails WHERE sent_at IS NULL", &[]).await
    }

    /// How often the unsent mail was tried; the most of several.
    pub async fn mail_attempts(&self) -> i64 {
        self.number("SELECT coalesce(max(attempts), 0)::bigint FROM mails WHERE sent_at IS NULL", &[]).await
    }

    /// In how many seconds the one unsent mail is tried again.
    pub async fn mail_wait(&self) -> i64 {
        let wait = "SELECT extract(epoch FROM next_attempt_at - portal_now())::bigint FROM mails WHERE sent_at IS NULL";
        self.number(wait, &[]).await
    }

    // Statements under way.

    /// Waits until `count` statements wait for locks of others.
    pub async fn until_locked(&self, count: i64) {
        self.until_locked_or(count, || false).await;
    }

    /// Waits until `count` statements wait for locks of others, or it `is_over`.
    pub async fn until_locked_or(&self, count: i64, is_over: impl Fn() -> bool) {
        let waiting =
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
        for _ in 0..500 {
            if is_over() || self.number(waiting, &[]).await == count {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("not {count} statements wait for a lock");
    }
}
