//! Where a stream comes from while its publisher is on another node.

use crate::stream::Handle;

/// Names one following, so that what an earlier one still sends is left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FeedId(pub u64);

/// What is to be followed.
pub struct Follow {
    pub id: FeedId,
    /// Takes the owner's packets as `Command::Feed`.
    pub stream: Handle,
    /// The newest publish that is known here: an older one is not to be followed.
    pub fence: u64,
}

/// Finds the owner of a stream, wherever it is, and feeds what it sends into the stream.
pub trait Upstream: Send + Sync {
    /// Goes on, from owner to owner, until what is returned is dropped.
    fn follow(&self, follow: Follow) -> Box<dyn Following>;
}

/// Lasts until it is dropped.
pub trait Following: Send {}

/// Who follows, and since when; a stream's own publisher and its followed one exclude each other.
pub struct Source {
    upstream: Option<std::sync::Arc<dyn Upstream>>,
    current: Option<(FeedId, Box<dyn Following>)>,
    next_id: u64,
}

impl Source {
    pub fn new(upstream: Option<std::sync::Arc<dyn Upstream>>) -> Self {
        Self { upstream, current: None, next_id: 0 }
    }

    /// Begins to follow where nobody publishes here and somebody watches.
    pub fn begin(&mut self, stream: impl FnOnce() -> Handle, fence: u64) {
        if let (Some(upstream), None) = (&self.upstream, &self.current) {
            let id = FeedId(self.next_id);
            self.next_id += 1;
            self.current = Some((id, upstream.follow(Follow { id, stream: stream(), fence })));
        }
    }

    pub fn end(&mut self) {
        self.current = None;
    }

    pub fn is_active(&self) -> bool {
        self.current.is_some()
    }

    pub fn is(&self, id: FeedId) -> bool {
        self.current.as_ref().is_some_and(|(current, _)| *current == id)
    }
}
