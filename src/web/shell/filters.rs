//! Template filters: French dates in Paris time, digits in groups, line breaks.

// In the code that askama's macro generates.
#![allow(clippy::inline_always, clippy::missing_errors_doc)]

use askama::{
    Result, Values,
    filters::{Escaper, Html, Safe},
};
use time::OffsetDateTime;

use crate::{
    domain::{password::groups, structure_identifier::as_written},
    french,
};

/// « 24 janvier 2028 », in a `<time>`.
#[askama::filter_fn]
pub fn day(at: &OffsetDateTime, _: &dyn Values) -> Result<Safe<String>> {
    Ok(Safe(format!(r#"<time datetime="{}">{}</time>"#, french::in_paris(*at).date(), french::day(*at))))
}

/// « 24 janvier 2028 à 14 h 05 (heure de Paris) », the date in a `<time>`.
#[askama::filter_fn]
pub fn moment(at: &OffsetDateTime, _: &dyn Values) -> Result<Safe<String>> {
    Ok(Safe(format!("{} (heure de Paris)", in_time(*at))))
}

/// « janvier 2028 », in a `<time>`.
#[askama::filter_fn]
pub fn month(at: &OffsetDateTime, _: &dyn Values) -> Result<Safe<String>> {
    let machine = french::in_paris(*at).strftime("%Y-%m");
    Ok(Safe(format!("<time datetime=\"{machine}\">{}</time>", french::month(*at))))
}

/// « 24 janvier 2028 à 14 h 05 », in a `<time>`: in tables, beside which it is said once that the
/// hours are those of Paris.
#[askama::filter_fn]
pub fn clock(at: &OffsetDateTime, _: &dyn Values) -> Result<Safe<String>> {
    Ok(Safe(in_time(*at)))
}

/// « 14 h 05 », where the day is said beside it.
#[askama::filter_fn]
pub fn hour(at: &OffsetDateTime, _: &dyn Values) -> Result<String> {
    Ok(french::hour(*at))
}

fn in_time(at: OffsetDateTime) -> String {
    let machine = french::in_paris(at).strftime("%Y-%m-%dT%H:%M:%S%:z");
    format!("<time datetime=\"{machine}\">{}</time>", french::clock(at))
}

/// A SIRET in groups of 3, 3, 3 and 5 digits, any other identifier as people write it. The gaps
/// between groups are made by the style sheet, so that a copied identifier contains no spaces.
#[askama::filter_fn]
pub fn grouped(identifier: &str, _: &dyn Values, kind: &str) -> Result<Safe<String>> {
    let sizes: &[usize] = if is_siret(identifier) { &SIRET_GROUPS } else { &[] };
    Ok(Safe(in_groups(&as_written(kind, identifier), sizes, "")?))
}

/// A password in groups of five after its `rcd_`, with a possible line break between groups. A
/// copied password contains no spaces.
#[askama::filter_fn]
pub fn password_groups(password: &str, _: &dyn Values) -> Result<Safe<String>> {
    let sizes: Vec<usize> = groups(password).map(str::len).collect();
    Ok(Safe(in_groups(password, &sizes, "<wbr>")?))
}

/// A login or an address with a possible line break before its `@`.
#[askama::filter_fn]
pub fn breakable(text: &str, _: &dyn Values) -> Result<Safe<String>> {
    let mut html = String::with_capacity(text.len() + 8);
    Html.write_escaped_str(&mut html, text)?;
    Ok(Safe(html.replace('@', "<wbr>@")))
}

/// A number in French, « 5 000 », with narrow no-break spaces.
#[askama::filter_fn]
pub fn count(number: &u64, _: &dyn Values) -> Result<String> {
    Ok(in_french(*number))
}

/// « 5 000 », with narrow no-break spaces.
pub fn in_french(number: u64) -> String {
    let digits = number.to_string();
    let mut spaced = String::with_capacity(digits.len() + digits.len() / 3 * 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            spaced.push('\u{202f}');
        }
        spaced.push(digit);
    }
    spaced
}

/// A SIRET in groups separated by narrow no-break spaces, for the PDF; any other identifier as it
/// is.
pub fn spaced_identifier(identifier: &str) -> String {
    if !is_siret(identifier) {
        return identifier.to_owned();
    }
    let mut rest = identifier;
    let groups = SIRET_GROUPS.map(|size| {
        let (group, after) = rest.split_at(size);
        rest = after;
        group
    });
    groups.join("\u{202f}")
}

const SIRET_GROUPS: [usize; 4] = [3, 3, 3, 5];

fn is_siret(identifier: &str) -> bool {
    identifier.len() == 14 && identifier.bytes().all(|byte| byte.is_ascii_digit())
}

/// The text as HTML, with a `<span class="group">` around each group of these sizes, and `between`
/// between them. What follows the last group gets no span.
fn in_groups(text: &str, sizes: &[usize], between: &str) -> Result<String> {
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
        html.push_str(r#"<span class="group">"#);
        Html.write_escaped_str(&mut html, group)?;
        html.push_str("</span>");
        rest = after;
    }
    Html.write_escaped_str(&mut html, rest)?;
    Ok(html)
}

#[cfg(test)]
mod tests {
    use askama::Template;

    use crate::web::shell::filters;

    #[derive(Template)]
    #[template(
        source = "{{ text|breakable }}\n{{ text|grouped(\"SIRET\") }}\n{{ text|password_groups }}",
        ext = "html"
    )]
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
            let signs = [("&#60;", "<"), ("&#62;", ">"), ("&#34;", "\""), ("&#39;", "'"), ("&#38;", "&")];
            signs.into_iter().fold(line.to_owned(), |line, (written, sign)| line.replace(written, sign))
        };
        assert_eq!(told.lines().map(read).collect::<Vec<_>>(), [text; 3], "escaped once");
    }
}
