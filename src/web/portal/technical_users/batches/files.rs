//! The files of a batch's passwords.

use zeroize::Zeroizing;

use crate::{
    db::technical_users::batches::export::{Export, ExportedAccount},
    pdf::PdfError,
    web::{
        edge::error::AppError,
        paths,
        portal::{
            export,
            technical_users::{
                restrictions_view::RestrictionsView,
                sheet::{SheetIssue, SheetSubject},
            },
        },
    },
};

/// One page an account, behind a cover that lists them.
pub fn sheets(public_url: &str, batch_id: i64, opened: &Export) -> Result<Zeroizing<Vec<u8>>, PdfError> {
    let accounts = &opened.accounts;
    let restrictions: Vec<Option<RestrictionsView>> =
        accounts.iter().map(|account| account.restrictions.as_ref().map(RestrictionsView::from)).collect();
    let subjects: Vec<SheetSubject<'_>> = accounts
        .iter()
        .zip(&restrictions)
        .map(|(account, restrictions)| subject(account, restrictions.as_ref()))
        .collect();
    SheetIssue::new(public_url, opened.at).render_group(&format!("lot n°\u{a0}{batch_id}"), &subjects)
}

fn subject<'a>(account: &'a ExportedAccount, restrictions: Option<&'a RestrictionsView>) -> SheetSubject<'a> {
    SheetSubject {
        login: &account.login,
        label: account.label.as_deref(),
        password: &account.password,
        contact_address: &account.contact_address,
        expires_at: account.expires_at,
        identifier_type: account.identifier_type,
        identifier: &account.identifier,
        card: &account.card,
        restrictions,
    }
}

/// One line an account, for a program or a spreadsheet.
pub fn csv(public_url: &str, opened: &Export) -> Result<Zeroizing<Vec<u8>>, AppError> {
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
    let rows = opened.accounts.iter().map(|account| {
        [
            account.identifier_type.code().to_owned(),
            account.identifier.clone(),
            account.card.designation.clone(),
            account.label.clone().unwrap_or_default(),
            account.login.clone(),
            account.password.expose().to_owned(),
            export::instant(account.expires_at),
            public_url.to_owned(),
            token_url.clone(),
        ]
    });
    export::whole(head, rows)
}
