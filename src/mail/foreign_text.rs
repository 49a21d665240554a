//! Texts that people who are strangers to the recipient choose: designations, labels, names.

use crate::domain::characters::is_control_or_line_end;

/// Dots that separate the parts of a host name: IDNA takes the others for the first.
const DOTS: [char; 4] = ['.', '\u{3002}', '\u{ff0e}', '\u{ff61}'];

/// The text as one line of which no mail program makes a link: a space follows each dot within a
/// word, as in « www. exemple. fr », and those of an IPv4 address. It separates the slashes of a
/// URL from its scheme, and its path from its host. Otherwise a designation could lead the
/// recipient anywhere, in a mail that is the portal's own. The text is always changed, not only
/// where it looks like a URL: programs recognise bare host names, too.
pub(super) fn unlinked(text: &str) -> String {
    let text: String = text.chars().map(|c| if is_control_or_line_end(c) { ' ' } else { c }).collect();
    let mut unlinked = String::with_capacity(text.len() + 8);
    for word in text.split_inclusive(char::is_whitespace) {
        push_unlinked(&mut unlinked, word);
    }
    unlinked
}

fn push_unlinked(unlinked: &mut String, word: &str) {
    let is_ipv4 = word.split(|c: char| c != '.' && !c.is_ascii_digit()).any(|run| run.matches('.').count() >= 3);
    let mut names_host = is_ipv4 || word.contains("//");
    let mut before = ' ';
    for c in word.chars() {
        let goes_on = !c.is_whitespace() && !c.is_ascii_punctuation() && (is_ipv4 || !c.is_ascii_digit());
        let ends_host_part = DOTS.contains(&before) && goes_on;
        let begins_url = matches!((before, c), (':', '/') | ('\\', '\\'));
        names_host |= ends_host_part;
        let begins_path = names_host && c == '/' && !":/ ".contains(before);
        if ends_host_part || begins_url || begins_path {
            unlinked.push(' ');
        }
        unlinked.push(c);
        before = c;
    }
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
            ("https://www.exemple.fr/a.b", "https: //www. exemple. fr /a. b"),
            ("http://198.51.100.7", "http: //198. 51. 100. 7"),
            ("http://203.0.113.9/login/x", "http: //203. 0. 113. 9 /login /x"),
            ("203.0.113.9:80/login", "203. 0. 113. 9:80 /login"),
            ("exemple.fr/login, Paris", "exemple. fr /login, Paris"),
            ("http://3405803785/login a/b", "http: //3405803785 /login a/b"),
            ("http://[2001:db8::1]/login", "http: //[2001:db8::1] /login"),
            ("Paie/RH, le 12.05.2026", "Paie/RH, le 12.05.2026"),
            ("a\r\n\r\nb\u{2028}c", "a    b c"),
            ("exemple.\u{ad}fr", "exemple. \u{ad}fr"),
        ] {
            assert_eq!(unlinked(typed), shown);
        }
        assert_eq!(unlinked_account("TECH_1_X@cpro.fr (paie.exemple)"), "TECH_1_X@cpro.fr (paie. exemple)");
        assert_eq!(unlinked_account("TECH_1_X@cpro.fr"), "TECH_1_X@cpro.fr");
    }
}
