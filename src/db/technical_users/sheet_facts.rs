//! What « Informations de connexion » says of accounts, but for their passwords.

use std::collections::HashMap;

use sqlx::{PgConnection, PgPool};
use time::OffsetDateTime;

use super::restrictions::{self, Restrictions};
use crate::domain::{structure::StructureCard, structure_identifier::IdentifierType};

/// An account and its structure.
#[derive(Clone, Debug)]
pub struct SheetFacts {
    pub login: String,
    pub label: Option<String>,
    pub expires_at: OffsetDateTime,
    /// Until when the password before this one works; `None`: it does not.
    pub former_until: Option<OffsetDateTime>,
    pub identifier_type: IdentifierType,
    pub identifier: String,
    pub card: StructureCard,
    pub contact_address: String,
    /// `None` where nothing restricts the account.
    pub restrictions: Option<Restrictions>,
}

/// Reads those of these accounts whose structure's principal manager is `manager_id`, by account.
///
/// # Errors
/// Database errors.
pub async fn find(pool: &PgPool, manager_id: i64, ids: &[i64]) -> sqlx::Result<HashMap<i64, SheetFacts>> {
    read(&mut *pool.acquire().await?, manager_id, ids).await
}

/// [`find`] in the transaction of a caller.
pub(super) async fn read(
    conn: &mut PgConnection,
    manager_id: i64,
    ids: &[i64],
) -> sqlx::Result<HashMap<i64, SheetFacts>> {
    let mut restricted = restrictions::of_accounts(&mut *conn, manager_id, ids).await?;
    let rows = sqlx::query!(
        r#"SELECT t.id, t.login, t.label, t.expires_at, f.ends_at AS "former_until?",
                  s.identifier_type AS "identifier_type: IdentifierType", s.identifier, s.designation, s.address_line,
                  s.address_extra_1, s.address_extra_2, s.postal_code, s.city, s.country, s.email, s.phone, s.active,
                  u.contact_address
             FROM technical_users t JOIN structures s ON s.id = t.structure_id JOIN users u ON u.id = s.principal_manager_id
             LEFT JOIN former_passwords f ON f.technical_user_id = t.id AND f.ends_at > portal_now()
            WHERE t.id = ANY ($2) AND s.principal_manager_id = $1 AND t.status <> 'DELETED'"#,
        manager_id,
        ids,
    )
    .fetch_all(conn)
    .await?;
    let facts = rows.into_iter().map(|row| {
        let facts = SheetFacts {
            login: row.login,
            label: row.label,
            expires_at: row.expires_at,
            former_until: row.former_until,
            identifier_type: row.identifier_type,
            identifier: row.identifier,
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
            contact_address: row.contact_address,
            restrictions: restricted.remove(&row.id),
        };
        (row.id, facts)
    });
    Ok(facts.collect())
}
