//! How long a session lasts, and its stages. The database's statements, the pages and the script in
//! the browser all take these values.

use std::time::Duration;

/// The longest that a session lasts after its sign-in.
pub const TOTAL: Duration = Duration::from_hours(12);

/// How long a session lasts without a request.
pub const IDLE: Duration = Duration::from_mins(30);

/// How long an authentication counts as fresh, for acts that require a fresh one (ASVS 7.5.3).
pub const FRESH_AUTHENTICATION: Duration = Duration::from_mins(15);

/// How long a sign-in waits for the code of the second factor.
pub const PENDING_SIGN_IN: Duration = Duration::from_mins(10);

/// How long the set-up of a second factor may take.
pub const SECOND_FACTOR_SETUP: Duration = Duration::from_mins(15);
