//! The listener for publishers: one task per connection, on the threads that streams live on.

mod admit;
mod connection;
mod lease;
mod publishers;
mod tries;
mod wire;

pub use admit::{Answer, Inquiry};
pub use publishers::Claimable;

use crate::auth::secret::Secrets;
use crate::clock::Clock;
use crate::cluster::Ownership;
use crate::cluster::seats::Seats;
use crate::config::{Current, Limits};
use crate::id::{KeyId, StreamId};
use crate::net::waiting::Waiting;
use crate::store::{self, SecondPublisher, Store};
use crate::stream::publisher::PublisherId;
use crate::stream::registry::Registry;
use crate::stream::state::Settings;
use crate::telemetry::Metrics;
use actix::ArbiterHandle;
use publishers::Publishers;
use std::convert::Infallible;
use std::io;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::{oneshot, watch};
use tokio_rustls::TlsAcceptor;
use tries::Tries;

/// Before the next try, where the system has no file descriptor left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Tells proxies, which must say by the PROXY protocol whose a connection is, from others, who must not.
pub type IsProxy = Box<dyn Fn(IpAddr) -> bool + Send + Sync>;

/// What the server is put together from.
pub struct Parts {
    /// This node's name in leases.
    pub node: String,
    pub store: Arc<dyn Store>,
    pub ownership: Arc<dyn Ownership>,
    pub inquiry: Arc<dyn Inquiry>,
    pub registry: Arc<Registry>,
    pub secrets: Arc<Secrets>,
    pub clock: Arc<dyn Clock>,
    pub metrics: Arc<Metrics>,
    /// What quotas count.
    pub seats: Arc<Seats>,
    pub limits: Current<Limits>,
    /// How a stream runs, by what its owner chose.
    pub settings: Box<dyn Fn(&store::Settings) -> Settings + Send + Sync>,
    /// Called when a publish was accepted; must not block.
    pub on_publish: Box<dyn Fn(&store::Publish) + Send + Sync>,
}

pub struct Server {
    parts: Parts,
    is_proxy: IsProxy,
    tries: Mutex<Tries>,
    waiting: Mutex<Waiting<oneshot::Sender<Infallible>>>,
    publishers: Mutex<Publishers>,
    mode: watch::Sender<Mode>,
    connections: watch::Sender<usize>,
    next_id: AtomicU64,
    /// Makes handshakes differ.
    random: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    Running,
    /// Nobody new; those who can are asked to come back elsewhere.
    Draining,
    Ended,
}

impl Server {
    pub fn new(parts: Parts) -> Arc<Self> {
        Self::behind(Box::new(|_| false), parts)
    }

    pub fn behind(is_proxy: IsProxy, parts: Parts) -> Arc<Self> {
        Arc::new(Self {
            parts,
            is_proxy,
            tries: Mutex::default(),
            waiting: Mutex::default(),
            publishers: Mutex::default(),
            mode: watch::Sender::new(Mode::Running),
            connections: watch::Sender::new(0),
            next_id: AtomicU64::new(1),
            random: getrandom::u64().unwrap_or_default(),
        })
    }

    /// Accepts connections until [`Server::drain`], and spreads them over `arbiters`, at least one.
    pub async fn run(
        self: Arc<Self>,
        listener: std::net::TcpListener,
        tls: Option<TlsAcceptor>,
        arbiters: Vec<ArbiterHandle>,
    ) -> io::Result<()> {
        listener.set_nonblocking(true)?;
        let listener = TcpListener::from_std(listener)?;
        let mut mode = self.mode.subscribe();
        for arbiter in arbiters.iter().cycle() {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                _ = mode.wait_for(|mode| *mode != Mode::Running) => return Ok(()),
            };
            let moved = accepted.and_then(|(stream, peer)| Ok((stream.into_std()?, peer.ip().to_canonical())));
            match moved {
                Ok((stream, address)) => {
                    let (server, tls) = (self.clone(), tls.clone());
                    if !arbiter.spawn(async move { connection::serve(server, stream, address, tls).await }) {
                        return Err(io::Error::other("a thread for streams has stopped"));
                    }
                }
                Err(error) => {
                    tracing::warn!(%error, "a publisher's connection can't be accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
        Err(io::Error::other("there is no thread for streams"))
    }

    /// Accepts nobody any more, and asks those publishers to reconnect who announced that they can.
    pub fn drain(&self) {
        self.mode.send_if_modified(|mode| {
            *mode == Mode::Running && {
                *mode = Mode::Draining;
                true
            }
        });
    }

    /// Ends all connections with the reason.
    pub fn end(&self) {
        self.mode.send_replace(Mode::Ended);
    }

    pub async fn wait_until_idle(&self) {
        // The sender lives in `self`, so this can't fail.
        let _ = self.connections.subscribe().wait_for(|connections| *connections == 0).await;
    }

    pub fn connections(&self) -> usize {
        *self.connections.borrow()
    }

    /// What another node is told that asks whether this node's publisher may be replaced: one that is being sent away
    /// may come back elsewhere before it has left here.
    pub fn claimable(&self, stream: &StreamId, key: &KeyId) -> Claimable {
        if *self.mode.borrow() != Mode::Running {
            return Claimable::Free;
        }
        let now_us = self.parts.clock.unix_us();
        self.publishers().claimable(stream, key, SecondPublisher::Refuse, now_us)
    }

    fn enter(self: &Arc<Self>, address: IpAddr) -> Present {
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        self.connections.send_modify(|connections| *connections += 1);
        self.parts.metrics.publishers.inc();
        Present { server: self.clone(), id: PublisherId(id), address }
    }

    fn tries(&self) -> MutexGuard<'_, Tries> {
        self.tries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting<oneshot::Sender<Infallible>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn publishers(&self) -> MutexGuard<'_, Publishers> {
        self.publishers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A connection, counted for as long as it lasts.
struct Present {
    server: Arc<Server>,
    id: PublisherId,
    address: IpAddr,
}

impl Present {
    /// Counts as not having published, with any earlier place given up; resolves when it has to make room for others.
    fn wait(&self) -> oneshot::Receiver<Infallible> {
        self.wait_no_more();
        let (evict, evicted) = oneshot::channel();
        let max = self.server.parts.limits.get().address_connections;
        let evicts = self.server.waiting().enter(self.address, self.id.0, evict, max);
        if !evicts.is_empty() {
            self.server.parts.metrics.limit_hit("address_connections");
        }
        evicted
    }

    fn wait_no_more(&self) {
        self.server.waiting().leave(self.address, self.id.0);
    }
}

impl Drop for Present {
    fn drop(&mut self) {
        self.wait_no_more();
        self.server.parts.metrics.publishers.dec();
        self.server.connections.send_modify(|connections| *connections -= 1);
    }
}

#[cfg(test)]
mod tests;
