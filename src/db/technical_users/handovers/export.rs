//! Opens passwords again for the page of an opened link, which exports them.

use sqlx::PgPool;
use time::OffsetDateTime;

use super::{
    ending,
    opening::{OpenedPassword, open_all},
};
use crate::db::transaction;
use crate::domain::{
    audit::{Action, Actor},
    handover::{HandoverKey, MOST_EXPORTS},
    random,
};

/// What a page may export.
pub struct Exported {
    pub handover_id: i64,
    pub passwords: Vec<OpenedPassword>,
    /// The person who handed them over, and is the principal manager.
    pub manager_id: i64,
    pub at: OffsetDateTime,
}

/// Opens the passwords of the page with this nonce once more. The first time is recorded. `None`
/// where ten minutes are over, the passwords were reset, or the nonce is no page's.
///
/// # Errors
/// Database errors.
pub async fn open(pool: &PgPool, actor: &Actor, page_nonce: &str) -> sqlx::Result<Option<Exported>> {
    let mut tx = transaction::begin(pool).await?;
    let page = sqlx::query!(
        r#"UPDATE handovers SET exports = exports + 1
            WHERE page_nonce_hash = $1 AND page_ends_at > portal_now() AND exports < $2
           RETURNING id, made_by, recipient, exports = 1 AS "is_first!", portal_now() AS "at!""#,
        random::digest(page_nonce),
        MOST_EXPORTS,
    )
    .fetch_optional(&mut *tx)
    .await?;
    let Some(page) = page else { return Ok(None) };
    let opened = open_all(&mut tx, page.id, &HandoverKey::of_page(page_nonce)).await?.unwrap_or_default();
    if opened.is_empty() {
        return Ok(None);
    }
    if page.is_first {
        let detail = format!("Remis à «\u{202f}{}\u{202f}»", page.recipient);
        let accounts = ending::accounts(&mut tx, page.id).await?;
        ending::record(&mut tx, actor, Action::PasswordExported, &accounts, &detail).await?;
    }
    tx.commit().await?;
    let passwords = opened.into_iter().map(|(password, _)| password).collect();
    Ok(Some(Exported { handover_id: page.id, passwords, manager_id: page.made_by, at: page.at }))
}
