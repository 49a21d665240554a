//! Pagination of lists: parameters and the answer about the page.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::tolerant::{Choice, Count, Word};
use crate::db::api::{Order, Page};

const DEFAULT_SIZE: i32 = 100;
const MAX_SIZE: i32 = 10_000;

/// `parametres`, or `parametresRecherche`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase")]
pub struct PageRequest {
    /// 100 where not given, 10,000 at most.
    #[schemars(title = "100 s’il n’est pas donné, 10 000 au plus")]
    nb_resultats_par_page: Count,
    /// From 1, which is the default.
    #[schemars(title = "1 s’il n’est pas donné")]
    page_resultat_demandee: Count,
    tri_colonne: Choice<Order>,
    tri_sens: Choice<Direction>,
}

#[derive(Clone, Copy, Debug)]
enum Direction {
    Ascending,
    Descending,
}

impl Word for Direction {
    const WORDS: &'static [(&'static str, Self)] = &[("Ascendant", Self::Ascending), ("Descendant", Self::Descending)];
}

impl Word for Order {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("IdentifiantStructure", Self::Identifier),
        ("DesignationStructure", Self::Designation),
        ("TypeIdentifiantStructure", Self::IdentifierType),
        ("Statut", Self::Status),
    ];
}

impl PageRequest {
    /// The requested page, with defaults and the maximal size applied.
    #[must_use]
    pub fn page(&self) -> Page {
        Page {
            size: self.nb_resultats_par_page.0.unwrap_or(DEFAULT_SIZE).min(MAX_SIZE),
            number: self.page_resultat_demandee.0.unwrap_or(1),
            order: self.tri_colonne.0,
            descending: matches!(self.tri_sens.0, Some(Direction::Descending)),
        }
    }
}

/// `parametresRetour`.
#[derive(Debug, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PageAnswer {
    nb_resultats_par_page: i32,
    page_courante: i32,
    #[schemars(title = "Nombre de pages de résultats")]
    pages: i64,
    #[schemars(title = "Nombre de résultats, compté jusqu’à 10 000 : au-delà, il dit seulement si une page suit")]
    total: i64,
}

impl PageAnswer {
    #[must_use]
    pub fn new(page: Page, total: i64) -> Self {
        let size = i64::from(page.size);
        Self { nb_resultats_par_page: page.size, page_courante: page.number, pages: (total + size - 1) / size, total }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(text: &str) -> Page {
        serde_json::from_str::<PageRequest>(text).unwrap().page()
    }

    #[test]
    fn a_page_has_defaults_and_a_largest_size() {
        assert_eq!(page("{}"), Page { size: 100, number: 1, order: None, descending: false });
        let asked = page(
            r#"{"nbResultatsParPage":"20000","pageResultatDemandee":3,"triColonne":"designationStructure","triSens":"Descendant"}"#,
        );
        assert_eq!(asked, Page { size: 10_000, number: 3, order: Some(Order::Designation), descending: true });
    }

    #[test]
    fn the_last_page_may_be_short() {
        let answer = |total| PageAnswer::new(page(r#"{"nbResultatsParPage":10}"#), total).pages;
        assert_eq!([answer(0), answer(1), answer(10), answer(11)], [0, 1, 1, 2]);
    }
}
