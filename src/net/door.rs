//! Who comes in by HTTP: how much one may take who has not shown yet that somebody is expected.

use crate::config::{Current, Limits};
use crate::net::client::Trusted;
use crate::net::waiting::Waiting;
use crate::telemetry::Metrics;
use std::convert::Infallible;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::sync::oneshot;

/// Shared by all workers of a listener.
pub struct Door {
    limits: Current<Limits>,
    pub metrics: Arc<Metrics>,
    /// Their connections are many people's. None: nobody comes here but those who are known.
    proxies: Option<Trusted>,
    waiting: Mutex<Waiting<oneshot::Sender<Infallible>>>,
    next_id: AtomicU64,
}

impl Door {
    pub fn public(limits: Current<Limits>, proxies: Trusted, metrics: Arc<Metrics>) -> Arc<Self> {
        Arc::new(Self::new(limits, Some(proxies), metrics))
    }

    /// For other nodes, and who watches them.
    pub fn internal(limits: Current<Limits>, metrics: Arc<Metrics>) -> Arc<Self> {
        Arc::new(Self::new(limits, None, metrics))
    }

    fn new(limits: Current<Limits>, proxies: Option<Trusted>, metrics: Arc<Metrics>) -> Self {
        Self { limits, metrics, proxies, waiting: Mutex::default(), next_id: AtomicU64::new(0) }
    }

    /// Of a request's head.
    pub fn header_bytes(&self) -> usize {
        self.limits.get().http_header_bytes
    }

    /// For a head to come in, and before it for the TLS handshake.
    pub fn header_time(&self) -> Duration {
        self.limits.get().http_headers
    }

    /// Counts a connection of one who is not known yet; the oldest one of its address may have to make room.
    pub fn enter(self: &Arc<Self>, address: IpAddr) -> Option<Place> {
        if self.proxies.as_ref().is_none_or(|proxies| proxies.contains(address)) {
            return None;
        }
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let (evict, evicted) = oneshot::channel();
        let evicts = self.waiting().enter(address, id, evict, self.limits.get().address_connections);
        if !evicts.is_empty() {
            self.metrics.limit_hit("address_connections");
        }
        Some(Place { door: self.clone(), address, id, evicted })
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting<oneshot::Sender<Infallible>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One of an address's connections, until it is dropped.
pub struct Place {
    door: Arc<Door>,
    address: IpAddr,
    id: u64,
    evicted: oneshot::Receiver<Infallible>,
}

impl Place {
    /// Ready when it has to make room for others; not to be asked again then.
    pub fn poll_evicted(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        Pin::new(&mut self.evicted).poll(cx).map(|_| ())
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.door.waiting().leave(self.address, self.id);
    }
}
