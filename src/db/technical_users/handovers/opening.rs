//! Opens a link, once. All else that presents it is counted, and may be an alarm.

use std::time::Duration;

use rand::CryptoRng;
use sqlx::{PgConnection, PgPool};
use time::OffsetDateTime;
use tokio::task;

use super::{
    LinkState, Row,
    ending::{self, Account},
    lock, read,
};
use crate::{
    db::{
        outbox::{self, Cause},
        transaction,
    },
    domain::{
        audit::{Action, Actor},
        envelope,
        handover::{CodeSalt, HandoverKey, HandoverSubject, LinkSecret, MOST_ALARMS, MOST_TRIES, Refusal},
        notification::{HandoverNotice, LinkEvent, Notification},
        password::Password,
        random,
        structure_identifier::IdentifierType,
        territory::Territory,
    },
};

/// Accounts that a mail names.
const MOST_NAMED: usize = 10;

/// What the page of a link says before it is opened, or once it is over. Nothing in it is secret.
#[derive(Clone, Debug)]
pub struct LinkPage {
    /// The full name of the manager who made it.
    pub sender: String,
    pub recipient: String,
    pub made_at: OffsetDateTime,
    pub expires_at: OffsetDateTime,
    /// What it would open; once it is over, what it was of.
    pub accounts: Vec<NamedAccount>,
    pub needs_code: bool,
    /// Codes that may still be tried.
    pub tries_left: i32,
    pub state: LinkState,
}

/// An account, without its login.
#[derive(Clone, Debug)]
pub struct NamedAccount {
    pub label: Option<String>,
    /// The structure's name.
    pub structure: String,
}

/// What the link with this secret is of; `None` where there is no such link. Changes nothing.
///
/// # Errors
/// Database errors.
pub async fn find(pool: &PgPool, link: &LinkSecret) -> sqlx::Result<Option<LinkPage>> {
    let mut conn = pool.acquire().await?;
    let Some(id) = id_of(&mut conn, link).await? else { return Ok(None) };
    let row = read(&mut *conn, id).await?;
    let accounts = sqlx::query_as!(
        NamedAccount,
        r#"SELECT t.label, s.designation AS structure
             FROM handed_over_passwords p JOIN technical_users t ON t.id = p.technical_user_id JOIN structures s ON s.id = t.structure_id
            WHERE p.handover_id = $1
              AND (NOT $2 OR EXISTS (SELECT FROM openable_passwords o WHERE o.technical_user_id = t.id AND o.handover_id = $1))
            ORDER BY s.search_text, s.id, t.number"#,
        id,
        row.state() == LinkState::Waiting,
    )
    .fetch_all(&mut *conn)
    .await?;
    Ok(Some(LinkPage {
        state: row.state(),
        sender: row.made_by,
        recipient: row.recipient,
        made_at: row.made_at,
        expires_at: row.expires_at,
        accounts,
        needs_code: row.has_code,
        tries_left: (MOST_TRIES - row.tries).max(0),
    }))
}

async fn id_of(conn: &mut PgConnection, link: &LinkSecret) -> sqlx::Result<Option<i64>> {
    sqlx::query_scalar!("SELECT id FROM handovers WHERE token_hash = $1", link.digest()).fetch_optional(conn).await
}

/// Counts a code that will be tried at the link, before it is judged: of codes that are tried at
/// once, no more than [`MOST_TRIES`] are. The salt for its hash; `None` where none may be tried.
///
/// # Errors
/// Database errors.
pub async fn count_try(pool: &PgPool, link: &LinkSecret) -> sqlx::Result<Option<CodeSalt>> {
    let salt = sqlx::query_scalar!(
        r#"UPDATE handovers SET tries = tries + 1, tried_at = portal_now()
            WHERE token_hash = $1 AND code_salt IS NOT NULL AND tries < $2
              AND opened_at IS NULL AND ended_at IS NULL AND expires_at > portal_now()
           RETURNING code_salt AS "code_salt!""#,
        link.digest(),
        MOST_TRIES,
    )
    .fetch_optional(pool)
    .await?;
    Ok(salt.and_then(|salt| salt.try_into().ok()))
}

/// Takes a counted try back that could not be judged.
///
/// # Errors
/// Database errors.
pub async fn give_try_back(pool: &PgPool, link: &LinkSecret) -> sqlx::Result<()> {
    sqlx::query!(
        "UPDATE handovers SET tries = tries - 1 WHERE token_hash = $1 AND tries > 0 AND opened_at IS NULL AND ended_at IS NULL",
        link.digest(),
    )
    .execute(pool)
    .await?;
    Ok(())
}

/// Whoever presents a link.
#[derive(Clone, Copy, Debug)]
pub struct Opener<'a> {
    pub actor: &'a Actor,
    /// The name of the browser.
    pub software: &'a str,
    /// Of the page that would show the passwords, and by which it may export them.
    pub page_nonce: &'a str,
}

/// What became of a link that was presented.
pub enum Opening {
    /// The passwords, shown to this request and no other.
    Opened {
        passwords: Vec<OpenedPassword>,
        until: OffsetDateTime,
    },
    WrongCode,
    /// It opens nothing, or nothing any more. [`find`] tells why.
    Over,
}

/// A password that was handed over, with what its page says.
pub struct OpenedPassword {
    pub technical_user_id: i64,
    pub login: String,
    pub label: Option<String>,
    /// The structure's name.
    pub structure: String,
    pub identifier_type: String,
    pub identifier: String,
    pub expires_at: OffsetDateTime,
    /// Where the structure is, if its clocks are not those of Paris.
    pub territory: Option<Territory>,
    /// Until when the password before this one works; `None`: it does not.
    pub former_until: Option<OffsetDateTime>,
    pub password: Password,
}

/// Opens the link. Of all requests, one gets the passwords; `key` is `None` where no code may be
/// tried. They are sealed again for the page of that one, which may export them for as long as a
/// récapitulatif; the link opens nothing from then on.
///
/// # Errors
/// Database errors.
pub async fn open(
    pool: &PgPool,
    opener: Opener<'_>,
    link: &LinkSecret,
    key: Option<&HandoverKey>,
    rng: &mut (impl CryptoRng + Send),
) -> sqlx::Result<Opening> {
    let mut tx = transaction::begin(pool).await?;
    let Some(id) = id_of(&mut tx, link).await? else { return Ok(Opening::Over) };
    lock(&mut tx, id).await?;
    let row = read(&mut *tx, id).await?;
    // Of the last try, too, the code is judged.
    let can_open = row.ended_by.is_none() && row.opened_at.is_none() && !row.is_over && row.is_openable;
    let Some(key) = key.filter(|_| can_open) else {
        refuse(&mut tx, id, &row, opener).await?;
        tx.commit().await?;
        return Ok(Opening::Over);
    };
    let Some(passwords) = open_all(&mut tx, id, key).await? else {
        let is_over = row.tries >= MOST_TRIES;
        if is_over {
            end_by_wrong_codes(&mut tx, id, &row, opener).await?;
            tx.commit().await?;
        }
        return Ok(if is_over || !row.has_code { Opening::Over } else { Opening::WrongCode });
    };
    let until = mark_opened(&mut tx, id, opener).await?;
    for (opened, subject) in &passwords {
        let sealed = HandoverKey::of_page(opener.page_nonce).seal(&opened.password, *subject, rng);
        put_for_page(&mut tx, *subject, &sealed).await?;
    }
    tell(&mut tx, id, &row, opener, LinkEvent::Opened).await?;
    tx.commit().await?;
    Ok(Opening::Opened { passwords: passwords.into_iter().map(|(opened, _)| opened).collect(), until })
}

/// The passwords that the key opens; `None` where it does not open all that are worth something.
pub(super) async fn open_all(
    conn: &mut PgConnection,
    handover_id: i64,
    key: &HandoverKey,
) -> sqlx::Result<Option<Vec<(OpenedPassword, HandoverSubject)>>> {
    let rows = sqlx::query!(
        r#"SELECT o.technical_user_id AS "technical_user_id!", o.credential_version AS "credential_version!", o.sealed AS "sealed!",
                  t.login, t.label, s.designation, s.identifier_type AS "identifier_type: IdentifierType", s.identifier, t.expires_at,
                  f.ends_at AS "former_until?", s.postal_code
             FROM openable_passwords o JOIN technical_users t ON t.id = o.technical_user_id JOIN structures s ON s.id = t.structure_id
             LEFT JOIN former_passwords f ON f.technical_user_id = t.id AND f.ends_at > portal_now()
            WHERE o.handover_id = $1 ORDER BY s.search_text, s.id, t.number"#,
        handover_id,
    )
    .fetch_all(conn)
    .await?;
    let mut opened = Vec::with_capacity(rows.len());
    for row in rows {
        let (technical_user_id, credential_version) = (row.technical_user_id, row.credential_version);
        let subject = HandoverSubject { handover_id, technical_user_id, credential_version };
        let Some(password) = key.open(&row.sealed, subject) else { return Ok(None) };
        let account = OpenedPassword {
            password,
            technical_user_id,
            login: row.login,
            label: row.label,
            structure: row.designation,
            territory: Territory::of_structure(row.identifier_type, &row.postal_code),
            identifier_type: row.identifier_type.code().to_owned(),
            identifier: row.identifier,
            expires_at: row.expires_at,
            former_until: row.former_until,
        };
        opened.push((account, subject));
        // There may be a thousand: others of this thread have their turn between two.
        task::yield_now().await;
    }
    Ok(Some(opened))
}

async fn mark_opened(conn: &mut PgConnection, handover_id: i64, opener: Opener<'_>) -> sqlx::Result<OffsetDateTime> {
    ending::destroy(conn, handover_id).await?;
    sqlx::query_scalar!(
        r#"UPDATE handovers SET opened_at = portal_now(), opened_address = $2, opened_software = $3,
                  page_nonce_hash = $4, page_ends_at = portal_now() + $5::interval
            WHERE id = $1 RETURNING page_ends_at AS "page_ends_at!""#,
        handover_id,
        opener.actor.address,
        opener.software,
        random::digest(opener.page_nonce),
        envelope::LIFETIME as _,
    )
    .fetch_one(conn)
    .await
}

async fn put_for_page(conn: &mut PgConnection, subject: HandoverSubject, sealed: &[u8]) -> sqlx::Result<()> {
    sqlx::query!(
        "UPDATE handed_over_passwords SET sealed = $3, opened_at = portal_now()
          WHERE technical_user_id = $1 AND credential_version = $2",
        subject.technical_user_id,
        subject.credential_version,
        sealed,
    )
    .execute(conn)
    .await?;
    Ok(())
}

async fn end_by_wrong_codes(
    conn: &mut PgConnection,
    handover_id: i64,
    row: &Row,
    opener: Opener<'_>,
) -> sqlx::Result<()> {
    sqlx::query!("UPDATE handovers SET ended_at = portal_now(), ended_by = 'WRONG_CODES' WHERE id = $1", handover_id)
        .execute(&mut *conn)
        .await?;
    ending::destroy(conn, handover_id).await?;
    count_refusal(conn, handover_id, row, opener, Refusal::WrongCodes).await
}

/// Counts a link that was presented in vain. One whose passwords are worth nothing is left out.
async fn refuse(conn: &mut PgConnection, handover_id: i64, row: &Row, opener: Opener<'_>) -> sqlx::Result<()> {
    let why = match row.state() {
        LinkState::Opened { .. } => Refusal::Again,
        LinkState::Revoked => Refusal::Revoked,
        LinkState::Expired => Refusal::Expired,
        LinkState::WrongCodes if row.ended_by.is_some() => Refusal::WrongCodes,
        // The same form, sent twice perhaps: the code may be the right one.
        LinkState::WrongCodes if is_being_judged(conn, handover_id).await? => return Ok(()),
        // The process ended between the last try and its judgement.
        LinkState::WrongCodes => return end_by_wrong_codes(conn, handover_id, row, opener).await,
        LinkState::Waiting | LinkState::Worthless => return Ok(()),
    };
    count_refusal(conn, handover_id, row, opener, why).await
}

/// A code is judged within the time that a request may take.
const JUDGEMENT: Duration = Duration::from_secs(30);

/// Whether the last try may still be under way.
async fn is_being_judged(conn: &mut PgConnection, handover_id: i64) -> sqlx::Result<bool> {
    sqlx::query_scalar!(
        r#"SELECT coalesce(tried_at > portal_now() - $2::interval, false) AS "is!" FROM handovers WHERE id = $1"#,
        handover_id,
        JUDGEMENT as _,
    )
    .fetch_one(conn)
    .await
}

async fn count_refusal(
    conn: &mut PgConnection,
    handover_id: i64,
    row: &Row,
    opener: Opener<'_>,
    why: Refusal,
) -> sqlx::Result<()> {
    let is_due = sqlx::query_scalar!(
        r#"WITH due AS (
               SELECT alarms < $4 AND coalesce(alarmed_at <= portal_now() - interval '1 hour', true) AS is_due FROM handovers WHERE id = $1)
           UPDATE handovers h SET refusals = refusals + 1, last_refused_at = portal_now(), last_refused_address = $2, last_refusal = $3,
                  alarms = alarms + due.is_due::int, alarmed_at = CASE WHEN due.is_due THEN portal_now() ELSE alarmed_at END
             FROM due WHERE h.id = $1 RETURNING due.is_due AS "is_due!""#,
        handover_id,
        opener.actor.address,
        why.code(),
        MOST_ALARMS,
    )
    .fetch_one(&mut *conn)
    .await?;
    if is_due { tell(conn, handover_id, row, opener, LinkEvent::Refused(why)).await } else { Ok(()) }
}

/// Records what happened in the history of each account whose password is at stake, and mails the
/// principal managers.
async fn tell(
    conn: &mut PgConnection,
    handover_id: i64,
    row: &Row,
    opener: Opener<'_>,
    event: LinkEvent,
) -> sqlx::Result<()> {
    let accounts = ending::accounts(conn, handover_id).await?;
    let (action, why) = match event {
        LinkEvent::Opened => (Action::HandoverOpened, String::new()),
        LinkEvent::Refused(why) => (Action::HandoverRefused, format!(", {}", why.words())),
    };
    let detail = format!("Remis à «\u{202f}{}\u{202f}»{why}", row.recipient);
    ending::record(conn, opener.actor, action, &accounts, &detail).await?;
    let managers = sqlx::query!(
        "SELECT u.id, u.contact_address, array_agg(t.id) AS \"ids!\", portal_now() AS \"at!\"
           FROM technical_users t JOIN structures s ON s.id = t.structure_id JOIN users u ON u.id = s.principal_manager_id
          WHERE t.id = ANY ($1) GROUP BY u.id ORDER BY u.id",
        &accounts.iter().map(|account| account.id).collect::<Vec<_>>(),
    )
    .fetch_all(&mut *conn)
    .await?;
    for manager in managers {
        let of_manager: Vec<&Account> = accounts.iter().filter(|account| manager.ids.contains(&account.id)).collect();
        let notice = Notification::Handover(HandoverNotice {
            technical_user_id: match of_manager[..] {
                [only] => Some(only.id),
                _ => None,
            },
            accounts: of_manager.iter().take(MOST_NAMED).map(|account| account.name()).collect(),
            others: of_manager.len().saturating_sub(MOST_NAMED),
            recipient: row.recipient.clone(),
            made_at: row.made_at,
            at: manager.at,
            address: opener.actor.address.clone(),
            software: opener.software.to_owned(),
            event,
        });
        // Whoever hands over may open their own links, from any network.
        outbox::enqueue(conn, Cause::Person(manager.id), &manager.contact_address, &notice).await?;
    }
    Ok(())
}
