//! How long a link that was sent by mail lasts. The database's statements and the mails both take
//! these values.

use std::time::Duration;

/// An invitation's link, by which a person chooses their first password. It opens nothing else.
pub const INVITATION: Duration = Duration::from_hours(7 * 24);

/// A link to choose another password: an answer to « Mot de passe oublié », or help of the
/// operator.
pub const PASSWORD_CHOICE: Duration = Duration::from_hours(1);

/// A link to confirm a contact address.
pub const ADDRESS_CONFIRMATION: Duration = Duration::from_hours(24);
