//! The file for a program: logins and passwords as CSV, of a batch or of a link.

use time::OffsetDateTime;

use super::summary::cpro_account;
use crate::{
    domain::password::Password,
    web::{edge::error::AppError, paths, portal::export},
};

/// An account with its password.
pub struct ProgramLine<'a> {
    /// `SIRET`, `RIDET`…
    pub identifier_type: &'a str,
    pub identifier: &'a str,
    /// The structure's name.
    pub structure: &'a str,
    pub label: Option<&'a str>,
    pub login: &'a str,
    pub password: &'a Password,
    pub expires_at: OffsetDateTime,
}

/// One line an account.
pub fn program_file<'a>(
    public_url: &str,
    accounts: impl Iterator<Item = ProgramLine<'a>>,
) -> Result<Vec<u8>, AppError> {
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
        "En-tête cpro-account",
    ];
    let rows = accounts.map(|account| {
        [
            account.identifier_type.to_owned(),
            account.identifier.to_owned(),
            account.structure.to_owned(),
            account.label.unwrap_or_default().to_owned(),
            account.login.to_owned(),
            account.password.expose().to_owned(),
            export::instant(account.expires_at),
            public_url.to_owned(),
            token_url.clone(),
            cpro_account(account.login, account.password),
        ]
    });
    export::for_programs(head, rows)
}
