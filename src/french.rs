//! French texts for dates (in Paris time, and beside it in that of a territory) and seconds.

use std::sync::LazyLock;

use jiff::{Timestamp, ZonedDateTime, civil::Date, tz::TimeZone};
use time::OffsetDateTime;

use crate::domain::territory::Territory;

static PARIS: LazyLock<TimeZone> = LazyLock::new(|| TimeZone::get("Europe/Paris").unwrap_or(TimeZone::UTC));

const MONTHS: [&str; 12] = [
    "janvier",
    "février",
    "mars",
    "avril",
    "mai",
    "juin",
    "juillet",
    "août",
    "septembre",
    "octobre",
    "novembre",
    "décembre",
];

/// « 24 janvier 2028 ».
#[must_use]
pub fn day(at: OffsetDateTime) -> String {
    french_day(&in_paris(at))
}

/// « 24 janvier 2028 à 14 h 05 (heure de Paris) ».
#[must_use]
pub fn moment(at: OffsetDateTime) -> String {
    format!("{} (heure de Paris)", day_and_hour(&in_paris(at)))
}

/// « 24 janvier 2028 à 14 h 05 », where the text around it says of which place.
#[must_use]
pub fn clock(at: OffsetDateTime) -> String {
    day_and_hour(&in_paris(at))
}

/// « 14 h 05 ».
#[must_use]
pub fn hour(at: OffsetDateTime) -> String {
    french_hour(&in_paris(at))
}

/// « 9 décembre 2026 à 23 h 49 à Tahiti », where it is another day there than in Paris.
#[must_use]
pub fn other_day(at: OffsetDateTime, territory: Option<Territory>) -> Option<String> {
    let territory = territory?;
    let paris = in_paris(at);
    let local = paris.with_time_zone(TimeZone::get(territory.zone()).ok()?);
    (local.date() != paris.date()).then(|| format!("{} {}", day_and_hour(&local), territory.place()))
}

fn day_and_hour(at: &ZonedDateTime) -> String {
    format!("{} à {}", french_day(at), french_hour(at))
}

fn french_hour(at: &ZonedDateTime) -> String {
    format!("{}\u{a0}h\u{a0}{:02}", at.hour(), at.minute())
}

/// « janvier 2028 ».
#[must_use]
pub fn month(at: OffsetDateTime) -> String {
    let paris = in_paris(at);
    format!("{} {}", name_of_month(&paris), paris.year())
}

/// « 1 seconde », « 30 secondes ».
#[must_use]
pub fn seconds(count: u32) -> String {
    format!("{count}\u{a0}seconde{}", if count > 1 { "s" } else { "" })
}

/// « 30 secondes », « 2 minutes »: minutes are rounded up.
#[must_use]
pub fn wait(count: u32) -> String {
    match count.div_ceil(60) {
        minutes @ 2.. => format!("{minutes}\u{a0}minutes"),
        _ => seconds(count),
    }
}

/// Capitalizes an error message and adds a full stop.
#[must_use]
pub fn sentence(message: &str) -> String {
    let mut characters = message.chars();
    characters.next().map(|first| first.to_uppercase().chain(characters).collect::<String>() + ".").unwrap_or_default()
}

/// The instant in Paris time.
#[must_use]
pub fn in_paris(at: OffsetDateTime) -> ZonedDateTime {
    Timestamp::from_second(at.unix_timestamp()).unwrap_or(Timestamp::UNIX_EPOCH).to_zoned_datetime(PARIS.clone())
}

/// Parses a day in French order, « 24/01/2028 », or as 2028-01-24. `None` where there is no such
/// day.
#[must_use]
pub fn parse_day(text: &str) -> Option<Date> {
    let parts: Vec<&str> = text.trim().split(['/', '.', '-', ' ']).collect();
    let [first, month, last] = parts[..] else { return None };
    let (day, year) = if first.len() == 4 { (last, first) } else { (first, last) };
    let number =
        |text: &str| text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse::<i16>().ok()).flatten();
    let is_of_our_time = |year: &i16| (1900..3000).contains(year);
    let (month, day) = (i8::try_from(number(month)?).ok()?, i8::try_from(number(day)?).ok()?);
    Date::new(number(year).filter(is_of_our_time)?, month, day).ok()
}

/// Parses a month as URLs have it, 2028-01, into its beginning in Paris.
#[must_use]
pub fn parse_month(text: &str) -> Option<OffsetDateTime> {
    let is_month = text.len() == 7 && text.as_bytes()[4] == b'-';
    parse_day(&format!("{text}-01")).filter(|_| is_month).and_then(beginning_of)
}

/// Midnight of this day in Paris.
#[must_use]
pub fn beginning_of(day: Date) -> Option<OffsetDateTime> {
    let midnight = PARIS.to_timestamp(day.at(0, 0, 0, 0)).ok()?;
    OffsetDateTime::from_unix_timestamp(midnight.as_second()).ok()
}

fn french_day(date: &ZonedDateTime) -> String {
    let ordinal = if date.day() == 1 { "er" } else { "" };
    format!("{}{ordinal} {} {}", date.day(), name_of_month(date), date.year())
}

fn name_of_month(date: &ZonedDateTime) -> &'static str {
    MONTHS[usize::from(date.month().unsigned_abs()) - 1]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> OffsetDateTime {
        let timestamp: Timestamp = text.parse().unwrap();
        OffsetDateTime::from_unix_timestamp(timestamp.as_second()).unwrap()
    }

    #[test]
    fn a_day_is_the_one_in_paris() {
        assert_eq!(day(at("2028-01-23T23:30:00Z")), "24 janvier 2028");
        assert_eq!(day(at("2027-07-31T21:59:59Z")), "31 juillet 2027");
        assert_eq!(day(at("2027-07-31T22:00:00Z")), "1er août 2027");
        assert_eq!(month(at("2027-07-31T22:00:00Z")), "août 2027");
    }

    #[test]
    fn an_hour_follows_summer_and_winter() {
        assert_eq!(moment(at("2028-01-24T13:05:00Z")), "24 janvier 2028 à 14\u{a0}h\u{a0}05 (heure de Paris)");
        assert_eq!(clock(at("2028-07-14T13:05:00Z")), "14 juillet 2028 à 15\u{a0}h\u{a0}05");
        assert_eq!(hour(at("2028-07-14T23:05:00Z")), "1\u{a0}h\u{a0}05");
    }

    #[test]
    fn where_it_is_another_day_than_in_paris_it_is_said() {
        let there = |text: &str, territory| other_day(at(text), Some(territory));
        let died = "2026-12-10T09:49:00Z";
        assert_eq!(there(died, Territory::Polynesie).as_deref(), Some("9 décembre 2026 à 23\u{a0}h\u{a0}49 à Tahiti"));
        assert_eq!(there(died, Territory::Reunion), None);
        let evening = "2026-12-10T20:00:00Z";
        let noumea = "11 décembre 2026 à 7\u{a0}h\u{a0}00 en Nouvelle-Calédonie";
        assert_eq!(there(evening, Territory::NouvelleCaledonie).as_deref(), Some(noumea));
        assert_eq!(
            there("2026-12-10T01:00:00Z", Territory::Guadeloupe).as_deref(),
            Some("9 décembre 2026 à 21\u{a0}h\u{a0}00 en Guadeloupe")
        );
        assert_eq!(other_day(at(died), None), None);
    }

    #[test]
    fn a_day_is_read_as_people_and_as_software_write_it() {
        for text in ["24/01/2028", " 24/1/2028", "24.01.2028", "24-01-2028", "24 01 2028", "2028-01-24"] {
            assert_eq!(parse_day(text), Some(jiff::civil::date(2028, 1, 24)), "{text}");
        }
        assert!(parse_day("29/02/2028").is_some());
        for text in [
            "",
            "hier",
            "29/02/2027",
            "31/04/2028",
            "24/13/2028",
            "24/01/28",
            "01/2028",
            "+4/01/2028",
            "24/01/20280",
            "//",
            "٢٤/٠١/٢٠٢٨",
        ] {
            assert_eq!(parse_day(text), None, "{text}");
        }
    }

    #[test]
    fn a_month_of_a_url_is_read() {
        assert_eq!(parse_month("2027-08"), Some(at("2027-07-31T22:00:00Z")));
        for text in ["", "2027", "2027-13", "08-2027", "2027-8", "2027-08-01", "2027/08", "é027-0"] {
            assert_eq!(parse_month(text), None, "{text}");
        }
    }

    #[test]
    fn a_day_begins_at_midnight_in_paris() {
        let begins = |text: &str| beginning_of(parse_day(text).unwrap()).unwrap();
        assert_eq!(begins("24/01/2028"), at("2028-01-23T23:00:00Z"));
        assert_eq!(begins("14/07/2028"), at("2028-07-13T22:00:00Z"));
        // The days when the clocks change have 23 and 25 hours.
        assert_eq!((begins("27/03/2028") - begins("26/03/2028")).whole_hours(), 23);
        assert_eq!((begins("30/10/2028") - begins("29/10/2028")).whole_hours(), 25);
    }
}
