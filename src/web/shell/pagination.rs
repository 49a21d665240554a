//! Numbered pages of a list: the page number in the URL, and the links between pages.

use serde::Deserialize;

/// The `?page=` of a URL.
#[derive(Debug, Default, Deserialize)]
pub struct PageQuery {
    #[serde(default)]
    page: Option<String>,
}

impl PageQuery {
    /// The page number; 1 if there is none or it is not a number.
    pub fn number(&self) -> u32 {
        self.page.as_deref().and_then(|text| text.parse().ok()).unwrap_or(1).clamp(1, 100_000)
    }
}

/// The pages of a list.
pub struct Pagination {
    pub current: u64,
    pub last: u64,
    /// The URL of a page without its number, such as `/activites?recherche=x&page=`.
    base: String,
}

/// A URL with a query of those `choices` (name and value) that are not empty.
pub fn url_of(path: &str, choices: &[(&str, &String)]) -> String {
    let chosen = choices.iter().filter(|(_, value)| !value.is_empty());
    let encoded = form_urlencoded::Serializer::new(String::new()).extend_pairs(chosen).finish();
    if encoded.is_empty() { path.to_owned() } else { format!("{path}?{encoded}") }
}

/// The URL of a list's pages, without the page number.
pub fn pages_of(path: &str, choices: &[(&str, &String)]) -> String {
    before_value(&url_of(path, choices), "page")
}

/// A URL with one more parameter, without its value.
pub fn before_value(url: &str, name: &str) -> String {
    let separator = if url.contains('?') { '&' } else { '?' };
    format!("{url}{separator}{name}=")
}

/// An entry between « Page précédente » and « Page suivante ».
pub enum PageEntry {
    Page(u64),
    /// Pages that are left out.
    Gap,
}

impl Pagination {
    /// The pages of `total` rows, at page `current`.
    pub fn new(current: u32, total: u64, per_page: u32, base: String) -> Self {
        Self { current: current.into(), last: total.div_ceil(per_page.into()).max(1), base }
    }

    /// The URL of a page.
    pub fn url(&self, page: impl std::fmt::Display) -> String {
        format!("{}{page}", self.base)
    }

    /// The first page, the last page, the current page and its neighbours, with gaps between them.
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
