//! `raccord technical-user list`.

use sqlx::PgPool;

use super::arguments::ListAccounts;
use crate::{
    cli::{
        error::{CliError, Outcome},
        output::{Cell, Listed, Rows},
        structure_name,
    },
    db::technical_users::inventory::{self, InventoryFilter, InventoryRow},
    domain::technical_user::TechnicalUserStatus,
};

/// Prints the accounts.
///
/// # Errors
/// Where the structure is named wrongly, or the database or standard output cannot be used.
pub async fn run(pool: &PgPool, arguments: &ListAccounts, strict_siret: bool) -> Result<Outcome, CliError> {
    let structure = arguments.structure.as_deref();
    let structure = structure.map(|text| structure_name::read("--structure ", text, strict_siret)).transpose()?;
    let filter = InventoryFilter {
        login: None,
        structure: structure.as_ref(),
        expiring_days: arguments.expiring,
        idle_days: arguments.dormant,
        failing: arguments.failing,
        suspended: arguments.suspended,
    };
    Rows::of(&inventory::list(pool, filter).await?).print(arguments.form)?;
    Ok(Outcome::Done)
}

/// What the account is now: `active`, `expired`, `suspended` or `deleted`.
fn state(account: &InventoryRow) -> &'static str {
    match account.status {
        TechnicalUserStatus::Active if account.is_expired => "expired",
        TechnicalUserStatus::Active => "active",
        TechnicalUserStatus::Suspended => "suspended",
        TechnicalUserStatus::Deleted => "deleted",
    }
}

impl Listed<12> for InventoryRow {
    const NAMES: [&'static str; 12] = [
        "login",
        "label",
        "state",
        "structure",
        "designation",
        "contact_address",
        "days_left",
        "expires_at",
        "last_call_at",
        "used_at",
        "suspends_at",
        "failing",
    ];

    fn values(&self) -> [Cell; 12] {
        [
            (&self.login).into(),
            self.label.clone().into(),
            state(self).into(),
            self.identifier_type.reference(&self.identifier).into(),
            (&self.designation).into(),
            self.contact_address.clone().into(),
            self.days_left.into(),
            self.expires_at.into(),
            self.last_call_at.into(),
            self.used_at.into(),
            self.suspends_at.into(),
            self.is_failing.into(),
        ]
    }
}
