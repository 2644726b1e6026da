//! The streams that run on this node, each on one of the arbiters for ingest.

use crate::clock::Clock;
use crate::id::StreamId;
use crate::stream::actor::{Birth, Stream};
use crate::stream::handle::Handle;
use crate::stream::mailbox::ActorMailbox;
use crate::stream::state::Settings;
use crate::stream::status::{Live, OnPhase, Status};
use crate::telemetry::Metrics;
use actix::{Actor, ArbiterHandle};
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};

struct Entry {
    handle: Handle,
    generation: u64,
}

/// Starts streams on demand and forgets them when they stop.
pub struct Registry {
    streams: Mutex<HashMap<StreamId, Entry>>,
    arbiters: Vec<ArbiterHandle>,
    generations: AtomicU64,
    clock: Arc<dyn Clock>,
    metrics: Arc<Metrics>,
    myself: Weak<Registry>,
    on_phase: OnceLock<TellPhase>,
}

/// Called on a stream's own thread with each new phase of it; it must not block.
pub type TellPhase = Box<dyn Fn(&StreamId, &Live) + Send + Sync>;

impl Registry {
    /// `arbiters` are the threads that streams live on, at least one.
    pub fn new(arbiters: Vec<ArbiterHandle>, clock: Arc<dyn Clock>, metrics: Arc<Metrics>) -> Arc<Self> {
        assert!(!arbiters.is_empty(), "streams need a thread to live on");
        Arc::new_cyclic(|myself| Self {
            streams: Mutex::default(),
            arbiters,
            generations: AtomicU64::new(0),
            clock,
            metrics,
            myself: myself.clone(),
            on_phase: OnceLock::new(),
        })
    }

    /// Once, before any stream starts.
    pub fn tell_phases(&self, tell: TellPhase) {
        // A second one would tell all of it again.
        let _ = self.on_phase.set(tell);
    }

    pub fn get(&self, id: &StreamId) -> Option<Handle> {
        self.lock().get(id).map(|e| e.handle.clone())
    }

    /// The running stream, or a new one.
    pub fn open(&self, id: &StreamId, settings: Settings) -> Handle {
        let mut streams = self.lock();
        if let Some(entry) = streams.get(id)
            && !entry.handle.is_closed()
        {
            return entry.handle.clone();
        }
        let generation = self.generations.fetch_add(1, Ordering::Relaxed);
        let status = Arc::new(Status::new(self.clock.unix_us(), self.telling(id.clone())));
        let birth = Birth {
            id: id.clone(),
            settings,
            clock: self.clock.clone(),
            metrics: self.metrics.clone(),
            status: status.clone(),
            on_stop: self.forgetting(id.clone(), generation),
        };
        let arbiter = &self.arbiters[generation as usize % self.arbiters.len()];
        let address = Stream::start_in_arbiter(arbiter, move |_| Stream::new(birth));
        let handle = Handle::new(id.clone(), Arc::new(ActorMailbox(address)), status);
        streams.insert(id.clone(), Entry { handle: handle.clone(), generation });
        handle
    }

    pub fn list(&self) -> Vec<Handle> {
        self.lock().values().map(|e| e.handle.clone()).collect()
    }

    fn telling(&self, id: StreamId) -> OnPhase {
        let registry = self.myself.clone();
        Box::new(move |live| {
            if let Some(tell) = registry.upgrade().as_ref().and_then(|registry| registry.on_phase.get()) {
                tell(&id, live);
            }
        })
    }

    fn forgetting(&self, id: StreamId, generation: u64) -> Box<dyn FnOnce() + Send> {
        let registry = self.myself.clone();
        Box::new(move || {
            if let Some(registry) = registry.upgrade() {
                let mut streams = registry.lock();
                if streams.get(&id).is_some_and(|e| e.generation == generation) {
                    streams.remove(&id);
                }
            }
        })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<StreamId, Entry>> {
        self.streams.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
