//! People, structures and accounts, written to the database without the screens.

use std::sync::{
    LazyLock,
    atomic::{AtomicU32, Ordering},
};

use raccord::{
    db::api::verifiers,
    domain::{
        link_lifetime,
        password::{Argon2id, Password, PasswordHash},
        random,
        role::Role,
    },
};

use super::{portal::TestPortal, program::Account};

/// The structures `$1` to `$2` of a made-up directory, in one statement.
pub const DIRECTORY: &str = include_str!("../../benches/directory.sql");

/// Every person's password.
pub const PASSWORD: &str = "sept ponts sur la Loire";

/// Hashed once per process, because hashing is slow.
static HASH: LazyLock<PasswordHash> =
    LazyLock::new(|| Argon2id::default().hash(PASSWORD, random::bytes(&mut random::os_rng())));

/// The next establishment's number, so that no two structures of a test have one SIRET.
static ESTABLISHMENT: AtomicU32 = AtomicU32::new(1);

/// The principal manager's number after [`TestPortal::anne_and_bruno`].
pub const ANNE: i64 = 1;
/// The number of the other member of the first structure.
pub const BRUNO: i64 = 2;

#[derive(Clone, Debug)]
pub struct Person {
    pub id: i64,
    pub login: String,
    pub full_name: String,
    pub contact_address: String,
}

#[derive(Clone, Debug)]
pub struct Structure {
    pub id: i64,
    pub identifier: String,
    pub designation: String,
}

impl TestPortal {
    /// A person who has chosen [`PASSWORD`]: `name` is the first name, « Martin » the last.
    pub async fn person(&self, name: &str) -> Person {
        let login = format!("{}.martin@exemple.fr", name.to_lowercase());
        let contact_address = format!("contact-{}@exemple.fr", name.to_lowercase());
        let insert = "INSERT INTO users (login, last_name, first_name, contact_address, password_hash)
                      VALUES ($1, 'Martin', $2, $3, $4) RETURNING id";
        let query = sqlx::query_scalar(insert).bind(&login).bind(name).bind(&contact_address).bind(HASH.as_phc());
        let id = query.fetch_one(&self.pool).await.expect("a new person");
        Person { id, login, full_name: format!("{name} Martin"), contact_address }
    }

    /// A person whom the portal knows by this login.
    pub async fn person_with_login(&self, login: &str) -> Person {
        let select = "SELECT id, first_name || ' ' || last_name, contact_address FROM users WHERE login = $1";
        let (id, full_name, contact_address) =
            sqlx::query_as(select).bind(login).fetch_one(&self.pool).await.expect("a person");
        Person { id, login: login.into(), full_name, contact_address }
    }

    /// A structure from the directory, without a manager.
    pub async fn structure(&self, designation: &str) -> Structure {
        let identifier = siret(ESTABLISHMENT.fetch_add(1, Ordering::Relaxed));
        let insert =
            "INSERT INTO structures (identifier_type, identifier, designation, address_line, postal_code, city)
                      VALUES ('SIRET', $1, $2, '1 place de la Mairie', '35000', 'RENNES') RETURNING id";
        let query = sqlx::query_scalar(insert).bind(&identifier).bind(designation);
        let id = query.fetch_one(&self.pool).await.expect("a new structure");
        Structure { id, identifier, designation: designation.into() }
    }

    /// Attaches a person to a structure. A new principal manager replaces the former one, who stays
    /// as secondary manager.
    pub async fn attach(&self, person: &Person, structure: &Structure, role: Role) {
        let mut tx = self.pool.begin().await.expect("a transaction");
        if role == Role::PrincipalManager {
            let demote = "UPDATE memberships SET role = 'SECONDARY_MANAGER'
                           WHERE structure_id = $1 AND role = 'PRINCIPAL_MANAGER'";
            sqlx::query(demote).bind(structure.id).execute(&mut *tx).await.expect("the former manager stays a member");
        }
        let insert = "INSERT INTO memberships (user_id, structure_id, role) VALUES ($1, $2, $3)
                      ON CONFLICT ON CONSTRAINT memberships_user_structure_key DO UPDATE SET role = excluded.role";
        let query = sqlx::query(insert).bind(person.id).bind(structure.id).bind(role.code());
        query.execute(&mut *tx).await.expect("a membership");
        if role == Role::PrincipalManager {
            let point = "UPDATE structures SET principal_manager_id = $1, managed = true WHERE id = $2";
            sqlx::query(point).bind(person.id).bind(structure.id).execute(&mut *tx).await.expect("the pointer");
        }
        tx.commit().await.expect("role and pointer agree");
    }

    /// A person who is principal manager of `count` structures.
    pub async fn manager_with_structures(&self, name: &str, count: usize) -> (Person, Vec<Structure>) {
        let manager = self.person(name).await;
        let mut structures = Vec::new();
        for number in 1..=count {
            let structure = self.structure(&format!("Commune numéro {number:03}")).await;
            self.attach(&manager, &structure, Role::PrincipalManager).await;
            structures.push(structure);
        }
        (manager, structures)
    }

    /// « Camille », principal manager of one structure.
    pub async fn manager(&self) -> (Person, Structure) {
        let (manager, mut structures) = self.manager_with_structures("Camille", 1).await;
        (manager, structures.remove(0))
    }

    /// A technical user of the structure with the password [`PASSWORD`], which was never shown.
    pub async fn technical_user(&self, structure: &Structure, manager: &Person) -> i64 {
        self.insert_technical_user(structure.id, manager.id, &HASH).await.0
    }

    /// A technical user with a password of its own, in a structure of [`Self::anne_and_bruno`].
    pub async fn account(&self, structure_id: i64) -> Account {
        let account = self.account_without_verifier(structure_id).await;
        let key = self.state().keys().expect("the keys").verifier_key();
        let verifier = key.verifier(&account.login, account.password.expose());
        let mut conn = self.pool.acquire().await.expect("a connection");
        verifiers::put(&mut conn, account.id, 1, &verifier).await.expect("a verifier");
        account
    }

    /// As `raccord user disable` leaves a person.
    pub async fn disable(&self, person: &Person) {
        let disabled = "UPDATE users SET disabled_at = portal_now() WHERE login = $1";
        sqlx::query(disabled).bind(&person.login).execute(&self.pool).await.expect("a person who is disabled");
    }

    /// The same as a version of the portal made it that knew no verifiers.
    pub async fn account_without_verifier(&self, structure_id: i64) -> Account {
        let password = Password::generate(&mut random::os_rng());
        let hash = Argon2id::default().hash(password.expose(), random::bytes(&mut random::os_rng()));
        let (id, login) = self.insert_technical_user(structure_id, ANNE, &hash).await;
        sqlx::query("UPDATE technical_users SET password_checksum = $2 WHERE id = $1")
            .bind(id)
            .bind(password.checksum())
            .execute(&self.pool)
            .await
            .expect("a checksum");
        Account { id, login, password }
    }

    async fn insert_technical_user(&self, structure_id: i64, manager_id: i64, hash: &PasswordHash) -> (i64, String) {
        let insert =
            "WITH taken AS (UPDATE structures SET next_technical_number = next_technical_number + 1 WHERE id = $1
                            RETURNING next_technical_number - 1 AS number, identifier)
             INSERT INTO technical_users (structure_id, number, login, created_by, password_set_by, password_hash, expires_at)
             SELECT $1, number, 'TECH_' || number || '_' || identifier || '@cpro.fr', $2, $2, $3, portal_now() + interval '424 days'
               FROM taken RETURNING id, login";
        let query = sqlx::query_as(insert).bind(structure_id).bind(manager_id).bind(hash.as_phc());
        query.fetch_one(&self.pool).await.expect("a technical user")
    }

    /// Fills an empty database with five structures, numbered from 1, of which [`ANNE`] manages the
    /// first three. [`BRUNO`] is a member of the first.
    pub async fn anne_and_bruno(&self) {
        self.execute(
            "INSERT INTO users (login, last_name, first_name, contact_address)
             VALUES ('anne@mairie.fr', 'Martin', 'Anne', 'anne@mairie.fr'), ('bruno@mairie.fr', 'Petit', 'Bruno', 'bruno@mairie.fr');
             INSERT INTO structures (identifier_type, identifier, designation, managed, principal_manager_id, email, city, postal_code, address_line)
             VALUES ('SIRET', '21690123100011', 'Mairie de Lyon', true, 1, 'mairie@lyon.fr', 'Lyon', '69001', '1 place de la Comédie'),
                    ('SIRET', '21750001600019', 'Ville de Paris', true, 1, '', 'Paris', '75004', 'Place de l’Hôtel de Ville'),
                    ('SIRET', '35600000000048', 'La Poste', true, 1, '', 'Paris', '75015', '9 rue du Colonel Pierre Avia');
             INSERT INTO structures (identifier_type, identifier, designation) VALUES ('SIRET', '21130055300016', 'Mairie de Marseille'), ('RIDET', '0123456', 'Nouméa Énergie');
             INSERT INTO memberships (user_id, structure_id, role)
             VALUES (1, 1, 'PRINCIPAL_MANAGER'), (1, 2, 'PRINCIPAL_MANAGER'), (1, 3, 'PRINCIPAL_MANAGER'), (2, 1, 'USER')",
        )
        .await;
    }

    /// The person's request to be attached to the structure.
    pub async fn membership_request(&self, person: &Person, structure: &Structure) -> i64 {
        let insert = "INSERT INTO membership_requests (user_id, identifier_type, identifier) VALUES ($1, 'SIRET', $2) RETURNING id";
        let query = sqlx::query_scalar(insert).bind(person.id).bind(&structure.identifier);
        query.fetch_one(&self.pool).await.expect("a new request")
    }

    /// An offer of the structure by its principal manager to a member.
    pub async fn offer(&self, structure: &Structure, successor: &Person) {
        let insert = "INSERT INTO succession_offers (structure_id, successor_id, offered_by)
                      SELECT id, $2, principal_manager_id FROM structures WHERE id = $1";
        sqlx::query(insert).bind(structure.id).bind(successor.id).execute(&self.pool).await.expect("an offer");
    }

    /// A batch of the manager's that did nothing.
    pub async fn finished_batch(&self, manager: &Person) -> i64 {
        let insert = "INSERT INTO batches (manager_id, token, request, act, actor, address, session_hash, session_key, finished_at)
                      VALUES ($1, 'fini', '', 'SUSPEND', $2, '192.0.2.1', '', '', portal_now()) RETURNING id";
        let query = sqlx::query_scalar(insert).bind(manager.id).bind(&manager.login);
        query.fetch_one(&self.pool).await.expect("a batch")
    }

    /// An invitation's link, mailed to the person's contact address.
    pub async fn invitation(&self, person: &Person) -> String {
        let token = random::token(&mut random::os_rng());
        let mut conn = self.pool.acquire().await.expect("a connection");
        let hash = random::digest(&token);
        raccord::db::identity::invitations::create(
            &mut conn,
            person.id,
            &person.contact_address,
            &hash,
            link_lifetime::PASSWORD_CHOICE,
        )
        .await
        .expect("an invitation");
        format!("/invitation/{token}")
    }
}

/// A SIRET that Luhn accepts: 9 fixed digits, 4 of the establishment, 1 of control.
fn siret(establishment: u32) -> String {
    let base = format!("213500014{establishment:04}");
    let sum: u32 = base
        .bytes()
        .rev()
        .enumerate()
        .map(|(place, digit)| (place, u32::from(digit - b'0')))
        .map(|(place, digit)| if place % 2 == 1 { digit } else { digit * 2 / 10 + digit * 2 % 10 })
        .sum();
    format!("{base}{}", (10 - sum % 10) % 10)
}
