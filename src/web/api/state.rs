//! State that the API's handlers share.

use std::{ops::Deref, sync::Arc};

use axum::extract::FromRef;

use super::call_log::CallLog;
use crate::web::edge::state::AppState;

/// The API's own state, with the state that it shares with the portal.
#[derive(Clone)]
pub struct ApiState(Arc<Parts>);

/// See [`ApiState`].
pub struct Parts {
    pub app: AppState,
    pub call_log: CallLog,
}

impl ApiState {
    pub fn new(app: AppState) -> Self {
        Self(Arc::new(Parts { app, call_log: CallLog::default() }))
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
