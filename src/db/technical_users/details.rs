//! What the page of one technical user shows besides the account.

use sqlx::PgPool;

use super::{
    ManagedTechnicalUser,
    activity::{self, Activity},
    envelopes,
    handovers::{self, AccountHandovers},
    restrictions::{self, Restrictions},
};
use crate::{
    db::structures::history::{self, Cursor, EventFilter, PastEvent},
    domain::{audit::Action, envelope::SessionSecret, technical_user::TechnicalUserStatus},
};

/// What [`read`] returns.
#[derive(Clone, Debug)]
pub struct Details {
    /// The last few audit events of the account, newest first.
    pub events: Vec<PastEvent>,
    /// Whether the session can still display the password.
    pub is_waiting: bool,
    pub handovers: AccountHandovers,
    pub restrictions: Restrictions,
    pub activity: Activity,
    /// The suspension of an account that is suspended.
    pub suspension: Option<PastEvent>,
}

/// Reads the last `limit` events of the account, its restrictions and activity, whether its
/// password waits for this session, and to whom it was handed over.
///
/// # Errors
/// Database errors.
pub async fn read(
    pool: &PgPool,
    account: &ManagedTechnicalUser,
    session: &SessionSecret,
    limit: u32,
) -> sqlx::Result<Details> {
    let filter = EventFilter::of_account(account.id());
    let events = history::page(pool, account.structure(), &filter, Cursor::Newest, limit).await?.events;
    let is_waiting = envelopes::is_waiting(pool, account, session).await?;
    let handovers = handovers::of_account(pool, account).await?;
    let restrictions = restrictions::read(pool, account).await?;
    let activity = activity::read(pool, account).await?;
    let suspension = suspension(pool, account).await?;
    Ok(Details { events, is_waiting, handovers, restrictions, activity, suspension })
}

async fn suspension(pool: &PgPool, account: &ManagedTechnicalUser) -> sqlx::Result<Option<PastEvent>> {
    if account.account().status != TechnicalUserStatus::Suspended {
        return Ok(None);
    }
    let filter = EventFilter::of_account(account.id()).with(Action::TechnicalUserSuspended);
    Ok(history::page(pool, account.structure(), &filter, Cursor::Newest, 1).await?.events.pop())
}
