//! Those a stream's packets go to: this node's viewers by their hubs, and other nodes by their relays.

use crate::stream::packet::{Packet, Snapshot};
use crate::stream::subscriber::{Subscriber, Subscribers};

#[derive(Default)]
pub struct Audience {
    pub hubs: Subscribers,
    relays: Subscribers,
}

impl Audience {
    pub fn add_relay(&mut self, relay: Box<dyn Subscriber>, snapshot: Snapshot) {
        self.relays.add(relay, snapshot);
    }

    /// Another node follows the owner only: its relays end with the publisher.
    pub fn end_relays(&mut self) {
        self.relays = Subscribers::default();
    }

    pub fn deliver(&mut self, packets: &[Packet], snapshot: impl Fn() -> Snapshot) {
        self.hubs.deliver(packets, &snapshot);
        self.relays.deliver(packets, snapshot);
    }

    /// How often a hub lost its place.
    pub fn times_behind(&self) -> u64 {
        self.hubs.times_behind()
    }
}
