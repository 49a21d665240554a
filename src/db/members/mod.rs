//! The members of a structure, as its principal manager changes them: invitations, roles, removals.
use crate::db::transaction;

pub mod appointment;
pub mod departure;
pub mod import;
pub mod memberships;
mod new_membership;
pub mod offers;
pub mod removals;
pub mod requests;
pub mod succession;

use sqlx::{PgConnection, PgPool};

pub use self::new_membership::MemberError;
use self::{
    memberships::Member,
    new_membership::{Grant, Mailed, RoleChange, notify},
};
use super::{
    audit::{self, Event},
    identity::registration,
    structures::{self, Claimant, ManagedStructure, NotManager},
    throttles::{self, RateLimit, Scope},
};
use crate::domain::{
    audit::{Action, Actor},
    new_person::NewPerson,
    role::Role,
};

/// A member of a structure, with the proof that the caller is its principal manager. Never the
/// principal manager themselves: only a succession changes their role.
#[derive(Clone, Debug)]
pub struct ManagedMember {
    structure: ManagedStructure,
    member: Member,
}

impl ManagedMember {
    /// The structure of the membership, and the authority over it.
    pub fn structure(&self) -> &ManagedStructure {
        &self.structure
    }

    /// The member whom the act concerns.
    pub fn member(&self) -> &Member {
        &self.member
    }
}

/// The member with this membership, if the claimant is the principal manager of its structure and
/// the member is another person.
///
/// # Errors
/// Database errors.
pub async fn find_managed(
    pool: &PgPool,
    claimant: impl Into<Claimant<'_>>,
    membership_id: i64,
) -> sqlx::Result<Option<ManagedMember>> {
    let mut conn = pool.acquire().await?;
    let row = sqlx::query!("SELECT structure_id FROM memberships WHERE id = $1", membership_id)
        .fetch_optional(&mut *conn)
        .await?;
    let Some(row) = row else { return Ok(None) };
    let Some(structure) = structures::find_managed(&mut *conn, claimant, row.structure_id).await? else {
        return Ok(None);
    };
    let members = memberships::of_structure(&mut *conn, &structure).await?;
    let member = members
        .into_iter()
        .find(|member| member.membership_id == membership_id && member.role != Role::PrincipalManager);
    Ok(member.map(|member| ManagedMember { structure, member }))
}

/// Mails that one manager may cause in a row, by inviting people or changing their roles. Enough to
/// attach a colleague to every structure of a large manager by hand in an afternoon, too few to
/// send mail in bulk.
const MAILS_TO_OTHERS: RateLimit = RateLimit { most: 300, minutes: 60 };

/// Attaches a person, found by login or confirmed contact address, and mails them. An unknown
/// person is registered and invited to choose a password. Whether the person was known does not
/// show: in both cases the manager sees what was typed until they sign in. Repeating it changes
/// nothing.
///
/// # Errors
/// [`MemberError`].
pub async fn invite(
    pool: &PgPool,
    actor: &Actor,
    structure: &ManagedStructure,
    person: &NewPerson,
    role: Role,
) -> Result<(), MemberError> {
    let mut tx = transaction::begin(pool).await?;
    let structure = structures::lock_managed(&mut tx, structure).await?.ok_or(NotManager)?;
    let typed = person.contact_address().as_str();
    let user_id = match find_person(&mut tx, typed).await? {
        Some(user_id) => user_id,
        None => registration::register_invited(&mut tx, actor, person).await?,
    };
    let (action, invited_as) = (Action::MemberInvited, Some(typed));
    let grant = Grant { actor, action, structure: &structure, user_id, role, invited_as };
    if new_membership::give(&mut tx, grant).await? {
        requests::delete_answered(&mut tx, &structure, user_id).await?;
        count_mail(&mut tx, actor).await?;
    }
    tx.commit().await?;
    Ok(())
}

/// « Renvoyer l’invitation »: mails a person who has not signed in since they were invited what
/// they were mailed then. Nothing is written for any other member.
///
/// # Errors
/// [`MemberError`].
pub async fn invite_again(pool: &PgPool, actor: &Actor, managed: &ManagedMember) -> Result<(), MemberError> {
    let mut tx = transaction::begin(pool).await?;
    let structure = structures::lock_managed(&mut tx, &managed.structure).await?.ok_or(NotManager)?;
    let members = memberships::of_structure(&mut *tx, &structure).await?;
    let membership_id = managed.member.membership_id;
    let Some(member) = members.into_iter().find(|m| m.membership_id == membership_id && m.is_invited()) else {
        return Ok(());
    };
    if let Mailed::TooOften { seconds } = new_membership::invite(&mut tx, actor, &structure, &member).await? {
        return Err(MemberError::TooMany { seconds });
    }
    count_mail(&mut tx, actor).await?;
    let event = event(actor, managed, Action::InvitationSentAgain, member.role.label());
    audit::record(&mut tx, event).await?;
    tx.commit().await?;
    Ok(())
}

/// Counts a mail that the manager causes to be sent to another person.
async fn count_mail(conn: &mut PgConnection, actor: &Actor) -> Result<(), MemberError> {
    match throttles::consume(conn, Scope::MemberMail.key(&actor.name, ""), MAILS_TO_OTHERS).await? {
        None => Ok(()),
        Some(seconds) => Err(MemberError::TooMany { seconds }),
    }
}

/// The person with this login, or with this contact address if it is confirmed. A login takes
/// precedence.
async fn find_person(conn: &mut PgConnection, address: &str) -> Result<Option<i64>, MemberError> {
    let found = sqlx::query!(
        r#"SELECT id, login = lower($1) AS "by_login!" FROM users WHERE login = lower($1) OR lower(confirmed_address) = lower($1)
            ORDER BY 2 DESC LIMIT 2"#,
        address,
    )
    .fetch_all(conn)
    .await?;
    match found.as_slice() {
        [] => Ok(None),
        [first] => Ok(Some(first.id)),
        [first, ..] if first.by_login => Ok(Some(first.id)),
        _ => Err(MemberError::Ambiguous),
    }
}

/// « Modifier le rôle ». Returns the role before; `None` if the member has this role already, or is
/// no member any more.
///
/// # Errors
/// [`MemberError`].
pub async fn change_role(
    pool: &PgPool,
    actor: &Actor,
    managed: &ManagedMember,
    role: Role,
) -> Result<Option<Role>, MemberError> {
    if role == Role::PrincipalManager {
        return Err(MemberError::PrincipalManager);
    }
    let mut tx = transaction::begin(pool).await?;
    let structure = structures::lock_managed(&mut tx, &managed.structure).await?.ok_or(NotManager)?;
    let Some(before) = memberships::change_role(&mut tx, managed.member.membership_id, role).await? else {
        return Ok(None);
    };
    count_mail(&mut tx, actor).await?;
    let detail = before.changed_to(role);
    audit::record(&mut tx, event(actor, managed, Action::MembershipChanged, &detail)).await?;
    let change = RoleChange { before: Some(before), after: Some(role) };
    notify(&mut tx, actor, &structure, &managed.member.contact_address, change).await?;
    tx.commit().await?;
    Ok(Some(before))
}

/// « Retirer »: ends the membership, and with it the rights of the technical users of the person's
/// own structures here (rule 5).
///
/// # Errors
/// [`MemberError`].
pub async fn remove(pool: &PgPool, actor: &Actor, managed: &ManagedMember) -> Result<(), MemberError> {
    let mut tx = transaction::begin(pool).await?;
    let structure = structures::lock_managed(&mut tx, &managed.structure).await?.ok_or(NotManager)?;
    if !memberships::remove(&mut tx, managed.member.membership_id).await? {
        return Ok(());
    }
    let role = managed.member.role;
    audit::record(&mut tx, event(actor, managed, Action::MembershipRemoved, role.label())).await?;
    let change = RoleChange { before: Some(role), after: None };
    notify(&mut tx, actor, &structure, &managed.member.contact_address, change).await?;
    tx.commit().await?;
    Ok(())
}

fn event<'a>(actor: &'a Actor, managed: &'a ManagedMember, action: Action, detail: &'a str) -> Event<'a> {
    Event {
        structure_id: Some(managed.structure.id()),
        subject: managed.member.shown_login(),
        detail,
        ..Event::of(actor, action)
    }
}
