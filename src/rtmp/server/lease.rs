//! A publish that was accepted: the stream's publisher, its lease, its place among this node's publishers.

use super::Server;
use crate::cluster;
use crate::cluster::Standing;
use crate::cluster::lease::RENEW_EVERY;
use crate::cluster::seats::Seat;
use crate::id::StreamId;
use crate::media::frame::Item;
use crate::stream::Handle;
use crate::stream::handle::{Command, SendError};
use crate::stream::publisher::{Departure, EndReason, Publisher, PublisherId};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// While it can't be renewed: with the time that Redis is waited for, a higher fence is heard of within a second.
const SUSPENDED_EVERY: Duration = Duration::from_millis(200);
/// While what this process missed, standing still, can't be read.
const READ_PAUSE: Duration = Duration::from_millis(100);
/// The lease runs out by itself; nobody waits longer to give it back.
const RELEASE_TIMEOUT: Duration = Duration::from_secs(2);

/// A lease on a stream; given back when dropped.
pub(super) struct Lease {
    server: Arc<Server>,
    stream: StreamId,
    pub(super) fence: u64,
}

impl Lease {
    pub(super) fn new(server: Arc<Server>, stream: StreamId, fence: u64) -> Self {
        Self { server, stream, fence }
    }

    fn standing(&self) -> Standing {
        self.server.parts.ownership.standing(&self.stream, self.fence)
    }

    /// Renews until a higher fence is heard of, which ends the publisher.
    fn keep(&self, end: mpsc::Sender<EndReason>) -> JoinHandle<()> {
        let (server, stream, fence) = (self.server.clone(), self.stream.clone(), self.fence);
        tokio::spawn(async move {
            loop {
                let is_held = server.parts.ownership.standing(&stream, fence) == Standing::Held;
                tokio::time::sleep(if is_held { RENEW_EVERY } else { SUSPENDED_EVERY }).await;
                match server.renew(&stream, fence).await {
                    Ok(()) => {}
                    Err(cluster::Error::Lost(_) | cluster::Error::Owned(_)) => {
                        // Full: the publisher is being ended already.
                        let _ = end.try_send(EndReason::Replaced);
                        return;
                    }
                    Err(error) => tracing::warn!(%stream, %error, "the lease on a stream can't be renewed"),
                }
            }
        })
    }

    /// After the process stood still nothing is sent before the lease was read again.
    async fn until_read(&self) {
        while self.standing() == Standing::Unread {
            tracing::info!(stream = %self.stream, "the process stood still: the lease is read again");
            if self.server.renew(&self.stream, self.fence).await.is_err() {
                tokio::time::sleep(READ_PAUSE).await;
            }
        }
    }
}

impl Server {
    async fn renew(&self, stream: &StreamId, fence: u64) -> cluster::Result<()> {
        let asked = self.parts.clock.monotonic();
        let renewed = self.parts.ownership.renew(stream, fence).await;
        let took = self.parts.clock.monotonic().saturating_sub(asked);
        self.parts.metrics.lease_renew_seconds.observe(took.as_secs_f64());
        renewed
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let (ownership, stream, fence) = (self.server.parts.ownership.clone(), self.stream.clone(), self.fence);
        let release = async move {
            let released = tokio::time::timeout(RELEASE_TIMEOUT, ownership.release(&stream, fence)).await;
            if !matches!(released, Ok(Ok(()))) {
                tracing::warn!(%stream, "the lease on a stream can't be given back, it will run out");
            }
        };
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(release);
        }
    }
}

/// Lets the stream end this connection.
pub(super) struct Ender {
    pub(super) id: PublisherId,
    pub(super) end: mpsc::Sender<EndReason>,
}

impl Publisher for Ender {
    fn id(&self) -> PublisherId {
        self.id
    }

    fn end(&self, reason: EndReason) {
        // Full: the publisher is being ended already.
        let _ = self.end.try_send(reason);
    }
}

/// Being the publisher of a stream; given up when dropped.
pub(super) struct Published {
    pub(super) id: PublisherId,
    pub(super) handle: Handle,
    pub(super) ended: mpsc::Receiver<EndReason>,
    last_media_us: Arc<AtomicI64>,
    keeper: JoinHandle<()>,
    lease: Lease,
    /// Counts towards the tenant's quota.
    pub(super) seat: Option<Seat>,
}

impl Published {
    pub(super) fn new(
        ender: Ender,
        ended: mpsc::Receiver<EndReason>,
        handle: Handle,
        lease: Lease,
        last_media_us: Arc<AtomicI64>,
    ) -> Self {
        let keeper = lease.keep(ender.end);
        Self { id: ender.id, handle, ended, last_media_us, keeper, lease, seat: None }
    }

    /// Unix time, written with each item.
    pub(super) fn last_media_us(&self) -> Arc<AtomicI64> {
        self.last_media_us.clone()
    }

    /// Waits while the stream has its hands full.
    pub(super) async fn push(&self, item: Item, now_us: i64) -> Result<(), SendError> {
        self.lease.until_read().await;
        if self.lease.standing() == Standing::Lost {
            // Its end is on its way.
            return Ok(());
        }
        self.last_media_us.store(now_us, Ordering::Relaxed);
        self.handle.send(Command::Media(self.id, item)).await
    }

    /// Ends the publish as far as the stream is concerned, after all media that was pushed.
    pub(super) async fn unpublish(self, left: Departure) {
        // Closed: there is no stream to tell.
        let _ = self.handle.send(Command::Unpublish(self.id, left)).await;
    }
}

impl Drop for Published {
    fn drop(&mut self) {
        self.keeper.abort();
        self.lease.server.publishers().leave(self.handle.id(), self.id);
        // A second time does no harm; where the mailbox is full the stream finds out by the silence.
        let _ = self.handle.try_send(Command::Unpublish(self.id, Departure::Lost));
    }
}
