//! The files of a batch's passwords.

use axum::response::Response;
use zeroize::Zeroizing;

use crate::{
    db::technical_users::batches::export::Export,
    domain::{age::Recipient, random},
    pdf::GroupName,
    web::{
        edge::error::AppError,
        paths,
        portal::{
            export,
            technical_users::sheet::{self, SheetIssue},
        },
    },
};

/// One page an account, behind a cover that lists them.
pub fn sheets(public_url: &str, batch_id: i64, opened: &Export) -> Result<Zeroizing<Vec<u8>>, AppError> {
    let accounts = opened.accounts.iter().map(|account| (&account.facts, &account.password));
    sheet::group_of_sheets(&SheetIssue::new(public_url, opened.at), GroupName::Batch(batch_id), accounts)
}

/// One line an account, for a program or a spreadsheet.
pub fn csv(public_url: &str, batch_id: i64, opened: Export) -> Result<Response, AppError> {
    let lines = lines(public_url, opened)?;
    Ok(export::download(&format!("raccord-lot-{batch_id}.csv"), export::CSV, lines))
}

/// The same file, which the recipient alone can open.
pub fn encrypted_csv(
    public_url: &str,
    batch_id: i64,
    opened: Export,
    recipient: Recipient,
) -> Result<Response, AppError> {
    let file = recipient.encrypt(&lines(public_url, opened)?, &mut random::os_rng());
    Ok(export::download(&format!("raccord-lot-{batch_id}.csv.age"), "application/octet-stream", file))
}

fn lines(public_url: &str, opened: Export) -> Result<Vec<u8>, AppError> {
    let token_url = format!("{public_url}{}", paths::API_TOKEN);
    let head = [
        "Type d’identifiant",
        "Identifiant de la structure",
        "Structure",
        "Libellé",
        "Identifiant de connexion",
        "Mot de passe",
        "Échéance du mot de passe (heure de Paris)",
        "Adresse de l’API",
        "Adresse des jetons",
    ];
    let rows = opened.accounts.into_iter().map(|account| {
        [
            account.facts.identifier_type.code().to_owned(),
            account.facts.identifier,
            account.facts.card.designation,
            account.facts.label.unwrap_or_default(),
            account.facts.login,
            account.password.expose().to_owned(),
            export::instant(account.facts.expires_at),
            public_url.to_owned(),
            token_url.clone(),
        ]
    });
    export::whole(head, rows)
}
