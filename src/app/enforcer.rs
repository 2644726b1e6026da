//! Changes that are told over the bus take effect on what runs here.

use crate::cluster::seats::Seats;
use crate::cluster::{Listener, Message};
use crate::config::{Current, Limits};
use crate::id::{StreamId, TenantId};
use crate::relay::Relays;
use crate::session::admission::Admission;
use crate::store::Store;
use crate::stream::handle::Command;
use crate::stream::packet::Packet;
use crate::stream::publisher::{EndReason, Whose};
use crate::stream::registry::Registry;
use crate::tenancy;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;

/// A change that can't be read again, since the database is away, is read this often.
const READ_TRIES: u32 = 20;
const READ_PAUSE: Duration = Duration::from_millis(500);

#[derive(Clone)]
pub(super) struct Enforcer {
    pub(super) node: String,
    pub(super) store: Arc<dyn Store>,
    pub(super) registry: Arc<Registry>,
    pub(super) admission: Arc<Admission>,
    pub(super) seats: Arc<Seats>,
    pub(super) relays: Option<Arc<Relays>>,
    pub(super) limits: Current<Limits>,
    pub(super) drain: Arc<Notify>,
}

impl Enforcer {
    fn end_publisher(&self, stream: &StreamId, reason: EndReason, whose: Whose) {
        self.tell(stream, Command::EndPublisher(reason, whose, Box::new(|_| {})));
    }

    /// Waits for room without holding up the one who tells.
    fn tell(&self, stream: &StreamId, command: Command) {
        if let Some(handle) = self.registry.get(stream) {
            // Closed: it has stopped already.
            tokio::spawn(async move { handle.send(command).await });
        }
    }

    /// Its publisher and its viewers have to go.
    fn end_stream(&self, stream: &StreamId, code: u16, reason: &str) {
        self.end_publisher(stream, EndReason::Removed, Whose::Anyones);
        self.tell(stream, Command::Order(Packet::Close { code, reason: reason.into() }));
    }

    async fn reread_tenant(self, id: TenantId) {
        let tenant = read(|| self.store.tenant(&id)).await;
        match tenant {
            Some(Some(tenant)) if tenant.disabled_us.is_none() => self.seats.set_quotas(&id, tenant.quotas),
            Some(Some(_)) => self.end_tenant(&id, 4403, "the tenant is disabled"),
            Some(None) => self.end_tenant(&id, 4410, "the tenant was deleted"),
            None => {}
        }
    }

    /// Viewers whom a removed key let in have to go.
    async fn recheck_keys(self, tenant: TenantId) {
        read(|| self.admission.recheck(&tenant)).await;
    }

    fn end_tenant(&self, tenant: &TenantId, code: u16, reason: &str) {
        for stream in self.seats.streams_of(tenant) {
            self.end_stream(&stream, code, reason);
        }
    }

    async fn reread_stream(self, id: StreamId) {
        match read(|| self.store.stream(&id)).await {
            Some(Some(stream)) => {
                self.tell(&id, Command::Configure(tenancy::settings(&stream.settings, &self.limits.get())));
            }
            Some(None) => self.end_stream(&id, 4410, "the stream was deleted"),
            None => {}
        }
    }

    /// A publisher whose key was revoked has to go.
    async fn reread_stream_keys(self, id: StreamId) {
        if let Some(keys) = read(|| self.store.stream_keys(&id)).await {
            let keys = keys.into_iter().map(|key| key.id).collect();
            self.end_publisher(&id, EndReason::Revoked, Whose::NoneOf(keys));
        }
    }
}

/// None: the database stays away.
async fn read<T, F: Future<Output = crate::store::Result<T>>>(mut ask: impl FnMut() -> F) -> Option<T> {
    for _ in 0..READ_TRIES {
        match ask().await {
            Ok(found) => return Some(found),
            Err(error) => tracing::warn!(%error, "a change can't be read yet"),
        }
        tokio::time::sleep(READ_PAUSE).await;
    }
    None
}

impl Listener for Enforcer {
    fn handle(&self, message: &Message) {
        match message {
            Message::StreamKeyRevoked { stream, key } => {
                self.end_publisher(stream, EndReason::Revoked, Whose::Key(key.clone()));
            }
            Message::StreamPublished { stream } => self.relays.iter().for_each(|relays| relays.look_again(stream)),
            Message::StreamDisconnected { stream } => {
                self.end_publisher(stream, EndReason::Disconnected, Whose::Anyones);
            }
            Message::StreamDeleted { stream } => {
                self.admission.invalidate_all();
                self.end_stream(stream, 4410, "the stream was deleted");
            }
            Message::SessionKicked { session } => {
                for stream in self.registry.list() {
                    let reason = "you were disconnected by the operator".to_owned();
                    let order = Packet::Kick { session: session.clone(), code: 4410, reason };
                    self.tell(stream.id(), Command::Order(order));
                }
            }
            Message::TenantChanged { tenant } => {
                self.admission.invalidate_all();
                tokio::spawn(self.clone().reread_tenant(tenant.clone()));
            }
            Message::TenantDeleted { tenant } => {
                self.admission.invalidate_all();
                self.end_tenant(tenant, 4410, "the tenant was deleted");
            }
            Message::StreamChanged { stream } => {
                self.admission.invalidate_all();
                tokio::spawn(self.clone().reread_stream(stream.clone()));
            }
            Message::SigningKeysChanged { tenant } => {
                self.admission.invalidate_all();
                tokio::spawn(self.clone().recheck_keys(tenant.clone()));
            }
            Message::Reread => {
                self.admission.invalidate_all();
                self.relays.iter().for_each(|relays| relays.look_again_at_all());
                for tenant in self.seats.occupied() {
                    tokio::spawn(self.clone().recheck_keys(tenant.tenant.clone()));
                    tokio::spawn(self.clone().reread_tenant(tenant.tenant));
                }
                for stream in self.registry.list() {
                    tokio::spawn(self.clone().reread_stream(stream.id().clone()));
                    tokio::spawn(self.clone().reread_stream_keys(stream.id().clone()));
                }
            }
            Message::NodeDraining { node } if *node == self.node => self.drain.notify_one(),
            // Of the API alone.
            Message::NodeDraining { .. } | Message::AccessChanged { .. } => {}
        }
    }
}
