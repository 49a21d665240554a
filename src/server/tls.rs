//! TLS 1.3 with HTTP/1.1, for deployments without a TLS-terminating proxy.

use std::{
    fs::File,
    io,
    net::IpAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use thiserror::Error;
use time::OffsetDateTime;
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        self, CertificateError, RootCertStore, ServerConfig,
        client::{WebPkiServerVerifier, danger::ServerCertVerifier},
        crypto::ring,
        pki_types::{
            CertificateDer, PrivateKeyDer, ServerName, UnixTime,
            pem::{self, PemObject},
        },
        version::TLS13,
    },
};

use crate::{private_files, settings::TlsFiles};

/// Why certificate and key cannot be used. The text names the setting, and never quotes the key.
#[derive(Debug, Error)]
pub enum TlsError {
    #[error("{0}: cannot read {1}: {2}")]
    Read(&'static str, PathBuf, pem::Error),
    #[error("RACCORD_TLS_KEY: cannot use {0}: {1}")]
    Key(PathBuf, io::Error),
    #[error("RACCORD_TLS_CERT: {0} holds no certificate")]
    NoCertificate(PathBuf),
    #[error("RACCORD_TLS_CERT and RACCORD_TLS_KEY: {0}")]
    Unusable(#[from] rustls::Error),
}

/// The certificate and key in use, and the files they were read from.
pub(super) struct Tls {
    files: TlsFiles,
    acceptor: TlsAcceptor,
}

impl Tls {
    /// Reads certificate and key.
    ///
    /// # Errors
    /// [`TlsError`].
    pub(super) fn load(files: TlsFiles) -> Result<Self, TlsError> {
        let acceptor = acceptor(&files)?;
        Ok(Self { files, acceptor })
    }

    /// Reads both files again, for new connections.
    ///
    /// # Errors
    /// [`TlsError`]; the previous certificate then stays in use.
    pub(super) fn reload(&mut self) -> Result<(), TlsError> {
        self.acceptor = acceptor(&self.files)?;
        Ok(())
    }

    /// Performs the handshake with one client.
    pub(super) fn acceptor(&self) -> TlsAcceptor {
        self.acceptor.clone()
    }
}

fn read_chain(files: &TlsFiles) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let chain: Vec<_> = CertificateDer::pem_file_iter(&files.certificate)
        .and_then(Iterator::collect)
        .map_err(|error| TlsError::Read("RACCORD_TLS_CERT", files.certificate.clone(), error))?;
    if chain.is_empty() { Err(TlsError::NoCertificate(files.certificate.clone())) } else { Ok(chain) }
}

/// When the certificate expires: what a verification in a distant future complains of. `None` where
/// it complains of something else first.
///
/// # Errors
/// [`TlsError`].
pub(super) fn expiry(files: &TlsFiles) -> Result<Option<OffsetDateTime>, TlsError> {
    const CENTURIES: Duration = Duration::from_secs(200_000_000_000);
    let chain = read_chain(files)?;
    // The verifier wants some authority; which one does not matter, since the date comes first.
    let mut roots = RootCertStore::empty();
    let Some((leaf, issuers)) = chain.split_first().filter(|(leaf, _)| roots.add((*leaf).clone()).is_ok()) else {
        return Ok(None);
    };
    let provider = Arc::new(ring::default_provider());
    let Ok(verifier) = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider).build() else {
        return Ok(None);
    };
    let name = ServerName::from(IpAddr::from([127, 0, 0, 1]));
    let future = UnixTime::since_unix_epoch(CENTURIES);
    Ok(match verifier.verify_server_cert(leaf, issuers, &name, &[], future) {
        Err(rustls::Error::InvalidCertificate(CertificateError::ExpiredContext { not_after, .. })) => {
            i64::try_from(not_after.as_secs()).ok().and_then(|at| OffsetDateTime::from_unix_timestamp(at).ok())
        }
        _ => None,
    })
}

fn acceptor(files: &TlsFiles) -> Result<TlsAcceptor, TlsError> {
    let chain = read_chain(files)?;
    let key = open_key(&files.key).map_err(|error| TlsError::Key(files.key.clone(), error))?;
    let key = PrivateKeyDer::from_pem_reader(key)
        .map_err(|error| TlsError::Read("RACCORD_TLS_KEY", files.key.clone(), error))?;
    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(&[&TLS13])?
        .with_no_client_auth()
        .with_single_cert(chain, key)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}

/// Opens the key's file, which other users must be able neither to read nor to replace.
fn open_key(path: &Path) -> io::Result<File> {
    let file = File::open(path)?;
    private_files::check_shared_key(&file.metadata()?)?;
    private_files::check_place(path)?;
    Ok(file)
}
