//! What is inside a running stream, for who looks for a fault.

use crate::stream::packet::{Epoch, Phase};
use crate::stream::subscriber::{self, SubscriberId};
use std::sync::Arc;

/// Goes from the stream to its hubs, each of which answers by itself.
#[derive(Clone)]
pub struct Question {
    /// Viewers that one hub may tell of.
    pub viewers_max: usize,
    /// Called once by each hub, on its own thread; it must not block.
    pub tell: Arc<dyn Fn(Hub) + Send + Sync>,
}

/// The stream's own part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inside {
    pub phase: Phase,
    /// Unix time since which the phase holds.
    pub since_us: i64,
    pub epoch: Epoch,
    /// The publisher is connected to this node.
    pub has_publisher: bool,
    /// Another node's publisher is, or was last, followed.
    pub is_fed: bool,
    pub backlog: Held,
    pub hubs: Vec<Subscribed>,
    /// Nodes that follow.
    pub relays: usize,
}

/// What is held for viewers who come.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Held {
    pub groups: usize,
    pub fragments: usize,
    pub bytes: usize,
    /// Media time.
    pub from_us: Option<i64>,
    pub to_us: Option<i64>,
}

/// A hub as its stream sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subscribed {
    pub id: SubscriberId,
    /// It lost its place, and starts again at the next keyframe.
    pub is_behind: bool,
    pub viewers: usize,
}

/// A hub as it sees itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hub {
    pub id: SubscriberId,
    /// Fragments that wait for others to be sent with.
    pub pending: usize,
    pub outbox_bytes: usize,
    /// Those furthest behind first.
    pub viewers: Vec<Viewer>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Viewer {
    pub listed: subscriber::Viewer,
    /// How long ago the oldest picture or sound that waits for its socket was received.
    pub oldest_us: Option<i64>,
}
