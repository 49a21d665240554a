//! « Activité » of an account's page: its calls as two charts.

use time::OffsetDateTime;

use crate::{
    db::technical_users::activity::{Activity, CallCount},
    french,
    web::shell::filters::in_french,
};

/// The calls of the last 30 days and of the last 14 months.
pub struct ActivityView {
    pub days: Chart,
    pub months: Chart,
    /// The day on which counting began, if the account is older.
    pub counted_since: Option<OffsetDateTime>,
}

/// Bars on both sides of a line: accepted calls above it, refused ones below. Both sides have one
/// scale. Lengths are those of the drawing's own coordinates.
pub struct Chart {
    /// The oldest first.
    pub bars: Vec<Bar>,
    pub accepted: u64,
    pub refused: u64,
}

/// The calls of a day or of a month.
pub struct Bar {
    /// Its beginning in Paris.
    pub from: OffsetDateTime,
    pub accepted: u64,
    pub refused: u64,
    /// Where its place begins.
    pub x: usize,
    /// The height of the bar above the line.
    pub up: u64,
    /// The height of the bar below the line.
    pub down: u64,
}

/// The place of a bar, with the gap beside it.
const STEP: usize = 10;
/// The room above the line.
const ABOVE: u64 = 70;
/// The room below the line.
const BELOW: u64 = 30;
/// The least height of a bar, so that one call among thousands is seen.
const LEAST: u64 = 3;

impl From<Activity> for ActivityView {
    fn from(activity: Activity) -> Self {
        let Activity { days, months, counted_since } = activity;
        Self { days: Chart::of(&days), months: Chart::of(&months), counted_since }
    }
}

impl ActivityView {
    pub fn is_empty(&self) -> bool {
        self.months.accepted + self.months.refused == 0
    }
}

impl Chart {
    fn of(counts: &[CallCount]) -> Self {
        let accepted = || counts.iter().map(|count| count.accepted.unsigned_abs());
        let refused = || counts.iter().map(|count| count.refused.unsigned_abs());
        let scale = Scale::of(accepted().max().unwrap_or(0), refused().max().unwrap_or(0));
        let bars = counts.iter().enumerate().map(|(place, count)| Bar {
            from: count.from,
            accepted: count.accepted.unsigned_abs(),
            refused: count.refused.unsigned_abs(),
            x: place * STEP,
            up: scale.height(count.accepted.unsigned_abs()),
            down: scale.height(count.refused.unsigned_abs()),
        });
        Self { bars: bars.collect(), accepted: accepted().sum(), refused: refused().sum() }
    }

    /// « 1 240 acceptés, 12 refusés ».
    pub fn words(&self) -> String {
        words(self.accepted, self.refused)
    }

    pub fn width(&self) -> usize {
        self.bars.len() * STEP
    }

    pub fn height(&self) -> u64 {
        if self.is_flat() { ABOVE } else { ABOVE + BELOW }
    }

    /// Whether nothing is below the line.
    pub fn is_flat(&self) -> bool {
        self.refused == 0
    }

    /// Where the line is.
    pub fn line(&self) -> u64 {
        ABOVE
    }

    /// The most accepted calls of a day or month.
    pub fn most(&self) -> u64 {
        self.bars.iter().map(|bar| bar.accepted).max().unwrap_or(0)
    }

    /// The first bar, and the last one.
    pub fn ends(&self) -> Option<(&Bar, &Bar)> {
        self.bars.first().zip(self.bars.last())
    }
}

impl Bar {
    pub fn day(&self) -> String {
        french::day(self.from)
    }

    pub fn month(&self) -> String {
        french::month(self.from)
    }

    /// Where the bar above the line begins.
    pub fn top(&self) -> u64 {
        ABOVE - self.up
    }

    /// « 124 acceptés, 1 refusé ».
    pub fn words(&self) -> String {
        words(self.accepted, self.refused)
    }
}

fn words(accepted: u64, refused: u64) -> String {
    let counted =
        |count: u64, word: &str| format!("{}\u{a0}{word}{}", in_french(count), if count > 1 { "s" } else { "" });
    match refused {
        0 => counted(accepted, "accepté"),
        refused => format!("{}, {}", counted(accepted, "accepté"), counted(refused, "refusé")),
    }
}

/// So many calls are so high.
#[derive(Clone, Copy)]
struct Scale {
    calls: u64,
    height: u64,
}

impl Scale {
    /// The greatest one at which both sides fit.
    fn of(accepted: u64, refused: u64) -> Self {
        if accepted.saturating_mul(BELOW) >= refused.saturating_mul(ABOVE) {
            Self { calls: accepted, height: ABOVE }
        } else {
            Self { calls: refused, height: BELOW }
        }
    }

    fn height(self, calls: u64) -> u64 {
        if calls == 0 { 0 } else { (calls.saturating_mul(self.height) / self.calls.max(1)).max(LEAST) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chart(counts: &[(i64, i64)]) -> Vec<(u64, u64)> {
        let from = OffsetDateTime::UNIX_EPOCH;
        let counts: Vec<_> = counts
            .iter()
            .map(|(accepted, refused)| CallCount { from, accepted: *accepted, refused: *refused })
            .collect();
        Chart::of(&counts).bars.iter().map(|bar| (bar.up, bar.down)).collect()
    }

    #[test]
    fn both_sides_have_one_scale_and_their_room() {
        assert_eq!(chart(&[(100, 0), (50, 20)]), [(ABOVE, 0), (ABOVE / 2, 14)]);
        assert_eq!(chart(&[(100, 0), (0, 100)]), [(BELOW, 0), (0, BELOW)]);
        assert_eq!(chart(&[(0, 7)]), [(0, BELOW)]);
        assert_eq!(chart(&[(0, 0), (0, 0)]), [(0, 0); 2]);
    }

    #[test]
    fn calls_are_counted_in_words() {
        assert_eq!(words(1240, 1), "1\u{202f}240\u{a0}acceptés, 1\u{a0}refusé");
        assert_eq!(words(0, 0), "0\u{a0}accepté");
    }

    #[test]
    fn one_call_among_a_million_is_seen() {
        assert_eq!(chart(&[(1_000_000, 1), (1, 0)]), [(ABOVE, LEAST), (LEAST, 0)]);
        assert_eq!(chart(&[(i64::MAX, i64::MAX)]).len(), 1);
    }
}
