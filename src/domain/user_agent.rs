//! Names of browsers, made from a `User-Agent`.

/// A browser's common name, from its `User-Agent`, such as « Firefox sur Windows ». `None` for an
/// unknown browser. The order matters: browsers also name the ones that they derive from.
#[must_use]
pub fn readable_name(software: &str) -> Option<String> {
    const BROWSERS: [(&str, &str); 8] = [
        ("Edg", "Edge"),
        ("OPR/", "Opera"),
        ("SamsungBrowser/", "Samsung Internet"),
        ("Firefox/", "Firefox"),
        ("FxiOS/", "Firefox"),
        ("CriOS/", "Chrome"),
        ("Chrome/", "Chrome"),
        ("Safari/", "Safari"),
    ];
    const SYSTEMS: [(&str, &str); 7] = [
        ("Windows", "Windows"),
        ("Android", "Android"),
        ("iPhone", "iPhone"),
        ("iPad", "iPad"),
        ("Mac OS X", "macOS"),
        ("CrOS", "ChromeOS"),
        ("Linux", "Linux"),
    ];
    let named =
        |names: &[(&str, &'static str)]| names.iter().find(|(sign, _)| software.contains(sign)).map(|(_, name)| *name);
    let browser = named(&BROWSERS).filter(|_| software.starts_with("Mozilla/"))?;
    Some(named(&SYSTEMS).map_or_else(|| browser.to_owned(), |system| format!("{browser} sur {system}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_browser_has_the_name_that_people_know() {
        let named = |software: &str| readable_name(software).unwrap_or_default();
        let blink = "AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0";
        assert_eq!(
            named(&format!("Mozilla/5.0 (Windows NT 10.0; Win64; x64) {blink} Safari/537.36 Edg/141.0.0.0")),
            "Edge sur Windows"
        );
        assert_eq!(
            named(&format!("Mozilla/5.0 (Linux; Android 10; K) {blink} Mobile Safari/537.36")),
            "Chrome sur Android"
        );
        assert_eq!(
            named("Mozilla/5.0 (X11; Linux x86_64; rv:144.0) Gecko/20100101 Firefox/144.0"),
            "Firefox sur Linux"
        );
        let safari = "AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 Mobile/15E148 Safari/604.1";
        assert_eq!(
            named(&format!("Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) {safari}")),
            "Safari sur iPhone"
        );
        assert_eq!(named("Mozilla/5.0 Firefox/144.0"), "Firefox");
        assert_eq!(readable_name("curl/8.5.0"), None);
        assert_eq!(readable_name(""), None);
    }
}
