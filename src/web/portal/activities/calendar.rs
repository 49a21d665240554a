//! « Calendrier des échéances »: the expiry of all passwords as a calendar (RFC 5545), to download
//! or to subscribe to.
//!
//! Written here in thirty lines: the crates for this format depend on a second date library.

use std::fmt::Write;

use askama::Template;
use axum::{
    Extension,
    extract::{Path, Query, State},
    response::{Redirect, Response},
};
use time::OffsetDateTime;

use super::{manager_id, pages::Month};
use crate::{
    db::{
        identity::calendar_links::{self, NewLink},
        page_data::{self as contents, CalendarContents},
        technical_users::deadlines::{self, Deadline, MonthOfDeadlines, NextDeadline},
    },
    domain::{characters::is_control_or_line_end, random, territory::Territory},
    french,
    web::{
        edge::{
            context::RequestContext,
            error::{AppError, page as render},
            state::{AppState, Downloader},
        },
        identity::{
            fresh_form::{FreshForm, Nothing},
            visitor::Visitor,
        },
        paths,
        portal::export::File,
        shell::{
            filters,
            layout::{Layout, Tab},
            notice::{Notice, NoticeQuery},
            values::{Expiry, Id},
        },
    },
    work_queue::QueueKey,
};

/// Months on the page.
const MONTHS: usize = 12;

/// Deadlines on the page; the list of technical users has all of them.
const MOST_DEADLINES: i64 = 10;

/// The page about the calendar.
pub async fn page(
    State(state): State<AppState>,
    visitor: Visitor,
    Query(notice): Query<NoticeQuery>,
) -> Result<Response, AppError> {
    render(&calendar_page(&state, &visitor, None, notice.notice()).await?)
}

async fn calendar_page(
    state: &AppState,
    visitor: &Visitor,
    link: Option<String>,
    notice: Option<Notice>,
) -> Result<CalendarPage, AppError> {
    let manager_id = manager_id(visitor)?;
    let CalendarContents { next, mut months, has_link } =
        contents::calendar(&state.pool, manager_id, MOST_DEADLINES).await?;
    let later = months.split_off(MONTHS.min(months.len()));
    Ok(CalendarPage {
        layout: state.layout(&visitor.person, Tab::Activities, notice),
        link,
        has_link,
        total: next.first().map_or(0, |deadline| deadline.total.unsigned_abs()),
        months: months.into_iter().map(MonthCell::from).collect(),
        later: later.iter().map(|month| month.count.unsigned_abs()).sum(),
        deadlines: next.into_iter().map(DeadlineRow::from).collect(),
    })
}

/// Makes a new link, shown only this once. The previous one stops working.
///
/// Two calls of `db`: the page is read after the link is made.
pub async fn make_link(
    State(state): State<AppState>,
    visitor: Visitor,
    FreshForm(Nothing {}): FreshForm<Nothing>,
) -> Result<Response, AppError> {
    let manager_id = manager_id(&visitor)?;
    let token = random::token(&mut random::os_rng());
    let link = format!("{}{}", state.settings.public_url, paths::calendar(&token));
    let hash = random::digest(&token);
    match calendar_links::replace(&state.pool, &visitor.actor, &visitor.session, manager_id, &hash).await? {
        NewLink::Made => render(&calendar_page(&state, &visitor, Some(link), None).await?),
        NewLink::TooOften { seconds } => Err(AppError::TooManyRequests { seconds }),
        NewLink::SessionEnded => Err(AppError::SignInRequired { expired: true, return_to: None }),
    }
}

/// « Révoquer le lien ».
pub async fn revoke_link(State(state): State<AppState>, visitor: Visitor) -> Result<Redirect, AppError> {
    let manager_id = manager_id(&visitor)?;
    calendar_links::revoke(&state.pool, &visitor.actor, &visitor.session, manager_id).await?;
    Ok(Redirect::to(&Notice::CalendarLinkRevoked.on(paths::DEADLINES)))
}

/// The calendar of the visitor.
pub async fn file(State(state): State<AppState>, visitor: Visitor) -> Result<Response, AppError> {
    let manager_id = manager_id(&visitor)?;
    answer(&state, manager_id, Downloader::Person(manager_id), QueueKey::Person(manager_id)).await
}

/// The calendar, for a program that has the link.
///
/// Two calls of `db`: a stranger's statement finds the manager, whose link has a share of its own.
pub async fn subscription(
    State(state): State<AppState>,
    Extension(context): Extension<RequestContext>,
    Path(token): Path<String>,
) -> Result<Response, AppError> {
    let found = calendar_links::find_owner(&state.strangers_pool, &random::digest(&token)).await?;
    let manager_id = found.ok_or(AppError::NotFound)?;
    answer(&state, manager_id, Downloader::CalendarLink(manager_id), QueueKey::portal(context.address)).await
}

/// A calendar, which counts as a download from before it is read until it is handed to the kernel:
/// with many structures it has more than a megabyte, and its reader may be slow.
async fn answer(
    state: &AppState,
    manager_id: i64,
    downloader: Downloader,
    key: QueueKey,
) -> Result<Response, AppError> {
    let share = state.exports.take(downloader, 1)?;
    let deadlines = deadlines::of_manager(&state.pool, manager_id).await?;
    let portal = state.settings.public_url.clone();
    let text = state.work_queue.run(key, move || calendar(&deadlines, &portal)).await?;
    let file = File {
        name: "echeances-raccord.ics".into(),
        media_type: "text/calendar; charset=utf-8",
        content: text.into_bytes(),
    };
    Ok(file.held_with(share))
}

/// A calendar must have a component (RFC 5545 §3.6), and a manager may have no deadline: the zone
/// of the texts' hours is always there.
const PARIS: [&str; 17] = [
    "BEGIN:VTIMEZONE",
    "TZID:Europe/Paris",
    "BEGIN:DAYLIGHT",
    "TZOFFSETFROM:+0100",
    "TZOFFSETTO:+0200",
    "TZNAME:CEST",
    "DTSTART:19960331T020000",
    "RRULE:FREQ=YEARLY;BYMONTH=3;BYDAY=-1SU",
    "END:DAYLIGHT",
    "BEGIN:STANDARD",
    "TZOFFSETFROM:+0200",
    "TZOFFSETTO:+0100",
    "TZNAME:CET",
    "DTSTART:19961027T030000",
    "RRULE:FREQ=YEARLY;BYMONTH=10;BYDAY=-1SU",
    "END:STANDARD",
    "END:VTIMEZONE",
];

fn calendar(deadlines: &[Deadline], portal: &str) -> String {
    let mut text = String::new();
    for line in [
        "BEGIN:VCALENDAR",
        "VERSION:2.0",
        "PRODID:-//Raccord//Échéances//FR",
        "CALSCALE:GREGORIAN",
        "METHOD:PUBLISH",
        "X-WR-CALNAME:Raccord – échéances des mots de passe",
        "REFRESH-INTERVAL;VALUE=DURATION:P1D",
        "X-PUBLISHED-TTL:P1D",
        "X-WR-TIMEZONE:Europe/Paris",
    ] {
        push(&mut text, line);
    }
    for line in PARIS {
        push(&mut text, line);
    }
    for deadline in deadlines {
        push_event(&mut text, deadline, portal);
    }
    push(&mut text, "END:VCALENDAR");
    text
}

/// Adds an event of a whole day, Paris time, with alarms 30 and 7 days before.
fn push_event(text: &mut String, deadline: &Deadline, portal: &str) {
    let host = portal.split_once("://").map_or(portal, |(_, host)| host);
    let name = deadline.label.as_deref().unwrap_or(&deadline.login);
    let day = french::in_paris(deadline.expires_at).date().strftime("%Y%m%d").to_string();
    let url = format!("{portal}{}", paths::technical_user(deadline.technical_user_id));
    let what = format!("Mot de passe technique à renouveler\u{a0}: {name} ({})", deadline.structure);
    let territory = Territory::of_structure(deadline.identifier_type, &deadline.postal_code);
    let there = french::other_day(deadline.expires_at, territory).map(|there| format!(", soit le {there}"));
    let why = format!(
        "Le mot de passe du compte {} expire le {}{}. Réinitialisez-le avant\u{a0}: {url}",
        deadline.login,
        french::moment(deadline.expires_at),
        there.unwrap_or_default(),
    );
    // Calendars take a change of the texts only with another revision (RFC 5545 §3.8.7.4).
    let revision = (deadline.changed_at - deadline.password_set_at).whole_seconds().max(0);
    push(text, "BEGIN:VEVENT");
    push(text, &format!("UID:{}-{}@{host}", deadline.technical_user_id, deadline.credential_version));
    // With METHOD, it is when the calendar was made (RFC 5545 §3.8.7.2).
    push(text, &format!("DTSTAMP:{}", utc(deadline.read_at)));
    push(text, &format!("CREATED:{}", utc(deadline.password_set_at)));
    push(text, &format!("LAST-MODIFIED:{}", utc(deadline.changed_at)));
    push(text, &format!("SEQUENCE:{revision}"));
    push(text, &format!("DTSTART;VALUE=DATE:{day}"));
    push(text, &format!("SUMMARY:{}", escaped(&what)));
    push(text, &format!("DESCRIPTION:{}", escaped(&why)));
    push(text, &format!("URL:{url}"));
    push(text, "TRANSP:TRANSPARENT");
    for before in ["-P30D", "-P7D"] {
        push(text, "BEGIN:VALARM");
        push(text, "ACTION:DISPLAY");
        push(text, &format!("TRIGGER:{before}"));
        push(text, &format!("DESCRIPTION:{}", escaped(&what)));
        push(text, "END:VALARM");
    }
    push(text, "END:VEVENT");
}

fn utc(at: OffsetDateTime) -> String {
    french::in_paris(at).timestamp().strftime("%Y%m%dT%H%M%SZ").to_string()
}

/// Escapes a text value (RFC 5545 §3.3.11).
fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace(';', "\\;").replace(',', "\\,").replace(is_control_or_line_end, " ")
}

/// Adds a content line, folded before its 75th octet (RFC 5545 §3.1).
fn push(text: &mut String, line: &str) {
    let mut width = 0;
    for character in line.chars() {
        if width + character.len_utf8() > 74 {
            text.push_str("\r\n ");
            width = 1;
        }
        width += character.len_utf8();
        text.push(character);
    }
    let _ = write!(text, "\r\n");
}

/// « Calendrier des échéances ».
#[derive(Template)]
#[template(path = "activities/calendar.html")]
struct CalendarPage {
    layout: Layout,
    /// The link to subscribe to, if it has just been made.
    link: Option<String>,
    /// Whether there is a link.
    has_link: bool,
    /// The next deadlines.
    deadlines: Vec<DeadlineRow>,
    /// The number of deadlines, listed or not.
    total: u64,
    /// The present month and those that follow.
    months: Vec<MonthCell>,
    /// Deadlines after these months.
    later: u64,
}

impl CalendarPage {
    /// Deadlines before the present month.
    fn overdue(&self) -> u64 {
        let ahead = self.months.iter().map(|month| month.count).sum::<u64>() + self.later;
        self.total.saturating_sub(ahead)
    }
}

/// A month of the year at a glance.
struct MonthCell {
    /// « mars 2027 ».
    words: String,
    count: u64,
    /// Its list.
    url: String,
}

impl From<MonthOfDeadlines> for MonthCell {
    fn from(month: MonthOfDeadlines) -> Self {
        let MonthOfDeadlines { from, count } = month;
        let Month { word, words } = Month::from(from);
        Self { words, count: count.unsigned_abs(), url: format!("{}?mois={word}", paths::OVERVIEW) }
    }
}

/// A deadline of the list.
struct DeadlineRow {
    account_id: Id,
    /// The label, or the login where there is none.
    name: String,
    structure_id: Id,
    structure: String,
    expiry: Expiry,
}

impl From<NextDeadline> for DeadlineRow {
    fn from(next: NextDeadline) -> Self {
        Self {
            account_id: next.technical_user_id,
            name: next.label.unwrap_or(next.login),
            structure_id: next.structure_id,
            structure: next.structure,
            expiry: Expiry { at: next.expires_at, days_left: next.days_left.into(), there: None },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::structure_identifier::IdentifierType;

    #[test]
    fn a_calendar_without_deadlines_has_a_component() {
        let text = calendar(&[], "https://raccord.example");
        assert!(text.contains("\r\nBEGIN:VTIMEZONE\r\nTZID:Europe/Paris\r\n") && !text.contains("VEVENT"), "{text}");
    }

    #[test]
    fn a_calendar_names_each_deadline_in_lines_that_every_reader_takes() {
        let at = |seconds| OffsetDateTime::from_unix_timestamp(seconds).unwrap();
        let deadline = Deadline {
            technical_user_id: 7,
            credential_version: 2,
            login: "TECH_1_21350001400011@cpro.fr".into(),
            label: Some("ERP; paie, \\ et œuvres\nsociales\u{85}X:1\u{2028}X:2\u{b}X:3".into()),
            structure: "Communauté d’agglomération du Pays-très-loin".into(),
            // 2028-01-23 23:30 UTC is the 24th in Paris.
            expires_at: at(1_832_283_000),
            password_set_at: at(1_795_500_000),
            changed_at: at(1_795_500_060),
            read_at: at(1_795_600_000),
            identifier_type: IdentifierType::Siret,
            postal_code: "98714".into(),
        };
        let text = calendar(&[deadline], "https://raccord.example");
        assert!(text.starts_with("BEGIN:VCALENDAR\r\n") && text.ends_with("END:VCALENDAR\r\n"));
        assert!(text.lines().all(|line| line.len() <= 75), "{text}");
        assert_eq!(text.matches("\r\n").count(), text.matches('\n').count());
        let unfolded = text.replace("\r\n ", "");
        for line in [
            "UID:7-2@raccord.example",
            "DTSTAMP:20261125T094640Z",
            "CREATED:20261124T060000Z",
            "LAST-MODIFIED:20261124T060100Z",
            "SEQUENCE:60",
            "DTSTART;VALUE=DATE:20280124",
            "URL:https://raccord.example/utilisateurs-techniques/7",
        ] {
            assert!(unfolded.lines().any(|found| found == line), "{line} is not in {unfolded}");
        }
        assert!(unfolded.contains("24 janvier 2028 à 0\u{a0}h\u{a0}30 (heure de Paris)\\, soit le 23 janvier 2028 à 13\u{a0}h\u{a0}30 à Tahiti."), "{unfolded}");
        assert!(unfolded.contains("ERP\\; paie\\, \\\\ et œuvres sociales X:1 X:2 X:3 (Communauté"), "{unfolded}");
    }
}
