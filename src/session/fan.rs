//! One worker's copy of a stream's present, and the viewers it goes to.

use crate::id::SessionId;
use crate::media::fragment::Gap;
use crate::media::frame::Kind;
use crate::session::batch::{Batch, Context, Course};
use crate::session::ladder::RateMeter;
use crate::session::protocol::{self, InitFrames};
use crate::session::viewer::Viewer;
use crate::session::worker::Worker;
use crate::stream::backlog::{Backlog, Bounds};
use crate::stream::handle::Command;
use crate::stream::inside;
use crate::stream::packet::{Edges, Epoched, Framed, Packet, Phase, Snapshot};
use crate::stream::subscriber::{self, SubscriberId};
use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

/// Sound waits at most this long for a picture to go with.
const SOUND_WAITS: Duration = Duration::from_millis(40);
/// Of a stream that may wait no more than this does, however short its frames are.
const PENDING_MAX: usize = 512;
const NODE_BYTES: &str = "node_bytes";
const OVERLOADED: &str = "this node is overloaded";
/// Drained viewers come back within this time, not all at once.
const RETRY_SPREAD_MS: u32 = 10_000;

/// Who came and who left since the stream was told last.
#[derive(Debug, Default)]
pub struct Changes {
    pub joined: Vec<subscriber::Viewer>,
    pub left: Vec<SessionId>,
    pub moved: Vec<(SessionId, subscriber::Standing)>,
}

impl Changes {
    pub fn is_empty(&self) -> bool {
        self.joined.is_empty() && self.left.is_empty() && self.moved.is_empty()
    }

    pub fn told_by(&self, subscriber: SubscriberId) -> Command {
        let Self { joined, left, moved } = self;
        Command::Viewers { subscriber, joined: joined.clone(), left: left.clone(), moved: moved.clone() }
    }
}

pub struct Fan {
    worker: Rc<Worker>,
    phase: Phase,
    /// The stream has answered: what is known here is its present.
    is_known: bool,
    /// How far the clock of the stream's owner is ahead of this node's.
    clock_ahead_us: i64,
    init: Option<Rc<InitFrames>>,
    has_video: bool,
    backlog: Backlog,
    burst: Option<Rc<Batch>>,
    meter: RateMeter,
    /// Before `pending`.
    course: Course,
    pending: Vec<Arc<Framed>>,
    pending_since: Duration,
    /// How long pictures may wait for others.
    send_every: Option<Duration>,
    edges: Edges,
    viewers: Vec<Rc<RefCell<Viewer>>>,
    changes: Changes,
    retries: u32,
}

impl Fan {
    pub fn new(bounds: Bounds, worker: Rc<Worker>) -> Self {
        Self {
            worker,
            phase: Phase::Waiting,
            is_known: false,
            clock_ahead_us: 0,
            init: None,
            has_video: false,
            backlog: Backlog::new(bounds),
            burst: None,
            meter: RateMeter::default(),
            course: Course::default(),
            pending: Vec::new(),
            pending_since: Duration::ZERO,
            send_every: None,
            edges: Edges::default(),
            viewers: Vec::new(),
            changes: Changes::default(),
            retries: 0,
        }
    }

    pub fn join(&mut self, viewer: Rc<RefCell<Viewer>>) {
        self.worker.metrics.viewers.inc();
        self.changes.joined.push(listed(&viewer.borrow()));
        if self.worker.bytes_over() > 0 {
            self.worker.metrics.limit_hit(NODE_BYTES);
            viewer.borrow_mut().refuse(4503, OVERLOADED, self.next_retry_ms());
        } else if self.is_known {
            let burst = self.burst();
            viewer.borrow_mut().start(self.phase, self.clock_ahead_us, self.init.as_ref(), burst.as_ref());
        }
        self.viewers.push(viewer);
    }

    /// Brings one who paused back to the present.
    pub fn resume(&mut self, viewer: &RefCell<Viewer>) {
        let burst = self.burst();
        viewer.borrow_mut().resume(burst.as_ref());
    }

    pub fn leave(&mut self, viewer: &Rc<RefCell<Viewer>>) {
        if let Some(index) = self.viewers.iter().position(|v| Rc::ptr_eq(v, viewer)) {
            self.viewers.swap_remove(index);
            self.worker.metrics.viewers.dec();
            self.changes.left.push(viewer.borrow().ticket.session.clone());
        }
    }

    /// Takes what the stream sent; says how long what waits now still may, and zero where it may until what else has come
    /// was taken.
    pub fn handle(&mut self, packet: Packet) -> Option<Duration> {
        match packet {
            Packet::Snapshot(snapshot) => self.handle_snapshot(snapshot),
            Packet::Init(init) => {
                self.flush();
                self.set_init(&init);
            }
            Packet::Fragment(fragment) => return self.handle_fragment(fragment),
            Packet::Gap(gap) => self.tell_gap(&gap, "source"),
            Packet::Phase(phase) => {
                self.flush();
                self.set_phase(phase);
            }
            Packet::Clock { ahead_us } => self.clock_ahead_us = ahead_us,
            Packet::SendEvery(ms) => self.set_send_every(ms),
            Packet::Kick { session, code, reason } => {
                self.each(|viewer, retry_ms| {
                    if viewer.ticket.session == session {
                        viewer.close(code, &reason, comes_back(code).then_some(retry_ms));
                    }
                });
            }
            Packet::Close { code, reason } => self.each(|viewer, retry_ms| {
                viewer.close(code, &reason, comes_back(code).then_some(retry_ms));
            }),
        }
        None
    }

    /// Sends what waited.
    pub fn flush(&mut self) {
        if self.pending.is_empty() {
            return;
        }
        self.burst = None;
        let batch = Rc::new(Batch::new(std::mem::take(&mut self.pending), self.context(self.course)));
        batch.parts().iter().for_each(|part| self.course.pass(part));
        for viewer in &self.viewers {
            viewer.borrow_mut().offer(&batch);
        }
        let late_us = self.worker.unix_us() - batch.ingest_us();
        self.worker.metrics.fanout_seconds.observe(late_us.max(0) as f64 / 1e6);
    }

    /// Sends what has waited long enough; else says how long it still may.
    pub fn flush_waiting(&mut self) -> Option<Duration> {
        if self.pending.is_empty() {
            return None;
        }
        let waited = self.worker.now().saturating_sub(self.pending_since);
        let left = self.send_every.unwrap_or(SOUND_WAITS).saturating_sub(waited);
        if left.is_zero() {
            self.flush();
        }
        (!left.is_zero()).then_some(left)
    }

    /// Looks at all that depends on time; called twice a second.
    pub fn tick(&mut self) {
        let mut moved = Vec::new();
        self.each(|viewer, _| {
            viewer.tick();
            if let Some(standing) = viewer.take_standing() {
                moved.push((viewer.ticket.session.clone(), standing));
            }
        });
        self.changes.moved.extend(moved);
        self.shed();
    }

    /// Where the node holds more than it may, those furthest behind go: as many as this stream's part of it takes.
    fn shed(&mut self) {
        let (over, own) = (self.worker.bytes_over(), self.outbox_bytes());
        if over == 0 || own == 0 {
            return;
        }
        self.worker.metrics.limit_hit(NODE_BYTES);
        let all = usize::try_from(self.worker.metrics.outbox_bytes.get()).unwrap_or(0).max(own);
        let mut left = (over as u128 * own as u128).div_ceil(all as u128);
        let mut behind = self.viewers.clone();
        behind.sort_by_key(|viewer| std::cmp::Reverse(viewer.borrow().outbox_bytes()));
        for viewer in behind {
            let bytes = viewer.borrow().outbox_bytes() as u128;
            if left == 0 || bytes == 0 {
                return;
            }
            left = left.saturating_sub(bytes);
            self.worker.metrics.viewer_evicted("overload");
            viewer.borrow_mut().close(4503, OVERLOADED, Some(self.next_retry_ms()));
        }
    }

    /// Those who are sent away come back at different times.
    fn next_retry_ms(&mut self) -> u32 {
        self.retries = self.retries.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (self.retries >> 8) % RETRY_SPREAD_MS
    }

    /// Sends everybody away to come back at once: nobody will look at them here any more.
    pub fn end(&mut self) {
        self.each(|viewer, retry_ms| {
            viewer.close(4503, "the stream was lost here", Some(retry_ms / 10));
            viewer.end();
        });
    }

    pub fn outbox_bytes(&self) -> usize {
        self.viewers.iter().map(|v| v.borrow().outbox_bytes()).sum()
    }

    /// For who looks for a fault: of the viewers, the `viewers_max` that are furthest behind.
    pub fn inside(&self, id: SubscriberId, viewers_max: usize) -> inside::Hub {
        let now_us = self.worker.unix_us();
        let mut viewers: Vec<_> = self.viewers.iter().map(|viewer| viewer.borrow()).collect();
        viewers.sort_by_key(|viewer| std::cmp::Reverse(viewer.outbox_bytes()));
        let shown = viewers.iter().take(viewers_max).map(|viewer| inside::Viewer {
            listed: listed(viewer),
            oldest_us: viewer.outbox.oldest_us().map(|us| now_us - us),
        });
        inside::Hub { id, pending: self.pending.len(), outbox_bytes: self.outbox_bytes(), viewers: shown.collect() }
    }

    pub fn is_empty(&self) -> bool {
        self.viewers.is_empty()
    }

    pub fn is_known(&self) -> bool {
        self.is_known
    }

    pub fn clock_ahead_us(&self) -> i64 {
        self.clock_ahead_us
    }

    pub fn take_changes(&mut self) -> Changes {
        std::mem::take(&mut self.changes)
    }

    /// What the stream did not take is told again.
    pub fn put_back(&mut self, changes: Changes) {
        self.changes.joined.splice(0..0, changes.joined);
        self.changes.left.splice(0..0, changes.left);
        self.changes.moved.splice(0..0, changes.moved);
    }

    /// The stream was lost: the next one is told of everybody.
    pub fn forget_stream(&mut self) {
        self.is_known = false;
        self.changes.joined = self.viewers.iter().map(|v| listed(&v.borrow())).collect();
        self.changes.left.clear();
        self.changes.moved.clear();
    }

    fn handle_fragment(&mut self, fragment: Arc<Framed>) -> Option<Duration> {
        *self.edges.of(fragment.kind) = Some(fragment.end_us);
        self.backlog.push(fragment.clone());
        self.burst = None;
        self.meter.add(&fragment);
        if fragment.is_video_key() && self.pending.iter().any(|f| f.kind == Kind::Video) {
            self.flush();
        }
        let waits = match self.send_every {
            Some(_) => self.pending.len() < PENDING_MAX,
            None => fragment.kind == Kind::Audio && self.has_video,
        };
        if self.pending.is_empty() {
            self.pending_since = self.worker.now();
        }
        self.pending.push(fragment);
        if waits { self.flush_waiting() } else { Some(Duration::ZERO) }
    }

    fn set_send_every(&mut self, ms: Option<u32>) {
        self.flush();
        self.send_every = ms.map(|ms| Duration::from_millis(ms.into()));
    }

    /// Starts those who wait for the stream's first answer, and brings back to the present those who lost it.
    fn handle_snapshot(&mut self, snapshot: Snapshot) {
        self.flush();
        self.is_known = true;
        self.clock_ahead_us = snapshot.clock_ahead_us;
        self.set_phase(snapshot.phase);
        self.set_send_every(snapshot.send_every_ms);
        match &snapshot.init {
            Some(init) if self.init.as_ref().is_none_or(|old| old.epoch != init.epoch) => self.set_init(init),
            Some(_) => {}
            None => self.init = None,
        }
        self.catch_up(&snapshot.backlog);
        let burst = self.burst();
        for viewer in self.viewers.iter().filter(|v| !v.borrow().is_started()) {
            viewer.borrow_mut().start(self.phase, self.clock_ahead_us, self.init.as_ref(), burst.as_ref());
        }
    }

    /// Sends viewers what came while this hub was behind; each hole is told of.
    fn catch_up(&mut self, backlog: &[Arc<Framed>]) {
        let mut edges = self.edges;
        let missed: Vec<_> =
            backlog.iter().filter(|f| edges.of(f.kind).is_none_or(|edge| f.start_us >= edge)).cloned().collect();
        for kind in [Kind::Video, Kind::Audio] {
            let first = missed.iter().find(|f| f.kind == kind);
            if let (Some(from_us), Some(first)) = (*edges.of(kind), first)
                && first.start_us > from_us
            {
                self.tell_gap(&Gap { kind, from_us, to_us: first.start_us, frames: 0 }, "overload");
            }
        }
        self.adopt_backlog(backlog);
        missed.iter().for_each(|fragment| self.meter.add(fragment));
        self.pending = missed;
        self.flush();
    }

    fn adopt_backlog(&mut self, backlog: &[Arc<Framed>]) {
        self.burst = None;
        self.backlog.restart();
        for fragment in backlog {
            *self.edges.of(fragment.kind) = Some(fragment.end_us);
            self.backlog.push(fragment.clone());
        }
    }

    fn set_init(&mut self, init: &Epoched) {
        let frames = Rc::new(InitFrames::new(init));
        self.has_video = init.tracks.iter().any(|t| t.kind == Kind::Video);
        self.backlog.restart();
        self.burst = None;
        self.course = Course::default();
        self.each(|viewer, _| viewer.change_init(&frames));
        self.init = Some(frames);
    }

    fn set_phase(&mut self, phase: Phase) {
        if std::mem::replace(&mut self.phase, phase) == phase {
            return;
        }
        if phase == Phase::Ended {
            self.init = None;
        }
        if matches!(phase, Phase::Interrupted | Phase::Ended) {
            self.backlog.restart();
            self.burst = None;
        }
        let json = protocol::state_json(phase);
        self.each(|viewer, _| viewer.say_json(&json));
    }

    fn tell_gap(&mut self, gap: &Gap, reason: &str) {
        self.flush();
        let json = protocol::gap_json(gap, reason);
        self.each(|viewer, _| viewer.say_json(&json));
    }

    /// What was sent from the newest keyframe on; what waits comes after it, for all.
    fn burst(&mut self) -> Option<Rc<Batch>> {
        if self.burst.is_none() {
            let mut sent = self.backlog.to_vec();
            sent.truncate(sent.len().saturating_sub(self.pending.len()));
            let context = self.context(Course::default());
            self.burst = (!sent.is_empty()).then(|| Rc::new(Batch::new(sent, context)));
        }
        self.burst.clone()
    }

    fn context(&self, course: Course) -> Context {
        Context { has_video: self.has_video, course, rates: self.meter.rates() }
    }

    /// Calls `act` on each viewer, with a time after which it may come back, then sends what it queued.
    fn each(&mut self, mut act: impl FnMut(&mut Viewer, u32)) {
        for index in 0..self.viewers.len() {
            let retry_ms = self.next_retry_ms();
            let mut viewer = self.viewers[index].borrow_mut();
            act(&mut viewer, retry_ms);
            viewer.flush();
        }
    }
}

/// Whether a viewer who is sent away so may come back by itself.
fn comes_back(code: u16) -> bool {
    matches!(code, 4429 | 4503 | 4504)
}

fn listed(viewer: &Viewer) -> subscriber::Viewer {
    let ticket = &viewer.ticket;
    subscriber::Viewer {
        session: ticket.session.clone(),
        subject: ticket.subject.clone(),
        address: ticket.address.clone(),
        dialect: ticket.dialect.name(),
        since_us: ticket.since_us,
        standing: viewer.standing(),
    }
}

#[cfg(test)]
#[path = "fan_tests.rs"]
pub(super) mod tests;
