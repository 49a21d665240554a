//! Warns the operator of a gateway whose checks come without the address of the client.

use std::{
    net::SocketAddr,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use axum::{
    extract::ConnectInfo,
    http::{header, request::Parts},
};

use crate::settings::TrustedProxies;

/// Between two warnings.
const QUIET: Duration = Duration::from_hours(1);

/// See the module.
#[derive(Default)]
pub struct UnknownClients {
    warned: Mutex<Option<Instant>>,
}

impl UnknownClients {
    /// Warns where this check has no address but its gateway's, once an hour at most.
    pub fn warn(&self, trusted: &TrustedProxies, parts: &Parts) {
        let Some(ConnectInfo(peer)) = parts.extensions.get::<ConnectInfo<SocketAddr>>() else { return };
        let address = peer.ip().to_canonical();
        let names_client =
            ["x-forwarded-for", header::FORWARDED.as_str()].iter().any(|name| parts.headers.contains_key(*name));
        if trusted.contain(address) && names_client {
            return;
        }
        let mut warned = self.warned.lock().unwrap_or_else(PoisonError::into_inner);
        if warned.is_some_and(|at| at.elapsed() < QUIET) {
            return;
        }
        *warned = Some(Instant::now());
        tracing::warn!(
            %address,
            "a gateway's check came without the address of its client, whose failures count for this address: \
             RACCORD_TRUSTED_PROXIES must name the gateway, and the gateway send X-Forwarded-For"
        );
    }
}
