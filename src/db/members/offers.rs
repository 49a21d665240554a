//! The table `succession_offers`: a principal manager offers a structure to a member. What an offer
//! leads to is in [`succession`](super::succession).

use sqlx::{PgConnection, PgExecutor, PgPool};
use time::OffsetDateTime;

use super::memberships::Member;
use crate::db::structures::ManagedStructure;

/// Writes the offer, in the place of an earlier one. False if the same one stands.
///
/// # Errors
/// Database errors.
pub(super) async fn write(
    conn: &mut PgConnection,
    structure: &ManagedStructure,
    successor: &Member,
) -> sqlx::Result<bool> {
    let written = sqlx::query!(
        "INSERT INTO succession_offers (structure_id, successor_id, offered_by, made_in)
         SELECT $1, $2, $3, (SELECT public_id FROM sessions WHERE id_hash = $4) WHERE NOT EXISTS (SELECT FROM standing_succession_offers WHERE structure_id = $1 AND successor_id = $2)
         ON CONFLICT (structure_id) DO UPDATE
            SET successor_id = excluded.successor_id, offered_by = excluded.offered_by, offered_at = excluded.offered_at,
                made_in = excluded.made_in",
        structure.id(),
        successor.user_id,
        structure.manager_id(),
        structure.session(),
    )
    .execute(conn)
    .await?;
    Ok(written.rows_affected() > 0)
}

/// Deletes the offer to this person, if it stands, and says who made it.
///
/// # Errors
/// Database errors.
pub(super) async fn take(conn: &mut PgConnection, user_id: i64, structure_id: i64) -> sqlx::Result<Option<i64>> {
    sqlx::query_scalar!(
        "DELETE FROM succession_offers WHERE structure_id = $1 AND EXISTS (
             SELECT FROM standing_succession_offers WHERE structure_id = $1 AND successor_id = $2)
         RETURNING offered_by",
        structure_id,
        user_id,
    )
    .fetch_optional(conn)
    .await
}

/// Deletes the structure's offer: it was withdrawn, or the principal manager was replaced.
///
/// # Errors
/// Database errors.
pub(super) async fn end(conn: &mut PgConnection, structure_id: i64) -> sqlx::Result<()> {
    sqlx::query!("DELETE FROM succession_offers WHERE structure_id = $1", structure_id).execute(conn).await?;
    Ok(())
}

/// An offer as the principal manager sees it.
#[derive(Clone, Debug)]
pub struct PendingOffer {
    /// First name, then last name.
    pub successor: String,
    pub successor_login: String,
    pub offered_at: OffsetDateTime,
}

/// The structure's offer that stands.
///
/// # Errors
/// Database errors.
pub(in crate::db) async fn of_structure(
    executor: impl PgExecutor<'_>,
    structure: &ManagedStructure,
) -> sqlx::Result<Option<PendingOffer>> {
    sqlx::query_as!(
        PendingOffer,
        r#"SELECT u.first_name || ' ' || u.last_name AS "successor!", u.login AS successor_login, o.offered_at AS "offered_at!"
             FROM standing_succession_offers o JOIN users u ON u.id = o.successor_id
            WHERE o.structure_id = $1 AND o.offered_by = $2"#,
        structure.id(),
        structure.manager_id(),
    )
    .fetch_optional(executor)
    .await
}

/// An offer as the successor sees it.
#[derive(Clone, Debug)]
pub struct OwnOffer {
    pub structure_id: i64,
    pub designation: String,
    pub identifier: String,
    /// First name, then last name, of the present principal manager.
    pub manager: String,
    pub offered_at: OffsetDateTime,
}

/// The offers to a person, by the structure's name.
///
/// # Errors
/// Database errors.
pub async fn own(executor: impl PgExecutor<'_>, user_id: i64) -> sqlx::Result<Vec<OwnOffer>> {
    sqlx::query_as!(
        OwnOffer,
        r#"SELECT s.id AS structure_id, s.designation, s.identifier, u.first_name || ' ' || u.last_name AS "manager!", o.offered_at AS "offered_at!"
             FROM standing_succession_offers o JOIN structures s ON s.id = o.structure_id JOIN users u ON u.id = o.offered_by
            WHERE o.successor_id = $1 ORDER BY s.search_text, s.id LIMIT 20"#,
        user_id,
    )
    .fetch_all(executor)
    .await
}

/// What follows where an offer is accepted.
#[derive(Clone, Debug)]
pub struct Consequences {
    pub offer: OwnOffer,
    /// The structure's technical users.
    pub technical_users: i64,
    /// Those of them whose password another person knows.
    pub known: i64,
    /// The structures on which they would have rights: all that the successor belongs to.
    pub structures: i64,
    /// Stands for the accounts as they are now: another text once one of them, its password or who
    /// knows it has changed.
    pub seen: String,
}

/// An offer to this person, with what follows.
///
/// # Errors
/// Database errors.
pub async fn find_own(
    executor: impl PgExecutor<'_>,
    user_id: i64,
    structure_id: i64,
) -> sqlx::Result<Option<Consequences>> {
    let row = sqlx::query!(
        r#"SELECT s.designation, s.identifier, u.first_name || ' ' || u.last_name AS "manager!", o.offered_at AS "offered_at!",
                  (SELECT count(*) FROM memberships WHERE user_id = $1) AS "structures!", a.technical_users AS "technical_users!", a.known AS "known!",
                  a.seen AS "seen!"
             FROM standing_succession_offers o JOIN structures s ON s.id = o.structure_id JOIN users u ON u.id = o.offered_by
            CROSS JOIN LATERAL (
                  SELECT count(*) AS technical_users,
                         count(*) FILTER (WHERE known_to_another(t.password_shown_at, t.password_set_by, $1)
                                             OR f.ends_at > portal_now() AND known_to_another(f.shown_at, f.set_by, $1)) AS known,
                         md5(o.offered_by || ' ' || o.offered_at || coalesce(string_agg(
                             row(t.id, t.credential_version, t.status, t.password_shown_at, f.shown_at, f.ends_at)::text, ',' ORDER BY t.id), '')) AS seen
                    FROM technical_users t LEFT JOIN former_passwords f ON f.technical_user_id = t.id
                   WHERE t.structure_id = s.id AND t.status <> 'DELETED') a
            WHERE o.successor_id = $1 AND o.structure_id = $2"#,
        user_id,
        structure_id,
    )
    .fetch_optional(executor)
    .await?;
    Ok(row.map(|row| Consequences {
        technical_users: row.technical_users,
        known: row.known,
        structures: row.structures,
        seen: row.seen,
        offer: OwnOffer {
            structure_id,
            designation: row.designation,
            identifier: row.identifier,
            manager: row.manager,
            offered_at: row.offered_at,
        },
    }))
}

/// Days in which an offer may be accepted. The view `standing_succession_offers` says them, too, in
/// its migration.
const OFFER_DAYS: i32 = 14;

/// Deletes offers that were not answered in time.
pub(in crate::db) async fn sweep(pool: &PgPool) -> sqlx::Result<()> {
    let delete = sqlx::query!(
        "DELETE FROM succession_offers WHERE offered_at <= portal_now() - make_interval(days => $1)",
        OFFER_DAYS
    );
    delete.execute(pool).await?;
    Ok(())
}
