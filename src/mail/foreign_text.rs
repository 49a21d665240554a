//! Texts that people who are strangers to the recipient choose: designations, labels, names.

use crate::domain::characters::is_control_or_line_end;

/// Dots that separate the parts of a host name: IDNA takes the others for the first.
const DOTS: [char; 4] = ['.', '\u{3002}', '\u{ff0e}', '\u{ff61}'];

/// The text as one line of which no mail program makes a link: a space follows each dot within a
/// word, as in « www. exemple. fr », and separates the slashes of a URL from its scheme. Otherwise
/// a designation could lead the recipient anywhere, in a mail that is the portal's own. The text
/// is always changed, not only where it looks like a URL: programs recognise bare host names, too.
pub(super) fn unlinked(text: &str) -> String {
    let mut unlinked = String::with_capacity(text.len() + 8);
    let mut before = ' ';
    for c in text.chars().map(|c| if is_control_or_line_end(c) { ' ' } else { c }) {
        let goes_on = !c.is_whitespace() && !c.is_ascii_digit() && !c.is_ascii_punctuation();
        let ends_host_part = DOTS.contains(&before) && goes_on;
        let begins_path = matches!((before, c), (':', '/') | ('\\', '\\'));
        if ends_host_part || begins_path {
            unlinked.push(' ');
        }
        unlinked.push(c);
        before = c;
    }
    unlinked
}

/// A technical user as `login (label)`: the login is the portal's own.
pub(super) fn unlinked_account(name: &str) -> String {
    match name.split_once(' ') {
        Some((login, label)) => format!("{login} {}", unlinked(label)),
        None => name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stay_readable_and_links_do_not_stay_links() {
        for (typed, shown) in [
            ("Commune d’Évron", "Commune d’Évron"),
            ("M. Dupont, 3.5 km (env.)", "M. Dupont, 3.5 km (env.)"),
            ("S.A.R.L. Martin", "S. A. R. L. Martin"),
            ("https://www.exemple.fr/a.b", "https: //www. exemple. fr/a. b"),
            ("http://198.51.100.7", "http: //198.51.100.7"),
            ("a\r\n\r\nb\u{2028}c", "a    b c"),
            ("exemple.\u{ad}fr", "exemple. \u{ad}fr"),
        ] {
            assert_eq!(unlinked(typed), shown);
        }
        assert_eq!(unlinked_account("TECH_1_X@cpro.fr (paie.exemple)"), "TECH_1_X@cpro.fr (paie. exemple)");
        assert_eq!(unlinked_account("TECH_1_X@cpro.fr"), "TECH_1_X@cpro.fr");
    }
}
