//! `raccord user invite`: registers and invites one person, or sends them another link.

use sqlx::PgPool;

use super::arguments::Invite;
use crate::{
    cli::{
        error::{CliError, Outcome},
        structure_name,
    },
    db::{
        identity::{
            contact_addresses,
            registration::{self, Invitation},
        },
        members::import::{self, Allowed, Attachment},
    },
    domain::{
        audit::Actor, import_mode::Mode, new_person::NewPerson, person::normalized_login, role::Role,
        structure_identifier::StructureIdentifier,
    },
};

/// Registers and invites a person, and makes them a member of a structure where one is named.
///
/// # Errors
/// Where an argument is wrong, or the structure unknown.
pub async fn run(pool: &PgPool, arguments: &Invite, strict_siret: bool) -> Result<Outcome, CliError> {
    let actor = arguments.operator.actor();
    if arguments.resend {
        return resend(pool, &actor, &normalized_login(&arguments.login)).await;
    }
    let typed = |argument: &Option<String>| argument.clone().unwrap_or_default();
    let Invite { login, last_name, first_name, contact, .. } = arguments;
    let person = NewPerson::checked(login, &typed(last_name), &typed(first_name), &typed(contact))?;
    let address = person.contact_address();
    let membership = membership(arguments, strict_siret)?;
    let allowed = Allowed::ALL;
    let attachment =
        membership.as_ref().map(|(structure, role)| Attachment { person: &person, structure, role: *role, allowed });
    if let Some(attachment) = attachment {
        try_first(pool, &actor, attachment).await?;
    }
    let is_replaced =
        arguments.replace_address && contact_addresses::assign(pool, &actor, person.login(), address).await?;
    let mut is_new = false;
    if let Some(attachment) = attachment {
        is_new = import::attach(pool, &actor, attachment, Mode::Load).await?.is_new_person;
    }
    // `attach` has already invited a new person.
    if is_new {
        eprintln!("{} is invited at {}", person.login(), address.as_str());
        return Ok(Outcome::Done);
    }
    match registration::invite(pool, &actor, &person).await? {
        Invitation::First => eprintln!("{} is invited at {}", person.login(), address.as_str()),
        Invitation::Again(mailboxes) if mailboxes.is_empty() => return Err(disabled(person.login())),
        Invitation::Again(_) if is_replaced => eprintln!(
            "{} is known already: the address is now {}, and a new link goes there",
            person.login(),
            address.as_str()
        ),
        Invitation::Again(_) => eprintln!(
            "{} is known already: a new link goes to the address that the portal has (--replace-address: to this one)",
            person.login()
        ),
    }
    Ok(Outcome::Done)
}

/// Refuses a membership before anything is changed. One operator's invitation takes no structure
/// from its principal manager.
async fn try_first(pool: &PgPool, actor: &Actor, attachment: Attachment<'_>) -> Result<(), CliError> {
    match import::attach(pool, actor, attachment, Mode::DryRun).await?.replaced {
        None => Ok(()),
        Some(manager) => Err(CliError::Usage(format!(
            "{} has a principal manager, {manager}, who can offer it in the portal; otherwise `raccord structure appoint` gives it",
            attachment.structure
        ))),
    }
}

async fn resend(pool: &PgPool, actor: &Actor, login: &str) -> Result<Outcome, CliError> {
    let mailboxes =
        registration::invite_again(pool, actor, login).await?.ok_or_else(|| CliError::no_such_person(login))?;
    if mailboxes.is_empty() {
        return Err(disabled(login));
    }
    eprintln!("{login}: a new link goes to {}", mailboxes.join(" and "));
    Ok(Outcome::Done)
}

/// A person who is disabled gets no link.
fn disabled(login: &str) -> CliError {
    CliError::Usage(format!("{login}: is disabled, and gets no link; `raccord user enable` gives the access back"))
}

/// The structure and the role in it, where the arguments name them.
fn membership(arguments: &Invite, strict_siret: bool) -> Result<Option<(StructureIdentifier, Role)>, CliError> {
    let (Some(structure), Some(role)) = (&arguments.structure, &arguments.role) else { return Ok(None) };
    let structure = structure_name::read("--structure ", structure, strict_siret)?;
    let role = Role::parse(role).ok_or_else(|| CliError::Usage(format!("--role {role}: is unknown")))?;
    Ok(Some((structure, role)))
}
