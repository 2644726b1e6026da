//! Certificates: read, checked, and read again when the files change.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::SystemTime;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::{ClientHello, ResolvesServerCert};
use tokio_rustls::rustls::sign::CertifiedKey;
use tokio_rustls::rustls::{self, ServerConfig};

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("`tls.cert`: {path} can't be read: {error}; allowed is a chain of certificates in PEM, its own first")]
    Certificate { path: PathBuf, error: rustls::pki_types::pem::Error },
    #[error("`tls.cert`: there is no certificate in {path}; allowed is a chain of certificates in PEM, its own first")]
    NoCertificate { path: PathBuf },
    #[error("`tls.key`: there is no private key to be read in {path}: {error}; allowed is one in PEM, not encrypted")]
    Key { path: PathBuf, error: rustls::pki_types::pem::Error },
    #[error("`tls.key`: the key in {key} is not the one of the first certificate in {cert} (`tls.cert`)")]
    Mismatch { cert: PathBuf, key: PathBuf },
    #[error("`tls.cert`, `tls.key`: the certificate in {cert} and the key in {key} can't be used: {error}")]
    Pair { cert: PathBuf, key: PathBuf, error: rustls::Error },
    #[error("TLS can't be set up: {0}")]
    Setup(#[from] rustls::Error),
    #[error("`{setting}`: {path} can't be read: {error}")]
    Stat { setting: &'static str, path: PathBuf, error: io::Error },
}

/// A certificate that is replaced while connections go on.
#[derive(Debug)]
pub struct Reloading {
    current: RwLock<Pair>,
}

/// As it was read last.
#[derive(Debug, Clone)]
struct Pair {
    cert: PathBuf,
    key: PathBuf,
    modified: [SystemTime; 2],
    certified: Arc<CertifiedKey>,
}

impl Reloading {
    pub fn load(cert: &Path, key: &Path) -> Result<Arc<Self>, Error> {
        Ok(Arc::new(Self { current: RwLock::new(Pair::read(cert, key)?) }))
    }

    /// Reads the files again where they changed; true when a new certificate is in use. On an error the old one stays.
    pub fn refresh(&self) -> Result<bool, Error> {
        let Pair { cert, key, modified: times, .. } = self.current();
        if times == modified(&cert, &key)? {
            return Ok(false);
        }
        self.move_to(&cert, &key).map(|()| true)
    }

    /// Uses what these files hold now, and looks at them from now on. On an error nothing is changed.
    pub fn move_to(&self, cert: &Path, key: &Path) -> Result<(), Error> {
        let pair = Pair::read(cert, key)?;
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = pair;
        Ok(())
    }

    fn current(&self) -> Pair {
        self.current.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// `protocol` is the one that clients may ask for by ALPN.
    pub fn acceptor(self: &Arc<Self>, protocol: Option<&str>) -> Result<TlsAcceptor, Error> {
        let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_cert_resolver(self.clone());
        config.alpn_protocols = protocol.map(|name| name.as_bytes().to_vec()).into_iter().collect();
        Ok(TlsAcceptor::from(Arc::new(config)))
    }
}

impl ResolvesServerCert for Reloading {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.current.read().unwrap_or_else(PoisonError::into_inner).certified.clone())
    }
}

impl Pair {
    fn read(cert: &Path, key: &Path) -> Result<Self, Error> {
        // Looked at first: what is written meanwhile is found the next time.
        let modified = modified(cert, key)?;
        Ok(Self { cert: cert.into(), key: key.into(), modified, certified: read(cert, key)? })
    }
}

fn modified(cert: &Path, key: &Path) -> Result<[SystemTime; 2], Error> {
    let modified = |setting, path: &Path| {
        let stat = |error| Error::Stat { setting, path: path.into(), error };
        std::fs::metadata(path).and_then(|m| m.modified()).map_err(stat)
    };
    Ok([modified("tls.cert", cert)?, modified("tls.key", key)?])
}

fn read(cert: &Path, key: &Path) -> Result<Arc<CertifiedKey>, Error> {
    let chain = CertificateDer::pem_file_iter(cert)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| Error::Certificate { path: cert.into(), error })?;
    if chain.is_empty() {
        return Err(Error::NoCertificate { path: cert.into() });
    }
    let private = PrivateKeyDer::from_pem_file(key).map_err(|error| Error::Key { path: key.into(), error })?;
    let pair = CertifiedKey::from_der(chain, private, &ring::default_provider());
    Ok(Arc::new(pair.map_err(|error| match error {
        rustls::Error::InconsistentKeys(_) => Error::Mismatch { cert: cert.into(), key: key.into() },
        error => Error::Pair { cert: cert.into(), key: key.into(), error },
    })?))
}
