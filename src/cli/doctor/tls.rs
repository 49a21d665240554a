//! TLS for visitors.

use time::{Duration, OffsetDateTime};

use super::finding::Finding;
use crate::{server, settings::Settings};

const ABOUT: &str = "TLS";

/// Most authorities renew earlier than this.
const SOON: Duration = Duration::days(14);

pub(super) fn examine(settings: &Settings) -> Vec<Finding> {
    let mut findings = vec![public_url(settings)];
    if let Some(files) = &settings.tls {
        findings.push(match server::examine_tls(files) {
            Ok(ends_at) => certificate(ends_at, OffsetDateTime::now_utc()),
            Err(error) => {
                Finding::wrong(ABOUT, error.to_string(), "correct the file; `raccord serve` does not start with it")
            }
        });
    }
    findings
}

fn public_url(settings: &Settings) -> Finding {
    let url = &settings.public_url;
    let is_here = ["localhost", "127.0.0.1", "[::1]"].iter().any(|host| settings.public_host().starts_with(host));
    if url.starts_with("https://") || is_here {
        return Finding::good(ABOUT, format!("people reach the portal at {url}"));
    }
    let mend = "set RACCORD_PUBLIC_URL to the https:// URL that people type, and RACCORD_TLS_CERT or a proxy before it";
    Finding::warning(ABOUT, format!("people reach the portal at {url}, without TLS"), mend)
}

/// `ends_at` is `None` where the certificate does not say it in a form that is known.
fn certificate(ends_at: Option<OffsetDateTime>, now: OffsetDateTime) -> Finding {
    let Some(ends_at) = ends_at else { return Finding::good(ABOUT, "certificate and key fit each other") };
    let days = (ends_at - now).whole_days();
    let mend = "put the renewed certificate in its place, and send SIGHUP to `raccord serve`";
    if ends_at <= now {
        return Finding::wrong(ABOUT, format!("the certificate expired on {}", ends_at.date()), mend);
    }
    let found = format!("certificate and key fit each other; it expires in {days} days, on {}", ends_at.date());
    if ends_at - now < SOON { Finding::warning(ABOUT, found, mend) } else { Finding::good(ABOUT, found) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::doctor::finding::Health;

    #[test]
    fn a_certificate_is_renewed_in_time() {
        let now = OffsetDateTime::UNIX_EPOCH;
        for (days, health) in [(-1, Health::Wrong), (13, Health::Warning), (60, Health::Good)] {
            assert_eq!(certificate(Some(now + Duration::days(days)), now).health, health, "{days}");
        }
    }
}
