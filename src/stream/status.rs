//! What can be told about a running stream without asking its actor.

use crate::media::fragment::Track;
use crate::media::fragmenter::Facts;
use crate::media::frame::Kind;
use crate::stream::packet::Phase;
use crate::stream::publisher::Departure;
use crate::stream::qoe::{Qoe, Report, Summary};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// A stream as it was a moment ago.
#[derive(Debug, Clone, PartialEq)]
pub struct Live {
    pub phase: Phase,
    /// Unix time since which the phase holds.
    pub since_us: i64,
    pub viewers: usize,
    /// Of the newest publish that is known of; 0: of none.
    pub fence: u64,
    /// Why the last publisher left; None: it is there, or was on another node.
    pub left: Option<Departure>,
    /// The publisher is on another node, which tells of the stream.
    pub is_fed: bool,
    pub tracks: Vec<Track>,
    pub video_bps: u64,
    pub audio_bps: u64,
    /// What the media itself tells.
    pub facts: Facts,
    /// How much later the media comes than at the start of the publish: the drift of the publisher's clock, and its delays.
    pub drift_ms: Option<i64>,
    /// The same against the last half minute: what a publisher that is too slow has lost.
    pub behind_ms: i64,
}

impl Live {
    pub fn track(&self, kind: Kind) -> Option<&Track> {
        self.tracks.iter().find(|t| t.kind == kind)
    }
}

/// Called on the stream's own thread with each new phase; it must not block.
pub type OnPhase = Box<dyn Fn(&Live) + Send + Sync>;

/// Written by the stream and by its viewers' sessions, read by everybody.
pub struct Status {
    live: Mutex<Live>,
    qoe: Mutex<Qoe>,
    on_phase: OnPhase,
}

impl Status {
    pub fn new(since_us: i64, on_phase: OnPhase) -> Self {
        let waiting = Live {
            phase: Phase::Waiting,
            since_us,
            viewers: 0,
            fence: 0,
            left: None,
            is_fed: false,
            tracks: Vec::new(),
            video_bps: 0,
            audio_bps: 0,
            facts: Facts::default(),
            drift_ms: None,
            behind_ms: 0,
        };
        Self { live: Mutex::new(waiting), qoe: Mutex::default(), on_phase }
    }

    pub fn get(&self) -> Live {
        self.live.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub fn set(&self, live: Live) {
        let told = live.clone();
        let before = std::mem::replace(&mut *self.live.lock().unwrap_or_else(PoisonError::into_inner), live);
        if before.phase != told.phase {
            (self.on_phase)(&told);
        }
    }

    pub fn report(&self, report: &Report, now: Duration) {
        self.qoe.lock().unwrap_or_else(PoisonError::into_inner).record(report, now);
    }

    pub fn qoe(&self, now: Duration) -> Summary {
        self.qoe.lock().unwrap_or_else(PoisonError::into_inner).summary(now)
    }
}
