//! What every successful call answers.

/// The member `libelle`.
pub const SUCCESS: &str = "TRA_MSG_00.000";
