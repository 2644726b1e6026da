//! What can be told about a running stream without asking its actor.

use crate::media::fragment::Track;
use crate::media::fragmenter::Facts;
use crate::media::frame::Kind;
use crate::stream::packet::Phase;
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
    pub tracks: Vec<Track>,
    pub video_bps: u64,
    pub audio_bps: u64,
    /// What the media itself tells.
    pub facts: Facts,
}

impl Live {
    pub fn track(&self, kind: Kind) -> Option<&Track> {
        self.tracks.iter().find(|t| t.kind == kind)
    }
}

/// Written by the stream and by its viewers' sessions, read by everybody.
#[derive(Debug)]
pub struct Status {
    live: Mutex<Live>,
    qoe: Mutex<Qoe>,
}

impl Status {
    pub fn new(since_us: i64) -> Self {
        let live = Mutex::new(Live {
            phase: Phase::Waiting,
            since_us,
            viewers: 0,
            tracks: Vec::new(),
            video_bps: 0,
            audio_bps: 0,
            facts: Facts::default(),
        });
        Self { live, qoe: Mutex::default() }
    }

    pub fn get(&self) -> Live {
        self.live.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub fn set(&self, live: Live) {
        *self.live.lock().unwrap_or_else(PoisonError::into_inner) = live;
    }

    pub fn report(&self, report: &Report, now: Duration) {
        self.qoe.lock().unwrap_or_else(PoisonError::into_inner).record(report, now);
    }

    pub fn qoe(&self, now: Duration) -> Summary {
        self.qoe.lock().unwrap_or_else(PoisonError::into_inner).summary(now)
    }
}
