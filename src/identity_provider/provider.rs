//! The identity provider of the settings, and the portal's credential there.

use std::{io, sync::Arc};

use openidconnect::{
    AuthType, ClientId, ClientSecret, EndpointMaybeSet, EndpointNotSet, EndpointSet, core::CoreClient,
};
use tokio::sync::Semaphore;

use super::{
    credential::Credential,
    discovery::{Discovery, Metadata},
    error::ProviderError,
    http::HttpClient,
};
use crate::settings::identity_provider::IdentityProviderSettings;

/// Calls to the provider under way in this process, for strangers, and as many again for people
/// whom the portal knows. Others wait for a moment; then the provider is away.
const MOST_CALLS: usize = 32;

/// The URLs of the portal to which the provider sends people.
#[derive(Clone, Debug)]
pub struct ReturnAddresses {
    /// After an authentication: `redirect_uri`.
    pub callback: String,
    /// After a sign-out: `post_logout_redirect_uri`.
    pub signed_out: String,
}

/// The identity provider of the settings.
pub struct IdentityProvider {
    pub settings: IdentityProviderSettings,
    pub(super) addresses: ReturnAddresses,
    pub(super) credential: Credential,
    pub(super) http: HttpClient,
    pub(super) discovery: Discovery,
    pub(super) calls_for_strangers: Semaphore,
    pub(super) calls_for_known: Semaphore,
}

impl IdentityProvider {
    /// Reads the portal's credential. The provider itself is asked at the first sign-in only, so
    /// that its absence stops no start.
    ///
    /// # Errors
    /// Where the credential's file cannot be read or used, or the proxy's URL; the text names the
    /// setting.
    pub fn open(settings: IdentityProviderSettings, addresses: ReturnAddresses) -> io::Result<Self> {
        let credential = Credential::read(&settings.authentication)?;
        let proxy = settings.proxy.as_deref().map(str::parse).transpose();
        let proxy = proxy.map_err(|error| io::Error::other(format!("RACCORD_OIDC_PROXY: {error}")))?;
        let (http, discovery) = (HttpClient::new(proxy), Discovery::default());
        let [calls_for_strangers, calls_for_known] = [(); 2].map(|()| Semaphore::new(MOST_CALLS));
        Ok(Self { settings, addresses, credential, http, discovery, calls_for_strangers, calls_for_known })
    }

    /// Asks the provider for its addresses and keys, as the first sign-in does.
    ///
    /// # Errors
    /// [`ProviderError`].
    pub async fn try_server(&self) -> Result<(), ProviderError> {
        self.metadata().await.map(drop)
    }

    pub(super) async fn metadata(&self) -> Result<Arc<Metadata>, ProviderError> {
        self.discovery.metadata(&self.settings.issuer, &self.http).await
    }

    /// The client of the crate, for one request.
    pub(super) fn client(&self, metadata: &Metadata) -> DiscoveredClient {
        let secret = match &self.credential {
            Credential::Secret(secret) => Some(ClientSecret::new(secret.to_string())),
            Credential::Key(_) => None,
        };
        CoreClient::from_provider_metadata(metadata.clone(), ClientId::new(self.settings.client_id.clone()), secret)
            .set_auth_type(AuthType::RequestBody)
    }
}

type DiscoveredClient =
    CoreClient<EndpointSet, EndpointNotSet, EndpointNotSet, EndpointNotSet, EndpointMaybeSet, EndpointMaybeSet>;
