//! Parses a line of the public directory of structures.

use super::{
    row_error::{Quoted, RowError},
    table::Row,
};
use crate::{
    db::structures::directory::DirectoryEntry,
    domain::{
        structure::{CardField, StructureCard},
        structure_identifier::{IdentifierType, StructureIdentifier},
    },
};

/// The required columns.
pub const REQUIRED: [&str; 3] = ["TypeIdentifiant", "Identifiant", "RaisonSociale"];

/// Parses a line by the same rules as the « Fiche structure » form, except for the postal code.
/// That may be wrong at the source, and a missing structure would be worse; its manager sees the
/// error when they next edit the address.
///
/// # Errors
/// The first thing that is wrong.
pub fn parse(row: &Row<'_>, strict_siret: bool) -> Result<DirectoryEntry, RowError> {
    let identifier = identifier(row, "TypeIdentifiant", "Identifiant", strict_siret)?;
    let card = card(row)?;
    Ok(DirectoryEntry {
        identifier_type: identifier.kind().code(),
        identifier: identifier.value().to_owned(),
        designation: card.designation,
        address_line: card.address_line,
        address_extra_1: card.address_extra_1,
        address_extra_2: card.address_extra_2,
        postal_code: card.postal_code,
        city: card.city,
        country_code: country_code(row)?,
        country: card.country,
        email: card.email,
        phone: card.phone,
        active: card.active,
        requires_payment_status: flag(row, "GestionStatutMiseEnPaiement", false)?,
        requires_engagement: flag(row, "GestionEngagement", false)?,
        requires_service: flag(row, "GestionService", false)?,
        requires_service_engagement: flag(row, "GestionServiceEngagement", false)?,
        edi_sender: flag(row, "EmetteurEdi", false)?,
        edi_receiver: flag(row, "RecepteurEdi", false)?,
        moa: flag(row, "EstMOA", false)?,
        moa_only: flag(row, "EstMOAUniquement", false)?,
    })
}

/// The structure identifier in two columns.
///
/// # Errors
/// Which of them is wrong, and why.
pub fn identifier(
    row: &Row<'_>,
    type_column: &'static str,
    column: &'static str,
    strict_siret: bool,
) -> Result<StructureIdentifier, RowError> {
    let kind = IdentifierType::parse(row.get(type_column)).ok_or_else(|| RowError::NotOneOf {
        column: type_column,
        value: Quoted::new(row.get(type_column)),
        allowed: "1 to 7, SIRET, UE_HORS_FRANCE, HORS_UE, RIDET, TAHITI, AUTRE, PARTICULIER",
    })?;
    StructureIdentifier::parse(kind, row.get(column), strict_siret).map_err(|error| RowError::Identifier {
        column,
        value: Quoted::new(row.get(column)),
        error,
    })
}

fn card(row: &Row<'_>) -> Result<StructureCard, RowError> {
    let text = |column| row.get(column).to_owned();
    let country = match row.get("LibellePays") {
        "" if country_code(row)? == "FR" => "FRANCE",
        country => country,
    };
    let card = StructureCard {
        designation: text("RaisonSociale"),
        address_line: text("Adresse"),
        address_extra_1: text("ComplementAdresse1"),
        address_extra_2: text("ComplementAdresse2"),
        postal_code: text("CodePostal"),
        city: text("Ville"),
        country: country.to_owned(),
        email: text("Courriel"),
        phone: text("NumTelephone"),
        active: flag(row, "StructureActive", true)?,
    };
    card.checked().map_err(|errors| {
        let (field, error) = errors[0];
        RowError::Card { column: column_of(field), error }
    })
}

/// The column behind a field of the card.
fn column_of(field: CardField) -> &'static str {
    match field {
        CardField::Designation => "RaisonSociale",
        CardField::AddressLine => "Adresse",
        CardField::AddressExtra1 => "ComplementAdresse1",
        CardField::AddressExtra2 => "ComplementAdresse2",
        CardField::PostalCode => "CodePostal",
        CardField::City => "Ville",
        CardField::Country => "LibellePays",
        CardField::Email => "Courriel",
        CardField::Phone => "NumTelephone",
    }
}

fn country_code(row: &Row<'_>) -> Result<String, RowError> {
    match row.get("CodePays") {
        "" => Ok("FR".into()),
        code if code.len() == 2 && code.bytes().all(|byte| byte.is_ascii_alphabetic()) => Ok(code.to_ascii_uppercase()),
        code => Err(RowError::CountryCode { column: "CodePays", value: Quoted::new(code) }),
    }
}

fn flag(row: &Row<'_>, column: &'static str, unset: bool) -> Result<bool, RowError> {
    match row.get(column).to_lowercase().as_str() {
        "" => Ok(unset),
        "true" | "1" | "o" | "oui" => Ok(true),
        "false" | "0" | "n" | "non" => Ok(false),
        _ => Err(RowError::NotOneOf {
            column,
            value: Quoted::new(row.get(column)),
            allowed: "true, false, 1, 0, O, N, Oui, Non",
        }),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::cli::table::Table;

    const HEADER: &str =
        "TypeIdentifiant;Identifiant;RaisonSociale;StructureActive;EstMOA;Courriel;CodePays;LibellePays";

    fn read(line: &str) -> Result<DirectoryEntry, String> {
        let text = format!("{HEADER}\n{line}");
        let mut table = Table::read(text.as_bytes(), &REQUIRED).unwrap();
        let (_, row) = table.next_row().unwrap().unwrap();
        parse(&row.map_err(|error| error.to_string())?, true).map_err(|error| error.to_string())
    }

    #[test]
    fn three_columns_make_a_structure() {
        let text = "TypeIdentifiant;Identifiant;RaisonSociale\nSIRET;217 500 016 00019;Ville de Paris";
        let mut table = Table::read(text.as_bytes(), &REQUIRED).unwrap();
        let entry = parse(&table.next_row().unwrap().unwrap().1.unwrap(), true).unwrap();
        assert_eq!((entry.identifier_type, entry.identifier.as_str()), ("SIRET", "21750001600019"));
        assert!(entry.active && !entry.moa);
        assert_eq!((entry.country_code.as_str(), entry.country.as_str()), ("FR", "FRANCE"));
    }

    #[test]
    fn booleans_come_in_many_words() {
        for (word, value) in [("true", true), ("1", true), ("O", true), ("Oui", true), ("FALSE", false), ("non", false)]
        {
            let entry = read(&format!("1;21750001600019;Paris;{word};{word};;;")).unwrap();
            assert_eq!((entry.active, entry.moa), (value, value), "{word}");
        }
    }

    #[test]
    fn a_bad_line_is_told_which_column_is_wrong() {
        for (line, told) in [
            ("9;21750001600019;Paris;;;;;", "TypeIdentifiant is \"9\""),
            ("1;21750001600018;Paris;;;;;", "Identifiant is \"21750001600018\": the SIRET's control digit is wrong"),
            ("1;2175;Paris;;;;;", "a SIRET has 14 digits"),
            ("1;21750001600019; ;;;;;", "RaisonSociale is missing"),
            ("1;21750001600019;Paris;maybe;;;;", "StructureActive is \"maybe\""),
            ("1;21750001600019;Paris;;;no address;;", "Courriel is not an address"),
            ("1;21750001600019;Paris;;;;FRA;", "CodePays is \"FRA\""),
            ("1;21750001600019;Pa\u{1b}[31mris;;;;;", "RaisonSociale holds a character"),
        ] {
            let error = read(line).unwrap_err();
            assert!(error.contains(told), "{error}");
        }
    }

    proptest! {
        #[test]
        fn no_line_makes_it_panic(line in "[^\n]{0,200}") {
            if let Err(error) = read(&format!("1{line}")) {
                prop_assert!(!error.chars().any(char::is_control));
            }
        }
    }
}
