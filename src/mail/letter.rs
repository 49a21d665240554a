//! Renders a mail's subject, plain text and HTML from `templates/mails`.

use std::time::Duration;

use askama::Template;

use super::foreign_text;
use crate::{
    domain::{
        handover::Refusal,
        notification::{LinkEvent, Notification, OperatorAct},
    },
    french,
};

/// A rendered mail, without its recipient.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Letter {
    pub subject: String,
    pub text: String,
    pub html: String,
}

/// The person to whom a mail sends a link.
///
/// Neither this nor [`Letter`] implements `Debug`: the link's secret must not reach a log.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Guest {
    pub name: String,
    pub login: String,
    pub token: String,
    /// How long the link is valid.
    pub lifetime: Duration,
}

impl Guest {
    /// « 60 minutes », « 24 heures », « 7 jours ».
    fn validity(&self) -> String {
        match self.lifetime.as_secs() / 60 {
            minutes @ ..=60 => format!("{minutes}\u{a0}minutes"),
            minutes if minutes <= 48 * 60 => format!("{}\u{a0}heures", minutes / 60),
            minutes => format!("{}\u{a0}jours", minutes / (24 * 60)),
        }
    }
}

#[derive(Template)]
#[template(path = "mails/subject.txt")]
struct Subject<'a> {
    notice: &'a Notification,
    only: Option<&'a str>,
}

#[derive(Template)]
#[template(path = "mails/letter.txt")]
struct Text<'a> {
    notice: &'a Notification,
    guest: Option<&'a Guest>,
    portal: &'a str,
    only: Option<&'a str>,
}

#[derive(Template)]
#[template(path = "mails/letter.html")]
struct Html<'a> {
    notice: &'a Notification,
    guest: Option<&'a Guest>,
    portal: &'a str,
    only: Option<&'a str>,
    subject: &'a str,
}

/// The portal that the mails come from.
#[derive(Clone, Debug)]
pub(super) struct Portal {
    /// Its public URL, without a trailing slash.
    pub url: String,
    /// The identity provider's name, where people sign in with it only.
    pub only_provider: Option<String>,
}

/// Renders a notification's mail. `guest` is given for a mail with a link.
///
/// # Errors
/// Where a template cannot be rendered.
pub(super) fn render(notice: &Notification, guest: Option<&Guest>, portal: &Portal) -> askama::Result<Letter> {
    // The subject is a header, and is the first thing that people read: it holds no text that a
    // stranger chose. An imported identifier must not break its line.
    let Portal { url: portal, only_provider } = portal;
    let only = only_provider.as_deref();
    let subject = Subject { notice, only }.render()?.trim().replace(char::is_control, " ");
    let text = Text { notice, guest, portal, only }.render()?;
    let html = Html { notice, guest, portal, only, subject: &subject }.render()?;
    Ok(Letter { subject, text, html })
}

#[cfg(test)]
#[path = "letter_tests.rs"]
mod tests;
