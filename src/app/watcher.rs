//! Tells what changed of the streams that are published here: a new phase at once, the rest each second. While another
//! node may own one, nothing is told of it.

use crate::api::warnings;
use crate::clock::Clock;
use crate::cluster::seats::{Occupied, Seats};
use crate::cluster::{Nodes, Ownership, Standing};
use crate::hooks::{Event, Feed, event};
use crate::id::{EventId, StreamId, TenantId};
use crate::store::PUBLISH_EVENTS;
use crate::stream::packet::Phase;
use crate::stream::publisher::Departure;
use crate::stream::registry::Registry;
use crate::stream::status::Live;
use serde_json::{Value, json};
use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;

const EVERY: Duration = Duration::from_secs(1);
/// Phases that wait to be told; past it they are found within a second, as they are then.
const PHASES_MAX: usize = 4_096;

/// Says what happened.
#[derive(Clone)]
pub(super) struct Teller {
    pub(super) feed: Arc<Feed>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) random: fn(&mut [u8]),
}

impl Teller {
    pub(super) fn tell(&self, name: &'static str, tenant: &TenantId, data: Value) {
        let (tenant, at_us) = (tenant.clone(), self.clock.unix_us());
        self.feed.tell(Event { id: self.id(), name, tenant, stream: None, fence: None, at_us, data });
    }

    /// A phase comes once in a publish.
    pub(super) fn tell_of(&self, publish: &About, name: &'static str, data: Value) {
        let id = if PUBLISH_EVENTS.contains(&name) { publish.once(name) } else { self.id() };
        self.tell_as(id, publish, name, data);
    }

    pub(super) fn tell_as(&self, id: EventId, publish: &About, name: &'static str, data: Value) {
        let About { tenant, stream, fence } = publish.clone();
        let at_us = self.clock.unix_us();
        self.feed.tell(Event { id, name, tenant, stream: Some(stream), fence: Some(fence), at_us, data });
    }

    fn id(&self) -> EventId {
        let mut bytes = [0; 16];
        (self.random)(&mut bytes);
        EventId::from_random(bytes)
    }
}

/// A publish that something is told of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct About {
    pub(super) tenant: TenantId,
    pub(super) stream: StreamId,
    pub(super) fence: u64,
}

impl About {
    /// The id of what happens once in it.
    pub(super) fn once(&self, what: &str) -> EventId {
        event::once(&self.stream, self.fence, what)
    }
}

/// A stream's new phase; the tenant where its publisher is on this node.
pub(super) struct Entered {
    stream: StreamId,
    phase: Phase,
    fence: u64,
    tenant: Option<TenantId>,
    left: Option<Departure>,
}

/// Has the registry tell of phases.
pub(super) fn phases(registry: &Registry, seats: &Arc<Seats>) -> mpsc::Receiver<Entered> {
    let (sender, receiver) = mpsc::channel(PHASES_MAX);
    let seats = seats.clone();
    registry.tell_phases(Box::new(move |stream, live| {
        let (phase, fence, left) = (live.phase, live.fence, live.left);
        let entered = Entered { stream: stream.clone(), phase, fence, tenant: seats.publishes(stream), left };
        // Full: found within a second.
        let _ = sender.try_send(entered);
    }));
    receiver
}

pub(super) struct Watcher {
    registry: Arc<Registry>,
    seats: Arc<Seats>,
    nodes: Arc<Nodes>,
    ownership: Arc<dyn Ownership>,
    teller: Teller,
    known: HashMap<StreamId, Known>,
}

/// A stream as it was told last.
struct Known {
    tenant: TenantId,
    /// Published on this node: another one's phases are told there.
    is_ours: bool,
    phase: Phase,
    fence: u64,
    left: Option<Departure>,
    viewers: usize,
    warnings: Vec<Cow<'static, str>>,
}

impl Known {
    fn new(tenant: TenantId) -> Self {
        Self { tenant, is_ours: false, phase: Phase::Waiting, fence: 0, left: None, viewers: 0, warnings: Vec::new() }
    }
}

/// A stream's viewers on all nodes, and whether this one tells of them.
struct Counted {
    viewers: usize,
    is_ours_to_tell: bool,
}

type Told = Vec<(&'static str, Value)>;

impl Watcher {
    pub(super) fn new(
        registry: Arc<Registry>,
        seats: Arc<Seats>,
        nodes: Arc<Nodes>,
        ownership: Arc<dyn Ownership>,
        teller: Teller,
    ) -> Self {
        Self { registry, seats, nodes, ownership, teller, known: HashMap::new() }
    }

    /// For as long as the process lives.
    pub(super) async fn run(mut self, mut phases: mpsc::Receiver<Entered>) {
        let mut ticks = tokio::time::interval(EVERY);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                Some(entered) = phases.recv() => self.enter(entered),
                _ = ticks.tick() => self.look(),
            }
        }
    }

    fn enter(&mut self, entered: Entered) {
        let Entered { stream, phase, fence, tenant, left } = entered;
        if is_in_doubt(self.ownership.as_ref(), &stream) {
            return;
        }
        if let Some(tenant) = &tenant {
            let known = self.known.entry(stream.clone()).or_insert_with(|| Known::new(tenant.clone()));
            known.is_ours = true;
        }
        if let Some(known) = self.known.get_mut(&stream) {
            // Who publishes elsewhere now is told of there.
            known.is_ours &= tenant.is_some() || phase != Phase::Live;
            (known.fence, known.left) = (fence, left);
            let (told, tenant) = (known.enter(phase), known.tenant.clone());
            self.tell(told, &About { tenant, stream, fence });
        }
    }

    /// What no phase tells: viewers, warnings, and phases that were missed.
    fn look(&mut self) {
        for Occupied { tenant, publishing, watched, .. } in self.seats.occupied() {
            for stream in publishing.iter().chain(watched.iter().map(|(stream, _)| stream)) {
                let known = self.known.entry(stream.clone()).or_insert_with(|| Known::new(tenant.clone()));
                known.is_ours |= publishing.contains(stream);
            }
        }
        let mut events = Vec::new();
        self.known.retain(|stream, known| {
            if is_in_doubt(self.ownership.as_ref(), stream) {
                return true;
            }
            let live = self.registry.get(stream).map(|handle| handle.live());
            known.is_ours &= !live.as_ref().is_some_and(|live| live.is_fed && live.phase == Phase::Live);
            let viewers = live.as_ref().map_or(0, |live| live.viewers);
            let counted = Counted {
                viewers: viewers + self.nodes.viewers_of(stream),
                is_ours_to_tell: known.is_ours || self.nodes.is_first_to_watch(stream),
            };
            let told = known.look(live.as_ref(), counted);
            let (tenant, fence) = (known.tenant.clone(), known.fence);
            events.push((told, About { tenant, stream: stream.clone(), fence }));
            live.is_some()
        });
        for (told, publish) in events {
            self.tell(told, &publish);
        }
    }

    fn tell(&self, told: Told, publish: &About) {
        for (name, mut data) in told {
            if PUBLISH_EVENTS.contains(&name) {
                data["node"] = self.nodes.myself.node.as_str().into();
            }
            self.teller.tell_of(publish, name, data);
        }
    }
}

/// Suspended, or of a process that stood still: what is to be told is told when it is known whose the stream is.
fn is_in_doubt(ownership: &dyn Ownership, stream: &StreamId) -> bool {
    ownership.held(stream).is_some_and(|(_, standing)| standing != Standing::Held)
}

impl Known {
    fn enter(&mut self, phase: Phase) -> Told {
        let before = std::mem::replace(&mut self.phase, phase);
        let name = match (before, phase) {
            (before, after) if before == after => None,
            (Phase::Stalled, Phase::Live) => None,
            (_, Phase::Live) => Some("stream.live"),
            (_, Phase::Interrupted) => Some("stream.interrupted"),
            (Phase::Waiting, _) => None,
            (_, Phase::Ended) => Some("stream.ended"),
            _ => None,
        };
        let name = name.filter(|_| self.is_ours);
        let mut data = json!({ "state": phase.as_str() });
        if let Some(left) = self.left.filter(|_| phase != Phase::Live) {
            data["reason"] = left.name().into();
        }
        name.map(|name| (name, data)).into_iter().collect()
    }

    /// None: it has stopped.
    fn look(&mut self, live: Option<&Live>, counted: Counted) -> Told {
        (self.fence, self.left) = live.map_or((self.fence, self.left), |live| (live.fence, live.left));
        let mut told = self.enter(live.map_or(Phase::Ended, |live| live.phase));
        let before = std::mem::replace(&mut self.viewers, counted.viewers);
        if before != counted.viewers && counted.is_ours_to_tell {
            told.push((event::VIEWERS, json!({ "viewers": counted.viewers })));
        }
        let Some(live) = live.filter(|live| live.phase == Phase::Live && self.is_ours) else { return told };
        let found = warnings(live);
        for warning in found.iter().filter(|warning| !self.warnings.contains(&warning.code)) {
            told.push(("stream.warning", json!({ "code": warning.code, "message": warning.message })));
        }
        self.warnings = found.into_iter().map(|warning| warning.code).collect();
        told
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(known: &mut Known, phases: &[Phase]) -> Vec<&'static str> {
        phases.iter().flat_map(|phase| known.enter(*phase)).map(|(name, _)| name).collect()
    }

    #[test]
    fn each_change_of_a_stream_published_here_is_told_once() {
        let mut known = Known { is_ours: true, ..Known::new(TenantId::from_random([1; 16])) };
        use Phase::{Ended, Interrupted, Live, Stalled};
        let phases = [Live, Live, Stalled, Live, Interrupted, Live, Stalled, Interrupted, Ended, Ended];
        let told = ["stream.live", "stream.interrupted", "stream.live", "stream.interrupted", "stream.ended"];
        assert_eq!(names(&mut known, &phases), told);
        let mut elsewhere = Known::new(TenantId::from_random([1; 16]));
        assert_eq!(names(&mut elsewhere, &phases), [""; 0]);
        let mut nobody_came = Known { is_ours: true, ..Known::new(TenantId::from_random([1; 16])) };
        assert_eq!(names(&mut nobody_came, &[Ended]), [""; 0]);
    }

    #[test]
    fn an_event_tells_why_the_publisher_left() {
        let mut known = Known { is_ours: true, ..Known::new(TenantId::from_random([1; 16])) };
        assert_eq!(known.enter(Phase::Live)[0].1, json!({ "state": "live" }));
        known.left = Some(Departure::Lost);
        assert_eq!(
            known.enter(Phase::Interrupted)[0].1,
            json!({ "state": "interrupted", "reason": "connection_lost" })
        );
        assert_eq!(known.enter(Phase::Ended)[0].1, json!({ "state": "ended", "reason": "connection_lost" }));
        assert_eq!(known.enter(Phase::Live)[0].1, json!({ "state": "live" }));
    }
}
