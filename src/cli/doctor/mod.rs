//! `raccord doctor`: looks at everything that serving needs, says what is wrong and how to mend it,
//! and changes nothing.

use std::fmt::Write;

use super::{
    error::{CliError, Outcome},
    output::{self, Rows},
};
use crate::{domain::characters::printable, settings::Settings};

mod clock;
mod database;
mod disk;
mod finding;
mod identity_provider;
mod keys;
mod mail;
mod settings;
mod tls;

pub use finding::Place;
use finding::{Finding, Health};
pub use settings::read_settings;

/// Looks at everything, prints what was found, and returns how the command ended.
///
/// # Errors
/// Where standard output cannot be written.
pub async fn run(settings: &Settings, place: Place, json: bool) -> Result<Outcome, CliError> {
    let mut findings = settings::examine(settings);
    let pool = match database::open(&place).await {
        Ok(pool) => Some(pool),
        Err(finding) => {
            findings.push(finding);
            None
        }
    };
    if let Some(pool) = &pool {
        findings.extend(database::examine(settings, pool).await);
    }
    findings.push(keys::examine(settings, pool.as_ref()).await);
    findings.extend(mail::examine(settings, pool.as_ref()).await);
    findings.extend(identity_provider::examine(settings).await);
    if let Some(pool) = &pool {
        findings.extend(clock::examine(pool).await);
        pool.close().await;
    }
    findings.extend(tls::examine(settings));
    findings.push(disk::examine(settings));
    print(&findings, json)
}

/// Prints that the settings cannot be read, after which there is nothing to look at.
///
/// # Errors
/// Where standard output cannot be written.
pub fn report_unreadable(finding: Finding, json: bool) -> Result<Outcome, CliError> {
    print(&[finding], json)
}

fn print(findings: &[Finding], json: bool) -> Result<Outcome, CliError> {
    if json {
        Rows::of(findings).print_json()?;
    } else {
        output::print(&text(findings))?;
    }
    let is_wrong = findings.iter().any(|finding| finding.health == Health::Wrong);
    Ok(if is_wrong { Outcome::SomethingWrong } else { Outcome::Done })
}

fn text(findings: &[Finding]) -> String {
    let mut text = String::new();
    for Finding { about, health, found, mend } in findings {
        let _ = writeln!(text, "{:<8} {about:<12} {}", health.word(), printable(found));
        if !mend.is_empty() {
            let _ = writeln!(text, "{:22}{}", "", printable(mend));
        }
    }
    let count = |health| findings.iter().filter(|finding| finding.health == health).count();
    let (wrong, warnings) = (count(Health::Wrong), count(Health::Warning));
    let _ = writeln!(text, "{wrong} wrong, {warnings} warnings, {} well", count(Health::Good));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_s_reply_does_not_move_the_cursor() {
        let text = text(&[Finding::wrong("mail", "454 \u{1b}[2Jno\r\nok", "wait")]);
        assert!(text.contains("454 \u{fffd}[2Jno\u{fffd}\u{fffd}ok\n"), "{text:?}");
    }

    #[test]
    fn what_is_wrong_is_followed_by_how_to_mend_it() {
        let findings = [Finding::good("clock", "runs"), Finding::wrong("disk", "is full", "make room")];
        let expected = "\
ok       clock        runs
wrong    disk         is full
                      make room
1 wrong, 0 warnings, 1 well
";
        assert_eq!(text(&findings), expected);
    }
}
