//! Statements that only the demonstration uses: people with passwords and accounts with a past.

use sqlx::{PgConnection, PgPool, Postgres, Transaction};

use super::identity::registration;
use crate::{
    db::transaction,
    domain::{
        audit::{Action, CallRefusal, LINK_HOLDER, UNIDENTIFIED_CALLER},
        handover::Term,
        new_person::NewPerson,
        password::PasswordHash,
        role::Role,
        rotation::Grace,
    },
    french,
};

/// What a database contains.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DemoState {
    /// No data.
    Empty,
    /// A demonstration.
    Demo,
    /// Data that is not a demonstration.
    InUse,
}

/// Begins the transaction that fills the database. It locks out a second one, which then finds the
/// database filled.
///
/// # Errors
/// Database errors.
pub async fn begin(pool: &PgPool) -> sqlx::Result<(Transaction<'static, Postgres>, DemoState)> {
    let mut tx = transaction::begin(pool).await?;
    sqlx::query!("LOCK TABLE portal_facts IN EXCLUSIVE MODE").execute(&mut *tx).await?;
    let row = sqlx::query!(
        r#"SELECT EXISTS (SELECT 1 FROM portal_facts WHERE name = 'demo') AS "demo!",
                  EXISTS (SELECT 1 FROM users) OR EXISTS (SELECT 1 FROM structures) AS "in_use!""#
    )
    .fetch_one(&mut *tx)
    .await?;
    let state = match (row.demo, row.in_use) {
        (true, _) => DemoState::Demo,
        (false, true) => DemoState::InUse,
        (false, false) => DemoState::Empty,
    };
    Ok((tx, state))
}

/// Marks the database as a demonstration, for good.
///
/// # Errors
/// Database errors.
pub async fn mark(conn: &mut PgConnection) -> sqlx::Result<()> {
    sqlx::query!("INSERT INTO portal_facts (name, value) VALUES ('demo', portal_now()::text)").execute(conn).await?;
    Ok(())
}

/// Registers a person with a password, without an invitation.
///
/// # Errors
/// Database errors; [`sqlx::Error::RowNotFound`] where the login is taken.
pub async fn add_person(conn: &mut PgConnection, person: &NewPerson, password: &PasswordHash) -> sqlx::Result<i64> {
    registration::insert(conn, person, Some(password)).await?.ok_or(sqlx::Error::RowNotFound)
}

/// Makes a person the principal manager of structures that have none.
///
/// # Errors
/// Database errors.
pub async fn give_structures(conn: &mut PgConnection, manager_id: i64, identifiers: &[String]) -> sqlx::Result<()> {
    sqlx::query!(
        "INSERT INTO memberships (user_id, structure_id, role)
         SELECT $1, id, 'PRINCIPAL_MANAGER' FROM structures WHERE identifier = ANY ($2)",
        manager_id,
        identifiers,
    )
    .execute(&mut *conn)
    .await?;
    sqlx::query!(
        "UPDATE structures SET principal_manager_id = $1, managed = true WHERE identifier = ANY ($2)",
        manager_id,
        identifiers,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Makes a person a member of the first `count` structures of a principal manager, by designation.
///
/// # Errors
/// Database errors.
pub async fn join_first_structures(
    conn: &mut PgConnection,
    manager_id: i64,
    user_id: i64,
    role: Role,
    count: i64,
) -> sqlx::Result<()> {
    sqlx::query!(
        "INSERT INTO memberships (user_id, structure_id, role)
         SELECT $2, id, $3 FROM structures WHERE principal_manager_id = $1 ORDER BY designation, id LIMIT $4",
        manager_id,
        user_id,
        role.code(),
        count,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// A technical user with a past.
#[derive(Clone, Copy, Debug)]
pub struct DemoAccount<'a> {
    /// The index of its structure among the manager's, by designation, from 0.
    pub place: i64,
    pub label: &'a str,
    /// Days until the password expires; negative where it has expired.
    pub days_left: i32,
    pub last_call: Option<DemoCall<'a>>,
    pub story: Story,
}

/// The last call of a [`DemoAccount`].
#[derive(Clone, Copy, Debug)]
pub struct DemoCall<'a> {
    pub hours_ago: i32,
    pub address: &'a str,
    pub software: &'a str,
}

/// What happened to a [`DemoAccount`] beside its creation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Story {
    Usual,
    Suspended {
        days_ago: i32,
    },
    /// Calls have been refused for two days.
    Failing {
        why: CallRefusal,
        count: i32,
    },
    /// Made by the manager before the present one.
    KnownToFormerManager,
    /// Reset two days ago, and the password before works for another day.
    FormerPasswordWorks,
    /// The answer to its creation was lost.
    NeverShown,
    /// Handed over when it was made, by a link that was opened the next day.
    KnownToIntegrator {
        recipient: &'static str,
    },
    /// Limited to a network, and to its structure and the one after.
    Restricted {
        network: &'static str,
        days_ago: i32,
    },
}

/// The people of an account's history, by id.
#[derive(Clone, Copy, Debug)]
pub struct DemoManagers {
    pub present: i64,
    pub former: i64,
}

/// An event of the past, not recorded yet.
#[derive(Debug)]
pub struct DemoEvent {
    minutes_ago: i32,
    /// `None`: whoever makes a call that is refused, or holds a link.
    actor_id: Option<i64>,
    action: Action,
    account_id: i64,
    detail: String,
}

/// Adds a technical user with an unknown password. Returns the events of its past.
///
/// # Errors
/// Database errors.
pub async fn add_account(
    conn: &mut PgConnection,
    managers: DemoManagers,
    account: DemoAccount<'_>,
    hash: &PasswordHash,
    lifetime_days: i32,
) -> sqlx::Result<Vec<DemoEvent>> {
    let maker = if account.story == Story::KnownToFormerManager { managers.former } else { managers.present };
    let made = MadeAccount { account, maker, lifetime_days };
    let account_id = insert_account(conn, managers.present, made, hash).await?;
    if account.story == Story::FormerPasswordWorks {
        sqlx::query!(
            "INSERT INTO former_passwords (technical_user_id, credential_version, password_hash, set_by, shown_at, ends_at, last_call_at)
             SELECT id, 0, password_hash, password_set_by, password_set_at - interval '60 days',
                    portal_now() + interval '1 day', portal_now() - interval '2 hours' FROM technical_users WHERE id = $1",
            account_id,
        )
        .execute(&mut *conn)
        .await?;
    }
    let words = match account.story {
        Story::KnownToIntegrator { recipient } => hand_over(conn, managers.present, account_id, recipient).await?,
        Story::Restricted { network, .. } => {
            restrict(conn, managers.present, account_id, account.place, network).await?
        }
        _ => String::new(),
    };
    Ok(past(managers, made, account_id, &words))
}

/// Hands the account's password over. Returns how the history words it.
async fn hand_over(conn: &mut PgConnection, manager_id: i64, account_id: i64, recipient: &str) -> sqlx::Result<String> {
    let expires_at = sqlx::query_scalar!(
        r#"WITH account AS (SELECT * FROM technical_users WHERE id = $1),
           made AS (
             INSERT INTO handovers (token_hash, made_by, recipient, made_at, expires_at, opened_at, opened_address, opened_software)
             SELECT sha256(gen_random_uuid()::text::bytea), $2, $3, password_set_at, password_set_at + make_interval(days => $4),
                    least(portal_now(), password_set_at + interval '1 day'), last_call_address, last_call_software FROM account
             RETURNING id, opened_at, expires_at),
           opened AS (
             INSERT INTO handed_over_passwords (technical_user_id, credential_version, handover_id, opened_at)
             SELECT account.id, account.credential_version, made.id, made.opened_at FROM account, made)
           SELECT expires_at AS "expires_at!" FROM made"#,
        account_id,
        manager_id,
        recipient,
        Term::default().days(),
    )
    .fetch_one(conn)
    .await?;
    Ok(format!("À «\u{202f}{recipient}\u{202f}», jusqu’au {}", french::moment(expires_at)))
}

/// Restricts the account. Returns how the history words it.
async fn restrict(
    conn: &mut PgConnection,
    manager_id: i64,
    account_id: i64,
    place: i64,
    network: &str,
) -> sqlx::Result<String> {
    sqlx::query!(
        "UPDATE technical_users SET network_rule = 'LIST', networks = ARRAY[$2::text::cidr], structures_chosen = true,
                restrictions_version = 1 WHERE id = $1",
        account_id,
        network,
    )
    .execute(&mut *conn)
    .await?;
    let chosen = sqlx::query_scalar!(
        r#"WITH chosen AS (
             SELECT id, identifier FROM structures WHERE principal_manager_id = $2 ORDER BY designation, id OFFSET $3 LIMIT 2),
           kept AS (INSERT INTO technical_user_structures (technical_user_id, structure_id) SELECT $1, id FROM chosen)
           SELECT identifier FROM chosen"#,
        account_id,
        manager_id,
        place,
    )
    .fetch_all(conn)
    .await?;
    Ok(format!(
        "Réseaux autorisés\u{a0}: toute adresse → {network}\u{202f}; Structures\u{a0}: toutes celles du gestionnaire → {} \
         choisies ({})",
        chosen.len(),
        chosen.join(", ")
    ))
}

/// An account, and who made it when.
#[derive(Clone, Copy)]
struct MadeAccount<'a> {
    account: DemoAccount<'a>,
    maker: i64,
    lifetime_days: i32,
}

/// The structure is the present manager's.
async fn insert_account(
    conn: &mut PgConnection,
    manager_id: i64,
    MadeAccount { account, maker, lifetime_days }: MadeAccount<'_>,
    hash: &PasswordHash,
) -> sqlx::Result<i64> {
    let refusal = match account.story {
        Story::Failing { why, .. } => Some(why.code()),
        _ => None,
    };
    sqlx::query_scalar!(
        "WITH structure AS (
           UPDATE structures SET next_technical_number = next_technical_number + 1
            WHERE id = (SELECT id FROM structures WHERE principal_manager_id = $1 ORDER BY designation, id OFFSET $2 LIMIT 1)
           RETURNING id, identifier, next_technical_number - 1 AS number
         )
         INSERT INTO technical_users (structure_id, number, login, label, status, created_at, created_by, password_hash,
                password_set_at, password_set_by, password_shown_at, password_exported_at, expires_at,
                last_call_at, last_call_address, last_call_software, last_refused_at, refused_since, last_refusal_reason,
                last_refusal_address, last_refusal_software)
         SELECT s.id, s.number, 'TECH_' || s.number || '_' || s.identifier || '@cpro.fr', $3,
                CASE WHEN $4 THEN 'SUSPENDED' ELSE 'ACTIVE' END, set_at, $5, $6, set_at, $5,
                CASE WHEN NOT $7 THEN set_at END, CASE WHEN NOT $7 THEN set_at + interval '20 seconds' END, expires_at,
                portal_now() - make_interval(hours => $10), $11, $12, portal_now() - r.last, portal_now() - r.first, $13::text,
                CASE WHEN $13 IS NOT NULL THEN $11 END, CASE WHEN $13 IS NOT NULL THEN $12 END
           FROM structure s, LATERAL (SELECT portal_now() + make_interval(days => $8) AS expires_at) e,
                LATERAL (SELECT least(portal_now(), expires_at - make_interval(days => $9)) AS set_at) t,
                LATERAL (SELECT make_interval(mins => $14) AS last, make_interval(mins => $15) AS first) r
         RETURNING id",
        manager_id,
        account.place,
        account.label,
        matches!(account.story, Story::Suspended { .. }),
        maker,
        hash.as_phc(),
        account.story == Story::NeverShown,
        account.days_left,
        lifetime_days,
        account.last_call.map(|call| call.hours_ago),
        account.last_call.map(|call| call.address),
        account.last_call.map(|call| call.software),
        refusal,
        refusal.map(|_| LAST_REFUSAL),
        refusal.map(|_| FIRST_REFUSAL),
    )
    .fetch_one(conn)
    .await
}

const DAY: i32 = 24 * 60;
/// Minutes since the last refused call of a failing account, and since the first one.
const LAST_REFUSAL: i32 = 25;
const FIRST_REFUSAL: i32 = 2 * DAY;

/// The events of an account's past. `words` are the detail of what its story is about.
fn past(
    managers: DemoManagers,
    MadeAccount { account, maker, lifetime_days }: MadeAccount<'_>,
    account_id: i64,
    words: &str,
) -> Vec<DemoEvent> {
    let set = (lifetime_days - account.days_left).max(0) * DAY;
    let event = |minutes_ago: i32, actor_id, action, detail: &str| DemoEvent {
        minutes_ago: minutes_ago.max(0),
        actor_id,
        action,
        account_id,
        detail: detail.to_owned(),
    };
    let by = |id, minutes_ago, action, detail| event(minutes_ago, Some(id), action, detail);
    let is_reset = account.story == Story::FormerPasswordWorks;
    let created = if is_reset { set + 60 * DAY } else { set };
    let mut events = vec![by(maker, created, Action::TechnicalUserCreated, account.label)];
    if account.story != Story::NeverShown {
        events.push(by(maker, created - 1, Action::PasswordShown, ""));
        events.push(by(maker, created - 2, Action::PasswordExported, ""));
    }
    match account.story {
        Story::Usual | Story::NeverShown => {}
        Story::Suspended { days_ago } => {
            events.push(by(managers.present, days_ago * DAY, Action::TechnicalUserSuspended, ""));
        }
        Story::Failing { why, count } => {
            let software = account.last_call.map_or("", |call| call.software);
            events.push(event(FIRST_REFUSAL, None, Action::CallsRefused, &why.counted_by(1, software)));
            events.push(event(LAST_REFUSAL, None, Action::CallsRefused, &why.counted_by(count, software)));
        }
        Story::KnownToFormerManager => events.push(by(managers.former, 20 * DAY, Action::ManagerChanged, "")),
        Story::FormerPasswordWorks => {
            events.push(by(maker, set, Action::PasswordReset, Grace::ThreeDays.detail()));
            events.push(by(maker, set - 1, Action::PasswordShown, ""));
            events.push(by(maker, set - 2, Action::PasswordExported, ""));
        }
        Story::KnownToIntegrator { recipient } => {
            events.push(by(maker, set - 3, Action::HandoverMade, words));
            let opened = format!("Remis à «\u{202f}{recipient}\u{202f}»");
            events.push(event(set - DAY, None, Action::HandoverOpened, &opened));
        }
        Story::Restricted { days_ago, .. } => {
            events.push(by(managers.present, days_ago * DAY, Action::RestrictionsChanged, words));
        }
    }
    events
}

/// Records the events, the oldest first. The date of an event is the database's: the clock of this
/// transaction is moved for each, and back.
///
/// # Errors
/// Database errors.
pub async fn record_past(conn: &mut PgConnection, mut events: Vec<DemoEvent>) -> sqlx::Result<()> {
    events.sort_by_key(|event| std::cmp::Reverse(event.minutes_ago));
    let offset =
        sqlx::query_scalar!("SELECT current_setting('raccord.clock_offset', true)").fetch_one(&mut *conn).await?;
    let offset = offset.filter(|offset| !offset.is_empty()).unwrap_or_else(|| "0".into());
    for event in events {
        sqlx::query!(
            "SELECT set_config('raccord.clock_offset', ($1::text::interval - make_interval(mins => $2))::text, true)",
            offset,
            event.minutes_ago,
        )
        .fetch_one(&mut *conn)
        .await?;
        sqlx::query!(
            "INSERT INTO audit_events (actor_id, actor, address, action, structure_id, technical_user_id, subject, detail)
             SELECT u.id, coalesce(u.login, $5), CASE WHEN u.id IS NULL THEN a.last_call_address ELSE 'démonstration' END, $3,
                    a.structure_id, CASE WHEN $3 <> 'MANAGER_CHANGED' THEN a.id END,
                    CASE WHEN $3 <> 'MANAGER_CHANGED' THEN a.login
                         ELSE (SELECT p.login FROM structures s JOIN users p ON p.id = s.principal_manager_id WHERE s.id = a.structure_id) END, $4
               FROM technical_users a LEFT JOIN users u ON u.id = $1 WHERE a.id = $2",
            event.actor_id,
            event.account_id,
            event.action.code(),
            event.detail,
            if event.action == Action::HandoverOpened { LINK_HOLDER } else { UNIDENTIFIED_CALLER },
        )
        .execute(&mut *conn)
        .await?;
    }
    sqlx::query!("SELECT set_config('raccord.clock_offset', $1, true)", offset).fetch_one(conn).await?;
    Ok(())
}

/// Counts calls on the days of the accounts' past, up to their last call; then those that are
/// refused.
///
/// # Errors
/// Database errors.
pub async fn count_calls(conn: &mut PgConnection) -> sqlx::Result<()> {
    sqlx::query!(
        "INSERT INTO daily_calls (technical_user_id, day, accepted, refused)
         SELECT t.id, d.day::date,
                CASE WHEN d.day::date > t.last_day THEN 0
                     ELSE (CASE WHEN extract(isodow FROM d.day) > 5 THEN 8 ELSE 70 END) * (1 + t.id % 5) + (t.id * extract(doy FROM d.day)::int * 37) % 31 END,
                CASE WHEN d.day::date > t.last_day AND d.day::date >= t.refused_day THEN 24 + (t.id + extract(doy FROM d.day)::int * 7) % 9 ELSE 0 END
           FROM (SELECT id, (created_at AT TIME ZONE 'Europe/Paris')::date AS first_day,
                        (last_call_at AT TIME ZONE 'Europe/Paris')::date AS last_day,
                        (refused_since AT TIME ZONE 'Europe/Paris')::date AS refused_day,
                        (portal_now() AT TIME ZONE 'Europe/Paris')::date AS today
                   FROM technical_users WHERE last_call_at IS NOT NULL) t
          CROSS JOIN LATERAL generate_series(greatest(t.first_day, (date_trunc('month', t.today) - interval '13 months')::date)::timestamp,
                                             t.today::timestamp, interval '1 day') d (day)
          WHERE d.day::date <= t.last_day OR d.day::date >= t.refused_day"
    )
    .execute(&mut *conn)
    .await?;
    sqlx::query!("UPDATE portal_facts SET value = (portal_now()::date - 500)::text WHERE name = 'calls_counted_since'")
        .execute(conn)
        .await?;
    Ok(())
}

/// Keeps the manager before the present one as secondary manager of the structures whose passwords
/// they know.
///
/// # Errors
/// Database errors.
pub async fn keep_former_manager(conn: &mut PgConnection, former: i64) -> sqlx::Result<()> {
    sqlx::query!(
        "INSERT INTO memberships (user_id, structure_id, role)
         SELECT DISTINCT $1::bigint, structure_id, 'SECONDARY_MANAGER' FROM technical_users WHERE password_set_by = $1",
        former,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Invites a person to the structure at this place among the manager's.
///
/// # Errors
/// Database errors.
pub async fn invite(conn: &mut PgConnection, manager_id: i64, place: i64, person: &NewPerson) -> sqlx::Result<()> {
    let invited = registration::insert(&mut *conn, person, None).await?;
    sqlx::query!(
        "INSERT INTO memberships (user_id, structure_id, role, invited_as)
         SELECT $1, id, 'USER', $2 FROM structures WHERE principal_manager_id = $3 ORDER BY designation, id OFFSET $4 LIMIT 1",
        invited.ok_or(sqlx::Error::RowNotFound)?,
        person.contact_address().as_str(),
        manager_id,
        place,
    )
    .execute(conn)
    .await?;
    Ok(())
}
