//! Changes of the database that no screen makes, or that time would make.

use raccord::domain::technical_user::TechnicalUserStatus;

use sqlx::{Postgres, Transaction};

use super::{
    makers::{Person, Structure},
    portal::TestPortal,
    readings::EventRow,
};

impl TestPortal {
    // Technical users.

    pub async fn set_status(&self, account: i64, status: TechnicalUserStatus) {
        let update = "UPDATE technical_users SET status = $2 WHERE id = $1";
        sqlx::query(update).bind(account).bind(status.code()).execute(&self.pool).await.expect("a status");
    }

    pub async fn set_label(&self, account: i64, label: &str) {
        let update = "UPDATE technical_users SET label = $2 WHERE id = $1";
        sqlx::query(update).bind(account).bind(label).execute(&self.pool).await.expect("a label");
    }

    /// Lets the account's password expire this interval from now, such as `-1 hour`.
    pub async fn expire_in(&self, account: i64, interval: &str) {
        let update = "UPDATE technical_users SET expires_at = portal_now() + $2::text::interval WHERE id = $1";
        sqlx::query(update).bind(account).bind(interval).execute(&self.pool).await.expect("an expiry");
    }

    /// As if calls of the account had been refused this long after now; the password is older.
    pub async fn refuse_calls(&self, account: i64, after: &str) {
        let update = "UPDATE technical_users SET last_refused_at = portal_now() + $2::text::interval WHERE id = $1";
        sqlx::query(update).bind(account).bind(after).execute(&self.pool).await.expect("a refusal");
    }

    /// As if the account had last called at this distance from now, such as `-3 hours`.
    pub async fn set_last_call(&self, account: i64, distance: &str) {
        let update = "UPDATE technical_users SET last_call_at = portal_now() + $2::text::interval, last_call_address = '192.0.2.7',
                             last_call_software = 'ERP' WHERE id = $1";
        sqlx::query(update).bind(account).bind(distance).execute(&self.pool).await.expect("a call");
    }

    /// Writes the calls that this instance remembers.
    pub async fn flush_calls(&self) {
        self.api().call_log.flush(&self.pool).await.expect("it is written");
    }

    /// Writes them with what would wait for a while, as at the end of the instance.
    pub async fn flush_all_calls(&self) {
        self.api().call_log.flush_all(&self.pool).await.expect("it is written");
    }

    /// Lets the account's password expire at this instant.
    pub async fn set_expiry(&self, account: i64, instant: &str) {
        let update = "UPDATE technical_users SET expires_at = $2::text::timestamptz WHERE id = $1";
        sqlx::query(update).bind(account).bind(instant).execute(&self.pool).await.expect("an expiry");
    }

    /// Gives the account another password, which is not known.
    pub async fn replace_password(&self, account: i64) {
        let update = "UPDATE technical_users SET credential_version = credential_version + 1,
                             password_hash = left(password_hash, -4) || 'AAAA' WHERE id = $1";
        sqlx::query(update).bind(account).execute(&self.pool).await.expect("a password");
    }

    /// Gives the account an access token that lives for this interval.
    pub async fn grant_token(&self, account: i64, interval: &str) {
        let insert = "INSERT INTO access_tokens
                      SELECT '\\x00', id, credential_version, portal_now() + $2::text::interval FROM technical_users WHERE id = $1";
        sqlx::query(insert).bind(account).bind(interval).execute(&self.pool).await.expect("a token");
    }

    pub async fn remove_verifiers(&self) {
        self.execute("DELETE FROM password_verifiers").await;
    }

    /// Notes all technical users with their passwords, for [`Self::put_accounts_back`].
    pub async fn keep_accounts_as_they_are(&self) {
        self.execute(
            "CREATE TABLE kept_technical_users AS TABLE technical_users;
             CREATE TABLE kept_password_verifiers AS TABLE password_verifiers;
             CREATE TABLE kept_former_passwords AS TABLE former_passwords",
        )
        .await;
    }

    /// Puts back what was noted, as a restore does.
    pub async fn put_accounts_back(&self) {
        self.execute(
            "DELETE FROM former_passwords; INSERT INTO former_passwords SELECT * FROM kept_former_passwords;
             DELETE FROM password_verifiers; INSERT INTO password_verifiers SELECT * FROM kept_password_verifiers;
             UPDATE technical_users t SET credential_version = k.credential_version, password_hash = k.password_hash,
                    password_checksum = k.password_checksum, former_version = k.former_version, former_ends_at = k.former_ends_at
               FROM kept_technical_users k WHERE k.id = t.id",
        )
        .await;
    }

    /// Takes the history back to this position of its chain, as a restore does.
    pub async fn forget_history_after(&self, position: i64) {
        self.execute("ALTER TABLE audit_events DISABLE TRIGGER USER; ALTER TABLE audit_chain DISABLE TRIGGER USER")
            .await;
        sqlx::query(
            "WITH lost AS (DELETE FROM audit_chain WHERE position > $1 RETURNING event_id)
             DELETE FROM audit_events WHERE id IN (SELECT event_id FROM lost)",
        )
        .bind(position)
        .execute(&self.pool)
        .await
        .expect("rows can be deleted");
        self.execute("ALTER TABLE audit_events ENABLE TRIGGER USER; ALTER TABLE audit_chain ENABLE TRIGGER USER").await;
    }

    /// Makes every stored hash useless: where a password still works, no hash was computed.
    pub async fn spoil_hashes(&self) {
        self.execute("UPDATE technical_users SET password_hash = 'x'; UPDATE former_passwords SET password_hash = 'x'")
            .await;
    }

    pub async fn end_former_passwords(&self) {
        self.execute("UPDATE former_passwords SET ends_at = portal_now()").await;
    }

    pub async fn remove_former_passwords(&self) {
        self.execute("DELETE FROM former_passwords").await;
    }

    /// Notes a call with each former password now, or forgets all.
    pub async fn set_former_password_use(&self, used: bool) {
        let update = "UPDATE former_passwords SET last_call_at = CASE WHEN $1 THEN portal_now() END";
        sqlx::query(update).bind(used).execute(&self.pool).await.expect("former passwords");
    }

    /// Gives the structure accounts with the numbers 1 to `count`, whose expiries are unordered.
    pub async fn many_accounts(&self, structure: &Structure, manager: &Person, count: i32) {
        let insert = "INSERT INTO technical_users (structure_id, number, login, created_by, password_set_by, password_hash, expires_at)
                      SELECT $1, n, 'TECH_' || n || '_X@cpro.fr', $2, $2, '', portal_now() + make_interval(days => 100, secs => n * 7919 % 2503)
                        FROM generate_series(1, $3) n";
        let query = sqlx::query(insert).bind(structure.id).bind(manager.id).bind(count);
        query.execute(&self.pool).await.expect("accounts");
    }

    /// Deletes the accounts whose number in the structure is greater than this one.
    pub async fn delete_accounts_above(&self, number: i32) {
        let update = "UPDATE technical_users SET status = 'DELETED' WHERE number > $1";
        sqlx::query(update).bind(number).execute(&self.pool).await.expect("accounts");
    }

    // Structures and people.

    pub async fn set_active(&self, structure_id: i64, active: bool) {
        let update = "UPDATE structures SET active = $2 WHERE id = $1";
        sqlx::query(update).bind(structure_id).bind(active).execute(&self.pool).await.expect("a structure");
    }

    pub async fn set_postal_code(&self, structure_id: i64, code: &str) {
        let update = "UPDATE structures SET postal_code = $2 WHERE id = $1";
        sqlx::query(update).bind(structure_id).bind(code).execute(&self.pool).await.expect("a structure");
    }

    pub async fn set_identifier(&self, structure_id: i64, kind: &str, identifier: &str) {
        let update = "UPDATE structures SET identifier_type = $2, identifier = $3 WHERE id = $1";
        let query = sqlx::query(update).bind(structure_id).bind(kind).bind(identifier);
        query.execute(&self.pool).await.expect("a structure");
    }

    pub async fn set_designation(&self, structure_id: i64, designation: &str) {
        let update = "UPDATE structures SET designation = $2 WHERE id = $1";
        sqlx::query(update).bind(structure_id).bind(designation).execute(&self.pool).await.expect("a structure");
    }

    /// Makes the structure inactive, without manager and members.
    pub async fn close_structure(&self, structure_id: i64) {
        let mut tx = self.pool.begin().await.expect("a transaction");
        for change in [
            "UPDATE structures SET active = false, managed = false, principal_manager_id = NULL WHERE id = $1",
            "DELETE FROM memberships WHERE structure_id = $1",
        ] {
            sqlx::query(change).bind(structure_id).execute(&mut *tx).await.expect("a structure");
        }
        tx.commit().await.expect("a structure without people");
    }

    /// Makes a member the principal manager; the former one becomes a plain member.
    pub async fn replace_manager(&self, structure_id: i64, successor_id: i64) {
        let mut tx = self.pool.begin().await.expect("a transaction");
        for change in [
            "UPDATE memberships SET role = 'USER' WHERE structure_id = $1 AND role = 'PRINCIPAL_MANAGER' AND user_id <> $2",
            "UPDATE memberships SET role = 'PRINCIPAL_MANAGER' WHERE structure_id = $1 AND user_id = $2",
            "UPDATE structures SET principal_manager_id = $2 WHERE id = $1",
        ] {
            sqlx::query(change).bind(structure_id).bind(successor_id).execute(&mut *tx).await.expect("a succession");
        }
        tx.commit().await.expect("role and pointer agree");
    }

    /// Makes a person the principal manager in a transaction that is not committed yet.
    pub async fn begin_succession(&self, structure: &Structure, successor: &Person) -> Transaction<'static, Postgres> {
        let mut succession = self.pool.begin().await.expect("a transaction");
        for change in [
            "UPDATE memberships SET role = 'SECONDARY_MANAGER' WHERE structure_id = $1 AND role = 'PRINCIPAL_MANAGER' AND user_id <> $2",
            "INSERT INTO memberships (user_id, structure_id, role) VALUES ($2, $1, 'PRINCIPAL_MANAGER')",
            "UPDATE structures SET principal_manager_id = $2 WHERE id = $1",
        ] {
            let query = sqlx::query(change).bind(structure.id).bind(successor.id);
            query.execute(&mut *succession).await.expect("a succession");
        }
        succession
    }

    /// Lets the people of all sessions have authenticated this long ago.
    pub async fn age_authentications(&self, age: &str) {
        let update = "UPDATE sessions SET authenticated_at = portal_now() - $1::text::interval";
        sqlx::query(update).bind(age).execute(&self.pool).await.expect("sessions");
    }

    /// Closes all sessions in a transaction that is not committed yet.
    pub async fn begin_closing_sessions(&self) -> Transaction<'static, Postgres> {
        let mut closing = self.pool.begin().await.expect("a transaction");
        sqlx::query("DELETE FROM sessions").execute(&mut *closing).await.expect("closed");
        closing
    }

    /// Replaces the person's password in a transaction that is not committed yet.
    pub async fn begin_password_change(&self, person: &Person) -> Transaction<'static, Postgres> {
        let mut change = self.pool.begin().await.expect("a transaction");
        let update = "UPDATE users SET password_hash = 'another' WHERE id = $1";
        sqlx::query(update).bind(person.id).execute(&mut *change).await.expect("changed");
        change
    }

    /// Keeps a sign-in from ending until the transaction ends.
    pub async fn hold_known_browsers(&self) -> Transaction<'static, Postgres> {
        let mut held = self.pool.begin().await.expect("a transaction");
        sqlx::query("LOCK TABLE known_browsers").execute(&mut *held).await.expect("held");
        held
    }

    /// Puts the second factor that the person is setting up in force, in a transaction that is not
    /// committed yet.
    pub async fn begin_confirming_second_factor(&self, person: &Person) -> Transaction<'static, Postgres> {
        let mut setup = self.pool.begin().await.expect("a transaction");
        for statement in [
            "SELECT FROM users WHERE id = $1 FOR NO KEY UPDATE",
            "UPDATE second_factors SET confirmed_at = portal_now() WHERE user_id = $1",
        ] {
            sqlx::query(statement).bind(person.id).execute(&mut *setup).await.expect("confirmed");
        }
        setup
    }

    pub async fn forget_second_factors(&self) {
        self.execute("DELETE FROM second_factors; DELETE FROM recovery_codes").await;
    }

    pub async fn set_contact_address(&self, person: &Person, address: &str) {
        let update = "UPDATE users SET contact_address = $2 WHERE id = $1";
        sqlx::query(update).bind(person.id).bind(address).execute(&self.pool).await.expect("a person");
    }

    /// Replaces the hash of the person's password; `None` for a person who has not chosen one.
    pub async fn set_password_hash(&self, person: &Person, hash: Option<&str>) {
        let update = "UPDATE users SET password_hash = $2 WHERE id = $1";
        sqlx::query(update).bind(person.id).bind(hash).execute(&self.pool).await.expect("a person");
    }

    /// Writes a text wherever an import or a browser may bring one: names, addresses, software,
    /// history.
    pub async fn write_everywhere(&self, text: &str, person: &Person) {
        for change in [
            "UPDATE structures SET designation = $1, address_line = $1, city = $1",
            "UPDATE users SET first_name = $1, last_name = $1 WHERE id = $2",
            "UPDATE sessions SET software = $1",
            "INSERT INTO audit_events (actor, address, action, structure_id, subject, detail)
             SELECT $1, '198.51.100.7', 'STRUCTURE_EDITED', id, $1, $1 FROM structures",
        ] {
            let query = sqlx::query(change).bind(text);
            let query = if change.contains("$2") { query.bind(person.id) } else { query };
            query.execute(&self.pool).await.expect("a text");
        }
    }

    /// Lets second factors that are not confirmed begin now.
    pub async fn renew_unconfirmed_factors(&self) {
        self.execute("UPDATE second_factors SET created_at = portal_now() WHERE confirmed_at IS NULL").await;
    }

    /// Counts this many mails to members as sent in the last hour.
    pub async fn count_mails_to_members(&self, count: i32) {
        let update = "UPDATE throttles SET failures = failures + $1 WHERE scope = 'MEMBER_MAIL'";
        sqlx::query(update).bind(count).execute(&self.pool).await.expect("a throttle");
    }

    // History and mails.

    /// Writes an event; an empty `at` is now. Its number.
    pub async fn write_event(&self, event: &EventRow) -> i64 {
        let insert = "INSERT INTO audit_events (at, actor, address, action, structure_id, technical_user_id, subject, detail)
                      VALUES (coalesce(nullif($1, '')::timestamptz, portal_now()), $2, $3, $4, $5, $6, $7, $8) RETURNING id";
        let query = sqlx::query_scalar(insert).bind(&event.at).bind(&event.actor).bind(&event.address);
        let query = query.bind(&event.action).bind(event.structure_id).bind(event.technical_user_id);
        query.bind(&event.subject).bind(&event.detail).fetch_one(&self.pool).await.expect("an event")
    }

    /// Writes three events a day, at 10, 12 and 14 h UTC from 20 December 2026 on, oldest first.
    /// The second one is the account's and another person's. The detail is the number of the day.
    pub async fn daily_history(&self, structure: &Structure, manager: &Person, account: i64, days: i32) {
        let insert = "INSERT INTO audit_events (at, actor_id, actor, address, action, structure_id, technical_user_id, subject, detail)
                      SELECT timestamptz '2026-12-20 08:00Z' + make_interval(days => day, hours => 2 * act), $1,
                             CASE act WHEN 2 THEN 'noa.martin@exemple.fr' ELSE 'camille.martin@exemple.fr' END, '198.51.100.7',
                             (ARRAY['STRUCTURE_EDITED', 'PASSWORD_SHOWN', 'ACT_REFUSED'])[act], $2,
                             CASE act WHEN 2 THEN t.id END, CASE act WHEN 2 THEN t.login ELSE '' END, 'jour ' || day
                        FROM technical_users t, generate_series(0, $4 - 1) day, generate_series(1, 3) act
                       WHERE t.id = $3 ORDER BY day, act";
        let query = sqlx::query(insert).bind(manager.id).bind(structure.id).bind(account).bind(days);
        query.execute(&self.pool).await.expect("a history");
    }

    /// Makes every act fail that writes an event.
    pub async fn refuse_events(&self) {
        self.execute("CREATE TRIGGER refuse_all BEFORE INSERT ON audit_events EXECUTE FUNCTION refuse_change()").await;
    }

    /// Lets unsent mails be tried as if for the first time.
    pub async fn forget_mail_attempts(&self) {
        self.execute("UPDATE mails SET attempts = 0, next_attempt_at = portal_now() WHERE sent_at IS NULL").await;
    }

    /// Locks the structure's row in a transaction: every creation waits for it, each with a
    /// connection.
    pub async fn hold(&self, structure: &Structure) -> Transaction<'static, Postgres> {
        let mut holder = self.pool.begin().await.expect("a transaction");
        let lock = sqlx::query("SELECT id FROM structures WHERE id = $1 FOR UPDATE").bind(structure.id);
        lock.execute(&mut *holder).await.expect("the lock");
        holder
    }

    /// Locks an account's row in a transaction.
    pub async fn hold_account(&self, account: i64) -> Transaction<'static, Postgres> {
        self.hold_row("SELECT 1 FROM technical_users WHERE id = $1 FOR NO KEY UPDATE", account).await
    }

    /// Locks the row of an account's envelope in a transaction.
    pub async fn hold_envelope(&self, account: i64) -> Transaction<'static, Postgres> {
        self.hold_row("SELECT 1 FROM envelopes WHERE technical_user_id = $1 FOR UPDATE", account).await
    }

    /// Locks all structures and people in a transaction.
    pub async fn hold_acts(&self) -> Transaction<'static, Postgres> {
        let mut holder = self.pool.begin().await.expect("a transaction");
        for lock in ["SELECT 1 FROM structures FOR NO KEY UPDATE", "SELECT 1 FROM users FOR NO KEY UPDATE"] {
            sqlx::query(lock).execute(&mut *holder).await.expect("the lock");
        }
        holder
    }

    /// Keeps a person's row from being changed or locked by one transaction alone.
    pub async fn share_person(&self, person: &Person) -> Transaction<'static, Postgres> {
        self.hold_row("SELECT 1 FROM users WHERE id = $1 FOR SHARE", person.id).await
    }

    /// Disables a person, in a transaction that is not committed yet.
    pub async fn begin_disabling(&self, person: &Person) -> Transaction<'static, Postgres> {
        self.hold_row("UPDATE users SET disabled_at = portal_now() WHERE id = $1", person.id).await
    }

    /// Ends all sessions, and then the transaction.
    pub async fn end_sessions(&self, mut holder: Transaction<'static, Postgres>) {
        sqlx::query("DELETE FROM sessions").execute(&mut *holder).await.expect("the end");
        holder.commit().await.expect("the commit");
    }

    async fn hold_row(&self, lock: &'static str, id: i64) -> Transaction<'static, Postgres> {
        let mut holder = self.pool.begin().await.expect("a transaction");
        sqlx::query(lock).bind(id).execute(&mut *holder).await.expect("the lock");
        holder
    }

    /// Ends the waits after failed deliveries, which last minutes.
    pub async fn retry_mails_now(&self) {
        self.execute("UPDATE mails SET next_attempt_at = portal_now() WHERE sent_at IS NULL").await;
    }
}
