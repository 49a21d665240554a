//! Reads a structure's audit events: filtered, in pages, newest first. They are written in `audit`.

use sqlx::{Encode, FromRow, PgExecutor, PgPool, Postgres, QueryBuilder, Type, postgres::PgHasArrayType};
use time::OffsetDateTime;

use super::ManagedStructure;
use crate::domain::audit::{Action, UNIDENTIFIED_CALLER};

/// An event of the history.
#[derive(Clone, Debug, FromRow)]
pub struct PastEvent {
    pub id: i64,
    pub at: OffsetDateTime,
    /// As it is stored; [`PastEvent::author`] is what people are shown.
    actor: String,
    /// The network address that the act came from, or « ligne de commande ».
    pub address: String,
    /// An [`Action`]'s code.
    pub action: String,
    /// The login, or other name, of what the act concerned.
    pub subject: String,
    /// In French; may be empty.
    pub detail: String,
}

impl PastEvent {
    /// The French name of what happened.
    #[must_use]
    pub fn label(&self) -> &'static str {
        Action::parse(&self.action).map_or("Opération", Action::label)
    }

    /// The login of whoever acted, or « opérateur ». No account is the author of a refused call,
    /// although older events name it.
    #[must_use]
    pub fn author(&self) -> &str {
        if self.action == Action::CallsRefused.code() { UNIDENTIFIED_CALLER } else { &self.actor }
    }

    /// The length of its texts.
    fn bytes(&self) -> usize {
        [&self.actor, &self.address, &self.action, &self.subject, &self.detail].into_iter().map(String::len).sum()
    }
}

/// A search in a structure's history, as typed. An event must meet every criterion that is given.
#[derive(Clone, Debug, Default)]
pub struct EventSearch {
    pub action: Option<Action>,
    /// The first instant.
    pub from: Option<OffsetDateTime>,
    /// The first instant after the period.
    pub until: Option<OffsetDateTime>,
    /// The account acted upon: its login, or a part of logins or labels.
    pub account: Option<String>,
    /// The person who acted: their login, or a part of logins or names.
    pub person: Option<String>,
}

/// A search whose accounts and people are found. An event must meet every criterion that is given.
#[derive(Clone, Debug, Default)]
pub struct EventFilter {
    action: Option<Action>,
    from: Option<OffsetDateTime>,
    until: Option<OffsetDateTime>,
    /// Events on one of these technical users; none if the list is empty.
    accounts: Option<Vec<i64>>,
    /// Acts of one of these logins; none if the list is empty.
    actors: Option<Vec<String>>,
}

impl EventFilter {
    /// All events on one technical user.
    #[must_use]
    pub fn of_account(technical_user_id: i64) -> Self {
        Self { accounts: Some(vec![technical_user_id]), ..Self::default() }
    }

    /// Of these, those of one kind.
    #[must_use]
    pub fn with(self, action: Action) -> Self {
        Self { action: Some(action), ..self }
    }
}

/// Where a page begins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Cursor {
    #[default]
    Newest,
    /// With the first event older than the one with this id.
    Before(i64),
    /// So that the page ends just above (newer than) the event with this id.
    After(i64),
}

/// Events, newest first, and whether there are more on either side.
#[derive(Clone, Debug, Default)]
pub struct EventPage {
    pub events: Vec<PastEvent>,
    pub has_newer: bool,
    pub has_older: bool,
}

/// Searches a structure's history, and gives one page of it.
///
/// # Errors
/// Database errors.
pub async fn find(
    pool: &PgPool,
    structure: &ManagedStructure,
    search: &EventSearch,
    cursor: Cursor,
    limit: u32,
) -> sqlx::Result<EventPage> {
    let filter = resolve(pool, structure, search).await?;
    page(pool, structure, &filter, cursor, limit).await
}

/// One page of the structure's events. It is empty if the [`Cursor`] is no event of the structure.
///
/// The statement holds only the criteria that are given, so that PostgreSQL plans for these.
///
/// # Errors
/// Database errors.
pub async fn page(
    executor: impl PgExecutor<'_>,
    structure: &ManagedStructure,
    filter: &EventFilter,
    cursor: Cursor,
    limit: u32,
) -> sqlx::Result<EventPage> {
    let mut query = QueryBuilder::new(
        "SELECT id, at, actor, address, action, subject, detail FROM audit_events WHERE structure_id = ",
    );
    query.push_bind(structure.id());
    push_criteria(&mut query, filter);
    push_cursor(&mut query, structure, cursor);
    // One event more than the page holds, to know whether there are more.
    query.push(" LIMIT ").push_bind(i64::from(limit) + 1);
    let mut events: Vec<PastEvent> = query.build_query_as().fetch_all(executor).await?;
    let has_more = events.len() > limit as usize;
    events.truncate(limit as usize);
    Ok(match cursor {
        Cursor::Newest => EventPage { events, has_newer: false, has_older: has_more },
        Cursor::Before(_) => EventPage { events, has_newer: true, has_older: has_more },
        Cursor::After(_) => {
            events.reverse();
            EventPage { events, has_newer: has_more, has_older: true }
        }
    })
}

/// The most events that an export reads, and holds in memory, at a time; at first, and as long as
/// they are longer than usual, it reads fewer.
const MOST_IN_BATCH: usize = 200;
const LEAST_IN_BATCH: usize = 20;
/// What a batch should not exceed.
const BATCH_BYTES: usize = 256 * 1024;

/// An export of a whole search. Each batch is a short statement of its own, so a slow reader holds
/// no connection. Accounts and people are looked up once, at the beginning.
pub struct Export {
    pool: PgPool,
    structure: ManagedStructure,
    filter: EventFilter,
    /// The events of the next batch.
    batch: usize,
    /// Where the next batch begins; `None` after the last one.
    cursor: Option<Cursor>,
}

impl Export {
    /// Begins an export.
    ///
    /// # Errors
    /// Database errors.
    pub async fn begin(pool: &PgPool, structure: ManagedStructure, search: &EventSearch) -> sqlx::Result<Self> {
        let filter = resolve(pool, &structure, search).await?;
        Ok(Self { pool: pool.clone(), structure, filter, batch: LEAST_IN_BATCH, cursor: Some(Cursor::Newest) })
    }

    /// The next events, newest first; `None` after the last batch.
    ///
    /// # Errors
    /// Database errors.
    pub async fn next_batch(&mut self) -> sqlx::Result<Option<Vec<PastEvent>>> {
        let Some(cursor) = self.cursor else { return Ok(None) };
        let limit = u32::try_from(self.batch).unwrap_or(u32::MAX);
        let page = page(&self.pool, &self.structure, &self.filter, cursor, limit).await?;
        let bytes: usize = page.events.iter().map(PastEvent::bytes).sum();
        let each = (bytes / page.events.len().max(1)).max(1);
        self.batch = (BATCH_BYTES / each).clamp(LEAST_IN_BATCH, MOST_IN_BATCH);
        self.cursor = page.events.last().filter(|_| page.has_older).map(|event| Cursor::Before(event.id));
        Ok(Some(page.events))
    }
}

/// Looks up the accounts and people of a search.
async fn resolve(pool: &PgPool, structure: &ManagedStructure, search: &EventSearch) -> sqlx::Result<EventFilter> {
    let accounts = match &search.account {
        Some(text) => Some(accounts(pool, structure, text).await?),
        None => None,
    };
    let actors = match &search.person {
        Some(text) => Some(actors(pool, structure, text).await?),
        None => None,
    };
    let &EventSearch { action, from, until, .. } = search;
    Ok(EventFilter { action, from, until, accounts, actors })
}

/// The structure's accounts, deleted ones included, with exactly this login; if there is none,
/// those whose login or label contains the text.
async fn accounts(pool: &PgPool, structure: &ManagedStructure, typed: &str) -> sqlx::Result<Vec<i64>> {
    sqlx::query_scalar!(
        "WITH named AS (
             SELECT id, lower(login) = lower($2) AS exactly FROM technical_users
              WHERE structure_id = $1 AND (position((SELECT lower(regexp_replace($2, '\\s', '', 'g'))) IN search_text) > 0
                 OR (SELECT search_key($2)) <> '' AND position((SELECT search_key($2)) IN search_text) > 0))
         SELECT id FROM named WHERE exactly OR NOT EXISTS (SELECT FROM named WHERE exactly)",
        structure.id(),
        typed,
    )
    .fetch_all(pool)
    .await
}

/// The actors in the structure's history (present and former members, and the portal itself) with
/// exactly this login; if there is none, those whose login or name contains the text. The index of
/// actors is skipped through from one actor to the next, so the cost grows with the number of
/// actors, not of events.
async fn actors(pool: &PgPool, structure: &ManagedStructure, typed: &str) -> sqlx::Result<Vec<String>> {
    sqlx::query_scalar!(
        r#"WITH RECURSIVE actors AS (
               (SELECT actor FROM audit_events WHERE structure_id = $1 ORDER BY actor LIMIT 1)
               UNION ALL
               SELECT (SELECT e.actor FROM audit_events e WHERE e.structure_id = $1 AND e.actor > a.actor ORDER BY e.actor LIMIT 1)
                 FROM actors a WHERE a.actor IS NOT NULL),
           named AS (
               SELECT a.actor, lower(a.actor) = lower($2) AS exactly FROM actors a LEFT JOIN users u ON u.login = a.actor
                WHERE position(lower($2) IN lower(a.actor)) > 0
                   OR (SELECT search_key($2)) <> '' AND position((SELECT search_key($2)) IN search_key(concat_ws(' ', u.first_name, u.last_name, u.first_name))) > 0)
           SELECT actor AS "actor!" FROM named WHERE exactly OR NOT EXISTS (SELECT FROM named WHERE exactly)"#,
        structure.id(),
        typed,
    )
    .fetch_all(pool)
    .await
}

/// A single value is compared with `=`: the index on the column then gives the page in its order.
fn push_one_of<T>(query: &mut QueryBuilder<Postgres>, column: &str, values: &[T])
where
    T: for<'q> Encode<'q, Postgres> + Type<Postgres> + PgHasArrayType + Clone + 'static,
{
    query.push(" AND ").push(column);
    match values {
        [only] => query.push(" = ").push_bind(only.clone()),
        several => query.push(" = ANY(").push_bind(several.to_vec()).push(")"),
    };
}

fn push_criteria(query: &mut QueryBuilder<Postgres>, filter: &EventFilter) {
    if let Some(action) = filter.action {
        query.push(" AND action = ").push_bind(action.code());
    }
    if let Some(from) = filter.from {
        query.push(" AND at >= ").push_bind(from);
    }
    if let Some(until) = filter.until {
        query.push(" AND at < ").push_bind(until);
    }
    if let Some(accounts) = &filter.accounts {
        push_one_of(query, "technical_user_id", accounts);
    }
    if let Some(actors) = &filter.actors {
        push_one_of(query, "actor", actors);
    }
}

/// Orders by instant, then by id for events of the same instant, and begins at the cursor.
fn push_cursor(query: &mut QueryBuilder<Postgres>, structure: &ManagedStructure, cursor: Cursor) {
    let (comparison, id, order) = match cursor {
        Cursor::Newest => {
            query.push(" ORDER BY at DESC, id DESC");
            return;
        }
        Cursor::Before(id) => ("<", id, " ORDER BY at DESC, id DESC"),
        Cursor::After(id) => (">", id, " ORDER BY at, id"),
    };
    query.push(" AND (at, id) ").push(comparison).push(" ((SELECT at FROM audit_events WHERE structure_id = ");
    query.push_bind(structure.id()).push(" AND id = ").push_bind(id).push("), ").push_bind(id).push(")").push(order);
}
