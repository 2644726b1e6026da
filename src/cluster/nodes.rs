//! The nodes as they were heard of last, and what they have together.

use std::sync::{Mutex, MutexGuard, PoisonError};

use super::{Myself, Presence, Share};
use crate::id::{StreamId, TenantId};

#[derive(Debug, Default)]
pub struct Nodes {
    pub myself: Myself,
    living: Mutex<Vec<Presence>>,
}

impl Nodes {
    pub fn new(myself: Myself) -> Self {
        Self { myself, living: Mutex::default() }
    }

    /// Of this one nothing is kept: it knows itself.
    pub fn set(&self, mut living: Vec<Presence>) {
        living.retain(|presence| presence.node != self.myself.node);
        *self.living() = living;
    }

    /// Without this one.
    pub fn others(&self) -> Vec<Presence> {
        self.living().clone()
    }

    pub fn has_other(&self, node: &str) -> bool {
        self.living().iter().any(|presence| presence.node == node)
    }

    /// What the others have of a tenant.
    pub fn elsewhere(&self, tenant: &TenantId) -> Share {
        let mut sum = Share::default();
        for share in self.living().iter().filter_map(|presence| presence.shares.get(tenant)) {
            sum.add(share);
        }
        sum
    }

    /// The other node that a stream is published on.
    pub fn publisher_of(&self, stream: &StreamId) -> Option<String> {
        let publishes = |presence: &&Presence| presence.shares.values().any(|share| share.publishing.contains(stream));
        self.living().iter().find(publishes).map(|presence| presence.node.clone())
    }

    /// Of a stream that nobody else publishes, this is the node to tell; who publishes or watches it elsewhere and has
    /// a lesser name comes first.
    pub fn is_first_to_watch(&self, stream: &StreamId) -> bool {
        let comes_first = |presence: &Presence, share: &Share| {
            let watches = share.watched.contains_key(stream) && presence.node < self.myself.node;
            watches || share.publishing.contains(stream)
        };
        !self.living().iter().any(|presence| presence.shares.values().any(|share| comes_first(presence, share)))
    }

    /// On other nodes.
    pub fn viewers_of(&self, stream: &StreamId) -> usize {
        let shares = self.living();
        let counts = shares.iter().flat_map(|presence| presence.shares.values()).filter_map(|s| s.watched.get(stream));
        counts.map(|count| *count as usize).sum()
    }

    fn living(&self) -> MutexGuard<'_, Vec<Presence>> {
        self.living.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_others_have_is_summed_and_a_stream_on_two_of_them_counts_once() {
        let (tenant, stream) = (TenantId::from_random([1; 16]), StreamId::from_random([1; 16]));
        let share = Share {
            publishing: [stream.clone()].into(),
            watched: [(stream.clone(), 3)].into(),
            ingest_bps: 10,
            egress_bps: 30,
        };
        let presence = |node: &str| Presence {
            node: node.to_owned(),
            shares: [(tenant.clone(), share.clone())].into(),
            ..Presence::default()
        };
        let nodes = Nodes::new(Myself { node: "one".to_owned(), ..Myself::default() });
        nodes.set(vec![presence("one"), presence("two"), presence("three")]);
        let elsewhere = nodes.elsewhere(&tenant);
        assert_eq!((elsewhere.publishing.len(), elsewhere.viewers()), (1, 6));
        assert_eq!((elsewhere.ingest_bps, elsewhere.egress_bps), (20, 60));
        assert_eq!((nodes.viewers_of(&stream), nodes.publisher_of(&stream)), (6, Some("two".to_owned())));
        nodes.set(vec![presence("one")]);
        assert_eq!((nodes.elsewhere(&tenant), nodes.publisher_of(&stream)), (Share::default(), None));
    }

    #[test]
    fn one_node_tells_of_a_stream_that_several_watch() {
        let (tenant, stream) = (TenantId::from_random([1; 16]), StreamId::from_random([1; 16]));
        let presence = |node: &str, share: &Share| Presence {
            node: node.to_owned(),
            shares: [(tenant.clone(), share.clone())].into(),
            ..Presence::default()
        };
        let watching = Share { watched: [(stream.clone(), 3)].into(), ..Share::default() };
        let publishing = Share { publishing: [stream.clone()].into(), ..Share::default() };
        let is_first = |node: &str, others: Vec<Presence>| {
            let nodes = Nodes::new(Myself { node: node.to_owned(), ..Myself::default() });
            nodes.set(others);
            nodes.is_first_to_watch(&stream)
        };
        assert!(is_first("one", vec![presence("two", &watching)]));
        assert!(!is_first("two", vec![presence("one", &watching)]));
        assert!(!is_first("one", vec![presence("two", &publishing)]));
        assert!(is_first("two", vec![presence("one", &Share::default())]));
    }
}
