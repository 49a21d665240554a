//! The background task that sends the outbox's mails.

use std::{collections::VecDeque, io, path::PathBuf, pin::pin, time::Duration};

use lettre::{
    Address, Message,
    address::AddressError,
    message::{
        Mailbox, MultiPart,
        header::{HeaderName, HeaderValue},
    },
};
use sqlx::{PgConnection, PgPool};
use thiserror::Error;

use super::{
    delivery::{Delivery, DeliveryError},
    letter::{self, Guest, Portal},
};
use crate::{
    db::{
        identity::{contact_addresses, invitations},
        outbox::{self, Failure, Refusal, WaitingMail},
        transaction,
    },
    domain::{known_browser::Epoch, link_lifetime, notification::Notification, random},
    secret_keys,
    settings::{SettingError, Settings},
};

/// How often the outbox is read while it is empty.
const POLL: Duration = Duration::from_secs(1);
/// The wait after the database or the mail server failed to answer.
const PAUSE: Duration = Duration::from_secs(5);
/// How many due mails are read at a time. Few, since one that is written later waits for them.
const BATCH: i64 = 10;

/// Why one mail was not sent.
#[derive(Debug, Error)]
enum SendError {
    #[error("the database: {0}")]
    Database(#[from] sqlx::Error),
    #[error("to {recipient}: {error}")]
    Delivery { recipient: String, error: DeliveryError },
    #[error("a notice that this version does not know: {0}")]
    Notification(#[from] serde_json::Error),
    #[error("the address {recipient}: {error}")]
    Address { recipient: String, error: AddressError },
    #[error("RACCORD_SECRET_KEY_FILE: {0}")]
    SecretKeys(#[from] io::Error),
    #[error("the text: {0}")]
    Text(#[from] askama::Error),
    #[error("the message: {0}")]
    Message(#[from] lettre::error::Error),
}

/// Sends the outbox's mails. Each instance of the portal may run one.
pub struct MailSender {
    delivery: Delivery,
    from: Mailbox,
    portal: Portal,
    secret_key_file: PathBuf,
}

impl MailSender {
    /// Checks the settings about mails.
    ///
    /// # Errors
    /// Names the setting that cannot be used.
    pub fn open(settings: &Settings) -> Result<Self, SettingError> {
        let from = settings.mail_from.parse().map_err(|_| SettingError {
            name: "RACCORD_MAIL_FROM",
            problem: format!("must be an address such as Raccord <raccord@example.fr>, not {:?}", settings.mail_from),
        })?;
        let provider = settings.identity_provider.as_ref();
        let only_provider = provider.and_then(|provider| provider.only_label()).map(str::to_owned);
        Ok(Self {
            delivery: Delivery::open(settings)?,
            from,
            portal: Portal { url: settings.public_url.clone(), only_provider },
            secret_key_file: settings.secret_key_file.clone(),
        })
    }

    /// Greets the mail server, as for a mail, and sends none. Where mails are written as files,
    /// there is no server.
    ///
    /// # Errors
    /// Why the server takes no mails, in one line, without the URL.
    pub async fn try_server(&self) -> Result<(), String> {
        self.delivery.try_server().await.map_err(|error| error.to_string())
    }

    /// Sends mails until `shutdown` completes; finishes the mail being sent first.
    pub async fn run(&self, pool: PgPool, shutdown: impl Future<Output = ()> + Send) {
        let mut shutdown = pin!(shutdown);
        let (mut queue, mut pause) = (VecDeque::new(), Duration::ZERO);
        loop {
            tokio::select! {
                biased;
                () = &mut shutdown => return,
                () = tokio::time::sleep(pause) => pause = self.step(&pool, &mut queue).await,
            }
        }
    }

    /// Sends the next queued mail, or fills the queue. Returns the wait before the next step.
    async fn step(&self, pool: &PgPool, queue: &mut VecDeque<i64>) -> Duration {
        let Some(id) = queue.pop_front() else { return fill_queue(pool, queue).await };
        let Err(error) = self.send(pool, id).await else { return Duration::ZERO };
        if let Err(failure) = end_or_postpone(pool, id, &error).await {
            tracing::warn!(mail = id, error = failure.to_string(), "the outbox could not be written");
        }
        match error {
            SendError::Delivery { error, .. } if !error.concerns_all() => Duration::ZERO,
            SendError::Delivery { .. } | SendError::Database(_) => {
                queue.clear();
                PAUSE
            }
            _ => Duration::ZERO,
        }
    }

    /// Sends one mail and marks it sent, in a transaction that locks its row against other
    /// instances. With SMTP, a crash between the server's answer and the commit sends it twice.
    /// Both copies are then identical, with the same link and Message-ID, so a server that
    /// deduplicates may keep either.
    async fn send(&self, pool: &PgPool, id: i64) -> Result<(), SendError> {
        let mut tx = transaction::begin(pool).await?;
        let Some(mail) = outbox::claim(&mut tx, id).await? else { return Ok(()) };
        let written = self.write(&mut tx, &mail).await?;
        outbox::mark_sent(&mut tx, id).await?;
        let Some((recipient, message)) = written else {
            tx.commit().await?;
            tracing::info!(mail = id, "mail without object any more, not sent");
            return Ok(());
        };
        outbox::address_takes_mails(&mut tx, &recipient).await?;
        let delivered = self.delivery.deliver(id, &recipient, message).await;
        delivered.map_err(|error| SendError::Delivery { recipient, error })?;
        tx.commit().await?;
        tracing::info!(mail = id, "mail sent");
        Ok(())
    }

    /// The recipient and the message; `None` where there is nothing to confirm any more, or the
    /// person of a link is disabled. A mail
    /// with a link to choose a password goes to a mailbox that the person has now, since it may
    /// have waited for hours.
    async fn write(&self, conn: &mut PgConnection, mail: &WaitingMail) -> Result<Option<(String, Message)>, SendError> {
        let notice: Notification = serde_json::from_value(mail.notice.clone())?;
        let (recipient, guest) = match notice {
            Notification::Invitation { user_id, .. } | Notification::PasswordForgotten { user_id } => {
                let link = self.create_link(conn, user_id, &mail.recipient, &self.message_id(mail)).await?;
                let Some((address, guest)) = link else { return Ok(None) };
                (address, Some(guest))
            }
            Notification::ContactAddressToConfirm { user_id, ref address, epoch } => {
                let person = (user_id, Epoch(epoch));
                let guest = self.create_confirmation(conn, person, address, &self.message_id(mail)).await?;
                let Some(guest) = guest else { return Ok(None) };
                (address.clone(), Some(guest))
            }
            _ => (mail.recipient.clone(), None),
        };
        let letter = letter::render(&notice, guest.as_ref(), &self.portal)?;
        let to = recipient.parse::<Address>();
        let to = to.map_err(|error| SendError::Address { recipient: recipient.clone(), error })?;
        let to = Mailbox::new(None, to);
        let message = Message::builder()
            .from(self.from.clone())
            .to(to)
            .subject(letter.subject)
            .date(mail.created_at.into())
            .message_id(Some(self.message_id(mail)))
            // RFC 3834: suppresses automatic replies.
            .raw_header(header("Auto-Submitted", "auto-generated"))
            .raw_header(header("Content-Language", "fr"))
            .multipart(MultiPart::alternative_plain_html(letter.text, letter.html))?;
        Ok(Some((recipient, message)))
    }

    /// Creates the link in the transaction that marks the mail sent, so that no secret is stored in
    /// the outbox. `None` where the person is disabled.
    async fn create_link(
        &self,
        conn: &mut PgConnection,
        user_id: i64,
        mailbox: &str,
        message_id: &str,
    ) -> Result<Option<(String, Guest)>, SendError> {
        let Some(guest) = invitations::find_guest(&mut *conn, user_id, mailbox).await? else { return Ok(None) };
        let token = secret_keys::load(&self.secret_key_file)?.link_token(message_id);
        let lifetime = if guest.has_password { link_lifetime::PASSWORD_CHOICE } else { link_lifetime::INVITATION };
        invitations::create(conn, user_id, &guest.address, &random::digest(&token), lifetime).await?;
        let name = format!("{} {}", guest.first_name, guest.last_name);
        Ok(Some((guest.address, Guest { name, login: guest.login, token, lifetime })))
    }

    /// The same for a link that confirms an address. `None` where it does not wait for that any
    /// more.
    async fn create_confirmation(
        &self,
        conn: &mut PgConnection,
        person: (i64, Epoch),
        address: &str,
        message_id: &str,
    ) -> Result<Option<Guest>, SendError> {
        let token = secret_keys::load(&self.secret_key_file)?.link_token(message_id);
        let name = contact_addresses::create_link(conn, person, address, &random::digest(&token)).await?;
        let lifetime = link_lifetime::ADDRESS_CONFIRMATION;
        Ok(name.map(|name| Guest { name, login: String::new(), token, lifetime }))
    }

    /// The same at each attempt, and unique even where a recreated database reuses the numbers.
    fn message_id(&self, mail: &WaitingMail) -> String {
        let made_at = mail.created_at.unix_timestamp_nanos() / 1_000;
        format!("<raccord-{}-{made_at}@{}>", mail.id, self.from.email.domain())
    }
}

/// Ends a mail that was refused for good, and schedules the next attempt of any other.
async fn end_or_postpone(pool: &PgPool, id: i64, error: &SendError) -> sqlx::Result<()> {
    let refused = match error {
        SendError::Delivery { recipient, error } => error.refusal().map(|refusal| (recipient, refusal)),
        SendError::Address { recipient, .. } => Some((recipient, Refusal::OfRecipient)),
        _ => None,
    };
    let cause = error.to_string();
    if let Some((recipient, refusal)) = refused
        && outbox::give_up(pool, id, recipient, refusal).await?
    {
        tracing::warn!(mail = id, error = cause, "a mail was refused for good and ends: correct the address");
        return Ok(());
    }
    tracing::warn!(mail = id, error = cause, "a mail could not be sent and will be tried again");
    outbox::postpone(pool, id, failure(error)).await
}

fn failure(error: &SendError) -> Failure {
    match error {
        SendError::Delivery { error, .. } if error.concerns_all() => Failure::OfAll,
        SendError::Delivery { error, .. } if !error.is_permanent() => Failure::OfThisMailForNow,
        SendError::Database(_) | SendError::SecretKeys(_) => Failure::OfAll,
        _ => Failure::OfThisMail,
    }
}

/// Fills the queue with the mails that are due. Returns the wait before the next step.
async fn fill_queue(pool: &PgPool, queue: &mut VecDeque<i64>) -> Duration {
    match outbox::due(pool, BATCH).await {
        Ok(due) => {
            queue.extend(due);
            if queue.is_empty() { POLL } else { Duration::ZERO }
        }
        Err(error) => {
            tracing::warn!(error = error.to_string(), "the outbox could not be read");
            PAUSE
        }
    }
}

fn header(name: &'static str, value: &str) -> HeaderValue {
    HeaderValue::new(HeaderName::new_from_ascii_str(name), value.to_owned())
}
