//! Notices that the database went back to an earlier state: after a restore, or a failover that
//! lost acts. The chain is whole in itself then, and `raccord audit verify` finds nothing.

use crate::{db::audit::chain, domain::audit_chain::Head, web::edge::state::AppState};

/// The audit chain's last link as this process saw it last.
pub(super) struct HistoryWatch {
    seen: Head,
}

impl HistoryWatch {
    pub(super) fn new() -> Self {
        Self { seen: Head::NONE }
    }

    /// Notes the chain's present head, and reports where the one before is gone.
    ///
    /// # Errors
    /// Database errors.
    pub(super) async fn look(&mut self, state: &AppState) -> sqlx::Result<()> {
        let is_whole = chain::has(&state.pool, &self.seen).await?;
        let head = chain::head(&state.pool).await?;
        state.metrics.note_audit_position(head.position);
        if !is_whole {
            state.metrics.count_audit_loss();
            tracing::error!(
                seen = %self.seen,
                now = %head,
                "the database went back to an earlier state: acts that were acknowledged are lost"
            );
        }
        self.seen = head;
        Ok(())
    }
}
