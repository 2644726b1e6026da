//! The traits for one node, in memory.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;

use super::coordinator::{Found, Table};
use super::{Bus, Exchanged, Listener, Message, Owner, Presence, Result, Roster, lease};
use crate::clock::Clock;
use crate::id::StreamId;

/// Leases of one process, or of as many as share it in a test.
pub struct LocalTable {
    clock: Arc<dyn Clock>,
    /// With the time at which each runs out.
    leases: Mutex<HashMap<StreamId, (Owner, Duration)>>,
}

impl LocalTable {
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, leases: Mutex::default() }
    }

    /// Writes the lease where `may` says so of the one that is there.
    fn put(&self, stream: &StreamId, owner: &Owner, may: impl FnOnce(Option<&Owner>) -> bool) -> Found {
        let mut leases = lock(&self.leases);
        let held = self.living(&leases, stream);
        if may(held.as_ref()) {
            leases.insert(stream.clone(), (owner.clone(), self.clock.monotonic() + lease::TTL));
            return Found::Ours;
        }
        held.map_or(Found::Nobodys, Found::Others)
    }

    fn living(&self, leases: &HashMap<StreamId, (Owner, Duration)>, stream: &StreamId) -> Option<Owner> {
        let now = self.clock.monotonic();
        leases.get(stream).filter(|(_, until)| *until > now).map(|(owner, _)| owner.clone())
    }
}

#[async_trait]
impl Table for LocalTable {
    async fn take(&self, stream: &StreamId, owner: &Owner, over: Option<u64>) -> Result<Found> {
        Ok(self.put(stream, owner, |held| held.is_none_or(|held| over == Some(held.fence))))
    }

    async fn renew(&self, stream: &StreamId, owner: &Owner) -> Result<Found> {
        Ok(self.put(stream, owner, |held| held == Some(owner)))
    }

    async fn register(&self, stream: &StreamId, owner: &Owner) -> Result<Found> {
        Ok(self.put(stream, owner, |held| held.is_none_or(|held| held == owner || held.fence < owner.fence)))
    }

    async fn release(&self, stream: &StreamId, owner: &Owner) -> Result<()> {
        let mut leases = lock(&self.leases);
        if leases.get(stream).is_some_and(|(held, _)| held == owner) {
            leases.remove(stream);
        }
        Ok(())
    }

    async fn find(&self, stream: &StreamId) -> Result<Option<Owner>> {
        Ok(self.living(&lock(&self.leases), stream))
    }
}

/// One node, or as many as share it in a test.
pub struct LocalRoster {
    clock: Arc<dyn Clock>,
    nodes: Mutex<HashMap<String, (Presence, Duration)>>,
}

impl LocalRoster {
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, nodes: Mutex::default() }
    }
}

#[async_trait]
impl Roster for LocalRoster {
    async fn exchange(&self, own: &Presence) -> Result<Exchanged> {
        let now = self.clock.monotonic();
        let mut nodes = lock(&self.nodes);
        let before = nodes.insert(own.node.clone(), (own.clone(), now + lease::TTL));
        nodes.retain(|_, (_, until)| *until > now);
        let is_another =
            |(presence, until): &(Presence, Duration)| presence.incarnation != own.incarnation && *until > now;
        Ok(Exchanged {
            living: nodes.values().map(|(presence, _)| presence.clone()).collect(),
            namesake: before.filter(is_another).map(|(presence, _)| presence),
        })
    }

    async fn leave(&self, own: &Presence) -> Result<()> {
        lock(&self.nodes).remove(&own.node);
        Ok(())
    }
}

#[derive(Default)]
pub struct LocalBus {
    listeners: Mutex<Vec<Arc<dyn Listener>>>,
}

impl LocalBus {
    pub(super) fn tell(&self, message: &Message) {
        let listeners = lock(&self.listeners).clone();
        for listener in listeners {
            listener.handle(message);
        }
    }
}

#[async_trait]
impl Bus for LocalBus {
    async fn publish(&self, message: Message) -> Result<()> {
        self.tell(&message);
        Ok(())
    }

    fn subscribe(&self, listener: Arc<dyn Listener>) {
        lock(&self.listeners).push(listener);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
