//! Structures and the authority over them. The table `structures` is written in this folder alone,
//! demonstration data apart.

pub mod card;
pub mod directory;
pub mod history;
pub mod list;
pub mod supervision;

use sqlx::{PgConnection, PgExecutor};
use thiserror::Error;

use super::identity::locks;
use crate::domain::{
    envelope::SessionSecret,
    structure::StructureCard,
    structure_identifier::{IdentifierType, StructureIdentifier, as_written},
    territory::Territory,
};

/// Proof that a person is, at this moment, the principal manager of a structure. Its fields are
/// private and only [`find_managed`] makes one. Whatever acts on a structure takes one, so code
/// that acts without authority does not compile.
#[derive(Clone, Debug)]
pub struct ManagedStructure {
    id: i64,
    manager_id: i64,
    identifier_type: IdentifierType,
    identifier: String,
    next_technical_number: i32,
    contact_address: String,
    card: StructureCard,
    /// Of [`Claimant::session`], its digest.
    session: Option<Vec<u8>>,
}

/// Who claims to be a structure's principal manager.
#[derive(Clone, Copy)]
pub struct Claimant<'a> {
    /// The person.
    pub user_id: i64,
    /// The session in which they act, with which the authority ends. `None`: the portal itself
    /// asks.
    pub session: Option<&'a SessionSecret>,
}

/// A person, whatever session they are in.
impl From<i64> for Claimant<'_> {
    fn from(user_id: i64) -> Self {
        Self { user_id, session: None }
    }
}

impl ManagedStructure {
    /// The structure's id.
    pub fn id(&self) -> i64 {
        self.id
    }

    /// The id of the principal manager, for whom the authority was checked.
    pub fn manager_id(&self) -> i64 {
        self.manager_id
    }

    /// The digest of the session in which the authority was claimed, if there was one.
    pub(in crate::db) fn session(&self) -> Option<&[u8]> {
        self.session.as_deref()
    }

    /// The kind of its identifier.
    pub fn identifier_type(&self) -> IdentifierType {
        self.identifier_type
    }

    /// Its identifier, which never changes.
    pub fn identifier(&self) -> &str {
        &self.identifier
    }

    /// Its identifier as people write it, for mails.
    pub fn written_identifier(&self) -> String {
        as_written(self.identifier_type.code(), &self.identifier)
    }

    /// Its name.
    pub fn designation(&self) -> &str {
        &self.card.designation
    }

    /// Where it is, if the clocks there are not those of Paris.
    pub fn territory(&self) -> Option<Territory> {
        Territory::of_structure(self.identifier_type, &self.card.postal_code)
    }

    /// What its manager may edit.
    pub fn card(&self) -> &StructureCard {
        &self.card
    }

    /// The number in the next technical login (rule 3).
    pub fn next_technical_number(&self) -> i32 {
        self.next_technical_number
    }

    /// The principal manager's address, which is that of the structure's technical users (rule 6).
    pub fn contact_address(&self) -> &str {
        &self.contact_address
    }
}

/// The person is not, or no longer, the structure's principal manager.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("not the principal manager of this structure")]
pub struct NotManager;

/// The structure, if the claimant is its principal manager.
///
/// # Errors
/// Database errors.
pub async fn find_managed(
    executor: impl PgExecutor<'_>,
    claimant: impl Into<Claimant<'_>>,
    structure_id: i64,
) -> sqlx::Result<Option<ManagedStructure>> {
    let Claimant { user_id: manager_id, session } = claimant.into();
    let session = session.map(SessionSecret::digest);
    find_for(executor, manager_id, session, structure_id).await
}

async fn find_for(
    executor: impl PgExecutor<'_>,
    manager_id: i64,
    session: Option<Vec<u8>>,
    structure_id: i64,
) -> sqlx::Result<Option<ManagedStructure>> {
    let row = sqlx::query!(
        r#"SELECT s.id, s.identifier_type AS "identifier_type: IdentifierType", s.identifier, s.next_technical_number, s.designation, s.address_line,
                s.address_extra_1, s.address_extra_2, s.postal_code, s.city, s.country, s.email, s.phone, s.active,
                u.contact_address
           FROM structures s JOIN users u ON u.id = s.principal_manager_id
          WHERE s.id = $1 AND s.principal_manager_id = $2"#,
        structure_id,
        manager_id,
    )
    .fetch_optional(executor)
    .await?;
    Ok(row.map(|row| ManagedStructure {
        id: row.id,
        manager_id,
        identifier_type: row.identifier_type,
        identifier: row.identifier,
        next_technical_number: row.next_technical_number,
        contact_address: row.contact_address,
        card: StructureCard {
            designation: row.designation,
            address_line: row.address_line,
            address_extra_1: row.address_extra_1,
            address_extra_2: row.address_extra_2,
            postal_code: row.postal_code,
            city: row.city,
            country: row.country,
            email: row.email,
            phone: row.phone,
            active: row.active,
        },
        session,
    }))
}

/// A structure that the operator named, and whose it is.
#[derive(Clone, Copy, Debug)]
pub(in crate::db) struct NamedStructure {
    pub id: i64,
    pub principal_manager_id: Option<i64>,
}

/// Locks the structure with this identifier, as for every act on a structure, so that two
/// successions queue.
///
/// # Errors
/// Database errors.
pub(in crate::db) async fn lock_named(
    conn: &mut PgConnection,
    structure: &StructureIdentifier,
) -> sqlx::Result<Option<NamedStructure>> {
    sqlx::query_as!(
        NamedStructure,
        "SELECT id, principal_manager_id FROM structures WHERE identifier_type = $1 AND identifier = $2 FOR NO KEY UPDATE",
        structure.kind().code(),
        structure.value(),
    )
    .fetch_optional(conn)
    .await
}

/// Reads the authority again inside the transaction that is about to write, and locks the structure
/// until its end, so that the authority cannot be lost between check and act (ASVS 15.4.2). `None`
/// if the person is no longer the principal manager, or their session has ended.
///
/// # Errors
/// Database errors.
pub(in crate::db) async fn lock_managed(
    conn: &mut PgConnection,
    structure: &ManagedStructure,
) -> sqlx::Result<Option<ManagedStructure>> {
    lock(&mut *conn, structure.id).await?;
    if !holds_session(conn, structure).await? {
        return Ok(None);
    }
    find_for(conn, structure.manager_id, structure.session.clone(), structure.id).await
}

/// Whether the session in which the authority was claimed lives, until the transaction ends; true
/// where there was none. The structure is locked already.
///
/// # Errors
/// Database errors.
pub(in crate::db) async fn holds_session(conn: &mut PgConnection, structure: &ManagedStructure) -> sqlx::Result<bool> {
    let Some(session) = &structure.session else { return Ok(true) };
    locks::holds_session(conn, structure.manager_id, session).await
}

/// Locks a structure until the transaction ends, whoever manages it.
///
/// # Errors
/// Database errors.
pub(in crate::db) async fn lock(conn: &mut PgConnection, structure_id: i64) -> sqlx::Result<()> {
    sqlx::query!("SELECT id FROM structures WHERE id = $1 FOR NO KEY UPDATE", structure_id)
        .fetch_optional(conn)
        .await?;
    Ok(())
}

/// Points the structure to its principal manager and marks it as managed. The caller changes the
/// roles in the same transaction: deferred foreign keys compare the two.
///
/// # Errors
/// Database errors.
pub(in crate::db) async fn set_principal_manager(
    conn: &mut PgConnection,
    structure_id: i64,
    manager_id: i64,
) -> sqlx::Result<()> {
    sqlx::query!(
        "UPDATE structures SET principal_manager_id = $2, managed = true WHERE id = $1",
        structure_id,
        manager_id
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Takes the number of the structure's next technical login. No number is given twice.
///
/// # Errors
/// Database errors.
pub(in crate::db) async fn take_technical_number(
    conn: &mut PgConnection,
    structure: &ManagedStructure,
) -> sqlx::Result<i32> {
    sqlx::query_scalar!(
        r#"UPDATE structures SET next_technical_number = next_technical_number + 1 WHERE id = $1
           RETURNING next_technical_number - 1 AS "number!""#,
        structure.id(),
    )
    .fetch_one(conn)
    .await
}
