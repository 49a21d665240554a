//! State that the API's handlers share.

use std::{ops::Deref, sync::Arc};

use axum::extract::FromRef;
use sqlx::PgPool;

use super::{accounts::AccountShares, call_log::CallLog, unknown_clients::UnknownClients};
use crate::web::edge::state::AppState;

/// The API's own state, with the state that it shares with the portal.
#[derive(Clone)]
pub struct ApiState(Arc<Parts>);

/// See [`ApiState`].
pub struct Parts {
    pub app: AppState,
    pub call_log: CallLog,
    pub accounts: AccountShares,
    pub unknown_clients: UnknownClients,
}

impl ApiState {
    pub fn new(app: AppState) -> Self {
        let accounts = AccountShares::of(app.api_pool.options().get_max_connections());
        let unknown_clients = UnknownClients::default();
        Self(Arc::new(Parts { app, call_log: CallLog::default(), accounts, unknown_clients }))
    }

    /// The connections for calls; the portal has others.
    pub fn database(&self) -> &PgPool {
        &self.app.api_pool
    }
}

impl Deref for ApiState {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.0
    }
}

impl FromRef<ApiState> for AppState {
    fn from_ref(state: &ApiState) -> Self {
        state.app.clone()
    }
}
