//! From a stream key to being the publisher of a stream, or the reason why not.

use super::lease::{Ender, Lease, Published};
use super::publishers::{Claimable, Current};
use super::tries::Verdict;
use super::{Mode, Present, Server};
use crate::auth::key::StreamKey;
use crate::auth::secret::Hash;
use crate::cluster::{self, Claim, Owner};
use crate::id::{KeyId, StreamId};
use crate::rtmp::StreamKeySecret;
use crate::rtmp::status::Code;
use crate::store::{self, SecondPublisher};
use crate::stream::handle::Command;
use crate::stream::publisher::{Publish, Refusal};
use async_trait::async_trait;
use std::sync::Arc;
use std::sync::atomic::AtomicI64;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

/// For the database to find a key and, after that, to hand out a fence: an encoder is answered within 2 s.
const LOOK_UP_TIMEOUT: Duration = Duration::from_secs(1);
const CLAIM_TIMEOUT: Duration = Duration::from_millis(900);
/// While other look-ups of the same address are on their way.
const LOOK_UP_PAUSE: Duration = Duration::from_millis(20);
/// A lease of a node that does not answer runs out within 5 s; it is tried for a little longer.
const CLAIM_TRIES: u32 = 14;
const CLAIM_PAUSE: Duration = Duration::from_millis(400);
/// A stream that is just closing is opened anew.
const OPEN_TRIES: u32 = 20;
const OPEN_PAUSE: Duration = Duration::from_millis(25);
/// Reasons to end that can come at the same time.
const ENDS_MAX: usize = 4;

/// What the node that owns a stream says of its publisher.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// Gone or silent, or the node knows nothing of it.
    Replaceable,
    Alive,
    None,
}

/// Asks another node about its publisher.
#[async_trait]
pub trait Inquiry: Send + Sync {
    async fn ask(&self, owner: &Owner, stream: &StreamId, key: &KeyId) -> Answer;
}

/// What an encoder is told that may not publish.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Rejection {
    pub(super) code: Code,
    pub(super) description: &'static str,
    /// Of the metric.
    pub(super) label: &'static str,
}

impl Rejection {
    /// Somebody without the right key.
    pub(super) fn is_of_key(&self) -> bool {
        *self == WRONG_KEY || *self == TOO_MANY_TRIES
    }
}

const fn rejection(code: Code, label: &'static str, description: &'static str) -> Rejection {
    Rejection { code, description, label }
}

const WRONG_KEY: Rejection = rejection(Code::PublishBadName, "wrong_key", "no stream has this stream key");
pub(super) const TOO_MANY_TRIES: Rejection =
    rejection(Code::PublishBadName, "too_many_tries", "too many wrong stream keys from this address, wait a minute");
const BUSY: Rejection = rejection(Code::PublishBadName, "busy", "this stream is being published already");
const STALE: Rejection = rejection(Code::PublishBadName, "busy", "this stream is being published by another node");
const DISABLED: Rejection = rejection(Code::PublishDenied, "disabled", "the account of this stream is disabled");
const QUOTA: Rejection =
    rejection(Code::PublishDenied, "quota_streams", "the account publishes as many streams as it may");
const DRAINING: Rejection = rejection(Code::PublishDenied, "draining", "the server is shutting down, connect again");
const NO_STORE: Rejection =
    rejection(Code::PublishDenied, "store_unavailable", "the database does not answer, try again in a moment");
const NO_CLUSTER: Rejection =
    rejection(Code::PublishDenied, "cluster_unavailable", "the cluster does not answer, try again in a moment");

impl Server {
    /// A key that was made just now passes whatever its address did before.
    pub fn expect_key(&self, hash: &Hash) {
        self.tries().expect(*hash.as_bytes(), self.parts.clock.monotonic());
    }

    pub(super) async fn admit(
        self: &Arc<Self>,
        present: &Present,
        key: &StreamKeySecret,
    ) -> Result<(Published, store::Publish), Rejection> {
        if *self.mode.borrow() != Mode::Running {
            return Err(DRAINING);
        }
        let publish = self.look_up(present, key).await?;
        if publish.tenant.disabled_us.is_some() {
            return Err(DISABLED);
        }
        let seat = self.parts.seats.publisher(&publish.tenant, &publish.stream.id).map_err(|_| QUOTA)?;
        let mut published = self.begin(present, &publish).await?;
        published.seat = Some(seat);
        (self.parts.on_publish)(&publish);
        self.touch(publish.key.clone());
        Ok((published, publish))
    }

    /// Wrong keys cost no look-up once an address has tried too many.
    async fn look_up(&self, present: &Present, key: &StreamKeySecret) -> Result<store::Publish, Rejection> {
        let (address, clock) = (present.address, &self.parts.clock);
        let Ok(key) = StreamKey::parse(key.expose()) else { return Err(WRONG_KEY) };
        let hash = self.parts.secrets.hash(key.reveal());
        loop {
            let verdict =
                self.tries().begin(address, hash.as_bytes(), self.parts.limits.get().failed_tries, clock.monotonic());
            match verdict {
                Verdict::LookUp => break,
                Verdict::Refuse => return Err(TOO_MANY_TRIES),
                Verdict::Wait => tokio::time::sleep(LOOK_UP_PAUSE).await,
            }
        }
        let answer = timeout(LOOK_UP_TIMEOUT, self.parts.store.stream_by_key_hash(&hash)).await;
        let now = clock.monotonic();
        match answer {
            Ok(Ok(Some(publish))) => {
                self.tries().note_accepted(address, *hash.as_bytes(), now);
                Ok(publish)
            }
            Ok(Ok(None)) => {
                self.tries().note_failed(address, hash.as_bytes(), now);
                Err(WRONG_KEY)
            }
            unanswered => {
                self.tries().note_unknown(address, now);
                let error = unanswered.map_or_else(|_| "timed out".to_owned(), |error| format!("{:?}", error.err()));
                tracing::warn!(%error, "a stream key can't be looked up");
                Err(NO_STORE)
            }
        }
    }

    async fn begin(self: &Arc<Self>, present: &Present, publish: &store::Publish) -> Result<Published, Rejection> {
        let (stream, second) = (&publish.stream.id, publish.stream.settings.second_publisher);
        let now_us = self.parts.clock.unix_us();
        let over = match self.publishers().begin_claim(stream, &publish.key, second, now_us) {
            Claimable::Busy => return Err(BUSY),
            Claimable::Over(fence) => Some(fence),
            Claimable::Free => None,
        };
        let claiming = Claiming { server: self, stream };
        let claim = self.claim(publish, over).await?;
        let lease = Lease::new(self.clone(), stream.clone(), claim.fence);
        let published = self.publish(present, publish, claim, lease).await?;
        let current = Current {
            publisher: present.id,
            key: publish.key.clone(),
            fence: claim.fence,
            last_media_us: published.last_media_us(),
        };
        claiming.settle(current);
        Ok(published)
    }

    async fn claim(&self, publish: &store::Publish, mut over: Option<u64>) -> Result<Claim, Rejection> {
        let (stream, second) = (&publish.stream.id, publish.stream.settings.second_publisher);
        for _ in 0..CLAIM_TRIES {
            let owner = match timeout(CLAIM_TIMEOUT, self.parts.ownership.claim(stream, over)).await {
                Ok(Ok(claim)) => {
                    self.parts.metrics.owner_changes.inc();
                    return Ok(claim);
                }
                Ok(Err(cluster::Error::Owned(owner))) => owner,
                Ok(Err(cluster::Error::NotFound)) => return Err(WRONG_KEY),
                Ok(Err(cluster::Error::Lost(_))) => return Err(STALE),
                Ok(Err(error @ (cluster::Error::Unavailable(_) | cluster::Error::Store(_)))) => {
                    tracing::warn!(%stream, %error, "a stream can't be claimed");
                    return Err(if matches!(error, cluster::Error::Store(_)) { NO_STORE } else { NO_CLUSTER });
                }
                Err(_) => return Err(NO_CLUSTER),
            };
            // A lease of this very node is left over: nobody publishes here, or the one who does may be replaced.
            over = Some(owner.fence);
            if owner.node == self.parts.node || second == SecondPublisher::Takeover {
                continue;
            }
            match self.parts.inquiry.ask(&owner, stream, &publish.key).await {
                Answer::Replaceable => {}
                Answer::Alive => return Err(BUSY),
                Answer::None => {
                    over = None;
                    tokio::time::sleep(CLAIM_PAUSE).await;
                }
            }
        }
        Err(STALE)
    }

    async fn publish(
        &self,
        present: &Present,
        publish: &store::Publish,
        claim: Claim,
        lease: Lease,
    ) -> Result<Published, Rejection> {
        let settings = (self.parts.settings)(&publish.stream.settings);
        for _ in 0..OPEN_TRIES {
            let handle = self.parts.registry.open(&publish.stream.id, settings);
            let (end, ended) = mpsc::channel(ENDS_MAX);
            let (reply, answer) = oneshot::channel();
            let command = Command::Publish(
                Publish {
                    publisher: Box::new(Ender { id: present.id, end: end.clone() }),
                    key: publish.key.clone(),
                    fence: claim.fence,
                    since_origin_us: i64::try_from(claim.start_us).unwrap_or(i64::MAX),
                },
                Box::new(move |answer| {
                    // Nobody waits for it any more: the connection is gone, and its `Published` with it.
                    let _ = reply.send(answer);
                }),
            );
            let sent = handle.send(command).await;
            match (sent, answer.await) {
                (Ok(()), Ok(Ok(()))) => {
                    let last_media_us = Arc::new(AtomicI64::new(self.parts.clock.unix_us()));
                    let ender = Ender { id: present.id, end };
                    return Ok(Published::new(ender, ended, handle, lease, last_media_us));
                }
                (_, Ok(Err(Refusal::Busy))) => return Err(BUSY),
                (_, Ok(Err(Refusal::Stale))) => return Err(STALE),
                (_, Ok(Err(Refusal::Closing)) | Err(_)) | (Err(_), _) => tokio::time::sleep(OPEN_PAUSE).await,
            }
        }
        Err(BUSY)
    }

    /// Notes that the key was used; nobody waits for it.
    fn touch(&self, key: KeyId) {
        let (store, used_us) = (self.parts.store.clone(), self.parts.clock.unix_us());
        tokio::spawn(async move {
            let touched = timeout(LOOK_UP_TIMEOUT, store.touch_stream_key(&key, used_us)).await;
            if !matches!(touched, Ok(Ok(()))) {
                tracing::warn!(%key, "the use of a stream key can't be noted");
            }
        });
    }
}

/// A claim under way on this node; over when dropped.
struct Claiming<'a> {
    server: &'a Server,
    stream: &'a StreamId,
}

impl Claiming<'_> {
    fn settle(self, current: Current) {
        self.server.publishers().settle(self.stream, Some(current));
        std::mem::forget(self);
    }
}

impl Drop for Claiming<'_> {
    fn drop(&mut self) {
        self.server.publishers().settle(self.stream, None);
    }
}
