//! Prometheus metrics, served on their own port (`RACCORD_METRICS_LISTEN`).

use std::time::Duration;

use axum::{
    extract::{MatchedPath, Request},
    http::StatusCode,
};
use prometheus_client::{
    encoding::{EncodeLabelSet, EncodeLabelValue},
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram, info::Info},
    registry::{Registry, Unit},
};

use crate::domain::audit::CallRefusal;

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct RequestLabels {
    method: &'static str,
    /// The route's pattern: a path with its ids would make a series for each.
    route: String,
    status: u16,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct IntrospectionLabels {
    /// The service's name: there are as many as the operator made.
    service: String,
    answer: Introspected,
}

/// The answer to a service.
#[derive(Clone, Copy, Debug, Hash, PartialEq, Eq, EncodeLabelValue)]
pub enum Introspected {
    Active,
    Inactive,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct VerificationLabels {
    /// The service's name; empty where the gateway named none, or one that does not exist.
    service: String,
    answer: Verified,
}

/// The answer to a gateway.
#[derive(Clone, Copy, Debug, Hash, PartialEq, Eq, EncodeLabelValue)]
pub enum Verified {
    LetIn,
    Unauthorized,
    Forbidden,
    Throttled,
    /// Raccord or its database could not answer, or the gateway's URL is wrong.
    Failed,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct RefusalLabels {
    /// As in the history.
    reason: &'static str,
}

/// Counts refused calls of accounts, by reason. Clones count together.
#[derive(Clone)]
pub struct RefusalCounter(Family<RefusalLabels, Counter>);

impl Default for RefusalCounter {
    /// With each reason at zero, so that the first refusal is an increase.
    fn default() -> Self {
        let counter = Self(Family::default());
        for why in CallRefusal::ALL {
            counter.add(why, 0);
        }
        counter
    }
}

impl RefusalCounter {
    /// Counts so many calls.
    pub fn add(&self, why: CallRefusal, calls: u64) {
        self.0.get_or_create(&RefusalLabels { reason: why.code() }).inc_by(calls);
    }
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct PoolLabels {
    pool: &'static str,
}

/// The metrics of this process.
pub struct Metrics {
    pub(super) registry: Registry,
    requests: Family<RequestLabels, Counter>,
    duration: Histogram,
    introspections: Family<IntrospectionLabels, Counter>,
    verifications: Family<VerificationLabels, Counter>,
    /// Of calls whose credentials name an account.
    pub refused_calls: RefusalCounter,
    database_waits: Family<PoolLabels, Histogram>,
    pub(super) connections: Gauge,
    pub(super) most_connections: Gauge,
    pub(super) idle_connections: Gauge,
    pub(super) waiting_mails: Gauge,
    audit_position: Gauge,
    audit_went_back: Counter,
    pub(super) refused_mails: Gauge,
    pub(super) expiring_passwords: Gauge,
}

/// Up to what a request waits for a connection.
const WAITS: [f64; 6] = [0.001, 0.01, 0.05, 0.25, 1.0, 2.5];

impl Default for Metrics {
    fn default() -> Self {
        let metrics = Self {
            registry: Registry::with_prefix("raccord"),
            requests: Family::default(),
            duration: Histogram::new([0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0]),
            introspections: Family::default(),
            verifications: Family::default(),
            refused_calls: RefusalCounter::default(),
            database_waits: Family::new_with_constructor(|| Histogram::new(WAITS)),
            connections: Gauge::default(),
            most_connections: Gauge::default(),
            idle_connections: Gauge::default(),
            waiting_mails: Gauge::default(),
            audit_position: Gauge::default(),
            audit_went_back: Counter::default(),
            refused_mails: Gauge::default(),
            expiring_passwords: Gauge::default(),
        };
        metrics.registered()
    }
}

impl Metrics {
    fn registered(mut self) -> Self {
        let registry = &mut self.registry;
        registry.register("http_requests", "Requests answered", self.requests.clone());
        let help = "Time from a request's head to its answer's";
        registry.register_with_unit("http_request_duration", help, Unit::Seconds, self.duration.clone());
        let help = "Questions of services about a credential, by service and answer";
        registry.register("introspections", help, self.introspections.clone());
        let help = "Checks of gateways, by service and answer";
        registry.register("verifications", help, self.verifications.clone());
        let help = "Refused calls of accounts, by the reason that the history has";
        registry.register("calls_refused", help, self.refused_calls.0.clone());
        let help = "How long a connection of the pool was waited for, measured each second";
        registry.register_with_unit("database_wait", help, Unit::Seconds, self.database_waits.clone());
        registry.register("database_connections", "Connections to the database", self.connections.clone());
        registry.register("database_connections_max", "The most there may be", self.most_connections.clone());
        registry.register("database_connections_idle", "Those that nobody uses", self.idle_connections.clone());
        registry.register("mails_waiting", "Mails in the outbox that are not sent yet", self.waiting_mails.clone());
        registry.register("audit_position", "Events in the audit chain", self.audit_position.clone());
        let help = "Times that the audit chain had lost a link which this process had seen";
        registry.register("audit_went_back", help, self.audit_went_back.clone());
        let help = "Mails that ended because the recipient's server refused them for good";
        registry.register("mails_refused", help, self.refused_mails.clone());
        let help = "Active accounts whose password expires within 30 days";
        registry.register("passwords_expiring", help, self.expiring_passwords.clone());
        registry.register("build", "The running version", Info::new([("version", env!("CARGO_PKG_VERSION"))]));
        self
    }

    /// Counts a response.
    pub fn count(&self, method: &'static str, route: Option<&str>, status: StatusCode, duration: Duration) {
        let route = route.unwrap_or("none").to_owned();
        let labels = RequestLabels { method, route, status: status.as_u16() };
        self.requests.get_or_create(&labels).inc();
        self.duration.observe(duration.as_secs_f64());
    }

    /// Notes the number of events in the audit chain.
    pub fn note_audit_position(&self, position: i64) {
        self.audit_position.set(position);
    }

    /// Counts that the audit chain went back.
    pub fn count_audit_loss(&self) {
        self.audit_went_back.inc();
    }

    /// Notes how long a connection of a pool was waited for.
    pub(super) fn note_database_wait(&self, pool: &'static str, wait: Duration) {
        self.database_waits.get_or_create(&PoolLabels { pool }).observe(wait.as_secs_f64());
    }

    /// Counts an answer to a service.
    pub fn count_introspection(&self, service: &str, answer: Introspected) {
        let labels = IntrospectionLabels { service: service.to_owned(), answer };
        self.introspections.get_or_create(&labels).inc();
    }

    /// Counts an answer to a gateway.
    pub fn count_verification(&self, service: &str, answer: Verified) {
        let labels = VerificationLabels { service: service.to_owned(), answer };
        self.verifications.get_or_create(&labels).inc();
    }
}

/// Unknown methods share one series, and one word in the log.
pub(super) fn known_method(method: &str) -> &'static str {
    let known = ["GET", "HEAD", "POST", "OPTIONS", "PUT", "DELETE", "PATCH"];
    known.into_iter().find(|known| *known == method).unwrap_or("other")
}

/// The route that matched, the label of [`Metrics::count`].
pub(super) fn route(request: &Request) -> Option<MatchedPath> {
    request.extensions().get().cloned()
}
