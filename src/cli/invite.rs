//! `raccord user invite`: registers and invites one person.

use sqlx::PgPool;

use super::{
    arguments::Invite,
    error::{CliError, Outcome},
    row_error::identifier_problem,
};
use crate::{
    db::{
        identity::{contact_addresses, registration},
        members::import,
    },
    domain::{
        audit::Actor,
        new_person::NewPerson,
        role::Role,
        structure_identifier::{IdentifierType, StructureIdentifier},
    },
};

/// Registers and invites a person, and makes them a member of a structure where one is named.
///
/// # Errors
/// Where an argument is wrong, or the structure unknown.
pub async fn run(pool: &PgPool, arguments: &Invite, strict_siret: bool) -> Result<Outcome, CliError> {
    let person = NewPerson::checked(&arguments.login, &arguments.last_name, &arguments.first_name, &arguments.contact)?;
    let is_replaced = arguments.replace_address
        && contact_addresses::assign(pool, &Actor::operator(), person.login(), person.contact_address()).await?;
    let mut is_new = false;
    if let Some((structure, role)) = membership(arguments, strict_siret)? {
        is_new = import::attach(pool, &Actor::operator(), &person, &structure, role).await?.is_new_person;
    }
    // `attach` has already invited a new person.
    if !is_new {
        is_new = registration::invite(pool, &Actor::operator(), &person).await?.is_new;
    }
    if is_new {
        eprintln!("{} is invited at {}", person.login(), person.contact_address().as_str());
    } else if is_replaced {
        let address = person.contact_address().as_str();
        eprintln!("{} is known already: the address is now {address}, and a new link goes there", person.login());
    } else {
        eprintln!(
            "{} is known already: a new link goes to the address that the portal has (--replace-address: to this one)",
            person.login()
        );
    }
    Ok(Outcome::Done)
}

/// The structure and the role in it, where the arguments name them.
fn membership(arguments: &Invite, strict_siret: bool) -> Result<Option<(StructureIdentifier, Role)>, CliError> {
    let (Some(structure), Some(role)) = (&arguments.structure, &arguments.role) else { return Ok(None) };
    let wrong = |what: &str| CliError::Usage(format!("--structure {structure}: {what}"));
    let (kind, value) = structure.split_once(':').ok_or_else(|| wrong("must be TYPE:IDENTIFIER"))?;
    let kind = IdentifierType::parse(kind).ok_or_else(|| wrong("the type is unknown"))?;
    let structure =
        StructureIdentifier::parse(kind, value, strict_siret).map_err(|error| wrong(identifier_problem(error)))?;
    let role = Role::parse(role).ok_or_else(|| CliError::Usage(format!("--role {role}: is unknown")))?;
    Ok(Some((structure, role)))
}
