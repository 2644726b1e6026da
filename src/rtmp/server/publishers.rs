//! Who publishes on this node: one claim at a time per stream, and whether a second publisher may have it.

use crate::id::{KeyId, StreamId};
use crate::store::SecondPublisher;
use crate::stream::publisher::PublisherId;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

/// The same key replaces a publisher that sent nothing for this long: its connection is half open.
const SILENT_AFTER_US: i64 = 1_000_000;

/// A publish that was accepted and has not ended.
#[derive(Debug, Clone)]
pub(super) struct Current {
    pub(super) publisher: PublisherId,
    pub(super) key: KeyId,
    pub(super) fence: u64,
    /// Unix time; written by the connection.
    pub(super) last_media_us: Arc<AtomicI64>,
}

#[derive(Debug, Default)]
struct Slot {
    is_claimed: bool,
    current: Option<Current>,
}

/// What a claim on a stream starts from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Claimable {
    Free,
    /// The publisher with this fence may be replaced.
    Over(u64),
    Busy,
}

#[derive(Debug, Default)]
pub(super) struct Publishers {
    slots: HashMap<StreamId, Slot>,
}

impl Publishers {
    /// Whether this node's publisher may be replaced.
    pub(super) fn claimable(&self, stream: &StreamId, key: &KeyId, second: SecondPublisher, now_us: i64) -> Claimable {
        match self.slots.get(stream) {
            Some(slot) if slot.is_claimed => Claimable::Busy,
            Some(Slot { current: Some(current), .. }) => {
                let silent_us = now_us - current.last_media_us.load(Ordering::Relaxed);
                let is_half_open = current.key == *key && silent_us >= SILENT_AFTER_US;
                let may_replace = second == SecondPublisher::Takeover || is_half_open;
                if may_replace { Claimable::Over(current.fence) } else { Claimable::Busy }
            }
            _ => Claimable::Free,
        }
    }

    /// As [`Publishers::claimable`]; unless busy, the claim lasts until [`Publishers::settle`].
    pub(super) fn begin_claim(
        &mut self,
        stream: &StreamId,
        key: &KeyId,
        second: SecondPublisher,
        now_us: i64,
    ) -> Claimable {
        let claimable = self.claimable(stream, key, second, now_us);
        if claimable != Claimable::Busy {
            self.slots.entry(stream.clone()).or_default().is_claimed = true;
        }
        claimable
    }

    /// Ends a claim; `current` is the publisher that came of it.
    pub(super) fn settle(&mut self, stream: &StreamId, current: Option<Current>) {
        if let Some(slot) = self.slots.get_mut(stream) {
            slot.is_claimed = false;
            slot.current = current.or(slot.current.take());
            self.forget_if_empty(stream);
        }
    }

    /// The publisher is gone, unless another took its place.
    pub(super) fn leave(&mut self, stream: &StreamId, publisher: PublisherId) {
        if let Some(slot) = self.slots.get_mut(stream) {
            slot.current.take_if(|current| current.publisher == publisher);
            self.forget_if_empty(stream);
        }
    }

    fn forget_if_empty(&mut self, stream: &StreamId) {
        if self.slots.get(stream).is_some_and(|slot| !slot.is_claimed && slot.current.is_none()) {
            self.slots.remove(stream);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stream() -> StreamId {
        StreamId::from_random([1; 16])
    }

    fn key(n: u8) -> KeyId {
        KeyId::from_random([n; 16])
    }

    fn current(publisher: u64, last_media_us: i64) -> Current {
        let last_media_us = Arc::new(AtomicI64::new(last_media_us));
        Current { publisher: PublisherId(publisher), key: key(1), fence: publisher + 100, last_media_us }
    }

    fn published() -> Publishers {
        let mut publishers = Publishers::default();
        assert_eq!(publishers.begin_claim(&stream(), &key(1), SecondPublisher::Refuse, 0), Claimable::Free);
        publishers.settle(&stream(), Some(current(1, 5_000_000)));
        publishers
    }

    #[test]
    fn of_two_at_the_same_instant_one_is_told_that_it_is_busy() {
        let mut publishers = Publishers::default();
        assert_eq!(publishers.begin_claim(&stream(), &key(1), SecondPublisher::Takeover, 0), Claimable::Free);
        assert_eq!(publishers.begin_claim(&stream(), &key(1), SecondPublisher::Takeover, 0), Claimable::Busy);
        publishers.settle(&stream(), None);
        assert_eq!(publishers.begin_claim(&stream(), &key(1), SecondPublisher::Refuse, 0), Claimable::Free);
    }

    #[test]
    fn a_second_publisher_gets_in_by_policy_or_past_a_silent_one_with_the_same_key() {
        let table = [
            (1, SecondPublisher::Refuse, 5_999_999, Claimable::Busy),
            (1, SecondPublisher::Refuse, 6_000_000, Claimable::Over(101)),
            (2, SecondPublisher::Refuse, 9_000_000, Claimable::Busy),
            (2, SecondPublisher::Takeover, 5_000_000, Claimable::Over(101)),
        ];
        for (key_number, second, now_us, want) in table {
            assert_eq!(published().begin_claim(&stream(), &key(key_number), second, now_us), want);
        }
    }

    #[test]
    fn a_claim_that_fails_leaves_the_publisher_in_place() {
        let mut publishers = published();
        publishers.begin_claim(&stream(), &key(1), SecondPublisher::Takeover, 0);
        publishers.settle(&stream(), None);
        assert_eq!(publishers.claimable(&stream(), &key(1), SecondPublisher::Refuse, 0), Claimable::Busy);
    }

    #[test]
    fn one_who_was_replaced_does_not_take_the_place_along() {
        let mut publishers = published();
        publishers.begin_claim(&stream(), &key(1), SecondPublisher::Takeover, 0);
        publishers.settle(&stream(), Some(current(2, 0)));
        publishers.leave(&stream(), PublisherId(1));
        assert_eq!(publishers.slots.len(), 1);
        publishers.leave(&stream(), PublisherId(2));
        assert!(publishers.slots.is_empty());
    }
}
