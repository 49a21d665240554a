//! The files that passwords are exported to: « Informations de connexion » of one account or of
//! several, as PDF.

use time::OffsetDateTime;
use zeroize::Zeroizing;

use super::restrictions_view::RestrictionsView;
use crate::{
    db::technical_users::{ManagedTechnicalUser, sheet_facts::SheetFacts},
    domain::{
        password::{KEEPING, KEEPING_RECEIVED, Keeping, Password},
        structure::StructureCard,
        structure_identifier::IdentifierType,
        territory::Territory,
    },
    french,
    pdf::{self, ConnectionSheet, GroupName, PdfError, SheetGroup},
    web::{edge::error::AppError, paths, portal::export::File, shell::filters},
};

/// The name of the service on every sheet.
const SERVICE: &str = "Raccord";

/// An account and its password, for a sheet.
struct SheetSubject<'a> {
    login: &'a str,
    label: Option<&'a str>,
    password: &'a Password,
    contact_address: &'a str,
    expires_at: OffsetDateTime,
    former_until: Option<OffsetDateTime>,
    identifier_type: IdentifierType,
    identifier: &'a str,
    card: &'a StructureCard,
    /// `None` where nothing restricts the account.
    restrictions: Option<&'a RestrictionsView>,
}

impl<'a> SheetSubject<'a> {
    fn of_account(
        account: &'a ManagedTechnicalUser,
        password: &'a Password,
        restrictions: &'a RestrictionsView,
    ) -> Self {
        let (account, structure) = (account.account(), account.structure());
        Self {
            login: &account.login,
            label: account.label.as_deref(),
            password,
            contact_address: structure.contact_address(),
            expires_at: account.expires_at,
            former_until: account.former_until,
            identifier_type: structure.identifier_type(),
            identifier: structure.identifier(),
            card: structure.card(),
            restrictions: Some(restrictions),
        }
    }

    fn of_facts(facts: &'a SheetFacts, password: &'a Password, restrictions: Option<&'a RestrictionsView>) -> Self {
        Self {
            login: &facts.login,
            label: facts.label.as_deref(),
            password,
            contact_address: &facts.contact_address,
            expires_at: facts.expires_at,
            former_until: facts.former_until,
            identifier_type: facts.identifier_type,
            identifier: &facts.identifier,
            card: &facts.card,
            restrictions,
        }
    }
}

/// The PDF of one account, by its facts.
pub fn single_sheet(
    issue: &SheetIssue,
    facts: &SheetFacts,
    password: &Password,
) -> Result<Zeroizing<Vec<u8>>, AppError> {
    let restrictions = facts.restrictions.as_ref().map(RestrictionsView::from);
    let subject = SheetSubject::of_facts(facts, password, restrictions.as_ref());
    issue.render(&subject).map_err(|error| AppError::Internal(error.to_string()))
}

/// The PDF of several accounts, each with its password, behind a cover that lists them under
/// `name`.
pub fn group_of_sheets<'a>(
    issue: &SheetIssue,
    name: GroupName,
    accounts: impl Iterator<Item = (&'a SheetFacts, &'a Password)>,
) -> Result<Zeroizing<Vec<u8>>, AppError> {
    let accounts: Vec<_> = accounts.collect();
    let restrictions: Vec<Option<RestrictionsView>> =
        accounts.iter().map(|(facts, _)| facts.restrictions.as_ref().map(RestrictionsView::from)).collect();
    let with_restrictions = accounts.iter().zip(&restrictions);
    let subjects: Vec<SheetSubject<'_>> = with_restrictions
        .map(|((facts, password), restrictions)| SheetSubject::of_facts(facts, password, restrictions.as_ref()))
        .collect();
    let sheets = issue.render_group(name, &subjects);
    sheets.map_err(|error| AppError::Internal(error.to_string()))
}

/// What all sheets of a file share: where the API is, when they are issued, for whom.
pub struct SheetIssue {
    api_url: String,
    token_url: String,
    documentation_url: String,
    at: OffsetDateTime,
    issued_on: String,
    keeping: Keeping,
}

impl SheetIssue {
    /// Sheets for their manager.
    pub fn new(public_url: &str, at: OffsetDateTime) -> Self {
        Self {
            api_url: public_url.to_owned(),
            token_url: format!("{public_url}{}", paths::API_TOKEN),
            documentation_url: format!("{public_url}{}", paths::API_DOCUMENTATION),
            at,
            issued_on: french::moment(at),
            keeping: KEEPING,
        }
    }

    /// The same sheets for a person to whom they are handed over.
    pub fn handed_over(self) -> Self {
        Self { keeping: KEEPING_RECEIVED, ..self }
    }

    /// The sheet of one account.
    fn render(&self, subject: &SheetSubject<'_>) -> Result<Zeroizing<Vec<u8>>, PdfError> {
        let words = Words::of(subject);
        let address = words.address();
        pdf::render(&self.sheet(subject, &words, &address))
    }

    /// The sheets of several accounts, behind a cover that lists them under `name`.
    fn render_group(&self, name: GroupName, subjects: &[SheetSubject<'_>]) -> Result<Zeroizing<Vec<u8>>, PdfError> {
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
            former_until: words.former_until.as_deref(),
            keeping: self.keeping,
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
    former_until: Option<String>,
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
            expires_on: expiry(subject),
            former_until: subject.former_until.map(|until| format!("Accepté jusqu’au {}", french::moment(until))),
            networks,
            structures,
        }
    }

    fn address(&self) -> Vec<&str> {
        self.address.iter().map(String::as_str).collect()
    }
}

/// The day, and the hour where the structure is, if it is another day there.
fn expiry(subject: &SheetSubject<'_>) -> String {
    let territory = Territory::of_structure(subject.identifier_type, &subject.card.postal_code);
    let there = french::other_day(subject.expires_at, territory).map(|there| format!(", soit le {there}"));
    french::day(subject.expires_at) + there.as_deref().unwrap_or_default()
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

/// The PDF of one account, issued at this moment.
pub fn connection_sheet(
    api_url: &str,
    account: &ManagedTechnicalUser,
    password: &Password,
    issued_at: OffsetDateTime,
    restrictions: &RestrictionsView,
) -> Result<Zeroizing<Vec<u8>>, AppError> {
    let subject = SheetSubject::of_account(account, password, restrictions);
    SheetIssue::new(api_url, issued_at).render(&subject).map_err(|error| AppError::Internal(error.to_string()))
}

/// A PDF to be saved as `raccord-….pdf`, named after a login or a batch.
pub fn file(subject: &str, pdf: &[u8]) -> File {
    File { name: format!("raccord-{subject}.pdf"), media_type: "application/pdf", content: pdf.to_vec() }
}
