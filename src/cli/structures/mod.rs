//! `raccord structure`: structures and their principal managers.

use sqlx::PgPool;

use self::arguments::Structure;
use super::{
    error::{CliError, Outcome},
    structure_name,
};
use crate::db::structures::supervision::StructureFilter;

mod appoint;
pub mod arguments;
mod list;
mod show;

/// Runs one of the commands.
///
/// # Errors
/// Where an argument is wrong, or names no structure.
pub async fn run(pool: &PgPool, act: Structure, strict_siret: bool) -> Result<Outcome, CliError> {
    match act {
        Structure::List { without_manager, form } => {
            let filter = if without_manager { StructureFilter::WithoutManager } else { StructureFilter::Managed };
            list::run(pool, filter, form).await
        }
        Structure::Show { structure, form } => {
            show::run(pool, &structure_name::read("", &structure, strict_siret)?, form).await
        }
        Structure::Appoint(arguments) => appoint::run(pool, &arguments, strict_siret).await,
    }
}
