//! The key file, beside the keys that the database was used with.

use sqlx::PgPool;

use super::finding::Finding;
use crate::{db::key_names, secret_keys, settings::Settings};

const ABOUT: &str = "key file";

pub(super) async fn examine(settings: &Settings, pool: Option<&PgPool>) -> Finding {
    let in_use = match pool {
        // Without tables, no key was used.
        Some(pool) => key_names::in_use(pool).await.unwrap_or_default(),
        None => Vec::new(),
    };
    judge(settings, &in_use)
}

fn judge(settings: &Settings, in_use: &[String]) -> Finding {
    let path = &settings.secret_key_file;
    let place = path.display();
    // `load` would make a missing file.
    if !path.exists() {
        return if in_use.is_empty() {
            Finding::warning(ABOUT, format!("{place} is not there yet"), "the first start of `raccord serve` makes it")
        } else {
            let found = format!("{place} is missing, and the database was used with {}", in_use.join(", "));
            Finding::wrong(ABOUT, found, "copy it from another instance or from its backup before the start")
        };
    }
    let keys = match secret_keys::load(path) {
        Ok(keys) => keys,
        Err(error) => {
            let mend = "correct the file's owner, mode or lines (docs/operations.md, « Files with secrets »)";
            return Finding::wrong(ABOUT, format!("{place}: {error}"), mend);
        }
    };
    let missing: Vec<&str> =
        in_use.iter().map(String::as_str).filter(|used| !keys.names().any(|name| name == *used)).collect();
    if missing.is_empty() {
        return Finding::good(ABOUT, format!("{place} has all keys that the database was used with"));
    }
    let found = format!("{place} lacks keys that the database was used with: {}", missing.join(", "));
    let mend = "add their lines from another instance's file, or from the backup";
    if missing.len() == in_use.len() {
        Finding::wrong(ABOUT, found, mend)
    } else {
        Finding::warning(ABOUT, found, mend)
    }
}
