//! Outgoing calls: one connection each, to an address that was checked; no proxy, no redirect, all of it within a time.

use super::guard::{Guard, Refused, Target};
use crate::auth::key_set::DOCUMENT_BYTES_MAX;
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::Request;
use hyper_util::rt::TokioIo;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

/// From the look-up of the host to the end of the answer.
const CALL_TIMEOUT: Duration = Duration::from_secs(15);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Of an answer, more is not read.
const ANSWER_BYTES_MAX: usize = DOCUMENT_BYTES_MAX;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Refused(#[from] Refused),
    #[error("the host has no address: {0}")]
    Resolve(std::io::Error),
    #[error("no connection: {0}")]
    Connect(std::io::Error),
    #[error("no TLS: {0}")]
    Tls(std::io::Error),
    #[error("no HTTP: {0}")]
    Http(String),
    #[error("no answer within {} s", CALL_TIMEOUT.as_secs())]
    Timeout,
}

/// What came back.
#[derive(Debug, Clone)]
pub struct Reply {
    pub status: u16,
    /// None: too long, or cut off.
    pub body: Option<Bytes>,
}

/// Where something may come from or go to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Trust {
    Any,
    /// Whoever changed it on the way could sign tokens.
    Keys,
}

pub struct Client {
    guard: Guard,
    tls: TlsConnector,
}

impl Client {
    pub fn new(guard: Guard) -> Self {
        let mut roots = RootCertStore::empty();
        for certificate in rustls_native_certs::load_native_certs().certs {
            // One that can't be used verifies nothing.
            let _unusable = roots.add(certificate);
        }
        let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("ring knows the protocol versions that rustls calls safe")
            .with_root_certificates(roots)
            .with_no_client_auth();
        Self { guard, tls: TlsConnector::from(Arc::new(config)) }
    }

    pub async fn post(&self, url: &str, headers: &[(&str, String)], body: impl Into<Bytes>) -> Result<Reply, Error> {
        self.call(hyper::Method::POST, url, headers, body.into()).await
    }

    /// What is asked for decides whom we trust: over plain HTTP it comes from the operator's networks only.
    pub async fn get_trusted(&self, url: &str) -> Result<Reply, Error> {
        let accept = [("accept", "application/jwk-set+json, application/json".to_owned())];
        self.call(hyper::Method::GET, url, &accept, Bytes::new()).await
    }

    async fn call(
        &self,
        method: hyper::Method,
        url: &str,
        headers: &[(&str, String)],
        body: Bytes,
    ) -> Result<Reply, Error> {
        let target = Target::parse(url)?;
        let mut request = Request::builder().method(method).uri(&target.path).header("host", target.authority());
        request = request.header("user-agent", concat!("weir/", env!("CARGO_PKG_VERSION")));
        for (name, value) in headers {
            request = request.header(*name, value);
        }
        let request = request.body(Full::new(body)).map_err(|error| Error::Http(error.to_string()))?;
        timeout(CALL_TIMEOUT, self.exchange(&target, request)).await.unwrap_or(Err(Error::Timeout))
    }

    async fn exchange(&self, target: &Target, request: Request<Full<Bytes>>) -> Result<Reply, Error> {
        let trust = if request.method() == hyper::Method::GET { Trust::Keys } else { Trust::Any };
        let stream = self.connect(target, trust).await?;
        if !target.is_tls {
            return speak(stream, request).await;
        }
        let name = ServerName::try_from(target.host.clone()).map_err(|_| Refused::Url)?;
        speak(self.tls.connect(name, stream).await.map_err(Error::Tls)?, request).await
    }

    /// To the very addresses that were checked: another look-up could answer otherwise.
    async fn connect(&self, target: &Target, trust: Trust) -> Result<TcpStream, Error> {
        let found: Vec<IpAddr> = match target.host.parse::<IpAddr>() {
            Ok(address) => vec![address],
            Err(_) => {
                let found = tokio::net::lookup_host((target.host.as_str(), target.port)).await;
                found.map_err(Error::Resolve)?.map(|address| address.ip()).collect()
            }
        };
        let mut failed = std::io::Error::from(std::io::ErrorKind::AddrNotAvailable);
        let right = match trust {
            Trust::Any => self.guard.check(found, target.port)?,
            Trust::Keys => self.guard.check_trusted(&found, target)?,
        };
        for address in right {
            let connecting = TcpStream::connect(SocketAddr::new(address, target.port));
            match timeout(CONNECT_TIMEOUT, connecting).await {
                Ok(Ok(stream)) => return Ok(stream),
                Ok(Err(error)) => failed = error,
                Err(_) => failed = std::io::ErrorKind::TimedOut.into(),
            }
        }
        Err(Error::Connect(failed))
    }
}

async fn speak(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    request: Request<Full<Bytes>>,
) -> Result<Reply, Error> {
    let http = |error: hyper::Error| Error::Http(error.to_string());
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(http)?;
    let exchange = async {
        let response = sender.send_request(request).await.map_err(http)?;
        let status = response.status().as_u16();
        let body = Limited::new(response.into_body(), ANSWER_BYTES_MAX).collect().await;
        Ok(Reply { status, body: body.map(|body| body.to_bytes()).ok() })
    };
    tokio::pin!(exchange, connection);
    tokio::select! {
        biased;
        reply = &mut exchange => reply,
        ended = &mut connection => {
            ended.map_err(http)?;
            exchange.await
        }
    }
}
