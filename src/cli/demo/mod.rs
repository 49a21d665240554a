//! Fills an empty database with a demonstration: real structures, invented people, generated
//! passwords.

use std::path::PathBuf;

use sqlx::{PgConnection, PgPool};
use thiserror::Error;

use super::{directory_line, table::Table};
use crate::{
    db::{
        demo::{self, DemoManagers, DemoState},
        structures::directory::{self, DirectoryEntry},
    },
    domain::{
        audit::Actor,
        new_person::NewPerson,
        password::{Argon2id, Password, PasswordHash},
        random,
        role::Role,
    },
    settings::Settings,
};
use credentials::Credentials;

mod accounts;
mod credentials;

/// A sample of the communes of France, from the open data of `@etalab/decoupage-administratif`
/// (MIT).
const STRUCTURES: &str = include_str!("structures.csv");
/// How many structures the first manager manages. The next one is the second manager's; the others
/// have no manager.
const FIRST_MANAGER_STRUCTURES: usize = 300;
/// How many of the first manager's structures the secondary manager and the user are members of.
const SHARED_STRUCTURES: i64 = 12;

/// Why the demonstration could not be created.
#[derive(Debug, Error)]
pub enum DemoError {
    #[error("the database is not empty and not a demonstration: give the demonstration a database of its own")]
    InUse,
    #[error("{path}: {cause}", path = .path.display())]
    Credentials { path: PathBuf, cause: std::io::Error },
    #[error("the database: {0}")]
    Database(#[from] sqlx::Error),
}

/// How the database came to be a demonstration, with the path of the sign-in data.
#[derive(Debug, PartialEq, Eq)]
pub enum Filled {
    Created(PathBuf),
    /// It was one already.
    Kept(PathBuf),
    /// It was one already, and the file of its sign-in data is missing.
    CredentialsLost(PathBuf),
}

/// Fills an empty database in one transaction. The credentials are synced to disk before the
/// commit: a kill at any time never leaves a demonstration without credentials, and credentials
/// without a demonstration are replaced at the next start.
///
/// # Errors
/// [`DemoError`].
pub async fn fill(pool: &PgPool, settings: &Settings) -> Result<Filled, DemoError> {
    let path = settings.data_dir.join("demo-credentials.json");
    let (mut tx, state) = demo::begin(pool).await?;
    let write = |cause| DemoError::Credentials { path: path.clone(), cause };
    match state {
        DemoState::InUse => Err(DemoError::InUse),
        DemoState::Demo if Credentials::update_url(&path, &settings.public_url).map_err(write)? => {
            Ok(Filled::Kept(path))
        }
        DemoState::Demo => Ok(Filled::CredentialsLost(path)),
        DemoState::Empty => {
            let credentials = write_all(&mut tx, settings).await?;
            credentials.save(&path).map_err(write)?;
            tx.commit().await?;
            Ok(Filled::Created(path))
        }
    }
}

/// The people, in the order of the credentials file: role there, first and last name.
const PEOPLE: [(&str, &str, &str); 4] = [
    ("gestionnaire_principal", "Claire", "Fontaine"),
    ("gestionnaire_principal", "Mathieu", "Lenoir"),
    ("gestionnaire_secondaire", "Nadia", "Benali"),
    ("utilisateur", "Hugo", "Marchand"),
];

async fn write_all(conn: &mut PgConnection, settings: &Settings) -> Result<Credentials, DemoError> {
    let structures = structures();
    directory::load(&mut *conn, &Actor::operator(), &structures).await?;
    let (mut argon2id, mut rng) = (Argon2id::default(), random::os_rng());
    let mut credentials = Credentials::new(&settings.public_url);
    let mut ids = Vec::new();
    for (role, first_name, last_name) in PEOPLE {
        let person = person(first_name, last_name);
        let password = credentials::readable_password(&mut rng, person.login());
        let hash = argon2id.hash(password.expose(), random::bytes(&mut rng));
        ids.push(demo::add_person(conn, &person, &hash).await?);
        credentials.add(role, person.login(), &password);
    }
    let identifiers: Vec<String> = structures.into_iter().map(|entry| entry.identifier).collect();
    demo::give_structures(conn, ids[0], &identifiers[..FIRST_MANAGER_STRUCTURES]).await?;
    demo::give_structures(conn, ids[1], &identifiers[FIRST_MANAGER_STRUCTURES..=FIRST_MANAGER_STRUCTURES]).await?;
    demo::join_first_structures(conn, ids[0], ids[2], Role::SecondaryManager, SHARED_STRUCTURES).await?;
    demo::join_first_structures(conn, ids[0], ids[3], Role::User, SHARED_STRUCTURES).await?;
    // The passwords are discarded: these accounts and people are for display only, with one hash.
    let hash = argon2id.hash(Password::generate(&mut rng).expose(), random::bytes(&mut rng));
    let former = demo::add_person(conn, &person("Odile", "Garnier"), &hash).await?;
    add_accounts(conn, DemoManagers { present: ids[0], former }, &hash, settings).await?;
    demo::invite(conn, ids[0], INVITED_AT, &person("Paul", "Rey")).await?;
    demo::mark(conn).await?;
    Ok(credentials)
}

/// The place of the structure that a person is invited to who has not answered.
const INVITED_AT: i64 = 12;

async fn add_accounts(
    conn: &mut PgConnection,
    managers: DemoManagers,
    hash: &PasswordHash,
    settings: &Settings,
) -> sqlx::Result<()> {
    let mut past = Vec::new();
    for account in accounts::accounts() {
        let lifetime = settings.account_rules.password_lifetime_days;
        past.extend(demo::add_account(conn, managers, account, hash, lifetime).await?);
    }
    demo::record_past(conn, past).await?;
    demo::count_calls(conn).await?;
    demo::keep_former_manager(conn, managers.former).await
}

fn person(first_name: &str, last_name: &str) -> NewPerson {
    let address = format!("{first_name}.{last_name}@raccord.example").to_lowercase();
    NewPerson::checked(&address, last_name, first_name, &address).expect("a test reads the invented people")
}

fn structures() -> Vec<DirectoryEntry> {
    let mut table = Table::read(STRUCTURES.as_bytes(), &directory_line::REQUIRED).expect("a test reads the extract");
    std::iter::from_fn(|| {
        let (_, row) = table.next_row().expect("text can be read")?;
        let line = directory_line::parse(row.checked().expect("a test reads the extract"), true);
        Some(line.expect("a test reads the extract").entry)
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn the_extract_is_whole_and_names_no_person_twice() {
        let structures = structures();
        let identifiers: HashSet<_> = structures.iter().map(|entry| &entry.identifier).collect();
        assert!(structures.len() > FIRST_MANAGER_STRUCTURES + 20 && structures.iter().all(|entry| entry.active));
        assert_eq!(identifiers.len(), structures.len());
    }

    #[test]
    fn the_people_can_be_registered_and_sign_in_by_different_names() {
        let logins: HashSet<_> = PEOPLE.iter().map(|(_, first, last)| person(first, last).login().to_owned()).collect();
        assert_eq!(logins.len(), PEOPLE.len());
        assert!(logins.contains("claire.fontaine@raccord.example"));
    }
}
