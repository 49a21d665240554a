//! What the provider says of itself: its addresses and its keys, kept for an hour.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use openidconnect::{
    AdditionalProviderMetadata, IssuerUrl, ProviderMetadata,
    core::{
        CoreAuthDisplay, CoreClaimName, CoreClaimType, CoreClientAuthMethod, CoreGrantType, CoreJsonWebKey,
        CoreJweContentEncryptionAlgorithm, CoreJweKeyManagementAlgorithm, CoreResponseMode, CoreResponseType,
        CoreSubjectIdentifierType,
    },
};
use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;

use super::{
    error::{ProviderError, with_causes},
    http::HttpClient,
};

/// How long metadata and keys are taken as they were read.
const KEPT: Duration = Duration::from_hours(1);
/// How long they serve while the provider does not answer.
const KEPT_IN_NEED: Duration = Duration::from_hours(24);
/// The pause after a failure, and between two looks for new keys: whoever sends tokens with an
/// unknown key causes no more.
const PAUSE: Duration = Duration::from_secs(10);

/// The members beside those of OpenID Connect Discovery.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct Additional {
    /// OpenID Connect RP-Initiated Logout.
    pub end_session_endpoint: Option<String>,
    /// RFC 9207: answers name their issuer.
    #[serde(default)]
    pub authorization_response_iss_parameter_supported: bool,
}

impl AdditionalProviderMetadata for Additional {}

/// Addresses and keys of the provider.
pub type Metadata = ProviderMetadata<
    Additional,
    CoreAuthDisplay,
    CoreClientAuthMethod,
    CoreClaimName,
    CoreClaimType,
    CoreGrantType,
    CoreJweContentEncryptionAlgorithm,
    CoreJweKeyManagementAlgorithm,
    CoreJsonWebKey,
    CoreResponseMode,
    CoreResponseType,
    CoreSubjectIdentifierType,
>;

/// What was read, and when.
#[derive(Default)]
pub struct Discovery(Mutex<Known>);

#[derive(Default)]
struct Known {
    last: Option<(Arc<Metadata>, Instant)>,
    failed: Option<(String, Instant)>,
}

impl Discovery {
    /// The metadata, read again after [`KEPT`].
    pub async fn metadata(&self, issuer: &str, http: &HttpClient) -> Result<Arc<Metadata>, ProviderError> {
        // One request reads, the others wait for it: at most twice the time limit of an answer.
        let mut known = self.0.lock().await;
        if let Some((metadata, at)) = &known.last
            && at.elapsed() < KEPT
        {
            return Ok(metadata.clone());
        }
        match known.read(issuer, http).await {
            Ok(metadata) => Ok(metadata),
            Err(error) => match &known.last {
                Some((metadata, at)) if at.elapsed() < KEPT_IN_NEED => Ok(metadata.clone()),
                _ => Err(error),
            },
        }
    }

    /// Other metadata than these, which lack a key: read by another request meanwhile, or now.
    /// `None` where they were read a moment ago.
    pub async fn other_than(
        &self,
        used: &Arc<Metadata>,
        issuer: &str,
        http: &HttpClient,
    ) -> Result<Option<Arc<Metadata>>, ProviderError> {
        let mut known = self.0.lock().await;
        match &known.last {
            Some((metadata, _)) if !Arc::ptr_eq(metadata, used) => Ok(Some(metadata.clone())),
            Some((_, at)) if at.elapsed() < PAUSE => Ok(None),
            _ => known.read(issuer, http).await.map(Some),
        }
    }
}

impl Known {
    async fn read(&mut self, issuer: &str, http: &HttpClient) -> Result<Arc<Metadata>, ProviderError> {
        if let Some((cause, at)) = &self.failed
            && at.elapsed() < PAUSE
        {
            return Err(ProviderError::Away(cause.clone()));
        }
        let url = IssuerUrl::new(issuer.to_owned()).map_err(|error| ProviderError::Away(error.to_string()))?;
        match Metadata::discover_async(url, http).await {
            Ok(metadata) => {
                let metadata = Arc::new(metadata);
                *self = Self { last: Some((metadata.clone(), Instant::now())), failed: None };
                Ok(metadata)
            }
            Err(error) => {
                let cause = with_causes(&error);
                self.failed = Some((cause.clone(), Instant::now()));
                Err(ProviderError::Away(cause))
            }
        }
    }
}
