//! State that the API's handlers share.

use std::{
    ops::Deref,
    sync::{Arc, OnceLock},
};

use axum::{body::Bytes, extract::FromRef};
use sqlx::PgPool;

use super::{accounts::AccountShares, call_log::CallLog, unknown_clients::UnknownClients};
use crate::{
    db::api::connections::Connections,
    domain::{
        credential::Credential,
        verifier::{Verifier, VerifierKey},
    },
    secret_keys::KeyFileError,
    web::edge::state::AppState,
};

/// The API's own state, with the state that it shares with the portal.
#[derive(Clone)]
pub struct ApiState(Arc<Parts>);

/// See [`ApiState`].
pub struct Parts {
    pub app: AppState,
    connections: Connections,
    pub call_log: CallLog,
    pub accounts: AccountShares,
    pub unknown_clients: UnknownClients,
    /// Derived from the key file at first use.
    verifier_keys: OnceLock<Vec<VerifierKey>>,
    /// The API's description, written at its first request: any stranger may ask for it.
    pub(super) description: OnceLock<Bytes>,
}

impl ApiState {
    pub fn new(app: AppState) -> Self {
        let accounts = AccountShares::of(app.api_pool.options().get_max_connections());
        let connections = app.api_pool.clone().into();
        let call_log = CallLog::counting_in(app.metrics.refused_calls.clone());
        let unknown_clients = UnknownClients::default();
        let (verifier_keys, description) = (OnceLock::new(), OnceLock::new());
        Self(Arc::new(Parts { app, connections, call_log, accounts, unknown_clients, verifier_keys, description }))
    }

    /// The connections for calls; the portal has others.
    pub fn database(&self) -> &Connections {
        &self.connections
    }

    /// The same connections, for transactions and for what is done once in many calls.
    pub fn api_pool(&self) -> &PgPool {
        &self.app.api_pool
    }

    /// The verifiers of a login and a password under each key of the key file, the first key's
    /// first.
    ///
    /// # Errors
    /// Where the key file can be neither read nor made.
    pub fn verifiers(&self, shown: &Credential) -> Result<Vec<Verifier>, KeyFileError> {
        let keys = self.app.keys()?;
        let derived = self.verifier_keys.get_or_init(|| keys.verifier_keys());
        Ok(derived.iter().map(|key| key.verifier(&shown.login, shown.password.expose())).collect())
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
