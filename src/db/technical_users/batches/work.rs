//! Carries batches out. Each item is one transaction with its event and its mark in the batch: an
//! item is done once, whatever is killed and however many instances work.

use rand::CryptoRng;
use sqlx::{Connection, PgConnection, PgPool};

use super::act_of;
use crate::{
    db::{
        audit::{self, Event},
        identity::locks,
        outbox,
        structures::{self, ManagedStructure},
        technical_users::{
            ChangeError, changes,
            creation::{self, CreateError},
            find_in, reset,
        },
        transaction,
    },
    domain::{
        audit::{Action, Actor},
        batch::{BatchAct, ItemRefusal},
        envelope::{IssuedPassword, Keeper, SessionKey},
        notification::{BatchNotice, Notification},
        rotation::Grace,
        technical_user::{AccountRules, Label, TechnicalUserStatus},
    },
};

/// A batch that an instance works on.
#[derive(Clone, Copy, Debug)]
pub struct Claimed {
    pub batch_id: i64,
    pub manager_id: i64,
    pub act: BatchAct,
}

/// Claims the batch that has waited for longest, for a few seconds. The claim spares two instances
/// the same work; what is done twice is prevented by the item's transaction.
///
/// # Errors
/// Database errors.
pub async fn claim(pool: &PgPool) -> sqlx::Result<Option<Claimed>> {
    let row = sqlx::query!(
        "UPDATE batches SET claimed_until = portal_now() + interval '5 seconds'
          WHERE id = (SELECT id FROM batches WHERE finished_at IS NULL AND claimed_until <= portal_now()
                       ORDER BY claimed_until, id FOR NO KEY UPDATE SKIP LOCKED LIMIT 1)
         RETURNING id, manager_id, act",
    )
    .fetch_optional(pool)
    .await?;
    row.map(|row| Ok(Claimed { batch_id: row.id, manager_id: row.manager_id, act: act_of(&row.act)? })).transpose()
}

/// Lets other batches have their turn.
///
/// # Errors
/// Database errors.
pub async fn release(pool: &PgPool, batch_id: i64) -> sqlx::Result<()> {
    sqlx::query!("UPDATE batches SET claimed_until = portal_now() WHERE id = $1", batch_id).execute(pool).await?;
    Ok(())
}

/// What an item needs besides the database.
pub struct Means<'a, R> {
    /// The item's password; `None` for acts that make none.
    pub issued: Option<&'a IssuedPassword>,
    pub rules: AccountRules,
    pub rng: &'a mut R,
}

/// Carries out the next item of a batch. False once none is left.
///
/// # Errors
/// Database errors; the item then still waits.
pub async fn carry_out_next(
    pool: &PgPool,
    batch_id: i64,
    means: Means<'_, impl CryptoRng + Send>,
) -> sqlx::Result<bool> {
    let mut tx = transaction::begin(pool).await?;
    // The structure before the batch, as every act locks it before sessions and what hangs on them.
    let seen = next_item(&mut tx, batch_id).await?;
    if let Some(item) = &seen {
        structures::lock(&mut tx, item.structure_id).await?;
    }
    hold_manager(&mut tx, batch_id).await?;
    let Some(batch) = lock(&mut tx, batch_id).await? else { return Ok(false) };
    let Some(item) = next_item(&mut tx, batch_id).await? else {
        finish(&mut tx, &batch).await?;
        tx.commit().await?;
        return Ok(false);
    };
    if seen.is_none_or(|seen| seen.position != item.position) {
        // Another instance has done it.
        return Ok(true);
    }
    if batch.session_lives {
        let mut attempt = tx.begin().await?;
        match carry_out(&mut attempt, &batch, &item, means).await {
            Ok(done) => {
                attempt.commit().await?;
                mark_done(&mut tx, batch_id, item.position, done).await?;
            }
            Err(ItemError::Refused(refusal)) => {
                attempt.rollback().await?;
                refuse(&mut tx, batch_id, item.position, refusal).await?;
            }
            Err(ItemError::Database(error)) => return Err(error),
        }
    } else {
        // Whoever ends a session ends what it began.
        refuse_all(&mut tx, batch_id, ItemRefusal::SessionEnded).await?;
    }
    tx.commit().await?;
    Ok(true)
}

/// Keeps the session of a batch alive until the transaction ends, if it lives: its person comes
/// before the batch, as whatever ends a session locks them.
async fn hold_manager(conn: &mut PgConnection, batch_id: i64) -> sqlx::Result<()> {
    let manager_id = sqlx::query_scalar!("SELECT manager_id FROM batches WHERE id = $1", batch_id);
    if let Some(manager_id) = manager_id.fetch_optional(&mut *conn).await? {
        locks::person(conn, manager_id).await?;
    }
    Ok(())
}

/// A batch whose row is locked.
struct Batch {
    id: i64,
    manager_id: i64,
    act: BatchAct,
    label: Option<Label>,
    grace: Grace,
    actor: Actor,
    session_lives: bool,
    keeper: Keeper,
}

/// `None` if the batch is finished.
async fn lock(conn: &mut PgConnection, batch_id: i64) -> sqlx::Result<Option<Batch>> {
    let row = sqlx::query!(
        "SELECT manager_id, act, label, grace_hours, actor, address, session_hash, session_key
           FROM batches WHERE id = $1 AND finished_at IS NULL FOR NO KEY UPDATE",
        batch_id,
    )
    .fetch_optional(&mut *conn)
    .await?;
    let Some(row) = row else { return Ok(None) };
    let session_lives = locks::lives(conn, &row.session_hash).await?;
    let unknown = |what: &'static str| sqlx::Error::Decode(what.into());
    let label = Label::parse(row.label.as_deref().unwrap_or_default()).map_err(|_| unknown("a label that is none"))?;
    let grace = Grace::parse(&row.grace_hours.to_string()).ok_or_else(|| unknown("a grace that is not offered"))?;
    let key = SessionKey::from_stored(row.session_key);
    Ok(Some(Batch {
        id: batch_id,
        manager_id: row.manager_id,
        act: act_of(&row.act)?,
        label,
        grace,
        actor: Actor { user_id: Some(row.manager_id), name: row.actor, address: row.address },
        session_lives,
        keeper: Keeper::Batch { batch_id, session_hash: row.session_hash, key },
    }))
}

/// An item that waits.
struct Item {
    position: i32,
    structure_id: i64,
    technical_user_id: Option<i64>,
    credential_version: Option<i32>,
}

async fn next_item(conn: &mut PgConnection, batch_id: i64) -> sqlx::Result<Option<Item>> {
    sqlx::query_as!(
        Item,
        "SELECT position, structure_id, technical_user_id, credential_version FROM batch_items
          WHERE batch_id = $1 AND done_at IS NULL AND refusal IS NULL ORDER BY position LIMIT 1",
        batch_id,
    )
    .fetch_optional(conn)
    .await
}

/// Why an item was not done.
enum ItemError {
    Refused(ItemRefusal),
    Database(sqlx::Error),
}

impl From<ItemRefusal> for ItemError {
    fn from(refusal: ItemRefusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<sqlx::Error> for ItemError {
    fn from(error: sqlx::Error) -> Self {
        Self::Database(error)
    }
}

impl From<CreateError> for ItemError {
    fn from(error: CreateError) -> Self {
        match error {
            CreateError::NotManager(_) => ItemRefusal::NotManager.into(),
            CreateError::StructureInactive => ItemRefusal::StructureInactive.into(),
            CreateError::LimitReached => ItemRefusal::LimitReached.into(),
            CreateError::LabelTaken(_) | CreateError::FormReused(_) => ItemRefusal::LabelTaken.into(),
            CreateError::Database(error) => Self::Database(error),
        }
    }
}

impl From<ChangeError> for ItemError {
    fn from(error: ChangeError) -> Self {
        match error {
            ChangeError::NotManager(_) => ItemRefusal::NotManager.into(),
            ChangeError::Deleted => ItemRefusal::Deleted.into(),
            ChangeError::ResetMeanwhile
            | ChangeError::RestrictedMeanwhile
            | ChangeError::OutsideRights
            | ChangeError::FormReused(_) => ItemRefusal::ResetMeanwhile.into(),
            ChangeError::Database(error) => Self::Database(error),
        }
    }
}

/// The account that an item created or changed.
struct Done {
    technical_user_id: i64,
    /// The number of its new password, if it got one.
    credential_version: Option<i32>,
}

async fn carry_out(
    conn: &mut PgConnection,
    batch: &Batch,
    item: &Item,
    means: Means<'_, impl CryptoRng + Send>,
) -> Result<Done, ItemError> {
    let structure = structures::find_managed(&mut *conn, batch.manager_id, item.structure_id).await?;
    let structure = structures::lock_managed(conn, &structure.ok_or(ItemRefusal::NotManager)?).await?;
    let structure = structure.ok_or(ItemRefusal::NotManager)?;
    match (batch.act, item.technical_user_id) {
        (BatchAct::Create, _) => create(conn, batch, &structure, means).await,
        (BatchAct::ResetPassword, Some(id)) => reset_password(conn, batch, (structure, id), item, means).await,
        (BatchAct::Suspend, Some(id)) => change(conn, batch, (structure, id), TechnicalUserStatus::Suspended).await,
        (BatchAct::Reactivate, Some(id)) => change(conn, batch, (structure, id), TechnicalUserStatus::Active).await,
        (_, None) => Err(ItemRefusal::Deleted.into()),
    }
}

async fn create(
    conn: &mut PgConnection,
    batch: &Batch,
    structure: &ManagedStructure,
    means: Means<'_, impl CryptoRng + Send>,
) -> Result<Done, ItemError> {
    let Means { issued: Some(issued), rules, rng } = means else { return Err(missing_password()) };
    let order = creation::Order { actor: &batch.actor, structure, label: batch.label.as_ref(), keeper: &batch.keeper };
    let account = order.carry_out(conn, issued, rules, rng).await?;
    Ok(Done { technical_user_id: account.id, credential_version: Some(account.credential_version) })
}

async fn reset_password(
    conn: &mut PgConnection,
    batch: &Batch,
    (structure, technical_user_id): (ManagedStructure, i64),
    item: &Item,
    means: Means<'_, impl CryptoRng + Send>,
) -> Result<Done, ItemError> {
    let Means { issued: Some(issued), rules, rng } = means else { return Err(missing_password()) };
    let account = find_in(conn, structure, technical_user_id).await?.ok_or(ItemRefusal::Deleted)?;
    let order = reset::Order {
        actor: &batch.actor,
        account: &account,
        credential_version: item.credential_version.unwrap_or_default(),
        grace: batch.grace,
        keeper: &batch.keeper,
    };
    let renewed = order.carry_out(conn, issued, rules, rng).await?;
    Ok(Done { technical_user_id, credential_version: Some(renewed.credential_version) })
}

/// Never without a password: what makes one asks the act.
fn missing_password() -> ItemError {
    ItemError::Database(sqlx::Error::Protocol("an act that makes passwords was given none".into()))
}

async fn change(
    conn: &mut PgConnection,
    batch: &Batch,
    (structure, technical_user_id): (ManagedStructure, i64),
    status: TechnicalUserStatus,
) -> Result<Done, ItemError> {
    let structure_id = structure.id();
    let account = find_in(conn, structure, technical_user_id).await?.ok_or(ItemRefusal::Deleted)?;
    let locked = changes::LockedAccount { id: technical_user_id, login: &account.account().login, structure_id };
    let reason = format!("lot n°\u{a0}{}", batch.id);
    let changed = changes::apply(conn, &batch.actor, &locked, changes::Change { status, reason: &reason }).await?;
    if changed { Ok(Done { technical_user_id, credential_version: None }) } else { Err(ItemRefusal::Unchanged.into()) }
}

async fn mark_done(conn: &mut PgConnection, batch_id: i64, position: i32, done: Done) -> sqlx::Result<()> {
    sqlx::query!(
        "UPDATE batch_items SET done_at = portal_now(), technical_user_id = $3, credential_version = coalesce($4, credential_version)
          WHERE batch_id = $1 AND position = $2",
        batch_id,
        position,
        done.technical_user_id,
        done.credential_version,
    )
    .execute(conn)
    .await?;
    Ok(())
}

async fn refuse(conn: &mut PgConnection, batch_id: i64, position: i32, refusal: ItemRefusal) -> sqlx::Result<()> {
    sqlx::query!(
        "UPDATE batch_items SET refusal = $3 WHERE batch_id = $1 AND position = $2",
        batch_id,
        position,
        refusal.code(),
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Refuses all items that wait.
async fn refuse_all(conn: &mut PgConnection, batch_id: i64, refusal: ItemRefusal) -> sqlx::Result<()> {
    sqlx::query!(
        "UPDATE batch_items SET refusal = $2 WHERE batch_id = $1 AND done_at IS NULL AND refusal IS NULL",
        batch_id,
        refusal.code(),
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Ends the batch: one event, and one mail to the manager, who is the contact of all its accounts.
async fn finish(conn: &mut PgConnection, batch: &Batch) -> sqlx::Result<()> {
    let ended = sqlx::query!(
        r#"UPDATE batches b SET finished_at = portal_now() FROM users u WHERE b.id = $1 AND u.id = b.manager_id
           RETURNING u.contact_address, b.finished_at AS "at!",
                     (SELECT min(expires_at) FROM envelopes WHERE batch_id = $1) AS exportable_until,
                     (SELECT count(*) FROM batch_items WHERE batch_id = $1 AND done_at IS NOT NULL) AS "done!",
                     (SELECT count(*) FROM batch_items WHERE batch_id = $1 AND refusal IS NOT NULL) AS "refused!""#,
        batch.id,
    )
    .fetch_one(&mut *conn)
    .await?;
    let detail = format!("n°\u{a0}{}, faits\u{a0}: {}, refusés\u{a0}: {}", batch.id, ended.done, ended.refused);
    audit::record(conn, Event { detail: &detail, ..Event::of(&batch.actor, Action::BatchFinished) }).await?;
    if ended.done == 0 {
        // A mail of nothing would count among those that announce something.
        return Ok(());
    }
    let notice = BatchNotice {
        act: batch.act,
        done: ended.done.unsigned_abs(),
        refused: ended.refused.unsigned_abs(),
        actor: batch.actor.name.clone(),
        at: ended.at,
        batch_id: Some(batch.id),
        exportable_until: ended.exportable_until,
    };
    outbox::enqueue(conn, &batch.actor, &ended.contact_address, &Notification::BatchFinished(notice)).await
}
