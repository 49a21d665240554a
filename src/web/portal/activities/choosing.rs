//! The rows of a list that are chosen for an act on several: in the request, and on the page.
//!
//! The form of the list submits itself to go to another page, so boxes ticked on one page reach the
//! next without scripts; what was ticked on other pages is carried in one field.

use std::{collections::BTreeSet, iter::once};

use crate::{
    domain::batch::{BatchAct, MOST_ITEMS},
    web::shell::{
        filters,
        form::Errors,
        pagination::{before_value, url_of},
    },
};

/// Rows of a page that has boxes: the fewer pages, the less there is to carry.
pub const PER_PAGE: u32 = 100;

/// Fields as they are sent: `compte-7` for a ticked box.
pub type Fields = Vec<(String, String)>;

/// What a request says of the choice.
#[derive(Default)]
pub struct Chosen {
    /// Whether the list has boxes.
    pub is_on: bool,
    /// Whether all that the filter finds is chosen.
    pub is_all: bool,
    /// Whether all boxes of the page are to be ticked.
    pub ticks_page: bool,
    /// What was ticked, on this page and others, without doubles; at most [`MOST_ITEMS`].
    pub ids: Vec<i64>,
    /// The act on them, where the form asks for one.
    pub act: Option<BatchAct>,
    /// The page of the list.
    pub page: u32,
    /// What is to be corrected.
    pub errors: Errors,
}

impl Chosen {
    /// Reads the fields; `prefix` begins the names of the boxes. Unknown values are ignored.
    pub fn of(fields: &Fields, prefix: &str) -> Self {
        let value = |name: &str| fields.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str());
        let mode = value("choix").unwrap_or_default();
        let ticked = fields.iter().filter_map(|(name, _)| row_id(name.strip_prefix(prefix)?));
        let mut known = BTreeSet::new();
        let ids = carried(value("choisis").unwrap_or_default()).into_iter().chain(ticked);
        let whole_page = value("cocher");
        let page = whole_page.or_else(|| value("page")).or_else(|| value("depuis"));
        Self {
            is_on: matches!(mode, "oui" | "page" | "tous"),
            is_all: mode == "tous" || value("portee") == Some("tous"),
            ticks_page: mode == "page" || whole_page.is_some(),
            ids: ids.filter(|id| known.insert(*id)).take(MOST_ITEMS).collect(),
            act: value("acte").and_then(BatchAct::parse).filter(|act| *act != BatchAct::Create),
            page: page.and_then(|text| text.parse().ok()).unwrap_or(1).clamp(1, 100_000),
            errors: Errors::none(),
        }
    }

    /// The choice, for the list that says these errors. Rows none of which is the manager's are
    /// none.
    pub fn corrected(self, errors: Errors) -> Self {
        let ids = if errors.on("lignes").is_some() { Vec::new() } else { self.ids };
        Self { is_on: true, ids, errors, ..self }
    }

    /// The rows of a page, of which a list without boxes has `usual`.
    pub fn per_page(&self, usual: u32) -> u32 {
        if self.is_on { PER_PAGE } else { usual }
    }

    /// How many rows come before the page.
    pub fn offset(&self, usual: u32) -> i64 {
        i64::from((self.page - 1) * self.per_page(usual))
    }
}

/// The choice, as the page of a list shows it. Without it, the list has no boxes.
pub struct Choosing {
    chosen: Chosen,
    /// Whether the list has other pages.
    has_pages: bool,
    /// What is chosen on other pages.
    elsewhere: Vec<i64>,
    /// The rows of the page that are ticked.
    here: BTreeSet<i64>,
    /// The list itself.
    pub list: &'static str,
    /// The same list, without boxes and with them, before the value of `choix`.
    pub without: String,
    pub with: String,
}

impl Choosing {
    /// For the list at `list` with these choices, whose page has these `rows` of all `total`.
    pub fn new(
        chosen: Chosen,
        list: &'static str,
        choices: &[(&str, &String)],
        (rows, total): (impl Iterator<Item = i64>, u64),
    ) -> Self {
        let without = url_of(list, &without_mode(choices));
        let rows: BTreeSet<i64> = rows.collect();
        let elsewhere = chosen.ids.iter().copied().filter(|id| !rows.contains(id)).collect();
        let ticked: BTreeSet<i64> = chosen.ids.iter().copied().collect();
        let here = rows.into_iter().filter(|id| chosen.is_all || chosen.ticks_page || ticked.contains(id)).collect();
        // All of one page are its boxes, which can be unticked.
        let has_pages = total > PER_PAGE.into();
        let chosen = Chosen { is_all: chosen.is_all && has_pages, ..chosen };
        Self { with: before_value(&without, "choix"), chosen, has_pages, elsewhere, here, list, without }
    }

    pub fn is_on(&self) -> bool {
        self.chosen.is_on
    }

    /// Whether the box of this row is ticked.
    pub fn ticks(&self, id: i64) -> bool {
        self.here.contains(&id)
    }

    /// Whether all rows of the list can be chosen without their boxes: those of one page have them.
    pub fn offers_all(&self) -> bool {
        self.has_pages
    }

    pub fn is_all(&self) -> bool {
        self.chosen.is_all
    }

    pub fn errors(&self) -> &Errors {
        &self.chosen.errors
    }

    pub fn page(&self) -> u32 {
        self.chosen.page
    }

    /// The field that carries what is chosen on other pages.
    pub fn carried(&self) -> String {
        carry(&self.elsewhere)
    }

    pub fn elsewhere(&self) -> u64 {
        self.elsewhere.len() as u64
    }

    /// How many rows are chosen, on this page and others.
    pub fn count(&self) -> u64 {
        self.elsewhere() + self.here.len() as u64
    }

    /// « 30 structures choisies », from « structure choisie ».
    pub fn said(&self, words: &str) -> String {
        let (count, plural) = (self.count(), if self.count() > 1 { "s" } else { "" });
        let words = words.split(' ').map(|word| format!(" {word}{plural}"));
        once(filters::in_french(count)).chain(words).collect()
    }

    /// The same page with nothing ticked.
    pub fn unticked(&self) -> String {
        format!("{}oui&page={}", self.with, self.page())
    }
}

/// The id of a row; `None` for what is none.
pub fn row_id(text: &str) -> Option<i64> {
    text.parse().ok().filter(|id| *id > 0)
}

fn without_mode<'a>(choices: &[(&'a str, &'a String)]) -> Vec<(&'a str, &'a String)> {
    choices.iter().filter(|(name, _)| *name != "choix").copied().collect()
}

/// The page of a list from which rows were chosen, with its boxes but nothing ticked.
pub fn page_of(list: &str, choices: &[(&str, &String)], chosen: &Chosen) -> String {
    let (mode, page) = (if chosen.is_all { "tous" } else { "oui" }.to_owned(), chosen.page.to_string());
    let act = chosen.act.map(|act| act.code().to_owned()).unwrap_or_default();
    let place = [("acte", &act), ("choix", &mode), ("page", &page)];
    url_of(list, &without_mode(choices).into_iter().chain(place).collect::<Vec<_>>())
}

/// That page with these rows ticked.
pub fn with_ticked(page: &str, ids: &[i64]) -> String {
    if page.contains("choix=tous") { page.to_owned() } else { before_value(page, "choisis") + &carry(ids) }
}

/// Ids in one short word: in ascending order, each as its distance from the one before it, in
/// hexadecimal digits. A thousand of them fit in the line of a request.
fn carry(ids: &[i64]) -> String {
    let ids: BTreeSet<i64> = ids.iter().copied().collect();
    let before = once(0).chain(ids.iter().copied());
    let distances = ids.iter().zip(before).map(|(id, before)| format!("{:x}", id - before));
    distances.collect::<Vec<_>>().join("-")
}

/// Reads that word, up to the first thing that is no distance.
fn carried(word: &str) -> Vec<i64> {
    let mut last = 0_i64;
    let ids = word.split('-').map_while(|distance| {
        let distance = i64::from_str_radix(distance, 16).ok().filter(|distance| *distance > 0)?;
        last = last.checked_add(distance)?;
        Some(last)
    });
    ids.take(MOST_ITEMS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_carried_reads_back_and_is_short() {
        for ids in [vec![], vec![7], vec![7, 8, 300, i64::MAX]] {
            assert_eq!(carried(&carry(&ids)), ids);
        }
        assert_eq!(carry(&[300, 7, 8, 7]), "7-1-124");
        let many: Vec<i64> = (1..=1_000).map(|number| number * 9_973).collect();
        assert!(carry(&many).len() <= 5_000 && carried(&carry(&many)) == many);
    }

    #[test]
    fn what_no_form_of_ours_sends_is_ignored() {
        assert!(["", "x", "-", "0", "-5", "+5 "].into_iter().all(|word| carried(word).is_empty()));
        assert_eq!(carried("5-7fffffffffffffff"), [5]);
        assert_eq!(carried("5-zz-1"), [5]);
        assert_eq!(carried(&"1-".repeat(5_000)).len(), MOST_ITEMS);
        let fields = [
            ("choisis", "5"),
            ("compte-5", "oui"),
            ("compte-6", "oui"),
            ("compte-x", ""),
            ("compte--7", "oui"),
            ("page", "0"),
        ];
        let fields = fields.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
        let chosen = Chosen::of(&fields, "compte-");
        assert_eq!((chosen.ids, chosen.page, chosen.is_on), (vec![5, 6], 1, false));
    }
}
