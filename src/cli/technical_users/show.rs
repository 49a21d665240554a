//! `raccord technical-user show`.

use sqlx::PgPool;

use crate::{
    cli::{
        error::{CliError, Outcome},
        output::{Sheet, SheetForm},
    },
    db::technical_users::inventory::{self, InventoryFilter, InventoryRow},
};

/// Prints an account, also a deleted one.
///
/// # Errors
/// Where no account has this login.
pub async fn run(pool: &PgPool, login: &str, form: SheetForm) -> Result<Outcome, CliError> {
    let filter = InventoryFilter { login: Some(login), ..InventoryFilter::default() };
    let account = inventory::list(pool, filter).await?.pop().ok_or_else(|| CliError::no_such_account(login))?;
    sheet(&account).print(form)?;
    Ok(Outcome::Done)
}

fn sheet(account: &InventoryRow) -> Sheet {
    let networks = match account.network_rule.as_str() {
        "LIST" => account.networks.clone(),
        "LOCK" => vec!["the first address that calls".into()],
        _ => vec!["any".into()],
    };
    Sheet::of(account)
        .with("structure_active", account.is_structure_active)
        .with("manager", account.manager.clone())
        .with("created_at", account.created_at)
        .with("created_by", &account.created_by)
        .with("password_set_at", account.password_set_at)
        .with("password_shown_at", account.password_shown_at)
        .with("password_exported_at", account.password_exported_at)
        .with("password_known_to_a_former_manager", account.known_to_another)
        .with("former_password_ends_at", account.former_until)
        .with("last_call_address", account.last_call_address.clone())
        .with("last_call_software", account.last_call_software.clone())
        .with("last_refused_at", account.last_refused_at)
        .with("last_refusal_reason", account.last_refusal_reason.clone())
        .with("last_refusal_address", account.last_refusal_address.clone())
        .with("networks", networks)
        .with(
            "structures",
            if account.are_structures_chosen { "some, chosen by the manager" } else { "all of the manager's" },
        )
}
