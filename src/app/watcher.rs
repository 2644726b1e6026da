//! Tells what changed of the streams that are published here: a new phase at once, the rest each second.

use crate::api::warnings;
use crate::clock::Clock;
use crate::cluster::seats::{Occupied, Seats};
use crate::hooks::{Event, Feed, event};
use crate::id::{EventId, StreamId, TenantId};
use crate::stream::packet::Phase;
use crate::stream::registry::Registry;
use crate::stream::status::Live;
use serde_json::{Value, json};
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
    pub(super) fn tell(&self, name: &'static str, tenant: &TenantId, stream: Option<StreamId>, data: Value) {
        let mut bytes = [0; 16];
        (self.random)(&mut bytes);
        let (id, at_us) = (EventId::from_random(bytes), self.clock.unix_us());
        self.feed.tell(Event { id, name, tenant: tenant.clone(), stream, at_us, data });
    }
}

/// A stream's new phase; the tenant where its publisher is on this node.
pub(super) struct Entered {
    stream: StreamId,
    phase: Phase,
    tenant: Option<TenantId>,
}

/// Has the registry tell of phases.
pub(super) fn phases(registry: &Registry, seats: &Arc<Seats>) -> mpsc::Receiver<Entered> {
    let (sender, receiver) = mpsc::channel(PHASES_MAX);
    let seats = seats.clone();
    registry.tell_phases(Box::new(move |stream, live| {
        let entered = Entered { stream: stream.clone(), phase: live.phase, tenant: seats.publishes(stream) };
        // Full: found within a second.
        let _ = sender.try_send(entered);
    }));
    receiver
}

pub(super) struct Watcher {
    registry: Arc<Registry>,
    seats: Arc<Seats>,
    teller: Teller,
    known: HashMap<StreamId, Known>,
}

/// A stream as it was told last.
struct Known {
    tenant: TenantId,
    /// Published on this node: another one's phases are told there.
    is_ours: bool,
    phase: Phase,
    viewers: usize,
    warnings: Vec<&'static str>,
}

impl Known {
    fn new(tenant: TenantId) -> Self {
        Self { tenant, is_ours: false, phase: Phase::Waiting, viewers: 0, warnings: Vec::new() }
    }
}

type Told = Vec<(&'static str, Value)>;

impl Watcher {
    pub(super) fn new(registry: Arc<Registry>, seats: Arc<Seats>, teller: Teller) -> Self {
        Self { registry, seats, teller, known: HashMap::new() }
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
        let Entered { stream, phase, tenant } = entered;
        if let Some(tenant) = &tenant {
            let known = self.known.entry(stream.clone()).or_insert_with(|| Known::new(tenant.clone()));
            known.is_ours = true;
        }
        if let Some(known) = self.known.get_mut(&stream) {
            // Who publishes elsewhere now is told of there.
            known.is_ours &= tenant.is_some() || phase != Phase::Live;
            let (told, tenant) = (known.enter(phase), known.tenant.clone());
            self.tell(told, &tenant, &stream);
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
            let live = self.registry.get(stream).map(|handle| handle.live());
            events.push((stream.clone(), known.tenant.clone(), known.look(live.as_ref())));
            live.is_some()
        });
        for (stream, tenant, told) in events {
            self.tell(told, &tenant, &stream);
        }
    }

    fn tell(&self, told: Told, tenant: &TenantId, stream: &StreamId) {
        for (name, data) in told {
            self.teller.tell(name, tenant, Some(stream.clone()), data);
        }
    }
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
        name.map(|name| (name, json!({ "state": phase.as_str() }))).into_iter().collect()
    }

    /// None: it has stopped.
    fn look(&mut self, live: Option<&Live>) -> Told {
        let mut told = self.enter(live.map_or(Phase::Ended, |live| live.phase));
        let viewers = live.map_or(0, |live| live.viewers);
        if viewers != self.viewers {
            self.viewers = viewers;
            told.push((event::VIEWERS, json!({ "viewers": viewers })));
        }
        let Some(live) = live.filter(|live| live.phase == Phase::Live && self.is_ours) else { return told };
        let found = warnings(live);
        for warning in found.iter().filter(|warning| !self.warnings.contains(&warning.code)) {
            told.push(("stream.warning", json!({ "code": warning.code, "message": warning.message })));
        }
        self.warnings = found.iter().map(|warning| warning.code).collect();
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
}
