//! Parses a line of the file of people and their roles.

use super::{
    directory_line,
    garbled::is_garbled,
    row_error::{Quoted, RowError},
    table::Row,
};
use crate::domain::{new_person::NewPerson, role::Role, structure_identifier::StructureIdentifier};

/// The required columns.
pub const REQUIRED: [&str; 7] =
    ["Identifiant", "Nom", "Prenom", "AdresseContact", "TypeIdentifiantStructure", "IdentifiantStructure", "Role"];

/// A line that can be applied.
pub struct Line {
    pub person: NewPerson,
    pub structure: StructureIdentifier,
    pub role: Role,
}

impl Line {
    /// Parses a line.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn parse(row: &Row<'_>, strict_siret: bool) -> Result<Self, RowError> {
        let row = row.checked()?;
        if let Some(column) = ["Nom", "Prenom"].into_iter().find(|column| is_garbled(row.get(column))) {
            return Err(RowError::Garbled { column, value: Quoted::new(row.get(column)) });
        }
        Ok(Self {
            person: NewPerson::checked(
                row.get("Identifiant"),
                row.get("Nom"),
                row.get("Prenom"),
                row.get("AdresseContact"),
            )?,
            structure: directory_line::identifier(row, REQUIRED[4], REQUIRED[5], strict_siret)?,
            role: Role::parse(row.get("Role")).ok_or_else(|| RowError::NotOneOf {
                column: "Role",
                value: Quoted::new(row.get("Role")),
                allowed: "GESTIONNAIRE_PRINCIPAL, GESTIONNAIRE_SECONDAIRE, UTILISATEUR",
            })?,
        })
    }
}
