//! The identity provider with which people sign in (OpenID Connect), such as ProConnect.

use std::path::PathBuf;

use super::source::{SettingError, Source, is_this_machine, not};

/// What ProConnect has to say about a person.
const SCOPES: &str = "openid given_name usual_name email uid siret";
/// ProConnect's words for an authentication with a second factor.
const ACR_VALUES: &str = "eidas1-mfa eidas2 eidas3";
const LABEL: &str = "ProConnect";
/// Longer names would not fit on a button.
const LONGEST_LABEL: usize = 40;

/// The identity provider, and how the portal presents itself there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdentityProviderSettings {
    /// As the provider writes it: compared character by character.
    pub issuer: String,
    pub client_id: String,
    pub authentication: ClientAuthentication,
    /// With `openid`.
    pub scopes: Vec<String>,
    /// The values of `acr` that prove a second factor. Empty: none is asked for.
    pub acr_values: Vec<String>,
    /// The provider's name on buttons and in mails.
    pub label: String,
    /// Whether people can sign in with it only.
    pub only: bool,
    /// URL of the proxy through which it is asked.
    pub proxy: Option<String>,
}

/// How the portal proves who it is at the token endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClientAuthentication {
    /// `client_secret_post`, by the secret in this file.
    Secret(PathBuf),
    /// `private_key_jwt`, by the private key in this file (PEM, PKCS#8).
    PrivateKey(PathBuf),
}

impl IdentityProviderSettings {
    /// The provider's name, where people can sign in with it only.
    #[must_use]
    pub fn only_label(&self) -> Option<&str> {
        self.only.then_some(&self.label)
    }

    /// Whether it is ProConnect, whose rules ask for a link that explains it.
    #[must_use]
    pub fn is_proconnect(&self) -> bool {
        self.label == LABEL
    }
}

impl Source<'_> {
    /// `None` where no provider is set; its other settings are then refused.
    pub(super) fn identity_provider(&self) -> Result<Option<IdentityProviderSettings>, SettingError> {
        const ISSUER: &str = "RACCORD_OIDC_ISSUER";
        const CLIENT_ID: &str = "RACCORD_OIDC_CLIENT_ID";
        let client_id = self.text(CLIENT_ID);
        let authentication = self.client_authentication()?;
        let (scopes, acr_values) = (self.words("RACCORD_OIDC_SCOPES"), self.words("RACCORD_OIDC_ACR_VALUES"));
        let (label, only) = (self.label()?, self.parsed("RACCORD_OIDC_ONLY", "true or false")?.unwrap_or(false));
        let proxy = self.proxy()?;
        let Some(issuer) = self.text(ISSUER) else {
            return if client_id.is_some() || authentication.is_some() || only || proxy.is_some() {
                Err(SettingError { name: ISSUER, problem: "must be set too: no provider is named without it".into() })
            } else {
                Ok(None)
            };
        };
        if !is_issuer(&issuer) {
            return Err(not(ISSUER, "an https URL as the provider writes it, without ? and #", &issuer));
        }
        let missing = |name, problem: &str| SettingError { name, problem: problem.into() };
        let client_id = client_id.ok_or_else(|| missing(CLIENT_ID, "must be set too: the provider gave it"))?;
        let authentication = authentication.ok_or_else(|| {
            missing("RACCORD_OIDC_CLIENT_SECRET_FILE", "must be set too, or RACCORD_OIDC_PRIVATE_KEY_FILE")
        })?;
        let scopes = scopes.unwrap_or_else(|| split(SCOPES));
        if !scopes.iter().any(|scope| scope == "openid") {
            return Err(missing("RACCORD_OIDC_SCOPES", "must hold openid: without it there is no sign-in"));
        }
        let acr_values = acr_values.unwrap_or_else(|| split(ACR_VALUES));
        let acr_values = if acr_values == ["none"] { Vec::new() } else { acr_values };
        Ok(Some(IdentityProviderSettings { issuer, client_id, authentication, scopes, acr_values, label, only, proxy }))
    }

    fn client_authentication(&self) -> Result<Option<ClientAuthentication>, SettingError> {
        let (secret, key) = ("RACCORD_OIDC_CLIENT_SECRET_FILE", "RACCORD_OIDC_PRIVATE_KEY_FILE");
        match (self.path(secret), self.path(key)) {
            (Some(_), Some(_)) => Err(SettingError { name: key, problem: format!("cannot stand beside {secret}") }),
            (Some(file), None) => Ok(Some(ClientAuthentication::Secret(file))),
            (None, file) => Ok(file.map(ClientAuthentication::PrivateKey)),
        }
    }

    fn proxy(&self) -> Result<Option<String>, SettingError> {
        const NAME: &str = "RACCORD_OIDC_PROXY";
        match self.text(NAME) {
            // The text may hold a password.
            Some(url) if !is_proxy(&url) => Err(SettingError {
                name: NAME,
                problem: "must be the URL of a proxy such as http://proxy.example:3128, without a password".into(),
            }),
            url => Ok(url),
        }
    }

    fn label(&self) -> Result<String, SettingError> {
        const NAME: &str = "RACCORD_OIDC_LABEL";
        let label = self.text(NAME).unwrap_or_else(|| LABEL.into());
        let is_short = label.chars().count() <= LONGEST_LABEL && !label.chars().any(char::is_control);
        if is_short { Ok(label) } else { Err(not(NAME, "a name of 40 characters at most", &label)) }
    }

    fn words(&self, name: &str) -> Option<Vec<String>> {
        self.text(name).map(|text| split(&text))
    }
}

fn split(text: &str) -> Vec<String> {
    text.split_whitespace().map(str::to_owned).collect()
}

/// Whether it names a host and a port, and no more.
fn is_proxy(text: &str) -> bool {
    let Some((host, port)) = text.strip_prefix("http://").and_then(|rest| rest.rsplit_once(':')) else { return false };
    let is_host = |byte: u8| byte.is_ascii_alphanumeric() || b".-_[]:".contains(&byte);
    !host.is_empty() && host.bytes().all(is_host) && port.parse::<u16>().is_ok_and(|port| port > 0)
}

/// Whether it is an https URL, or one of this machine, as OpenID Connect Discovery wants issuers.
fn is_issuer(text: &str) -> bool {
    let is_plain = text.bytes().all(|byte| byte.is_ascii_graphic()) && !text.contains(['?', '#', '@', '\\']);
    let host = |rest: &str| {
        let authority = rest.split('/').next().unwrap_or_default().to_owned();
        match authority.strip_prefix('[') {
            Some(bracketed) => bracketed.split(']').next().unwrap_or_default().to_owned(),
            None => authority.split(':').next().unwrap_or_default().to_owned(),
        }
    };
    is_plain
        && match text.split_once("://") {
            Some(("https", rest)) => !host(rest).is_empty(),
            Some(("http", rest)) => is_this_machine(&host(rest)),
            _ => false,
        }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Settings;

    fn read(given: &[(&str, &str)]) -> Result<Option<IdentityProviderSettings>, SettingError> {
        let get = |name: &str| given.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
        Settings::read(get).map(|settings| settings.identity_provider)
    }

    const ISSUER: (&str, &str) = ("RACCORD_OIDC_ISSUER", "https://auth.agentconnect.example/api/v2");
    const CLIENT: (&str, &str) = ("RACCORD_OIDC_CLIENT_ID", "raccord");
    const SECRET: (&str, &str) = ("RACCORD_OIDC_CLIENT_SECRET_FILE", "/run/secret");
    const KEY: (&str, &str) = ("RACCORD_OIDC_PRIVATE_KEY_FILE", "/run/key.pem");

    #[test]
    fn three_settings_make_a_provider_with_the_rules_of_proconnect() {
        assert_eq!(read(&[]), Ok(None));
        let provider = read(&[ISSUER, CLIENT, SECRET]).unwrap().expect("a provider");
        assert_eq!(provider.scopes.join(" "), SCOPES);
        assert_eq!(provider.acr_values, ["eidas1-mfa", "eidas2", "eidas3"]);
        assert!(provider.is_proconnect() && !provider.only);
        assert_eq!(provider.authentication, ClientAuthentication::Secret("/run/secret".into()));
        let other = [ISSUER, CLIENT, KEY, ("RACCORD_OIDC_ACR_VALUES", "none"), ("RACCORD_OIDC_LABEL", "Agents")];
        let other = read(&other).unwrap().expect("a provider");
        assert_eq!(other.authentication, ClientAuthentication::PrivateKey("/run/key.pem".into()));
        assert!(other.acr_values.is_empty() && !other.is_proconnect());
    }

    #[test]
    fn half_a_provider_stops_the_start() {
        for (given, named) in [
            (&[ISSUER, CLIENT][..], "RACCORD_OIDC_CLIENT_SECRET_FILE"),
            (&[ISSUER, SECRET], "RACCORD_OIDC_CLIENT_ID"),
            (&[CLIENT, SECRET], "RACCORD_OIDC_ISSUER"),
            (&[("RACCORD_OIDC_ONLY", "true")], "RACCORD_OIDC_ISSUER"),
            (&[("RACCORD_OIDC_PROXY", "http://proxy.example:3128")], "RACCORD_OIDC_ISSUER"),
            (&[ISSUER, CLIENT, SECRET, KEY], "RACCORD_OIDC_PRIVATE_KEY_FILE"),
            (&[ISSUER, CLIENT, SECRET, ("RACCORD_OIDC_SCOPES", "email")], "RACCORD_OIDC_SCOPES"),
            (&[ISSUER, CLIENT, SECRET, ("RACCORD_OIDC_ONLY", "oui")], "RACCORD_OIDC_ONLY"),
            (&[ISSUER, CLIENT, SECRET, ("RACCORD_OIDC_LABEL", &"x".repeat(41))], "RACCORD_OIDC_LABEL"),
        ] {
            assert_eq!(read(given).expect_err(named).name, named);
        }
    }

    #[test]
    fn a_proxy_is_a_host_and_a_port() {
        for sound in ["http://proxy.example:3128", "http://10.0.0.1:80", "http://[2001:db8::1]:3128"] {
            assert!(is_proxy(sound), "{sound}");
        }
        for wrong in [
            "proxy.example:3128",
            "https://proxy.example:3128",
            "http://proxy.example",
            "http://proxy.example:0",
            "http://:3128",
            "http://someone:geheim@proxy.example:3128",
            "http://proxy.example:3128/",
        ] {
            assert!(!is_proxy(wrong), "{wrong}");
        }
    }

    #[test]
    fn an_issuer_is_reached_by_tls_or_on_this_machine() {
        for sound in ["https://login.example", "https://login.example:8443/realm", "http://127.0.0.1:9000/api/v2"] {
            assert!(is_issuer(sound), "{sound}");
        }
        for wrong in [
            "http://login.example",
            "http://127.0.0.1@login.example",
            "http://localhost.login.example/",
            "login.example",
            "https://",
            "https://login.example/?a=b",
            "ftp://login.example",
        ] {
            assert!(!is_issuer(wrong), "{wrong}");
        }
    }
}
