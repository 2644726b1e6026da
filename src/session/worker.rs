//! What one worker thread has: its hubs, and what every viewer on it shares.

use crate::clock::Clock;
use crate::config::{Current, Limits};
use crate::id::StreamId;
use crate::session::fan::Fan;
use crate::session::hub::Hub;
use crate::session::viewer::Viewer;
use crate::stream::packet::Phase;
use crate::stream::qoe::Report;
use crate::stream::registry::Registry;
use crate::stream::state::Settings;
use crate::telemetry::Metrics;
use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

pub struct Worker {
    pub registry: Arc<Registry>,
    pub metrics: Arc<Metrics>,
    /// This node's name.
    pub node: Arc<str>,
    pub limits: Current<Limits>,
    clock: Arc<dyn Clock>,
    hubs: RefCell<HashMap<StreamId, Rc<RefCell<Fan>>>>,
}

impl Worker {
    pub fn new(
        registry: Arc<Registry>,
        clock: Arc<dyn Clock>,
        metrics: Arc<Metrics>,
        limits: Current<Limits>,
        node: Arc<str>,
    ) -> Rc<Self> {
        Rc::new(Self { registry, metrics, limits, node, clock, hubs: RefCell::default() })
    }

    /// So much more than it may does the node hold.
    pub fn bytes_over(&self) -> usize {
        let held = self.metrics.outbox_bytes.get() + self.metrics.backlog_bytes.get();
        usize::try_from(held).unwrap_or(0).saturating_sub(self.limits.get().node_bytes)
    }

    pub fn now(&self) -> Duration {
        self.clock.monotonic()
    }

    pub fn unix_us(&self) -> i64 {
        self.clock.unix_us()
    }

    /// Gives a viewer to this thread's hub for its stream, which is made where there is none.
    pub fn join(
        self: &Rc<Self>,
        stream: &StreamId,
        settings: Settings,
        viewer: Rc<RefCell<Viewer>>,
    ) -> Rc<RefCell<Fan>> {
        let fan = self.fan(stream, settings);
        fan.borrow_mut().join(viewer);
        fan
    }

    /// What the stream is in as far as it is known here; it is looked for from now on, also without a viewer.
    pub fn phase(self: &Rc<Self>, stream: &StreamId, settings: Settings) -> Phase {
        self.fan(stream, settings);
        self.registry.get(stream).map_or(Phase::Waiting, |handle| handle.live().phase)
    }

    fn fan(self: &Rc<Self>, stream: &StreamId, settings: Settings) -> Rc<RefCell<Fan>> {
        let existing = self.hubs.borrow().get(stream).cloned();
        existing.unwrap_or_else(|| {
            let fan = Rc::new(RefCell::new(Fan::new(settings.backlog, self.clone())));
            Hub::start_for(stream.clone(), settings, fan.clone(), self.clone());
            self.hubs.borrow_mut().insert(stream.clone(), fan.clone());
            fan
        })
    }

    /// What a viewer's player told of itself.
    pub fn report(&self, stream: &StreamId, report: &Report) {
        self.metrics.player_told(report.latency_ms, report.first_frame_ms, report.played_ms, report.stalled_ms);
        if let Some(handle) = self.registry.get(stream) {
            handle.report(report, self.now());
        }
    }

    /// A hub without viewers goes.
    pub fn forget(&self, stream: &StreamId) {
        self.hubs.borrow_mut().remove(stream);
    }
}
