//! What templates do to values: French dates in Paris time, digits in groups.

// What askama's macro writes.
#![allow(clippy::inline_always, clippy::missing_errors_doc)]

use std::fmt::Write;

use askama::{Result, Values, filters::Safe};
use time::OffsetDateTime;

use crate::french;

/// « 24 janvier 2028 », in a `<time>`.
#[askama::filter_fn]
pub fn day(at: &OffsetDateTime, _: &dyn Values) -> Result<Safe<String>> {
    Ok(Safe(format!(r#"<time datetime="{}">{}</time>"#, french::in_paris(*at).date(), french::day(*at))))
}

/// « 24 janvier 2028 à 14 h 05 », in a `<time>`.
#[askama::filter_fn]
pub fn moment(at: &OffsetDateTime, _: &dyn Values) -> Result<Safe<String>> {
    let paris = french::in_paris(*at);
    let machine = paris.strftime("%Y-%m-%dT%H:%M:%S%:z");
    Ok(Safe(format!("<time datetime=\"{machine}\">{}</time>", french::moment(*at))))
}

/// Digits in groups: narrow gaps to the eye, nothing between the characters, so that copy and
/// search find them exact.
///
/// SIRET: 3 3 3 5. Anything that is not 14 digits stays whole.
#[askama::filter_fn]
pub fn grouped(identifier: &str, _: &dyn Values) -> Result<Safe<String>> {
    let siret = identifier.len() == 14 && identifier.bytes().all(|byte| byte.is_ascii_digit());
    let sizes: &[usize] = if siret { &[3, 3, 3, 5] } else { &[] };
    Ok(Safe(in_groups(identifier, sizes, "")))
}

/// A password in groups of five after its `rcd_`, that may wrap between groups; the text itself
/// stays exact.
#[askama::filter_fn]
pub fn password_groups(password: &str, _: &dyn Values) -> Result<Safe<String>> {
    let sizes: Vec<usize> = std::iter::once(4).chain(std::iter::repeat_n(5, password.len() / 5)).collect();
    Ok(Safe(in_groups(password, &sizes, "<wbr>")))
}

/// Lets a long login or address wrap before its `@`; the text itself stays exact.
#[askama::filter_fn]
pub fn breakable(text: &str, _: &dyn Values) -> Result<Safe<String>> {
    let html = escape(text);
    Ok(Safe(html.replace('@', "<wbr>@")))
}

/// A count as French writes it: « 5 000 », with narrow no-break spaces.
#[askama::filter_fn]
pub fn count(number: &u64, _: &dyn Values) -> Result<String> {
    let digits = number.to_string();
    let mut spaced = String::with_capacity(digits.len() + digits.len() / 3 * 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            spaced.push('\u{202f}');
        }
        spaced.push(digit);
    }
    Ok(spaced)
}

/// A SIRET with narrow no-break spaces, for paper.
pub fn spaced_identifier(identifier: &str) -> String {
    match siret_groups(identifier) {
        Some(groups) => groups.join("\u{202f}"),
        None => identifier.to_owned(),
    }
}

fn siret_groups(identifier: &str) -> Option<[&str; 4]> {
    let is_siret = identifier.len() == 14 && identifier.bytes().all(|byte| byte.is_ascii_digit());
    is_siret.then(|| [&identifier[..3], &identifier[3..6], &identifier[6..9], &identifier[9..]])
}

fn in_groups(text: &str, sizes: &[usize], between: &str) -> String {
    let mut rest = text;
    let mut html = String::with_capacity(text.len() + sizes.len() * 24);
    for size in sizes {
        let (group, after) = rest.split_at_checked(*size).unwrap_or((rest, ""));
        if group.is_empty() {
            break;
        }
        if !html.is_empty() {
            html.push_str(between);
        }
        let _ = write!(html, r#"<span class="group">{}</span>"#, escape(group));
        rest = after;
    }
    html + &escape(rest)
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;").replace('\'', "&#39;")
}

#[cfg(test)]
mod tests {
    use askama::Template;

    use crate::web::shell::filters;

    #[derive(Template)]
    #[template(source = "{{ text|breakable }}\n{{ text|grouped }}\n{{ text|password_groups }}", ext = "html")]
    struct Written<'a> {
        text: &'a str,
    }

    #[test]
    fn what_makes_markup_escapes_what_it_is_given() {
        let text = "<b onclick='x'>\"&amp;@</b>";
        let html = Written { text }.render().unwrap();
        let own = ["<wbr>", "<span class=\"group\">", "</span>"];
        let told = own.into_iter().fold(html, |html, markup| html.replace(markup, ""));
        assert!(!told.contains(['<', '>', '"', '\'']), "{told}");
        let read = |line: &str| {
            let signs = [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&#39;", "'"), ("&amp;", "&")];
            signs.into_iter().fold(line.to_owned(), |line, (written, sign)| line.replace(written, sign))
        };
        assert_eq!(told.lines().map(read).collect::<Vec<_>>(), [text; 3], "escaped once");
    }
}
