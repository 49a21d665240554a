//! Where tower-sessions keeps its records: one row per browser session, under the SHA-256 of its
//! secret id, judged by the database's clock.

use std::collections::HashMap;

use async_trait::async_trait;
use sqlx::{PgPool, types::Json};
use time::{Duration, OffsetDateTime};
use tower_sessions::{
    SessionStore,
    session::{Id, Record},
    session_store::{Error, Result},
};

use crate::domain::{envelope::SessionSecret, random};

/// The store over the portal's own pool.
#[derive(Clone, Debug)]
pub struct PgSessionStore(pub PgPool);

fn id_hash(id: &Id) -> Vec<u8> {
    SessionSecret::new(id.0).digest()
}

fn backend(error: &sqlx::Error) -> Error {
    Error::Backend(error.to_string())
}

#[async_trait]
impl SessionStore for PgSessionStore {
    /// Under an id of the operating system's generator, where tower-sessions has proposed one of
    /// its own.
    async fn create(&self, record: &mut Record) -> Result<()> {
        loop {
            record.id = Id(i128::from_be_bytes(random::bytes(&mut random::os_rng())));
            let inserted = sqlx::query!(
                "INSERT INTO sessions (id_hash, data, user_id, address, software)
                 VALUES ($1, $2, ($2::jsonb->>'user_id')::bigint, coalesce($2::jsonb->>'address', ''), coalesce($2::jsonb->>'software', ''))
                 ON CONFLICT DO NOTHING",
                id_hash(&record.id),
                Json(&record.data) as _,
            )
            .execute(&self.0)
            .await
            .map_err(|error| backend(&error))?;
            if inserted.rows_affected() == 1 {
                return Ok(());
            }
        }
    }

    /// Updates only: a session that was closed meanwhile stays closed.
    async fn save(&self, record: &Record) -> Result<()> {
        sqlx::query!(
            "UPDATE sessions SET data = $2, user_id = ($2::jsonb->>'user_id')::bigint WHERE id_hash = $1",
            id_hash(&record.id),
            Json(&record.data) as _,
        )
        .execute(&self.0)
        .await
        .map_err(|error| backend(&error))?;
        Ok(())
    }

    async fn load(&self, id: &Id) -> Result<Option<Record>> {
        let data = sqlx::query_scalar!(
            r#"SELECT data AS "data: Json<HashMap<String, serde_json::Value>>" FROM sessions
                WHERE id_hash = $1 AND last_seen_at > portal_now() - interval '30 minutes'
                  AND created_at > portal_now() - interval '12 hours'"#,
            id_hash(id),
        )
        .fetch_optional(&self.0)
        .await
        .map_err(|error| backend(&error))?;
        // The database has judged the age; the date only keeps tower-sessions from judging again.
        let expiry_date = OffsetDateTime::now_utc() + Duration::hours(12);
        Ok(data.map(|Json(data)| Record { id: *id, data, expiry_date }))
    }

    async fn delete(&self, id: &Id) -> Result<()> {
        sqlx::query!("DELETE FROM sessions WHERE id_hash = $1", id_hash(id))
            .execute(&self.0)
            .await
            .map_err(|error| backend(&error))?;
        Ok(())
    }
}
