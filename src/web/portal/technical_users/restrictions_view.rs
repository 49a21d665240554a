//! The restrictions of an account, as pages show them.

use crate::{
    db::technical_users::restrictions::{ChosenStructures, Restrictions, Structure},
    domain::restrictions::NetworkRule,
    web::shell::values::StructureName,
};

/// Structures that a list names before it counts the others.
const MOST_NAMED: usize = 10;

/// Networks that the PDF names before it counts the others.
const MOST_ON_SHEET: usize = 6;

/// What restricts an account, in words; empty where nothing does.
pub struct RestrictionsView {
    /// « Réseaux autorisés »; `None`: every address.
    pub networks: Option<Vec<String>>,
    /// Whether the first address that calls will be the only one.
    pub locks: bool,
    /// `None`: all of the manager's.
    pub structures: Option<StructuresView>,
}

/// Chosen structures.
pub struct StructuresView {
    pub named: Vec<StructureName>,
    /// Those that are not named.
    pub more: usize,
    /// Those that open nothing, since the manager is no member of them.
    pub beyond: i64,
}

impl From<&Restrictions> for RestrictionsView {
    fn from(restrictions: &Restrictions) -> Self {
        Self {
            networks: match &restrictions.networks {
                NetworkRule::Any => None,
                rule => Some(rule.networks().iter().map(ToString::to_string).collect()),
            },
            locks: restrictions.networks == NetworkRule::LockOnFirstCall,
            structures: restrictions.structures.as_ref().map(StructuresView::from),
        }
    }
}

impl RestrictionsView {
    pub fn is_empty(&self) -> bool {
        self.networks.is_none() && self.structures.is_none()
    }

    /// Networks and structures, as the PDF says them; `None` where nothing restricts.
    pub fn lines(&self) -> (Option<String>, Option<String>) {
        let networks = self.networks.as_ref().map(|networks| {
            let more = networks.len().saturating_sub(MOST_ON_SHEET);
            let named = networks.iter().take(MOST_ON_SHEET).cloned().collect::<Vec<_>>().join(", ");
            match more {
                _ if self.locks => NetworkRule::LockOnFirstCall.words(),
                0 => named,
                1 => format!("{named} et 1 autre"),
                more => format!("{named} et {more} autres"),
            }
        });
        let structures = self.structures.as_ref().map(|chosen| {
            let count = chosen.named.len() + chosen.more;
            let plural = if count > 1 { "s" } else { "" };
            format!("{count} structure{plural} choisie{plural} parmi celles du gestionnaire principal")
        });
        (networks, structures)
    }
}

impl From<&ChosenStructures> for StructuresView {
    fn from(chosen: &ChosenStructures) -> Self {
        Self { beyond: chosen.beyond, ..Self::naming(&chosen.within) }
    }
}

impl StructuresView {
    pub fn naming(structures: &[Structure]) -> Self {
        let more = structures.len().saturating_sub(MOST_NAMED);
        Self { named: structures.iter().take(MOST_NAMED).map(name).collect(), more, beyond: 0 }
    }
}

pub fn name(structure: &Structure) -> StructureName {
    StructureName {
        id: structure.id,
        designation: structure.designation.clone(),
        kind: structure.identifier_type.code().to_owned(),
        identifier: structure.identifier.clone(),
        active: true,
    }
}
