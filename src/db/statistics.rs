//! How much of everything there is, for the operator.

use sqlx::PgPool;
use time::OffsetDateTime;

use crate::domain::technical_user::NEAR_EXPIRY_DAYS;

/// Numbers of one moment.
#[derive(Clone, Debug)]
pub struct Statistics {
    pub at: OffsetDateTime,
    pub people: i64,
    /// Registered, and have not signed in yet.
    pub people_invited: i64,
    pub people_disabled: i64,
    pub people_with_second_factor: i64,
    /// Who signed in within the last 30 days.
    pub people_of_30_days: i64,
    pub open_sessions: i64,
    pub structures: i64,
    /// That have, or had, a principal manager.
    pub structures_managed: i64,
    /// Of these, the active ones whose manager is disabled or has never signed in.
    pub structures_without_manager: i64,
    /// Without deleted ones.
    pub technical_users: i64,
    pub technical_users_active: i64,
    pub technical_users_expired: i64,
    /// Active ones whose password is near its expiry ([`NEAR_EXPIRY_DAYS`]).
    pub technical_users_expiring: i64,
    pub technical_users_suspended: i64,
    pub technical_users_deleted: i64,
    pub technical_users_failing: i64,
    /// That called within the last 30 days.
    pub technical_users_of_30_days: i64,
    pub technical_users_never_called: i64,
    /// Calls of today, by the calendar of Paris; written every five minutes.
    pub calls_today: i64,
    pub refusals_today: i64,
    pub calls_of_30_days: i64,
    pub refusals_of_30_days: i64,
    pub services: i64,
    pub mails_waiting: i64,
    pub oldest_mail_at: Option<OffsetDateTime>,
    pub mails_refused: i64,
    pub events: i64,
    pub database_bytes: i64,
}

/// Counts everything, in one snapshot.
///
/// # Errors
/// Database errors.
pub async fn read(pool: &PgPool) -> sqlx::Result<Statistics> {
    sqlx::query_as!(
        Statistics,
        r#"WITH day AS (SELECT (portal_now() AT TIME ZONE 'Europe/Paris')::date AS today),
           person AS (
               SELECT count(*) AS people, count(*) FILTER (WHERE person_state(disabled_at, way_in(id, password_hash), invited) = 'invited') AS invited,
                      count(*) FILTER (WHERE disabled_at IS NOT NULL) AS disabled FROM users),
           structure AS (
               SELECT count(*) AS structures, count(*) FILTER (WHERE s.managed) AS managed,
                      count(*) FILTER (WHERE s.managed AND s.active
                                         AND person_state(p.disabled_at, way_in(p.id, p.password_hash), p.invited) <> 'active') AS without_manager
                 FROM structures s LEFT JOIN users p ON p.id = s.principal_manager_id),
           account AS (
               SELECT count(*) FILTER (WHERE status <> 'DELETED') AS accounts,
                      count(*) FILTER (WHERE status = 'ACTIVE' AND expires_at > portal_now()) AS active,
                      count(*) FILTER (WHERE status = 'ACTIVE' AND expires_at <= portal_now()) AS expired,
                      count(*) FILTER (WHERE status = 'ACTIVE' AND expires_at > portal_now() AND expires_at < end_of_days($1)) AS expiring,
                      count(*) FILTER (WHERE status = 'SUSPENDED') AS suspended,
                      count(*) FILTER (WHERE status = 'DELETED') AS deleted,
                      count(*) FILTER (WHERE status <> 'DELETED' AND is_failing(last_refused_at, last_call_at, password_set_at)) AS failing,
                      count(*) FILTER (WHERE status <> 'DELETED' AND last_call_at > portal_now() - interval '30 days') AS of_30_days,
                      count(*) FILTER (WHERE status <> 'DELETED' AND last_call_at IS NULL) AS never_called
                 FROM technical_users),
           calls AS (
               SELECT coalesce(sum(accepted) FILTER (WHERE day = today), 0)::bigint AS accepted_today,
                      coalesce(sum(refused) FILTER (WHERE day = today), 0)::bigint AS refused_today,
                      coalesce(sum(accepted), 0)::bigint AS accepted, coalesce(sum(refused), 0)::bigint AS refused
                 FROM daily_calls, day WHERE daily_calls.day > today - 30),
           mail AS (
               SELECT count(*) FILTER (WHERE sent_at IS NULL) AS waiting, min(created_at) FILTER (WHERE sent_at IS NULL) AS oldest,
                      count(refused_at) AS refused FROM mails)
           SELECT portal_now() AS "at!", person.people AS "people!", person.invited AS "people_invited!", person.disabled AS "people_disabled!",
                  (SELECT count(*) FROM second_factors WHERE confirmed_at IS NOT NULL) AS "people_with_second_factor!",
                  (SELECT count(DISTINCT actor_id) FROM audit_events
                    WHERE action = 'SIGNED_IN' AND at > portal_now() - interval '30 days') AS "people_of_30_days!",
                  (SELECT count(*) FROM sessions WHERE user_id IS NOT NULL) AS "open_sessions!",
                  structure.structures AS "structures!", structure.managed AS "structures_managed!",
                  structure.without_manager AS "structures_without_manager!",
                  account.accounts AS "technical_users!", account.active AS "technical_users_active!",
                  account.expired AS "technical_users_expired!", account.expiring AS "technical_users_expiring!",
                  account.suspended AS "technical_users_suspended!", account.deleted AS "technical_users_deleted!",
                  account.failing AS "technical_users_failing!", account.of_30_days AS "technical_users_of_30_days!",
                  account.never_called AS "technical_users_never_called!",
                  calls.accepted_today AS "calls_today!", calls.refused_today AS "refusals_today!",
                  calls.accepted AS "calls_of_30_days!", calls.refused AS "refusals_of_30_days!",
                  (SELECT count(*) FROM services) AS "services!",
                  mail.waiting AS "mails_waiting!", mail.oldest AS oldest_mail_at, mail.refused AS "mails_refused!",
                  (SELECT count(*) FROM audit_chain) AS "events!", pg_database_size(current_database()) AS "database_bytes!"
             FROM person, structure, account, calls, mail"#,
        NEAR_EXPIRY_DAYS,
    )
    .fetch_one(pool)
    .await
}
