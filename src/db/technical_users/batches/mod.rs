//! Batches: one act on many structures or accounts, that one form asks for. `work` does them one by
//! one, `export` gives their passwords to the session that asked for them.
use crate::db::transaction;

pub mod export;
pub mod preview;
pub mod progress;
pub mod work;

use sqlx::{PgConnection, PgPool};
use thiserror::Error;

use crate::{
    db::{
        audit::{self, Event},
        identity::locks,
    },
    domain::{
        audit::{Action, Actor},
        batch::BatchAct,
        envelope::SessionSecret,
        random,
        rotation::Grace,
        technical_user::Label,
    },
};

/// A batch that a form asks for.
#[derive(Clone, Copy)]
pub struct NewBatch<'a> {
    pub actor: &'a Actor,
    pub manager_id: i64,
    /// The session that may export the passwords.
    pub session: &'a SessionSecret,
    /// The form's idempotency token.
    pub token: &'a str,
    pub order: &'a BatchOrder,
}

/// What a batch is to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BatchOrder {
    /// Creates a technical user in each of these structures.
    Create {
        structures: Vec<i64>,
        label: Option<Label>,
    },
    /// Resets the passwords of these accounts.
    ResetPassword {
        accounts: Vec<ChosenAccount>,
        grace: Grace,
    },
    Suspend {
        accounts: Vec<ChosenAccount>,
    },
    Reactivate {
        accounts: Vec<ChosenAccount>,
    },
}

/// An account, as the form showed it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChosenAccount {
    pub id: i64,
    /// The number of its password.
    pub credential_version: i32,
}

impl BatchOrder {
    /// What it does.
    #[must_use]
    pub fn act(&self) -> BatchAct {
        match self {
            Self::Create { .. } => BatchAct::Create,
            Self::ResetPassword { .. } => BatchAct::ResetPassword,
            Self::Suspend { .. } => BatchAct::Suspend,
            Self::Reactivate { .. } => BatchAct::Reactivate,
        }
    }

    fn label(&self) -> Option<&str> {
        match self {
            Self::Create { label, .. } => label.as_ref().map(Label::as_str),
            _ => None,
        }
    }

    fn grace(&self) -> Grace {
        match self {
            Self::ResetPassword { grace, .. } => *grace,
            _ => Grace::None,
        }
    }

    fn accounts(&self) -> &[ChosenAccount] {
        match self {
            Self::Create { .. } => &[],
            Self::ResetPassword { accounts, .. } | Self::Suspend { accounts } | Self::Reactivate { accounts } => {
                accounts
            }
        }
    }

    /// Whether a structure or account is named twice, which no form of ours does.
    fn has_doubles(&self) -> bool {
        let mut ids: Vec<i64> = match self {
            Self::Create { structures, .. } => structures.clone(),
            _ => self.accounts().iter().map(|account| account.id).collect(),
        };
        ids.sort_unstable();
        ids.windows(2).any(|pair| pair[0] == pair[1])
    }

    /// By which the same form is known when it is posted again.
    fn digest(&self) -> Vec<u8> {
        random::digest(format!("{self:?}"))
    }
}

/// An act that this version does not know must not be taken for another.
fn act_of(code: &str) -> sqlx::Result<BatchAct> {
    BatchAct::parse(code).ok_or_else(|| sqlx::Error::Decode("an act that this version does not know".into()))
}

/// Why no batch began.
#[derive(Debug, Error)]
pub enum BeginError {
    #[error("the session has ended")]
    SessionEnded,
    /// With the id of that batch.
    #[error("another batch of this person is under way")]
    UnderWay(i64),
    #[error("this form has already been used for another batch")]
    FormReused,
    #[error("none of the chosen structures or accounts is the manager's, or one is named twice")]
    Nothing,
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

/// Writes the batch, for the background to carry out, and returns its id. The same form posted
/// again returns the same batch. What is not the manager's is left out.
///
/// # Errors
/// [`BeginError`].
pub async fn begin(pool: &PgPool, new: NewBatch<'_>) -> Result<i64, BeginError> {
    if new.order.has_doubles() {
        return Err(BeginError::Nothing);
    }
    let mut tx = transaction::begin(pool).await?;
    // Forms of one person that are posted at the same time take turns.
    if locks::person_in_session(&mut tx, new.manager_id, new.session).await?.is_none() {
        return Err(BeginError::SessionEnded);
    }
    if let Some(batch_id) = find_begun(&mut tx, new).await? {
        return Ok(batch_id);
    }
    let batch_id = insert(&mut tx, new).await?;
    let items = insert_items(&mut tx, batch_id, new).await?;
    if items == 0 {
        return Err(BeginError::Nothing);
    }
    let detail = format!("n°\u{a0}{batch_id}, {}", words_of(new.order.act(), items));
    audit::record(&mut tx, Event { detail: &detail, ..Event::of(new.actor, Action::BatchBegun) }).await?;
    tx.commit().await?;
    Ok(batch_id)
}

/// « réinitialisation de 12 mots de passe ».
fn words_of(act: BatchAct, items: u64) -> String {
    let plural = if items > 1 { "s" } else { "" };
    match act {
        BatchAct::Create => format!("création de {items} utilisateur{plural} technique{plural}"),
        BatchAct::ResetPassword => format!("réinitialisation de {items} mot{plural} de passe"),
        BatchAct::Suspend => format!("suspension de {items} utilisateur{plural} technique{plural}"),
        BatchAct::Reactivate => format!("réactivation de {items} utilisateur{plural} technique{plural}"),
    }
}

/// The batch that this form began before.
async fn find_begun(conn: &mut PgConnection, new: NewBatch<'_>) -> Result<Option<i64>, BeginError> {
    let found = sqlx::query!(
        r#"SELECT id, token = $2 AS "is_same_form!", request FROM batches
            WHERE manager_id = $1 AND (token = $2 OR finished_at IS NULL) ORDER BY token = $2 DESC LIMIT 1"#,
        new.manager_id,
        new.token,
    )
    .fetch_optional(conn)
    .await?;
    match found {
        None => Ok(None),
        Some(other) if !other.is_same_form => Err(BeginError::UnderWay(other.id)),
        Some(same) if same.request == new.order.digest() => Ok(Some(same.id)),
        Some(_) => Err(BeginError::FormReused),
    }
}

async fn insert(conn: &mut PgConnection, new: NewBatch<'_>) -> sqlx::Result<i64> {
    let NewBatch { actor, session, order, .. } = new;
    let key = session.public_key();
    sqlx::query_scalar!(
        "INSERT INTO batches (manager_id, token, request, act, label, grace_hours, actor, address, session_hash, session_key)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) RETURNING id",
        new.manager_id,
        new.token,
        order.digest(),
        order.act().code(),
        order.label(),
        order.grace().hours(),
        actor.name,
        actor.address,
        session.digest(),
        key.as_bytes(),
    )
    .fetch_one(conn)
    .await
}

/// Writes the items, in the order of the form, and returns how many there are.
async fn insert_items(conn: &mut PgConnection, batch_id: i64, new: NewBatch<'_>) -> sqlx::Result<u64> {
    let written = if let BatchOrder::Create { structures, .. } = new.order {
        sqlx::query!(
            "INSERT INTO batch_items (batch_id, position, structure_id)
             SELECT $1, row_number() OVER (ORDER BY chosen.place), s.id
               FROM unnest($3::bigint[]) WITH ORDINALITY chosen (id, place) JOIN structures s ON s.id = chosen.id
              WHERE s.principal_manager_id = $2",
            batch_id,
            new.manager_id,
            structures,
        )
        .execute(conn)
        .await?
    } else {
        let accounts = new.order.accounts();
        let ids: Vec<i64> = accounts.iter().map(|account| account.id).collect();
        let versions: Vec<i32> = accounts.iter().map(|account| account.credential_version).collect();
        sqlx::query!(
            "INSERT INTO batch_items (batch_id, position, structure_id, technical_user_id, credential_version)
             SELECT $1, row_number() OVER (ORDER BY chosen.place), s.id, t.id, chosen.version
               FROM unnest($3::bigint[], $4::integer[]) WITH ORDINALITY chosen (id, version, place)
               JOIN technical_users t ON t.id = chosen.id JOIN structures s ON s.id = t.structure_id
              WHERE s.principal_manager_id = $2",
            batch_id,
            new.manager_id,
            &ids,
            &versions,
        )
        .execute(conn)
        .await?
    };
    Ok(written.rows_affected())
}

/// Gives the batches of the session `old` to the session `new` that replaces it. Waits for the item
/// that is under way.
pub(super) async fn hand_over(conn: &mut PgConnection, old: &SessionSecret, new: &SessionSecret) -> sqlx::Result<()> {
    let key = new.public_key();
    sqlx::query!(
        "UPDATE batches SET session_hash = $2, session_key = $3 WHERE session_hash = $1",
        old.digest(),
        new.digest(),
        key.as_bytes(),
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Deletes batches a month after their end.
pub(in crate::db) async fn sweep(pool: &PgPool) -> sqlx::Result<()> {
    sqlx::query!("DELETE FROM batches WHERE finished_at <= portal_now() - interval '30 days'").execute(pool).await?;
    Ok(())
}
