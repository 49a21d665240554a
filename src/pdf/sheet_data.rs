//! The sheet's content.

use time::OffsetDateTime;

use crate::domain::password::Keeping;

/// The sheet's content. Dates and the identifier are already formatted in French.
///
/// Does not implement `Debug`, so that the password cannot be logged.
#[derive(Clone, Copy)]
pub struct ConnectionSheet<'a> {
    pub service_name: &'a str,
    /// Drawn exactly, on one line.
    pub login: &'a str,
    pub label: Option<&'a str>,
    /// Drawn exactly, on one line, over a ground that shows its groups.
    pub password: &'a str,
    pub contact_address: &'a str,
    /// The networks from which the account may call; `None`: every address.
    pub networks: Option<&'a str>,
    /// Which structures it opens; `None`: all of its manager's.
    pub structures: Option<&'a str>,
    pub structure_designation: &'a str,
    /// With its type: "SIRET 213 500 014 00019".
    pub structure_identifier: &'a str,
    /// One item per line of the postal address. Empty ones are left out.
    pub structure_address: &'a [&'a str],
    /// Base URL of the API.
    pub api_url: &'a str,
    /// Where programs get tokens.
    pub token_url: &'a str,
    pub documentation_url: &'a str,
    pub expires_on: &'a str,
    /// Until when the password before this one works; `None`: it does not.
    pub former_until: Option<&'a str>,
    pub keeping: Keeping,
    pub issued_on: &'a str,
    /// Date in the file's metadata.
    pub issued_at: OffsetDateTime,
}
