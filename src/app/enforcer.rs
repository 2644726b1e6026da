//! Changes that are told over the bus take effect on what runs here.

use crate::cluster::{Listener, Message};
use crate::id::{KeyId, StreamId};
use crate::session::admission::Admission;
use crate::stream::handle::Command;
use crate::stream::packet::Packet;
use crate::stream::publisher::EndReason;
use crate::stream::registry::Registry;
use std::sync::Arc;

pub(super) struct Enforcer {
    pub(super) registry: Arc<Registry>,
    pub(super) admission: Arc<Admission>,
}

impl Enforcer {
    fn end_publisher(&self, stream: &StreamId, reason: EndReason, key: Option<KeyId>) {
        self.tell(stream, Command::EndPublisher(reason, key, Box::new(|_| {})));
    }

    /// Waits for room without holding up the one who tells.
    fn tell(&self, stream: &StreamId, command: Command) {
        if let Some(handle) = self.registry.get(stream) {
            // Closed: it has stopped already.
            tokio::spawn(async move { handle.send(command).await });
        }
    }
}

impl Listener for Enforcer {
    fn handle(&self, message: &Message) {
        match message {
            Message::StreamKeyRevoked { stream, key } => {
                self.end_publisher(stream, EndReason::Revoked, Some(key.clone()));
            }
            Message::StreamDisconnected { stream } => self.end_publisher(stream, EndReason::Disconnected, None),
            Message::StreamDeleted { stream } => {
                self.admission.invalidate_all();
                self.end_publisher(stream, EndReason::Removed, None);
                let order = Packet::Close { code: 4410, reason: "the stream was deleted".into() };
                self.tell(stream, Command::Order(order));
            }
            Message::SessionKicked { session } => {
                for stream in self.registry.list() {
                    let reason = "you were disconnected by the operator".to_owned();
                    let order = Packet::Kick { session: session.clone(), code: 4410, reason };
                    self.tell(stream.id(), Command::Order(order));
                }
            }
            Message::StreamChanged { .. }
            | Message::TenantChanged { .. }
            | Message::TenantDeleted { .. }
            | Message::SigningKeysChanged { .. }
            | Message::Reread => self.admission.invalidate_all(),
            Message::NodeDraining { .. } => {}
        }
    }
}
