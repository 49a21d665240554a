//! The task that carries batches out, a few items of each in turn.

use std::time::Duration;

use tokio::time::{sleep, timeout};

use crate::{
    db::technical_users::batches::work::{self, Claimed, Means},
    domain::random,
    web::edge::{error::AppError, state::AppState},
    work_queue::QueueKey,
};

/// Items of a batch before others have their turn. They take less time than a claim lasts.
const ITEMS_AT_A_TIME: usize = 20;
/// How often batches of other instances, and those that were cut, are looked for.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Before what failed is tried again.
const PAUSE: Duration = Duration::from_secs(1);

/// Works until it is aborted: at the end of the program, or between two items after a crash,
/// another instance or the next start goes on.
pub async fn run(state: AppState) {
    loop {
        if !take_a_turn(&state).await {
            drop(timeout(LOOK_EVERY, state.batches.notified()).await);
        }
    }
}

/// Carries out some items of the batch that has waited for longest. False if none waits.
pub async fn take_a_turn(state: &AppState) -> bool {
    match work::claim(&state.pool).await {
        Ok(Some(claimed)) => carry_out_some(state, claimed).await,
        Ok(None) => return false,
        Err(error) => {
            tracing::warn!(error = error.to_string(), "batches will be looked for again");
            sleep(PAUSE).await;
        }
    }
    true
}

async fn carry_out_some(state: &AppState, claimed: Claimed) {
    for _ in 0..ITEMS_AT_A_TIME {
        match carry_out_next(state, claimed).await {
            Ok(true) => {}
            Ok(false) => return,
            Err(error) => {
                tracing::warn!(batch = claimed.batch_id, error = error.to_string(), "a batch will go on later");
                return sleep(PAUSE).await;
            }
        }
    }
    if let Err(error) = work::release(&state.pool, claimed.batch_id).await {
        tracing::warn!(batch = claimed.batch_id, error = error.to_string(), "a batch will go on later");
    }
}

/// The password is hashed before the item's transaction, in the person's share of the work queue.
async fn carry_out_next(state: &AppState, claimed: Claimed) -> Result<bool, AppError> {
    let issued = if claimed.act.issues_passwords() {
        Some(state.issue_password(QueueKey::Person(claimed.manager_id)).await?)
    } else {
        None
    };
    let rules = state.settings.account_rules;
    let means = Means { issued: issued.as_ref(), rules, rng: &mut random::os_rng() };
    Ok(work::carry_out_next(&state.pool, claimed.batch_id, means).await?)
}
