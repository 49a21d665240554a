//! How the command line names a structure: `SIRET:21750001600019`.

use super::{error::CliError, row_error::identifier_problem};
use crate::domain::structure_identifier::{IdentifierType, StructureIdentifier};

/// Reads `TYPE:IDENTIFIER`. 14 digits alone are a SIRET. A wrong one is reported in one line, with
/// `option` before it.
///
/// # Errors
/// What is wrong.
pub fn read(option: &str, text: &str, strict_siret: bool) -> Result<StructureIdentifier, CliError> {
    let wrong = |what: &str| CliError::Usage(format!("{option}{text}: {what}"));
    let is_siret = text.len() == 14 && text.bytes().all(|byte| byte.is_ascii_digit());
    let (kind, value) = match text.split_once(':') {
        Some((kind, value)) => (IdentifierType::parse(kind).ok_or_else(|| wrong("the type is unknown"))?, value),
        None if is_siret => (IdentifierType::Siret, text),
        None => return Err(wrong("must be TYPE:IDENTIFIER, such as SIRET:21750001600019")),
    };
    StructureIdentifier::parse(kind, value, strict_siret).map_err(|error| wrong(identifier_problem(error)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_structure_is_named_by_type_and_identifier_or_by_its_siret() {
        for text in ["SIRET:21750001600019", "1:217 500 016 00019", "21750001600019"] {
            let read = read("", text, true).unwrap();
            assert_eq!((read.kind(), read.value()), (IdentifierType::Siret, "21750001600019"), "{text}");
        }
        for (text, says) in [
            ("Paris", "x Paris: must be TYPE:IDENTIFIER"),
            ("SIREN:217500016", "the type is unknown"),
            ("SIRET:21750001600018", "control digit"),
        ] {
            let error = read("x ", text, true).unwrap_err().to_string();
            assert!(error.contains(says) && error.lines().count() == 1, "{error}");
        }
    }
}
