//! Whom this node follows: finds the owner of a stream, follows it, and finds the next one when it is gone.

use crate::clock::Clock;
use crate::cluster::{self, Owner, Ownership};
use crate::id::StreamId;
use crate::relay::client::{Failed, Link, Received};
use crate::relay::follower::{Broken, Follower};
use crate::relay::pace::Pace;
use crate::stream::handle::{Command, SendError};
use crate::stream::packet::{Packet, Phase};
use crate::stream::upstream::{Follow, Following, Upstream};
use crate::telemetry::spans;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::task::AbortHandle;
use tokio::time::timeout;

/// Longer than the cluster may take to say that it is away.
const LOCATE_TIMEOUT: Duration = Duration::from_secs(2);
const TICK: Duration = Duration::from_millis(250);

/// Makes what a node shows the one that is named.
pub type Credential = Box<dyn Fn(&str) -> String + Send + Sync>;

pub struct Parts {
    /// This node's name in leases.
    pub node: String,
    pub ownership: Arc<dyn Ownership>,
    pub credential: Credential,
    pub clock: Arc<dyn Clock>,
    /// Kept of a snapshot.
    pub backlog_bytes_max: Box<dyn Fn() -> usize + Send + Sync>,
}

pub struct Relays {
    parts: Parts,
    wakers: Mutex<HashMap<StreamId, Weak<Notify>>>,
    myself: Weak<Relays>,
}

impl Relays {
    pub fn new(parts: Parts) -> Arc<Self> {
        Arc::new_cyclic(|myself| Self { parts, wakers: Mutex::default(), myself: myself.clone() })
    }

    /// Somebody publishes the stream, maybe elsewhere than before: it is looked up at once.
    pub fn look_again(&self, stream: &StreamId) {
        if let Some(waker) = self.wakers().get(stream).and_then(Weak::upgrade) {
            waker.notify_one();
        }
    }

    /// The same for all that are followed: messages were missed.
    pub fn look_again_at_all(&self) {
        self.wakers().values().filter_map(Weak::upgrade).for_each(|waker| waker.notify_one());
    }

    fn waker(&self, stream: &StreamId) -> Arc<Notify> {
        let mut wakers = self.wakers();
        if let Some(waker) = wakers.get(stream).and_then(Weak::upgrade) {
            return waker;
        }
        let waker = Arc::new(Notify::new());
        wakers.insert(stream.clone(), Arc::downgrade(&waker));
        waker
    }

    fn wakers(&self) -> MutexGuard<'_, HashMap<StreamId, Weak<Notify>>> {
        self.wakers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Upstream for Relays {
    fn follow(&self, follow: Follow) -> Box<dyn Following> {
        let Some(relays) = self.myself.upgrade() else { return Box::new(Ended) };
        let waker = self.waker(follow.stream.id());
        let pace = Pace::new(getrandom::u64().unwrap_or_default());
        let task = Task { relays, fence: follow.fence, follow, waker, pace };
        Box::new(Running { task: tokio::spawn(task.run()).abort_handle(), relays: self.myself.clone() })
    }
}

/// The node is ending.
struct Ended;

impl Following for Ended {}

struct Running {
    task: AbortHandle,
    relays: Weak<Relays>,
}

impl Following for Running {}

impl Drop for Running {
    fn drop(&mut self) {
        self.task.abort();
        if let Some(relays) = self.relays.upgrade() {
            relays.wakers().retain(|_, waker| waker.strong_count() > 0);
        }
    }
}

/// Why a relay ended.
#[derive(Debug, thiserror::Error)]
enum End {
    #[error(transparent)]
    Failed(#[from] Failed),
    #[error(transparent)]
    Broken(#[from] Broken),
    #[error("there is a newer publish elsewhere")]
    Moved,
    #[error("the stream has stopped")]
    NoStream,
}

impl From<SendError> for End {
    fn from(_: SendError) -> Self {
        Self::NoStream
    }
}

/// One stream's following, from owner to owner.
struct Task {
    relays: Arc<Relays>,
    follow: Follow,
    waker: Arc<Notify>,
    pace: Pace,
    /// Of the newest publish that was heard of.
    fence: u64,
}

impl Task {
    async fn run(mut self) {
        loop {
            let wait = match self.locate().await {
                Ok(Some(owner)) if owner.node != self.relays.parts.node && owner.fence >= self.fence => {
                    let Err(end) = self.relay(&owner).await;
                    let stream = self.follow.stream.id();
                    tracing::info!(%stream, owner = owner.node, fence = owner.fence, %end, "a relay ends");
                    match end {
                        End::NoStream => return,
                        End::Moved => Duration::ZERO,
                        End::Failed(_) | End::Broken(_) => self.pace.after_failure(),
                    }
                }
                Ok(_) => self.pace.while_nobody_publishes(),
                Err(error) => {
                    tracing::debug!(stream = %self.follow.stream.id(), %error, "an owner can't be looked up");
                    self.pace.after_failure()
                }
            };
            // Woken or not: it is time to look.
            let _ = timeout(wait, self.waker.notified()).await;
        }
    }

    async fn locate(&self) -> cluster::Result<Option<Owner>> {
        let located = timeout(LOCATE_TIMEOUT, self.relays.parts.ownership.locate(self.follow.stream.id())).await;
        located.unwrap_or_else(|_| Err(cluster::Error::Unavailable("no answer in time".to_owned())))
    }

    /// Follows until the owner, the relay or the stream is gone; viewers hear of the first two.
    async fn relay(&mut self, owner: &Owner) -> Result<std::convert::Infallible, End> {
        let parts = &self.relays.parts;
        let credential = (parts.credential)(&owner.node);
        let mut link = Link::open(&owner.url, self.follow.stream.id(), &credential).await?;
        tracing::info!(stream = %self.follow.stream.id(), owner = owner.node, fence = owner.fence, "a relay begins");
        let span = spans::relay(self.follow.stream.id().as_str(), &owner.node, owner.fence);
        let mut follower = Follower::new(self.fence, (parts.backlog_bytes_max)(), parts.clock.monotonic());
        let end = self.pass_on(&mut link, &mut follower).await;
        if let Err(reason) = &end {
            span.record("weir.reason", reason.to_string());
        }
        self.fence = follower.fence();
        match end {
            Err(end @ (End::Failed(_) | End::Broken(_))) => {
                self.feed(Packet::Phase(Phase::Interrupted)).await?;
                Err(end)
            }
            other => other,
        }
    }

    async fn pass_on(&mut self, link: &mut Link, follower: &mut Follower) -> Result<std::convert::Infallible, End> {
        let clock = self.relays.parts.clock.clone();
        let mut ticks = tokio::time::interval(TICK);
        let mut looked = clock.monotonic();
        let mut looking = None;
        loop {
            let packet = tokio::select! {
                received = link.receive() => match received? {
                    Received::Text(text) => follower.handle_text(text.as_bytes(), clock.monotonic(), clock.unix_us())?,
                    Received::Binary(fragment) => follower.handle_binary(&fragment, clock.monotonic())?,
                },
                _ = ticks.tick() => {
                    if let Some(question) = follower.poll_ask(clock.monotonic(), clock.unix_us())? {
                        link.say(&question).await?;
                    }
                    if self.pace.is_look_due(looked, clock.monotonic()) {
                        self.waker.notify_one();
                    }
                    continue;
                }
                () = self.waker.notified(), if looking.is_none() => {
                    looked = clock.monotonic();
                    looking = Some(Box::pin(look(self.relays.clone(), self.follow.stream.id().clone())));
                    continue;
                }
                owner = async { match &mut looking { Some(look) => look.await, None => None } }, if looking.is_some() => {
                    looking = None;
                    if owner.is_some_and(|owner| owner.fence > follower.fence()) {
                        return Err(End::Moved);
                    }
                    continue;
                }
            };
            self.pace.went_well();
            if let Some(packet) = packet {
                self.feed(packet).await?;
            }
        }
    }

    /// Waits while the stream has its hands full: the owner is slowed, and its relay starts again at a keyframe.
    async fn feed(&self, packet: Packet) -> Result<(), SendError> {
        self.follow.stream.send(Command::Feed(self.follow.id, packet)).await
    }
}

async fn look(relays: Arc<Relays>, stream: StreamId) -> Option<Owner> {
    timeout(LOCATE_TIMEOUT, relays.parts.ownership.locate(&stream)).await.ok()?.ok()?
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
