//! Territories of France whose clocks are not those of Paris.

use serde::{Deserialize, Serialize};

use super::structure_identifier::IdentifierType;

/// A territory, by its place in postal codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Territory {
    Guadeloupe,
    Martinique,
    Guyane,
    Reunion,
    SaintPierreEtMiquelon,
    Mayotte,
    SaintBarthelemy,
    SaintMartin,
    WallisEtFutuna,
    Polynesie,
    NouvelleCaledonie,
}

impl Territory {
    /// The territory of a structure: its identifier or its postal code says it. `None` elsewhere.
    #[must_use]
    pub fn of_structure(kind: IdentifierType, postal_code: &str) -> Option<Self> {
        match kind {
            IdentifierType::Ridet => return Some(Self::NouvelleCaledonie),
            IdentifierType::Tahiti => return Some(Self::Polynesie),
            _ if postal_code.len() != 5 => return None,
            _ => {}
        }
        match postal_code.get(..3)? {
            // They have codes of Guadeloupe, too.
            _ if postal_code == "97133" => Some(Self::SaintBarthelemy),
            _ if postal_code == "97150" => Some(Self::SaintMartin),
            "971" => Some(Self::Guadeloupe),
            "972" => Some(Self::Martinique),
            "973" => Some(Self::Guyane),
            "974" => Some(Self::Reunion),
            "975" => Some(Self::SaintPierreEtMiquelon),
            "976" => Some(Self::Mayotte),
            "977" => Some(Self::SaintBarthelemy),
            "978" => Some(Self::SaintMartin),
            "986" => Some(Self::WallisEtFutuna),
            "987" => Some(Self::Polynesie),
            "988" => Some(Self::NouvelleCaledonie),
            _ => None,
        }
    }

    /// The name of its time zone in the tz database.
    #[must_use]
    pub fn zone(self) -> &'static str {
        match self {
            Self::Guadeloupe | Self::SaintBarthelemy | Self::SaintMartin => "America/Guadeloupe",
            Self::Martinique => "America/Martinique",
            Self::Guyane => "America/Cayenne",
            Self::Reunion => "Indian/Reunion",
            Self::SaintPierreEtMiquelon => "America/Miquelon",
            Self::Mayotte => "Indian/Mayotte",
            Self::WallisEtFutuna => "Pacific/Wallis",
            Self::Polynesie => "Pacific/Tahiti",
            Self::NouvelleCaledonie => "Pacific/Noumea",
        }
    }

    /// « à Tahiti », « en Guadeloupe ».
    #[must_use]
    pub fn place(self) -> &'static str {
        match self {
            Self::Guadeloupe => "en Guadeloupe",
            Self::Martinique => "en Martinique",
            Self::Guyane => "en Guyane",
            Self::Reunion => "à La Réunion",
            Self::SaintPierreEtMiquelon => "à Saint-Pierre-et-Miquelon",
            Self::Mayotte => "à Mayotte",
            Self::SaintBarthelemy => "à Saint-Barthélemy",
            Self::SaintMartin => "à Saint-Martin",
            Self::WallisEtFutuna => "à Wallis-et-Futuna",
            Self::Polynesie => "à Tahiti",
            Self::NouvelleCaledonie => "en Nouvelle-Calédonie",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_structure_s_identifier_or_postal_code_says_where_it_is() {
        let of = Territory::of_structure;
        assert_eq!(of(IdentifierType::Tahiti, ""), Some(Territory::Polynesie));
        assert_eq!(of(IdentifierType::Ridet, "75001"), Some(Territory::NouvelleCaledonie));
        for (code, place) in [
            ("97110", Some("en Guadeloupe")),
            ("97133", Some("à Saint-Barthélemy")),
            ("97150", Some("à Saint-Martin")),
            ("97400", Some("à La Réunion")),
            ("98714", Some("à Tahiti")),
            ("98800", Some("en Nouvelle-Calédonie")),
            ("98000", None),
            ("57480", None),
            ("974", None),
            ("9740é", None),
            ("", None),
        ] {
            assert_eq!(of(IdentifierType::Siret, code).map(Territory::place), place, "{code}");
        }
    }
}
