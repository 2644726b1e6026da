//! Who of a tenant publishes and watches: what quotas count, exactly on this node, and as last told on the others.

use super::Nodes;
use crate::id::{StreamId, TenantId};
use crate::store::{Quotas, Tenant};
use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What there is no room for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Full {
    #[error("the tenant publishes as many streams as it may")]
    Streams,
    #[error("as many watch as the tenant may have viewers")]
    Viewers,
    #[error("the tenant's viewers take as much as they may")]
    Egress,
    #[error("the token is used by as many sessions as it may")]
    Sessions,
}

impl Full {
    pub fn code(self) -> &'static str {
        match self {
            Self::Streams => "quota_streams",
            Self::Viewers => "quota_viewers",
            Self::Egress => "quota_egress",
            Self::Sessions => "max_sessions",
        }
    }
}

/// What a tenant has on this node.
#[derive(Debug, Default)]
struct Room {
    quotas: Quotas,
    publishers: HashMap<StreamId, u32>,
    viewers: HashMap<StreamId, u32>,
    subjects: HashMap<(StreamId, String), u32>,
    /// Over all nodes.
    egress_bps: u64,
}

/// A tenant as it was a moment ago.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Occupied {
    pub tenant: TenantId,
    pub quotas: Quotas,
    pub publishing: Vec<StreamId>,
    pub watched: Vec<(StreamId, u32)>,
}

#[derive(Debug, Default)]
pub struct Seats {
    rooms: Mutex<HashMap<TenantId, Room>>,
    nodes: Arc<Nodes>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Kind {
    Publisher,
    Viewer { subject: Option<String> },
}

/// Counted until it is dropped.
#[derive(Debug)]
pub struct Seat {
    seats: Arc<Seats>,
    tenant: TenantId,
    stream: StreamId,
    kind: Kind,
}

impl Seats {
    /// With what the other nodes tell.
    pub fn new(nodes: Arc<Nodes>) -> Self {
        Self { rooms: Mutex::default(), nodes }
    }

    /// A stream counts once, however often it is taken over, from whichever node.
    pub fn publisher(self: &Arc<Self>, tenant: &Tenant, stream: &StreamId) -> Result<Seat, Full> {
        let elsewhere = self.nodes.elsewhere(&tenant.id);
        let mut rooms = self.lock();
        let room = room(&mut rooms, tenant);
        let all: BTreeSet<_> = room.publishers.keys().chain(&elsewhere.publishing).collect();
        let others = all.into_iter().filter(|other| *other != stream).count() as u64;
        let is_full = tenant.quotas.streams.is_some_and(|most| others >= u64::from(most));
        if is_full {
            forget_if_empty(&mut rooms, &tenant.id);
            return Err(Full::Streams);
        }
        *room.publishers.entry(stream.clone()).or_default() += 1;
        Ok(self.seat(tenant, stream, Kind::Publisher))
    }

    /// `limited`: the subject of a token, and how many sessions at once it is good for.
    pub fn viewer(
        self: &Arc<Self>,
        tenant: &Tenant,
        stream: &StreamId,
        limited: Option<(&str, u32)>,
    ) -> Result<Seat, Full> {
        let elsewhere = self.nodes.elsewhere(&tenant.id).viewers();
        let mut rooms = self.lock();
        let room = room(&mut rooms, tenant);
        let there = room.viewers.values().map(|count| u64::from(*count)).sum::<u64>() + elsewhere;
        let subject = |(subject, _): (&str, u32)| (stream.clone(), subject.to_owned());
        let sessions = limited.and_then(|l| room.subjects.get(&subject(l)).copied()).unwrap_or(0);
        let full = match (tenant.quotas.viewers, tenant.quotas.egress_bps, limited) {
            (Some(most), _, _) if there >= u64::from(most) => Some(Full::Viewers),
            (_, Some(most), _) if room.egress_bps >= most => Some(Full::Egress),
            (_, _, Some((_, most))) if sessions >= most => Some(Full::Sessions),
            _ => None,
        };
        if let Some(full) = full {
            forget_if_empty(&mut rooms, &tenant.id);
            return Err(full);
        }
        *room.viewers.entry(stream.clone()).or_default() += 1;
        if let Some(limited) = limited {
            *room.subjects.entry(subject(limited)).or_default() += 1;
        }
        let subject = limited.map(|(subject, _)| subject.to_owned());
        Ok(self.seat(tenant, stream, Kind::Viewer { subject }))
    }

    fn seat(self: &Arc<Self>, tenant: &Tenant, stream: &StreamId, kind: Kind) -> Seat {
        Seat { seats: self.clone(), tenant: tenant.id.clone(), stream: stream.clone(), kind }
    }

    /// All who have anyone here.
    pub fn occupied(&self) -> Vec<Occupied> {
        let rooms = self.lock();
        let occupied = rooms.iter().map(|(tenant, room)| Occupied {
            tenant: tenant.clone(),
            quotas: room.quotas,
            publishing: room.publishers.keys().cloned().collect(),
            watched: room.viewers.iter().map(|(stream, count)| (stream.clone(), *count)).collect(),
        });
        occupied.collect()
    }

    /// Streams of a tenant that anybody here publishes or watches.
    pub fn streams_of(&self, tenant: &TenantId) -> Vec<StreamId> {
        let rooms = self.lock();
        let Some(room) = rooms.get(tenant) else { return Vec::new() };
        let watched = room.viewers.keys().filter(|stream| !room.publishers.contains_key(*stream));
        room.publishers.keys().chain(watched).cloned().collect()
    }

    /// Whose stream is published here, if it is.
    pub fn publishes(&self, stream: &StreamId) -> Option<TenantId> {
        let rooms = self.lock();
        rooms.iter().find(|(_, room)| room.publishers.contains_key(stream)).map(|(tenant, _)| tenant.clone())
    }

    /// New quotas hold for those who come.
    pub fn set_quotas(&self, tenant: &TenantId, quotas: Quotas) {
        if let Some(room) = self.lock().get_mut(tenant) {
            room.quotas = quotas;
        }
    }

    /// What goes out over all nodes.
    pub fn set_egress(&self, tenant: &TenantId, egress_bps: u64) {
        if let Some(room) = self.lock().get_mut(tenant) {
            room.egress_bps = egress_bps;
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<TenantId, Room>> {
        self.rooms.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn room<'a>(rooms: &'a mut HashMap<TenantId, Room>, tenant: &Tenant) -> &'a mut Room {
    let room = rooms.entry(tenant.id.clone()).or_default();
    room.quotas = tenant.quotas;
    room
}

fn forget_if_empty(rooms: &mut HashMap<TenantId, Room>, tenant: &TenantId) {
    if rooms.get(tenant).is_some_and(|room| room.publishers.is_empty() && room.viewers.is_empty()) {
        rooms.remove(tenant);
    }
}

fn leave<K: std::hash::Hash + Eq>(counts: &mut HashMap<K, u32>, key: &K) {
    if let Some(count) = counts.get_mut(key) {
        *count -= 1;
        if *count == 0 {
            counts.remove(key);
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut rooms = self.seats.lock();
        if let Some(room) = rooms.get_mut(&self.tenant) {
            match &self.kind {
                Kind::Publisher => leave(&mut room.publishers, &self.stream),
                Kind::Viewer { subject } => {
                    leave(&mut room.viewers, &self.stream);
                    if let Some(subject) = subject {
                        leave(&mut room.subjects, &(self.stream.clone(), subject.clone()));
                    }
                }
            }
        }
        forget_if_empty(&mut rooms, &self.tenant);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::{Presence, Share};

    /// Another node with this.
    fn elsewhere(tenant: &Tenant, share: Share) -> Arc<Nodes> {
        let nodes = Arc::new(Nodes::default());
        let shares = [(tenant.id.clone(), share)].into();
        nodes.set(vec![Presence { node: "other".to_owned(), shares, ..Presence::default() }]);
        nodes
    }

    fn tenant(quotas: Quotas) -> Tenant {
        let id = TenantId::from_random([1; 16]);
        Tenant { id, name: "a".to_owned(), quotas, disabled_us: None, revision: 1, created_us: 0, updated_us: 0 }
    }

    fn stream(n: u8) -> StreamId {
        StreamId::from_random([n; 16])
    }

    #[test]
    fn a_tenant_publishes_as_many_streams_as_it_may_and_each_counts_once() {
        let (seats, tenant) = (Arc::new(Seats::default()), tenant(Quotas { streams: Some(1), ..Quotas::default() }));
        let first = seats.publisher(&tenant, &stream(1)).unwrap();
        let over = seats.publisher(&tenant, &stream(1)).unwrap();
        assert_eq!(seats.publisher(&tenant, &stream(2)).unwrap_err(), Full::Streams);
        drop(first);
        assert!(seats.publisher(&tenant, &stream(2)).is_err());
        assert_eq!(seats.publishes(&stream(1)), Some(tenant.id.clone()));
        drop(over);
        assert_eq!(seats.publishes(&stream(1)), None);
        assert!(seats.publisher(&tenant, &stream(2)).is_ok());
        assert_eq!(seats.occupied(), []);
    }

    #[test]
    fn a_stream_that_moves_here_from_another_node_needs_no_second_place() {
        let tenant = tenant(Quotas { streams: Some(1), ..Quotas::default() });
        let nodes = elsewhere(&tenant, Share { publishing: [stream(1)].into(), ..Share::default() });
        let seats = Arc::new(Seats::new(nodes));
        assert_eq!(seats.publisher(&tenant, &stream(2)).unwrap_err(), Full::Streams);
        assert!(seats.publisher(&tenant, &stream(1)).is_ok());
    }

    #[test]
    fn viewers_are_counted_over_all_streams_and_nodes() {
        let tenant = tenant(Quotas { viewers: Some(3), ..Quotas::default() });
        let nodes = elsewhere(&tenant, Share { watched: [(stream(1), 1)].into(), ..Share::default() });
        let seats = Arc::new(Seats::new(nodes));
        let one = seats.viewer(&tenant, &stream(1), None).unwrap();
        let _two = seats.viewer(&tenant, &stream(2), None).unwrap();
        assert_eq!(seats.viewer(&tenant, &stream(1), None).unwrap_err(), Full::Viewers);
        drop(one);
        assert!(seats.viewer(&tenant, &stream(1), None).is_ok());
        assert_eq!(seats.streams_of(&tenant.id), [stream(2)]);
    }

    #[test]
    fn a_token_is_good_for_as_many_sessions_as_it_says() {
        let (seats, tenant) = (Arc::new(Seats::default()), tenant(Quotas::default()));
        let ann = seats.viewer(&tenant, &stream(1), Some(("ann", 1))).unwrap();
        assert_eq!(seats.viewer(&tenant, &stream(1), Some(("ann", 1))).unwrap_err(), Full::Sessions);
        let _bob = seats.viewer(&tenant, &stream(1), Some(("bob", 1))).unwrap();
        drop(ann);
        assert!(seats.viewer(&tenant, &stream(1), Some(("ann", 1))).is_ok());
    }

    #[test]
    fn past_the_bit_rate_nobody_else_comes_in() {
        let quotas = Quotas { egress_bps: Some(1_000), ..Quotas::default() };
        let (seats, tenant) = (Arc::new(Seats::default()), tenant(quotas));
        let _one = seats.viewer(&tenant, &stream(1), None).unwrap();
        seats.set_egress(&tenant.id, 1_000);
        assert_eq!(seats.viewer(&tenant, &stream(1), None).unwrap_err(), Full::Egress);
    }
}
