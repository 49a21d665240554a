//! Turns the outbox's notifications into mails and sends them.

pub use sender::MailSender;

mod delivery;
mod foreign_text;
mod letter;
mod sender;
