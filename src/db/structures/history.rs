//! The history as its readers see it: a structure's events, narrowed and in pages, newest first.
//! They are written in `audit`.

use sqlx::{Encode, FromRow, PgPool, Postgres, QueryBuilder, Type, postgres::PgHasArrayType};
use time::OffsetDateTime;

use super::ManagedStructure;
use crate::domain::audit::Action;

/// An event as history shows it.
#[derive(Clone, Debug, FromRow)]
pub struct PastEvent {
    pub id: i64,
    pub at: OffsetDateTime,
    pub actor: String,
    pub address: String,
    pub action: String,
    pub subject: String,
    pub detail: String,
}

impl PastEvent {
    /// What happened, in the words that people read.
    #[must_use]
    pub fn label(&self) -> &'static str {
        Action::parse(&self.action).map_or("Opération", Action::label)
    }
}

/// Which events are wanted; those that meet every criterion that is given.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    pub action: Option<Action>,
    /// The first instant.
    pub from: Option<OffsetDateTime>,
    /// The first instant that is too late.
    pub until: Option<OffsetDateTime>,
    /// What happened to these technical users; none of them, and there is nothing.
    pub accounts: Option<Vec<i64>>,
    /// What these logins did.
    pub actors: Option<Vec<String>>,
}

impl Wanted {
    /// All that happened to one technical user.
    #[must_use]
    pub fn of_account(technical_user_id: i64) -> Self {
        Self { accounts: Some(vec![technical_user_id]), ..Self::default() }
    }
}

/// Where a page begins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Place {
    #[default]
    Newest,
    /// With the event that comes next, going back in time from the one with this number.
    Before(i64),
    /// So that it ends with the event before which the one with this number stands.
    After(i64),
}

/// Some events, newest first, and whether there are others on either side.
#[derive(Clone, Debug, Default)]
pub struct EventPage {
    pub events: Vec<PastEvent>,
    pub has_newer: bool,
    pub has_older: bool,
}

/// One page of the structure's events. A [`Place`] that is no event of the structure's has no page:
/// it is empty.
///
/// The statement is put together from the criteria that are given, so that each set of them is
/// planned for itself.
///
/// # Errors
/// Database errors.
pub async fn page(
    pool: &PgPool,
    structure: &ManagedStructure,
    wanted: &Wanted,
    place: Place,
    limit: u32,
) -> sqlx::Result<EventPage> {
    let mut query = QueryBuilder::new(
        "SELECT id, at, actor, address, action, subject, detail FROM audit_events WHERE structure_id = ",
    );
    query.push_bind(structure.id());
    push_criteria(&mut query, wanted);
    push_place(&mut query, structure, place);
    // One more than is shown tells whether there are others.
    query.push(" LIMIT ").push_bind(i64::from(limit) + 1);
    let mut events: Vec<PastEvent> = query.build_query_as().fetch_all(pool).await?;
    let has_more = events.len() > limit as usize;
    events.truncate(limit as usize);
    Ok(match place {
        Place::Newest => EventPage { events, has_newer: false, has_older: has_more },
        Place::Before(_) => EventPage { events, has_newer: true, has_older: has_more },
        Place::After(_) => {
            events.reverse();
            EventPage { events, has_newer: has_more, has_older: true }
        }
    })
}

/// The structure's accounts that are meant, deleted ones too: by the login, or else by a part of
/// logins or of libellés.
///
/// # Errors
/// Database errors.
pub async fn accounts(pool: &PgPool, structure: &ManagedStructure, typed: &str) -> sqlx::Result<Vec<i64>> {
    sqlx::query_scalar!(
        "WITH named AS (
             SELECT id, lower(login) = lower($2) AS exactly FROM technical_users
              WHERE structure_id = $1 AND (position(lower(regexp_replace($2, '\\s', '', 'g')) IN search_text) > 0
                 OR search_key($2) <> '' AND position(search_key($2) IN search_text) > 0))
         SELECT id FROM named WHERE exactly OR NOT EXISTS (SELECT FROM named WHERE exactly)",
        structure.id(),
        typed,
    )
    .fetch_all(pool)
    .await
}

/// The logins that are meant, of those who acted on the structure: members, who was one, and the
/// portal itself. By the login, or else by a part of logins or of people's names. The index of
/// actors is read from one to the next: this costs as much as there are actors.
///
/// # Errors
/// Database errors.
pub async fn actors(pool: &PgPool, structure: &ManagedStructure, typed: &str) -> sqlx::Result<Vec<String>> {
    sqlx::query_scalar!(
        r#"WITH RECURSIVE actors AS (
               (SELECT actor FROM audit_events WHERE structure_id = $1 ORDER BY actor LIMIT 1)
               UNION ALL
               SELECT (SELECT e.actor FROM audit_events e WHERE e.structure_id = $1 AND e.actor > a.actor ORDER BY e.actor LIMIT 1)
                 FROM actors a WHERE a.actor IS NOT NULL),
           named AS (
               SELECT a.actor, lower(a.actor) = lower($2) AS exactly FROM actors a LEFT JOIN users u ON u.login = a.actor
                WHERE position(lower($2) IN lower(a.actor)) > 0
                   OR search_key($2) <> '' AND position(search_key($2) IN search_key(concat_ws(' ', u.first_name, u.last_name, u.first_name))) > 0)
           SELECT actor AS "actor!" FROM named WHERE exactly OR NOT EXISTS (SELECT FROM named WHERE exactly)"#,
        structure.id(),
        typed,
    )
    .fetch_all(pool)
    .await
}

/// One value is compared for itself: its index then gives the page in its order.
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

fn push_criteria(query: &mut QueryBuilder<Postgres>, wanted: &Wanted) {
    if let Some(action) = wanted.action {
        query.push(" AND action = ").push_bind(action.code());
    }
    if let Some(from) = wanted.from {
        query.push(" AND at >= ").push_bind(from);
    }
    if let Some(until) = wanted.until {
        query.push(" AND at < ").push_bind(until);
    }
    if let Some(accounts) = &wanted.accounts {
        push_one_of(query, "technical_user_id", accounts);
    }
    if let Some(actors) = &wanted.actors {
        push_one_of(query, "actor", actors);
    }
}

/// From an event on: by its instant, and its number where several share one.
fn push_place(query: &mut QueryBuilder<Postgres>, structure: &ManagedStructure, place: Place) {
    let (comparison, id, order) = match place {
        Place::Newest => {
            query.push(" ORDER BY at DESC, id DESC");
            return;
        }
        Place::Before(id) => ("<", id, " ORDER BY at DESC, id DESC"),
        Place::After(id) => (">", id, " ORDER BY at, id"),
    };
    query.push(" AND (at, id) ").push(comparison).push(" ((SELECT at FROM audit_events WHERE structure_id = ");
    query.push_bind(structure.id()).push(" AND id = ").push_bind(id).push("), ").push_bind(id).push(")").push(order);
}
