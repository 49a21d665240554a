//! The principal manager's hand on the people of a structure: who is invited, what they are, who
//! leaves.

pub mod import;
pub mod requests;
pub mod succession;

use sqlx::{PgConnection, PgPool};
use thiserror::Error;

use super::{
    audit::{self, Event},
    identity::registration,
    outbox,
    structures::{self, ManagedStructure, Member, NotManager},
    throttles::{self, RateLimit, Scope},
};
use crate::domain::{
    audit::{Action, Actor},
    new_person::NewPerson,
    notification::Notification,
    role::Role,
};
use import::Seat;

/// Another member of a structure, together with the proof that the person who asks is its principal
/// manager. The principal manager himself is never one: only naming another changes what he is.
#[derive(Clone, Debug)]
pub struct ManagedMember {
    structure: ManagedStructure,
    member: Member,
}

impl ManagedMember {
    pub fn structure(&self) -> &ManagedStructure {
        &self.structure
    }

    pub fn member(&self) -> &Member {
        &self.member
    }
}

/// The member behind a membership, if `manager_id` is the principal manager of its structure and
/// this is somebody else.
///
/// # Errors
/// Database errors.
pub async fn find_managed(pool: &PgPool, manager_id: i64, membership_id: i64) -> sqlx::Result<Option<ManagedMember>> {
    let mut conn = pool.acquire().await?;
    let row = sqlx::query!("SELECT structure_id FROM memberships WHERE id = $1", membership_id)
        .fetch_optional(&mut *conn)
        .await?;
    let Some(row) = row else { return Ok(None) };
    let Some(structure) = structures::find_managed(&mut *conn, manager_id, row.structure_id).await? else {
        return Ok(None);
    };
    let members = structures::members(&mut *conn, &structure).await?;
    let member = members
        .into_iter()
        .find(|member| member.membership_id == membership_id && member.role() != Role::PrincipalManager);
    Ok(member.map(|member| ManagedMember { structure, member }))
}

/// Mails that one manager may have written to others in a row, by inviting them or changing their
/// roles. Enough to attach a colleague to every structure of a large manager, by hand, in an
/// afternoon; and little to whoever would write to strangers from here.
pub const MAILS_TO_OTHERS: RateLimit = RateLimit { most: 300, minutes: 60 };

/// Why nobody was attached or changed.
#[derive(Debug, Error)]
pub enum MemberError {
    #[error(transparent)]
    NotManager(#[from] NotManager),
    #[error("only naming another principal manager changes what this one is")]
    PrincipalManager,
    #[error("the person is a member already, in another role")]
    OtherRole(Role),
    #[error("several people have this address")]
    Ambiguous,
    #[error("the manager has written to too many people")]
    TooMany { seconds: u32 },
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

/// Attaches a person, found by her login or contact address; who is unknown is registered and
/// invited to choose a password. She is written to. Doing it again changes nothing.
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
    let mut tx = pool.begin().await?;
    let structure = structures::lock_managed(&mut tx, structure).await?.ok_or(NotManager)?;
    let user_id = match find_person(&mut tx, person.contact_address().as_str()).await? {
        Some(user_id) => user_id,
        None => registration::register(&mut tx, actor, person).await?.user_id,
    };
    if seat(&mut tx, (actor, Action::MemberInvited), &structure, user_id, role).await? {
        count_mail(&mut tx, actor).await?;
    }
    tx.commit().await?;
    Ok(())
}

/// Counts somebody who is written to because the manager wished so.
async fn count_mail(conn: &mut PgConnection, actor: &Actor) -> Result<(), MemberError> {
    match throttles::consume(conn, Scope::MemberMail.key(&actor.name, ""), MAILS_TO_OTHERS).await? {
        None => Ok(()),
        Some(seconds) => Err(MemberError::TooMany { seconds }),
    }
}

/// Whose login or contact address this is. The login decides where both are somebody's.
async fn find_person(conn: &mut PgConnection, address: &str) -> Result<Option<i64>, MemberError> {
    let found = sqlx::query!(
        r#"SELECT id, login = lower($1) AS "by_login!" FROM users WHERE login = lower($1) OR lower(contact_address) = lower($1)
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

/// Gives a person a role that she does not have yet, within the transaction of a caller who has
/// locked the structure: with its mail and an event of the given kind, and a request that she may
/// have made is answered by it. `false` where she has the role already.
///
/// # Errors
/// [`MemberError`].
pub(in crate::db) async fn seat(
    conn: &mut PgConnection,
    (actor, action): (&Actor, Action),
    structure: &ManagedStructure,
    user_id: i64,
    role: Role,
) -> Result<bool, MemberError> {
    if role == Role::PrincipalManager {
        return Err(MemberError::PrincipalManager);
    }
    let person =
        sqlx::query!("SELECT login, contact_address FROM users WHERE id = $1", user_id).fetch_one(&mut *conn).await?;
    let seat = Seat {
        structure_id: structure.id(),
        principal_manager_id: Some(structure.manager_id()),
        user_id,
        login: &person.login,
        current: import::current_role(conn, structure.id(), user_id).await?,
    };
    match seat.current {
        Some(current) if current == role => return Ok(false),
        Some(current) => return Err(MemberError::OtherRole(current)),
        None => {}
    }
    import::set_role(conn, &seat, role).await?;
    import::record(conn, actor, &seat, action, role).await?;
    sqlx::query!(
        "DELETE FROM membership_requests WHERE user_id = $1 AND identifier_type = $2 AND identifier = $3",
        user_id,
        structure.identifier_type(),
        structure.identifier(),
    )
    .execute(&mut *conn)
    .await?;
    tell(conn, actor, structure, &person.contact_address, Some(role)).await?;
    Ok(true)
}

/// « Modifier le rôle ».
///
/// # Errors
/// [`MemberError`].
pub async fn change_role(pool: &PgPool, actor: &Actor, managed: &ManagedMember, role: Role) -> Result<(), MemberError> {
    if role == Role::PrincipalManager {
        return Err(MemberError::PrincipalManager);
    }
    let mut tx = pool.begin().await?;
    let structure = structures::lock_managed(&mut tx, &managed.structure).await?.ok_or(NotManager)?;
    let changed = sqlx::query!(
        "UPDATE memberships SET role = $2 WHERE id = $1 AND role <> $2 AND role <> 'PRINCIPAL_MANAGER'",
        managed.member.membership_id,
        role.code(),
    )
    .execute(&mut *tx)
    .await?
    .rows_affected();
    // The role is as wanted, or the member has just been removed: there is nothing to tell.
    if changed == 0 {
        return Ok(());
    }
    count_mail(&mut tx, actor).await?;
    audit::record(&mut tx, event(actor, managed, Action::MembershipChanged, role.label())).await?;
    tell(&mut tx, actor, &structure, &managed.member.contact_address, Some(role)).await?;
    tx.commit().await?;
    Ok(())
}

/// « Retirer »: the person is no longer a member, and the rights that her own structures' technical
/// users had here end (rule 5).
///
/// # Errors
/// [`MemberError`].
pub async fn remove(pool: &PgPool, actor: &Actor, managed: &ManagedMember) -> Result<(), MemberError> {
    let mut tx = pool.begin().await?;
    let structure = structures::lock_managed(&mut tx, &managed.structure).await?.ok_or(NotManager)?;
    let removed = sqlx::query!(
        "DELETE FROM memberships WHERE id = $1 AND role <> 'PRINCIPAL_MANAGER'",
        managed.member.membership_id,
    )
    .execute(&mut *tx)
    .await?
    .rows_affected();
    if removed == 0 {
        return Ok(());
    }
    audit::record(&mut tx, event(actor, managed, Action::MembershipRemoved, managed.member.role().label())).await?;
    tell(&mut tx, actor, &structure, &managed.member.contact_address, None).await?;
    tx.commit().await?;
    Ok(())
}

fn event<'a>(actor: &'a Actor, managed: &'a ManagedMember, action: Action, detail: &'a str) -> Event<'a> {
    Event {
        structure_id: Some(managed.structure.id()),
        subject: &managed.member.login,
        detail,
        ..Event::of(actor, action)
    }
}

async fn tell(
    conn: &mut PgConnection,
    actor: &Actor,
    structure: &ManagedStructure,
    recipient: &str,
    role: Option<Role>,
) -> sqlx::Result<()> {
    let notice = Notification::MembershipChanged {
        structure: structure.designation().into(),
        identifier: structure.identifier().into(),
        role: role.map(|role| role.label().to_owned()),
        actor: actor.name.clone(),
    };
    outbox::enqueue(conn, recipient, &notice).await
}
