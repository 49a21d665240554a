//! `raccord audit verify`: verifies the hash chain of the audit history.

use sqlx::{PgConnection, PgPool};

use super::error::{CliError, Outcome};
use crate::{
    db::audit::chain,
    domain::audit_chain::{Fault, Head, Link, LinkHash, Stop, Walk, explain},
};

/// Walks the chain and prints its number of events and its head, or its first fault.
///
/// # Errors
/// Where the database cannot be read.
pub async fn run(pool: &PgPool, noted: Option<Head>) -> Result<Outcome, CliError> {
    let mut snapshot = chain::begin(pool).await?;
    match walk(&mut snapshot, noted).await? {
        Ok(head) => {
            println!("events: {}\nhead: {head}", head.position);
            Ok(Outcome::Done)
        }
        Err(fault) => {
            println!("{fault}");
            Ok(Outcome::HistoryBroken)
        }
    }
}

async fn walk(conn: &mut PgConnection, noted: Option<Head>) -> sqlx::Result<Result<Head, Fault>> {
    let mut walk = Walk::new(noted);
    // Positions below 1 too: a forged link there would hide its event from `first_outside`.
    let mut after = i64::MIN;
    loop {
        let links = chain::links_after(conn, after).await?;
        let Some(last) = links.last() else { break };
        after = last.position;
        for link in &links {
            match walk.step(link) {
                Ok(()) => {}
                Err(stop) => return Ok(Err(fault_of(conn, stop, link).await?)),
            }
        }
    }
    match walk.end() {
        Ok(head) => Ok(match chain::first_outside(conn).await? {
            Some(event_id) => Err(Fault::Outside { event_id }),
            None => Ok(head),
        }),
        Err(fault) => Ok(Err(fault)),
    }
}

/// The defect for which a walk stopped at a link.
///
/// # Errors
/// Database errors.
pub(super) async fn fault_of(conn: &mut PgConnection, stop: Stop, link: &Link) -> sqlx::Result<Fault> {
    match stop {
        Stop::Fault(fault) => Ok(fault),
        Stop::Mismatch { previous } => explain_mismatch(conn, previous, link).await,
    }
}

/// Searches all events for the one that the link was made for, and reads the next link.
async fn explain_mismatch(conn: &mut PgConnection, previous: LinkHash, link: &Link) -> sqlx::Result<Fault> {
    let (mut after, mut made_for) = (i64::MIN, None);
    while made_for.is_none() {
        let events = chain::events_after(conn, after).await?;
        let Some(last) = events.last() else { break };
        after = last.id;
        made_for =
            events.iter().find(|event| event.link_hash(previous, link.position) == link.hash).map(|event| event.id);
    }
    let next = chain::links_after(conn, link.position).await?;
    let next = next.first().filter(|next| Some(next.position) == link.position.checked_add(1));
    Ok(explain(previous, link, next, made_for))
}
