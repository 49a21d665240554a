//! Lists in numbered pages: the number in the URL, and the links from page to page.

use serde::Deserialize;

/// The `?page=` of a list.
#[derive(Debug, Default, Deserialize)]
pub struct PageQuery {
    #[serde(default)]
    page: Option<String>,
}

impl PageQuery {
    /// The page's number; what is none is the first.
    pub fn number(&self) -> u32 {
        self.page.as_deref().and_then(|text| text.parse().ok()).unwrap_or(1).clamp(1, 100_000)
    }
}

/// Numbered pages: `base` is the URL up to the page number (`/activites?recherche=x&page=`).
pub struct Pagination {
    pub current: u64,
    pub last: u64,
    pub base: String,
}

/// The URL of a list: with what was chosen, and without what was not.
pub fn url_of(path: &str, choices: &[(&str, &String)]) -> String {
    let chosen = choices.iter().filter(|(_, value)| !value.is_empty());
    let encoded = form_urlencoded::Serializer::new(String::new()).extend_pairs(chosen).finish();
    if encoded.is_empty() { path.to_owned() } else { format!("{path}?{encoded}") }
}

/// The URL of a list's pages up to their number.
pub fn pages_of(path: &str, choices: &[(&str, &String)]) -> String {
    before_value(&url_of(path, choices), "page")
}

/// A URL of ours with one more parameter, up to its value.
pub fn before_value(url: &str, name: &str) -> String {
    let separator = if url.contains('?') { '&' } else { '?' };
    format!("{url}{separator}{name}=")
}

/// An entry between « précédente » and « suivante ».
pub enum PageEntry {
    Page(u64),
    Gap,
}

impl Pagination {
    /// Page `current` of `total` rows.
    pub fn new(current: u32, total: u64, per_page: u32, base: String) -> Self {
        Self { current: current.into(), last: total.div_ceil(per_page.into()).max(1), base }
    }

    pub fn url(&self, page: impl std::fmt::Display) -> String {
        format!("{}{page}", self.base)
    }

    /// The first, the last and the current page with its neighbours; gaps between.
    pub fn entries(&self) -> Vec<PageEntry> {
        let shown = (1..=self.last.min(1)).chain(self.current.saturating_sub(1)..=self.current + 1).chain([self.last]);
        let mut entries = Vec::new();
        let mut previous = 0;
        for page in shown.filter(|page| (1..=self.last).contains(page)) {
            if page <= previous {
                continue;
            }
            match page - previous {
                1 => {}
                2 => entries.push(PageEntry::Page(page - 1)),
                _ => entries.push(PageEntry::Gap),
            }
            entries.push(PageEntry::Page(page));
            previous = page;
        }
        entries
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_searched_for_stays_one_value_of_a_link() {
        let typed = "a&page=9#x \"'><é/?%41".to_owned();
        let url = pages_of("/activites", &[("recherche", &typed), ("statut", &String::new())]) + "2";
        let (path, query) = url.split_once('?').unwrap();
        assert!(
            path == "/activites" && query.bytes().all(|byte| byte.is_ascii_graphic() && !b"#<>\"'".contains(&byte))
        );
        let pairs: Vec<_> = form_urlencoded::parse(query.as_bytes()).into_owned().collect();
        assert_eq!(pairs, [("recherche".to_owned(), typed), ("page".to_owned(), "2".to_owned())]);
    }
}
