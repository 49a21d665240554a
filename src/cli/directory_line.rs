//! Parses a line of the public directory of structures.

use super::{
    garbled::is_garbled,
    row_error::{MendedCell, Quoted, RowError},
    table::Row,
};
use crate::{
    db::structures::directory::DirectoryEntry,
    domain::{
        characters::is_unprintable,
        contact_address::ContactAddress,
        structure::{CardField, MOST_CHARACTERS, StructureCard, is_of_phone_number},
        structure_identifier::{IdentifierType, StructureIdentifier},
    },
};

/// The required columns.
pub const REQUIRED: [&str; 3] = ["TypeIdentifiant", "Identifiant", "RaisonSociale"];

/// A line that can be loaded, and the cells of it that were not as the « Fiche structure » form
/// takes them.
#[derive(Debug)]
pub struct ParsedLine {
    pub entry: DirectoryEntry,
    pub mended: Vec<MendedCell>,
}

/// Parses a line by the same rules as the « Fiche structure » form where these say which structure
/// it is, its name and whether its technical users can call. Anything else may be wrong at the
/// source, and a missing structure would be worse: such a cell is mended or emptied. Any postal
/// code is taken.
///
/// # Errors
/// The first thing that is wrong.
pub fn parse(row: &Row<'_>, strict_siret: bool) -> Result<ParsedLine, RowError> {
    let identifier = identifier(row, "TypeIdentifiant", "Identifiant", strict_siret)?;
    let mut cells = Cells { row, mended: Vec::new() };
    let card = card(&mut cells)?;
    let entry = DirectoryEntry {
        identifier_type: identifier.kind().code(),
        identifier: identifier.value().to_owned(),
        country_code: cells.country_code(&card.country),
        designation: card.designation,
        address_line: card.address_line,
        address_extra_1: card.address_extra_1,
        address_extra_2: card.address_extra_2,
        postal_code: card.postal_code,
        city: card.city,
        country: card.country,
        email: card.email,
        phone: card.phone,
        active: card.active,
        requires_payment_status: cells.flag("GestionStatutMiseEnPaiement"),
        requires_engagement: cells.flag("GestionEngagement"),
        requires_service: cells.flag("GestionService"),
        requires_service_engagement: cells.flag("GestionServiceEngagement"),
        edi_sender: cells.flag("EmetteurEdi"),
        edi_receiver: cells.flag("RecepteurEdi"),
        moa: cells.flag("EstMOA"),
        moa_only: cells.flag("EstMOAUniquement"),
    };
    Ok(ParsedLine { entry, mended: cells.mended })
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

fn card(cells: &mut Cells<'_>) -> Result<StructureCard, RowError> {
    let country = match cells.text("LibellePays") {
        country if country.is_empty() && is_france(cells.row.get("CodePays")) => "FRANCE".into(),
        country => country,
    };
    let card = StructureCard {
        designation: cells.name("RaisonSociale")?,
        address_line: cells.text("Adresse"),
        address_extra_1: cells.text("ComplementAdresse1"),
        address_extra_2: cells.text("ComplementAdresse2"),
        postal_code: cells.text("CodePostal"),
        city: cells.text("Ville"),
        country,
        email: cells.email("Courriel"),
        phone: cells.phone("NumTelephone"),
        active: flag(cells.row, "StructureActive")?.unwrap_or(true),
    };
    card.checked().map_err(|errors| {
        let (field, error) = errors[0];
        RowError::Card { column: column_of(field), error }
    })
}

/// Reads cells that may be wrong, and remembers which were.
struct Cells<'a> {
    row: &'a Row<'a>,
    mended: Vec<MendedCell>,
}

impl Cells<'_> {
    /// The structure's name, which nothing can replace.
    fn name(&mut self, column: &'static str) -> Result<String, RowError> {
        let read = self.row.get(column);
        if is_garbled(read) {
            return Err(RowError::Garbled { column, value: Quoted::new(read) });
        }
        Ok(self.kept(column, without_line_breaks(read)))
    }

    /// Nothing of what was read in a wrong encoding. A line break becomes a space, what cannot be
    /// displayed is left out, and what is too long for the form is cut.
    fn text(&mut self, column: &'static str) -> String {
        let read = self.row.get(column);
        let line = if is_garbled(read) { String::new() } else { without_line_breaks(read) };
        let printable = line.chars().filter(|c| !is_unprintable(*c));
        let kept: String = printable.take(MOST_CHARACTERS).collect();
        self.kept(column, kept)
    }

    /// The first address, where there are several; nothing where there is none.
    fn email(&mut self, column: &'static str) -> String {
        let parts = self.row.get(column).split(|c: char| c.is_whitespace() || ";,/".contains(c));
        let kept = parts.map(str::trim).find(|part| ContactAddress::parse(part).is_ok()).unwrap_or_default().to_owned();
        self.kept(column, kept)
    }

    /// The first number, where there are several; nothing where there is none.
    fn phone(&mut self, column: &'static str) -> String {
        let mut parts = self.row.get(column).split([';', ',', '/', '\n', '\r']).map(str::trim);
        let kept = parts.find(|part| part.chars().all(is_of_phone_number)).unwrap_or_default().to_owned();
        self.kept(column, kept)
    }

    fn flag(&mut self, column: &'static str) -> bool {
        flag(self.row, column)
            .unwrap_or_else(|_| {
                self.kept(column, "false".into());
                None
            })
            .unwrap_or(false)
    }

    /// `FR` where the country is France or not said; empty for another one whose code is wrong.
    fn country_code(&mut self, country: &str) -> String {
        match self.row.get("CodePays") {
            "" => "FR".into(),
            code if code.len() == 2 && code.bytes().all(|byte| byte.is_ascii_alphabetic()) => code.to_ascii_uppercase(),
            _ if is_france(country) => self.kept("CodePays", "FR".into()),
            _ => self.kept("CodePays", String::new()),
        }
    }

    /// Remembers that something else was read.
    fn kept(&mut self, column: &'static str, kept: String) -> String {
        let read = self.row.get(column);
        if read != kept {
            self.mended.push(MendedCell { column, read: Quoted::new(read), kept: Quoted::new(&kept) });
        }
        kept
    }
}

fn is_france(country: &str) -> bool {
    ["", "FR", "FRANCE"].iter().any(|name| country.eq_ignore_ascii_case(name))
}

fn without_line_breaks(text: &str) -> String {
    text.split(['\n', '\r']).map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join(" ")
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

/// `None` where the cell is empty.
fn flag(row: &Row<'_>, column: &'static str) -> Result<Option<bool>, RowError> {
    match row.get(column).to_lowercase().as_str() {
        "" => Ok(None),
        "true" | "1" | "o" | "oui" | "vrai" => Ok(Some(true)),
        "false" | "0" | "n" | "non" | "faux" => Ok(Some(false)),
        _ => Err(RowError::NotOneOf {
            column,
            value: Quoted::new(row.get(column)),
            allowed: "true, false, 1, 0, O, N, Oui, Non, Vrai, Faux",
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

    fn read(line: &str) -> Result<ParsedLine, String> {
        let text = format!("{HEADER}\n{line}");
        let mut table = Table::read(text.as_bytes(), &REQUIRED).unwrap();
        let (_, row) = table.next_row().unwrap().unwrap();
        parse(row.checked().map_err(|error| error.to_string())?, true).map_err(|error| error.to_string())
    }

    #[test]
    fn three_columns_make_a_structure() {
        let text = "TypeIdentifiant;Identifiant;RaisonSociale\nSIRET;217 500 016 00019;Ville de Paris";
        let mut table = Table::read(text.as_bytes(), &REQUIRED).unwrap();
        let ParsedLine { entry, mended } = parse(&table.next_row().unwrap().unwrap().1, true).unwrap();
        assert_eq!(mended, []);
        assert_eq!((entry.identifier_type, entry.identifier.as_str()), ("SIRET", "21750001600019"));
        assert!(entry.active && !entry.moa);
        assert_eq!((entry.country_code.as_str(), entry.country.as_str()), ("FR", "FRANCE"));
    }

    #[test]
    fn booleans_come_in_many_words() {
        for (word, value) in [
            ("true", true),
            ("1", true),
            ("O", true),
            ("Oui", true),
            ("VRAI", true),
            ("FALSE", false),
            ("non", false),
            ("Faux", false),
        ] {
            let ParsedLine { entry, mended } = read(&format!("1;21750001600019;Paris;{word};{word};;;")).unwrap();
            assert_eq!((entry.active, entry.moa, mended.len()), (value, value, 0), "{word}");
        }
    }

    #[test]
    fn a_refused_line_names_the_wrong_column() {
        for (line, told) in [
            ("9;21750001600019;Paris;;;;;", "TypeIdentifiant is \"9\""),
            ("1;21750001600018;Paris;;;;;", "Identifiant is \"21750001600018\": the SIRET's control digit is wrong"),
            ("1;2175;Paris;;;;;", "a SIRET has 14 digits"),
            ("1;21750001600019; ;;;;;", "RaisonSociale is missing"),
            ("1;21750001600019;Paris;maybe;;;;", "StructureActive is \"maybe\""),
            ("1;21750001600019;Pa\u{1b}[31mris;;;;;", "RaisonSociale holds a character"),
            (
                "1;21750001600019;Mairie de NŽrac;;;;;",
                "RaisonSociale is \"Mairie de NŽrac\": it was written in another encoding",
            ),
        ] {
            let error = read(line).unwrap_err();
            assert!(error.contains(told), "{error}");
        }
    }

    #[test]
    fn a_cell_that_is_not_the_structure_s_own_name_never_costs_the_structure() {
        for (line, message) in [
            ("1;21750001600019;Paris;;;\"a@x.fr;b@x.fr\";;", "Courriel is \"a@x.fr;b@x.fr\": \"a@x.fr\" is kept"),
            ("1;21750001600019;Paris;;;Néant;;", "Courriel is \"Néant\": \"\" is kept"),
            ("1;21750001600019;Paris;;peut-être;;;", "EstMOA is \"peut-être\": \"false\" is kept"),
            ("1;21750001600019;Paris;;;;FRA;", "CodePays is \"FRA\": \"FR\" is kept"),
            ("1;21750001600019;Paris;;;;;ƒgypte", "LibellePays is \"ƒgypte\": \"\" is kept"),
            ("1;21750001600019;Paris;;;;BEL;BELGIQUE", "CodePays is \"BEL\": \"\" is kept"),
            ("1;21750001600019;Paris;;;;;\"FRAN\nCE\"", "LibellePays is \"FRAN\\nCE\": \"FRAN CE\" is kept"),
        ] {
            let mended: Vec<String> = read(line).unwrap().mended.iter().map(ToString::to_string).collect();
            assert_eq!(mended, [message]);
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
