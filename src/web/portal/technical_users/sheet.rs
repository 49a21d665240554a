//! The facts of « Informations de connexion », as the PDF shows them.

use time::OffsetDateTime;
use zeroize::Zeroizing;

use super::restrictions_view::RestrictionsView;
use crate::{
    domain::{password::Password, structure::StructureCard, structure_identifier::IdentifierType},
    french,
    pdf::{self, ConnectionSheet, PdfError, SheetGroup},
    web::{paths, shell::filters},
};

/// The name of the service on every sheet.
const SERVICE: &str = "Raccord";

/// An account and its password, for a sheet.
pub struct SheetSubject<'a> {
    pub login: &'a str,
    pub label: Option<&'a str>,
    pub password: &'a Password,
    pub contact_address: &'a str,
    pub expires_at: OffsetDateTime,
    pub identifier_type: IdentifierType,
    pub identifier: &'a str,
    pub card: &'a StructureCard,
    /// `None` where nothing restricts the account.
    pub restrictions: Option<&'a RestrictionsView>,
}

/// Where the API is, and when the sheets are issued.
pub struct SheetIssue {
    api_url: String,
    token_url: String,
    documentation_url: String,
    at: OffsetDateTime,
    issued_on: String,
}

impl SheetIssue {
    pub fn new(public_url: &str, at: OffsetDateTime) -> Self {
        Self {
            api_url: public_url.to_owned(),
            token_url: format!("{public_url}{}", paths::API_TOKEN),
            documentation_url: format!("{public_url}{}", paths::API_DOCUMENTATION),
            at,
            issued_on: french::moment(at),
        }
    }

    /// The sheet of one account.
    pub fn render(&self, subject: &SheetSubject<'_>) -> Result<Zeroizing<Vec<u8>>, PdfError> {
        let words = Words::of(subject);
        let address = words.address();
        pdf::render(&self.sheet(subject, &words, &address))
    }

    /// The sheets of several accounts, behind a cover that lists them under `name`.
    pub fn render_group(&self, name: &str, subjects: &[SheetSubject<'_>]) -> Result<Zeroizing<Vec<u8>>, PdfError> {
        let words: Vec<Words> = subjects.iter().map(Words::of).collect();
        let addresses: Vec<Vec<&str>> = words.iter().map(Words::address).collect();
        let with_words = subjects.iter().zip(&words).zip(&addresses);
        let sheets: Vec<ConnectionSheet<'_>> =
            with_words.map(|((subject, words), address)| self.sheet(subject, words, address)).collect();
        let issued_on = &self.issued_on;
        pdf::render_group(&SheetGroup { service_name: SERVICE, name, issued_on, issued_at: self.at, sheets: &sheets })
    }

    fn sheet<'a>(
        &'a self,
        subject: &SheetSubject<'a>,
        words: &'a Words,
        address: &'a [&'a str],
    ) -> ConnectionSheet<'a> {
        ConnectionSheet {
            service_name: SERVICE,
            login: subject.login,
            label: subject.label,
            password: subject.password.expose(),
            contact_address: subject.contact_address,
            networks: words.networks.as_deref(),
            structures: words.structures.as_deref(),
            structure_designation: &subject.card.designation,
            structure_identifier: &words.identifier,
            structure_address: address,
            api_url: &self.api_url,
            token_url: &self.token_url,
            documentation_url: &self.documentation_url,
            expires_on: &words.expires_on,
            issued_on: &self.issued_on,
            issued_at: self.at,
        }
    }
}

/// The subject's texts that are put together.
struct Words {
    identifier: String,
    address: Vec<String>,
    expires_on: String,
    networks: Option<String>,
    structures: Option<String>,
}

impl Words {
    fn of(subject: &SheetSubject<'_>) -> Self {
        let (networks, structures) = subject.restrictions.map(RestrictionsView::lines).unwrap_or_default();
        let identifier = filters::spaced_identifier(subject.identifier);
        Self {
            identifier: format!("{} {identifier}", subject.identifier_type.code()),
            address: postal_address(subject.card),
            expires_on: french::day(subject.expires_at),
            networks,
            structures,
        }
    }

    fn address(&self) -> Vec<&str> {
        self.address.iter().map(String::as_str).collect()
    }
}

/// A structure's postal address, line by line, without empty lines.
pub fn postal_address(card: &StructureCard) -> Vec<String> {
    let city = format!("{} {}", card.postal_code, card.city).trim().to_owned();
    let lines = [
        card.address_line.clone(),
        card.address_extra_1.clone(),
        card.address_extra_2.clone(),
        city,
        card.country.clone(),
    ];
    lines.into_iter().filter(|line| !line.is_empty()).collect()
}
