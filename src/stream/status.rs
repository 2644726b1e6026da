//! What can be told about a running stream without asking its actor.

use crate::media::fragment::Track;
use crate::media::fragmenter::Facts;
use crate::media::frame::Kind;
use crate::stream::packet::Phase;
use std::sync::{Mutex, PoisonError};

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

/// Written by the stream, read by everybody.
#[derive(Debug)]
pub struct Status(Mutex<Live>);

impl Status {
    pub fn new(since_us: i64) -> Self {
        Self(Mutex::new(Live {
            phase: Phase::Waiting,
            since_us,
            viewers: 0,
            tracks: Vec::new(),
            video_bps: 0,
            audio_bps: 0,
            facts: Facts::default(),
        }))
    }

    pub fn get(&self) -> Live {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub fn set(&self, live: Live) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = live;
    }
}
