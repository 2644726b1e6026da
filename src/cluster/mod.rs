//! Who owns a stream, which nodes there are, what they count together and tell each other: traits, each with a version
//! for one node and one for many, in Redis.

pub mod claim;
mod coordinator;
pub mod lease;
mod local;
mod nodes;
#[cfg(feature = "node")]
pub mod peers;
#[cfg(feature = "node")]
pub mod redis;
pub mod seats;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::id::{KeyId, SessionId, StreamId, TenantId};
use crate::store;

pub use coordinator::{Coordinator, Fences, Found, Table};
pub use lease::Standing;
pub use local::{LocalBus, LocalRoster, LocalTable};
pub use nodes::Nodes;

pub type Result<T> = std::result::Result<T, Error>;

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Somebody else publishes it.
    #[error("the stream is owned by node {} with fence {}", .0.node, .0.fence)]
    Owned(Owner),
    /// A higher fence was accepted meanwhile.
    #[error("the lease with fence {0} is lost")]
    Lost(u64),
    #[error("no such stream")]
    NotFound,
    #[error("the cluster does not answer: {0}")]
    Unavailable(String),
    #[error("the database does not answer: {0}")]
    Store(String),
}

impl From<store::Error> for Error {
    fn from(error: store::Error) -> Self {
        match error {
            store::Error::NotFound(_) => Self::NotFound,
            other => Self::Store(other.to_string()),
        }
    }
}

/// Where a stream's publisher is.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Owner {
    pub node: String,
    /// Of one start of the process.
    pub incarnation: String,
    /// Base of the node's internal listener.
    pub url: String,
    pub fence: u64,
}

/// This process, as others know it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Myself {
    pub node: String,
    pub incarnation: String,
    pub url: String,
}

impl Myself {
    /// As the owner of a stream.
    pub fn owner(&self, fence: u64) -> Owner {
        let Self { node, incarnation, url } = self.clone();
        Owner { node, incarnation, url, fence }
    }
}

/// Leave to publish.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Claim {
    /// Greater than that of every claim before.
    pub fence: u64,
    /// Now, on the stream's one timeline: the publish starts at the greater of the end already known and this plus 1 s.
    pub start_us: u64,
}

/// At most one owner's output is accepted, because each claim has a higher fence than those before.
#[async_trait]
pub trait Ownership: Send + Sync {
    /// `over` names the fence of an owner that may be replaced; any other living owner refuses the claim.
    async fn claim(&self, stream: &StreamId, over: Option<u64>) -> Result<Claim>;
    /// Keeps the lease; called each second.
    async fn renew(&self, stream: &StreamId, fence: u64) -> Result<()>;
    /// What may be done in the name of the claim with this fence; to be asked right before it is done.
    fn standing(&self, stream: &StreamId, fence: u64) -> Standing;
    /// The claim on a stream that this node has, and what it may do.
    fn held(&self, stream: &StreamId) -> Option<(u64, Standing)>;
    /// Gives the lease back; nothing happens where it is lost already.
    async fn release(&self, stream: &StreamId, fence: u64) -> Result<()>;
    async fn locate(&self, stream: &StreamId) -> Result<Option<Owner>>;
}

/// What a tenant has on a node.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Share {
    pub publishing: BTreeSet<StreamId>,
    pub watched: BTreeMap<StreamId, u32>,
    pub ingest_bps: u64,
    pub egress_bps: u64,
}

impl Share {
    pub fn viewers(&self) -> u64 {
        self.watched.values().map(|count| u64::from(*count)).sum()
    }

    pub fn add(&mut self, other: &Self) {
        self.publishing.extend(other.publishing.iter().cloned());
        for (stream, count) in &other.watched {
            *self.watched.entry(stream.clone()).or_default() += count;
        }
        self.ingest_bps += other.ingest_bps;
        self.egress_bps += other.egress_bps;
    }
}

/// A node as it tells of itself.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Presence {
    pub node: String,
    pub incarnation: String,
    /// Base of its internal listener.
    pub url: String,
    pub version: String,
    /// `starting`, `ready` or `draining`.
    pub state: String,
    /// Unix time.
    pub started_us: i64,
    pub viewers: i64,
    /// Streams with a publisher.
    pub streams: i64,
    /// RTMP connections.
    pub publishers: i64,
    /// What is counted over all nodes; earlier versions tell nothing of it.
    #[serde(default)]
    pub shares: BTreeMap<TenantId, Share>,
}

/// What a node hears when it tells of itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Exchanged {
    /// This node included.
    pub living: Vec<Presence>,
    /// Another process told of itself by this node's name, within the last few seconds and since this one did.
    pub namesake: Option<Presence>,
}

/// The nodes that live, and what each has of what is counted over all: one that stops telling drops out with its share
/// a few seconds later.
#[async_trait]
pub trait Roster: Send + Sync {
    /// Tells of this node and hears of all.
    async fn exchange(&self, own: &Presence) -> Result<Exchanged>;
    async fn leave(&self, own: &Presence) -> Result<()>;
}

/// What takes effect on every node at once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Message {
    StreamKeyRevoked {
        stream: StreamId,
        key: KeyId,
    },
    StreamChanged {
        stream: StreamId,
    },
    StreamDeleted {
        stream: StreamId,
    },
    /// Somebody publishes it, on whichever node.
    StreamPublished {
        stream: StreamId,
    },
    /// Its publisher is to be ended.
    StreamDisconnected {
        stream: StreamId,
    },
    TenantChanged {
        tenant: TenantId,
    },
    TenantDeleted {
        tenant: TenantId,
    },
    SigningKeysChanged {
        tenant: TenantId,
    },
    /// Who asks the API by this key or as this user may have lost the right to.
    AccessChanged {
        actor: String,
    },
    SessionKicked {
        session: SessionId,
    },
    NodeDraining {
        node: String,
    },
    /// Messages were missed: read again whatever can have changed.
    Reread,
}

/// Called for each message, on the caller's thread: it must not block.
pub trait Listener: Send + Sync {
    fn handle(&self, message: &Message);
}

#[async_trait]
pub trait Bus: Send + Sync {
    /// To every listener of every node, this one included.
    async fn publish(&self, message: Message) -> Result<()>;
    /// For as long as the process lives.
    fn subscribe(&self, listener: Arc<dyn Listener>);
}
