//! Reads the hash chain of the audit events, to verify and to export it. A trigger writes its links
//! at commit.

use sqlx::{PgConnection, PgPool, Postgres, Transaction};

use crate::{
    db::transaction,
    domain::audit_chain::{Head, Link, LinkHash, StoredEvent},
};

/// Rows read at once.
const BATCH: i64 = 5_000;

/// Begins a read-only transaction that sees the events as they are now, whatever is written
/// meanwhile.
///
/// # Errors
/// Database errors.
pub async fn begin(pool: &PgPool) -> sqlx::Result<Transaction<'static, Postgres>> {
    transaction::begin_reading(pool).await
}

/// The last link now.
///
/// # Errors
/// Database errors.
pub async fn head(pool: &PgPool) -> sqlx::Result<Head> {
    let last = sqlx::query!("SELECT position, hash FROM audit_chain ORDER BY position DESC LIMIT 1")
        .fetch_optional(pool)
        .await?;
    Ok(last.map_or(Head::NONE, |last| Head { position: last.position, hash: link_hash(last.hash) }))
}

/// Whether the chain still has this link: not after the database went back to an earlier state.
///
/// # Errors
/// Database errors.
pub async fn has(pool: &PgPool, head: &Head) -> sqlx::Result<bool> {
    Ok(*head == Head::NONE || hash_at(pool, head.position).await? == Some(head.hash))
}

/// The hash of the link at a position, where there is one.
///
/// # Errors
/// Database errors.
pub async fn hash_at(pool: &PgPool, position: i64) -> sqlx::Result<Option<LinkHash>> {
    let hash =
        sqlx::query_scalar!("SELECT hash FROM audit_chain WHERE position = $1", position).fetch_optional(pool).await?;
    Ok(hash.map(link_hash))
}

fn link_hash(stored: Vec<u8>) -> LinkHash {
    stored.try_into().map_or(LinkHash::NONE, LinkHash)
}

struct Row {
    position: Option<i64>,
    event_id: Option<i64>,
    hash: Option<Vec<u8>>,
    id: Option<i64>,
    at: Option<i64>,
    actor_id: Option<i64>,
    actor: Option<String>,
    address: Option<String>,
    action: Option<String>,
    structure_id: Option<i64>,
    technical_user_id: Option<i64>,
    subject: Option<String>,
    detail: Option<String>,
}

impl Row {
    fn event(self) -> Option<StoredEvent> {
        Some(StoredEvent {
            id: self.id?,
            // The portal never writes an infinite timestamp.
            at: self.at.unwrap_or(i64::MIN),
            actor_id: self.actor_id,
            actor: self.actor?,
            address: self.address?,
            action: self.action?,
            structure_id: self.structure_id,
            technical_user_id: self.technical_user_id,
            subject: self.subject?,
            detail: self.detail?,
        })
    }

    fn link(mut self) -> Option<Link> {
        let hash = self.hash.take().map_or(LinkHash::NONE, link_hash);
        Some(Link { position: self.position?, event_id: self.event_id?, hash, event: self.event() })
    }
}

/// The next links after a position, with their events; none at the end. Start with the lowest
/// `i64`, so that tampered positions are seen too.
///
/// # Errors
/// Database errors.
pub async fn links_after(conn: &mut PgConnection, position: i64) -> sqlx::Result<Vec<Link>> {
    let rows = sqlx::query_as!(
        Row,
        r#"SELECT c.position AS "position?", c.event_id AS "event_id?", c.hash AS "hash?", e.id AS "id?",
                  CASE WHEN isfinite(e.at) THEN (extract(epoch FROM e.at) * 1000000)::bigint END AS at,
                  e.actor_id, e.actor AS "actor?", e.address AS "address?", e.action AS "action?", e.structure_id,
                  e.technical_user_id, e.subject AS "subject?", e.detail AS "detail?"
             FROM audit_chain c LEFT JOIN audit_events e ON e.id = c.event_id
            WHERE c.position > $1 ORDER BY c.position LIMIT $2"#,
        position,
        BATCH,
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().filter_map(Row::link).collect())
}

/// The next events after an id, whether or not they are in the chain; none at the end.
///
/// # Errors
/// Database errors.
pub async fn events_after(conn: &mut PgConnection, id: i64) -> sqlx::Result<Vec<StoredEvent>> {
    let rows = sqlx::query_as!(
        Row,
        r#"SELECT NULL::bigint AS position, NULL::bigint AS event_id, NULL::bytea AS hash, e.id AS "id?",
                  CASE WHEN isfinite(e.at) THEN (extract(epoch FROM e.at) * 1000000)::bigint END AS at,
                  e.actor_id, e.actor AS "actor?", e.address AS "address?", e.action AS "action?", e.structure_id,
                  e.technical_user_id, e.subject AS "subject?", e.detail AS "detail?"
             FROM audit_events e WHERE e.id > $1 ORDER BY e.id LIMIT $2"#,
        id,
        BATCH,
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().filter_map(Row::event).collect())
}

/// The first event without a link.
///
/// # Errors
/// Database errors.
pub async fn first_outside(conn: &mut PgConnection) -> sqlx::Result<Option<i64>> {
    sqlx::query_scalar!(
        "SELECT id FROM audit_events e WHERE NOT EXISTS (SELECT FROM audit_chain c WHERE c.event_id = e.id) ORDER BY id LIMIT 1"
    )
    .fetch_optional(conn)
    .await
}
