//! Restrictions of an account: its networks, and the structures that were chosen for it. Calls are
//! judged by them in the SQL functions that `db::api::authority` names.

use std::collections::HashMap;

use sqlx::{PgConnection, PgPool};
use time::OffsetDateTime;

use super::{ChangeError, ManagedTechnicalUser, begin};
use crate::{
    db::{
        api::{PresentedCredentials, tokens},
        audit::{self, Event},
        outbox,
        structures::ManagedStructure,
    },
    domain::{
        audit::{Action, Actor},
        notification::{Notification, RestrictionsNotice},
        restrictions::{NetworkRule, StructureChoice},
        structure_identifier::IdentifierType,
    },
};

/// What restricts an account.
#[derive(Clone, Debug)]
pub struct Restrictions {
    pub networks: NetworkRule,
    /// `None`: all structures of its manager.
    pub structures: Option<ChosenStructures>,
    /// Grows with each change by a manager.
    pub version: i32,
}

/// The structures that were chosen for an account.
#[derive(Clone, Debug)]
pub struct ChosenStructures {
    /// Those of which its manager is a member now, by name.
    pub within: Vec<Structure>,
    /// How many others were chosen. They open nothing.
    pub beyond: i64,
}

/// A structure, as pages show it.
#[derive(Clone, Debug)]
pub struct Structure {
    pub id: i64,
    pub designation: String,
    pub identifier_type: IdentifierType,
    pub identifier: String,
}

/// Reads the restrictions of an account.
///
/// # Errors
/// Database errors.
pub async fn read(pool: &PgPool, account: &ManagedTechnicalUser) -> sqlx::Result<Restrictions> {
    read_on(&mut *pool.acquire().await?, account.structure().manager_id(), account.id()).await
}

async fn read_on(conn: &mut PgConnection, manager_id: i64, technical_user_id: i64) -> sqlx::Result<Restrictions> {
    let stored = stored(conn, technical_user_id).await?;
    let structures = match stored.chosen {
        Some(ids) => Some(chosen(conn, manager_id, &ids).await?),
        None => None,
    };
    Ok(Restrictions { networks: stored.networks, structures, version: stored.version })
}

/// The restrictions of those of a manager's accounts that have any, by account.
pub(super) async fn of_accounts(
    conn: &mut PgConnection,
    manager_id: i64,
    ids: &[i64],
) -> sqlx::Result<HashMap<i64, Restrictions>> {
    let restricted = sqlx::query_scalar!(
        "SELECT id FROM technical_users WHERE id = ANY ($1) AND (network_rule <> 'ANY' OR structures_chosen)",
        ids,
    )
    .fetch_all(&mut *conn)
    .await?;
    let mut restrictions = HashMap::new();
    for id in restricted {
        restrictions.insert(id, read_on(conn, manager_id, id).await?);
    }
    Ok(restrictions)
}

/// The columns of the account, with all that was chosen for it.
struct Stored {
    networks: NetworkRule,
    chosen: Option<Vec<i64>>,
    version: i32,
}

async fn stored(conn: &mut PgConnection, technical_user_id: i64) -> sqlx::Result<Stored> {
    let row = sqlx::query!(
        r#"SELECT network_rule, networks::text[] AS "networks!", restrictions_version, structures_chosen,
                  ARRAY(SELECT structure_id FROM technical_user_structures WHERE technical_user_id = $1 ORDER BY 1) AS "ids!"
             FROM technical_users WHERE id = $1"#,
        technical_user_id,
    )
    .fetch_one(conn)
    .await?;
    let networks = NetworkRule::from_stored(&row.network_rule, &row.networks);
    // A rule that this version does not know must not look like none.
    let networks =
        networks.ok_or_else(|| sqlx::Error::Decode("a network rule that this version does not know".into()))?;
    let chosen = row.structures_chosen.then_some(row.ids);
    Ok(Stored { networks, chosen, version: row.restrictions_version })
}

async fn chosen(conn: &mut PgConnection, manager_id: i64, ids: &[i64]) -> sqlx::Result<ChosenStructures> {
    let within = of_member(conn, manager_id, ids).await?;
    let found = i64::try_from(ids.len().saturating_sub(within.len())).unwrap_or(i64::MAX);
    Ok(ChosenStructures { within, beyond: found })
}

/// Of these structures, those of which a person is a member, by name.
async fn of_member(conn: &mut PgConnection, user_id: i64, ids: &[i64]) -> sqlx::Result<Vec<Structure>> {
    sqlx::query_as!(
        Structure,
        r#"SELECT s.id, s.designation, s.identifier_type AS "identifier_type: IdentifierType", s.identifier
             FROM memberships m JOIN structures s ON s.id = m.structure_id
            WHERE m.user_id = $1 AND m.structure_id = ANY ($2) ORDER BY s.search_text, s.id"#,
        user_id,
        ids,
    )
    .fetch_all(conn)
    .await
}

/// Of these structures, those that the account's manager may choose, by name.
///
/// # Errors
/// Database errors.
pub async fn choosable(pool: &PgPool, account: &ManagedTechnicalUser, ids: &[i64]) -> sqlx::Result<Vec<Structure>> {
    let mut conn = pool.acquire().await?;
    of_member(&mut conn, account.structure().manager_id(), ids).await
}

/// A page of the structures that the account's manager may choose, by name, and how many there are.
///
/// # Errors
/// Database errors.
pub async fn page(
    pool: &PgPool,
    account: &ManagedTechnicalUser,
    search: &str,
    offset: i64,
    limit: i64,
) -> sqlx::Result<(Vec<Structure>, i64)> {
    let rows = sqlx::query!(
        r#"SELECT s.id, s.designation, s.identifier_type AS "identifier_type: IdentifierType", s.identifier,
                  count(*) OVER () AS "total!"
             FROM memberships m JOIN structures s ON s.id = m.structure_id
            WHERE m.user_id = $1
              AND ($2 = '' OR position((SELECT replace(search_key($2), ' ', '')) IN replace(s.search_text, ' ', '')) > 0
                   OR position((SELECT lower(regexp_replace($2, '\s', '', 'g'))) IN lower(s.identifier)) > 0)
            ORDER BY s.search_text, s.id OFFSET $3 LIMIT $4"#,
        account.structure().manager_id(),
        search,
        offset,
        limit,
    )
    .fetch_all(pool)
    .await?;
    let total = rows.first().map_or(0, |row| row.total);
    let rows = rows.into_iter().map(|row| Structure {
        id: row.id,
        designation: row.designation,
        identifier_type: row.identifier_type,
        identifier: row.identifier,
    });
    Ok((rows.collect(), total))
}

/// An address from which an account called with success.
#[derive(Clone, Debug)]
pub struct PastCaller {
    pub address: String,
    /// Right to the hour.
    pub last_call_at: OffsetDateTime,
}

/// The addresses from which the account called in the last 30 days, the latest first.
///
/// # Errors
/// Database errors.
pub async fn callers(pool: &PgPool, account: &ManagedTechnicalUser) -> sqlx::Result<Vec<PastCaller>> {
    sqlx::query_as!(
        PastCaller,
        r#"SELECT host(address) AS "address!", last_call_at FROM technical_user_callers
            WHERE technical_user_id = $1 AND last_call_at > portal_now() - interval '30 days'
            ORDER BY last_call_at DESC, address LIMIT 100"#,
        account.id(),
    )
    .fetch_all(pool)
    .await
}

/// Other restrictions for an account.
#[derive(Clone, Debug)]
pub struct Change<'a> {
    pub networks: &'a NetworkRule,
    pub structures: &'a StructureChoice,
    /// The version that the person saw.
    pub version: i32,
}

/// Restricts the account, or frees it. Does nothing if it is so already. Other networks end its
/// tokens, so that those that live were obtained inside the networks. Chosen structures of which
/// the manager is no member stay chosen.
///
/// # Errors
/// [`ChangeError`].
pub async fn change(
    pool: &PgPool,
    actor: &Actor,
    account: &ManagedTechnicalUser,
    change: &Change<'_>,
) -> Result<(), ChangeError> {
    let (mut tx, structure) = begin(pool, account).await?;
    let locked = sqlx::query!(
        "SELECT id FROM technical_users WHERE id = $1 AND status <> 'DELETED' FOR NO KEY UPDATE",
        account.id()
    );
    locked.fetch_optional(&mut *tx).await?.ok_or(ChangeError::Deleted)?;
    let before = stored(&mut tx, account.id()).await?;
    if before.version != change.version {
        return Err(ChangeError::RestrictedMeanwhile);
    }
    let mut changes = Vec::new();
    if before.networks != *change.networks {
        changes.push(format!("Réseaux autorisés\u{a0}: {} → {}", before.networks.words(), change.networks.words()));
        write_networks(&mut tx, account.id(), change.networks).await?;
    }
    changes.extend(change_structures(&mut tx, account, before.chosen, change.structures).await?);
    if changes.is_empty() {
        return Ok(());
    }
    let detail = changes.join("\u{202f}; ");
    let event = Event { detail: &detail, ..account.event(actor, Action::RestrictionsChanged) };
    audit::record(&mut tx, event).await?;
    notify(&mut tx, actor, (account, &structure), changes).await?;
    tx.commit().await?;
    Ok(())
}

async fn write_networks(conn: &mut PgConnection, technical_user_id: i64, rule: &NetworkRule) -> sqlx::Result<()> {
    sqlx::query!(
        "UPDATE technical_users SET network_rule = $2, networks = $3::text[]::cidr[],
                restrictions_version = restrictions_version + 1 WHERE id = $1",
        technical_user_id,
        rule.code(),
        &rule.cidrs(),
    )
    .execute(&mut *conn)
    .await?;
    if *rule != NetworkRule::Any {
        tokens::end_of_account(conn, technical_user_id).await?;
    }
    Ok(())
}

/// Returns the change in words; `None` where there is none.
async fn change_structures(
    conn: &mut PgConnection,
    account: &ManagedTechnicalUser,
    before: Option<Vec<i64>>,
    choice: &StructureChoice,
) -> Result<Option<String>, ChangeError> {
    let manager_id = account.structure().manager_id();
    let old = of_member(conn, manager_id, before.as_deref().unwrap_or_default()).await?;
    let new = of_member(conn, manager_id, choice.ids()).await?;
    if new.len() != choice.ids().len() {
        return Err(ChangeError::OutsideRights);
    }
    let is_same = before.is_some() == choice.is_chosen() && old.iter().map(|s| s.id).eq(new.iter().map(|s| s.id));
    if is_same {
        return Ok(None);
    }
    write_structures(conn, account, choice).await?;
    let words = |chosen: bool, structures: &[Structure]| {
        if chosen { in_words(structures) } else { "toutes celles du gestionnaire".to_owned() }
    };
    let (was, is) = (words(before.is_some(), &old), words(choice.is_chosen(), &new));
    Ok(Some(format!("Structures\u{a0}: {was} → {is}")))
}

async fn write_structures(
    conn: &mut PgConnection,
    account: &ManagedTechnicalUser,
    choice: &StructureChoice,
) -> sqlx::Result<()> {
    sqlx::query!(
        "UPDATE technical_users SET structures_chosen = $2, restrictions_version = restrictions_version + 1 WHERE id = $1",
        account.id(),
        choice.is_chosen(),
    )
    .execute(&mut *conn)
    .await?;
    sqlx::query!(
        "DELETE FROM technical_user_structures n WHERE technical_user_id = $1 AND NOT structure_id = ANY ($2)
            AND (NOT $3 OR EXISTS (SELECT FROM memberships m WHERE m.user_id = $4 AND m.structure_id = n.structure_id))",
        account.id(),
        choice.ids(),
        choice.is_chosen(),
        account.structure().manager_id(),
    )
    .execute(&mut *conn)
    .await?;
    sqlx::query!(
        "INSERT INTO technical_user_structures (technical_user_id, structure_id) SELECT $1, unnest($2::bigint[]) ORDER BY 2
         ON CONFLICT DO NOTHING",
        account.id(),
        choice.ids(),
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// The structures that the history names one by one.
const MOST_NAMED: usize = 10;

/// « 2 choisies (21690123100011, 21750001600019) ».
fn in_words(structures: &[Structure]) -> String {
    let count = structures.len();
    let named: Vec<_> = structures.iter().take(MOST_NAMED).map(|structure| structure.identifier.as_str()).collect();
    let more = if count > MOST_NAMED { format!(" et {} autres", count - MOST_NAMED) } else { String::new() };
    match count {
        0 => "aucune".into(),
        1 => format!("1 choisie ({})", named.join(", ")),
        _ => format!("{count} choisies ({}{more})", named.join(", ")),
    }
}

async fn notify(
    conn: &mut PgConnection,
    actor: &Actor,
    (account, structure): (&ManagedTechnicalUser, &ManagedStructure),
    changes: Vec<String>,
) -> sqlx::Result<()> {
    let at = sqlx::query_scalar!(r#"SELECT portal_now() AS "at!""#).fetch_one(&mut *conn).await?;
    let about = account.account();
    let notice = RestrictionsNotice {
        technical_user_id: about.id,
        login: about.login.clone(),
        label: about.label.clone(),
        structure: structure.designation().into(),
        identifier: structure.written_identifier(),
        actor: actor.name.clone(),
        at,
        changes,
    };
    outbox::enqueue(conn, actor, structure.contact_address(), &Notification::RestrictionsChanged(notice)).await
}

/// Makes the address of this call the account's only one, if its manager wants that of the first
/// call and the credentials are right. One of any number of calls at the same time does so. False
/// where nothing changed.
///
/// # Errors
/// Database errors.
pub async fn lock_on_first_call(pool: &PgPool, presented: &PresentedCredentials) -> sqlx::Result<bool> {
    let Some(address) = presented.address() else { return Ok(false) };
    let digests = presented.digests();
    let locked = sqlx::query!(
        "WITH locked AS (
             UPDATE technical_users t SET network_rule = 'LIST', networks = ARRAY[$3::text::inet::cidr]
               FROM credential_standing($1, $2) a WHERE t.id = a.technical_user_id AND t.network_rule = 'LOCK'
             RETURNING t.id, t.structure_id, t.login)
         INSERT INTO audit_events (actor, address, action, structure_id, technical_user_id, subject, detail)
         SELECT login, $3, $4, structure_id, id, login, $5 FROM locked",
        presented.token_hash(),
        digests.as_deref(),
        address,
        Action::NetworkLocked.code(),
        format!("Réseau autorisé\u{a0}: {address}"),
    )
    .execute(pool)
    .await?;
    Ok(locked.rows_affected() > 0)
}
