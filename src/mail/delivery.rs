//! Delivers a mail by SMTP, or as a file in the data directory.

use std::{
    error::Error,
    fs::{self, File, OpenOptions},
    io::{self, Write},
    net::{IpAddr, SocketAddr},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    time::Duration,
};

use lettre::{
    AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor,
    transport::smtp::{self, extension::ClientId},
};
use thiserror::Error;

use crate::{
    db::outbox::Refusal,
    private_files,
    settings::{SettingError, Settings},
};

/// Time limit for one SMTP command.
const TIMEOUT: Duration = Duration::from_secs(20);

/// The mode of the directory of mails.
const FOLDER_MODE: u32 = 0o700;

/// Why a mail was not delivered.
#[derive(Debug, Error)]
pub(super) enum DeliveryError {
    #[error("SMTP: {0}")]
    Smtp(#[from] smtp::Error),
    #[error("writing the mail's file: {0}")]
    File(#[from] io::Error),
}

impl DeliveryError {
    /// Whether every other mail would fail too: the server does not answer, or the disk is full.
    pub(super) fn concerns_all(&self) -> bool {
        match self {
            Self::Smtp(error) => error.status().map(u16::from).is_none_or(concerns_all),
            Self::File(_) => true,
        }
    }

    /// Whether the server would say the same again (5xx).
    pub(super) fn is_permanent(&self) -> bool {
        matches!(self, Self::Smtp(error) if error.is_permanent())
    }

    /// What the server's refusal means for the mail; `None` where no server answered, or where the
    /// answer is about this sender: then all mails wait.
    pub(super) fn refusal(&self) -> Option<Refusal> {
        let Self::Smtp(error) = self else { return None };
        let code = u16::from(error.status()?);
        if concerns_all(code) {
            return None;
        }
        let text = error.source().map(ToString::to_string).unwrap_or_default();
        let is_final = error.is_permanent() && names_no_mailbox(code, &text);
        Some(if is_final { Refusal::OfRecipient } else { Refusal::OfThisAttempt })
    }
}

/// The codes that say so of the recipient's mailbox (RFC 3463 §3.2 and 3.3; `5.1.10` is RFC
/// 7505's). Others of their kind are about the sender's address (`5.1.7`, `5.1.8`), or a mailbox
/// that is full.
const NO_MAILBOX: [&str; 6] = ["5.1.1", "5.1.2", "5.1.3", "5.1.6", "5.1.10", "5.2.1"];

/// Whether a reply says that the recipient is not there, and would say it again: a permanent one
/// (5xx) with a code that says so, or, without such a code, one whose words do. What is wrong with
/// this sender, its password or the text is for the operator to mend: those mails wait.
fn names_no_mailbox(code: u16, text: &str) -> bool {
    let mut words = text.split(|c: char| c.is_whitespace() || c == '-');
    let enhanced = words.find(|word| word.starts_with("5.") && word.split('.').count() == 3);
    match enhanced {
        Some(enhanced) => NO_MAILBOX.contains(&enhanced),
        None => matches!(code, 550 | 551 | 553 | 554 | 556) && is_about_a_recipient(&text.to_ascii_lowercase()),
    }
}

fn is_about_a_recipient(words: &str) -> bool {
    let names = |any: &[&str]| any.iter().any(|word| words.contains(word));
    names(&["user", "mailbox", "recipient", "account", "address"]) && !names(&["sender", "relay", "spam", "block"])
}

/// A server that closes (421), takes no mail (521), or does not know this client: 530, 534, 535,
/// 538 (RFC 4954 §6).
fn concerns_all(code: u16) -> bool {
    [421, 521].contains(&code) || (530..540).contains(&code)
}

/// Where mails are delivered to.
pub(super) enum Delivery {
    Smtp(Box<AsyncSmtpTransport<Tokio1Executor>>),
    Folder(PathBuf),
}

impl Delivery {
    /// The delivery that the settings choose.
    pub(super) fn open(settings: &Settings) -> Result<Self, SettingError> {
        let Some(url) = &settings.smtp_url else { return Self::folder(settings.data_dir.join("mails")) };
        let transport = AsyncSmtpTransport::<Tokio1Executor>::from_url(url).map_err(|_| SettingError {
            name: "RACCORD_SMTP_URL",
            // The URL may hold a password, and the error the URL.
            problem: "must be a URL such as smtp://user:password@mail.example:587?tls=required".into(),
        })?;
        // A path in the URL names this client itself.
        let transport = match url.split_once("://").and_then(|(_, rest)| rest.split_once('/')) {
            Some((_, path)) if !path.is_empty() && !path.starts_with('?') => transport,
            _ => transport.hello_name(client_id(settings.public_host())),
        };
        Ok(Self::Smtp(Box::new(transport.timeout(Some(TIMEOUT)).build())))
    }

    fn folder(path: PathBuf) -> Result<Self, SettingError> {
        private_files::check_own_directory(&path, FOLDER_MODE).map_err(|error| SettingError {
            name: "RACCORD_DATA_DIR",
            problem: format!("cannot use {}: {error}", path.display()),
        })?;
        Ok(Self::Folder(path))
    }

    /// Connects to the server, with TLS and password as for a mail.
    pub(super) async fn try_server(&self) -> Result<(), DeliveryError> {
        let Self::Smtp(transport) = self else { return Ok(()) };
        if transport.test_connection().await? {
            Ok(())
        } else {
            Err(io::Error::other("it closed the connection").into())
        }
    }

    /// Delivers a mail. In a folder, delivering it again replaces its file.
    pub(super) async fn deliver(&self, number: i64, recipient: &str, message: Message) -> Result<(), DeliveryError> {
        match self {
            Self::Smtp(transport) => {
                transport.send(message).await?;
            }
            Self::Folder(dir) => {
                let (dir, name) = (dir.clone(), file_name(number, recipient));
                let write = move || write_whole(&dir, &name, &message.formatted());
                tokio::task::spawn_blocking(write).await.map_err(io::Error::other)??;
            }
        }
        Ok(())
    }
}

/// The name in `EHLO` (RFC 5321 §4.1.1.1), of a host with or without port.
fn client_id(host: &str) -> ClientId {
    let bare = host.parse::<SocketAddr>().map_or_else(|_| host.trim_matches(['[', ']']).parse(), |host| Ok(host.ip()));
    match bare {
        Ok(IpAddr::V4(address)) => ClientId::Ipv4(address),
        Ok(IpAddr::V6(address)) => ClientId::Ipv6(address),
        Err(_) => ClientId::Domain(host.split(':').next().unwrap_or_default().to_owned()),
    }
}

/// `<number>-<recipient>.eml`. Characters of the recipient that are unsafe in a file name become
/// `_`, and its length is bounded.
fn file_name(number: i64, recipient: &str) -> String {
    let safe = |c: char| if c.is_ascii_alphanumeric() || "@.+-_".contains(c) { c } else { '_' };
    let recipient: String = recipient.chars().take(200).map(safe).collect();
    format!("{number:06}-{recipient}.eml")
}

/// Writes a file that is private to its owner, since mails hold links that give access to accounts.
/// When this returns, the file survives a loss of power.
fn write_whole(dir: &Path, name: &str, bytes: &[u8]) -> io::Result<()> {
    private_files::create_directory(dir, FOLDER_MODE)?;
    private_files::check_own_directory(dir, FOLDER_MODE)?;
    let part = dir.join(format!(".{name}.part"));
    match fs::remove_file(&part) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&part)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&part, dir.join(name))?;
    File::open(dir)?.sync_all()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_mail_server_gets_the_name_of_the_portal() {
        let of = |host| client_id(host).to_string();
        assert_eq!(of("raccord.example"), "raccord.example");
        assert_eq!(of("raccord.example:8443"), "raccord.example");
        assert_eq!(of("192.0.2.1:8080"), "[192.0.2.1]");
        assert_eq!(of("[2001:db8::1]"), "[IPv6:2001:db8::1]");
        assert_eq!(of("[2001:db8::1]:443"), "[IPv6:2001:db8::1]");
    }

    #[test]
    fn a_refusal_ends_a_mail_if_it_says_that_the_mailbox_is_not_there() {
        for (code, text) in [
            (550, "5.1.1 <x@y.fr>: Recipient address rejected: User unknown"),
            (550, "<x@y.fr>... User unknown"),
            (501, "5.1.3 Bad recipient address syntax"),
            (554, "delivery error: dd This user doesn't have an account"),
            (550, "5.2.1 The account is disabled"),
            (556, "5.1.10 Recipient not found by SMTP address lookup"),
            (550, "5-5.1.1 The email account that you tried to reach does not exist"),
        ] {
            assert!(names_no_mailbox(code, text), "{code} {text}");
        }
        for (code, text) in [
            (535, "5.7.8 Error: authentication failed"),
            (530, "5.7.0 Must issue a STARTTLS command first"),
            (554, "5.7.1 <x@y.fr>: Relay access denied"),
            (552, "5.2.2 Mailbox full"),
            (552, "message too large"),
            (554, "No SMTP service here"),
            (521, "mail.example does not accept mail"),
            (550, "relay not permitted"),
            (550, "Sender verify failed"),
            (553, "5.1.8 <raccord@localhost>: Sender address rejected: Domain not found"),
            (550, "5.1.7 sender address"),
            (550, "this message was classified as spam"),
            (552, "5.2.3 message too large"),
            (503, "bad sequence of commands"),
        ] {
            assert!(!names_no_mailbox(code, text), "{code} {text}");
        }
        assert_eq!([421, 451, 521, 535, 550].map(concerns_all), [true, false, true, true, false]);
    }

    #[test]
    fn a_file_bears_number_and_recipient() {
        assert_eq!(file_name(7, "claire@mairie.fr"), "000007-claire@mairie.fr.eml");
        assert_eq!(file_name(1_234_567, "../a/b@c.fr"), "1234567-.._a_b@c.fr.eml");
    }

    proptest! {
        #[test]
        fn no_recipient_leaves_the_folder(recipient in "\\PC{0,300}") {
            let name = file_name(1, &recipient);
            prop_assert!(name.len() <= 240 && !name.contains('/') && !name.contains('\0') && !name.starts_with('.'));
        }
    }
}
