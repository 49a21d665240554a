//! Loads the public directory of structures, from the operator's file.

use serde::Serialize;
use sqlx::{PgConnection, PgExecutor, PgPool, types::Json};

use crate::db::transaction;
use crate::domain::{
    audit::{Action, Actor},
    import_mode::Mode,
    structure_identifier::IdentifierType,
};

/// A structure in the directory. The fields have the names of the table's columns.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[expect(clippy::struct_excessive_bools, reason = "they are the directory's own flags")]
pub struct DirectoryEntry {
    /// An `IdentifierType`'s code.
    pub identifier_type: &'static str,
    pub identifier: String,
    pub designation: String,
    pub address_line: String,
    pub address_extra_1: String,
    pub address_extra_2: String,
    pub postal_code: String,
    pub city: String,
    /// ISO 3166-1, two letters; may be empty.
    pub country_code: String,
    pub country: String,
    pub email: String,
    pub phone: String,
    pub active: bool,
    pub requires_payment_status: bool,
    pub requires_engagement: bool,
    pub requires_service: bool,
    pub requires_service_engagement: bool,
    pub edi_sender: bool,
    pub edi_receiver: bool,
    pub moa: bool,
    pub moa_only: bool,
}

/// The numbers of entries that a load changed; the others were in the database already.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Loaded {
    pub created: i64,
    pub updated: i64,
}

/// Gives structures outside the Union the spaces of their identifiers, which versions before left
/// out, with an event in the history of each.
async fn respell(conn: &mut PgConnection, actor: &Actor, entries: &[DirectoryEntry]) -> sqlx::Result<()> {
    let is_spaced = |entry: &&DirectoryEntry| {
        entry.identifier_type == IdentifierType::HorsUe.code() && entry.identifier.contains(' ')
    };
    let spaced: Vec<String> = entries.iter().filter(is_spaced).map(|entry| entry.identifier.clone()).collect();
    if spaced.is_empty() {
        return Ok(());
    }
    sqlx::query!(
        "WITH respelt AS (
             UPDATE structures s SET identifier = line.identifier FROM unnest($1::text[]) line(identifier)
              WHERE s.identifier_type = 'HORS_UE' AND s.identifier = replace(line.identifier, ' ', '')
                AND NOT EXISTS (SELECT FROM structures e WHERE e.identifier_type = 'HORS_UE' AND e.identifier = line.identifier)
             RETURNING s.id, s.identifier
         )
         INSERT INTO audit_events (actor_id, actor, address, action, structure_id, subject, detail)
         SELECT $2, $3, $4, $5, id, identifier,
                'identifiant : ' || replace(identifier, ' ', '') || ' → ' || identifier FROM respelt",
        &spaced,
        actor.user_id,
        actor.name,
        actor.address,
        Action::StructureEdited.code(),
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Loads entries, as [`load`] does, after correcting spellings of before. A dry run keeps nothing:
/// an identifier that an earlier call would have created counts as created again.
///
/// # Errors
/// Database errors; nothing is changed then.
pub async fn import(pool: &PgPool, actor: &Actor, entries: &[DirectoryEntry], mode: Mode) -> sqlx::Result<Loaded> {
    let mut tx = transaction::begin(pool).await?;
    respell(&mut tx, actor, entries).await?;
    let loaded = load(&mut *tx, actor, entries).await?;
    match mode {
        Mode::Load => tx.commit().await?,
        Mode::DryRun => tx.rollback().await?,
    }
    Ok(loaded)
}

/// Loads entries, each identifier at most once. An unmanaged structure takes everything from the
/// directory. A managed one takes only the flags, with an event in its history: its card, status
/// included, belongs to its manager.
///
/// # Errors
/// Database errors; no entry is loaded then.
pub async fn load(executor: impl PgExecutor<'_>, actor: &Actor, entries: &[DirectoryEntry]) -> sqlx::Result<Loaded> {
    // The three writes see the same snapshot, in which a structure is either new, unmanaged or
    // managed: no two of them write the same row.
    sqlx::query_as!(
        Loaded,
        r#"WITH line AS MATERIALIZED (
             SELECT * FROM jsonb_to_recordset($1::jsonb) AS line(
               identifier_type text, identifier text, designation text, address_line text, address_extra_1 text,
               address_extra_2 text, postal_code text, city text, country_code text, country text, email text, phone text,
               active boolean, requires_payment_status boolean, requires_engagement boolean, requires_service boolean,
               requires_service_engagement boolean, edi_sender boolean, edi_receiver boolean, moa boolean, moa_only boolean)
           ), created AS (
             INSERT INTO structures (identifier_type, identifier, designation, address_line, address_extra_1,
                    address_extra_2, postal_code, city, country_code, country, email, phone, active, requires_payment_status,
                    requires_engagement, requires_service, requires_service_engagement, edi_sender, edi_receiver, moa, moa_only)
             SELECT identifier_type, identifier, designation, address_line, address_extra_1,
                    address_extra_2, postal_code, city, country_code, country, email, phone, active, requires_payment_status,
                    requires_engagement, requires_service, requires_service_engagement, edi_sender, edi_receiver, moa, moa_only
               FROM line
             ON CONFLICT ON CONSTRAINT structures_identifier_key DO NOTHING
             RETURNING 1
           ), card AS (
             UPDATE structures s
                SET designation = line.designation, address_line = line.address_line,
                    address_extra_1 = line.address_extra_1, address_extra_2 = line.address_extra_2,
                    postal_code = line.postal_code, city = line.city, country_code = line.country_code,
                    country = line.country, email = line.email, phone = line.phone, active = line.active,
                    requires_payment_status = line.requires_payment_status,
                    requires_engagement = line.requires_engagement, requires_service = line.requires_service,
                    requires_service_engagement = line.requires_service_engagement,
                    edi_sender = line.edi_sender, edi_receiver = line.edi_receiver, moa = line.moa, moa_only = line.moa_only
               FROM line
              WHERE NOT s.managed AND s.identifier_type = line.identifier_type AND s.identifier = line.identifier
                AND (s.designation, s.address_line, s.address_extra_1, s.address_extra_2, s.postal_code, s.city,
                     s.country_code, s.country, s.email, s.phone, s.active, s.requires_payment_status,
                     s.requires_engagement, s.requires_service, s.requires_service_engagement,
                     s.edi_sender, s.edi_receiver, s.moa, s.moa_only)
                 <> (line.designation, line.address_line, line.address_extra_1, line.address_extra_2, line.postal_code, line.city,
                     line.country_code, line.country, line.email, line.phone, line.active, line.requires_payment_status,
                     line.requires_engagement, line.requires_service, line.requires_service_engagement,
                     line.edi_sender, line.edi_receiver, line.moa, line.moa_only)
             RETURNING 1
           ), flags AS (
             UPDATE structures s
                SET requires_payment_status = line.requires_payment_status,
                    requires_engagement = line.requires_engagement, requires_service = line.requires_service,
                    requires_service_engagement = line.requires_service_engagement,
                    edi_sender = line.edi_sender, edi_receiver = line.edi_receiver, moa = line.moa, moa_only = line.moa_only
               FROM line
              WHERE s.managed AND s.identifier_type = line.identifier_type AND s.identifier = line.identifier
                AND (s.requires_payment_status, s.requires_engagement, s.requires_service, s.requires_service_engagement,
                     s.edi_sender, s.edi_receiver, s.moa, s.moa_only)
                 <> (line.requires_payment_status, line.requires_engagement, line.requires_service,
                     line.requires_service_engagement, line.edi_sender, line.edi_receiver, line.moa, line.moa_only)
             RETURNING s.id, s.identifier
           ), told AS (
             INSERT INTO audit_events (actor_id, actor, address, action, structure_id, subject, detail)
             SELECT $2, $3, $4, $5, id, identifier, 'indicateurs de l’annuaire' FROM flags
           )
           SELECT (SELECT count(*) FROM created) AS "created!",
                  (SELECT count(*) FROM card) + (SELECT count(*) FROM flags) AS "updated!""#,
        Json(entries) as _,
        actor.user_id,
        actor.name,
        actor.address,
        Action::StructureEdited.code(),
    )
    .fetch_one(executor)
    .await
}
