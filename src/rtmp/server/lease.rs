//! A publish that was accepted: the stream's publisher, its lease, its place among this node's publishers.

use super::Server;
use crate::cluster;
use crate::cluster::seats::Seat;
use crate::id::StreamId;
use crate::media::frame::Item;
use crate::stream::Handle;
use crate::stream::handle::{Command, SendError};
use crate::stream::publisher::{EndReason, Publisher, PublisherId};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

const RENEW_EVERY: Duration = Duration::from_secs(1);
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

    /// Renews until a higher fence is heard of, which ends the publisher.
    fn keep(&self, end: mpsc::Sender<EndReason>) -> JoinHandle<()> {
        let (ownership, stream, fence) = (self.server.parts.ownership.clone(), self.stream.clone(), self.fence);
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(RENEW_EVERY).await;
                match ownership.renew(&stream, fence).await {
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
        self.last_media_us.store(now_us, Ordering::Relaxed);
        self.handle.send(Command::Media(self.id, item)).await
    }

    /// Ends the publish as far as the stream is concerned, after all media that was pushed.
    pub(super) async fn unpublish(self) {
        // Closed: there is no stream to tell.
        let _ = self.handle.send(Command::Unpublish(self.id)).await;
    }
}

impl Drop for Published {
    fn drop(&mut self) {
        self.keeper.abort();
        self.lease.server.publishers().leave(self.handle.id(), self.id);
        // A second time does no harm; where the mailbox is full the stream finds out by the silence.
        let _ = self.handle.try_send(Command::Unpublish(self.id));
    }
}
