//! A hand-over, as the account's page shows it.

use time::OffsetDateTime;

use crate::db::technical_users::handovers::{Handover, LinkState, Refused};

/// A hand-over, on the account's page.
pub struct HandoverView {
    pub recipient: String,
    pub recipient_address: Option<String>,
    pub made_at: OffsetDateTime,
    pub made_by: String,
    pub expires_at: OffsetDateTime,
    /// The other accounts of the same link.
    pub others: u64,
    pub has_code: bool,
    pub state: LinkState,
    pub refused: Option<Refused>,
}

impl From<Handover> for HandoverView {
    fn from(handover: Handover) -> Self {
        Self {
            recipient: handover.recipient,
            recipient_address: handover.recipient_address,
            made_at: handover.made_at,
            made_by: handover.made_by,
            expires_at: handover.expires_at,
            others: handover.accounts.unsigned_abs().saturating_sub(1),
            has_code: handover.has_code,
            state: handover.state,
            refused: handover.refused,
        }
    }
}

impl HandoverView {
    pub fn is_opened(&self) -> bool {
        matches!(self.state, LinkState::Opened { .. })
    }

    pub fn is_waiting(&self) -> bool {
        self.state == LinkState::Waiting
    }
}
