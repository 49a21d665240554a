//! The second factors of people, and their recovery codes.

use data_encoding::HEXLOWER;
use sqlx::{PgConnection, PgExecutor, PgPool};
use time::OffsetDateTime;

use super::{
    locks, mailboxes,
    provider_identities::{self, EndedIdentities},
    sessions::{self, Kept},
};
use crate::{
    db::{
        audit::{self, Event, frequent},
        throttles::{self, Begun, Counted, Key, RateLimit, Scope, Source},
        transaction,
    },
    domain::{
        audit::{Action, Actor},
        envelope::SessionSecret,
        known_browser::Epoch,
        notification::{Notification, SecondFactorChange},
        second_factor::SealedSecret,
        session_lifetime,
    },
};

/// Wrong codes after which the person is mailed, once an hour: whoever gives them knows the
/// person's password.
const WRONG_CODES: RateLimit = RateLimit { most: 5, minutes: 60 };

/// How often a person may begin a set-up, and have new recovery codes. Each ends in an event that
/// is kept for good and a mail.
const SETUPS: RateLimit = RateLimit { most: 10, minutes: 60 };
const RENEWALS_OF_CODES: RateLimit = RateLimit { most: 10, minutes: 60 };

/// A person's second factor.
#[derive(Clone, Debug)]
pub struct SecondFactor {
    pub secret: SealedSecret,
    /// Since when sign-in asks for a code; `None` while the person sets it up.
    pub confirmed_at: Option<OffsetDateTime>,
    /// Recovery codes that are not used.
    pub codes_left: i64,
    /// The database's time in seconds since 1970, against which codes are checked.
    pub now: u64,
}

/// A person's second factor, in force or, for [`session_lifetime::SECOND_FACTOR_SETUP`], being set
/// up in this session. In another one, another person may have begun the set-up.
///
/// # Errors
/// Database errors.
pub async fn find(
    executor: impl PgExecutor<'_>,
    user_id: i64,
    session: Option<&SessionSecret>,
) -> sqlx::Result<Option<SecondFactor>> {
    let row = sqlx::query!(
        r#"SELECT sealed, key_id, confirmed_at, extract(epoch FROM portal_now())::bigint AS "now!",
                  (SELECT count(*) FROM recovery_codes r WHERE r.user_id = f.user_id AND used_at IS NULL) AS "codes_left!"
             FROM second_factors f
            WHERE user_id = $1
              AND (confirmed_at IS NOT NULL
                   OR created_at > portal_now() - $2::interval
                  AND made_in = (SELECT public_id FROM sessions s WHERE s.id_hash = $3 AND s.user_id = $1))"#,
        user_id,
        session_lifetime::SECOND_FACTOR_SETUP as _,
        session.map(SessionSecret::digest),
    )
    .fetch_optional(executor)
    .await?;
    Ok(row.map(|row| SecondFactor {
        secret: SealedSecret { key_id: row.key_id, bytes: row.sealed },
        confirmed_at: row.confirmed_at,
        codes_left: row.codes_left,
        now: row.now.unsigned_abs(),
    }))
}

/// Begins the set-up with a new secret, in place of one that another session began. A second factor
/// in force stays as it is. Does nothing where the session `current` has ended, and where the
/// person began too many: then the seconds to wait.
///
/// # Errors
/// Database errors.
pub async fn begin(
    pool: &PgPool,
    user_id: i64,
    current: &SessionSecret,
    secret: &SealedSecret,
) -> sqlx::Result<Option<u32>> {
    let mut tx = transaction::begin(pool).await?;
    let Some(made_in) = locks::person_in_session(&mut tx, user_id, current).await? else { return Ok(None) };
    if let Some(seconds) = throttles::consume(&mut tx, key_of_setups(user_id), SETUPS).await? {
        return Ok(Some(seconds));
    }
    sqlx::query!(
        "INSERT INTO second_factors (user_id, sealed, key_id, made_in) VALUES ($1, $2, $3, $4)
         ON CONFLICT (user_id) DO UPDATE SET sealed = $2, key_id = $3, made_in = $4, created_at = portal_now()
          WHERE second_factors.confirmed_at IS NULL",
        user_id,
        secret.bytes,
        secret.key_id,
        made_in,
    )
    .execute(&mut *tx)
    .await?;
    tx.commit().await?;
    Ok(None)
}

fn key_of_setups(user_id: i64) -> Key {
    Scope::SecondFactorSetup.key(&user_id.to_string(), "")
}

/// Lets a person begin a set-up at once who has taken their account back: another person may have
/// begun as many as there may be, and the portal may ask for one.
pub(super) async fn forget_setups(conn: &mut PgConnection, user_id: i64) -> sqlx::Result<()> {
    throttles::reset(conn, &key_of_setups(user_id)).await
}

/// The end of a set-up: a code of the application was right.
pub struct Confirmation<'a> {
    pub user_id: i64,
    /// The session that stays; all others of the person end.
    pub kept: Kept<'a>,
    pub secret: &'a SealedSecret,
    /// The time step of the code.
    pub step: i64,
    pub recovery_hashes: &'a [Vec<u8>],
}

/// Puts a second factor in force. Other sessions end, for they were begun without it, and so do
/// those of sign-ins at this moment, and the marks of known browsers: the new epoch. `None` where
/// one is in force already, the set-up was begun again meanwhile, perhaps in another session, or
/// the session that is kept has ended.
///
/// # Errors
/// Database errors.
pub async fn confirm(pool: &PgPool, actor: &Actor, confirmation: Confirmation<'_>) -> sqlx::Result<Option<Epoch>> {
    let Confirmation { user_id, kept, secret, step, recovery_hashes } = confirmation;
    let mut tx = transaction::begin(pool).await?;
    let Some(made_in) = locks::person_in_session(&mut tx, user_id, kept.current).await? else { return Ok(None) };
    let confirmed = sqlx::query!(
        "UPDATE second_factors SET confirmed_at = portal_now(), last_step = $3
          WHERE user_id = $1 AND sealed = $2 AND made_in = $4 AND confirmed_at IS NULL",
        user_id,
        secret.bytes,
        step,
        made_in,
    )
    .execute(&mut *tx)
    .await?;
    if confirmed.rows_affected() == 0 {
        return Ok(None);
    }
    replace_codes(&mut tx, user_id, recovery_hashes).await?;
    let epoch = sessions::end_all_but(&mut tx, actor, user_id, kept).await?;
    audit::record(&mut tx, Event::of(actor, Action::SecondFactorEnabled)).await?;
    announce(&mut tx, actor, user_id, SecondFactorChange::Enabled).await?;
    tx.commit().await?;
    Ok(Some(epoch))
}

/// Whether a code may be tried now.
#[derive(Clone, Debug)]
pub enum Attempt {
    /// Too many were wrong: seconds to wait.
    Wait(u32),
    /// The second factor in force, if there is one.
    Check(Option<CodeAttempt>),
}

/// An attempt to give a code. It counts as failed until [`use_step`] or [`use_recovery_code`]
/// takes it back.
#[derive(Clone, Debug)]
pub struct CodeAttempt {
    pub user_id: i64,
    pub factor: SecondFactor,
    counted: Counted,
}

/// Where codes are counted together.
#[derive(Clone, Copy)]
pub enum CodePlace<'a> {
    /// At sign-in: six digits are few, so guesses count together from everywhere, except those from
    /// a browser in which the person has signed in before. Its mark is of the present second
    /// factor: each change of the factor begins another epoch.
    SignIn(&'a Source),
    /// A session of the person, in which they have given their password again.
    Session(&'a SessionSecret),
}

impl CodePlace<'_> {
    fn keys(self, user_id: i64) -> Vec<Key> {
        let key = |place: &str| Scope::SecondFactor.key(&user_id.to_string(), place);
        match self {
            Self::SignIn(Source::Address(_)) => vec![key("")],
            Self::SignIn(Source::KnownBrowser(number)) => throttles::keys_of_browser(number, key),
            Self::Session(session) => vec![key(&format!("session {}", HEXLOWER.encode(&session.digest())))],
        }
    }
}

/// Counts an attempt to give a code, before it is checked.
///
/// # Errors
/// Database errors.
pub async fn attempt(pool: &PgPool, user_id: i64, place: CodePlace<'_>) -> sqlx::Result<Attempt> {
    let counted = match throttles::begin_alone(pool, place.keys(user_id)).await? {
        Begun::Wait(seconds) => return Ok(Attempt::Wait(seconds)),
        Begun::Counted(counted) => counted,
    };
    let factor = find(pool, user_id, None).await?.filter(|factor| factor.confirmed_at.is_some());
    Ok(Attempt::Check(factor.map(|factor| CodeAttempt { user_id, factor, counted })))
}

impl CodeAttempt {
    /// Where it is counted, to be taken back if it cannot be judged.
    pub fn counted(&self) -> &Counted {
        &self.counted
    }
}

/// Records a wrong code, which was counted before it was checked. After several, the person is
/// mailed.
///
/// # Errors
/// Database errors.
pub async fn record_wrong_code(pool: &PgPool, actor: &Actor, user_id: i64, place: CodePlace<'_>) -> sqlx::Result<()> {
    let event = match place {
        CodePlace::SignIn(_) => {
            let detail = "code de vérification";
            Event { subject: &actor.name, detail, ..Event::of(actor, Action::SignInFailed) }
        }
        CodePlace::Session(_) => Event::of(actor, Action::IdentityNotConfirmed),
    };
    let mut tx = transaction::begin(pool).await?;
    let key = Scope::WrongCode.key(&user_id.to_string(), "");
    if throttles::reaches(&mut tx, key, WRONG_CODES).await? {
        let person = named(&mut tx, user_id).await?;
        let (login, address, at) = (person.login, actor.address.clone(), person.at);
        let notice = Notification::WrongCodes { login, address, at };
        mailboxes::tell(&mut tx, actor, user_id, &notice).await?;
    }
    frequent::record_or_count(&mut tx, event).await?;
    tx.commit().await
}

/// Uses up the code of a time step, and forgets the failures. False where it, or a later one, was
/// used already, or the second factor is another one by now.
///
/// # Errors
/// Database errors.
pub async fn use_step(pool: &PgPool, attempt: &CodeAttempt, step: i64) -> sqlx::Result<bool> {
    let mut tx = transaction::begin(pool).await?;
    locks::person(&mut tx, attempt.user_id).await?;
    let used = sqlx::query!(
        "UPDATE second_factors SET last_step = $2
          WHERE user_id = $1 AND last_step < $2 AND sealed = $3 AND confirmed_at IS NOT NULL",
        attempt.user_id,
        step,
        attempt.factor.secret.bytes,
    )
    .execute(&mut *tx)
    .await?;
    if used.rows_affected() == 0 {
        return Ok(false);
    }
    throttles::succeed(&mut tx, &attempt.counted).await?;
    tx.commit().await?;
    Ok(true)
}

/// Uses up a recovery code, and forgets the failures. False where it is none of the person's, or
/// was used already.
///
/// # Errors
/// Database errors.
pub async fn use_recovery_code(
    pool: &PgPool,
    actor: &Actor,
    attempt: &CodeAttempt,
    code_hash: &[u8],
) -> sqlx::Result<bool> {
    let mut tx = transaction::begin(pool).await?;
    locks::person(&mut tx, attempt.user_id).await?;
    let used = sqlx::query!(
        "UPDATE recovery_codes SET used_at = portal_now() WHERE user_id = $1 AND code_hash = $2 AND used_at IS NULL",
        attempt.user_id,
        code_hash,
    )
    .execute(&mut *tx)
    .await?;
    if used.rows_affected() == 0 {
        return Ok(false);
    }
    throttles::succeed(&mut tx, &attempt.counted).await?;
    audit::record(&mut tx, Event::of(actor, Action::RecoveryCodeUsed)).await?;
    tx.commit().await?;
    Ok(true)
}

/// What became of a renewal of the recovery codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CodesRenewal {
    Renewed,
    /// No second factor is in force, or the session has ended.
    NotInForce,
    /// The person has had too many: seconds to wait. Nothing was written.
    TooOften {
        seconds: u32,
    },
}

/// Gives a person new recovery codes in place of all older ones, from their session `current`.
///
/// # Errors
/// Database errors.
pub async fn renew_codes(
    pool: &PgPool,
    actor: &Actor,
    user_id: i64,
    current: &SessionSecret,
    code_hashes: &[Vec<u8>],
) -> sqlx::Result<CodesRenewal> {
    let mut tx = transaction::begin(pool).await?;
    if locks::person_in_session(&mut tx, user_id, current).await?.is_none()
        || !locks::asks_code(&mut tx, user_id).await?
    {
        return Ok(CodesRenewal::NotInForce);
    }
    let key = Scope::RecoveryCodes.key(&user_id.to_string(), "");
    if let Some(seconds) = throttles::consume(&mut tx, key, RENEWALS_OF_CODES).await? {
        return Ok(CodesRenewal::TooOften { seconds });
    }
    replace_codes(&mut tx, user_id, code_hashes).await?;
    audit::record(&mut tx, Event::of(actor, Action::RecoveryCodesRenewed)).await?;
    announce(&mut tx, actor, user_id, SecondFactorChange::CodesRenewed).await?;
    tx.commit().await?;
    Ok(CodesRenewal::Renewed)
}

/// Removes a person's second factor at their own wish, and ends their sessions but the one that is
/// kept, and the marks of known browsers: the new epoch. `None` where none was in force, or that
/// session has ended.
///
/// # Errors
/// Database errors.
pub async fn disable(pool: &PgPool, actor: &Actor, user_id: i64, kept: Kept<'_>) -> sqlx::Result<Option<Epoch>> {
    let mut tx = transaction::begin(pool).await?;
    if locks::person_in_session(&mut tx, user_id, kept.current).await?.is_none() || !remove(&mut tx, user_id).await? {
        return Ok(None);
    }
    let epoch = sessions::end_all_but(&mut tx, actor, user_id, kept).await?;
    audit::record(&mut tx, Event::of(actor, Action::SecondFactorDisabled)).await?;
    announce(&mut tx, actor, user_id, SecondFactorChange::Disabled).await?;
    tx.commit().await?;
    Ok(Some(epoch))
}

/// The outcome of the operator's reset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResetOutcome {
    Done(EndedIdentities),
    NoSuchPerson,
    NoSecondFactor,
}

/// Removes the second factor of a person who has lost it, and ends their sessions with their
/// envelopes and, where they have a password, their linked identities.
///
/// # Errors
/// Database errors.
pub async fn reset(pool: &PgPool, actor: &Actor, login: &str) -> sqlx::Result<ResetOutcome> {
    let mut tx = transaction::begin(pool).await?;
    let Some(user_id) = locks::named_person(&mut tx, login).await? else { return Ok(ResetOutcome::NoSuchPerson) };
    if !remove(&mut tx, user_id).await? {
        return Ok(ResetOutcome::NoSecondFactor);
    }
    sessions::end_all(&mut tx, actor, user_id).await?;
    let identities = provider_identities::forget_beside_password(&mut tx, user_id).await?;
    audit::record(&mut tx, Event { subject: login, ..Event::of(actor, Action::SecondFactorReset) }).await?;
    announce(&mut tx, actor, user_id, SecondFactorChange::Reset).await?;
    tx.commit().await?;
    Ok(ResetOutcome::Done(identities))
}

async fn remove(conn: &mut PgConnection, user_id: i64) -> sqlx::Result<bool> {
    sqlx::query!("DELETE FROM recovery_codes WHERE user_id = $1", user_id).execute(&mut *conn).await?;
    let removed = sqlx::query!("DELETE FROM second_factors WHERE user_id = $1 AND confirmed_at IS NOT NULL", user_id)
        .execute(conn)
        .await?;
    Ok(removed.rows_affected() == 1)
}

async fn replace_codes(conn: &mut PgConnection, user_id: i64, code_hashes: &[Vec<u8>]) -> sqlx::Result<()> {
    sqlx::query!("DELETE FROM recovery_codes WHERE user_id = $1", user_id).execute(&mut *conn).await?;
    sqlx::query!(
        "INSERT INTO recovery_codes (user_id, code_hash) SELECT $1, unnest($2::bytea[])",
        user_id,
        code_hashes,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// A person, and the time of what is being written about them.
struct Named {
    login: String,
    at: OffsetDateTime,
}

async fn named(conn: &mut PgConnection, user_id: i64) -> sqlx::Result<Named> {
    sqlx::query_as!(Named, r#"SELECT login, portal_now() AS "at!" FROM users WHERE id = $1"#, user_id)
        .fetch_one(conn)
        .await
}

/// Mails the person what changed about their second factor.
async fn announce(
    conn: &mut PgConnection,
    actor: &Actor,
    user_id: i64,
    change: SecondFactorChange,
) -> sqlx::Result<()> {
    let person = named(conn, user_id).await?;
    let notice = Notification::SecondFactorChanged { login: person.login, change, at: person.at };
    mailboxes::tell(conn, actor, user_id, &notice).await
}

/// Deletes set-ups that were never finished. A page may still show one for
/// [`session_lifetime::SECOND_FACTOR_SETUP`].
pub(in crate::db) async fn sweep(pool: &PgPool) -> sqlx::Result<()> {
    sqlx::query!(
        "DELETE FROM second_factors WHERE confirmed_at IS NULL AND created_at <= portal_now() - interval '1 hour'"
    )
    .execute(pool)
    .await?;
    Ok(())
}
