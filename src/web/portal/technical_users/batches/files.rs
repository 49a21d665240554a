//! The files of a batch's passwords.

use crate::{
    db::technical_users::batches::export::Export,
    domain::{age::Recipient, random},
    pdf::GroupName,
    web::{
        edge::error::AppError,
        portal::{
            export::{self, File},
            technical_users::{
                program_file::{ProgramLine, program_file},
                sheet::{self, SheetIssue},
            },
        },
    },
};

/// One page an account, behind a cover that lists them.
pub fn sheets(public_url: &str, batch_id: i64, opened: &Export) -> Result<File, AppError> {
    let accounts = opened.accounts.iter().map(|account| (&account.facts, &account.password));
    let issue = SheetIssue::new(public_url, opened.at);
    let sheets = sheet::group_of_sheets(&issue, GroupName::Batch(batch_id), accounts)?;
    Ok(sheet::file(&format!("lot-{batch_id}"), &sheets))
}

/// One line an account, for a program or a spreadsheet.
pub fn csv(public_url: &str, batch_id: i64, opened: &Export) -> Result<File, AppError> {
    let content = lines(public_url, opened)?;
    Ok(File { name: format!("raccord-lot-{batch_id}.csv"), media_type: export::CSV, content })
}

/// The same file, which the recipient alone can open.
pub fn encrypted_csv(public_url: &str, batch_id: i64, opened: &Export, recipient: Recipient) -> Result<File, AppError> {
    let content = recipient.encrypt(&lines(public_url, opened)?, &mut random::os_rng());
    Ok(File { name: format!("raccord-lot-{batch_id}.csv.age"), media_type: "application/octet-stream", content })
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
