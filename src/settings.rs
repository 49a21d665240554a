//! The operator's settings, read from the environment. An invalid setting prevents the start, with
//! one line that names it.

pub mod identity_provider;
mod source;

use std::{
    collections::HashSet,
    net::{IpAddr, SocketAddr},
    path::PathBuf,
    time::Duration,
};

use sqlx::postgres::{PgConnectOptions, PgSslMode};

use crate::domain::{restrictions::Network, technical_user::AccountRules};
use identity_provider::IdentityProviderSettings;
pub use source::SettingError;
use source::{Source, is_this_machine, not};

/// Names, defaults and meaning of the settings, as `--help` prints them.
pub const HELP: &str = "\
Settings (environment variables):
  DATABASE_URL                    PostgreSQL to use, e.g. postgres://raccord@db.example/raccord
                                  (unset: an own cluster in the data directory)
  RACCORD_MIGRATION_URL           the same database as its owner; DATABASE_URL's role may then only serve
                                  (unset: DATABASE_URL's role owns the schema)
  RACCORD_LISTEN                  address and port to listen on            [127.0.0.1:8080]
  RACCORD_PUBLIC_URL              URL by which people reach the portal     [http://<RACCORD_LISTEN>]
  RACCORD_DATA_DIR                directory of the embedded database, mails and demonstration data [./data]
  RACCORD_SMTP_URL                e.g. smtp://user:password@mail.example:587?tls=required or smtps://…;
                                  without TLS to a mail server on this machine only
                                  (unset: mails are written as .eml files in the data directory)
  RACCORD_MAIL_FROM               sender of the mails                      [Raccord <raccord@localhost.localdomain>]
  RACCORD_PASSWORD_LIFETIME_DAYS  days that a technical password lives     [424]
  RACCORD_DORMANT_DAYS            days without a call after which a technical user is announced to its
                                  manager, and 30 days later suspended     [none: never]
  RACCORD_STRICT_SIRET            check the control digit of SIRETs        [true]
  RACCORD_MAX_TECHNICAL_USERS     technical users per structure            [5]
  RACCORD_DATABASE_CONNECTIONS    most connections to the database         [20]
  RACCORD_TRUSTED_PROXIES         addresses or networks (10.0.0.0/8) of reverse proxies whose word about
                                  the client's address is believed, comma-separated  [none]
  RACCORD_FORWARDED_HEADER        the header by which they say it: X-Forwarded-For or Forwarded
                                  [X-Forwarded-For]
  RACCORD_TLS_CERT                file of a certificate and its chain (PEM): https without a proxy before it
  RACCORD_TLS_KEY                 file of its private key (PEM)            [none: plain http]
  RACCORD_STOP_DELAY_SECONDS      seconds during which an instance that is asked to stop still serves, while
                                  /readyz says 503: as long as balancers need to see it  [0]
  RACCORD_METRICS_LISTEN          address and port of /metrics             [none: no metrics are served]
  RACCORD_THEME_DIR               directory of a theme laid over the look  [none]
  RACCORD_SECRET_KEY_FILE         keys that seal second factors, made at first start
                                  [secret.key in the data directory]
  RACCORD_REQUIRE_MFA             who must sign in with a second factor: none or managers (the principal ones) [none]
  RACCORD_OIDC_ISSUER             identity provider with which people sign in (OpenID Connect), e.g. ProConnect
                                  [none: people sign in with a password]
  RACCORD_OIDC_CLIENT_ID          the portal's name there
  RACCORD_OIDC_CLIENT_SECRET_FILE file of its secret there (client_secret_post)
  RACCORD_OIDC_PRIVATE_KEY_FILE   instead: file of its private key, PEM in PKCS#8 (private_key_jwt)
  RACCORD_OIDC_SCOPES             what to ask about people [openid given_name usual_name email uid siret]
  RACCORD_OIDC_ACR_VALUES         values of acr that prove a second factor, or none
                                  [eidas1-mfa eidas2 eidas3]
  RACCORD_OIDC_LABEL              the provider's name on screens           [ProConnect]
  RACCORD_OIDC_ONLY               sign in with it only, without passwords  [false]
  RACCORD_OIDC_PROXY              proxy through which it is asked, e.g. http://proxy.example:3128 [none]
  RACCORD_PG_BIN                  directory of PostgreSQL's programs       [found by itself]
  RACCORD_LOG                     what to log, e.g. info or raccord=debug  [info]
  RACCORD_LOG_FORMAT              text or json                             [text]";

/// All settings, validated.
#[derive(Clone, Debug)]
pub struct Settings {
    pub database: Option<PgConnectOptions>,
    /// The same database as the schema's owner, where that is not the role of `database`.
    pub migration_database: Option<PgConnectOptions>,
    pub listen: SocketAddr,
    /// Without a trailing slash.
    pub public_url: String,
    pub data_dir: PathBuf,
    pub smtp_url: Option<String>,
    pub mail_from: String,
    pub account_rules: AccountRules,
    /// Days without a call after which an account is announced, and later suspended.
    pub dormant_days: Option<i32>,
    pub strict_siret: bool,
    pub database_connections: u32,
    pub trusted_proxies: TrustedProxies,
    pub forwarded_header: ForwardedHeader,
    pub tls: Option<TlsFiles>,
    /// How long an instance that is asked to stop still serves, but is not ready.
    pub stop_delay: Duration,
    pub metrics_listen: Option<SocketAddr>,
    pub theme_dir: Option<PathBuf>,
    pub secret_key_file: PathBuf,
    /// Whether principal managers must sign in with a second factor.
    pub managers_need_second_factor: bool,
    /// With which people sign in, beside or instead of a password.
    pub identity_provider: Option<IdentityProviderSettings>,
    pub pg_bin: Option<PathBuf>,
    pub log: String,
    pub log_json: bool,
}

impl Settings {
    /// The portal's host, with its port where that is not the scheme's own.
    #[must_use]
    pub fn public_host(&self) -> &str {
        self.public_url.split_once("://").map_or(&*self.public_url, |(_, host)| host)
    }

    /// The settings whose database is on another machine and connected to without checking its
    /// certificate.
    #[must_use]
    pub fn unproven_databases(&self) -> Vec<&'static str> {
        let named = [("DATABASE_URL", &self.database), ("RACCORD_MIGRATION_URL", &self.migration_database)];
        let is_unproven = |database: &Option<_>| database.as_ref().is_some_and(trusts_the_network);
        named.into_iter().filter(|(_, database)| is_unproven(database)).map(|(name, _)| name).collect()
    }

    /// Reads the settings through `get`, which returns an environment variable's value. An empty
    /// value counts as unset.
    ///
    /// # Errors
    /// The first setting that cannot be used.
    pub fn read(get: impl Fn(&str) -> Option<String>) -> Result<Self, SettingError> {
        let source = Source { get: &|name| get(name).filter(|value| !value.trim().is_empty()) };
        let listen = source.parsed("RACCORD_LISTEN", "an address and port such as 127.0.0.1:8080")?;
        let listen = listen.unwrap_or(SocketAddr::from(([127, 0, 0, 1], 8080)));
        let tls = source.tls()?;
        let scheme = if tls.is_some() { "https" } else { "http" };
        let lifetime = source.within("RACCORD_PASSWORD_LIFETIME_DAYS", 424, 1..=3650)?;
        let data_dir = source.path("RACCORD_DATA_DIR").unwrap_or_else(|| PathBuf::from("./data"));
        Ok(Self {
            database: source.database_url("DATABASE_URL")?,
            migration_database: source.migration_url()?,
            listen,
            public_url: source.public_url()?.unwrap_or_else(|| format!("{scheme}://{listen}")),
            secret_key_file: source.path("RACCORD_SECRET_KEY_FILE").unwrap_or_else(|| data_dir.join("secret.key")),
            managers_need_second_factor: source.managers_need_second_factor()?,
            identity_provider: source.identity_provider()?,
            data_dir,
            smtp_url: source.smtp_url()?,
            mail_from: source
                .text("RACCORD_MAIL_FROM")
                .unwrap_or_else(|| "Raccord <raccord@localhost.localdomain>".into()),
            account_rules: AccountRules {
                password_lifetime_days: lifetime,
                max_per_structure: source.within("RACCORD_MAX_TECHNICAL_USERS", 5, 1..=1000)?.into(),
            },
            dormant_days: source.within_if_set("RACCORD_DORMANT_DAYS", 30..=3650)?,
            strict_siret: source.parsed("RACCORD_STRICT_SIRET", "true or false")?.unwrap_or(true),
            database_connections: source.within("RACCORD_DATABASE_CONNECTIONS", 20, 2..=1000)?.unsigned_abs(),
            trusted_proxies: source.proxies()?,
            forwarded_header: source.forwarded_header()?,
            tls,
            stop_delay: source.stop_delay()?,
            metrics_listen: source.parsed("RACCORD_METRICS_LISTEN", "an address and port such as 127.0.0.1:9090")?,
            theme_dir: source.directory("RACCORD_THEME_DIR")?,
            pg_bin: source.directory("RACCORD_PG_BIN")?,
            log: source.text("RACCORD_LOG").unwrap_or_else(|| "info".into()),
            log_json: source.log_format()?,
        })
    }
}

impl Source<'_> {
    fn tls(&self) -> Result<Option<TlsFiles>, SettingError> {
        let missing = |name| SettingError { name, problem: "must be set too: certificate and key go together".into() };
        match (self.path("RACCORD_TLS_CERT"), self.path("RACCORD_TLS_KEY")) {
            (Some(certificate), Some(key)) => Ok(Some(TlsFiles { certificate, key })),
            (None, None) => Ok(None),
            (Some(_), None) => Err(missing("RACCORD_TLS_KEY")),
            (None, Some(_)) => Err(missing("RACCORD_TLS_CERT")),
        }
    }

    fn stop_delay(&self) -> Result<Duration, SettingError> {
        let seconds = self.within("RACCORD_STOP_DELAY_SECONDS", 0, 0..=30)?;
        Ok(Duration::from_secs(seconds.unsigned_abs().into()))
    }

    fn proxies(&self) -> Result<TrustedProxies, SettingError> {
        const NAME: &str = "RACCORD_TRUSTED_PROXIES";
        let text = self.text(NAME).unwrap_or_default();
        let items = text.split(|c: char| c == ',' || c.is_whitespace()).filter(|item| !item.is_empty());
        let wanted = "a list of IP addresses and networks such as 10.0.0.0/8";
        let networks = items.map(|item| item.parse().map_err(|_| not(NAME, wanted, item)));
        networks.collect::<Result<_, _>>().map(TrustedProxies)
    }

    fn forwarded_header(&self) -> Result<ForwardedHeader, SettingError> {
        const NAME: &str = "RACCORD_FORWARDED_HEADER";
        let Some(text) = self.text(NAME) else { return Ok(ForwardedHeader::default()) };
        match text.to_ascii_lowercase().as_str() {
            "x-forwarded-for" => Ok(ForwardedHeader::XForwardedFor),
            "forwarded" => Ok(ForwardedHeader::Forwarded),
            _ => Err(not(NAME, "X-Forwarded-For or Forwarded", &text)),
        }
    }

    /// The error does not quote the value, which may hold a password.
    fn database_url(&self, name: &'static str) -> Result<Option<PgConnectOptions>, SettingError> {
        let wrong = || SettingError { name, problem: "must be a URL such as postgres://user@host/database".into() };
        let Some(url) = self.text(name) else { return Ok(None) };
        if !url.starts_with("postgres://") && !url.starts_with("postgresql://") {
            return Err(wrong());
        }
        let several = || {
            let problem = "names several servers: put a proxy that finds the primary before them".into();
            SettingError { name, problem }
        };
        let (place, query) = url.split_once('?').unwrap_or((&url, ""));
        let authority = place.split('/').nth(2).unwrap_or_default();
        if authority.rsplit('@').next().is_some_and(|servers| servers.contains(',')) {
            return Err(several());
        }
        if form_urlencoded::parse(query.as_bytes()).any(|(name, value)| name.starts_with("host") && value.contains(','))
        {
            return Err(several());
        }
        let mut parameters = form_urlencoded::parse(query.as_bytes()).map(|(parameter, _)| parameter);
        if let Some(unknown) = parameters.find(|parameter| !is_database_parameter(parameter)) {
            return Err(SettingError { name, problem: format!("has a parameter that is not supported: {unknown:?}") });
        }
        url.parse().map(Some).map_err(|_| wrong())
    }

    fn migration_url(&self) -> Result<Option<PgConnectOptions>, SettingError> {
        const NAME: &str = "RACCORD_MIGRATION_URL";
        let url = self.database_url(NAME)?;
        if url.is_some() && self.text("DATABASE_URL").is_none() {
            return Err(SettingError { name: NAME, problem: "wants DATABASE_URL beside it".into() });
        }
        Ok(url)
    }

    fn public_url(&self) -> Result<Option<String>, SettingError> {
        const NAME: &str = "RACCORD_PUBLIC_URL";
        let Some(value) = self.text(NAME) else { return Ok(None) };
        let url = value.trim_end_matches('/');
        let authority = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://")).unwrap_or_default();
        let sound =
            !authority.is_empty() && authority.chars().all(|c| c.is_ascii_alphanumeric() || ".-:[]".contains(c));
        if sound {
            // Browsers leave the scheme's own port out (RFC 6454 §6.2).
            let url = url.to_ascii_lowercase();
            let port = if url.starts_with("https") { ":443" } else { ":80" };
            Ok(Some(url.strip_suffix(port).map(str::to_owned).unwrap_or(url)))
        } else {
            Err(not(NAME, "a URL such as https://raccord.example", &value))
        }
    }

    fn smtp_url(&self) -> Result<Option<String>, SettingError> {
        match self.text("RACCORD_SMTP_URL") {
            // The error does not quote the value, which may hold a password.
            Some(url) if !url.starts_with("smtp://") && !url.starts_with("smtps://") => {
                Err(SettingError { name: "RACCORD_SMTP_URL", problem: "must start with smtp:// or smtps://".into() })
            }
            Some(url) if mails_travel_in_clear(&url) => Err(SettingError {
                name: "RACCORD_SMTP_URL",
                problem: "must be smtps://… or smtp://…?tls=required, unless the mail server is on this machine".into(),
            }),
            url => Ok(url),
        }
    }

    fn managers_need_second_factor(&self) -> Result<bool, SettingError> {
        match self.text("RACCORD_REQUIRE_MFA").as_deref() {
            None | Some("none") => Ok(false),
            Some("managers") => Ok(true),
            Some(other) => Err(not("RACCORD_REQUIRE_MFA", "none or managers", other)),
        }
    }

    fn log_format(&self) -> Result<bool, SettingError> {
        match self.text("RACCORD_LOG_FORMAT").as_deref() {
            None | Some("text") => Ok(false),
            Some("json") => Ok(true),
            Some(other) => Err(not("RACCORD_LOG_FORMAT", "text or json", other)),
        }
    }
}

/// The parameters of a database URL, with `options[…]`. The driver only warns of others, such as
/// `target_session_attrs`, and goes on as if they were not there.
const DATABASE_PARAMETERS: &str = "sslmode ssl-mode sslrootcert ssl-root-cert ssl-ca sslcert ssl-cert sslkey ssl-key \
                                   host hostaddr port dbname user password application_name options statement-cache-capacity";

fn is_database_parameter(name: &str) -> bool {
    name.starts_with("options[") || DATABASE_PARAMETERS.split(' ').any(|known| known == name)
}

/// The names that look like settings and are none: misspelt, or of another version. A setting that
/// is passed over in silence is one that an operator trusts.
pub fn unknown_names(names: impl Iterator<Item = String>) -> Vec<String> {
    let known: HashSet<_> = HELP.split_whitespace().collect();
    let mut unknown: Vec<_> =
        names.filter(|name| name.starts_with("RACCORD_") && !known.contains(name.as_str())).collect();
    unknown.sort_unstable();
    unknown
}

/// Whether mails, whose links give access to accounts, and the mail account's password would leave
/// this machine unencrypted. `tls=opportunistic` counts as unencrypted: an attacker on the path can
/// suppress TLS.
fn mails_travel_in_clear(smtp_url: &str) -> bool {
    let Some(rest) = smtp_url.strip_prefix("smtp://") else { return false };
    let (place, query) = rest.split_once('?').unwrap_or((rest, ""));
    let authority = place.split('/').next().unwrap_or_default();
    let server = authority.rsplit('@').next().unwrap_or_default();
    // Strips the brackets of an IPv6 address, or the port of a name or an IPv4 address.
    let host = match server.strip_prefix('[') {
        Some(bracketed) => bracketed.split(']').next(),
        None => server.split(':').next(),
    };
    let host = host.unwrap_or_default();
    let tls = form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "tls");
    !is_this_machine(host) && tls.is_none_or(|(_, value)| value != "required")
}

/// Whether an attacker on the network could impersonate the database.
fn trusts_the_network(database: &PgConnectOptions) -> bool {
    let host = database.get_host();
    let is_here = database.get_socket().is_some() || host.starts_with('/') || is_this_machine(host);
    !is_here && !matches!(database.get_ssl_mode(), PgSslMode::VerifyCa | PgSslMode::VerifyFull)
}

/// The reverse proxies whose word about the client's address is believed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TrustedProxies(Vec<Network>);

impl TrustedProxies {
    /// Whether this is the address of such a proxy.
    #[must_use]
    pub fn contain(&self, address: IpAddr) -> bool {
        self.0.iter().any(|network| network.contains(address))
    }
}

impl FromIterator<IpAddr> for TrustedProxies {
    fn from_iter<I: IntoIterator<Item = IpAddr>>(addresses: I) -> Self {
        Self(addresses.into_iter().map(Network::only).collect())
    }
}

/// The header that trusted proxies write. The other one is the client's, who may say anything.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ForwardedHeader {
    #[default]
    XForwardedFor,
    /// RFC 7239.
    Forwarded,
}

/// The files of certificate and private key, both PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// The portal's certificate, followed by its chain.
    pub certificate: PathBuf,
    pub key: PathBuf,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(name: &str, value: &str) -> Result<Settings, SettingError> {
        Settings::read(|asked| (asked == name).then(|| value.to_owned()))
    }

    #[test]
    fn without_settings_the_defaults_hold() {
        let settings = Settings::read(|_| None).unwrap();
        assert_eq!(settings.public_url, "http://127.0.0.1:8080");
        assert_eq!(settings.account_rules.password_lifetime_days, 424);
        assert_eq!(settings.account_rules.max_per_structure, 5);
        assert!(settings.strict_siret && settings.database.is_none());
    }

    #[test]
    fn a_wrong_setting_is_named_in_one_line() {
        for (name, value) in [
            ("DATABASE_URL", "mysql://secret@x"),
            ("DATABASE_URL", "postgres://raccord:secret@x,y/raccord"),
            ("DATABASE_URL", "postgres://raccord:secret@x/raccord?host=y,z"),
            ("DATABASE_URL", "postgres://raccord:secret@x/raccord?target_session_attrs=read-write"),
            ("RACCORD_MIGRATION_URL", "mysql://secret@x"),
            ("RACCORD_MIGRATION_URL", "postgres://secret@x"),
            ("RACCORD_LISTEN", "8080"),
            ("RACCORD_PUBLIC_URL", "raccord.example"),
            ("RACCORD_PUBLIC_URL", "https://a/b"),
            ("RACCORD_SMTP_URL", "mail:secret"),
            ("RACCORD_SMTP_URL", "smtp://user:secret@mail.example:587"),
            ("RACCORD_PASSWORD_LIFETIME_DAYS", "0"),
            ("RACCORD_PASSWORD_LIFETIME_DAYS", "a year"),
            ("RACCORD_DORMANT_DAYS", "7"),
            ("RACCORD_STOP_DELAY_SECONDS", "31"),
            ("RACCORD_STRICT_SIRET", "oui"),
            ("RACCORD_MAX_TECHNICAL_USERS", "-1"),
            ("RACCORD_TRUSTED_PROXIES", "10.0.0.1, proxy"),
            ("RACCORD_FORWARDED_HEADER", "X-Real-IP"),
            ("RACCORD_TRUSTED_PROXIES", "10.0.0.1/33"),
            ("RACCORD_TRUSTED_PROXIES", "10.0.0.1/8"),
            ("RACCORD_THEME_DIR", "/no/such/directory"),
            ("RACCORD_PG_BIN", "/no/such/directory"),
            ("RACCORD_REQUIRE_MFA", "oui"),
            ("RACCORD_LOG_FORMAT", "xml"),
        ] {
            let error = read(name, value).expect_err(name).to_string();
            assert!(
                error.starts_with(&format!("{name}: ")) && !error.contains('\n') && !error.contains("secret"),
                "{error}"
            );
        }
    }

    #[test]
    fn a_misspelt_setting_is_noticed() {
        let names = ["RACCORD_LISTEN", "RACCORD_TRUSTED_PROXY", "PATH", "RACCORD_PORT", "DATABASE_URL"];
        assert_eq!(unknown_names(names.map(str::to_owned).into_iter()), ["RACCORD_PORT", "RACCORD_TRUSTED_PROXY"]);
    }

    #[test]
    fn mails_leave_the_machine_by_tls_or_not_at_all() {
        for clear in [
            "smtp://mail.example",
            "smtp://mail.example:25/portail",
            "smtp://user:secret@mail.example:587?tls=opportunistic",
            "smtp://mail.example?tls=opportunistic&tls=required",
            "smtp://localhost@mail.example",
            "smtp://localhost.mail.example",
            "smtp://[2001:db8::1]:25",
            "smtp://192.0.2.1:25/localhost",
        ] {
            assert_eq!(read("RACCORD_SMTP_URL", clear).expect_err(clear).name, "RACCORD_SMTP_URL");
        }
        for safe in [
            "smtps://user:secret@mail.example",
            "smtp://user:secret@mail.example:587?tls=required",
            "smtp://127.0.0.1:2525",
            "smtp://localhost",
            "smtp://[::1]:25/portail",
        ] {
            assert!(read("RACCORD_SMTP_URL", safe).is_ok(), "{safe}");
        }
    }

    #[test]
    fn an_unchecked_certificate_of_a_remote_database_is_reported() {
        let told = |url: &str| read("DATABASE_URL", url).unwrap().unproven_databases();
        for url in ["db.example/raccord", "db.example/raccord?sslmode=require", "192.0.2.1/raccord?sslmode=prefer"] {
            assert_eq!(told(&format!("postgres://raccord@{url}")), ["DATABASE_URL"], "{url}");
        }
        for url in [
            "db.example/raccord?sslmode=verify-full",
            "db.example/raccord?sslmode=verify-ca",
            "localhost/raccord",
            "127.0.0.1:5433/raccord",
            "%2Fvar%2Frun%2Fpostgresql/raccord",
            "localhost/raccord?host=/var/run/postgresql",
        ] {
            assert!(told(&format!("postgres://raccord@{url}")).is_empty(), "{url}");
        }
        let both = Settings::read(|name| {
            let role = match name {
                "DATABASE_URL" => "portal",
                "RACCORD_MIGRATION_URL" => "owner",
                _ => return None,
            };
            Some(format!("postgres://{role}@db.example/raccord"))
        });
        assert_eq!(both.unwrap().unproven_databases(), ["DATABASE_URL", "RACCORD_MIGRATION_URL"]);
    }

    #[test]
    fn the_public_url_is_written_as_browsers_write_origins() {
        let read = |value| read("RACCORD_PUBLIC_URL", value).map(|settings| settings.public_url).ok();
        for (value, url) in [
            ("https://Raccord.example:443/", "https://raccord.example"),
            ("http://raccord.lan:80", "http://raccord.lan"),
            ("https://raccord.example:80", "https://raccord.example:80"),
            ("http://[::1]:8080", "http://[::1]:8080"),
        ] {
            assert_eq!(read(value).as_deref(), Some(url));
        }
        let host = |value: &str| Settings::read(|name| (name == "RACCORD_PUBLIC_URL").then(|| value.into())).unwrap();
        assert_eq!(host("https://raccord.example:8443").public_host(), "raccord.example:8443");
    }

    #[test]
    fn a_certificate_wants_its_key() {
        assert_eq!(read("RACCORD_TLS_CERT", "/c.pem").expect_err("no key").name, "RACCORD_TLS_KEY");
        assert_eq!(read("RACCORD_TLS_KEY", "/k.pem").expect_err("no certificate").name, "RACCORD_TLS_CERT");
        let both = Settings::read(|name| name.starts_with("RACCORD_TLS").then(|| "/file.pem".to_owned())).unwrap();
        assert_eq!(both.public_url, "https://127.0.0.1:8080");
    }

    #[test]
    fn proxies_are_addresses_and_networks() {
        let proxies = read("RACCORD_TRUSTED_PROXIES", "127.0.0.1, 10.1.0.0/16 2001:db8::/48").unwrap().trusted_proxies;
        let trusted = |text: &str| proxies.contain(text.parse().unwrap());
        assert!(["127.0.0.1", "10.1.255.3", "::ffff:10.1.0.7", "2001:db8:0:1::2"].into_iter().all(trusted));
        assert!(!["127.0.0.2", "10.2.0.1", "2001:db8:1::1"].into_iter().any(trusted));
    }

    #[test]
    fn every_setting_stands_in_the_help() {
        let seen = std::cell::RefCell::new(Vec::new());
        let _ = Settings::read(|name| {
            seen.borrow_mut().push(name.to_owned());
            None
        });
        assert!(seen.borrow().len() > 10);
        for name in seen.borrow().iter() {
            assert!(HELP.contains(name), "{name}");
        }
    }
}
