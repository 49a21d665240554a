//! `raccord signing-key`: the keys that sign tokens for services.

use sqlx::PgPool;

use super::{
    arguments::{SigningKey as Act, WhichKey},
    error::{CliError, Outcome},
    output::{Cell, Listed, Rows, date},
};
use crate::{
    db::api::signing_keys::{self, ListedKey, NewKey},
    domain::{
        audit::Actor,
        random::os_rng,
        second_factor::Keyring,
        signing_key::{SigningKey, pem},
    },
    secret_keys::{self, KeyFileError},
    server,
    settings::Settings,
};

/// Runs one of the commands.
///
/// # Errors
/// Where the key file cannot be read, or there is nothing to rotate.
pub async fn run(pool: &PgPool, settings: &Settings, act: &Act) -> Result<Outcome, CliError> {
    match act {
        Act::List { json } => {
            let keys = signing_keys::list(pool).await?;
            if *json {
                Rows::of(&keys).print_json()?;
                return Ok(Outcome::Done);
            }
            for key in keys {
                let until = key.ends_at.map(|until| format!(" until {}", date(until))).unwrap_or_default();
                println!("{} {} made {}{until}", key.id, key.state.to_lowercase(), date(key.created_at));
            }
        }
        Act::Pem { key } => print_pem(pool, *key).await?,
        Act::Rotate(operator) => rotate(pool, &operator.actor(), settings).await?,
        Act::Replace(operator) => {
            let keys = present_keyring(pool, settings).await?;
            signing_keys::replace(pool, &operator.actor(), &[new_key(&keys), new_key(&keys)]).await?;
            eprintln!("all signing keys are new");
        }
    }
    Ok(Outcome::Done)
}

/// Makes the first keys, where there are none.
///
/// # Errors
/// Where the key file cannot be read.
pub async fn ensure(pool: &PgPool, actor: &Actor, settings: &Settings) -> Result<(), CliError> {
    if signing_keys::current(pool).await?.is_none() {
        let keys = known_keyring(pool, settings).await?;
        signing_keys::begin(pool, actor, &[new_key(&keys), new_key(&keys)]).await?;
    }
    Ok(())
}

impl Listed<4> for ListedKey {
    const NAMES: [&'static str; 4] = ["id", "state", "created_at", "ends_at"];

    fn values(&self) -> [Cell; 4] {
        [(&self.id).into(), self.state.to_lowercase().into(), self.created_at.into(), self.ends_at.into()]
    }
}

async fn rotate(pool: &PgPool, actor: &Actor, settings: &Settings) -> Result<(), CliError> {
    let keys = present_keyring(pool, settings).await?;
    let Some(next) = signing_keys::next(pool).await? else {
        ensure(pool, actor, settings).await?;
        eprintln!("the first signing keys are made");
        return Ok(());
    };
    if keys.open_signing_key(&next.sealed, &next.id).is_none() {
        let why = "the next signing key does not open under RACCORD_SECRET_KEY_FILE; `raccord signing-key replace` makes new ones";
        return Err(CliError::Usage(why.into()));
    }
    if signing_keys::rotate(pool, actor, &next, &new_key(&keys)).await? {
        eprintln!("{} signs from now on", next.id);
        Ok(())
    } else {
        Err(CliError::Usage("another rotation came first; nothing was changed".into()))
    }
}

async fn print_pem(pool: &PgPool, key: WhichKey) -> Result<(), CliError> {
    let stored = match key {
        WhichKey::Current => signing_keys::current(pool).await?,
        WhichKey::Next => signing_keys::next(pool).await?,
    };
    let published = signing_keys::published(pool).await?;
    let public = published.into_iter().find(|(id, _)| stored.as_ref().is_some_and(|stored| stored.id == *id));
    let none = || CliError::Usage("there are no signing keys yet; `raccord service add --jwt` makes them".into());
    print!("{}", pem(&public.ok_or_else(none)?.1));
    Ok(())
}

/// The keys, of a file that `raccord serve` takes.
async fn known_keyring(pool: &PgPool, settings: &Settings) -> Result<Keyring, CliError> {
    server::require_known_keys(&settings.secret_key_file, pool).await?;
    keyring(settings)
}

/// The same, where the file may be another one than before, after a loss: a missing one would be
/// made here, and found by no instance.
async fn present_keyring(pool: &PgPool, settings: &Settings) -> Result<Keyring, CliError> {
    if settings.secret_key_file.exists() { keyring(settings) } else { known_keyring(pool, settings).await }
}

fn keyring(settings: &Settings) -> Result<Keyring, CliError> {
    Ok(secret_keys::load(&settings.secret_key_file).map_err(KeyFileError)?)
}

fn new_key(keys: &Keyring) -> NewKey {
    let key = SigningKey::generate();
    let sealed = keys.seal_signing_key(&key, &mut os_rng());
    NewKey { id: key.id().to_owned(), public: key.public().to_vec(), sealed }
}
