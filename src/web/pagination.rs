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
