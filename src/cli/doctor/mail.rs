//! Mail: the settings, the server, and what waits in the outbox.

use sqlx::PgPool;

use super::finding::Finding;
use crate::{db::health, mail::MailSender, settings::Settings};

const ABOUT: &str = "mail";

pub(super) async fn examine(settings: &Settings, pool: Option<&PgPool>) -> Vec<Finding> {
    let mut findings = vec![server(settings).await];
    if let Some(pool) = pool
        && let Ok(outbox) = health::outbox(pool).await
    {
        findings.push(waiting(&outbox));
        if outbox.refused_addresses > 0 {
            let found = format!("{} addresses refuse mails", outbox.refused_addresses);
            findings.push(Finding::warning(ABOUT, found, "`raccord user show` says of whom; they correct them"));
        }
    }
    findings
}

async fn server(settings: &Settings) -> Finding {
    let sender = match MailSender::open(settings) {
        Ok(sender) => sender,
        Err(error) => return Finding::wrong(ABOUT, error.to_string(), "correct the setting"),
    };
    if settings.smtp_url.is_none() {
        let found = format!("mails are written as files, to {}", settings.data_dir.join("mails").display());
        return Finding::warning(ABOUT, found, "set RACCORD_SMTP_URL, so that people get them");
    }
    match sender.try_server().await {
        Ok(()) => Finding::good(ABOUT, "the server answers, and takes what RACCORD_SMTP_URL says"),
        Err(error) => {
            let mend = "check host, port, TLS, user and password of RACCORD_SMTP_URL";
            Finding::wrong(ABOUT, format!("the server does not take mails: {error}"), mend)
        }
    }
}

fn waiting(outbox: &health::Outbox) -> Finding {
    let found = format!("{} mails wait, {} of them for more than an hour", outbox.waiting, outbox.late);
    if outbox.late == 0 {
        return Finding::good(ABOUT, found);
    }
    Finding::wrong(ABOUT, found, "the log of `raccord serve`, which sends them, says why")
}
