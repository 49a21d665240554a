//! The background task that empties the outbox.

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
    letter::{self, Guest},
};
use crate::{
    db::{
        identity::invitations,
        outbox::{self, WaitingMail},
    },
    domain::{lifetime, notification::Notification, random},
    secret_keys,
    settings::{SettingError, Settings},
};

/// How soon a committed mail is noticed.
const POLL: Duration = Duration::from_secs(1);
/// The wait after the database or the mail server did not answer.
const PAUSE: Duration = Duration::from_secs(5);
/// Mails looked up at a time.
const BATCH: i64 = 100;

/// Why one mail was not sent.
#[derive(Debug, Error)]
enum SendError {
    #[error("the database: {0}")]
    Database(#[from] sqlx::Error),
    #[error(transparent)]
    Delivery(#[from] DeliveryError),
    #[error("a notice that this version does not know: {0}")]
    Notification(#[from] serde_json::Error),
    #[error("the recipient's address: {0}")]
    Address(#[from] AddressError),
    #[error("the invited person is not there")]
    NoGuest,
    #[error("RACCORD_SECRET_KEY_FILE: {0}")]
    SecretKeys(#[from] io::Error),
    #[error("the text: {0}")]
    Text(#[from] askama::Error),
    #[error("the message: {0}")]
    Message(#[from] lettre::error::Error),
}

/// Sends the outbox's mails. Several instances may run one each.
pub struct MailRoom {
    delivery: Delivery,
    from: Mailbox,
    portal: String,
    secret_key_file: PathBuf,
}

impl MailRoom {
    /// Reads the settings about mails.
    ///
    /// # Errors
    /// The one that cannot be used.
    pub fn open(settings: &Settings) -> Result<Self, SettingError> {
        let from = settings.mail_from.parse().map_err(|_| SettingError {
            name: "RACCORD_MAIL_FROM",
            problem: format!("must be an address such as Raccord <raccord@example.fr>, not {:?}", settings.mail_from),
        })?;
        Ok(Self {
            delivery: Delivery::open(settings)?,
            from,
            portal: settings.public_url.clone(),
            secret_key_file: settings.secret_key_file.clone(),
        })
    }

    /// Sends mails until `shutdown`; the one that is being sent is seen off first.
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

    /// Sends the next mail, or looks for some. Returns how long to wait before the next step.
    async fn step(&self, pool: &PgPool, queue: &mut VecDeque<i64>) -> Duration {
        let Some(id) = queue.pop_front() else { return look(pool, queue).await };
        let Err(error) = self.send(pool, id).await else { return Duration::ZERO };
        tracing::warn!(mail = id, error = error.to_string(), "a mail could not be sent and will be tried again");
        if let Err(error) = outbox::postpone(pool, id).await {
            tracing::warn!(mail = id, error = error.to_string(), "the outbox could not be written");
        }
        match error {
            SendError::Delivery(error) if !error.concerns_all() => Duration::ZERO,
            SendError::Delivery(_) | SendError::Database(_) => {
                queue.clear();
                PAUSE
            }
            _ => Duration::ZERO,
        }
    }

    /// Sends one mail and marks it sent, in a transaction that holds it, so that no other instance
    /// sends it too. With SMTP a crash between the server's answer and our commit sends it twice:
    /// both then say the same, links and all, under one Message-ID, so it does not matter which of
    /// the two a server drops that knows it already.
    async fn send(&self, pool: &PgPool, id: i64) -> Result<(), SendError> {
        let mut tx = pool.begin().await?;
        let Some(mail) = outbox::claim(&mut tx, id).await? else { return Ok(()) };
        let (recipient, message) = self.write(&mut tx, &mail).await?;
        outbox::mark_sent(&mut tx, id).await?;
        self.delivery.deliver(id, &recipient, message).await?;
        tx.commit().await?;
        tracing::info!(mail = id, "mail sent");
        Ok(())
    }

    /// Whom a mail goes to, and what it says. A link goes to the person's address of now: the mail
    /// may have waited for hours.
    async fn write(&self, conn: &mut PgConnection, mail: &WaitingMail) -> Result<(String, Message), SendError> {
        let notice: Notification = serde_json::from_value(mail.notice.clone())?;
        let (recipient, guest) = match notice {
            Notification::Invitation { user_id } | Notification::PasswordForgotten { user_id } => {
                let (address, guest) = self.invite(conn, user_id, &self.message_id(mail)).await?;
                (address, Some(guest))
            }
            _ => (mail.recipient.clone(), None),
        };
        let letter = letter::render(&notice, guest.as_ref(), &self.portal)?;
        let to = Mailbox::new(None, recipient.parse::<Address>()?);
        let message = Message::builder()
            .from(self.from.clone())
            .to(to)
            .subject(letter.subject)
            .date(mail.created_at.into())
            .message_id(Some(self.message_id(mail)))
            // RFC 3834: no holiday reply to a machine.
            .raw_header(header("Auto-Submitted", "auto-generated"))
            .raw_header(header("Content-Language", "fr"))
            .multipart(MultiPart::alternative_plain_html(letter.text, letter.html))?;
        Ok((recipient, message))
    }

    /// The link is made with the mail, in the transaction that marks it sent: no secret waits in
    /// the outbox.
    async fn invite(
        &self,
        conn: &mut PgConnection,
        user_id: i64,
        message_id: &str,
    ) -> Result<(String, Guest), SendError> {
        let guest = invitations::find_guest(&mut *conn, user_id).await?.ok_or(SendError::NoGuest)?;
        let token = secret_keys::load(&self.secret_key_file)?.link_token(message_id);
        invitations::create(conn, user_id, &random::digest(&token)).await?;
        let name = format!("{} {}", guest.first_name, guest.last_name);
        Ok((guest.contact_address, Guest { name, login: guest.login, token, minutes: lifetime::LINK.as_secs() / 60 }))
    }

    /// The same at each attempt, and no other mail's, not even after the database was made anew.
    fn message_id(&self, mail: &WaitingMail) -> String {
        let made_at = mail.created_at.unix_timestamp_nanos() / 1_000;
        format!("<raccord-{}-{made_at}@{}>", mail.id, self.from.email.domain())
    }
}

/// Fills the queue with the mails that may be sent now.
async fn look(pool: &PgPool, queue: &mut VecDeque<i64>) -> Duration {
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
