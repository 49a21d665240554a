//! The database: whether it is reached, what it is, its schema, and the roles.

use std::time::Duration;

use sqlx::{PgPool, postgres::PgConnectOptions};

use super::finding::{Finding, Place};
use crate::{
    db::{
        self, availability,
        health::{self, Examination},
    },
    settings::Settings,
};

const ABOUT: &str = "database";
const ROLES: &str = "roles";

/// The oldest version that serves.
const OLDEST: i32 = 150_000;

/// Connections that PostgreSQL keeps for superusers, and one for a command.
const SPARE: i32 = 4;

/// A pool of one connection, for all looks.
///
/// # Errors
/// Why there is none.
pub(super) async fn open(place: &Place) -> Result<PgPool, Finding> {
    match place {
        Place::At(options) => reach(options).await.map_err(|error| {
            let found = format!("cannot be reached: {}", one_line(&error));
            let mend = "is the server running, and are host, role and password in DATABASE_URL right?";
            Finding::wrong(ABOUT, found, mend)
        }),
        Place::NotMade => {
            let found = "the embedded one is not made yet";
            Err(Finding::warning(ABOUT, found, "`raccord serve` makes it; or set DATABASE_URL"))
        }
        Place::Broken(why) => {
            Err(Finding::wrong(ABOUT, why.clone(), "see its log in the data directory, postgres/cluster"))
        }
    }
}

async fn reach(options: &PgConnectOptions) -> sqlx::Result<PgPool> {
    availability::wait_until_reached(options, Duration::ZERO).await?;
    Ok(db::pool(options.clone(), 1))
}

pub(super) async fn examine(settings: &Settings, pool: &PgPool) -> Vec<Finding> {
    match health::examine(pool).await {
        Ok(seen) => {
            let mut findings = vec![version(&seen), connections(settings, &seen), schema(pool).await];
            findings.extend(roles(settings, &seen));
            findings.extend(owner(settings).await);
            findings
        }
        Err(error) => {
            let mend = "see the server's log";
            vec![Finding::wrong(ABOUT, format!("cannot be examined: {}", one_line(&error)), mend)]
        }
    }
}

fn version(seen: &Examination) -> Finding {
    let found = format!("PostgreSQL {}, the primary", seen.version);
    if seen.version_number < OLDEST {
        return Finding::wrong(ABOUT, found, "PostgreSQL 15 or later is needed: upgrade it");
    }
    if seen.encoding != "UTF8" {
        let mend = "make a database with ENCODING 'UTF8', and load a dump of this one there";
        return Finding::wrong(ABOUT, format!("its encoding is {}", seen.encoding), mend);
    }
    Finding::good(ABOUT, found)
}

fn connections(settings: &Settings, seen: &Examination) -> Finding {
    let wanted = i32::try_from(settings.database_connections).unwrap_or(i32::MAX);
    let found = format!("takes {} connections; each instance uses up to {wanted}", seen.max_connections);
    if wanted > seen.max_connections - SPARE {
        let mend = "raise max_connections, or lower RACCORD_DATABASE_CONNECTIONS";
        return Finding::wrong(ABOUT, found, mend);
    }
    Finding::good(ABOUT, found)
}

async fn schema(pool: &PgPool) -> Finding {
    match db::pending_migrations(pool).await {
        0 => Finding::good(ABOUT, "its schema is that of this version"),
        pending => Finding::warning(
            ABOUT,
            format!("its schema lacks {pending} changes of this version"),
            "`raccord migrate` makes them, and so does the next start of `raccord serve`",
        ),
    }
}

fn roles(settings: &Settings, seen: &Examination) -> Vec<Finding> {
    let role = &seen.role;
    if seen.is_superuser {
        let mend = "let a role that may only serve connect (docs/operations.md, « Two roles »)";
        return vec![Finding::wrong(ROLES, format!("{role}, which serves, is a superuser of the database"), mend)];
    }
    match (seen.owns_tables, seen.may_serve) {
        (None, _) => {
            vec![Finding::warning(ROLES, format!("{role} sees no tables yet"), "`raccord migrate` makes them")]
        }
        (Some(_), Some(false) | None) => {
            let mend = "run `raccord migrate` with RACCORD_MIGRATION_URL, which gives it its rights";
            vec![Finding::wrong(ROLES, format!("{role} lacks rights that serving needs"), mend)]
        }
        (Some(true), _) => {
            let mend = if settings.migration_database.is_some() {
                "DATABASE_URL must name another role than RACCORD_MIGRATION_URL"
            } else {
                "give the tables to an owner (RACCORD_MIGRATION_URL), and let another role serve"
            };
            let found = format!("{role}, which serves, owns the tables: it could change the history");
            vec![Finding::warning(ROLES, found, mend)]
        }
        (Some(false), _) => vec![Finding::good(ROLES, format!("{role} serves, and owns nothing"))],
    }
}

/// The role of `RACCORD_MIGRATION_URL`, where it is set.
async fn owner(settings: &Settings) -> Option<Finding> {
    let owner = settings.migration_database.as_ref()?;
    Some(match reach(owner).await {
        Ok(pool) => {
            pool.close().await;
            Finding::good(ROLES, format!("{}, the owner, can connect", owner.get_username()))
        }
        Err(error) => {
            let mend = "correct RACCORD_MIGRATION_URL; or unset it, and run `raccord migrate` where it works";
            Finding::wrong(ROLES, format!("the owner cannot connect: {}", one_line(&error)), mend)
        }
    })
}

fn one_line(error: &sqlx::Error) -> String {
    error.to_string().split_whitespace().collect::<Vec<_>>().join(" ")
}
