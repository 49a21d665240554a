//! `raccord stats`.

use sqlx::PgPool;

use super::{
    error::{CliError, Outcome},
    output::{Sheet, SheetForm},
};
use crate::db::statistics::{self, Statistics};

/// Prints how much of everything there is.
///
/// # Errors
/// Where the database or standard output cannot be used.
pub async fn run(pool: &PgPool, form: SheetForm) -> Result<Outcome, CliError> {
    sheet(&statistics::read(pool).await?).print(form)?;
    Ok(Outcome::Done)
}

fn sheet(now: &Statistics) -> Sheet {
    Sheet::default()
        .with("at", now.at)
        .with("people", now.people)
        .with("people_invited", now.people_invited)
        .with("people_disabled", now.people_disabled)
        .with("people_with_second_factor", now.people_with_second_factor)
        .with("people_signed_in_30_days", now.people_of_30_days)
        .with("open_sessions", now.open_sessions)
        .with("structures", now.structures)
        .with("structures_managed", now.structures_managed)
        .with("structures_without_manager", now.structures_without_manager)
        .with("technical_users", now.technical_users)
        .with("technical_users_active", now.technical_users_active)
        .with("technical_users_expired", now.technical_users_expired)
        .with("technical_users_expiring_60_days", now.technical_users_expiring)
        .with("technical_users_suspended", now.technical_users_suspended)
        .with("technical_users_deleted", now.technical_users_deleted)
        .with("technical_users_failing", now.technical_users_failing)
        .with("technical_users_called_30_days", now.technical_users_of_30_days)
        .with("technical_users_never_called", now.technical_users_never_called)
        .with("calls_accepted_today", now.calls_today)
        .with("calls_refused_today", now.refusals_today)
        .with("calls_accepted_30_days", now.calls_of_30_days)
        .with("calls_refused_30_days", now.refusals_of_30_days)
        .with("services", now.services)
        .with("mails_waiting", now.mails_waiting)
        .with("oldest_waiting_mail_at", now.oldest_mail_at)
        .with("mails_refused", now.mails_refused)
        .with("events", now.events)
        .with("database_bytes", now.database_bytes)
}
