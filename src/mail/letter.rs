//! What a mail says. The texts are in `templates/mails`; each mail has a plain and an HTML form.

use askama::Template;

use crate::{domain::notification::Notification, french};

/// A mail, but for its recipient.
#[derive(Clone, PartialEq, Eq)]
pub struct Letter {
    pub subject: String,
    pub text: String,
    pub html: String,
}

/// Somebody whom a mail invites to choose a password. The link's secret shows in the letter and
/// nowhere else: neither of the two has a `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub struct Guest {
    pub name: String,
    pub login: String,
    pub token: String,
    /// Minutes that the link lives.
    pub minutes: u64,
}

#[derive(Template)]
#[template(path = "mails/subject.txt")]
struct Subject<'a> {
    notice: &'a Notification,
}

#[derive(Template)]
#[template(path = "mails/letter.txt")]
struct Text<'a> {
    notice: &'a Notification,
    guest: Option<&'a Guest>,
    portal: &'a str,
}

#[derive(Template)]
#[template(path = "mails/letter.html")]
struct Html<'a> {
    notice: &'a Notification,
    guest: Option<&'a Guest>,
    portal: &'a str,
    subject: &'a str,
}

/// Makes a mail of a notice. `guest` is whom an invitation is for; `portal` the portal's public
/// URL, without a slash at its end.
///
/// # Errors
/// Where a template cannot be rendered.
pub fn render(notice: &Notification, guest: Option<&Guest>, portal: &str) -> askama::Result<Letter> {
    // One line, whatever a structure is called: the subject is a header.
    let subject = Subject { notice }.render()?.trim().replace(char::is_control, " ");
    let text = Text { notice, guest, portal }.render()?;
    let html = Html { notice, guest, portal, subject: &subject }.render()?;
    Ok(Letter { subject, text, html })
}

#[cfg(test)]
#[path = "letter_tests.rs"]
mod tests;
