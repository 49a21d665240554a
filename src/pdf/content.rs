//! What the sheet says.

use time::OffsetDateTime;

/// What the sheet says. Dates and the identifier come already formatted for French readers.
///
/// It has no `Debug`, so that no log line can ever hold the password.
#[derive(Clone, Copy)]
pub struct ConnectionSheet<'a> {
    pub service_name: &'a str,
    /// Drawn exactly, on one line.
    pub login: &'a str,
    pub label: Option<&'a str>,
    /// Drawn exactly, on one line.
    pub password: &'a str,
    pub contact_address: &'a str,
    pub structure_designation: &'a str,
    /// With its type: "SIRET 213 500 014 00019".
    pub structure_identifier: &'a str,
    /// One item per line of the postal address; empty ones are left out.
    pub structure_address: &'a [&'a str],
    /// Where the platform's API answers, without `/api/oauth/token`.
    pub api_url: &'a str,
    pub expires_on: &'a str,
    pub issued_on: &'a str,
    /// Dates of the file itself.
    pub issued_at: OffsetDateTime,
}
