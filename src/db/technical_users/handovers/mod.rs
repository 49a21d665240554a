//! Hand-overs: links by which managers give passwords to integrators, so that no mail holds one.
//! A link opens once, and what ends a password ends it too.
//!
//! Rows are locked as everywhere: structures, the person, accounts, envelopes, then the hand-over.

pub mod creation;
pub mod ending;
pub mod export;
pub mod opening;

use sqlx::{PgConnection, PgExecutor, PgPool};
use time::OffsetDateTime;

use super::ManagedTechnicalUser;
use crate::domain::handover::{MOST_TRIES, Refusal};

/// What became of a link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LinkState {
    /// It can be opened.
    Waiting,
    Opened {
        at: OffsetDateTime,
        /// The network address.
        address: String,
    },
    Revoked,
    /// The last code that could be tried was wrong.
    WrongCodes,
    Expired,
    /// Its passwords were reset or ended, or its manager is no longer one.
    Worthless,
}

/// A hand-over, as its manager sees it.
#[derive(Clone, Debug)]
pub struct Handover {
    pub recipient: String,
    pub recipient_address: Option<String>,
    pub made_at: OffsetDateTime,
    /// The full name of the manager who made it.
    pub made_by: String,
    pub expires_at: OffsetDateTime,
    /// Of how many accounts.
    pub accounts: i64,
    pub has_code: bool,
    pub state: LinkState,
    /// The last time that the link was presented in vain.
    pub refused: Option<Refused>,
}

/// A link that was presented in vain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    pub why: Refusal,
    pub at: OffsetDateTime,
    pub address: String,
    /// How often it was.
    pub times: i32,
}

impl Handover {
    /// Whether another person than the recipient may have the link.
    #[must_use]
    pub fn alarm(&self) -> Option<&Refused> {
        self.refused.as_ref().filter(|refused| refused.why.is_alarming())
    }
}

/// The hand-overs of an account's passwords that work.
#[derive(Clone, Debug, Default)]
pub struct AccountHandovers {
    /// Of the present password.
    pub present: Option<Handover>,
    /// Of the one before, while it works.
    pub former: Option<Handover>,
}

/// A row of `handovers`, with what its state depends on.
struct Row {
    recipient: String,
    recipient_address: Option<String>,
    made_at: OffsetDateTime,
    made_by: String,
    expires_at: OffsetDateTime,
    accounts: i64,
    has_code: bool,
    tries: i32,
    opened_at: Option<OffsetDateTime>,
    opened_address: Option<String>,
    ended_by: Option<String>,
    is_over: bool,
    is_openable: bool,
    refusals: i32,
    last_refused_at: Option<OffsetDateTime>,
    last_refused_address: Option<String>,
    last_refusal: Option<String>,
}

impl Row {
    fn state(&self) -> LinkState {
        if let Some(at) = self.opened_at {
            return LinkState::Opened { at, address: self.opened_address.clone().unwrap_or_default() };
        }
        match self.ended_by.as_deref() {
            Some("REVOKED") => LinkState::Revoked,
            Some(_) => LinkState::WrongCodes,
            // The process ended between the last try and its judgement.
            None if self.tries >= MOST_TRIES => LinkState::WrongCodes,
            None if self.is_over => LinkState::Expired,
            None if self.is_openable => LinkState::Waiting,
            None => LinkState::Worthless,
        }
    }

    fn refused(&self) -> Option<Refused> {
        let why = Refusal::parse(self.last_refusal.as_deref()?)?;
        let address = self.last_refused_address.clone().unwrap_or_default();
        Some(Refused { why, at: self.last_refused_at?, address, times: self.refusals })
    }
}

impl From<Row> for Handover {
    fn from(row: Row) -> Self {
        Self {
            state: row.state(),
            refused: row.refused(),
            recipient: row.recipient,
            recipient_address: row.recipient_address,
            made_at: row.made_at,
            made_by: row.made_by,
            expires_at: row.expires_at,
            accounts: row.accounts,
            has_code: row.has_code,
        }
    }
}

async fn read(executor: impl PgExecutor<'_>, handover_id: i64) -> sqlx::Result<Row> {
    sqlx::query_as!(
        Row,
        r#"SELECT h.recipient, h.recipient_address, h.made_at, u.first_name || ' ' || u.last_name AS "made_by!", h.expires_at,
                  (SELECT count(*) FROM handed_over_passwords p WHERE p.handover_id = h.id) AS "accounts!",
                  h.code_salt IS NOT NULL AS "has_code!", h.tries, h.opened_at, h.opened_address, h.ended_by,
                  h.expires_at <= portal_now() AS "is_over!",
                  EXISTS (SELECT FROM openable_passwords o WHERE o.handover_id = h.id) AS "is_openable!",
                  h.refusals, h.last_refused_at, h.last_refused_address, h.last_refusal
             FROM handovers h JOIN users u ON u.id = h.made_by WHERE h.id = $1"#,
        handover_id,
    )
    .fetch_one(executor)
    .await
}

/// The hand-overs of the account's passwords that work.
///
/// # Errors
/// Database errors.
pub async fn of_account(pool: &PgPool, account: &ManagedTechnicalUser) -> sqlx::Result<AccountHandovers> {
    let mut conn = pool.acquire().await?;
    let versions = sqlx::query!(
        r#"SELECT p.handover_id, p.credential_version = t.credential_version AS "is_present!"
             FROM handed_over_passwords p JOIN technical_users t ON t.id = p.technical_user_id
            WHERE p.technical_user_id = $1
              AND (p.credential_version = t.credential_version
                   OR p.credential_version = t.former_version AND t.former_ends_at > portal_now())"#,
        account.id(),
    )
    .fetch_all(&mut *conn)
    .await?;
    let mut handovers = AccountHandovers::default();
    for version in versions {
        let handover = read(&mut *conn, version.handover_id).await?.into();
        if version.is_present {
            handovers.present = Some(handover);
        } else {
            handovers.former = Some(handover);
        }
    }
    Ok(handovers)
}

/// A hand-over of passwords that a batch made.
#[derive(Clone, Debug)]
pub struct BatchHandover {
    pub handover: Handover,
    /// One of its accounts, by which the manager can revoke it.
    pub account_id: Option<i64>,
}

/// The most hand-overs of a batch that its page lists.
const MOST_OF_BATCH: i64 = 20;

/// The hand-overs of the passwords that the manager's batch made, the newest first.
///
/// # Errors
/// Database errors.
pub async fn of_batch(pool: &PgPool, manager_id: i64, batch_id: i64) -> sqlx::Result<Vec<BatchHandover>> {
    let mut conn = pool.acquire().await?;
    let found = sqlx::query!(
        r#"SELECT p.handover_id, min(t.id) FILTER (WHERE t.credential_version = p.credential_version
                  AND t.status <> 'DELETED' AND s.principal_manager_id = b.manager_id) AS account_id
             FROM batches b JOIN batch_items i ON i.batch_id = b.id AND i.done_at IS NOT NULL
             JOIN handed_over_passwords p
               ON p.technical_user_id = i.technical_user_id AND p.credential_version = i.credential_version
             JOIN technical_users t ON t.id = p.technical_user_id JOIN structures s ON s.id = t.structure_id
            WHERE b.id = $1 AND b.manager_id = $2 GROUP BY p.handover_id ORDER BY p.handover_id DESC LIMIT $3"#,
        batch_id,
        manager_id,
        MOST_OF_BATCH,
    )
    .fetch_all(&mut *conn)
    .await?;
    let mut handovers = Vec::with_capacity(found.len());
    for row in found {
        let handover = read(&mut *conn, row.handover_id).await?.into();
        handovers.push(BatchHandover { handover, account_id: row.account_id });
    }
    Ok(handovers)
}

/// Locks what a hand-over is of: the structures, then the accounts, by their ids.
async fn lock(conn: &mut PgConnection, handover_id: i64) -> sqlx::Result<()> {
    let accounts = accounts_of(&mut *conn, handover_id).await?;
    lock_structures(&mut *conn, &accounts).await?;
    lock_below(conn, &accounts, handover_id).await
}

/// The accounts whose passwords a hand-over is of.
async fn accounts_of(conn: &mut PgConnection, handover_id: i64) -> sqlx::Result<Vec<i64>> {
    sqlx::query_scalar!("SELECT technical_user_id FROM handed_over_passwords WHERE handover_id = $1", handover_id)
        .fetch_all(conn)
        .await
}

/// Locks the accounts and the hand-over. Their structures are locked already.
async fn lock_below(conn: &mut PgConnection, accounts: &[i64], handover_id: i64) -> sqlx::Result<()> {
    lock_accounts(&mut *conn, accounts).await?;
    sqlx::query!("SELECT id FROM handovers WHERE id = $1 FOR UPDATE", handover_id).fetch_optional(conn).await?;
    Ok(())
}

/// Locks the structures of these accounts, by their ids.
async fn lock_structures(conn: &mut PgConnection, accounts: &[i64]) -> sqlx::Result<()> {
    sqlx::query!(
        "SELECT id FROM structures WHERE id IN (SELECT structure_id FROM technical_users WHERE id = ANY ($1))
          ORDER BY id FOR NO KEY UPDATE",
        accounts,
    )
    .fetch_all(conn)
    .await?;
    Ok(())
}

/// Locks the accounts, by their ids. Their structures are locked already.
async fn lock_accounts(conn: &mut PgConnection, accounts: &[i64]) -> sqlx::Result<()> {
    sqlx::query!("SELECT id FROM technical_users WHERE id = ANY ($1) ORDER BY id FOR NO KEY UPDATE", accounts)
        .fetch_all(conn)
        .await?;
    Ok(())
}
