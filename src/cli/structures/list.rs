//! `raccord structure list`.

use sqlx::PgPool;

use crate::{
    cli::{
        error::{CliError, Outcome},
        output::{Cell, ListForm, Listed, Rows},
    },
    db::structures::supervision::{self, StructureFilter, SupervisedStructure},
};

/// Prints the structures.
///
/// # Errors
/// Where the database or standard output cannot be used.
pub async fn run(pool: &PgPool, filter: StructureFilter<'_>, form: ListForm) -> Result<Outcome, CliError> {
    Rows::of(&supervision::list(pool, filter).await?).print(form)?;
    Ok(Outcome::Done)
}

impl Listed<8> for SupervisedStructure {
    const NAMES: [&'static str; 8] = [
        "structure",
        "designation",
        "active",
        "manager",
        "manager_state",
        "manager_signed_in_at",
        "members",
        "technical_users",
    ];

    fn values(&self) -> [Cell; 8] {
        [
            self.identifier_type.reference(&self.identifier).into(),
            (&self.designation).into(),
            self.active.into(),
            self.manager.clone().into(),
            self.manager_state.clone().into(),
            self.manager_signed_in_at.into(),
            self.members.into(),
            self.technical_users.into(),
        ]
    }
}
