//! A stream without its actor: who publishes, what phase it is in, what goes out. Time is handed in, packets come out.

mod feed;

use crate::id::KeyId;
use crate::media::fragment::Output;
use crate::media::fragmenter::Fragmenter;
use crate::media::frame::Item;
use crate::stream::backlog::{Backlog, Bounds};
use crate::stream::inside::Inside;
use crate::stream::meter::Meter;
use crate::stream::packet::{Edges, Epoch, Epoched, Framed, Packet, Phase, Snapshot};
use crate::stream::publisher::{
    Departure, EndReason, Publish, Publisher, PublisherId, Refusal, SecondPublisher, Whose,
};
use crate::stream::status::Live;
use std::sync::Arc;

/// The same key replaces a publisher that sent nothing for this long: its connection is half open.
const REPLACE_AFTER_US: i64 = 1_000_000;
/// Viewers are told that the publisher stalls.
const STALLED_AFTER_US: i64 = 3_000_000;
/// A publisher that sends nothing is let go.
const SILENT_AFTER_US: i64 = 10_000_000;
/// A publish starts this much after the stream's clock: nodes' and the database's clocks are read at different moments.
const START_MARGIN_US: i64 = 1_000_000;
/// Viewers of a stream that ended, or never came, are sent away after this.
const IDLE_AFTER_US: i64 = 600_000_000;

/// What a stream's owner chose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    pub second_publisher: SecondPublisher,
    pub reconnect_window_us: i64,
    pub backlog: Bounds,
    /// How often viewers are sent what has come; none: with each picture.
    pub send_every_ms: Option<u32>,
}

struct Current {
    publisher: Box<dyn Publisher>,
    key: KeyId,
    last_media_us: i64,
}

/// All of a stream that does not touch the outside.
pub struct State {
    settings: Settings,
    fragmenter: Fragmenter,
    backlog: Backlog,
    meter: Meter,
    current: Option<Current>,
    left: Option<Departure>,
    init: Option<Arc<Epoched>>,
    /// Above all epochs so far.
    epoch: Epoch,
    edges: Edges,
    /// The publisher is, or was last, on another node.
    is_fed: bool,
    /// Pictures of the owner are of no use before the next keyframe.
    needs_key: bool,
    clock_ahead_us: i64,
    phase: Phase,
    phase_since_us: i64,
    told_send_every_ms: Option<u32>,
}

impl State {
    pub fn new(settings: Settings, now_us: i64) -> Self {
        Self {
            settings,
            fragmenter: Fragmenter::default(),
            backlog: Backlog::new(settings.backlog),
            meter: Meter::default(),
            current: None,
            left: None,
            init: None,
            epoch: Epoch::default(),
            edges: Edges::default(),
            is_fed: false,
            needs_key: false,
            clock_ahead_us: 0,
            phase: Phase::Waiting,
            phase_since_us: now_us,
            told_send_every_ms: settings.send_every_ms,
        }
    }

    /// What viewers have to be told of goes out with the next tick.
    pub fn configure(&mut self, settings: Settings) {
        self.settings = settings;
    }

    /// Takes a publisher, or says why not. The viewers hear of it with the first frame.
    pub fn handle_publish(&mut self, publish: Publish, now_us: i64) -> Result<(), Refusal> {
        if publish.fence <= self.epoch.fence {
            return Err(Refusal::Stale);
        }
        self.may_replace(&publish.key, now_us)?;
        if let Some(current) = &self.current {
            current.publisher.end(EndReason::Replaced);
        }
        self.epoch = Epoch { fence: publish.fence, n: 0 };
        let start_us = publish.since_origin_us + START_MARGIN_US;
        self.fragmenter.start(start_us.max(self.edges.end_us().unwrap_or(0)));
        self.is_fed = false;
        self.left = None;
        self.clock_ahead_us = 0;
        self.meter.restart(now_us);
        self.current = Some(Current { publisher: publish.publisher, key: publish.key, last_media_us: now_us });
        Ok(())
    }

    /// Whether one who publishes with `key` may take the place of the present publisher.
    fn may_replace(&self, key: &KeyId, now_us: i64) -> Result<(), Refusal> {
        let Some(current) = &self.current else { return Ok(()) };
        let is_silent = now_us - current.last_media_us >= REPLACE_AFTER_US;
        let takes_over = self.settings.second_publisher == SecondPublisher::Takeover;
        if takes_over || (is_silent && current.key == *key) { Ok(()) } else { Err(Refusal::Busy) }
    }

    /// Media of a publisher that is not the stream's any more is dropped.
    pub fn handle_media(
        &mut self,
        from: PublisherId,
        item: Item,
        now_us: i64,
    ) -> Result<Vec<Packet>, crate::media::Error> {
        match &mut self.current {
            Some(current) if current.publisher.id() == from => current.last_media_us = now_us,
            _ => return Ok(Vec::new()),
        }
        self.fragmenter.handle_item(item, now_us)?;
        Ok(self.drain(now_us))
    }

    pub fn handle_unpublish(&mut self, from: PublisherId, left: Departure, now_us: i64) -> Vec<Packet> {
        match &self.current {
            Some(current) if current.publisher.id() == from => self.interrupt(left, now_us),
            _ => Vec::new(),
        }
    }

    /// Ends the publisher where it is the one meant; true where there was one.
    pub fn end_publisher(&mut self, reason: EndReason, whose: &Whose, now_us: i64) -> (bool, Vec<Packet>) {
        let meant = self.current.as_ref().filter(|current| whose.is(&current.key));
        let Some(current) = meant else { return (false, Vec::new()) };
        current.publisher.end(reason);
        (true, self.interrupt(Departure::Ended(reason), now_us))
    }

    /// To be called ten times a second.
    pub fn handle_tick(&mut self, now_us: i64) -> Vec<Packet> {
        let mut packets = Vec::new();
        if std::mem::replace(&mut self.told_send_every_ms, self.settings.send_every_ms) != self.settings.send_every_ms {
            packets.push(Packet::SendEvery(self.settings.send_every_ms));
        }
        if let Some(current) = &self.current {
            let silent_us = now_us - current.last_media_us;
            if silent_us >= SILENT_AFTER_US {
                current.publisher.end(EndReason::Silent);
                packets.extend(self.interrupt(Departure::Ended(EndReason::Silent), now_us));
            } else if silent_us >= STALLED_AFTER_US && self.phase == Phase::Live {
                packets.extend(self.enter(Phase::Stalled, now_us));
            }
            if self.current.is_some() {
                self.fragmenter.handle_tick(now_us);
                packets.extend(self.drain(now_us));
            }
        }
        let in_phase_us = now_us - self.phase_since_us;
        match self.phase {
            Phase::Interrupted if in_phase_us >= self.settings.reconnect_window_us => {
                self.init = None;
                packets.extend(self.enter(Phase::Ended, now_us));
            }
            _ => {}
        }
        if self.is_abandoned(now_us) {
            packets.push(Packet::Close { code: 4504, reason: "nobody publishes this stream".into() });
        }
        packets
    }

    pub fn poll_rates(&mut self, now_us: i64) -> bool {
        self.meter.poll(now_us)
    }

    pub fn snapshot(&self) -> Snapshot {
        Snapshot {
            phase: self.phase,
            send_every_ms: self.settings.send_every_ms,
            init: self.init.clone(),
            backlog: self.backlog.to_vec(),
            clock_ahead_us: self.clock_ahead_us,
            fence: self.fence(),
        }
    }

    pub fn live(&self, viewers: usize) -> Live {
        let is_live = self.current.is_some() || (self.is_fed && self.phase == Phase::Live);
        Live {
            phase: self.phase,
            since_us: self.phase_since_us,
            viewers,
            fence: self.fence(),
            left: self.left,
            is_fed: self.is_fed,
            tracks: self.init.as_ref().map(|i| i.tracks.clone()).unwrap_or_default(),
            video_bps: if is_live { self.meter.video_bps } else { 0 },
            audio_bps: if is_live { self.meter.audio_bps } else { 0 },
            facts: self.fragmenter.facts(),
            drift_ms: self.meter.lateness.drift_ms().filter(|_| is_live),
            behind_ms: if is_live { self.meter.lateness.behind_ms() } else { 0 },
        }
    }

    /// Without its audience.
    pub fn inside(&self) -> Inside {
        Inside {
            phase: self.phase,
            since_us: self.phase_since_us,
            epoch: self.epoch,
            has_publisher: self.current.is_some(),
            is_fed: self.is_fed,
            backlog: self.backlog.held(),
            hubs: Vec::new(),
            relays: 0,
        }
    }

    pub fn backlog_bytes(&self) -> usize {
        self.backlog.len_bytes()
    }

    pub fn has_publisher(&self) -> bool {
        self.current.is_some()
    }

    /// Of the newest publish that is known of.
    pub fn fence(&self) -> u64 {
        self.epoch.fence
    }

    /// Nobody publishes and nobody is expected back.
    pub fn is_idle(&self) -> bool {
        self.current.is_none() && matches!(self.phase, Phase::Waiting | Phase::Ended)
    }

    /// Idle for so long that viewers are not kept waiting any more.
    fn is_abandoned(&self, now_us: i64) -> bool {
        self.is_idle() && now_us - self.phase_since_us >= IDLE_AFTER_US
    }

    fn interrupt(&mut self, left: Departure, now_us: i64) -> Vec<Packet> {
        self.current = None;
        self.left = Some(left);
        self.fragmenter.stop();
        let mut packets = self.drain(now_us);
        self.backlog.restart();
        if self.init.is_some() {
            packets.extend(self.enter(Phase::Interrupted, now_us));
        }
        packets
    }

    fn drain(&mut self, now_us: i64) -> Vec<Packet> {
        let mut packets = Vec::new();
        while let Some(output) = self.fragmenter.poll_output() {
            match output {
                Output::Init(init) => {
                    let init = Arc::new(Epoched::new(self.epoch, init));
                    self.epoch.n += 1;
                    self.backlog.restart();
                    self.init = Some(init.clone());
                    packets.push(Packet::Init(init));
                }
                Output::Fragment(fragment) => {
                    let epoch = self.init.as_ref().map_or(self.epoch, |i| i.epoch);
                    let framed = Arc::new(Framed::new(epoch, fragment));
                    *self.edges.of(framed.kind) = Some(framed.end_us);
                    self.meter.add(&framed);
                    self.backlog.push(framed.clone());
                    if self.phase != Phase::Live && self.current.is_some() {
                        packets.extend(self.enter(Phase::Live, now_us));
                    }
                    packets.push(Packet::Fragment(framed));
                }
                Output::Gap(gap) => packets.push(Packet::Gap(gap)),
            }
        }
        packets
    }

    fn enter(&mut self, phase: Phase, now_us: i64) -> Option<Packet> {
        if self.phase == phase {
            return None;
        }
        self.phase = phase;
        self.phase_since_us = now_us;
        Some(Packet::Phase(phase))
    }
}

#[cfg(test)]
#[path = "state_tests.rs"]
mod tests;
