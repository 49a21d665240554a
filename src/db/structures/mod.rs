//! Structures, and the authority over them.

pub mod directory;
pub mod history;

use sqlx::{PgConnection, PgExecutor, PgPool};
use thiserror::Error;
use time::OffsetDateTime;

use super::audit::{self, Event};
use crate::domain::{
    audit::{Action, Actor},
    role::Role,
    structure::StructureCard,
};

/// Proof that a person is, at this moment, the principal manager of a structure. Its fields are
/// private and [`find_managed`] is its only maker: whatever creates, resets, suspends or lists
/// takes one, so code that touches somebody else's structure does not compile.
#[derive(Clone, Debug)]
pub struct ManagedStructure {
    id: i64,
    manager_id: i64,
    identifier_type: String,
    identifier: String,
    next_technical_number: i32,
    contact_address: String,
    card: StructureCard,
}

impl ManagedStructure {
    pub fn id(&self) -> i64 {
        self.id
    }

    /// The principal manager who asked.
    pub fn manager_id(&self) -> i64 {
        self.manager_id
    }

    pub fn identifier_type(&self) -> &str {
        &self.identifier_type
    }

    pub fn identifier(&self) -> &str {
        &self.identifier
    }

    pub fn designation(&self) -> &str {
        &self.card.designation
    }

    pub fn card(&self) -> &StructureCard {
        &self.card
    }

    /// The n of the next technical login.
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

/// The structure, if `manager_id` is its principal manager.
///
/// # Errors
/// Database errors.
pub async fn find_managed(
    executor: impl PgExecutor<'_>,
    manager_id: i64,
    structure_id: i64,
) -> sqlx::Result<Option<ManagedStructure>> {
    let row = sqlx::query!(
        "SELECT s.id, s.identifier_type, s.identifier, s.next_technical_number, s.designation, s.address_line,
                s.address_extra_1, s.address_extra_2, s.postal_code, s.city, s.country, s.email, s.phone, s.active,
                u.contact_address
           FROM structures s JOIN users u ON u.id = s.principal_manager_id
          WHERE s.id = $1 AND s.principal_manager_id = $2",
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
    }))
}

/// Reads the authority again inside the transaction that is about to write, and holds it until its
/// end: nobody can be demoted between the check and the act (ASVS 15.4.2).
///
/// # Errors
/// Database errors. `Ok(None)` where the manager is one no longer.
pub(in crate::db) async fn lock_managed(
    conn: &mut PgConnection,
    structure: &ManagedStructure,
) -> sqlx::Result<Option<ManagedStructure>> {
    sqlx::query!("SELECT id FROM structures WHERE id = $1 FOR NO KEY UPDATE", structure.id)
        .fetch_optional(&mut *conn)
        .await?;
    find_managed(conn, structure.manager_id, structure.id).await
}

/// Takes the next number for a technical login of the structure. A number is never given twice.
pub(in crate::db) async fn take_technical_number(
    conn: &mut PgConnection,
    structure: &ManagedStructure,
) -> sqlx::Result<i32> {
    sqlx::query_scalar!(
        r#"UPDATE structures SET next_technical_number = next_technical_number + 1 WHERE id = $1
           RETURNING next_technical_number - 1 AS "number!""#,
        structure.id,
    )
    .fetch_one(conn)
    .await
}

/// A row of « Mes structures ».
#[derive(Clone, Debug)]
pub struct StructureRow {
    pub id: i64,
    pub designation: String,
    pub identifier_type: String,
    pub identifier: String,
    pub active: bool,
    /// Technical users that are not deleted.
    pub technical_users: i64,
    /// When the first of their passwords expires.
    pub next_expiry: Option<OffsetDateTime>,
    /// Days until then on the calendar; negative once it is past.
    pub next_expiry_days: Option<i32>,
    /// How many structures match in all.
    pub total: i64,
}

/// Which of a manager's structures are wanted, and in which order.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// Part of a name or identifier; blind to case, accents and spaces inside an identifier. Empty:
    /// all.
    pub search: String,
    /// Only those with a password that expires within 60 days or has expired.
    pub due_soon: bool,
    /// By the password that expires first; else by name.
    pub by_expiry: bool,
}

/// One page of the structures that `manager_id` is principal manager of.
///
/// # Errors
/// Database errors.
pub async fn page_of_managed(
    pool: &PgPool,
    manager_id: i64,
    wanted: &Wanted,
    offset: i64,
    limit: i64,
) -> sqlx::Result<Vec<StructureRow>> {
    if wanted.due_soon || wanted.by_expiry {
        page_by_deadline(pool, manager_id, wanted, offset, limit).await
    } else {
        page_by_name(pool, manager_id, &wanted.search, offset, limit).await
    }
}

/// Looks at the accounts of the page's structures alone.
async fn page_by_name(
    pool: &PgPool,
    manager_id: i64,
    search: &str,
    offset: i64,
    limit: i64,
) -> sqlx::Result<Vec<StructureRow>> {
    sqlx::query_as!(
        StructureRow,
        r#"SELECT s.id, s.designation, s.identifier_type, s.identifier, s.active, s.total AS "total!",
                  t.technical_users AS "technical_users!", t.next_expiry, days_until(t.next_expiry) AS next_expiry_days
             FROM (SELECT *, count(*) OVER () AS total FROM structures
                    WHERE principal_manager_id = $1
                      AND ($2 = '' OR position(search_key($2) IN search_text) > 0
                           OR position(lower(regexp_replace($2, '\s', '', 'g')) IN lower(identifier)) > 0)
                    ORDER BY search_text, id OFFSET $3 LIMIT $4) s
            CROSS JOIN LATERAL (SELECT count(*) AS technical_users, min(expires_at) AS next_expiry FROM technical_users
                                 WHERE structure_id = s.id AND status <> 'DELETED') t
            ORDER BY s.search_text, s.id"#,
        manager_id,
        search,
        offset,
        limit,
    )
    .fetch_all(pool)
    .await
}

/// Has to look at the accounts of all the manager's structures.
async fn page_by_deadline(
    pool: &PgPool,
    manager_id: i64,
    wanted: &Wanted,
    offset: i64,
    limit: i64,
) -> sqlx::Result<Vec<StructureRow>> {
    sqlx::query_as!(
        StructureRow,
        r#"SELECT s.id, s.designation, s.identifier_type, s.identifier, s.active, count(*) OVER () AS "total!",
                  t.technical_users AS "technical_users!", t.next_expiry, days_until(t.next_expiry) AS next_expiry_days
             FROM structures s
            CROSS JOIN LATERAL (SELECT count(*) AS technical_users, min(expires_at) AS next_expiry FROM technical_users
                                 WHERE structure_id = s.id AND status <> 'DELETED') t
            WHERE principal_manager_id = $1
              AND ($2 = '' OR position(search_key($2) IN search_text) > 0
                   OR position(lower(regexp_replace($2, '\s', '', 'g')) IN lower(identifier)) > 0)
              AND (NOT $3 OR days_until(t.next_expiry) <= 60)
            ORDER BY CASE WHEN $4 THEN t.next_expiry END, s.search_text, s.id OFFSET $5 LIMIT $6"#,
        manager_id,
        wanted.search,
        wanted.due_soon,
        wanted.by_expiry,
        offset,
        limit,
    )
    .fetch_all(pool)
    .await
}

/// A person attached to a structure.
#[derive(Clone, Debug)]
pub struct Member {
    pub membership_id: i64,
    pub user_id: i64,
    pub last_name: String,
    pub first_name: String,
    pub login: String,
    pub contact_address: String,
    pub role: String,
    /// Whether the person has chosen a password yet.
    pub active: bool,
}

impl Member {
    pub fn full_name(&self) -> String {
        format!("{} {}", self.first_name, self.last_name)
    }

    pub fn role(&self) -> Role {
        Role::parse(&self.role).unwrap_or(Role::User)
    }
}

/// The people attached to the structure, the principal manager first.
///
/// # Errors
/// Database errors.
pub async fn members(executor: impl PgExecutor<'_>, structure: &ManagedStructure) -> sqlx::Result<Vec<Member>> {
    sqlx::query_as!(
        Member,
        r#"SELECT m.id AS membership_id, u.id AS user_id, u.last_name, u.first_name, u.login, u.contact_address, m.role,
                  u.password_hash IS NOT NULL AS "active!"
             FROM memberships m JOIN users u ON u.id = m.user_id
            WHERE m.structure_id = $1
            ORDER BY m.role <> 'PRINCIPAL_MANAGER', m.role <> 'SECONDARY_MANAGER', u.last_name, u.first_name, u.id"#,
        structure.id,
    )
    .fetch_all(executor)
    .await
}

/// Why a structure's card was not kept.
#[derive(Debug, Error)]
pub enum EditError {
    #[error(transparent)]
    NotManager(#[from] NotManager),
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

/// Keeps the edited card, and writes which fields changed into the history.
///
/// # Errors
/// [`EditError`].
pub async fn edit(
    pool: &PgPool,
    actor: &Actor,
    structure: &ManagedStructure,
    card: &StructureCard,
) -> Result<(), EditError> {
    let mut tx = pool.begin().await?;
    let before = lock_managed(&mut tx, structure).await?.ok_or(NotManager)?;
    sqlx::query!(
        "UPDATE structures SET designation = $2, address_line = $3, address_extra_1 = $4, address_extra_2 = $5,
                postal_code = $6, city = $7, country = $8, email = $9, phone = $10, active = $11 WHERE id = $1",
        structure.id,
        card.designation,
        card.address_line,
        card.address_extra_1,
        card.address_extra_2,
        card.postal_code,
        card.city,
        card.country,
        card.email,
        card.phone,
        card.active,
    )
    .execute(&mut *tx)
    .await?;
    let detail = changed_fields(&before.card, card).join(", ");
    if !detail.is_empty() {
        let event = Event {
            structure_id: Some(structure.id),
            detail: &detail,
            subject: structure.identifier(),
            ..Event::of(actor, Action::StructureEdited)
        };
        audit::record(&mut tx, event).await?;
    }
    tx.commit().await?;
    Ok(())
}

/// The French names of the fields in which two cards differ.
fn changed_fields(before: &StructureCard, after: &StructureCard) -> Vec<&'static str> {
    let mut fields = Vec::new();
    let address = |card: &StructureCard| {
        [&card.address_line, &card.address_extra_1, &card.address_extra_2, &card.postal_code, &card.city, &card.country]
            .map(Clone::clone)
    };
    for (name, changed) in [
        ("désignation", before.designation != after.designation),
        ("adresse postale", address(before) != address(after)),
        ("adresse électronique", before.email != after.email),
        ("téléphone", before.phone != after.phone),
        ("statut", before.active != after.active),
    ] {
        if changed {
            fields.push(name);
        }
    }
    fields
}
