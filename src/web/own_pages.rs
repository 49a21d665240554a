//! Which URLs that a form brings along may be gone on to: those of our own pages.

use super::paths;

/// Where sign-in leads: the page that was asked for, if it is one of ours.
pub fn destination(asked: Option<&str>) -> String {
    asked.filter(|page| is_ours(page)).unwrap_or(paths::HOME).to_owned()
}

/// Whether this is the path of one of our pages, and no address elsewhere.
pub fn is_ours(page: &str) -> bool {
    page.starts_with('/')
        && !page.starts_with("//")
        && page.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sign_in_leads_to_our_own_pages_only() {
        assert_eq!(destination(Some("/structures/5?avis=x")), "/structures/5?avis=x");
        for elsewhere in ["https://evil.example", "//evil.example", "/\\evil.example", "evil", "", "/a\r\nb"] {
            assert_eq!(destination(Some(elsewhere)), "/", "{elsewhere}");
        }
        assert_eq!(destination(None), "/");
    }
}
