//! Those a stream's packets go to: this node's viewers by their hubs, and other nodes by their relays.

use crate::stream::inside::{Inside, Question};
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

    /// With the hubs, which are passed the question.
    pub fn inside(&self, stream: Inside, question: &Question) -> Inside {
        Inside { hubs: self.hubs.inspect(question), relays: self.relays.len(), ..stream }
    }

    /// How often a hub lost its place.
    pub fn times_behind(&self) -> u64 {
        self.hubs.times_behind()
    }
}
