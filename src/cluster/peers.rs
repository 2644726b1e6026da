//! Questions to another node, over its internal listener: one connection each, answered soon or not at all.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::Request;
use hyper_util::rt::TokioIo;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::auth::node;
use crate::auth::secret::Secrets;
use crate::clock::Clock;

/// A node that lives answers in a few milliseconds; a publisher waits for this.
const ANSWER_TIMEOUT: Duration = Duration::from_millis(500);
const ANSWER_BYTES_MAX: usize = 8 << 20;

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The host answers, and nobody listens there.
    #[error("no process listens at {0}")]
    Refused(String),
    #[error("no answer: {0}")]
    NoAnswer(String),
    #[error("the answer is {0}")]
    Status(u16),
}

pub struct Peers {
    node: String,
    secrets: Arc<Secrets>,
    clock: Arc<dyn Clock>,
}

impl Peers {
    /// `node` is this one.
    pub fn new(node: String, secrets: Arc<Secrets>, clock: Arc<dyn Clock>) -> Self {
        Self { node, secrets, clock }
    }

    /// What this node shows the node `to`.
    pub fn credential(&self, to: &str) -> String {
        node::issue(&self.secrets, &self.node, to, self.clock.unix_us())
    }

    /// The node that asks, by its `Authorization`; None: it shows no credential for this one.
    pub fn admit(&self, authorization: Option<&str>) -> Option<String> {
        let credential = authorization?.strip_prefix("Bearer ")?;
        node::verify(&self.secrets, credential, &self.node, self.clock.unix_us())
    }

    /// Asks the node `to`, whose internal listener has the base `url`.
    pub async fn ask<T: DeserializeOwned>(
        &self,
        to: &str,
        url: &str,
        path: &str,
        question: &(impl Serialize + Sync),
    ) -> Result<T, Error> {
        let body = serde_json::to_vec(question).map_err(|error| Error::NoAnswer(error.to_string()))?;
        let authority = url.strip_prefix("http://").unwrap_or(url);
        let request = Request::post(path)
            .header("host", authority)
            .header("authorization", format!("Bearer {}", self.credential(to)))
            .header("content-type", "application/json")
            .body(Full::new(Bytes::from(body)))
            .map_err(|error| Error::NoAnswer(error.to_string()))?;
        let answer = timeout(ANSWER_TIMEOUT, exchange(authority, request)).await;
        let answer = answer.map_err(|_| Error::NoAnswer(format!("{} ms are over", ANSWER_TIMEOUT.as_millis())))??;
        serde_json::from_slice(&answer).map_err(|error| Error::NoAnswer(error.to_string()))
    }
}

async fn exchange(authority: &str, request: Request<Full<Bytes>>) -> Result<Bytes, Error> {
    let no_answer = |error: &dyn std::fmt::Display| Error::NoAnswer(error.to_string());
    let address = if authority.contains("]:") || (authority.contains(':') && !authority.ends_with(']')) {
        authority.to_owned()
    } else {
        format!("{authority}:80")
    };
    let stream = TcpStream::connect(&address).await.map_err(|error| match error.kind() {
        std::io::ErrorKind::ConnectionRefused => Error::Refused(address.clone()),
        _ => no_answer(&error),
    })?;
    let shaken = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await;
    let (mut sender, connection) = shaken.map_err(|error| no_answer(&error))?;
    let exchange = async {
        let response = sender.send_request(request).await.map_err(|error| no_answer(&error))?;
        let status = response.status();
        let body = Limited::new(response.into_body(), ANSWER_BYTES_MAX).collect().await;
        let body = body.map_err(|error| no_answer(&error))?.to_bytes();
        if status.is_success() { Ok(body) } else { Err(Error::Status(status.as_u16())) }
    };
    tokio::pin!(exchange, connection);
    tokio::select! {
        biased;
        answer = &mut exchange => answer,
        ended = &mut connection => {
            ended.map_err(|error| no_answer(&error))?;
            exchange.await
        }
    }
}
