//! The form « Modifier les restrictions » between two steps. The server keeps nothing of it: the
//! structures that were chosen on other pages of the list travel in a hidden field.

use std::collections::BTreeSet;

use crate::{
    db::technical_users::restrictions::Restrictions,
    domain::restrictions::{ChosenIds, NetworkRule, Networks, StructureChoice},
    web::shell::form::{Errors, FieldError},
};

/// Fields as they are sent.
pub type Fields = Vec<(String, String)>;

/// « Réseaux autorisés ».
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum NetworkChoice {
    #[default]
    Any,
    Lock,
    List,
}

impl NetworkChoice {
    pub const ALL: [Self; 3] = [Self::Any, Self::Lock, Self::List];

    pub fn code(self) -> &'static str {
        match self {
            Self::Any => "TOUTES",
            Self::Lock => "VERROU",
            Self::List => "LISTE",
        }
    }

    pub fn label(self) -> &'static str {
        match self {
            Self::Any => "De partout (toute adresse IP)",
            Self::Lock => "Seulement depuis l’adresse du premier appel",
            Self::List => "Seulement depuis ces adresses IP",
        }
    }

    /// When to choose it.
    pub fn hint(self) -> Option<&'static str> {
        let lock = "Si le logiciel n’a pas encore servi et garde toujours la même adresse IP.";
        (self == Self::Lock).then_some(lock)
    }

    /// The id of its radio button; that of the first one is the field's name.
    pub fn field_id(self) -> &'static str {
        match self {
            Self::Any => "reseaux",
            Self::Lock => "reseaux-verrou",
            Self::List => "reseaux-liste",
        }
    }

    fn parse(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|choice| choice.code() == code)
    }
}

/// « Structures ».
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum StructuresChoice {
    #[default]
    All,
    Chosen,
}

impl StructuresChoice {
    pub const ALL: [Self; 2] = [Self::All, Self::Chosen];

    pub fn code(self) -> &'static str {
        match self {
            Self::All => "TOUTES",
            Self::Chosen => "CHOISIES",
        }
    }

    pub fn label(self) -> &'static str {
        match self {
            Self::All => "Toutes celles du gestionnaire principal",
            Self::Chosen => "Celles que je choisis",
        }
    }

    /// The id of its radio button; that of the first one is the field's name.
    pub fn field_id(self) -> &'static str {
        match self {
            Self::All => "structures",
            Self::Chosen => "structures-choisies",
        }
    }

    fn parse(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|choice| choice.code() == code)
    }
}

/// What the button asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// The form again: another search, or back from the check.
    Show,
    Page(u32),
    /// The form again with this address among the networks.
    Adopt(String),
    Verify,
}

impl Step {
    fn parse(value: &str) -> Self {
        let number = value.strip_prefix("page-").and_then(|number| number.parse().ok());
        match (value, number, value.strip_prefix("ajouter-")) {
            ("verifier", ..) => Self::Verify,
            (_, Some(number), _) => Self::Page(number),
            (_, _, Some(address)) => Self::Adopt(address.to_owned()),
            _ => Self::Show,
        }
    }
}

/// What is filled in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RestrictionsForm {
    pub networks: NetworkChoice,
    /// The networks, as typed.
    pub list: String,
    pub structures: StructuresChoice,
    pub chosen: BTreeSet<i64>,
    pub search: String,
    /// The version of the restrictions that the form was made for.
    pub version: i32,
}

/// What is read of a form that is complete.
pub struct Asked {
    pub networks: NetworkRule,
    pub structures: StructureChoice,
}

impl RestrictionsForm {
    /// The present restrictions.
    pub fn of(restrictions: &Restrictions) -> Self {
        let (networks, list) = match &restrictions.networks {
            NetworkRule::Any => (NetworkChoice::Any, String::new()),
            NetworkRule::LockOnFirstCall => (NetworkChoice::Lock, String::new()),
            rule @ NetworkRule::Listed(_) => (NetworkChoice::List, lines(rule)),
        };
        let within = restrictions.structures.iter().flat_map(|chosen| &chosen.within);
        Self {
            networks,
            list,
            structures: if restrictions.structures.is_some() {
                StructuresChoice::Chosen
            } else {
                StructuresChoice::All
            },
            chosen: within.map(|structure| structure.id).collect(),
            search: String::new(),
            version: restrictions.version,
        }
    }

    /// Reads what was sent. `None` where a choice is missing or unknown: it must not be taken for
    /// the one that restricts nothing.
    pub fn read(fields: &Fields) -> Option<(Self, Step)> {
        let get = |name: &str| fields.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value.as_str());
        let mut chosen: BTreeSet<i64> = ids(get("choisies")).collect();
        for shown in ids(get("affichees")) {
            chosen.remove(&shown);
        }
        chosen.extend(fields.iter().filter_map(|(name, _)| name.strip_prefix("structure-")?.parse::<i64>().ok()));
        let mut form = Self {
            networks: NetworkChoice::parse(get("reseaux"))?,
            list: get("liste").replace("\r\n", "\n"),
            structures: StructuresChoice::parse(get("structures"))?,
            chosen,
            search: get("recherche").chars().take(200).collect(),
            version: get("version").parse().ok()?,
        };
        let step = Step::parse(get("etape"));
        if let Step::Adopt(address) = &step {
            form.adopt(address);
        }
        Some((form, step))
    }

    fn adopt(&mut self, address: &str) {
        self.networks = NetworkChoice::List;
        if !self.list.lines().any(|line| line.trim() == address) {
            let kept = self.list.trim_end();
            self.list = if kept.is_empty() { address.to_owned() } else { format!("{kept}\n{address}") };
        }
    }

    /// The restrictions that are asked for.
    ///
    /// # Errors
    /// What is wrong in which field.
    pub fn asked(&self) -> Result<Asked, Errors> {
        let networks = match self.networks {
            NetworkChoice::Any => Ok(NetworkRule::Any),
            NetworkChoice::Lock => Ok(NetworkRule::LockOnFirstCall),
            NetworkChoice::List => Networks::parse(&self.list).map(NetworkRule::Listed),
        };
        let structures = match self.structures {
            StructuresChoice::All => Ok(StructureChoice::All),
            StructuresChoice::Chosen => {
                ChosenIds::try_from(self.chosen.iter().copied().collect::<Vec<_>>()).map(StructureChoice::Chosen)
            }
        };
        match (networks, structures) {
            (Ok(networks), Ok(structures)) => Ok(Asked { networks, structures }),
            (networks, structures) => {
                let networks = networks.err().map(|error| FieldError { field: "liste", message: error.to_string() });
                let structures =
                    structures.err().map(|error| FieldError { field: "structures", message: error.to_string() });
                Err(Errors(networks.into_iter().chain(structures).collect()))
            }
        }
    }

    /// The chosen structures, for a hidden field.
    pub fn chosen_ids(&self) -> String {
        self.chosen.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
    }
}

/// Networks as the form shows them, one per line.
fn lines(rule: &NetworkRule) -> String {
    rule.networks().iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

fn ids(text: &str) -> impl Iterator<Item = i64> {
    text.split(',').filter_map(|id| id.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// With what every form has.
    fn read(fields: &[(&str, &str)]) -> (RestrictionsForm, Step) {
        let unrestricted = [("reseaux", "TOUTES"), ("structures", "TOUTES"), ("version", "0")];
        let fields = [fields, &unrestricted].concat();
        find(&fields).expect("a whole form")
    }

    fn find(fields: &[(&str, &str)]) -> Option<(RestrictionsForm, Step)> {
        RestrictionsForm::read(&fields.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect())
    }

    #[test]
    fn a_choice_that_is_missing_or_unknown_is_none() {
        let whole = [("reseaux", "TOUTES"), ("structures", "TOUTES"), ("version", "0")];
        assert!(find(&whole).is_some());
        for place in 0..whole.len() {
            let mut fields = whole.to_vec();
            fields[place].1 = "?";
            assert!(find(&fields).is_none());
            fields.remove(place);
            assert!(find(&fields).is_none());
        }
    }

    #[test]
    fn structures_of_other_pages_stay_chosen() {
        let shown = [("choisies", "1,2,30"), ("affichees", "1,2,3"), ("structure-2", "oui"), ("structure-3", "oui")];
        assert_eq!(read(&shown).0.chosen, BTreeSet::from([2, 3, 30]));
        assert_eq!(read(&[("choisies", "1,x,,-")]).0.chosen, BTreeSet::from([1]));
    }

    #[test]
    fn an_address_is_adopted_once_and_makes_a_list() {
        let adopt = |list| {
            let (form, step) = read(&[("liste", list), ("etape", "ajouter-192.0.2.7")]);
            assert_eq!((form.networks, step), (NetworkChoice::List, Step::Adopt("192.0.2.7".into())));
            form.list
        };
        assert_eq!(adopt(""), "192.0.2.7");
        assert_eq!(adopt("192.0.2.7\r\n"), "192.0.2.7\n");
        assert_eq!(adopt("2001:db8::/48\r\n\r\n"), "2001:db8::/48\n192.0.2.7");
    }

    #[test]
    fn each_wrong_field_has_its_error() {
        let wrong = [("reseaux", "LISTE"), ("liste", "x"), ("structures", "CHOISIES")];
        let errors = read(&wrong).0.asked().err().expect("errors");
        assert_eq!(errors.0.iter().map(|error| error.field).collect::<Vec<_>>(), ["liste", "structures"]);
        assert!(read(&[]).0.asked().is_ok());
    }

    #[test]
    fn a_step_is_what_its_button_says() {
        for (value, step) in [
            ("verifier", Step::Verify),
            ("page-3", Step::Page(3)),
            ("page-x", Step::Show),
            ("rechercher", Step::Show),
            ("", Step::Show),
        ] {
            assert_eq!(Step::parse(value), step, "{value}");
        }
    }
}
