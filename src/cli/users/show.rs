//! `raccord user show`.

use sqlx::PgPool;

use crate::{
    cli::{
        error::{CliError, Outcome},
        output::{Cell, Listed, Rows, Sheet, SheetForm},
    },
    db::identity::people::{self, PeopleFilter, PersonMembership},
};

/// Prints a person with their memberships.
///
/// # Errors
/// Where no person has this login.
pub async fn run(pool: &PgPool, login: &str, form: SheetForm) -> Result<Outcome, CliError> {
    let filter = PeopleFilter { login: Some(login), ..PeopleFilter::default() };
    let person = people::list(pool, filter).await?.pop().ok_or_else(|| CliError::no_such_person(login))?;
    let memberships = people::memberships(pool, person.id).await?;
    Sheet::of(&person)
        .with("registered_at", person.created_at)
        .with("disabled_at", person.disabled_at)
        .with("address_confirmed", person.is_address_confirmed)
        .with("mails_refused_at", person.address_refused_at)
        .with_list("structures", Rows::of(&memberships))
        .print(form)?;
    Ok(Outcome::Done)
}

impl Listed<5> for PersonMembership {
    const NAMES: [&'static str; 5] = ["structure", "designation", "active", "role", "attached_by"];

    fn values(&self) -> [Cell; 5] {
        [
            self.identifier_type.reference(&self.identifier).into(),
            (&self.designation).into(),
            self.is_structure_active.into(),
            self.role.external_code().into(),
            self.attached_by.clone().into(),
        ]
    }
}
