//! How long sessions, links and envelopes last.
//!
//! The database's statements, the pages and the script in the browser all take these values.

use std::time::Duration;

/// The longest that a session lasts after its sign-in.
pub const SESSION: Duration = Duration::from_hours(12);

/// How long a session lasts without a request.
pub const SESSION_IDLE: Duration = Duration::from_mins(30);

/// How long an authentication counts as fresh, for acts that require a fresh one (ASVS 7.5.3).
pub const FRESH_AUTHENTICATION: Duration = Duration::from_mins(15);

/// How long a sign-in waits for the code of the second factor.
pub const PENDING_SIGN_IN: Duration = Duration::from_mins(10);

/// How long the set-up of a second factor may take.
pub const SECOND_FACTOR_SETUP: Duration = Duration::from_mins(15);

/// How long a link that was sent by mail lasts.
pub const LINK: Duration = Duration::from_hours(1);

/// How long a link to confirm a contact address lasts.
pub const ADDRESS_CONFIRMATION: Duration = Duration::from_hours(24);

/// How long the envelope of a new password lasts, displayed or not.
pub const ENVELOPE: Duration = Duration::from_mins(10);

/// How long a browser stays known for a person after their last sign-in there.
pub const KNOWN_BROWSER: Duration = Duration::from_hours(180 * 24);
