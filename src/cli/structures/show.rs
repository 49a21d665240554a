//! `raccord structure show`.

use sqlx::PgPool;

use crate::{
    cli::{
        error::{CliError, Outcome},
        output::{Cell, Listed, Rows, Sheet, SheetForm},
    },
    db::{
        structures::supervision::{self, StructureFilter, SupervisedMember},
        technical_users::inventory::{self, InventoryFilter},
    },
    domain::structure_identifier::StructureIdentifier,
};

/// Prints a structure with its members and technical users.
///
/// # Errors
/// Where no structure has this identifier.
pub async fn run(pool: &PgPool, named: &StructureIdentifier, form: SheetForm) -> Result<Outcome, CliError> {
    let Some(structure) = supervision::list(pool, StructureFilter::One(named)).await?.pop() else {
        return Err(CliError::Usage(format!("{named}: no structure has this identifier")));
    };
    let members = supervision::members(pool, structure.id).await?;
    let filter = InventoryFilter { structure: Some(named), ..InventoryFilter::default() };
    let accounts = inventory::list(pool, filter).await?;
    Sheet::of(&structure)
        .with_list("people", Rows::of(&members))
        .with_list("accounts", Rows::of(&accounts))
        .print(form)?;
    Ok(Outcome::Done)
}

impl Listed<6> for SupervisedMember {
    const NAMES: [&'static str; 6] = ["login", "last_name", "first_name", "role", "state", "contact_address"];

    fn values(&self) -> [Cell; 6] {
        [
            (&self.login).into(),
            (&self.last_name).into(),
            (&self.first_name).into(),
            self.role.external_code().into(),
            (&self.state).into(),
            (&self.contact_address).into(),
        ]
    }
}
