//! How large a request's body may be.

/// The largest request body, in bytes.
pub const MAX_BODY_BYTES: usize = 64 * 1024;
