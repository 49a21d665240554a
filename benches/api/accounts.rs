//! Technical users who call: one, or very many.

use data_encoding::BASE64;
use raccord::{
    domain::{password::Password, random, verifier::VerifierKey},
    web::paths,
};
use sqlx::PgPool;

use crate::{
    bare,
    common::{TestPortal, TestService, cpro_account, form},
    load::request,
};

/// Memberships of each manager.
pub const MEMBERSHIPS: usize = 20;
/// Accounts of each structure.
const OF_STRUCTURE: usize = 5;
/// Accounts that are written by one statement.
const BATCH: usize = 10_000;
const BODY: &str = r#"{"parametresRecherche":{"nbResultatsParPage":100,"pageResultatDemandee":1}}"#;
const JSON: &str = "Content-Type: application/json\r\n";

/// Accounts with their credentials.
pub struct Accounts {
    logins: Vec<String>,
    passwords: Vec<Password>,
    tokens: Vec<String>,
    managers: Vec<i64>,
}

impl Accounts {
    /// Writes `count` accounts, five in each structure, 20 structures of each manager, each account
    /// with a password, its verifier and a token.
    pub async fn create(portal: &TestPortal, prefix: &str, count: usize) -> Self {
        let managers = create_managers(&portal.pool, prefix, count.div_ceil(OF_STRUCTURE * MEMBERSHIPS)).await;
        let key = portal.state().keys().expect("the keys").verifier_key();
        let mut accounts = Self { logins: Vec::new(), passwords: Vec::new(), tokens: Vec::new(), managers };
        while accounts.logins.len() < count {
            let numbers = accounts.logins.len()..(accounts.logins.len() + BATCH).min(count);
            for number in numbers {
                let (structure, account) = (number / OF_STRUCTURE, number % OF_STRUCTURE + 1);
                accounts.logins.push(format!("TECH_{account}_{prefix}{structure}@cpro.fr"));
                accounts.passwords.push(Password::generate(&mut random::os_rng()));
                accounts.tokens.push(random::token(&mut random::os_rng()));
            }
            accounts.write_last(&portal.pool, prefix, &key).await;
        }
        portal.execute("ANALYZE").await;
        accounts
    }

    /// Writes the accounts of the last batch.
    async fn write_last(&self, pool: &PgPool, prefix: &str, key: &VerifierKey) {
        let first = (self.logins.len() - 1) / BATCH * BATCH;
        let numbers: Vec<i64> =
            (first..self.logins.len()).map(|number| i64::try_from(number).expect("a few")).collect();
        let logins = &self.logins[first..];
        let passwords = self.passwords[first..].iter();
        let verifiers: Vec<Vec<u8>> = logins
            .iter()
            .zip(passwords)
            .map(|(login, password)| key.verifier(login, password.expose()).digest)
            .collect();
        let token_hashes: Vec<Vec<u8>> = self.tokens[first..].iter().map(random::digest).collect();
        sqlx::query(
            "WITH given AS (SELECT * FROM unnest($1::bigint[], $2::text[], $3::bytea[], $4::bytea[]) g (n, login, verifier, token)),
                  written AS (INSERT INTO technical_users (structure_id, number, login, created_by, password_hash, password_set_by, expires_at)
                              SELECT s.id, 1 + g.n % 5, g.login, s.principal_manager_id, '', s.principal_manager_id, portal_now() + interval '1 year'
                                FROM given g JOIN structures s ON s.identifier_type = 'AUTRE' AND s.identifier = $5 || g.n / 5
                              RETURNING id, login),
                  verified AS (INSERT INTO password_verifiers (technical_user_id, credential_version, key_id, verifier)
                               SELECT w.id, 1, $6, g.verifier FROM written w JOIN given g USING (login))
             INSERT INTO access_tokens (token_hash, technical_user_id, credential_version, expires_at)
             SELECT g.token, w.id, 1, portal_now() + interval '1 day' FROM written w JOIN given g USING (login)",
        )
        .bind(numbers)
        .bind(logins)
        .bind(verifiers)
        .bind(token_hashes)
        .bind(prefix)
        .bind(key.verifier("", "").key_id)
        .execute(pool)
        .await
        .expect("accounts");
    }

    /// The first login.
    pub fn login(&self) -> &str {
        &self.logins[0]
    }

    /// Requests of the bare handler, for each manager.
    pub fn bare_requests(&self) -> Vec<String> {
        self.managers.iter().map(|manager| request(&format!("{}/{manager}", bare::READ), JSON, BODY)).collect()
    }

    pub fn token_requests(&self) -> Vec<String> {
        let headers = "Content-Type: application/x-www-form-urlencoded\r\n";
        let forms = self.logins.iter().zip(&self.passwords).map(|(login, password)| {
            format!("grant_type=client_credentials&client_id={login}&client_secret={}", password.expose())
        });
        forms.map(|form| request(paths::API_TOKEN, headers, &form)).collect()
    }

    pub fn password_requests(&self) -> Vec<String> {
        self.headers_of_passwords()
            .map(|header| request(paths::API_MEMBERSHIPS, &format!("{JSON}{header}"), BODY))
            .collect()
    }

    pub fn bearer_requests(&self) -> Vec<String> {
        self.headers_of_tokens()
            .map(|header| request(paths::API_MEMBERSHIPS, &format!("{JSON}{header}"), BODY))
            .collect()
    }

    /// Checks of a gateway before a service, of each token.
    pub fn checks(&self, service: &TestService) -> Vec<String> {
        let path = paths::API_SERVICE_VERIFICATION.replace("{service}", &service.name);
        self.headers_of_tokens().map(|header| request(&path, &header, "")).collect()
    }

    /// Calls of an operator's API with each token.
    pub fn calls_of_an_api(&self) -> Vec<String> {
        self.headers_of_tokens().map(|header| request("/factures/7", &header, "")).collect()
    }

    /// Questions of a service about each token.
    pub fn questions(&self, path: &str, service: &TestService) -> Vec<String> {
        self.tokens.iter().map(|token| question(path, service, &[("token", token)])).collect()
    }

    /// Questions of a service about each `cpro-account`.
    pub fn questions_about_passwords(&self, service: &TestService) -> Vec<String> {
        let values = self.logins.iter().zip(&self.passwords);
        let values = values.map(|(login, password)| cpro_account(login, password.expose()));
        let hint = ("token_type_hint", "cpro-account");
        values.map(|value| question(paths::API_INTROSPECTION, service, &[("token", &value), hint])).collect()
    }

    pub fn requests_with_both(&self) -> Vec<String> {
        let headers = self.headers_of_passwords().zip(self.headers_of_tokens());
        headers.map(|(one, other)| request(paths::API_MEMBERSHIPS, &format!("{JSON}{one}{other}"), BODY)).collect()
    }

    pub fn headers_of_passwords(&self) -> impl Iterator<Item = String> {
        let values =
            self.logins.iter().zip(&self.passwords).map(|(login, password)| format!("{login}:{}", password.expose()));
        values.map(|value| format!("cpro-account: {}\r\n", BASE64.encode(value.as_bytes())))
    }

    pub fn headers_of_tokens(&self) -> impl Iterator<Item = String> {
        self.tokens.iter().map(|token| format!("Authorization: Bearer {token}\r\n"))
    }
}

fn question(path: &str, service: &TestService, fields: &[(&str, &str)]) -> String {
    let own = [("client_id", service.client_id.as_str()), ("client_secret", service.secret.as_str())];
    request(path, "Content-Type: application/x-www-form-urlencoded\r\n", &form(&[&own, fields].concat()))
}

/// Managers of [`MEMBERSHIPS`] structures each. Their ids.
async fn create_managers(pool: &PgPool, prefix: &str, count: usize) -> Vec<i64> {
    sqlx::query_scalar(
        "WITH people AS (INSERT INTO users (login, last_name, first_name, contact_address)
                         SELECT lower($1 || n || '@x.fr'), 'Gestionnaire', 'Numéro', lower($1 || n || '@x.fr') FROM generate_series(0, $2 - 1) n
                         RETURNING id, login),
              places AS (INSERT INTO structures (identifier_type, identifier, designation, managed, principal_manager_id)
                         SELECT 'AUTRE', $1 || n, 'Établissement numéro ' || n, true, p.id
                           FROM generate_series(0, $2 * $3 - 1) n JOIN people p ON p.login = lower($1 || n / $3 || '@x.fr')
                         RETURNING id, principal_manager_id),
              roles AS (INSERT INTO memberships (user_id, structure_id, role)
                        SELECT principal_manager_id, id, 'PRINCIPAL_MANAGER' FROM places)
         SELECT id FROM people ORDER BY id",
    )
    .bind(prefix)
    .bind(i64::try_from(count).expect("a few"))
    .bind(i64::try_from(MEMBERSHIPS).expect("a few"))
    .fetch_all(pool)
    .await
    .expect("managers")
}
