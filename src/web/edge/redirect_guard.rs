//! Open-redirect guard: which return addresses a form may bring along.

use crate::web::paths;

/// Where sign-in redirects to: the requested page, if it is one of the portal's.
pub fn destination(asked: Option<&str>) -> String {
    asked.filter(|page| is_local_path(page)).unwrap_or(paths::HOME).to_owned()
}

/// As long as a URL of the portal may be: what is stored or repeated of it is bounded.
const LONGEST: usize = 8 * 1024;

/// Whether this is a path on the portal and not an address elsewhere.
pub fn is_local_path(page: &str) -> bool {
    page.len() <= LONGEST
        && page.starts_with('/')
        && !page.starts_with("//")
        && page.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sign_in_leads_to_our_own_pages_only() {
        assert_eq!(destination(Some("/structures/5?avis=x")), "/structures/5?avis=x");
        for elsewhere in [
            "https://evil.example",
            "//evil.example",
            "/\\evil.example",
            "evil",
            "",
            "/a\r\nb",
            &format!("/{}", "a".repeat(9_000)),
        ] {
            assert_eq!(destination(Some(elsewhere)), "/", "{elsewhere}");
        }
        assert_eq!(destination(None), "/");
    }
}
