//! One request and its bounded answer, over TLS, through a proxy where one is set. No redirect is
//! followed: the provider's own addresses are asked, and no others.

use std::{future::Future, io, pin::Pin, sync::Arc, time::Duration};

use http_body_util::{BodyExt, Full, Limited};
use hyper::{
    Uri,
    body::Bytes,
    client::conn::http1,
    header::{HOST, HeaderValue, USER_AGENT},
};
use hyper_util::{
    client::legacy::connect::{HttpConnector, proxy::Tunnel},
    rt::TokioIo,
};
use openidconnect::{AsyncHttpClient, HttpRequest, HttpResponse};
use thiserror::Error;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    sync::OnceCell,
    time::timeout,
};
use tokio_rustls::{
    TlsConnector,
    rustls::{ClientConfig, RootCertStore, crypto::ring, pki_types::ServerName},
};
use tower_service::Service;

use super::error::with_causes;

/// The longest that one request may take, from the look-up of the name to the last byte.
const TIME_LIMIT: Duration = Duration::from_secs(5);

/// The longest answer: a key set with the certificates of some keys.
const MOST_BYTES: usize = 256 * 1024;

/// Why there is no answer.
#[derive(Debug, Error)]
pub enum HttpError {
    #[error("no answer within {} seconds", TIME_LIMIT.as_secs())]
    TooSlow,
    #[error("an address that is neither https nor on this machine")]
    Unprotected,
    #[error("the proxy for outgoing connections: {0}")]
    Proxy(String),
    #[error("an answer of more than {MOST_BYTES} bytes, or a broken one: {0}")]
    Body(String),
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error(transparent)]
    Http(#[from] hyper::Error),
    #[error("a request that cannot be sent: {0}")]
    Request(String),
}

/// Sends requests. The roots are those of the system, as for mails.
#[derive(Default)]
pub struct HttpClient {
    tls: OnceCell<Arc<ClientConfig>>,
    /// The proxy that requests to other machines go through (`CONNECT`), which resolves their
    /// names.
    proxy: Option<Uri>,
}

impl<'c> AsyncHttpClient<'c> for HttpClient {
    type Error = HttpError;
    type Future = Pin<Box<dyn Future<Output = Result<HttpResponse, HttpError>> + Send + 'c>>;

    fn call(&'c self, request: HttpRequest) -> Self::Future {
        Box::pin(async move { timeout(TIME_LIMIT, self.send(request)).await.unwrap_or(Err(HttpError::TooSlow)) })
    }
}

impl HttpClient {
    pub fn new(proxy: Option<Uri>) -> Self {
        Self { proxy, ..Self::default() }
    }

    async fn send(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let uri = request.uri().clone();
        let host = uri.host().unwrap_or_default().trim_matches(['[', ']']).to_owned();
        match uri.scheme_str() {
            Some("https") => {
                let stream = self.connect(&uri, &host).await?;
                let name = ServerName::try_from(host).map_err(io::Error::other)?;
                let connector = TlsConnector::from(self.tls().await?);
                exchange(connector.connect(name, stream).await?, &uri, request).await
            }
            Some("http") if is_loopback(&host) => {
                let stream = TcpStream::connect((host.as_str(), uri.port_u16().unwrap_or(80))).await?;
                exchange(stream, &uri, request).await
            }
            _ => Err(HttpError::Unprotected),
        }
    }

    /// Connects to the server of an https URI.
    async fn connect(&self, uri: &Uri, host: &str) -> Result<TcpStream, HttpError> {
        let Some(proxy) = &self.proxy else {
            return Ok(TcpStream::connect((host, uri.port_u16().unwrap_or(443))).await?);
        };
        let stream = Tunnel::new(proxy.clone(), HttpConnector::new()).call(uri.clone()).await;
        Ok(stream.map_err(|error| HttpError::Proxy(with_causes(&error)))?.into_inner())
    }

    async fn tls(&self) -> Result<Arc<ClientConfig>, HttpError> {
        let made = self.tls.get_or_try_init(|| async {
            // Reads files of the system.
            tokio::task::spawn_blocking(tls_config).await.map_err(io::Error::other)?
        });
        Ok(made.await?.clone())
    }
}

fn tls_config() -> Result<Arc<ClientConfig>, HttpError> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?;
    Ok(Arc::new(config.with_root_certificates(roots).with_no_client_auth()))
}

fn is_loopback(host: &str) -> bool {
    host == "localhost" || host.parse().is_ok_and(|address: std::net::IpAddr| address.is_loopback())
}

async fn exchange<S>(stream: S, uri: &Uri, request: HttpRequest) -> Result<HttpResponse, HttpError>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let connection = tokio::spawn(connection);
    let answer = sender.send_request(addressed(uri, request)?).await;
    let answer = match answer {
        Ok(answer) => read(answer).await,
        Err(error) => Err(error.into()),
    };
    connection.abort();
    answer
}

async fn read(answer: hyper::Response<hyper::body::Incoming>) -> Result<HttpResponse, HttpError> {
    let (head, body) = answer.into_parts();
    let body = Limited::new(body, MOST_BYTES).collect().await.map_err(|error| HttpError::Body(error.to_string()))?;
    Ok(HttpResponse::from_parts(head, body.to_bytes().to_vec()))
}

/// The request as HTTP/1.1 wants it: path and query, and the host in a header.
fn addressed(uri: &Uri, request: HttpRequest) -> Result<hyper::Request<Full<Bytes>>, HttpError> {
    let (mut head, body) = request.into_parts();
    let wrong = |error: &dyn std::fmt::Display| HttpError::Request(error.to_string());
    head.uri = uri.path_and_query().map_or("/", |path| path.as_str()).parse().map_err(|error| wrong(&error))?;
    let authority = uri.authority().map_or("", |authority| authority.as_str());
    head.headers.insert(HOST, HeaderValue::from_str(authority).map_err(|error| wrong(&error))?);
    head.headers.insert(USER_AGENT, HeaderValue::from_static(concat!("raccord/", env!("CARGO_PKG_VERSION"))));
    Ok(hyper::Request::from_parts(head, Full::new(Bytes::from(body))))
}
