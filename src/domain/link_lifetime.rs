//! How long a link that was sent by mail lasts. The database's statements and the mails both take
//! these values.

use std::time::Duration;

/// A link to choose a password: an invitation, or an answer to « Mot de passe oublié ».
pub const PASSWORD_CHOICE: Duration = Duration::from_hours(1);

/// A link to confirm a contact address.
pub const ADDRESS_CONFIRMATION: Duration = Duration::from_hours(24);
