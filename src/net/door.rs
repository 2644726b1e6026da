//! Who comes in by HTTP: how much one may take who has not shown yet that somebody is expected.

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

#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Of a request's head.
    pub header_bytes: usize,
    /// For it to come in, and before it for the TLS handshake.
    pub header_time: Duration,
    /// Connections of one address that have shown no key and no token.
    pub address_connections: u32,
}

/// Shared by all workers of a listener.
pub struct Door {
    pub limits: Limits,
    pub metrics: Arc<Metrics>,
    /// Their connections are many people's.
    proxies: Trusted,
    waiting: Mutex<Waiting<oneshot::Sender<Infallible>>>,
    next_id: AtomicU64,
}

impl Door {
    pub fn new(limits: Limits, proxies: Trusted, metrics: Arc<Metrics>) -> Arc<Self> {
        let waiting = Mutex::new(Waiting::new(limits.address_connections));
        Arc::new(Self { limits, metrics, proxies, waiting, next_id: AtomicU64::new(0) })
    }

    /// Counts a connection of one who is not known yet; the oldest one of its address may have to make room.
    pub fn enter(self: &Arc<Self>, address: IpAddr) -> Option<Place> {
        if self.proxies.contains(address) {
            return None;
        }
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let (evict, evicted) = oneshot::channel();
        if self.waiting().enter(address, id, evict).is_some() {
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
