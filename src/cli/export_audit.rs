//! `raccord audit export`: prints the audit history as JSON lines, and goes on with what is written
//! later.

use std::{
    fs::{self, File},
    io::{self, Write},
    path::Path,
    time::Duration,
};

use serde::Serialize;
use sqlx::PgPool;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};
use tokio::{sync::oneshot, time::sleep};

use super::{
    arguments::ExportAudit,
    error::{CliError, Outcome},
    verify_audit::fault_of,
};
use crate::{
    db::{audit::chain, availability},
    domain::audit_chain::{Cursor, CursorError, Fault, Head, Link, Walk},
};

/// How often new events are looked for.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Prints the events after the cursor; with `--follow`, until it is dropped.
///
/// # Errors
/// Where the database cannot be read (with `--follow`, only what does not pass by itself), or the
/// lines or the state cannot be written.
pub async fn run(pool: &PgPool, export: &ExportAudit) -> Result<Outcome, CliError> {
    let mut stream = Stream { pool, state: export.state.as_deref(), walk: Walk::new(None) };
    let cursor = stream.read_state()?.unwrap_or(export.since);
    let mut found = stream.begin_after(cursor).await?;
    let mut is_waiting = false;
    loop {
        match found {
            Found::Events => {}
            Found::Nothing if export.follow => sleep(LOOK_EVERY).await,
            Found::Nothing => return Ok(Outcome::Done),
            Found::Fault(fault) => {
                eprintln!("{fault}");
                return Ok(Outcome::HistoryBroken);
            }
        }
        found = match stream.print_next().await {
            Err(CliError::Database(error)) if export.follow && availability::is_unavailable(&error) => {
                if !is_waiting {
                    tracing::warn!(cause = error.to_string(), "the database is away: the export waits for it");
                }
                is_waiting = true;
                Found::Nothing
            }
            found => {
                is_waiting = false;
                found?
            }
        }
    }
}

/// What a look for events brought.
enum Found {
    Events,
    Nothing,
    Fault(Fault),
}

struct Stream<'a> {
    pool: &'a PgPool,
    state: Option<&'a Path>,
    /// Up to the last event that was printed.
    walk: Walk,
}

impl Stream<'_> {
    /// Begins after a link, which the chain must have.
    async fn begin_after(&mut self, Cursor { position, hash }: Cursor) -> sqlx::Result<Found> {
        let stored = if position == 0 { Some(Head::NONE.hash) } else { chain::hash_at(self.pool, position).await? };
        match stored {
            Some(stored) if hash.is_none_or(|hash| hash == stored) => {
                self.walk = Walk::after(Head { position, hash: stored });
                Ok(Found::Events)
            }
            _ => Ok(Found::Fault(lost(self.pool, position).await?)),
        }
    }

    /// Prints the next events, and notes the last one.
    async fn print_next(&mut self) -> Result<Found, CliError> {
        let head = self.walk.head();
        if !chain::has(self.pool, &head).await? {
            return Ok(Found::Fault(lost(self.pool, head.position).await?));
        }
        let mut connection = self.pool.acquire().await?;
        let links = chain::links_after(&mut connection, head.position).await?;
        let (mut text, mut fault) = (Vec::new(), None);
        for link in &links {
            match self.walk.step(link) {
                Ok(()) => add_line(&mut text, link)?,
                Err(stop) => {
                    fault = Some(fault_of(&mut connection, stop, link).await?);
                    break;
                }
            }
        }
        drop(connection);
        if !text.is_empty() {
            print(text).await.map_err(CliError::Output)?;
            self.write_state()?;
        }
        Ok(match fault {
            Some(fault) => Found::Fault(fault),
            None if links.is_empty() => Found::Nothing,
            None => Found::Events,
        })
    }

    fn read_state(&self) -> Result<Option<Cursor>, CliError> {
        let Some(path) = self.state else { return Ok(None) };
        match fs::read_to_string(path) {
            Ok(text) => text.parse().map(Some).map_err(|error: CursorError| state_error(path, error.to_string())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(state_error(path, format!("cannot be read: {error}"))),
        }
    }

    /// Whole, or as it was before.
    fn write_state(&self) -> Result<(), CliError> {
        let Some(path) = self.state else { return Ok(()) };
        let mut next = path.as_os_str().to_owned();
        next.push(".new");
        let written = File::create(&next).and_then(|mut file| {
            writeln!(file, "{}", self.walk.head())?;
            file.sync_all()?;
            fs::rename(&next, path)
        });
        written.map_err(|error| state_error(path, format!("cannot be written: {error}")))
    }
}

fn state_error(path: &Path, problem: String) -> CliError {
    CliError::State { path: path.to_owned(), problem }
}

/// Why the chain does not have the link at this position.
async fn lost(pool: &PgPool, position: i64) -> sqlx::Result<Fault> {
    let last = chain::head(pool).await?.position;
    Ok(if last < position { Fault::CutOff { last, noted: position } } else { Fault::MadeAnew { position } })
}

#[derive(Serialize)]
struct Line<'a> {
    position: i64,
    hash: String,
    event: i64,
    at: Option<String>,
    action: &'a str,
    actor_id: Option<i64>,
    actor: &'a str,
    address: &'a str,
    structure_id: Option<i64>,
    technical_user_id: Option<i64>,
    subject: &'a str,
    detail: &'a str,
}

fn add_line(text: &mut Vec<u8>, link: &Link) -> Result<(), CliError> {
    // A walk accepts no link without its event.
    let Some(event) = &link.event else { return Ok(()) };
    let at = OffsetDateTime::from_unix_timestamp_nanos(i128::from(event.at) * 1000);
    let record = Line {
        position: link.position,
        hash: link.hash.to_string(),
        event: event.id,
        at: at.ok().and_then(|at| at.format(&Rfc3339).ok()),
        action: &event.action,
        actor_id: event.actor_id,
        actor: &event.actor,
        address: &event.address,
        structure_id: event.structure_id,
        technical_user_id: event.technical_user_id,
        subject: &event.subject,
        detail: &event.detail,
    };
    serde_json::to_writer(&mut *text, &record).map_err(|error| CliError::Output(error.into()))?;
    text.push(b'\n');
    Ok(())
}

/// Writes to standard output on a thread of its own, which the process's end does not wait for: a
/// reader may have stopped reading.
async fn print(text: Vec<u8>) -> io::Result<()> {
    let (done, written) = oneshot::channel();
    std::thread::spawn(move || {
        let mut output = io::stdout().lock();
        let _ = done.send(output.write_all(&text).and_then(|()| output.flush()));
    });
    written.await.unwrap_or_else(|_| Err(io::ErrorKind::BrokenPipe.into()))
}
