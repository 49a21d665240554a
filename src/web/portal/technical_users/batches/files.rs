//! The files of a batch's passwords.

use axum::response::Response;
use zeroize::Zeroizing;

use crate::{
    db::technical_users::batches::export::Export,
    domain::{age::Recipient, random},
    pdf::GroupName,
    web::{
        edge::error::AppError,
        portal::{
            export,
            technical_users::{
                program_file::{ProgramLine, program_file},
                sheet::{self, SheetIssue},
            },
        },
    },
};

/// One page an account, behind a cover that lists them.
pub fn sheets(public_url: &str, batch_id: i64, opened: &Export) -> Result<Zeroizing<Vec<u8>>, AppError> {
    let accounts = opened.accounts.iter().map(|account| (&account.facts, &account.password));
    sheet::group_of_sheets(&SheetIssue::new(public_url, opened.at), GroupName::Batch(batch_id), accounts)
}

/// One line an account, for a program or a spreadsheet.
pub fn csv(public_url: &str, batch_id: i64, opened: &Export) -> Result<Response, AppError> {
    let lines = lines(public_url, opened)?;
    Ok(export::download(&format!("raccord-lot-{batch_id}.csv"), export::CSV, lines))
}

/// The same file, which the recipient alone can open.
pub fn encrypted_csv(
    public_url: &str,
    batch_id: i64,
    opened: &Export,
    recipient: Recipient,
) -> Result<Response, AppError> {
    let file = recipient.encrypt(&lines(public_url, opened)?, &mut random::os_rng());
    Ok(export::download(&format!("raccord-lot-{batch_id}.csv.age"), "application/octet-stream", file))
}

fn lines(public_url: &str, opened: &Export) -> Result<Vec<u8>, AppError> {
    let accounts = opened.accounts.iter().map(|account| ProgramLine {
        identifier_type: account.facts.identifier_type.code(),
        identifier: &account.facts.identifier,
        structure: &account.facts.card.designation,
        label: account.facts.label.as_deref(),
        login: &account.facts.login,
        password: &account.password,
        expires_at: account.facts.expires_at,
    });
    program_file(public_url, accounts)
}
